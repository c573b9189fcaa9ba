"""Evidence of one check: a line for each thing that was looked at, and the points that it is worth."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn


@dataclass(frozen=True)
class Check:
    """One row of an assignment's table; a release derives nbgrader's ids and points from it.

    Attributes:
        id: what the notebook calls it, such as "ex1/export".
        title: a few words for tables and feedback.
        points: what a right answer earns.
        todo: name of the function that the student writes.
        judge: called with the student's function and a `Report`, in which it notes evidence.
        slow: what takes long, for a line that says so before it starts; empty for quick checks.
    """

    id: str
    title: str
    points: float
    todo: str
    judge: Callable[[Callable[..., Any], Report], None]
    slow: str = ""


@dataclass(frozen=True)
class Line:
    """One thing that was looked at. `holds` is None where it could not be judged here."""

    what: str
    holds: bool | None
    weight: float
    happened: str = ""
    hint: str = ""

    def __str__(self) -> str:
        if self.holds is None:
            return f"  –  {self.what}: not judged here ({self.happened})"
        if self.holds:
            return f"  ✓  {self.what}"
        text = f"  ✗  {self.what}"
        if self.happened:
            text += f"\n       happened: {self.happened}"
        return text + (f"\n       hint: {self.hint}" if self.hint else "")


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
        skipped = sum(line.weight for line in self.lines if line.holds is None)
        earned = sum(line.weight for line in self.lines if line.holds)
        return round(earned * total / (total - skipped), 2) if total > skipped else 0.0

    def call(self, what: str, function: Callable[..., Any], *arguments: Any, log: Sequence[str] = ()) -> Any:
        """Call the student's function. An exception becomes a line with a hint, and stops the check.

        Args:
            log: where TensorRT's errors arrive meanwhile; the first is quoted beside the exception.

        Raises:
            NotAttempted: it raised NotImplementedError.
            Stopped: it raised anything else.
        """
        try:
            return function(*arguments)
        except NotImplementedError:
            raise NotAttempted from None
        except Exception as error:
            self.fail(what, words(error) + said(log) + _line_of(error, function), _hint(error))

    def raises(self, function: Callable[..., Any], *arguments: Any) -> Exception | None:
        """The exception that the student's function raised, or None."""
        try:
            function(*arguments)
        except NotImplementedError:
            raise NotAttempted from None
        except Exception as error:
            return error
        return None


def _line_of(error: BaseException, function: Callable[..., Any]) -> str:
    """The line of the student's own function that raised, in words; empty where it is not known."""
    code = getattr(function, "__code__", None)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if code and frame.filename == code.co_filename]
    return f"; in your line: {own[-1].line}" if own and own[-1].line else ""


_HINTS = {
    "AttributeError": "the object has no such name. After None, an earlier call failed unnoticed; else compare the name"
    " with the task's text.",
    "NameError": "a name is used before it gets a value, or its cell has not been run.",
    "TypeError": "look at what the function takes, and in which order; the task's text gives the signature.",
    "KeyError": "a tensor is looked up by a name that the engine does not have; ask the engine for the names.",
    "LogicError": "the device refused; its message names the tensor, the sizes and the remedy.",
}


def _hint(error: Exception) -> str:
    return _HINTS.get(type(error).__name__, "the message comes from a call in your function; run that line alone.")


def said(log: Sequence[str]) -> str:
    """The first of TensorRT's error lines, to stand behind what happened; empty where there is none."""
    return f" (TensorRT said: {' '.join(log[0].split())[:300]})" if log else ""


def words(error: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
