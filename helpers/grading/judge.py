"""One submission in, points and evidence out. Verdicts are made here, outside the student's process.

Three roles. The *student's process* runs the cells and is believed in nothing. The *device's process* is the simulated
GPU of this run; it alone opens plans and ONNX files, and its record is what a GPU would know. The *judge* sees numbers,
text, arrays and bytes, draws what the checks ask with, and runs them itself when a check cell is reached. The other two
run in a sandbox and are thrown away afterwards.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import backend
from ..messages import Limits
from . import compare, device, merge, released, report, sandbox
from .check import row_of
from .draw import VISIBLE, Draw, secret
from .report import Check, Verdict
from .student import OUTPUT_TYPES
from .subject import Far, Gone, Spent, ask, shown

ROOT = Path(__file__).resolve().parents[2]

SUBMISSION_LIMIT = 50 << 20  # bytes of a notebook file
CELL_SECONDS = 300.0
CHECK_SECONDS = 180.0  # of waiting for the student's process; also for one question to the device
RUN_SECONDS = 1200.0  # for all cells together; a right notebook takes a twentieth of it
OUTPUT_LIMITS = Limits(nbytes=24 << 20)  # of one cell
OUTPUT_BUDGET = 64 << 20  # bytes of all cells together
# What a graded run sets, so that it is the same everywhere.
ENVIRONMENT = {"BENCH_SECONDS": "0.05", "MODEL": "small", "TRT_BACKEND": "simulator", "COURSE_GRADED": "1"}


class Unreadable(ValueError):
    """The submission cannot be graded, and why."""


@dataclass
class CellGrade:
    """What became of one check.

    `state` is "passed", "partly", "failed", "not attempted" or "not reached". `lines` are the visible check's, as
    [mark, what, happened, hint]; `hidden` says what held in the visible check and not in its twin on other inputs.
    """

    check: str
    points: float
    maximum: float
    visible: float
    state: str
    lines: list[list[str]] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    reason: str = ""
    seconds: float = 0.0


@dataclass
class Graded:
    """A graded submission, as plain data."""

    status: str  # "graded" or "failed to grade"
    reason: str = ""
    cells: dict[str, CellGrade] = field(default_factory=dict)
    notebook: dict[str, Any] = field(default_factory=dict)
    mended: list[str] = field(default_factory=list)
    seconds: float = 0.0
    trace: list[str] = field(default_factory=list)

    @property
    def points(self) -> float:
        return round(sum(cell.points for cell in self.cells.values()), 2)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Graded:
        cells = {name: CellGrade(**cell) for name, cell in data["cells"].items()}
        return cls(**{**data, "cells": cells})


def read_submission(path: Path) -> tuple[dict[str, Any], bytes]:
    """The notebook in a file, and the SHA-256 of its bytes.

    Raises:
        Unreadable: no plain file, too large, or no notebook.
    """
    if path.is_symlink() or not path.is_file():
        raise Unreadable(f"{path.name} is no plain file")
    if path.stat().st_size > SUBMISSION_LIMIT:
        raise Unreadable(f"{path.name} has {path.stat().st_size >> 20} MiB; at most {SUBMISSION_LIMIT >> 20} are read")
    data = path.read_bytes()
    try:
        # JSON can spell half a character ("\\ud800"), which no file can hold afterwards
        text = json.dumps(json.loads(data), ensure_ascii=False).encode("utf-8", "replace")
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path.name} is no notebook: {error}") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise Unreadable(f"{path.name} is no notebook of format 4: it has no list of cells")
    return notebook, hashlib.sha256(data).digest()


def grade(
    submission: Path | Mapping[str, Any],
    release: Mapping[str, Any],
    *,
    key: bytes,
    assignment: str,
    twins: bool = True,
    only: str | None = None,
    explain: bool = False,
    threads: int = 0,
    tick: Callable[[str, int, int], None] | None = None,
) -> Graded:
    """Run a submission and judge its checks.

    Args:
        submission: the notebook, or its file. It is never trusted.
        release: the released notebook: cells, points and order come from it.
        key: the class key; secrets of the hidden twins are derived from it.
        twins: also judge on secret inputs. A student's own dry run does not.
        only: id of one check: run what it needs and judge it alone.
        explain: keep a trace of that check for the instructor.
        threads: a share of the machine, for libraries that count threads; 0 for all cores.
        tick: called with (cell, index, count) before each cell.

    Raises:
        sandbox.SandboxError: this machine offers no sandbox; nothing was run.
    """
    started = time.monotonic()
    try:
        if isinstance(submission, Path):
            notebook, digest = read_submission(submission)
        else:
            notebook = dict(submission)
            digest = hashlib.sha256(json.dumps(notebook, sort_keys=True).encode()).digest()
        merged, mended = merge.merge(release, notebook)
    except (Unreadable, ValueError) as error:
        return Graded("failed to grade", str(error), seconds=time.monotonic() - started)
    result = Graded("graded", notebook=merged, mended=mended)
    answers = dict((release.get("metadata") or {}).get("course", {}).get("answers", {}))
    cells = [cell for cell in merged["cells"] if cell["cell_type"] == "code"]
    cells = cells if only is None else _needed(cells, only)

    def draw(ident: str) -> Draw | None:
        return secret(key, assignment, ident, digest) if twins else None

    with _Run(answers, threads, explain) as run:
        for index, cell in enumerate(cells):
            name = merge.key_of(cell)
            if tick:
                tick(name, index, len(cells))
            if merge.is_check(cell):
                row, function = checked(cell)
                if only not in (None, row.id):
                    run.release(row.id)  # as in the whole run, but without a verdict
                    continue
                result.cells[name] = run.judge(row, function, draw(row.id))
                cell["outputs"] = _outputs(row, result.cells[name], index + 1)
                run.after(row.id, result.cells[name], cell)
            else:
                cell["outputs"] = run.cell(merge.source_of(cell), index + 1)
            cell["execution_count"] = index + 1
        result.trace = run.trace
    result.seconds = time.monotonic() - started
    return result


def grade_under_keys(
    submission: Mapping[str, Any],
    release: Mapping[str, Any],
    keys: Sequence[bytes],
    *,
    assignment: str,
    only: str,
    threads: int = 0,
) -> list[CellGrade]:
    """Judge one check of a submission under several class keys; the cells that it needs run once.

    Args and errors: as for `grade`.
    """
    merged, _ = merge.merge(release, submission)
    digest = hashlib.sha256(json.dumps(submission, sort_keys=True).encode()).digest()
    answers = dict((release.get("metadata") or {}).get("course", {}).get("answers", {}))
    found: list[CellGrade] = []
    with _Run(answers, threads, explain=False) as run:
        for cell in _needed([c for c in merged["cells"] if c["cell_type"] == "code"], only):
            if not merge.is_check(cell):
                run.cell(merge.source_of(cell), 0)
                continue
            row, function = checked(cell)
            if row.id == only:
                found = [run.judge(row, function, secret(key, assignment, row.id, digest)) for key in keys]
            else:
                run.release(row.id)
    return found


def _needed(cells: Sequence[dict[str, Any]], only: str) -> list[dict[str, Any]]:
    """The cells that one check needs: imports and glue, answers up to it, the student's own cells, and the check."""
    needed: list[dict[str, Any]] = []
    for cell in cells:
        tag = merge.key_of(cell)
        if merge.is_check(cell):
            needed.append(cell)
            if checked(cell)[0].id == only:
                return needed
        elif merge.is_solution(cell) or tag == "imports" or tag.startswith("glue-") or tag == "own":
            needed.append(cell)
    raise ValueError(f"there is no check {only!r} in this assignment")


