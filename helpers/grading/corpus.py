"""Known answers through the grader: `python -m helpers grade corpus [--assignment NAME] [--only GLOB] [--json FILE]`.

A case is one file in tests/submissions/<assignment>/<kind>/: the whole replacement of one TODO cell, under a header::

    # check: ex1/enqueue
    # expect: full | partly | zero, or right | wrong where the points are not foretold
    # line: the first line that must fail, or its beginning (several may stand there: any of them)
    # points: 2.5, exactly, where they are foretold
    # keys: 20, where it is judged under so many class keys
    # whole: yes, where it also runs as a whole notebook: the other answers are the reference's and keep their points
    # why: one sentence
    # note: who added what to the header, and when

Each case runs through the same judge, sandbox and device as a student's notebook. A verdict is false where the points
are not those expected, under any key.
"""

from __future__ import annotations

import argparse
import copy
import fnmatch
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .check import ASSIGNMENTS

ROOT = Path(__file__).resolve().parents[2]
SUBMISSIONS = ROOT / "tests" / "submissions"
KINDS = ("right", "wrong", "cheat", "malformed", "blind")
EXPECTED = ("full", "partly", "zero", "right", "wrong")
_FIELDS = ("check", "expect", "line", "points", "keys", "whole", "why", "note")


@dataclass(frozen=True)
class Case:
    """One known answer to one TODO."""

    name: str  # "wrong/enqueue_no_sync"
    check: str
    expect: str
    lines: tuple[str, ...]
    points: float | None
    keys: int
    whole: bool
    why: str
    source: str

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]

    @property
    def cell(self) -> str:
        """Id of the cell that it replaces."""
        return cell_of(self.check)

    @property
    def assignment(self) -> str:
        return ASSIGNMENTS[self.check.partition("/")[0]]


def cell_of(check: str) -> str:
    """Id of the cell that a check ("ex2/last_step") is about."""
    return f"todo-{check.partition('/')[2].replace('_', '-')}"


@dataclass
class Outcome:
    """What the grader made of one case, over all its keys."""

    case: str
    check: str
    expected: str
    points: float | None = None  # what is foretold
    maximum: float = 0.0
    visible: list[float] = field(default_factory=list)
    final: list[float] = field(default_factory=list)
    failing: list[str] = field(default_factory=list)  # under the first key: in the visible check, then in its twin
    happened: list[str] = field(default_factory=list)
    named: bool | None = None  # whether the first failing line is one that the case names; None where it names none
    whole: bool = False
    others_lost: list[str] = field(default_factory=list)  # in a whole notebook: other checks without full marks
    seconds: float = 0.0
    error: str = ""

    @property
    def false(self) -> bool:
        """Whether the verdict is not the one expected, under any key."""
        if self.error or not self.final or self.others_lost:
            return True
        if self.points is not None and any(points != self.points for points in self.final):
            return True
        return not all(_as_expected(self.expected, points, self.maximum) for points in self.final)

    @property
    def unequal(self) -> bool:
        """Whether the hidden twin changed the points, under any key."""
        return any(v != f for v, f in zip(self.visible, self.final, strict=True))

    @property
    def only_hidden(self) -> bool:
        """Whether the visible check was passed and the twin was not, under any key."""
        return any(v >= self.maximum > f for v, f in zip(self.visible, self.final, strict=True))


def _as_expected(expected: str, points: float, maximum: float) -> bool:
    if expected in ("full", "right"):
        return points >= maximum
    if expected == "zero":
        return points == 0
    return 0 < points < maximum if expected == "partly" else points < maximum


def read_case(path: Path) -> Case:
    """The case in a file.

    Raises:
        ValueError: the header lacks a field or says something else than it may.
    """
    text = path.read_text(encoding="utf-8")
    head: dict[str, list[str]] = {}
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith("# "):
        name, colon, value = lines[0][2:].partition(":")
        if not colon or name not in _FIELDS:
            break
        head.setdefault(name, []).append(value.strip())
        lines.pop(0)
    missing = [name for name in ("check", "expect", "why") if len(head.get(name, [])) != 1]
    if missing:
        raise ValueError(f"{path}: the header needs one line each of {', '.join(missing)}")
    expect = head["expect"][0]
    if expect not in EXPECTED:
        raise ValueError(f"{path}: expect is {expect!r}; it may be {', '.join(EXPECTED)}")
    return Case(
        name=f"{path.parent.name}/{path.stem}",
        check=head["check"][0],
        expect=expect,
        lines=tuple(line for line in head.get("line", []) if line),
        points=float(head["points"][0]) if "points" in head else None,
        keys=int(head.get("keys", ["1"])[0]),
        whole=head.get("whole", ["no"])[0] == "yes",
        why=head["why"][0],
        source="".join(lines).strip("\n"),
    )


