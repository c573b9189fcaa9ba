"""Bars of whole generations: two machines never share an axis, and nothing needs colour."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from helpers import decode_plots
from helpers.plots import PlotError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def theirs():
    return decode_plots.published(json.loads((ROOT / "assets/recorded/distilgpt2_gtx1060.json").read_text()))


@pytest.fixture
def ours():
    rows = [
        {"batch": batch, "length": length, "paths": {key: {"median_ms": 3.0 * batch + length + at} for at, key in enumerate(decode_plots.PATHS)}}
        for batch, length in ((8, 32), (1, 12), (8, 12), (16, 12), (8, 8), (8, 16))
    ]  # fmt: skip
    return decode_plots.measured({"rows": rows})


@pytest.fixture
def plot(ours, theirs):
    return decode_plots.decode_bars(ours, ran_on="this machine: an engine", theirs=theirs)


def test_published_figures_are_the_published_ones(theirs):
    table = theirs.set_index(["configuration", "batch", "length"])["ms"]
    assert table["TensorRT's API, O1", 8, 32] == 355.64 and table["PyTorch, KV cache", 1, 12] == 56.37
    assert len(table) == 24


def test_two_machines_have_a_panel_each(plot):
    first, second = plot.figure.axes
    assert first.get_title(loc="left") == "this machine: an engine"
    assert "GTX 1060" in second.get_title(loc="left") and "not measured by this course" in second.get_title(loc="left")
    assert first.get_ylim() != second.get_ylim()
    assert {text.get_text() for text in second.texts} >= {"628", "356"}
    assert not {text.get_text() for text in first.texts} & {"628", "356"}
    assert set(plot.table["panel"]) == {"this machine: an engine", second.get_title(loc="left")}


def test_groups_stand_in_the_order_of_the_published_tables(plot):
    labels = [label.get_text().replace("\n", ", ") for label in plot.figure.axes[0].get_xticklabels()]
    assert labels == [
        "batch 1, 12 tokens", "batch 8, 12 tokens", "batch 16, 12 tokens",
        "batch 8, 8 tokens", "batch 8, 16 tokens", "batch 8, 32 tokens",
    ]  # fmt: skip
    at = [plot.alt.index(f"batch {batch} to {length} tokens") for batch, length in ((1, 12), (8, 12), (8, 8), (8, 32))]
    assert at == sorted(at)


def test_bars_differ_in_more_than_colour_and_labels_keep_apart(plot):
    for axes in plot.figure.axes:
        hatches = [{bar.get_hatch() for bar in group} for group in axes.containers]
        assert all(len(one) == 1 for one in hatches) and len(set.union(*hatches)) == len(hatches)
    renderer = FigureCanvasAgg(plot.figure).get_renderer()
    plot.figure.draw(renderer)
    for axes in plot.figure.axes:
        boxes = [Text.get_window_extent(text, renderer) for text in axes.texts]
        assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[at + 1 :])


def test_one_panel_is_enough_and_one_configuration(ours):
    plot = decode_plots.decode_bars(ours[ours["configuration"] == "ONNX Runtime"], ran_on="here")
    assert len(plot.figure.axes) == 1 and plot.alt.startswith("Whole generations, end to end. here: batch 1 to 12")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.drop(columns="ms"), "The table lacks ms"),
        (lambda table: table.assign(ms=0.0), "milliseconds that are not above 0"),
        (lambda table: table.head(0), "The table is empty"),
    ],
)
def test_data_that_cannot_be_drawn(ours, theirs, change, said):
    with pytest.raises(PlotError, match=said):
        decode_plots.decode_bars(change(ours), ran_on="here")
    with pytest.raises(PlotError, match="Both panels are called 'x'"):
        decode_plots.decode_bars(ours, ran_on="x", theirs=theirs, theirs_on="x")
