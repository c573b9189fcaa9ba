"""`python -m helpers grade time`: how long a check takes in the notebook, and how long a submission takes to grade."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .check import ASSIGNMENTS


def main(arguments: Sequence[str] = ()) -> int:
    """Time a solved notebook, in turns in a student's kernel and in the grader; write medians and all figures."""
    parser = argparse.ArgumentParser(prog="python -m helpers grade time", description=__doc__)
    names = list(ASSIGNMENTS.values())
    parser.add_argument("--assignment", choices=names, default=names[0], metavar="NAME", help=f"default: {names[0]}")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="runs of each kind (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args(list(arguments))
    from . import corpus, judge

    assignment = options.assignment
    release, notebook = corpus.released(assignment), corpus.solved(assignment)
    in_notebook: dict[str, list[float]] = {}
    in_grader: dict[str, list[float]] = {}
    whole: list[float] = []
    for turn in range(options.repeat):
        for name, taken in _in_a_kernel(notebook).items():
            in_notebook.setdefault(name, []).append(taken)
        graded = judge.grade(notebook, release, key=corpus.class_key(turn), assignment=assignment)
        if graded.points != sum(cell.maximum for cell in graded.cells.values()):
            print(f"error: the solved notebook earned {graded.points:g} points", file=sys.stderr)
            return 1
        whole.append(graded.seconds)
        for cell in graded.cells.values():
            in_grader.setdefault(cell.check, []).append(cell.seconds)
        print(f"turn {turn + 1}: a submission took {graded.seconds:.1f} s", flush=True)
    print(table(in_notebook, in_grader, whole))
    if options.json:
        _write(options.json, assignment, in_notebook, in_grader, whole)
    return 0


def table(in_notebook: dict[str, list[float]], in_grader: dict[str, list[float]], whole: list[float]) -> str:
    """A row a check with its median seconds, and a line on whole submissions."""
    lines = [f"{'median seconds':16} in the notebook   in the grader, with its twin"]
    for name, seconds in in_grader.items():
        lines.append(f"{name:16} {statistics.median(in_notebook[name]):15.2f}   {statistics.median(seconds):13.2f}")
    lines.append(f"one submission: median {statistics.median(whole):.1f} s of {len(whole)} on {os.cpu_count()} cores")
    return "\n".join(lines)


def _in_a_kernel(notebook: dict[str, Any]) -> dict[str, float]:
    """Seconds of each check cell when a student runs the whole notebook."""
    import tempfile

    import nbformat
    from nbclient import NotebookClient

    from . import judge, merge, released

    cells = nbformat.from_dict(notebook)
    taken: dict[str, float] = {}
    started: dict[int, float] = {}

    def begin(cell: Any, cell_index: int) -> None:
        started[cell_index] = time.perf_counter()

    def end(cell: Any, cell_index: int, execute_reply: Any) -> None:
        if ident := released.checked(merge.source_of(cell))[0]:
            taken[ident] = time.perf_counter() - started[cell_index]

    environment = {**os.environ, "BENCH_SECONDS": "0.05", "COURSE_PROGRESS": "off", "OMP_WAIT_POLICY": "PASSIVE"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in (str(judge.ROOT), os.environ.get("PYTHONPATH", "")) if p)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            cells, kernel_name="python3", timeout=None, resources={"metadata": {"path": folder}},
            on_cell_execute=begin, on_cell_executed=end,
        )  # fmt: skip
        client.execute(env=environment)
    return taken


def _write(
    path: Path,
    assignment: str,
    in_notebook: dict[str, list[float]],
    in_grader: dict[str, list[float]],
    whole: list[float],
) -> None:
    from helpers import environment

    def rows(seconds: dict[str, list[float]]) -> dict[str, Any]:
        return {
            name: {"median": round(statistics.median(each), 3), "all": [round(one, 3) for one in each]}
            for name, each in seconds.items()
        }

    result = {
        **environment.circumstances(f"python -m helpers grade time --assignment {assignment} --json FILE"),
        "unit": "seconds; BENCH_SECONDS=0.05, the small model, the solved notebook",
        "submission": rows({"whole": whole})["whole"],
        "check_in_the_notebook": rows(in_notebook),
        "check_in_the_grader_with_its_twin": rows(in_grader),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")