def read_cases(assignment: str, only: str = "*") -> list[Case]:
    """The cases whose name ("wrong/enqueue_no_sync") or check ("ex1/enqueue") fits the pattern `only`, by name."""
    folder = SUBMISSIONS / assignment
    cases = [read_case(path) for kind in KINDS for path in sorted((folder / kind).glob("*.py"))]
    return [c for c in cases if fnmatch.fnmatch(c.name, only) or fnmatch.fnmatch(c.check, only)]


def class_key(number: int) -> bytes:
    """The class key with this number: the same on every machine, and no secret."""
    return hashlib.sha256(b"corpus %d" % number).digest()


# --- notebooks ------------------------------------------------------------------------------------------------------


def released(assignment: str) -> dict[str, Any]:
    """The release as the grader uses it.

    Raises:
        CourseError: it was not made yet, or was changed.
    """
    from .released import read

    return dict(json.loads(json.dumps(read(assignment))))


def solved(assignment: str) -> dict[str, Any]:
    """The solved notebook, with the ids of the release's cells: the reference submission."""
    from . import reference

    notebook = json.loads(json.dumps(reference.notebook(reference.path_of(assignment))))
    for cell in notebook["cells"]:
        tag = cell["metadata"]["tags"][0]
        cell["id"] = tag
        cell["metadata"] = {"tags": [tag], "nbgrader": {"grade_id": tag}}
    return dict(notebook)


def with_answer(notebook: dict[str, Any], case: Case) -> dict[str, Any]:
    """A copy of a notebook in which the case's cell stands in the place of the TODO's.

    Raises:
        ValueError: the notebook has no such cell.
    """
    from . import merge

    changed = copy.deepcopy(notebook)
    for cell in changed["cells"]:
        if merge.key_of(cell) == case.cell:
            cell["source"] = case.source
            return changed
    raise ValueError(f"{case.name}: the notebook has no cell {case.cell!r}")


# --- running --------------------------------------------------------------------------------------------------------


def run_case(case: Case, keys: Sequence[int], whole: bool, threads: int) -> Outcome:
    """Judge a case under the class keys with these numbers, its TODO alone or within a whole notebook."""
    from . import judge

    outcome = Outcome(case.name, case.check, case.expect, case.points, whole=whole)
    release = released(case.assignment)
    submission = with_answer(solved(case.assignment) if whole else release, case)
    started = time.monotonic()
    secrets = [class_key(number) for number in keys]
    if whole:
        given: dict[str, Any] = {"assignment": case.assignment, "threads": threads}
        graded = [judge.grade(submission, release, key=key, **given) for key in secrets]
        verdicts = [{cell.check: cell for cell in one.cells.values()} for one in graded]
    else:
        judged = judge.grade_under_keys(
            submission, release, secrets, assignment=case.assignment, only=case.check, threads=threads
        )
        verdicts = [{case.check: cell} for cell in judged]
    for cells in verdicts:
        cell = cells[case.check]
        outcome.maximum = cell.maximum
        outcome.visible.append(cell.visible)
        outcome.final.append(cell.points)
        if len(outcome.final) == 1:
            failed = [line for line in cell.lines if line[0] == "✗"]
            told = [*failed, *(["✗", what, "on other inputs", ""] for what in cell.hidden)]
            if not told and cell.points < cell.maximum:
                told = [["✗", cell.state, cell.reason, ""]]
            outcome.failing = [line[1] for line in told]
            outcome.happened = [line[2] for line in told]
            if case.lines:
                outcome.named = any(what.startswith(case.lines) for what in outcome.failing[:1])
        if whole:
            reached = case.kind not in ("cheat", "malformed")  # a cheat may take the notebook with it
            lost = [c.check for c in cells.values() if c.check != case.check and c.points < c.maximum]
            outcome.others_lost = lost if reached else []
    outcome.seconds = round(time.monotonic() - started, 2)
    return outcome


