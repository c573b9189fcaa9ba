"""Points as CSV: nbgrader's columns and Canvas's own file; blank where there are none, 0 only for a graded zero."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.grading import collect, course, demo, export
from helpers.grading.judge import Graded

from .classroom import ASSIGNMENT, graded, new_course, release, submission

ROSTER = """id,first_name,last_name,email,lms_user_id
ada,Ada,Lovelace,ada@example.edu,1001
ben,Ben,"Comma, Jr.",ben@example.edu,1002
cyd,Cyd,Zero,cyd@example.edu,1003
dee,Dee,Broken,dee@example.edu,1004
eve,Eve,Absent,eve@example.edu,1005
fay,=cmd(),Formula,fay@example.edu,1006
gus,Gus,Elsewhere,gus@example.edu,1007
"""


@pytest.fixture
def room(tmp_path: Path) -> course.Course:
    room = new_course(tmp_path)
    (tmp_path / "roster.csv").write_text(ROSTER)
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        book.people(tmp_path / "roster.csv")

        def write(cells):
            cells["answer-1"].source = "an answer"

        for student, verdict in (
            ("ada", graded(submission())),
            ("ben", graded(submission(write))),
            ("cyd", graded(submission(), 0.0)),
            ("dee", Graded("failed to grade", "x")),
            ("fay", graded(submission(), 0.5)),
            ("gus", graded(submission())),
        ):
            book.record(collect.Submission(student, Path("x")), verdict, {})
    return room


def test_nbgraders_csv_is_blank_where_there_are_no_points(
    room: course.Course, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.main(ASSIGNMENT, room) == 0
    assert "7 students, 4 with points" in capsys.readouterr().out
    with open(room.root / "grades.csv", newline="") as lines:
        rows = {row["student_id"]: row for row in csv.DictReader(lines)}
    assert tuple(rows["ada"]) == export.COLUMNS
    assert {student: (row["score"], row["status"]) for student, row in rows.items()} == {
        "ada": ("32.0", "graded"),
        "ben": ("", "awaiting manual grading"),
        "cyd": ("0.0", "graded"),
        "dee": ("", "failed to grade"),
        "eve": ("", "not submitted"),
        "fay": ("16.0", "graded"),
        "gus": ("32.0", "graded"),
    }
    assert rows["ben"]["last_name"] == "Comma, Jr." and rows["fay"]["first_name"] == "'=cmd()"


CANVAS = """\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Other (5),Ex1 DistilBERT (4711),Final
    Points Possible,,,,,10,50,(read only)
"Lovelace, Ada",9,,ada@example.edu,A,7,,1
"Comma, Jr., Ben",1002,,,A,,30,
"Zero, Cyd",,cyd,cyd,A,,,
"Broken, Dee",1004,,dee,A,,0,
"Absent, Eve",1005,,eve,A,,12,
"Formula, Fay",1006,,,A,,,
"Unknown, Zoe",4444,,zoe,A,3,,
"Student, Test",,,,A,,,
"""


def test_canvas_gets_its_own_file_with_one_column_filled(
    room: course.Course, capsys: pytest.CaptureFixture[str]
) -> None:
    file = room.root / "canvas.csv"
    file.write_text(CANVAS, encoding="utf-8")
    assert export.main(ASSIGNMENT, room, "canvas", file) == 0
    said = capsys.readouterr().out
    with open(room.root / "canvas-filled.csv", newline="") as lines:
        rows = list(csv.reader(lines))
    with open(file, newline="", encoding="utf-8-sig") as lines:
        before = list(csv.reader(lines))
    column = rows[0].index("Ex1 DistilBERT (4711)")
    assert [row[column] for row in rows[2:]] == ["32", "", "0", "", "12", "16", "", ""]
    for old, new in zip(before, rows, strict=True):
        assert old[:column] + old[column + 1 :] == new[:column] + new[column + 1 :]
    assert (
        "3 filled" in said
        and "2 blank, 1 left as they were" in said
        and "not found in the gradebook: Unknown, Zoe" in said
    )
    assert "blank: Comma, Jr., Ben (awaiting manual grading, was 30)" in said
    assert "blank: Broken, Dee (failed to grade, was 0)" in said and "left: Absent, Eve (not submitted)" in said
    assert "Canvas has 50 points for this column, the assignment 52" in said
    assert "graded, and not in canvas.csv: gus" in said
    assert file.read_text(encoding="utf-8") == CANVAS


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("canvas", None), "needs FILE="),
        (("moodle", None), "expected csv or canvas"),
        (("canvas", "Name,ID\n"), "no column Student"),
        (("canvas", "Student,ID,Homework\n"), "0 columns are called"),
        (("canvas", "Student,ID,Ex1_DistilBERT (1),ex1 distilbert (2)\n"), "2 columns are called"),
    ],
)
def test_what_cannot_be_filled_is_named(arguments, said, room, capsys) -> None:
    form, text = arguments
    file = None
    if text:
        file = room.root / "x.csv"
        file.write_text(text)
    assert export.main(ASSIGNMENT, room, form, file) == 1
    assert said in capsys.readouterr().err


def test_the_column_can_be_named(room: course.Course) -> None:
    file = room.root / "c.csv"
    file.write_text("Student,ID,Homework 1 (5)\nAda Lovelace,1001,\n")
    assert export.main(ASSIGNMENT, room, "canvas", file, "Homework 1") == 0
    assert "Ada Lovelace,1001,32" in (room.root / "c-filled.csv").read_text()


def test_nbgraders_own_commands_work_on_the_results(room: course.Course) -> None:
    """`nbgrader export` uses our plugin, `nbgrader autograde` refuses and changes nothing."""
    (room.root / "nbgrader_config.py").write_text(demo._CONFIG.format(path=str(course.ROOT)))
    (room.root / "submitted" / "ada" / ASSIGNMENT).mkdir(parents=True)
    (room.root / "submitted" / "ada" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb").write_text("{}")

    def nbgrader(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nbgrader", *arguments]
        env = {**os.environ, "PYTHONPATH": str(course.ROOT)}
        return subprocess.run(command, cwd=room.root, capture_output=True, text=True, env=env)

    done = nbgrader("export", "--to=out.csv")
    assert done.returncode == 0, done.stderr
    with open(room.root / "out.csv", newline="") as lines:
        rows = {row["student_id"]: row["score"] for row in csv.DictReader(lines)}
    assert (rows["ada"], rows["dee"], rows["cyd"]) == ("32.0", "", "0.0")
    before = room.autograded("ada", ASSIGNMENT).read_bytes()
    done = nbgrader("autograde", ASSIGNMENT, "--force")
    assert done.returncode != 0 and "make autograde" in done.stderr
    assert room.autograded("ada", ASSIGNMENT).read_bytes() == before
