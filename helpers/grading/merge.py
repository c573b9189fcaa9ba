"""A submission laid over its release: the student's answers in the released notebook, nothing else of it changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Cell = Mapping[str, Any]
OWN_CELLS = 200  # of the student's, that are run


def key_of(cell: Cell) -> str:
    """What identifies a cell of a release: nbgrader's grade_id, else the first tag, else the cell id."""
    tags = _metadata(cell).get("tags")
    tag = tags[0] if isinstance(tags, list) and tags else ""
    return str(_nbgrader(cell).get("grade_id") or tag or cell.get("id") or "")


def _metadata(cell: Cell) -> Mapping[str, Any]:
    metadata = cell.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _nbgrader(cell: Cell) -> Mapping[str, Any]:
    graded = _metadata(cell).get("nbgrader")
    return graded if isinstance(graded, dict) else {}


def is_solution(cell: Cell) -> bool:
    """Whether a released cell is the student's to fill."""
    return bool(_nbgrader(cell).get("solution"))


def is_check(cell: Cell) -> bool:
    """Whether a released cell is graded by a check."""
    graded = _nbgrader(cell)
    return bool(graded.get("grade")) and not graded.get("solution") and cell.get("cell_type") == "code"


def source_of(cell: Cell) -> str:
    """A cell's text; "" where it has none."""
    return joined(cell.get("source"))


def joined(text: Any) -> str:
    """A text of a notebook's file, where it may stand as a list of lines; "" for None."""
    return "".join(map(str, text)) if isinstance(text, list) else "" if text is None else str(text)


def merge(release: Mapping[str, Any], submission: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The released notebook with the student's solution cells and own cells, and what was mended, in words.

    The first cell with each known solution id is taken from the submission. The student's own cells run behind the
    known cell that they followed. Everything else comes from the release: checks, points, order, given cells. Cells of
    the result carry no outputs.

    Raises:
        ValueError: the submission has no list of cells.
    """
    cells = submission.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise ValueError("the file is no notebook of format 4: it has no list of cells")
    known = {key_of(cell): cell for cell in release["cells"]}
    taken: dict[str, Cell] = {}
    own: dict[str, list[Cell]] = {}
    mended: list[str] = []
    order: list[str] = []
    behind = ""
    for cell in cells:
        key = key_of(cell)
        if key not in known:
            if cell.get("cell_type") in ("code", "markdown") and source_of(cell).strip():
                own.setdefault(behind, []).append(cell)
            continue
        if key in taken:
            mended.append(f"[{key}] is there twice: the first one counts, the copy was left out")
            continue
        taken[key] = cell
        order.append(key)
        behind = key
    count = sum(map(len, own.values()))
    if count > OWN_CELLS:
        mended.append(f"{count} cells of your own: none was run, at most {OWN_CELLS} are")
        own = {}
    result = copy.deepcopy(dict(release))
    result["cells"] = [_own(cell, i) for i, cell in enumerate(own.get("", []))]
    for released in release["cells"]:
        key = key_of(released)
        cell = _clean(released)
        given = taken.get(key)
        if given is None:
            mended.append(f"[{key}] was missing: the release's cell was put back")
        elif is_solution(released):
            if given.get("cell_type") == released["cell_type"]:
                cell["source"] = source_of(given)
            else:
                mended.append(f"[{key}] is no {released['cell_type']} cell any more: the release's cell was put back")
        elif source_of(given).strip() != source_of(released).strip() and released["cell_type"] == "code":
            mended.append(f"[{key}] was changed; it is not an answer, so the release's cell was run")
        result["cells"].append(cell)
        result["cells"] += [_own(c, f"{key}-{i}") for i, c in enumerate(own.get(key, []))]
    if order != [key for key in known if key in taken]:
        mended.append("cells were in another order: the release's order was run")
    return result, mended


def _clean(cell: Cell) -> dict[str, Any]:
    clean = copy.deepcopy(dict(cell))
    if clean["cell_type"] == "code":
        clean["outputs"], clean["execution_count"] = [], None
    return clean


def _own(cell: Cell, place: Any) -> dict[str, Any]:
    """A student's own cell, with nothing in its metadata that could be taken for the release's."""
    own: dict[str, Any] = {
        "id": f"own-{place}"[:64],
        "cell_type": cell["cell_type"],
        "metadata": {"tags": ["own"]},
        "source": source_of(cell),
    }
    return own | {"outputs": [], "execution_count": None} if own["cell_type"] == "code" else own