def checked(cell: Mapping[str, Any]) -> tuple[Check, str]:
    """The check's row and the name that stand in a check cell of a release."""
    ident, name = released.checked(merge.source_of(cell))
    return row_of(ident), name


@functools.cache
def _course(absent: tuple[str, ...]) -> Path:
    """What graded processes see of the course; one folder for all runs of this process."""
    folder = tempfile.mkdtemp(prefix="course-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return sandbox.prune(ROOT, Path(folder) / "course", absent)


class _Run:
    """The two processes of one submission."""

    def __init__(self, answers: Mapping[str, str], threads: int, explain: bool) -> None:
        self._answers, self._explain = answers, explain
        self._threads = threads or os.cpu_count() or 1
        self._gone = ""  # why nothing runs any more
        self._until = time.monotonic() + RUN_SECONDS
        self._room = OUTPUT_BUDGET
        self.trace: list[str] = []

    def __enter__(self) -> _Run:
        self._stack = contextlib.ExitStack()
        with self._stack:
            self._start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        sandbox.check()
        self._released = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="released-")))
        course = _course(tuple(sorted(self._answers)))
        pairs = [socket.socketpair() for _ in range(3)]
        (to_student, student), (to_device, judge_end), (device_end, students_device) = pairs
        for ours in (to_student, to_device):
            self._stack.callback(ours.close)
        share = {name: str(self._threads) for name in sandbox.THREAD_VARIABLES}
        share["OMP_WAIT_POLICY"] = "PASSIVE"
        self._launch(
            "helpers.grading.device",
            [str(device_end.fileno()), str(judge_end.fileno()), str(self._threads)],
            fds=[device_end.fileno(), judge_end.fileno()],
            course=course,
            env=share,
        )
        self._launch(
            "helpers.grading.student",
            [str(student.fileno())],
            fds=[student.fileno(), students_device.fileno()],
            course=course,
            extra_read_only={"/released": self._released},
            env=ENVIRONMENT
            | share
            | {
                "TRT_DEVICE_FD": str(students_device.fileno()),
                "COURSE_ABSENT": ",".join(sorted(self._answers)),
                "COURSE_RELEASED": "/released",
                "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            },
        )
        for theirs in (student, judge_end, device_end, students_device):
            theirs.close()
        self._student = to_student
        self._examiner = device.FarExaminer(to_device, seconds=CHECK_SECONDS)

    def _launch(self, module: str, arguments: list[str], **settings: Any) -> None:
        process = sandbox.start(module, arguments, **settings)
        self._stack.callback(_end, process)

    # --- cells ---

    def cell(self, source: str, count: int) -> list[dict[str, Any]]:
        """Run a cell in the student's process; its outputs, in nbformat's form."""
        if self._gone:
            return []
        left = self._until - time.monotonic()
        try:
            if left <= 0:
                raise Gone(f"the notebook took longer than {RUN_SECONDS / 60:.0f} minutes")
            reply = ask(self._student, ["cell", source], min(CELL_SECONDS, left), OUTPUT_LIMITS)
        except Gone as error:
            return [self._ended(error)]
        outputs = clean_outputs(reply[1], count) if reply[0] == "ok" else []
        self._room -= sum(len(text) for output in outputs for text in _texts(output))
        if self._room < 0:
            return [_said(f"outputs are left out: all cells together showed more than {OUTPUT_BUDGET >> 20} MiB")]
        return outputs

    def _ended(self, error: Gone) -> dict[str, Any]:
        self._gone = str(error)
        return _said(f"the notebook's process is gone: {error}. Cells behind this one were not run")

    def judge(self, row: Check, function: str, twin: Draw | None) -> CellGrade:
        """Judge what the student calls `function`: on visible inputs, then on secret ones."""
        started = time.monotonic()
        if self._gone:
            return CellGrade(row.id, 0.0, row.points, 0.0, "not reached", reason=self._gone)
        student = Far(self._student, function, seconds=CHECK_SECONDS, explain=self._explain)
        if twin is not None:
            student.shared["draw"] = twin  # for a call that the check and its twin share
        verdicts: list[Verdict] = []
        reason = ""
        try:
            for inputs, draw in (("visible", VISIBLE), ("secret", twin)):
                if draw is None:
                    continue
                student.trace.append(f"=== {row.id} on {inputs} inputs")
                verdicts.append(self._verdict(row, student, draw))
                if verdicts[-1].status == "not attempted":
                    break
        except Spent as error:
            reason = f"while {row.id} was judged, {error}"
        except Gone as error:
            self._gone = reason = f"while {row.id} was judged, {error}"
        except device.DeviceGone as error:
            # what it said may tell of inputs that are not shown: that is for the instructor
            reason = f"while {row.id} was judged, the grader's device gave up on what came"
            self._gone = reason if self._examiner.gone else ""
            student.trace.append(f"the device: {error}")
        finally:
            self.trace += student.trace
        return _combined(row, verdicts, reason, time.monotonic() - started, twins=twin is not None)

    def _verdict(self, row: Check, student: Far, draw: Draw) -> Verdict:
        since = self._examiner.record_length() if self._explain else 0
        compare.noted = [] if self._explain else None
        try:
            verdict = report.run(row, student, self._examiner, draw)
            for got, expected, tolerance in compare.noted or ():
                student.trace.append(f"compared: got {shown(got)}; expected {shown(expected)}; allowed {tolerance:g}")
            if self._explain:
                student.trace += ["--- verdict", *map(str, verdict.lines), "--- the device's record"]
                student.trace += map(backend.describe_event, self._examiner.record(since))
            return verdict
        finally:  # nothing of this check is left for the next
            compare.noted = None
            student.close()
            if not self._examiner.gone:
                self._examiner.settle()

    def release(self, ident: str) -> None:
        """Make the modules importable that hold the answers of a check: its verdict is in."""
        for module, check in self._answers.items():
            if check == ident:
                part = Path(*module.split(".")[1:]).with_suffix(".py")
                (self._released / part).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / "helpers" / part, self._released / part)

    def after(self, ident: str, graded: CellGrade, cell: dict[str, Any]) -> None:
        """What may be shown now that `ident` is judged: its answer modules, and a stand-in where it is open."""
        self.release(ident)
        if self._gone or graded.visible >= graded.maximum:
            return
        try:
            ask(self._student, ["stand_in", ident], CHECK_SECONDS, OUTPUT_LIMITS)
        except Gone as error:
            cell["outputs"].insert(-1, self._ended(error))
            return
        text = "  Cells behind this one run with the course's stand-in, which earns nothing.\n"
        cell["outputs"][0]["text"] += text  # the judge's own words: nothing of the student's stands in a check cell


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a sandboxed process and all that it started: its namespace dies with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()


