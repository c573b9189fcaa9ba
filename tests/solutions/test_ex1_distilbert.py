"""Exercise 1's notebook, solved and unsolved: each is run once, with short benchmarks, and looked at from several sides."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from helpers import walkthrough
from helpers.grading.check import table

from . import gpulike
from .notebooks import cells_of, errors_of, run_page, run_unsolved, source_of, tag_of
from .notebooks import text_of as _text

NOTEBOOK = source_of("ex1_distilbert")
ANSWERS = ("helpers.export", "helpers.engine", "helpers.runtime")


# --- the notebook as students get it --------------------------------------------------------------------------------

# What a student might do at the end of the unedited notebook, a cell each
AFTERWARDS = (
    """
def parse_network(builder, onnx_path, logger):
    network = builder.create_network(NETWORK_FLAGS)
    trt.OnnxParser(network, logger).parse(Path(onnx_path).read_bytes())
    return network
""",
    'check("ex1/parse", parse_network)',
    'hint("ex1/parse")',
    'hint("ex1/parse")',
    'hint("ex1/parse")',
    'hint("ex1/parse")',
    'check("ex1/parse", parse_network)',
    "print(len(build('again', onnx_fp16, (1, 64), (2, 64), (4, 64)).engine_layers) > 3)",
    None,  # the reference answer to ex1/parse
    'check("ex1/parse", parse_network)',
    "print(len(build('again', onnx_fp16, (1, 64), (2, 64), (4, 64)).engine_layers) > 3)",
    'hint("ex1/enqueue")',
    'hint("ex1/parse")',
    "progress()",
)


@pytest.fixture(scope="module")
def unsolved(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[Any], Path]:
    """Its cells by tag, the cells that were run behind it, and the folder."""
    reference = next(cell.source for cell in cells_of(NOTEBOOK) if tag_of(cell) == "todo-parse")
    folder = tmp_path_factory.mktemp("unsolved") / "ex1_distilbert"
    folder.mkdir()
    return *run_unsolved(NOTEBOOK, folder, [source or reference for source in AFTERWARDS]), folder


def test_the_unedited_notebook_runs_to_its_end_and_reports_each_todo_once(unsolved: Any) -> None:
    released, behind, _ = unsolved
    assert not errors_of([*released.values(), *behind])
    assert "This run of the notebook took" in _text(released["time-taken"])
    for row in table("ex1").values():
        text = _text(released[f"check-{row.id.partition('/')[2]}"])
        assert text.count("not attempted") == 1 and f"0 of {row.points:g} points" in text
        assert text.endswith("0.0")  # the cell's value, which nbgrader takes for points
    others = [cell for tag, cell in released.items() if not tag.startswith("check-") and tag != "progress"]
    assert [cell.id for cell in others if "not attempted" in _text(cell)] == ["last-cell"]


def test_each_stand_in_says_once_that_it_stands_in(unsolved: Any) -> None:
    released, _, _ = unsolved
    said = "".join(_text(cell) for cell in released.values())
    for number, row in enumerate(table("ex1").values(), 1):
        line = f"({row.todo}: the course's stand-in; TODO {number} has not passed its check and earns nothing here)"
        assert said.count(line) == 1


def test_later_cells_say_with_stand_ins_what_they_say_with_answers(unsolved: Any) -> None:
    released, _, _ = unsolved
    assert "16,384 bytes" in _text(released["record"])
    assert re.search(r"FP16, text|PyTorch's own accuracy", _text(released["parity"]))
    assert "does not satisfy any optimization profiles" in str(released["batch-range"].outputs)


def test_hints_go_from_the_failing_line_to_the_solution(unsolved: Any) -> None:
    _, behind, _ = unsolved
    failed, first, second, third, last = (_text(cell) for cell in behind[1:6])
    row = table("ex1")["ex1/parse"]
    assert 'hint("ex1/parse") gives a hint' in failed and "happened:" in failed
    assert "ex1/parse, hint 1 of 3:" in first and "parser.parse returns False" in first
    assert "hint 2 of 3" in second and row.hints[0] in second
    assert "hint 3 of 3" in third and row.hints[1] in third
    assert "--- yours" in last and "+++ solution" in last and "+    parser = trt.OnnxParser(network, logger)" in last
    assert "SOLUTION" not in last
    assert row.hints[0] not in failed + first  # a check gives no hints, and the first is the line's own


def test_a_function_that_passes_is_back_in_its_place(unsolved: Any) -> None:
    _, behind, _ = unsolved
    again, used, passed, used_again = (_text(behind[i]) for i in (6, 7, 9, 10))
    # the check run again while the stand-in is bound judges the student's function
    assert again.split("\n")[0] == _text(behind[1]).split("\n")[0] and "3 of 3 points" not in again
    assert "parse_network: the course's stand-in" in used and used.strip().endswith("True")
    assert "3 of 3 points" in passed and "1 of 8 TODOs done; hidden twins count too" in passed
    assert "stand-in" not in used_again and used_again.strip().endswith("True")
    assert "hint 1 of 2" in _text(behind[11])  # nothing was attempted: no line of its own to begin with
    assert "all lines of the check hold" in _text(behind[12])


def test_progress_is_shown_and_kept(unsolved: Any) -> None:
    released, behind, folder = unsolved
    assert _text(released["progress"]).count("not attempted") == 8
    text = _text(behind[13])
    assert re.search(r"2 +parse_network .* 3 of 3 +done", text) and "1 of 8 done" in text
    assert "hidden twin" in text and "<table>" in behind[13].outputs[0].data["text/html"]
    kept = json.loads((folder / ".progress.json").read_text())
    assert kept["checks"]["ex1/parse"] == {"points": 3.0, "attempted": True}


# --- the solved notebook --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[walkthrough.Result, str]:
    folder = tmp_path_factory.mktemp("solutions") / "ex1_distilbert"
    folder.mkdir()
    return run_page(NOTEBOOK, folder, ANSWERS)


def test_it_runs_to_its_end_with_pictures_that_have_words(page: tuple[walkthrough.Result, str]) -> None:
    result, text = page
    assert result.failure is None and result.errors == 0, result.failure
    assert result.images >= 5 and result.without_alt == 0
    assert "This run of the notebook took" in text
    assert "answers imported: []" in text
    assert not (result.page.parent / ".progress.json").exists()  # the page's run is nobody's progress


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
    assert "stand-in; TODO" not in text and "8 of 8 done" in text


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


def test_nothing_depends_on_the_simulators_kindness(page: tuple[walkthrough.Result, str]) -> None:
    """The run above was on a device that rounds, times and refuses as a GPU may; see docs/simulator.md."""
    seen = gpulike.report(page[0].page.parent)
    assert seen["engines"] >= 10 and seen["executions"] > 100 and seen["fp16_runs"] >= 2
    assert seen["contexts_beside_torch"] == 0
    (planted,) = seen["overflows"]  # the cell that shows what the simulator forgives
    assert "times_90000" in planted
