"""`check(id, function)`: find the row of the table, judge, print, return points."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from .report import Check, NotAttempted, Report, Stopped, words

# assignment of an id's first part -> module with its table
_TABLES = {"ex1": "ex1_distilbert"}


def table(assignment: str) -> Mapping[str, Check]:
    """The checks of an assignment ("ex1") by id.

    Raises:
        ValueError: there is no such assignment.
    """
    if assignment not in _TABLES:
        raise ValueError(f"there are no checks for {assignment!r}; there are some for {', '.join(_TABLES)}")
    module = importlib.import_module(f"{__package__}.checks.{_TABLES[assignment]}")
    return {row.id: row for row in module.CHECKS}


def check(ident: str, subject: Callable[..., Any]) -> float:
    """Judge a function by what it does, print a line for each point, and return the points.

    Args:
        ident: id of the check, such as "ex1/export".
        subject: the function, itself and not its name.

    An exception in the function is one line with a hint, never a traceback of the check's own.

    Raises:
        ValueError: there is no such check.
    """
    rows = table(str(ident).partition("/")[0])
    if ident not in rows:
        raise ValueError(f"there is no check {ident!r}; there are {', '.join(rows)}")
    row = rows[ident]
    if row.slow:
        print(f"{row.id}: {row.slow} ...", flush=True)
    points, lines = judge(row, subject)
    print(f"{row.id}  {row.title}: {points:g} of {row.points:g} points")
    for line in lines:
        print(line)
    return points


def judge(row: Check, subject: Any) -> tuple[float, list[str]]:
    """Points and printed lines of one check, without printing them."""
    if not callable(subject):
        return 0.0, [f"  ✗  {row.todo} is a function\n       happened: it is {type(subject).__name__}"]
    report = Report()
    try:
        row.judge(subject, report)
    except NotAttempted:
        return 0.0, [f"  –  not attempted: {row.todo} still raises NotImplementedError"]
    except Stopped:
        pass
    except Exception as error:  # what comes back from a student's function can be anything, and break any line
        report.expect(
            "the answer can be examined",
            False,
            0.0,
            words(error),
            "what was returned is not of the kind that the task names; compare it with the docstring.",
        )
    return report.points(row.points), [str(line) for line in report.lines]
