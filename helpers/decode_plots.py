"""Plots of whole generations: the paths beside each other, and the figures that the original project published.

Their GTX 1060 has a panel, an axis and a title of its own. Two machines never share an axis: a bar of one says nothing
about a bar of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .plots import _COLOURS, _HATCHES, Plot, PlotError, _in_order, _joined, _needs, _short

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

# Paths of `bench decode`, and columns of the published tables, under one name where they do the same.
PATHS = {
    "pytorch": "PyTorch, KV cache",
    "pytorch-no-cache": "PyTorch, no cache",
    "ort": "ONNX Runtime",
    "baseline": "TensorRT's API, baseline",
    "o1": "TensorRT's API, O1",
}
_THEIRS = {
    "pytorch_ms": PATHS["pytorch"],
    "onnx_ms": PATHS["ort"],
    "tensorrt_ms": PATHS["baseline"],
    "o1_ms": PATHS["o1"],
}
_COLUMNS = ("configuration", "batch", "length", "ms")


def measured(content: Mapping[str, Any]) -> pandas.DataFrame:
    """The medians of whole generations from what `bench decode` wrote: `configuration`, `batch`, `length`, `ms`."""
    import pandas as pd

    rows = [
        (name, row["batch"], row["length"], row["paths"][key]["median_ms"])
        for row in content["rows"]
        for key, name in PATHS.items()
        if key in row["paths"]
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def published(content: Mapping[str, Any]) -> pandas.DataFrame:
    """The same columns from `assets/recorded/distilgpt2_gtx1060.json`."""
    import pandas as pd

    rows = [
        (name, row["batch"], row["length"], row[key])
        for row in content["rows"]
        for key, name in _THEIRS.items()
        if key in row
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def decode_bars(
    results: pandas.DataFrame,
    *,
    ran_on: str,
    theirs: pandas.DataFrame | None = None,
    theirs_on: str = "NVIDIA GTX 1060: published by the original project, not measured by this course",
    title: str = "Whole generations, end to end",
) -> Plot:
    """Milliseconds of whole generations as bars, a group for each batch and length.

    Args:
        results: a table with `configuration`, `batch`, `length` (of the finished rows, in tokens) and `ms`.
        ran_on: which machine and engine; the title of the panel.
        theirs: the same columns with figures of somebody else, drawn in a panel of its own below.
        theirs_on: whose they are.

    The plot's table has the column `panel` beside.
    """
    import pandas as pd
    from matplotlib.figure import Figure

    panels = {ran_on: _needs(results, *_COLUMNS)}
    if theirs is not None:
        if theirs_on == ran_on:
            raise PlotError(f"Both panels are called {ran_on!r}. Expected a name for each.")
        panels[theirs_on] = _needs(theirs, *_COLUMNS)
    data = pd.concat([one.assign(panel=name) for name, one in panels.items()], ignore_index=True)
    if not (data["ms"] > 0).all():
        raise PlotError("The table has milliseconds that are not above 0. Expected medians of whole generations.")
    names = _in_order(data["configuration"])
    cases = sorted({(int(b), int(n)) for b, n in zip(data["batch"], data["length"], strict=True)}, key=_place(data))
    figure = Figure(figsize=(11.0, 0.9 + 3.0 * len(panels)), layout="constrained")
    for at, (panel, one) in enumerate(panels.items()):
        _bars(figure.add_subplot(len(panels), 1, at + 1), panel, one, names, cases)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    handles = {  # of all panels: one may lack a configuration
        text: handle for axes in figure.axes for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        [handles[name] for name in names],
        names,
        loc="outside lower left",
        ncols=len(names),
        frameon=False,
        fontsize=8.5,
    )
    alt = f"{title}. " + " ".join(_words(panel, one, cases) for panel, one in panels.items())
    return Plot(figure, data[["panel", *_COLUMNS]], alt, title)


def _place(data: pandas.DataFrame) -> Any:
    """Order of the groups: the length that comes at most batch sizes first, by batch; then the others by length."""
    shared = data.groupby("length")["batch"].nunique().idxmax()
    return lambda case: (case[1] != shared, case[0] if case[1] == shared else case[1], case)


def _bars(axes: Axes, panel: str, data: pandas.DataFrame, names: list[str], cases: list[tuple[int, int]]) -> None:
    width = 0.84 / len(names)
    top = float(data["ms"].max())
    for at, name in enumerate(names):
        mine = data[data["configuration"] == name]
        found = {(int(b), int(n)): float(ms) for b, n, ms in mine[["batch", "length", "ms"]].itertuples(index=False)}
        places = [place for place, case in enumerate(cases) if case in found]
        if not places:
            continue
        heights = [found[cases[place]] for place in places]
        lefts = [place - 0.42 + (at + 0.5) * width for place in places]
        axes.bar(
            lefts, heights, width=0.94 * width, color=_COLOURS[at % len(_COLOURS)],
            hatch=_HATCHES[at % len(_HATCHES)], edgecolor="white", linewidth=0.6, label=name,
        )  # fmt: skip
        for left, height in zip(lefts, heights, strict=True):
            axes.text(left, height + 0.012 * top, _short(height), ha="center", va="bottom", fontsize=7, rotation=90)
    axes.set_title(panel, loc="left", fontsize=9.5)
    axes.set_ylabel("milliseconds")
    axes.set_ylim(0, 1.2 * top)
    axes.set_xlim(-0.55, len(cases) - 0.45)
    axes.set_xticks(range(len(cases)), [f"batch {batch}\n{length} tokens" for batch, length in cases], fontsize=8.5)
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _words(panel: str, data: pandas.DataFrame, cases: list[tuple[int, int]]) -> str:
    parts = []
    for batch, length in cases:
        rows = data[(data["batch"] == batch) & (data["length"] == length)]
        times = [f"{name} {_short(ms)} ms" for name, ms in zip(rows["configuration"], rows["ms"], strict=True)]
        parts += [f"batch {batch} to {length} tokens {_joined(times)}"] if times else []
    return f"{panel}: {'; '.join(parts)}."
