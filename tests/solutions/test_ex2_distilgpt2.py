"""Exercise 2's graded notebook, solved and unsolved: each is run once, with short benchmarks."""

from __future__ import annotations

import re
from typing import Any

import pytest

from helpers import walkthrough
from helpers.grading.check import table
from helpers.grading.release import ANSWERS

from . import gpulike
from .notebooks import cells_of, errors_of, run_page, run_unsolved, source_of, text_of

GRADED = source_of("ex2_distilgpt2")
ANSWER_MODULES = tuple(name for name in ANSWERS["ex2_distilgpt2"] if "stand_ins" not in name)


def test_the_graded_notebook_has_at_most_sixty_cells() -> None:
    assert len(cells_of(GRADED)) <= 60


# --- as students get it -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unsolved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("unsolved") / "ex2_distilgpt2"
    folder.mkdir()
    return run_unsolved(GRADED, folder)[0]


def test_the_unedited_notebook_runs_to_its_end_with_stand_ins(unsolved: dict[str, Any]) -> None:
    assert not errors_of(list(unsolved.values()))
    for row in table("ex2").values():
        text = text_of(unsolved[f"check-{row.id.partition('/')[2].replace('_', '-')}"])
        assert text.count("not attempted") == 1 and f"0 of {row.points:g} points" in text
        assert text.endswith("0.0")  # the cell's value, which nbgrader takes for points
    said = "".join(text_of(cell) for cell in unsolved.values())
    for number, row in enumerate(table("ex2").values(), 1):
        line = f"({row.todo}: the course's stand-in; TODO {number} has not passed its check and earns nothing here)"
        assert said.count(line) == 1, row.todo


# --- solved -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[walkthrough.Result, str]:
    folder = tmp_path_factory.mktemp("solutions") / "ex2_distilgpt2"
    folder.mkdir()
    return run_page(GRADED, folder, ANSWER_MODULES)


def test_it_runs_to_its_end_with_pictures_that_have_words(page: tuple[walkthrough.Result, str]) -> None:
    result, text = page
    assert result.failure is None and result.errors == 0, result.failure
    assert result.images >= 3 and result.without_alt == 0
    assert "This run of the notebook took" in text and "answers imported: []" in text
    assert "Warning:" not in text and "site-packages" not in text and str(result.page.parent) not in text


def test_nothing_depends_on_the_simulators_kindness(page: tuple[walkthrough.Result, str]) -> None:
    """The run above was on a device that rounds, times and refuses as a GPU may; see docs/simulator.md."""
    seen = gpulike.report(page[0].page.parent)
    assert seen["engines"] >= 5 and seen["executions"] > 1_000 and seen["fp16_runs"] >= 2
    assert seen["contexts_beside_torch"] == 0 and seen["overflows"] == []


def test_the_reference_answers_earn_all_points(page: tuple[walkthrough.Result, str]) -> None:
    _, text = page
    for row in table("ex2").values():
        assert f"{row.id} {row.title}: {row.points:g} of {row.points:g} points" in text
    assert "stand-in; TODO" not in text and "8 of 8 done" in text


def test_the_reports_prompt_is_found_in_its_own_figures(page: tuple[walkthrough.Result, str]) -> None:
    _, text = page
    assert "tokens of the report's prompt: 4 tokens." in text


def test_every_path_gives_pytorchs_tokens(page: tuple[walkthrough.Result, str]) -> None:
    """At least 20 combinations of path, batch, prompt and padding, exact in FP32; FP16 by its own rule."""
    _, text = page
    (found,) = re.findall(r"FP32 against generate ?: (\d+) cases of 8 new tokens a row", text)
    assert int(found) >= 20
    after = text.split("cases of 8 new tokens a row.")[-1]
    row = r"(?:ONNX Runtime|TensorRT's API, [\w -]+?) (?:none, 4 tokens|on the left) (\d+) (\d+) (\d+) \S+e-\d+"
    rows = re.findall(row, after)
    assert len(rows) == 8 and all(equal == count for _, equal, count in rows)
    assert sum(int(cases) for cases, _, _ in rows) == int(found)
    fp16 = after.split("here allowed holds")[1].split("[")[0]
    assert fp16.count(" yes") == 3 and " NO" not in fp16


def test_o1s_changes_are_told_apart_by_bytes(page: tuple[walkthrough.Result, str]) -> None:
    """28 steps from 4 to 32 tokens, batch 8, 50,257 logits of 4 bytes."""
    _, text = page
    everything, last = sum(range(4, 32)) * 8 * 50_257 * 4 / 2**20, 28 * 8 * 50_257 * 4 / 2**20
    assert re.search(rf"\bbaseline {everything:,.2f} MiB 28 ", text)
    assert re.search(rf"preallocation alone {everything:,.2f} MiB 28 0 ", text)
    assert re.search(rf"last-step copy alone {last:,.2f} MiB 224 ", text)
    assert re.search(rf"both: O1 {last:,.2f} MiB 224 0 ", text)
    assert re.search(rf"last-step graph {last:,.2f} MiB 28 0 ", text)
