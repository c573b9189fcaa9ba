"""`python -m helpers grade ...`: what each command says and returns; the made-up class; the table of times."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from helpers.grading import commands, course, demo, reference, timing

from .classroom import ASSIGNMENT, hand_in, release, submission

SOLVED = reference.path_of(ASSIGNMENT)


def test_a_notebook_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["notebook", str(tmp_path / "nothing.ipynb")]) == 1
    assert f"there is no file {tmp_path / 'nothing.ipynb'}" in capsys.readouterr().err


def test_a_file_of_no_assignment_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.ipynb"
    for text in ("no notebook", '{"cells": [], "metadata": {"course": {"assignment": "../etc"}}}'):
        path.write_text(text)
        assert commands.main(["notebook", str(path)]) == 1
        assert "does not say which assignment it is" in capsys.readouterr().err


def test_arguments_that_nobody_knows_are_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["notebook", "a.ipynb", "--fast"], ["export", ASSIGNMENT, "--format", "xls"], ["nothing"]):
        with pytest.raises(SystemExit) as ended:
            commands.main(arguments)
        assert ended.value.code == 2
        assert arguments[-1] in capsys.readouterr().err


def test_explain_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--course", str(tmp_path)]
    assert commands.main(["explain", "ada", "ex1/nothing", *where]) == 1
    assert "no released assignment has a check 'ex1/nothing'" in capsys.readouterr().err
    assert commands.main(["explain", "ada", "ex1/parse", *where]) == 1
    assert "submitted: nobody" in capsys.readouterr().err
    hand_in(tmp_path, "ben", submission())
    assert commands.main(["explain", "ada", "ex1/parse", *where]) == 1
    assert "submitted: ben" in capsys.readouterr().err


def test_explain_replays_one_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], system_program: Callable[..., str]
) -> None:
    system_program("bwrap", package="bubblewrap")
    cleo = next(student for student in demo.STUDENTS if student.id == "cleo")
    hand_in(tmp_path, "cleo", demo.notebook_of(cleo, release(), SOLVED))
    course.key(tmp_path / "key")
    arguments = ["explain", "cleo", "ex1/parse", "--course", str(tmp_path), "--key", str(tmp_path / "key")]
    assert commands.main(arguments) == 0
    said = capsys.readouterr().out
    assert "check-parse: 3 of 3 points, passed" in said and "check-profile" not in said
    assert "=== ex1/parse on secret inputs" in said and "answer('parse_network')" in said


@pytest.mark.parametrize("student", demo.STUDENTS, ids=lambda student: student.id)
def test_the_made_up_students_hand_in_what_can_be_run(student: demo.Student) -> None:
    handed = demo.notebook_of(student, release(), SOLVED)
    nbformat.validate(handed)
    given = {cell.id: cell.source for cell in release().cells}
    todos = {cell.id: cell.source for cell in handed.cells if cell.cell_type == "code" and cell.id.startswith("todo-")}
    for cell in handed.cells:
        if cell.cell_type == "code":
            ast.parse(TransformerManager().transform_cell(cell.source))
    answered = {name for name, source in todos.items() if source != given[name]}
    everything = student.solved == ("*",) or "*" in student.cells
    assert answered == (set(todos) if everything else set(student.solved))
    solved = reference.answers(SOLVED)
    for name in student.edits:
        assert todos[name] != solved[name]
    for name in set(student.solved) - {"*"} - set(student.edits) - set(student.cells):
        assert todos[name] == solved[name]
    assert "{name} = " not in "".join(todos.values())
    own = [cell for cell in handed.cells if cell.id not in given]
    assert [cell.source for cell in own] == list(student.behind.values())


def test_a_text_that_the_reference_lost_is_named() -> None:
    dan = demo.Student("dan", "Dan", "Wrong", {}, "", solved=("*",), edits={"todo-build": ("nowhere", "")})
    with pytest.raises(course.CourseError, match="the reference's todo-build has no 'nowhere' any more"):
        demo.notebook_of(dan, release(), SOLVED)


def test_the_table_of_times_has_medians(tmp_path: Path) -> None:
    notebook = {"ex1/parse": [0.1, 0.3, 9.0], "ex1/build": [2.0, 1.0]}
    grader = {"ex1/parse": [1.0, 1.5, 2.0], "ex1/build": [4.0, 5.0]}
    rows = timing.table(notebook, grader, [30.0, 50.0, 40.0]).splitlines()
    assert [row.split() for row in rows[1:3]] == [["ex1/parse", "0.30", "1.50"], ["ex1/build", "1.50", "4.50"]]
    assert rows[3].startswith("one submission: median 40.0 s of 3")
    timing._write(tmp_path / "new" / "times.json", "ex1_distilbert", notebook, grader, [30.0, 50.0, 40.0])
    written = json.loads((tmp_path / "new" / "times.json").read_text())
    assert written["submission"] == {"median": 40.0, "all": [30.0, 50.0, 40.0]}
    assert written["check_in_the_notebook"]["ex1/build"] == {"median": 1.5, "all": [2.0, 1.0]}
    assert written["check_in_the_grader_with_its_twin"]["ex1/parse"]["median"] == 1.5
    assert written["command"].endswith("grade time --assignment ex1_distilbert --json FILE") and written["cores"]
