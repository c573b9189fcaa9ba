"""The solved notebook: well-formed, without the modules that are its answers, and it runs to its end."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers import walkthrough
from helpers.grading.check import table

NOTEBOOK = Path(__file__).parents[1] / "solutions" / "ex1_distilbert" / "ex1_distilbert.py"
ANSWERS = ("helpers.export", "helpers.engine", "helpers.runtime")


@pytest.fixture(scope="module")
def cells() -> list[Any]:
    import jupytext

    found: list[Any] = jupytext.read(NOTEBOOK).cells
    return found


def test_every_cell_has_one_short_tag_of_its_own(cells: list[Any]) -> None:
    tags = [cell.metadata.get("tags", []) for cell in cells]
    assert all(len(own) == 1 and re.fullmatch(r"[a-z0-9-]{2,24}", own[0]) for own in tags)
    assert len({own[0] for own in tags}) == len(tags)


def test_text_form_and_notebook_form_are_the_same(cells: list[Any]) -> None:
    import jupytext

    notebook = jupytext.read(NOTEBOOK)
    again = jupytext.reads(jupytext.writes(notebook, fmt="ipynb"), fmt="ipynb")
    assert [(cell.cell_type, cell.source) for cell in again.cells] == [(cell.cell_type, cell.source) for cell in cells]
    # after the header, which carries jupytext's own version
    written, kept = (
        text.split("# ---\n")[-1].strip()
        for text in (jupytext.writes(notebook, fmt="py:percent"), NOTEBOOK.read_text())
    )
    assert written == kept


def test_each_check_of_the_table_is_called_once_and_its_todo_stands_before_it(cells: list[Any]) -> None:
    code = [cell.source.strip() for cell in cells if cell.cell_type == "code"]
    for row in table("ex1").values():
        grade = f'check("{row.id}", {row.todo})'
        assert code.count(grade) == 1
        todo = next(source for source in code if f"def {row.todo}(" in source)
        assert code.index(todo) < code.index(grade)
        assert todo.count("### BEGIN SOLUTION") == todo.count("### END SOLUTION") == 1


def test_cells_that_the_prose_cites_exist(cells: list[Any]) -> None:
    captions = {
        name
        for cell in cells
        if cell.cell_type == "code"
        for name in re.findall(r'caption\(\s*"([a-z-]+)"', cell.source)
    }
    cited = {
        name
        for cell in cells
        if cell.cell_type == "markdown"
        for name in re.findall(r"\[([a-z]+(?:-[a-z]+)*)\]", cell.source)
    }
    assert cited and cited <= captions
    questions = [cell for cell in cells if cell.metadata["tags"][0].startswith("question-")]
    assert len(questions) == 5 and all("*Cite [" in " ".join(cell.source.split()) for cell in questions)
    tags = [cell.metadata["tags"][0] for cell in cells]
    assert all(f"{kind}-{n}" in tags for kind in ("answer", "guide") for n in range(1, 6))


def test_no_import_of_the_notebook_brings_the_answers(cells: list[Any]) -> None:
    imports = [
        line
        for cell in cells
        if cell.cell_type == "code"
        for line in cell.source.splitlines()
        if re.match(r"(import|from) |active = backend\.activate", line)
    ]
    assert any("helpers.grading" in line for line in imports)
    program = "\n".join(
        [
            *imports,
            "import sys, helpers.grading.checks.ex1_distilbert",
            f"found = sorted(set({ANSWERS!r}) & set(sys.modules))",
            "print('answers imported:', found)",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=NOTEBOOK.parents[2],
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("answers imported: []")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[walkthrough.Result, str]:
    """The notebook, run once with short benchmarks; what it was, and the page as plain text."""
    folder = tmp_path_factory.mktemp("solutions") / "ex1_distilbert"
    folder.mkdir()
    source = folder / NOTEBOOK.name
    last = '\n# %% tags=["test"]\nimport sys\n'
    last += f'print("answers imported:", sorted(set({ANSWERS!r}) & set(sys.modules)))\n'
    source.write_text(NOTEBOOK.read_text(encoding="utf-8") + last, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_SECONDS", "0.05")
        patch.setenv("TRT_BACKEND", "simulator")
        patch.setenv("MODEL", "small")
        result = walkthrough.run(source, folder / "page.html", progress=False)
    text = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", result.page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return result, " ".join(html.unescape(text).split())


def test_it_runs_to_its_end_with_pictures_that_have_words(page: tuple[walkthrough.Result, str]) -> None:
    result, text = page
    assert result.failure is None and result.errors == 0, result.failure
    assert result.images >= 5 and result.without_alt == 0
    assert "This run of the notebook took" in text
    assert "answers imported: []" in text


def test_the_page_shows_no_warning_and_no_path_of_this_machine(page: tuple[walkthrough.Result, str]) -> None:
    result, text = page
    assert "Warning:" not in text and "site-packages" not in text
    assert str(result.page.parent) not in text


def test_the_early_read_is_run_and_named(page: tuple[walkthrough.Result, str]) -> None:
    _, text = page
    assert "y, read at once: [nan nan nan nan]" in text
    assert "Read too early: copy device to host of tensor 'y', 16 bytes" in text
    assert "y, after synchronize: [2. 4. 6. 8.]" in text


def test_sizes_outside_the_profile_are_refused_in_tensorrts_words(page: tuple[walkthrough.Result, str]) -> None:
    _, text = page
    for batch, limits in ((15, "[16,64]..[128,64]"), (129, "[16,64]..[128,64]"), (0, "[1,64]..[128,64]")):
        assert (
            f"Set dimension [{batch},64] for tensor input_ids does not satisfy any optimization profiles. Valid range for "
            f"profile 0: {limits}."
        ) in text


def test_the_reference_answers_earn_all_points(page: tuple[walkthrough.Result, str]) -> None:
    _, text = page
    for row in table("ex1").values():
        assert f"{row.id} {row.title}: {row.points:g} of {row.points:g} points" in text


def test_parity_holds_and_the_planted_overflow_is_caught(page: tuple[walkthrough.Result, str]) -> None:
    _, text = page
    assert re.search(r"FP32 FP32 \S+ 1e-04 yes 100\.00% 0", text)
    assert re.search(r"FP16 FP16 storage, FP32 arithmetic \S+ 2e-02 yes (100\.00|99\.[5-9]\d)% \d+", text)
    assert "ONNX Runtime on CPU behind TensorRT's API: passes." in text
    assert "true FP16 (onnx.reference): Mul node" in text and "2 infinite" in text


def test_predictions_are_revealed(page: tuple[walkthrough.Result, str]) -> None:
    _, text = page
    assert "input bytes of a batch of 16: 16,384 bytes. You said 131,072 bytes: 8 times too high." in text
    assert "set_input_shape for a batch of 129 returns: False." in text
    assert "activation memory for a maximum batch of 256 over 128: 2 times." in text