def _combined(row: Check, verdicts: Sequence[Verdict], reason: str, seconds: float, twins: bool) -> CellGrade:
    """A line counts where it holds in the check and in its twin."""
    if not verdicts:
        lines = [["✗", "the check could be finished", reason, ""]]
        return CellGrade(row.id, 0.0, row.points, 0.0, "failed", lines, reason=reason, seconds=seconds)
    visible = verdicts[0]
    lines = [line.row() for line in visible.lines]
    if visible.status == "not attempted":
        return CellGrade(row.id, 0.0, row.points, 0.0, "not attempted", [], seconds=seconds)
    if not twins:
        points, hidden = visible.points, []
    elif len(verdicts) < 2:
        points, hidden = 0.0, [reason]
    else:
        points, hidden = report.both(row, visible, verdicts[1])
    state = "passed" if points >= row.points else "partly" if points else "failed"
    return CellGrade(row.id, points, row.points, visible.points, state, lines, hidden, reason, seconds)


def _outputs(row: Check, graded: CellGrade, count: int) -> list[dict[str, Any]]:
    """What nbgrader finds in a check cell: the lines as text, and the points as the cell's value."""
    text = report.heading(row, graded.points) + "\n"
    if graded.state == "not attempted":
        text += f"  –  not attempted: {row.todo} still raises NotImplementedError\n"
    elif graded.state == "not reached":
        text += f"  –  not reached: {graded.reason}\n"
    for mark, what, happened, hint in graded.lines:
        text += f"  {mark}  {what}\n"
        text += f"       happened: {happened}\n" if happened else ""
        text += f"       hint: {hint}\n" if hint else ""
    for what in graded.hidden:
        text += f"  ✗  on other inputs, not shown: {what}\n"
    points = {"text/plain": repr(float(graded.points))}
    return [
        {"output_type": "stream", "name": "stdout", "text": text},
        {"output_type": "execute_result", "data": points, "metadata": {}, "execution_count": count},
    ]


