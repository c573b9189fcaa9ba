"""What the tests of a class share: a course in a temporary folder, and verdicts as the judge gives them."""

from __future__ import annotations

import atexit
import copy
import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat

from helpers.grading import course, judge, merge

ASSIGNMENT = "ex1_distilbert"


def new_course(folder: Path) -> course.Course:
    """A course of its own that grades against the repository's release; its gradebook is empty."""
    shutil.copyfile(_empty_gradebook(), folder / "gradebook.db")
    return course.Course(root=folder)


@functools.cache
def _empty_gradebook() -> Path:
    """Made once: nbgrader starts alembic for each new one, which takes seconds."""
    from nbgrader.api import Gradebook

    course.path_of_alembic()
    path = Path(tempfile.mkdtemp()) / "gradebook.db"
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    with course.quiet():
        Gradebook(f"sqlite:///{path}").close()
    return path


def release() -> Any:
    return course.Course().release(ASSIGNMENT)


def submission(edit: Callable[[dict[str, Any]], None] | None = None) -> Any:
    """The release as a student hands it in, after `edit(cells by id)`."""
    notebook = copy.deepcopy(release())
    if edit:
        edit({cell.id: cell for cell in notebook.cells})
    return notebook


def hand_in(root: Path, student: str, notebook: Any, timestamp: str = "") -> Path:
    """`notebook` in nbgrader's layout."""
    path = root / "submitted" / student / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(notebook) if not isinstance(notebook, str) else notebook, encoding="utf-8")
    if timestamp:
        (path.parent / "timestamp.txt").write_text(timestamp)
    return path


def graded(notebook: Any, share: float | Mapping[str, float] = 1.0) -> judge.Graded:
    """A verdict with `share` of each check's points, on `notebook` laid over the release as the judge does it."""
    released = release()
    merged, mended = merge.merge(json.loads(json.dumps(released)), json.loads(json.dumps(notebook)))
    cells = {}
    for cell in merged["cells"]:
        if not merge.is_check(cell):
            continue
        name, most = merge.key_of(cell), cell["metadata"]["nbgrader"]["points"]
        part = share.get(name, 1.0) if isinstance(share, Mapping) else share
        points = round(part * most, 2)
        state = "passed" if part == 1 else "partly" if part else "failed"
        lines = [["✓" if part else "✗", "the first thing holds", "it was <i>otherwise</i>", "look at the first thing"]]
        hidden = ["the second thing holds"] if 0 < part < 1 else []
        cells[name] = judge.CellGrade(f"ex1/{name[6:]}", points, most, most, state, lines, hidden)
        cell["outputs"] = [
            {
                "output_type": "stream",
                "name": "stdout",
                "text": "  ✗  the first thing holds\n       hint: look at it\n",
            },
            {
                "output_type": "execute_result",
                "data": {"text/plain": repr(points)},
                "metadata": {},
                "execution_count": 1,
            },
        ]
    return judge.Graded("graded", cells=cells, notebook=merged, mended=mended, seconds=1.5)


def work_full(job: course.Job) -> str:
    """In the place of the judge, in a worker's process: all points; "half" in a student's name halves them."""
    notebook, _ = judge.read_submission(Path(job.path))
    return json.dumps(graded(notebook, 0.5 if "half" in job.student else 1.0).as_dict())


def work_dies(job: course.Job) -> str:
    """As `work_full`, but the worker dies on one submission, raises on another."""
    import os
    import signal

    if job.student == "killer":
        os.kill(os.getpid(), signal.SIGKILL)
    if job.student == "raiser":
        raise RecursionError("too deep")
    return work_full(job)