def _guarded(case: Case, keys: Sequence[int], whole: bool, threads: int) -> Outcome:
    try:
        return run_case(case, keys, whole, threads)
    except Exception as error:  # one case that breaks the grader is a false verdict, not the end of the run
        text = f"{type(error).__name__}: {error}"
        return Outcome(case.name, case.check, case.expect, case.points, whole=whole, error=text)


def run_cases(cases: Iterable[Case], workers: int, keys: int, quiet: bool = False) -> Iterator[Outcome]:
    """Outcomes as they come in, from `workers` processes; a progress bar with the time left.

    Args:
        keys: how many class keys the cases get that ask for several.
    """
    from tqdm import tqdm

    threads = max(1, (os.cpu_count() or 1) // workers)
    jobs: list[tuple[Case, range, bool]] = []
    for case in cases:
        jobs.append((case, range(min(case.keys, keys) if keys else 1), False))
        jobs += [(case, range(1), True)] if case.whole else []
    jobs.sort(key=lambda job: (not job[2], -len(job[1])))  # the long ones first: no worker is left with one at the end
    with (
        ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool,
        tqdm(total=len(jobs), unit="case", smoothing=0.05, disable=quiet) as bar,
    ):
        for future in as_completed([pool.submit(_guarded, *job, threads) for job in jobs]):
            bar.update()
            yield future.result()


# --- telling --------------------------------------------------------------------------------------------------------


def _points(values: Sequence[float]) -> str:
    if not values:
        return "none"
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g}..{high:g}"


