"""Which TODOs are done: kept in `.progress.json` beside the notebook, shown as a table.

The file says what visible checks said last on this machine. No grade is made from it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.files import replacing

if TYPE_CHECKING:
    from .report import Check

FILE = ".progress.json"
_FORMAT = "course progress, 1"
NOT_ALL = (
    "Points of the checks that you see. Each has a hidden twin on other inputs, which counts too; questions are marked"
    " by a person."
)


@dataclass(frozen=True)
class Entry:
    """What a visible check said last: points, and whether its TODO was attempted."""

    points: float
    attempted: bool


@dataclass(frozen=True)
class Row:
    """One TODO in the table. `state`: done, partly, not passed, not attempted, or not checked yet."""

    assignment: str
    number: int
    todo: str
    title: str
    points: float
    maximum: float
    state: str


def load(path: Path) -> tuple[dict[str, Entry], str]:
    """Entries by check, and what is wrong with the file in words; nothing and "" where there is no file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}, ""
    except (OSError, UnicodeDecodeError) as error:
        return {}, f"{path.name} cannot be read ({type(error).__name__}): your progress is counted anew"
    try:
        content = json.loads(text)
        if content["format"] != _FORMAT:
            raise ValueError(content["format"])
        return {str(ident): _entry(kept) for ident, kept in content["checks"].items()}, ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}, f"{path.name} is no progress file of this course: your progress is counted anew"


def _entry(kept: Any) -> Entry:
    points, attempted = kept["points"], kept["attempted"]
    if isinstance(points, bool) or not isinstance(points, int | float) or not isinstance(attempted, bool):
        raise ValueError(kept)
    return Entry(float(points), attempted)


def save(path: Path, entries: Mapping[str, Entry]) -> str:
    """Write the file, whole or not at all; what went wrong, in words."""
    checks = {ident: {"points": e.points, "attempted": e.attempted} for ident, e in entries.items()}
    try:
        with replacing(path) as part:
            part.write_text(json.dumps({"format": _FORMAT, "checks": checks}, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        return f"{path.name} cannot be written ({error.strerror or error}): this notebook will forget your progress"
    return ""


def rows(checks: Mapping[str, Check], entries: Mapping[str, Entry], assignment: str) -> list[Row]:
    """The table of one assignment, in the order of its checks."""
    found = []
    for number, (ident, check) in enumerate(checks.items(), 1):
        entry = entries.get(ident)
        points = min(max(entry.points, 0.0), check.points) if entry else 0.0
        found.append(Row(assignment, number, check.todo, check.title, points, check.points, _state(entry, check)))
    return found


def _state(entry: Entry | None, check: Check) -> str:
    if entry is None:
        return "not checked yet"
    if not entry.attempted:
        return "not attempted"
    if entry.points >= check.points:
        return "done"
    return "partly" if entry.points > 0 else "not passed"


def summary(table: Sequence[Row]) -> str:
    """ "3 of 8 TODOs done; their hidden twins count too" """
    return f"{sum(row.state == 'done' for row in table)} of {len(table)} TODOs done; hidden twins count too"


_HEADINGS = ("assignment", "TODO", "", "", "points", "state")


def _texts(table: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    for row in table:
        points = f"{row.points:g} of {row.maximum:g}"
        yield row.assignment, str(row.number), row.todo, row.title, points, row.state
    earned, most = sum(row.points for row in table), sum(row.maximum for row in table)
    done = sum(row.state == "done" for row in table)
    yield "", "", "", "all", f"{earned:g} of {most:g}", f"{done} of {len(table)} done"


def as_text(table: Sequence[Row]) -> str:
    """The table in plain text, with the sentence about what counts besides."""
    lines = [_HEADINGS, *_texts(table)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEADINGS))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*shown, "", NOT_ALL])


def as_html(table: Sequence[Row]) -> str:
    """The same as HTML."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f'<{tag} style="text-align: left">{html.escape(c)}</{tag}>' for c in cells) + "</tr>"

    *body, total = _texts(table)
    return (
        f"<table><thead>{line(_HEADINGS, 'th')}</thead><tbody>{''.join(line(cells, 'td') for cells in body)}"
        f"{line(total, 'th')}</tbody></table><p>{html.escape(NOT_ALL)}</p>"
    )
