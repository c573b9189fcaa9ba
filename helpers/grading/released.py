"""The releases that grading reads: `helpers/releases/<assignment>.ipynb`, in which nobody works.

`grade release` writes both; they are equal. What a student edits, or an instructor tries, is the one in `notebooks/`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from .merge import is_check, key_of, source_of

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "helpers" / "releases"


class CourseError(ValueError):
    """Grading cannot go on; the text says what was wrong, what was expected and what to do."""


def assignments(folder: Path = FOLDER) -> list[str]:
    """The names of all released assignments, in order."""
    return sorted(path.stem for path in folder.glob("*.ipynb"))


def read(assignment: str, folder: Path = FOLDER) -> Any:
    """The release of an assignment, as nbformat reads it.

    Raises CourseError when there is none, or when a check cell of it is none any more; the text names the cell.
    """
    import nbformat

    path = folder / f"{assignment}.ipynb"
    if not path.is_file():
        there = ", ".join(assignments(folder)) or "none"
        raise CourseError(f"there is no release {path}; there: {there}. Make it: python -m helpers grade release")
    again = "Take it anew: git checkout of this file, or python -m helpers grade release, or the bundle"
    try:
        notebook = nbformat.read(path, as_version=4)
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise CourseError(f"the release {path} is no notebook: {' '.join(str(error).split())[:200]}. {again}") from None
    for cell in notebook.cells:
        if is_check(cell) and not checked(source_of(cell))[0]:
            raise CourseError(
                f"the release {path} was changed: its cell {key_of(cell)} is {source_of(cell).strip()[:80]!r}, "
                f'expected one statement check("id", name). {again}'
            )
    return notebook


def checked(source: str) -> tuple[str, str]:
    """Id and name of a grade cell's one statement `check("id", name)`; two empty strings for anything else."""
    try:
        (statement,) = ast.parse(source).body
    except (SyntaxError, ValueError):
        return "", ""
    match statement:
        case ast.Expr(ast.Call(ast.Name("check"), [ast.Constant(str(ident)), ast.Name(subject)], [])):
            plain = re.sub(r"\s+", "", source).replace("'", '"') == f'check("{ident}",{subject})'
            return (ident, subject) if plain else ("", "")
    return "", ""
