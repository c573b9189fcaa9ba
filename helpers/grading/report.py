"""Evidence of one check: a line for each thing that was looked at, and the points that it is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from .draw import Draw
from .subject import Gone, Raised, Ref, Subject


@dataclass(frozen=True)
class Check:
    """One row of an assignment's table; a release derives nbgrader's ids and points from it.

    Attributes:
        id: what the notebook calls it, such as "ex1/export".
        title: a few words for tables and feedback.
        points: what a right answer earns.
        todo: name of the function that the student writes.
        judge: notes evidence about the subject's answer in a `Report`, with what `Draw` picks.
        hints: the second and third hint: the idea, then nearly the call. The first is the failing line's own.
        slow: what takes long, for a line that says so before it starts; empty for quick checks.
    """

    id: str
    title: str
    points: float
    todo: str
    judge: Callable[[Subject, Any, Report, Draw], None]
    hints: tuple[str, str] = ("", "")
    slow: str = ""


@dataclass(frozen=True)
class Line:
    """One thing that was looked at. `holds` is None where it could not be judged here.

    `what` is the same in a check and its twin: nothing that was drawn stands in it.
    """

    what: str
    holds: bool | None
    weight: float
    happened: str = ""
    hint: str = ""

    @property
    def mark(self) -> str:
        """✓, ✗, or – for what could not be judged."""
        return "–" if self.holds is None else "✓" if self.holds else "✗"

    def row(self) -> list[str]:
        """[mark, what, happened, hint]; the last two are empty where the line holds."""
        told = ["", ""] if self.holds else [self.happened, "" if self.holds is None else self.hint]
        return [self.mark, self.what, *told]

    def __str__(self) -> str:
        if self.holds is None:
            return f"  –  {self.what}: not judged here ({self.happened})"
        text = f"  {self.mark}  {self.what}"
        return text + (f"\n       happened: {self.happened}" if not self.holds and self.happened else "")


@dataclass(frozen=True)
class Verdict:
    """What came of one check: points, lines, and "judged" or "not attempted"."""

    points: float
    lines: list[Line]
    status: str


class NotAttempted(Exception):
    """The student's function raised NotImplementedError: nothing is wrong yet."""


class Stopped(Exception):
    """Later lines make no sense after what happened; the lines so far count."""


@dataclass
class Report:
    """Collects lines. A line weighs so many points; what could not be judged here is left out of the sum."""

    lines: list[Line] = field(default_factory=list)

    def expect(self, what: str, holds: bool, weight: float, happened: str = "", hint: str = "") -> bool:
        """Note that `what` is expected, whether it holds, what happened otherwise, and a hint. Returns `holds`."""
        self.lines.append(Line(what, bool(holds), weight, happened, hint))
        return bool(holds)

    def skip(self, what: str, weight: float, why: str) -> None:
        """Note that `what` cannot be judged on this machine; it then counts neither for nor against."""
        self.lines.append(Line(what, None, weight, why))

    def fail(self, what: str, happened: str, hint: str = "") -> NoReturn:
        """Note what makes every later line meaningless, and stop: the points of those are not earned."""
        self.lines.append(Line(what, False, 0.0, happened, hint))
        raise Stopped

    def points(self, total: float) -> float:
        """Points earned of `total`, in proportion where something could not be judged."""
        return _points(self.lines, total)

    def call(self, what: str, subject: Subject, function: Ref, *arguments: Any, log: Ref | None = None) -> Ref:
        """Call the student's function. An exception becomes a line with a hint, and stops the check.

        Args:
            log: a logger of `subject`; the first error that TensorRT wrote there is quoted beside the exception.

        Raises:
            NotAttempted: it raised NotImplementedError.
            Stopped: it raised anything else.
        """
        try:
            return subject.call(function, *arguments)
        except Raised as error:
            if error.kind == "NotImplementedError":
                raise NotAttempted from None
            where = f"; in your line: {one_line(error.line)}" if error.line else ""
            self.fail(what, words(error) + said(errors_of(subject, log)) + where, _hint(error))

    def raises(self, subject: Subject, function: Ref, *arguments: Any) -> Raised | None:
        """What the student's function raised, or None."""
        try:
            subject.call(function, *arguments)
        except Raised as error:
            if error.kind == "NotImplementedError":
                raise NotAttempted from None
            return error
        return None


