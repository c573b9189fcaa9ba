"""Plots: the picture, its table and its words say the same, and none of them needs colour."""

from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from helpers import plots
from helpers.plots import PlotError


@pytest.fixture
def results():
    rows = []
    for name, factor in (("PyTorch FP32", 1.0), ("TensorRT FP16", 3.0)):
        for kind in ("end-to-end", "kernel-only"):
            for batch in (128, 16, 32):
                speed = factor * batch * 10 * (1 if kind == "end-to-end" else 99)
                middle = 1000 * batch / speed
                rows.append((name, batch, kind, speed, middle, 0.9 * middle, 1.2 * middle, f"engine of {name}"))
    columns = ["configuration", "batch", "kind", "samples/s", "median ms", "p5 ms", "p95 ms", "ran on"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def parts():
    rows = [
        ("PyTorch", "weights", 1 << 20),
        ("PyTorch", "activations", 30 << 20),
        ("TensorRT", "activations", 15 << 20),
        ("TensorRT", "weights", 1 << 19),
    ]
    return pd.DataFrame(rows, columns=["configuration", "part", "bytes"])


@pytest.fixture
def builds():
    rows = [(name, batch, size * batch << 20) for name, size in (("FP32", 2), ("FP16", 1)) for batch in (32, 64)]
    return pd.DataFrame(rows, columns=["configuration", "max batch", "activation bytes"])


DEVICES = {"T4 FP32": (8.1e12, 320e9), "T4 FP16": (65e12, 320e9)}
WORK = {"batch 1": (5.51e9, 270e6), "batch 128": (705e9, 600e6)}
CASES = pd.DataFrame({"case": ["T4, FP32", "T4, FP16"], "samples/s": [1470.0, 11800.0]})


@pytest.fixture(params=["throughput", "latency", "memory", "build_memory", "roofline", "ceilings"])
def plot(request, results, parts, builds):
    return {
        "throughput": lambda: plots.throughput(results, goal=3000),
        "latency": lambda: plots.latency(results),
        "memory": lambda: plots.memory(parts),
        "build_memory": lambda: plots.build_memory(builds),
        "roofline": lambda: plots.roofline(DEVICES, WORK),
        "ceilings": lambda: plots.ceilings(CASES, goal=3000),
    }[request.param]()


def texts(plot):
    axes = plot.figure.axes[0]
    return [text.get_text() for text in axes.texts]


def test_a_notebook_gets_the_picture_with_its_alt_text(plot):
    data, metadata = plot._repr_mimebundle_()
    picture = matplotlib.image.imread(io.BytesIO(data["image/png"]))
    assert picture.shape[0] > 200 and picture.shape[1] > 400
    assert picture[..., :3].std() > 0.01  # something is drawn
    assert metadata == {"image/png": {"alt": plot.alt}}
    assert data["text/plain"] == plot.alt
    assert plot.alt.startswith(plot.title) and plot.alt.endswith(".")


def test_the_table_holds_what_was_drawn(plot):
    assert not plot.table.empty
    assert not plot.table.isna().any().any()


def test_nothing_lies_on_anything_else(plot):
    """No label overlaps another."""
    renderer = FigureCanvasAgg(plot.figure).get_renderer()
    plot.figure.draw(renderer)
    labels = [text for text in plot.figure.axes[0].texts if text.get_text()]
    boxes = [Text.get_window_extent(one, renderer) for one in labels]  # an annotation's own has its arrow in it
    for at, first in enumerate(boxes):
        for second, name in zip(boxes[at + 1 :], labels[at + 1 :], strict=True):
            assert not first.overlaps(second), (labels[at].get_text(), name.get_text())


def test_throughput_names_lines_directly_and_leaves_kernels_out(results):
    plot = plots.throughput(results, goal=3000)
    assert set(plot.table["samples/s"]) == {160, 320, 1280, 480, 960, 3840}
    assert {"PyTorch FP32: 1,280", "TensorRT FP16: 3,840", "goal: 3,000"} == set(texts(plot))
    assert "TensorRT FP16 peaks at 3,840 at batch 128" in plot.alt
    assert "The goal of 3,000 is reached by TensorRT FP16." in plot.alt
    assert "TensorRT FP16: engine of TensorRT FP16" in plot.alt
    assert "reached by none" in plots.throughput(results, goal=1e6).alt


def test_lines_differ_in_more_than_colour(results, builds):
    for plot in (plots.throughput(results), plots.latency(results), plots.build_memory(builds)):
        lines = [line for line in plot.figure.axes[0].get_lines() if line.get_marker() not in ("None", "_", "|", "")]
        drawn = {(line.get_marker(), line.get_linestyle()) for line in lines if len(line.get_xdata()) > 1}
        assert len(drawn) == plot.table["configuration"].nunique()


def test_bars_differ_in_more_than_colour(parts):
    plot = plots.memory(parts)
    hatches = [{patch.get_hatch() for patch in group} for group in plot.figure.axes[0].containers]
    assert all(len(one) == 1 for one in hatches)
    assert len(set.union(*hatches)) == 2


def test_latency_shows_its_spread(results):
    plot = plots.latency(results)
    assert "PyTorch FP32 takes 100.0 ms at batch 16 and 100.0 ms at batch 128" in plot.alt
    assert (plot.table["p95 ms"] > plot.table["p5 ms"]).all()
    assert plot.figure.axes[0].get_ylim()[1] > plot.table["p95 ms"].max()


def test_memory_adds_up(parts):
    plot = plots.memory(parts)
    assert "31" in texts(plot) and "15.5" in texts(plot)
    assert "PyTorch 31.0 MiB (weights 1.0 MiB and activations 30.0 MiB)" in plot.alt
    tops = [patch.get_y() + patch.get_height() for group in plot.figure.axes[0].containers for patch in group]
    assert max(tops) == pytest.approx(31)


def test_build_memory_is_in_the_words_of_the_log(builds):
    assert "FP32 needs 64.0 MiB for 32 and 128.0 MiB for 64" in plots.build_memory(builds).alt


def test_roofline_says_what_limits(results):
    table = plots.roofline(DEVICES, WORK).table.set_index(["workload", "device"])
    assert table.loc[("batch 1", "T4 FP32"), "limited by"] == "memory"
    assert table.loc[("batch 1", "T4 FP32"), "attainable FLOP/s"] == pytest.approx(320e9 * 5.51e9 / 270e6)
    assert table.loc[("batch 128", "T4 FP16"), "limited by"] == "arithmetic"
    assert table.loc[("batch 128", "T4 FP16"), "attainable FLOP/s"] == 65e12


def test_ceilings_give_a_verdict_in_words():
    plot = plots.ceilings(CASES, goal=3000)
    assert {"1,470, not enough", "11,800, enough"} <= set(texts(plot))
    assert plot.alt.endswith("Enough for the goal of 3,000: T4, FP16.")
    assert "1,470" in texts(plots.ceilings(CASES))


def test_one_row_is_enough(results):
    one = results.head(1)
    assert "at batch 128" in plots.throughput(one).alt
    assert plots.latency(one).alt.count("at batch") == 1


def test_many_lines_with_equal_ends_keep_their_names_apart(results):
    rows = [results.head(1).assign(configuration=f"number {at}", **{"samples/s": 100.0}) for at in range(7)]
    plot = plots.throughput(pd.concat(rows))
    heights = sorted(text.get_position()[1] for text in plot.figure.axes[0].texts)
    assert np.diff(heights).min() > 0.05 * 100


def test_a_plot_is_written_whole_and_shown_by_name(results, tmp_path, capsys):
    plot = plots.throughput(results)
    assert plot.save(tmp_path / "new" / "t.png").read_bytes()[:4] == b"\x89PNG"
    assert repr(plot).startswith("Plot('Throughput': ")
    plot.show()
    assert "Throughput" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda results: plots.throughput([1, 2]), "The data is list. Expected a pandas table"),
        (lambda results: plots.throughput(results.drop(columns="samples/s")), "The table lacks samples/s"),
        (lambda results: plots.latency(results.head(0)), "The table is empty"),
        (lambda results: plots.latency(results[results["kind"] == "kernel-only"]), "no end-to-end row"),
        (lambda results: plots.throughput(results.assign(batch=None)), "Column batch has rows without a value"),
        (lambda results: plots.memory(results), "The table lacks part, bytes"),
        (lambda results: plots.roofline({}, WORK), "Nothing to draw"),
        (lambda results: plots.roofline(DEVICES, {"idle": (0, 1)}), "idle is .*Expected two numbers above 0"),
    ],
)
def test_data_that_cannot_be_drawn(draw, said, results):
    with pytest.raises(PlotError, match=said):
        draw(results)


def test_a_fit_is_drawn_with_what_was_measured() -> None:
    from helpers.benchmark import fit_steps

    lengths = [8, 16, 32, 64, 128]
    fits = {
        "without cache": fit_steps(lengths, [1 + 0.1 * n + 0.002 * n**2 for n in lengths]),
        "with KV cache": fit_steps(lengths, [1.5 + 0.001 * n for n in lengths]),
    }
    plot = plots.steps_fit(fits)
    (axes,) = plot.figure.axes
    measured = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert [list(line.get_xdata()) for line in measured] == [lengths, lengths]
    assert len({line.get_marker() for line in measured}) == 2
    assert plot.table["fitted ms"].to_numpy() == pytest.approx(plot.table["ms"].to_numpy(), rel=1e-6)
    assert "without cache takes 1.93 ms at 8 and 46.6 ms at 128" in plot.alt
    with pytest.raises(plots.PlotError, match="at least one fit"):
        plots.steps_fit({})
