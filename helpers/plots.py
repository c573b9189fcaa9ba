"""Plots that say the same without their colours, and without being seen.

Each function returns a `Plot`: the matplotlib figure, its data as a pandas table, and a sentence of alt text made
from that data. A Plot as the last expression of a cell shows itself, with the alt text where nbconvert finds it.
Colours are the Okabe-Ito palette, which colour-blind readers tell apart; hatches, markers and direct labels carry the
meaning too.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.files import replacing, size

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008), darkest first; grey instead of yellow, which is faint on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#555555")
_HATCHES = ("", "///", "...", "xx", "\\\\\\", "++", "oo")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1, 1, 1)))


class PlotError(ValueError):
    """Data that cannot be drawn. The text says what is missing."""


@dataclass(frozen=True)
class Plot:
    """A figure with its data and with words for who cannot see it.

    `title` and `alt` are plain text, `table` holds the numbers that were drawn.
    """

    figure: Figure
    table: pandas.DataFrame
    alt: str
    title: str

    def png(self, dpi: int = 110) -> bytes:
        """The figure as a PNG file on a white ground, readable in a dark notebook too."""
        target = io.BytesIO()
        self.figure.savefig(target, format="png", dpi=dpi, bbox_inches="tight", facecolor="white")
        return target.getvalue()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the figure as PNG; the folder is made if need be."""
        with replacing(path) as part:
            part.write_bytes(self.png())
        return Path(path)

    def show(self) -> None:
        """Show the figure in a notebook, from the middle of a cell or a loop; the last expression shows itself."""
        from IPython.display import display

        display(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """What Jupyter asks for: the picture, the words, and the words again as the picture's alt text."""
        return {"image/png": self.png(), "text/plain": self.alt}, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return f"Plot({self.title!r}: {self.alt})"


def throughput(results: pandas.DataFrame, *, goal: float | None = None, title: str = "Throughput") -> Plot:
    """Samples per second over the batch size, a line for each configuration.

    Args:
        results: a table with `configuration`, `batch` and `samples/s`, and `kind` where there are two: what
            `benchmark.table` gives. Only the end-to-end rows are drawn.
        goal: a line to measure by, in samples per second.
    """
    data = _end_to_end(results, "samples/s")
    figure, axes = _axes(title, "batch size", "samples per second")
    _lines(axes, data, "samples/s", "{:,.0f}", top=1.15 * max(data["samples/s"].max(), goal or 0))
    if goal is not None:
        axes.axhline(goal, color="#333333", linewidth=1.2, linestyle=(0, (6, 3)))
        axes.annotate(f"goal: {goal:,.0f}", (0.01, goal), xycoords=("axes fraction", "data"), va="bottom", fontsize=9)
    best = data.loc[data.groupby("configuration", sort=False)["samples/s"].idxmax()]
    parts = [
        f"{row['configuration']} peaks at {row['samples/s']:,.0f} at batch {row['batch']}" for _, row in best.iterrows()
    ]
    alt = f"{title}, samples per second by batch size: {_joined(parts)}."
    if goal is not None:
        above = best[best["samples/s"] >= goal]["configuration"].tolist()
        alt += f" The goal of {goal:,.0f} is reached by {_joined(above) if above else 'none'}."
    return Plot(figure, data, alt + _note(figure, results), title)


def latency(results: pandas.DataFrame, *, title: str = "Latency of a batch") -> Plot:
    """Median milliseconds for a batch over the batch size, with bars from the 5th to the 95th percentile.

    Args:
        results: a table with `configuration`, `batch`, `median ms`, `p5 ms` and `p95 ms`: what `benchmark.table`
            gives. Only the end-to-end rows are drawn.
    """
    data = _end_to_end(results, "median ms", "p5 ms", "p95 ms")
    figure, axes = _axes(title, "batch size", "milliseconds, median and p5 to p95")
    _lines(axes, data, "median ms", "{:,.1f}", top=1.12 * data["p95 ms"].max(), spread=("p5 ms", "p95 ms"))
    parts = []
    for name, rows in data.groupby("configuration", sort=False):
        first, last = rows.iloc[0], rows.iloc[-1]
        text = f"{name} takes {first['median ms']:,.1f} ms at batch {first['batch']}"
        parts.append(text + (f" and {last['median ms']:,.1f} ms at batch {last['batch']}" if len(rows) > 1 else ""))
    alt = f"{title}, median milliseconds by batch size: {_joined(parts)}."
    return Plot(figure, data, alt + _note(figure, results), title)


def memory(results: pandas.DataFrame, *, title: str = "Memory") -> Plot:
    """Bytes by configuration, stacked by what they are for.

    Args:
        results: a table with `configuration`, `part` (such as "weights" or "activations") and `bytes`, one row for
            each pair. Parts are stacked in the order in which they first appear.
    """
    data = _needs(results, "configuration", "part", "bytes")
    names, parts = _in_order(data["configuration"]), _in_order(data["part"])
    figure, axes = _axes(title, "", "MiB", width=max(6.0, 1.5 * len(names) + 2.5))
    sums = data.groupby(["configuration", "part"], sort=False)["bytes"].sum()
    tops = dict.fromkeys(names, 0.0)
    limit = max(data.groupby("configuration")["bytes"].sum()) / 2**20
    for at, part in enumerate(parts):
        heights = [float(sums.get((name, part), 0)) / 2**20 for name in names]
        axes.bar(
            range(len(names)),
            heights,
            bottom=[tops[name] for name in names],
            width=0.6,
            color=_COLOURS[at % len(_COLOURS)],
            hatch=_HATCHES[at % len(_HATCHES)],
            edgecolor="white",
            linewidth=0.8,
            label=part,
        )
        for place, (name, height) in enumerate(zip(names, heights, strict=True)):
            if height > 0.07 * limit:
                axes.text(
                    place, tops[name] + height / 2, f"{_wrapped(part, 14)}\n{_short(height)}",
                    ha="center", va="center", fontsize=8,
                    bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
                )  # fmt: skip
            tops[name] += height
    for place, name in enumerate(names):
        axes.text(place, tops[name] + 0.015 * limit, _short(tops[name]), ha="center", va="bottom", weight="bold")
    axes.set_xticks(range(len(names)), [_wrapped(name) for name in names])
    axes.set_ylim(0, 1.12 * limit)
    axes.grid(axis="x", visible=False)
    if len(parts) > 1:
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    texts = []
    for name in names:
        inside = [f"{part} {size(sums[name, part])}" for part in parts if (name, part) in sums.index]
        texts.append(f"{name} {size(tops[name] * 2**20)}" + (f" ({_joined(inside)})" if len(inside) > 1 else ""))
    return Plot(figure, data, f"{title} by configuration: {_joined(texts, '; ')}.", title)


def build_memory(results: pandas.DataFrame, *, title: str = "Activation memory by maximum batch") -> Plot:
    """What an execution context needs, over the maximum batch of the profile that it was built for.

    Args:
        results: a table with `configuration`, `max batch` and `activation bytes`, from the reports of `engine.build`.
    """
    data = _needs(results, "configuration", "max batch", "activation bytes")
    data = data.assign(MiB=data["activation bytes"] / 2**20, batch=data["max batch"].astype(int))
    figure, axes = _axes(title, "maximum batch of the profile", "MiB of activations, from the build log")
    _lines(axes, data, "MiB", "{:,.1f}", top=1.12 * data["MiB"].max())
    parts = []
    for name, rows in data.groupby("configuration", sort=False):
        first, last = rows.iloc[0], rows.iloc[-1]
        text = f"{name} needs {size(first['activation bytes'])} for {first['batch']}"
        parts.append(text + (f" and {size(last['activation bytes'])} for {last['batch']}" if len(rows) > 1 else ""))
    alt = f"{title}, as NVIDIA's builder logged it: {_joined(parts)}."
    return Plot(figure, data[["configuration", "max batch", "activation bytes"]], alt, title)


def steps_fit(
    fits: Mapping[str, Any], *, x: str = "tokens in the sequence", title: str = "Time of one step over its length"
) -> Plot:
    """Measured milliseconds of a step over its length, and the curves a + b L + c L^2 that were fitted to them.

    Args:
        fits: name to `benchmark.Fit`, such as `{"without cache": ..., "with KV cache": ...}`.
    """
    import numpy as np
    import pandas as pd

    if not fits:
        raise PlotError("Nothing to draw. Expected at least one fit, as benchmark.fit_steps gives it.")
    figure, axes = _axes(title, x, "milliseconds of one step, measured and fitted")
    top = 1.1 * max(max(fit.ms) for fit in fits.values())
    ends: list[list[Any]] = []
    rows = []
    for at, (name, fit) in enumerate(fits.items()):
        colour = _COLOURS[at % len(_COLOURS)]
        fine = np.linspace(min(fit.lengths), max(fit.lengths), 100)
        axes.plot(fine, [fit.at(n) for n in fine], color=colour, linestyle=_LINES[at % len(_LINES)], linewidth=1.6)
        axes.plot(
            fit.lengths, fit.ms, color=colour, marker=_MARKERS[at % len(_MARKERS)], linestyle="", markersize=6.5,
            markerfacecolor="white", markeredgewidth=1.6,
        )  # fmt: skip
        ends.append([fit.at(fine[-1]), f"{name}: {_short(fit.ms[-1])} ms", colour, fine[-1]])
        rows += [(name, n, ms, fit.at(n)) for n, ms in zip(fit.lengths, fit.ms, strict=True)]
    axes.set_ylim(0, top)
    axes.margins(x=0.03)
    _end_labels(axes, ends, gap=0.06 * top)
    data = pd.DataFrame(rows, columns=["configuration", "length", "ms", "fitted ms"])
    texts = [
        f"{name} takes {_short(fit.ms[0])} ms at {fit.lengths[0]:,g} and {_short(fit.ms[-1])} ms at "
        f"{fit.lengths[-1]:,g}"
        for name, fit in fits.items()
    ]
    return Plot(figure, data, f"{title}, with a fitted curve each: {_joined(texts, '; ')}.", title)


def roofline(
    devices: Mapping[str, tuple[float, float]],
    workloads: Mapping[str, tuple[float, float]],
    *,
    title: str = "What the hardware allows",
) -> Plot:
    """Attainable arithmetic speed over arithmetic intensity, and where each workload stands.

    Below the ridge, memory decides: speed is bandwidth times intensity. Above it, arithmetic does. Source: Williams,
    Waterman, Patterson, "Roofline" (CACM 52, 2009).

    Args:
        devices: name to (FLOP/s at peak, bytes/s of memory).
        workloads: name to (FLOP, bytes moved) of one batch.

    The table has the intensity in FLOP a byte, and for every device the attainable FLOP/s and what limits it.
    """
    import pandas as pd

    if not devices or not workloads:
        raise PlotError("Nothing to draw. Expected at least one device and one workload.")
    for name, pair in (*devices.items(), *workloads.items()):
        if len(pair) != 2 or min(pair) <= 0:
            raise PlotError(f"{name} is {pair!r}. Expected two numbers above 0.")
    rows: list[dict[str, Any]] = []
    for workload, (flop, moved) in workloads.items():
        for device, (peak, bandwidth) in devices.items():
            rows.append(
                {
                    "workload": workload,
                    "device": device,
                    "FLOP/byte": flop / moved,
                    "attainable FLOP/s": min(peak, bandwidth * flop / moved),
                    "limited by": "arithmetic" if bandwidth * flop / moved >= peak else "memory",
                }
            )
    data = pd.DataFrame(rows)
    figure, axes = _axes(title, "arithmetic intensity: FLOP for each byte moved", "attainable TFLOP/s")
    ridges = [peak / bandwidth for peak, bandwidth in devices.values()]
    low = 10 ** math.floor(math.log10(min(*data["FLOP/byte"], *ridges) / 1.5))
    high = 10 ** math.ceil(math.log10(max(*data["FLOP/byte"], *ridges) * 1.5))
    for at, (device, (peak, bandwidth)) in enumerate(devices.items()):
        colour = _COLOURS[at % len(_COLOURS)]
        ridge = peak / bandwidth
        line = [(low, bandwidth * low / 1e12), (ridge, peak / 1e12), (high, peak / 1e12)]
        axes.plot(*zip(*line, strict=True), color=colour, linestyle=_LINES[at % len(_LINES)], linewidth=2)
        axes.annotate(
            f"{device}: {_short(peak / 1e12)} TFLOP/s", (high, peak / 1e12), xytext=(-4, 4),
            textcoords="offset points", ha="right", va="bottom", color=colour, fontsize=9, weight="bold",
        )  # fmt: skip
    for at, workload in enumerate(workloads):
        mine = data[data["workload"] == workload]
        axes.plot(
            mine["FLOP/byte"], mine["attainable FLOP/s"] / 1e12, linestyle="", marker=_MARKERS[at % len(_MARKERS)],
            markersize=8, color="#222222", markerfacecolor="white", markeredgewidth=1.6, label=workload, zorder=5,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    for axis in (axes.xaxis, axes.yaxis):  # 1, 10, 100 rather than powers
        axis.set_major_formatter(lambda value, _: f"{value:,g}")
        axis.set_minor_formatter(lambda value, _: f"{value:,g}" if f"{value:e}"[0] in "25" else "")
    axes.legend(frameon=False, loc="lower right", title="workload")
    parts = [
        f"{row['workload']} at {row['FLOP/byte']:,.0f} FLOP a byte can reach {row['attainable FLOP/s'] / 1e12:,.3g} "
        f"TFLOP/s on {row['device']}, limited by {row['limited by']}"
        for row in rows
    ]
    return Plot(figure, data, f"{title}: {_joined(parts, '; ')}.", title)


def ceilings(
    results: pandas.DataFrame, *, goal: float | None = None, title: str = "The most that the hardware could give"
) -> Plot:
    """Ceilings of throughput as horizontal bars, with a goal to measure them by.

    Args:
        results: a table with `case` (such as "T4, FP16, 64 tokens") and `samples/s`.
        goal: samples per second that are asked for.
    """
    data = _needs(results, "case", "samples/s")
    cases = data["case"].tolist()
    figure, axes = _axes(title, "samples per second at peak", "", height=1.2 + 0.62 * len(cases))
    limit = max(data["samples/s"].max(), goal or 0)
    for place, value in enumerate(data["samples/s"]):
        reached = goal is None or value >= goal
        axes.barh(
            place, value, height=0.6, color=_COLOURS[0 if reached else 1], hatch="" if reached else "///",
            edgecolor="white",
        )  # fmt: skip
        verdict = "" if goal is None else (", enough" if reached else ", not enough")
        # a text that the goal's line would cross stands behind it
        behind = goal if goal is not None and value <= goal < value + 0.25 * limit else value
        axes.text(
            behind + 0.012 * limit, place, f"{value:,.0f}{verdict}", va="center", fontsize=9, zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
    if goal is not None:
        axes.axvline(goal, color="#333333", linewidth=1.4, linestyle=(0, (6, 3)))
        axes.annotate(
            f"goal: {goal:,.0f}", (goal, 1.0), xycoords=("data", "axes fraction"), xytext=(3, 3),
            textcoords="offset points", fontsize=9, va="bottom",
        )  # fmt: skip
        axes.set_title(title, loc="left", fontsize=12, weight="bold", pad=18)
    axes.set_yticks(range(len(cases)), cases)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * limit)
    axes.grid(axis="y", visible=False)
    texts = [f"{case} {value:,.0f}" for case, value in zip(cases, data["samples/s"], strict=True)]
    alt = f"{title}, in samples per second: {_joined(texts)}."
    if goal is not None:
        enough = data[data["samples/s"] >= goal]["case"].tolist()
        alt += f" Enough for the goal of {goal:,.0f}: {_joined(enough) if enough else 'none'}."
    return Plot(figure, data, alt, title)


# --- drawing ---


def _axes(title: str, x: str, y: str, *, width: float = 8.0, height: float = 4.2) -> tuple[Figure, Axes]:
    """A figure of its own, outside pyplot: nothing to close, no window, and no second copy shown by a notebook."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12, weight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _lines(
    axes: Axes,
    data: pandas.DataFrame,
    column: str,
    form: str,
    *,
    top: float,
    spread: tuple[str, str] | None = None,
) -> None:
    """A line for each configuration over `batch`, from 0 to `top`, named at its right end."""
    ends: list[list[Any]] = []
    sizes = sorted(set(data["batch"]))
    for at, (name, rows) in enumerate(data.groupby("configuration", sort=False)):
        colour = _COLOURS[at % len(_COLOURS)]
        # Log2 of the batch: sizes double, and so stand at equal distances.
        places = [math.log2(batch) for batch in rows["batch"]]
        style: dict[str, Any] = {
            "color": colour,
            "marker": _MARKERS[at % len(_MARKERS)],
            "linestyle": _LINES[at % len(_LINES)],
            "linewidth": 1.8,
            "markersize": 6,
        }
        if spread is None:
            axes.plot(places, rows[column], **style)
        else:
            below, above = rows[column] - rows[spread[0]], rows[spread[1]] - rows[column]
            axes.errorbar(places, rows[column], yerr=[below, above], capsize=3, elinewidth=1, **style)
        last = float(rows[column].iloc[-1])
        ends.append([last, f"{name}: {form.format(last)}", colour, places[-1]])
    axes.set_xticks([math.log2(batch) for batch in sizes], [str(batch) for batch in sizes])
    axes.margins(x=0.06)
    axes.set_ylim(0, top)
    _end_labels(axes, ends, gap=0.052 * top)


def _note(figure: Figure, results: pandas.DataFrame) -> str:
    """Write under the plot who ran what, where the table says so, and return the same as a sentence."""
    if "ran on" not in results.columns:
        return ""
    engines = results[results["ran on"].astype(bool)].groupby("ran on", sort=False)["configuration"].unique()
    if engines.empty:
        return ""
    lines = [f"{_joined(names)}: {engine}" for engine, names in engines.items()]
    figure.set_figheight(figure.get_figheight() + 0.16 * (len(lines) + 1))  # the plot itself keeps its height
    figure.supxlabel("Ran on\n" + "\n".join(lines), fontsize=8, x=0.01, ha="left", color="#333333")
    return f" Ran on: {_joined(lines, '; ')}."


def _end_labels(axes: Axes, ends: list[list[Any]], gap: float) -> None:
    """Names at the right ends of lines, moved apart where they would lie on each other."""
    place = -gap
    for value, text, colour, x in sorted(ends, key=lambda end: end[0]):
        place = max(value, place + gap)
        axes.annotate(
            text, (x, value), xytext=(1.02, place), textcoords=("axes fraction", "data"), color=colour, fontsize=9,
            va="center", weight="bold", annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4, "relpos": (0, 0.5),
            },
        )  # fmt: skip


# --- data ---


def _needs(results: Any, *columns: str) -> pandas.DataFrame:
    import pandas as pd

    if not isinstance(results, pd.DataFrame):
        raise PlotError(f"The data is {type(results).__name__}. Expected a pandas table with {', '.join(columns)}.")
    missing = [column for column in columns if column not in results.columns]
    if missing:
        raise PlotError(
            f"The table lacks {', '.join(missing)}; it has {', '.join(map(str, results.columns))}. Expected "
            f"{', '.join(columns)}; rename or add them."
        )
    if results.empty:
        raise PlotError("The table is empty. Expected at least one row.")
    bad = [column for column in columns if results[column].isna().any()]
    if bad:
        raise PlotError(f"Column {bad[0]} has rows without a value. Expected numbers; drop what was not run.")
    return results.reset_index(drop=True)


def _end_to_end(results: Any, *columns: str) -> pandas.DataFrame:
    data = _needs(results, "configuration", "batch", *columns)
    if "kind" in data.columns:
        data = data[data["kind"] == "end-to-end"]
        if data.empty:
            raise PlotError(
                "The table has no end-to-end row. Expected some: kernel-only times are drawn by no headline plot."
            )
    data = data[["configuration", "batch", *columns]]
    order = {name: at for at, name in enumerate(_in_order(data["configuration"]))}
    return data.sort_values(
        ["configuration", "batch"], key=lambda one: one.map(order) if one.name == "configuration" else one
    ).reset_index(drop=True)


def _in_order(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def _joined(parts: Sequence[str], separator: str = ", ") -> str:
    """`a`, `a and b`, `a, b and c`."""
    parts = [str(part) for part in parts]
    if len(parts) < 2 or separator != ", ":
        return separator.join(parts)
    return f"{separator.join(parts[:-1])} and {parts[-1]}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _wrapped(name: str, width: int = 16) -> str:
    import textwrap

    return textwrap.fill(name, width)
