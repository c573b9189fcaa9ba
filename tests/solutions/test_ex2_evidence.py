"""The second notebook of Exercise 2, run once: no error, and every pitfall's message really made and really found."""

from __future__ import annotations

import re
from typing import Any

import pytest

from helpers import ort
from helpers.troubleshooting import Entry, load, search

from .notebooks import cells_of, errors_of, run_unsolved, source_of, tag_of, text_of

SOURCE = source_of("ex2_distilgpt2", "ex2_evidence")
PITFALLS = [row for row in load() if row.kind == "pitfall"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_unsolved(SOURCE, tmp_path_factory.mktemp("evidence"))[0]


def said(cell: Any) -> list[str]:
    """The messages that a cell provoked: lines with > and what is indented below them."""
    printed = "".join(out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stdout")
    return [" ".join(text.split()) for text in re.findall(r"^> (.*(?:\n  .*)*)", printed, re.MULTILINE)]


def test_it_runs_to_its_end_without_an_error_and_gives_no_points(ran: dict[str, Any]) -> None:
    assert errors_of(list(ran.values())) == []
    assert re.search(r"took \d+ s", text_of(ran["time-taken"]))
    source = SOURCE.read_text(encoding="utf-8")
    assert "check(" not in source and "BEGIN SOLUTION" not in source and "TODO" not in source


@pytest.mark.parametrize("row", PITFALLS, ids=lambda row: row.id)
def test_each_pitfall_makes_the_messages_that_its_data_lists(row: Entry, ran: dict[str, Any]) -> None:
    assert row.provoked is not None
    messages = said(ran[row.provoked.cell])
    for number in row.provoked.errors:
        alone = Entry(**{**vars(row), "errors": (row.errors[number],)})
        assert any(alone.matches(message) for message in messages), row.errors[number]
    for message in messages:
        assert row.id in [hit.entry.id for hit in search(message)]
    assert bool(messages) == bool(row.provoked.errors)


@pytest.mark.parametrize("row", PITFALLS, ids=lambda row: row.id)
def test_each_pitfall_takes_its_words_from_the_data_and_is_mended(row: Entry, ran: dict[str, Any]) -> None:
    assert row.provoked is not None
    cell = ran[row.provoked.cell]
    assert f'card("{row.id}")' in cell.source
    assert set(re.findall(r'provoked\("([a-z-]+)"', cell.source)) <= {row.id}
    assert row.markdown(where=False) in [out.data.get("text/markdown") for out in cell.outputs if "data" in out]
    tags = [tag_of(found) for found in cells_of(SOURCE)]
    place = tags.index(row.provoked.cell)
    assert tags[place + 1] == row.provoked.cell.replace("pitfall-", "mend-")
    heading = cells_of(SOURCE)[place - 1].source
    assert f"### {row.title}" in heading


def test_the_eight_steps_are_there_and_end_where_pytorch_does(ran: dict[str, Any]) -> None:
    assert [tag for tag in ran if re.fullmatch(r"step-\d", tag)] == [f"step-{n}" for n in range(1, 9)]
    (difference,) = re.findall(r"Largest difference to PyTorch: (\S+?)\.\s*$", _markdown(ran["step-7"]), re.MULTILINE)
    assert float(difference) < 1e-3
    assert "the same logits: True" in text_of(ran["execute-v2"])
    assert "did not come back: 0" in text_of(ran["step-8"])
    (picture,) = (out for out in ran["buffers"].outputs if "image/png" in out.get("data", {}))
    assert "logits: down" in picture.metadata["image/png"]["alt"]


def test_what_is_mended_works(ran: dict[str, Any]) -> None:
    assert "equal to PyTorch's generate: True" in text_of(ran["mend-coverage"])
    assert "step 7 again: True" in text_of(ran["mend-inputs"])
    assert "profile 1, shape (2, 64): True" in text_of(ran["mend-constraints"])
    tables = [out.data["text/html"] for out in ran["mend-positions"].outputs if "text/html" in out.get("data", {})]
    assert tables and ">NO<" not in tables[0] and tables[0].count(">yes<") == 3
    before = [out.data["text/html"] for out in ran["pitfall-positions"].outputs if "text/html" in out.get("data", {})]
    assert ">NO<" in before[0]


def test_what_the_text_says_of_the_recording_is_in_the_recording(ran: dict[str, Any]) -> None:
    planted, *decoders = ort.recorded() + ort.recorded(ort.RECORDED.with_name("ort_gpu_full"))[1:]
    assert len(planted.copies) == 2 and len(decoders) == 4
    copies = [node.median_ms for node in planted.ran if node.op.startswith("Memcpy")]
    assert all(0.014 < each < 0.018 for each in copies)
    for decoder in decoders:
        assert not decoder.copies and decoder.counts[ort.CPU] == 9
    assert planted.machine in _markdown(ran["recorded"]) and "Not recorded" not in text_of(ran["recorded"])


def _markdown(cell: Any) -> str:
    return "\n".join(out.data["text/markdown"] for out in cell.outputs if "text/markdown" in out.get("data", {}))
