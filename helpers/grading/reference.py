"""The solved notebook, `solutions/<assignment>/<assignment>.py`: what the answers are. A student's bundle has none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def path_of(assignment: str) -> Path:
    """Where an assignment's solved notebook lies; it need not be there."""
    return ROOT / "solutions" / assignment / f"{assignment}.py"


def notebook(path: Path) -> Any:
    """A solved notebook as jupytext reads it; each cell's first tag names it.

    Raises:
        FileNotFoundError: there is none.
    """
    import jupytext

    return jupytext.read(path)


def answers(path: Path) -> dict[str, str]:
    """Source of the solved notebook's code cells by their tag, without the lines that mark where a solution stands.

    Raises:
        FileNotFoundError: there is no such notebook.
    """
    return {
        cell.metadata["tags"][0]: re.sub(r"(?m)^ *### (BEGIN|END) SOLUTION\n?", "", cell.source).strip()
        for cell in notebook(path).cells
        if cell.cell_type == "code"
    }