def table(outcomes: Sequence[Outcome]) -> str:
    """One row a case: name, expected, visible and final points, the first failing line, verdict."""
    rows = [("case", "expected", "visible", "final", "of", "keys", "s", "failing line", "verdict")]
    for o in outcomes:
        line = next((f for f in o.failing), o.error)
        verdict = "FALSE" if o.false else "right" if o.named is not False else "right, other line"
        name = o.case + (" (whole)" if o.whole else "")
        seconds = f"{o.seconds / max(1, len(o.final)):.1f}"
        line = line if len(line) <= 60 else line[:57] + "..."
        counted = str(len(o.final))
        rows.append(
            (name, o.expected, _points(o.visible), _points(o.final), f"{o.maximum:g}", counted, seconds, line, verdict)
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures that a corpus is judged by."""
    wrong = [o for o in outcomes if o.case.startswith(("wrong/", "blind/wrong")) and not o.whole]
    right = [o for o in outcomes if o.expected in ("full", "right")]
    kinds = {kind: sum(o.case.startswith(kind + "/") and not o.whole for o in outcomes) for kind in KINDS}
    return {
        "cases": {kind: count for kind, count in kinds.items() if count},
        "whole_notebooks": sum(o.whole for o in outcomes),
        "under_several_keys": sum(len(o.final) > 1 for o in outcomes),
        "verdicts": sum(len(o.final) for o in outcomes),
        "false_verdicts": [o.case + (" (whole)" if o.whole else "") for o in outcomes if o.false],
        "wrong": len(wrong),
        "wrong_named": sum(bool(o.named) for o in wrong),
        "wrong_named_share": sum(bool(o.named) for o in wrong) / len(wrong) if wrong else 1.0,
        "wrong_other_line": [o.case for o in wrong if not o.named],
        "right_unequal": [o.case for o in right if o.unequal],
        "wrong_only_hidden": [o.case for o in wrong if o.only_hidden],
        "wrong_only_hidden_share": sum(o.only_hidden for o in wrong) / len(wrong) if wrong else 0.0,
    }


def as_wanted(figures: dict[str, Any]) -> bool:
    """No false verdict, causes named for 95 %, right ones equal, at most 5 % of the wrong caught by the twin alone."""
    mutants = figures.get("mutants") or {}
    return (
        not figures["false_verdicts"]
        and figures["wrong_named_share"] >= 0.95
        and not figures["right_unequal"]
        and figures["wrong_only_hidden_share"] <= 0.05
        and not mutants.get("alive")
    )


def told(figures: dict[str, Any]) -> str:
    """The summary in words."""
    cases = ", ".join(f"{count} {kind}" for kind, count in figures["cases"].items())
    lines = [
        f"{cases}; {figures['whole_notebooks']} also as whole notebooks, {figures['under_several_keys']} under several"
        f" class keys: {figures['verdicts']} verdicts",
        f"false verdicts: {len(figures['false_verdicts'])} {', '.join(figures['false_verdicts'])}".rstrip(),
        f"wrong answers whose first failing line names the cause: {figures['wrong_named']} of {figures['wrong']}"
        f" ({figures['wrong_named_share']:.1%}, wanted 95 %) {', '.join(figures['wrong_other_line'])}".rstrip(),
        f"right answers with other final than visible points: {len(figures['right_unequal'])}"
        f" {', '.join(figures['right_unequal'])}".rstrip(),
        f"wrong answers that only the hidden twin sees: {len(figures['wrong_only_hidden'])}"
        f" ({figures['wrong_only_hidden_share']:.1%}, at most 5 %) {', '.join(figures['wrong_only_hidden'])}".rstrip(),
    ]
    if mutants := figures.get("mutants"):
        lines.append(
            f"mutants: {mutants['made']} made, {mutants['killed']} killed, {mutants['equivalent']} equivalent,"
            f" {len(mutants['alive'])} alive {'; '.join(mutants['alive'])}".rstrip()
        )
    return "\n".join(lines)


def _report(
    outcomes: Sequence[Outcome], figures: dict[str, Any], workers: int, seconds: float, command: str
) -> dict[str, Any]:
    from helpers import environment

    empty: tuple[Any, ...] = ("", None, [], False)
    rows = [{k: v for k, v in asdict(o).items() if k != "happened" and v not in empty} for o in outcomes]
    for row, o in zip(rows, outcomes, strict=True):
        row["visible"], row["final"] = _short(o.visible), _short(o.final)
        row["line"] = next(iter(o.failing), "")
        row.pop("failing", None)
        row["verdict"] = "FALSE" if o.false else "right"
    return {
        **environment.circumstances(command),
        "workers": workers,
        "seconds": round(seconds, 1),
        "summary": figures,
        "cases": rows,
    }


def _short(values: list[float]) -> float | list[float]:
    return values[0] if values and len(set(values)) == 1 else values


def main(arguments: list[str] | None = None) -> int:
    """Run the corpus of one assignment or of all; 0 where every figure is as wanted."""
    parser = argparse.ArgumentParser(prog="python -m helpers grade corpus", description="Known answers, judged.")
    names = list(ASSIGNMENTS.values())
    parser.add_argument("--assignment", choices=names, metavar="NAME", help=f"{' or '.join(names)} (default: all)")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes (default: 2)")
    parser.add_argument("--keys", type=int, default=20, help="class keys for the cases that ask for several (20)")
    parser.add_argument("--only", default="*", metavar="GLOB", help="as wrong/enqueue_*, ex1/build, cheat/*")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, of all: FILE and the name")
    parser.add_argument("--no-mutants", action="store_true", help="leave the mutants of the reference answers out")
    parser.add_argument("--no-whole", action="store_true", help="leave the whole notebooks out")
    options = parser.parse_args(arguments)
    good = True
    for name in [options.assignment] if options.assignment else names:
        if cases := read_cases(name, options.only):
            print(f"=== {name}")
            good = _run(name, cases, options) and good
    return 0 if good else 1


def _run(assignment: str, cases: list[Case], options: argparse.Namespace) -> bool:
    """Run the cases of one assignment, print and write what came of them; whether every figure is as wanted."""
    started = time.monotonic()
    if options.no_whole:
        cases = [replace(case, whole=False) for case in cases]
    outcomes = sorted(
        run_cases(cases, max(1, options.workers), options.keys),
        key=lambda o: (KINDS.index(o.case.partition("/")[0]), o.case, o.whole),
    )
    figures = summary(outcomes)
    if not options.no_mutants and options.only.startswith(("*", "ex")):
        from . import mutants

        figures["mutants"] = mutants.run(assignment, max(1, options.workers), options.only)
    seconds = time.monotonic() - started
    print(table(outcomes))
    for o in outcomes:
        if o.false:
            print(f"\nFALSE {o.case}: {o.error or 'expected ' + o.expected}")
            for what, happened in zip(o.failing, o.happened, strict=True):
                print(f"    {what}: {happened}")
            if o.others_lost:
                print(f"    other checks without full marks: {', '.join(o.others_lost)}")
    print(f"\n{told(figures)}\nin {seconds:.0f} s with {options.workers} workers")
    if options.json:
        path = options.json
        if not options.assignment:
            path = path.with_stem(f"{path.stem}_{assignment.partition('_')[0]}")
        command = f"python -m helpers grade corpus --assignment {assignment} --json FILE"
        result = _report(outcomes, figures, options.workers, seconds, command)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"written: {path}")
    return as_wanted(figures)