def clean_outputs(items: Any, count: int) -> list[dict[str, Any]]:
    """Outputs as a student's process reports them, made into nbformat's form; what has another form is dropped."""
    found: list[dict[str, Any]] = []
    for item in items if isinstance(items, list) else []:
        item = item if isinstance(item, dict) else {}
        kind, name, text = (_string(item.get(field)) for field in ("output_type", "name", "text"))
        if kind == "stream" and name in ("stdout", "stderr"):
            found.append({"output_type": "stream", "name": name, "text": text})
        elif kind == "error":
            trace = item.get("traceback")
            lines = [line for line in trace if isinstance(line, str)] if isinstance(trace, list) else []
            words = {field: _string(item.get(field))[:2000] for field in ("ename", "evalue")}
            found.append({"output_type": "error", **words, "traceback": lines})
        elif kind in ("display_data", "execute_result") and isinstance(item.get("data"), dict):
            data = {t: v for t, v in item["data"].items() if t in OUTPUT_TYPES and isinstance(v, str)}
            notes = item.get("metadata")
            alt = {
                t: {"alt": note["alt"][:2000]}
                for t, note in (notes.items() if isinstance(notes, dict) else ())
                if t in data and isinstance(note, dict) and isinstance(note.get("alt"), str)
            }
            clean = {"output_type": kind, "data": data, "metadata": alt}
            found.append(clean | ({"execution_count": count} if kind == "execute_result" else {}))
    return found


def _texts(output: Mapping[str, Any]) -> list[str]:
    """All that an output of `clean_outputs` shows."""
    shown = [output.get("text", ""), output.get("evalue", ""), *output.get("traceback", ())]
    return [*shown, *output.get("data", {}).values()]


def _said(text: str) -> dict[str, Any]:
    """A sentence of the judge's in a cell's output."""
    return {"output_type": "stream", "name": "stderr", "text": f"[grader] {text}.\n"}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
