"""How much the answers of a submission look like the reference and like those of others: a hint that changes no points.

Each TODO cell becomes a list of tokens in which all names but attributes are alike, so that renaming, comments and
layout change nothing. Two submissions are compared by the runs of four tokens that they share (Dice coefficient, times
100), cell by cell, without what the release gives. Short tasks have few right forms: a high figure proves nothing.
"""

from __future__ import annotations

import io
import itertools
import json
import keyword
import tokenize
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .reference import answers

LENGTH = 4
_SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.ENDMARKER}


def tokens(source: str) -> list[str]:
    """The tokens of Python source without comments; attributes and words of Python stay, other names become `n`."""
    found: list[str] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in _SKIPPED:
                continue
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                found.append(token.string if found[-1:] == ["."] else "n")
            elif token.type in (tokenize.INDENT, tokenize.DEDENT):
                found.append("<" if token.type == tokenize.INDENT else ">")
            elif token.type == tokenize.STRING:
                found.append("s")
            else:
                found.append(token.string)
    except (tokenize.TokenError, SyntaxError, ValueError):
        found += source.split()[len(found) :]
    return found


def grams(cells: Mapping[str, str], given: Mapping[str, str]) -> Counter[tuple[str, ...]]:
    """The n-grams of a submission's answers; what the release gives already is not counted."""
    total: Counter[tuple[str, ...]] = Counter()
    for name, source in cells.items():
        mine, theirs = _grams(source), _grams(given.get(name, ""))
        total.update({(name, *gram): count for gram, count in (mine - theirs).items()})
    return total


def _grams(source: str) -> Counter[tuple[str, ...]]:
    found = tokens(source)
    return Counter(tuple(found[i : i + LENGTH]) for i in range(len(found) - LENGTH + 1))


def alike(one: Counter[tuple[str, ...]], other: Counter[tuple[str, ...]]) -> float:
    """Dice coefficient of two collections, 0 to 100; 0 where both are empty."""
    both = sum(one.values()) + sum(other.values())
    return round(200 * sum((one & other).values()) / both, 1) if both else 0.0


def compare(
    submissions: Mapping[str, Path], release: Any, reference: Path | None, progress: bool = False
) -> dict[str, dict[str, Any]]:
    """By student: `reference` (0 to 100, None without solutions/), and the `nearest` other student with `other`.

    Each pair is compared once. `progress` shows a bar: a large class has many pairs.
    """
    from tqdm import tqdm

    given = {cell.id: cell.source for cell in release.cells if cell.id.startswith("todo-") and cell.cell_type == "code"}
    found = {student: grams(_answers(path, given), given) for student, path in submissions.items()}
    solved = None
    if reference:
        solved = grams({name: text for name, text in answers(reference).items() if name in given}, given)
    result: dict[str, dict[str, Any]] = {}
    best: dict[str, tuple[float, str | None]] = dict.fromkeys(found, (0.0, None))
    pairs = itertools.combinations(found, 2)
    count = len(found) * (len(found) - 1) // 2
    for one, other in tqdm(pairs, "similarity", count, unit="pair", disable=None if progress else True):
        if (share := alike(found[one], found[other])) > 0:
            best[one] = max(best[one], (share, other), key=lambda pair: (pair[0], pair[1] or ""))
            best[other] = max(best[other], (share, one), key=lambda pair: (pair[0], pair[1] or ""))
    for student, mine in found.items():
        share, nearest = best[student]
        likeness = None if solved is None else alike(mine, solved)
        result[student] = {"reference": likeness, "nearest": nearest, "other": share}
    return result


def words(similar: Mapping[str, Any]) -> str:
    """The hint in the class table."""
    parts = []
    if similar.get("reference") is not None:
        parts.append(f"{similar['reference']:.0f} % like the reference")
    if similar.get("nearest"):
        parts.append(f"{similar['other']:.0f} % like {similar['nearest']}")
    return ", ".join(parts)


def _answers(path: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The first cell of each TODO in a submission; nothing where the file cannot be read."""
    from .merge import key_of, source_of

    try:
        cells = json.loads(path.read_bytes())["cells"]
        found: dict[str, str] = {}
        for cell in cells:
            if isinstance(cell, dict) and key_of(cell) in given:
                found.setdefault(key_of(cell), source_of(cell)[:100_000])
        return found
    except (OSError, ValueError, KeyError, TypeError, RecursionError, MemoryError):
        return {}
