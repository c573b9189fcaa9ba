"""The course's notebooks, read and run: with their solutions as a page, without them as students get them."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helpers import walkthrough

from . import gpulike

ROOT = Path(__file__).parents[2]
SETTINGS = {"BENCH_SECONDS": "0.05", "TRT_BACKEND": "simulator", "MODEL": "small", "OMP_WAIT_POLICY": "PASSIVE"}


def source_of(assignment: str, name: str = "") -> Path:
    """`solutions/<assignment>/<assignment>.py`, or another notebook of its folder."""
    return ROOT / "solutions" / assignment / f"{name or assignment}.py"


def cells_of(source: Path) -> list[Any]:
    import jupytext

    found: list[Any] = jupytext.read(source).cells
    return found


def tag_of(cell: Any) -> str:
    return str(cell.metadata["tags"][0])


def text_of(cell: Any) -> str:
    """What a code cell shows, as plain text."""
    parts = [out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.outputs]
    return "".join(parts)


def run_unsolved(source: Path, folder: Path, afterwards: Sequence[str] = ()) -> tuple[dict[str, Any], list[Any]]:
    """The code cells without their solutions, by nbgrader's own hand, run in `folder`; and the cells run behind them.

    Returns the first by tag, and the others in order.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbgrader.preprocessors import ClearSolutions

    notebook = nbformat.v4.new_notebook(cells=[])
    for cell in cells_of(source):
        if cell.cell_type == "code":
            tag = tag_of(cell)
            new = nbformat.v4.new_code_cell(cell.source, id=tag)
            mine = tag.startswith(("todo-", "free-"))
            new.metadata["nbgrader"] = {"schema_version": 3, "solution": mine, "grade": False, "grade_id": tag}
            notebook.cells.append(new)
    notebook, _ = ClearSolutions().preprocess(notebook, {})
    released = {cell.id: cell for cell in notebook.cells}
    assert not [tag for tag, cell in released.items() if "SOLUTION" in cell.source]
    behind = [nbformat.v4.new_code_cell(code) for code in afterwards]
    notebook.cells += behind
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (SETTINGS | {"PYTHONPATH": str(ROOT)}).items():
            patch.setenv(name, value)
        NotebookClient(
            notebook,
            kernel_manager_class=walkthrough._kernel_manager(),
            allow_errors=True,
            timeout=300,
            shutdown_kernel="immediate",
            resources={"metadata": {"path": str(folder)}},
        ).execute()
    return released, behind


def errors_of(cells: Sequence[Any]) -> list[tuple[str, str, str]]:
    """Cell, name and text of every exception that reached the reader."""
    return [(c.id, out.ename, out.evalue) for c in cells for out in c.outputs if out.output_type == "error"]


def run_page(source: Path, folder: Path, answers: Sequence[str] = ()) -> tuple[walkthrough.Result, str]:
    """The solved notebook, run once with short benchmarks; what it was, and the page as plain text.

    The device is as unforgiving as a GPU (`gpulike`), so that what the notebook says does not depend on the
    simulator's kindness; `gpulike.report(folder)` tells what it saw.
    A cell behind the last prints which of the modules `answers` were imported.
    """
    copy = folder / source.name
    last = '\n# %% tags=["test"]\nimport sys\n'
    last += "from tests.solutions import gpulike\ngpulike.write()\n"
    last += f'print("answers imported:", sorted(set({tuple(answers)!r}) & set(sys.modules)))\n'
    copy.write_text(source.read_text(encoding="utf-8") + last, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (SETTINGS | gpulike.startup(folder)).items():
            patch.setenv(name, value)
        result = walkthrough.run(copy, folder / "page.html", progress=False)
    text = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", result.page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return result, " ".join(html.unescape(text).split())