_BROKEN = (Raised, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError, OSError)


def run(row: Check, subject: Subject, examiner: Any, draw: Draw) -> Verdict:
    """Judge one check.

    Raises:
        Gone: the student's process is gone. The errors of a device that is gone pass too.
    """
    report = Report()
    try:
        subject.answer()
    except Raised as error:
        report.expect(f"{row.todo} is there", False, 0.0, words(error), "run its cell alone: it ends with an error.")
        return Verdict(0.0, report.lines, "judged")
    try:
        row.judge(subject, examiner, report, draw)
    except NotAttempted:
        line = Line(f"{row.todo} is written", None, row.points, f"it still raises NotImplementedError in {row.id}")
        return Verdict(0.0, [line], "not attempted")
    except Stopped:
        pass
    except (Gone, ConnectionError):
        raise
    except _BROKEN as error:  # what comes back from a student's function can be anything, and break any line
        report.expect(
            "the answer can be examined",
            False,
            0.0,
            words(error) if isinstance(error, Raised) else one_line(f"{type(error).__name__}: {error}"),
            "what was returned is not of the kind that the task names; compare it with the docstring.",
        )
    return Verdict(report.points(row.points), report.lines, "judged")


def both(row: Check, visible: Verdict, twin: Verdict) -> tuple[float, list[str]]:
    """Points of a check and its twin together, and what held in the first and not in the second.

    A line counts where it holds in both; one that could not be judged in either counts neither way.
    """
    if "not attempted" in (visible.status, twin.status):
        return 0.0, [] if visible.status == "not attempted" else ["the same on other inputs"]
    again = {line.what: line.holds for line in twin.lines}
    lines = []
    for line in visible.lines:
        second = again.get(line.what, False)
        holds = None if line.holds is None or second is None else line.holds and second
        lines.append(Line(line.what, holds, line.weight))
    lost = [line.what for line in visible.lines if line.holds and again.get(line.what, False) is False]
    # what stopped the twin stands in no line of the visible check
    known = {line.what for line in visible.lines}
    lost += [line.what for line in twin.lines if line.holds is False and line.what not in known]
    return _points(lines, row.points), lost


def heading(row: Check, points: float) -> str:
    """The first line of what a check prints."""
    return f"{row.id}  {row.title}: {points:g} of {row.points:g} points"


def _points(lines: Sequence[Line], total: float) -> float:
    skipped = sum(line.weight for line in lines if line.holds is None)
    earned = sum(line.weight for line in lines if line.holds)
    return round(earned * total / (total - skipped), 2) if total > skipped else 0.0


_HINTS = {
    "AttributeError": "the object has no such name. After None, an earlier call failed unnoticed; else compare the name"
    " with the task's text.",
    "NameError": "a name is used before it gets a value, or its cell has not been run.",
    "TypeError": "look at what the function takes, and in which order; the task's text gives the signature.",
    "KeyError": "a tensor is looked up by a name that the engine does not have; ask the engine for the names.",
    "LogicError": "the device refused; its message names the tensor, the sizes and the remedy.",
}


def _hint(error: Raised) -> str:
    return _HINTS.get(error.kind, "the message comes from a call in your function; run that line alone.")


def errors_of(subject: Subject, log: Ref | None) -> list[str]:
    """The ERROR lines of a subject's logger, as the subject tells them; for quoting, never for judging."""
    if log is None:
        return []
    try:
        lines = subject.value(subject.get(log, "errors"))
    except Raised:
        return []
    return [line for line in lines[:100] if isinstance(line, str)] if isinstance(lines, list) else []


def said(log: Sequence[str]) -> str:
    """The first of TensorRT's error lines, to stand behind what happened; empty where there is none."""
    return f" (TensorRT said: {one_line(log[0])})" if log else ""


def words(error: Raised) -> str:
    """An exception in one line."""
    return one_line(f"{error.kind}: {error.text}" if error.text else error.kind)


def one_line(text: str) -> str:
    """A text as one printable line of at most 300 characters."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split())[:300])


def short(value: Any) -> str:
    """A plain value in a few words."""
    if hasattr(value, "dtype"):
        return f"an array of {value.dtype}, shape {list(value.shape)}"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, list | dict) and len(value) > 20:
        return f"a {type(value).__name__} of {len(value):,} values"
    return one_line(repr(value))[:120]
