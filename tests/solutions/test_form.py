"""The form of every notebook of the course: tags, checks, citations, and TODOs that need the imports and the glue alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers import walkthrough
from helpers.grading.check import ASSIGNMENTS, table
from helpers.grading.release import ANSWERS

from .notebooks import ROOT, cells_of, source_of, tag_of

EVERY = walkthrough.find(ROOT / "solutions")
GRADED = {short: source_of(assignment) for short, assignment in ASSIGNMENTS.items()}


@pytest.fixture(params=EVERY, ids=lambda path: path.stem)
def source(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture(params=GRADED)
def short(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def code_of(cells: list[Any]) -> dict[str, str]:
    return {tag_of(cell): cell.source for cell in cells if cell.cell_type == "code"}


def test_every_cell_has_one_short_tag_of_its_own(source: Path) -> None:
    tags = [cell.metadata.get("tags", []) for cell in cells_of(source)]
    assert all(len(own) == 1 and re.fullmatch(r"[a-z0-9-]{2,24}", own[0]) for own in tags)
    assert len({own[0] for own in tags}) == len(tags)


def test_text_form_and_notebook_form_are_the_same(source: Path) -> None:
    import jupytext

    notebook = jupytext.read(source)
    again = jupytext.reads(jupytext.writes(notebook, fmt="ipynb"), fmt="ipynb")
    assert [(c.cell_type, c.source) for c in again.cells] == [(c.cell_type, c.source) for c in cells_of(source)]
    # after the header, which carries jupytext's own version
    written, kept = (
        text.split("# ---\n")[-1].strip() for text in (jupytext.writes(notebook, fmt="py:percent"), source.read_text())
    )
    assert written == kept


def test_each_check_of_the_table_is_called_once_and_its_todo_stands_before_it(short: str) -> None:
    code = [cell.source.strip() for cell in cells_of(GRADED[short]) if cell.cell_type == "code"]
    for row in table(short).values():
        grade = f'check("{row.id}", {row.todo})'
        assert code.count(grade) == 1
        todo = next(text for text in code if f"def {row.todo}(" in text)
        assert code.index(todo) < code.index(grade)
        assert todo.count("### BEGIN SOLUTION") == todo.count("### END SOLUTION") == 1


def test_cells_that_the_prose_cites_exist(source: Path) -> None:
    cells = cells_of(source)
    captions, cited = set(), set()
    for cell in cells:
        if cell.cell_type == "code":
            captions |= set(re.findall(r'caption\(\s*"([a-z0-9-]+)"', cell.source))
        else:
            cited |= set(re.findall(r"\[([a-z]+(?:-[a-z]+)*)\](?!\()", cell.source))
    assert captions and cited <= captions
    questions = [cell for cell in cells if tag_of(cell).startswith("question-")]
    assert all("*Cite [" in " ".join(cell.source.split()) for cell in questions)
    tags = [tag_of(cell) for cell in cells]
    assert all(f"{kind}-{n}" in tags for kind in ("answer", "guide") for n in range(1, len(questions) + 1))


def test_a_todo_needs_the_imports_and_the_glue_alone_and_none_brings_the_answers(short: str, tmp_path: Path) -> None:
    """What the grader runs for one TODO; the modules that are answers are absent there."""
    code = code_of(cells_of(GRADED[short]))
    given = [text for tag, text in code.items() if tag == "imports" or tag.startswith("glue-")]
    todos = {tag: text for tag, text in code.items() if tag.startswith(("todo-", "free-"))}
    answers = tuple(ANSWERS[ASSIGNMENTS[short]])
    assert "helpers.grading" in given[0] and len(todos) >= len(table(short))
    program = f"""
import sys
for name in {answers!r}:
    sys.modules[name] = None
for todo in {list(todos.values())!r}:
    names = {{"__name__": "__main__"}}
    for source in {given!r}:
        exec(source, names)
    exec(todo, names)
import helpers.grading.checks.{ASSIGNMENTS[short]}
print("all of them ran")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TRT_BACKEND": "simulator", "MPLBACKEND": "agg"},
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("all of them ran")
