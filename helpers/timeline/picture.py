"""The timelines of several runs under each other, at one scale, with their sums beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.files import size
from helpers.plots import Plot

from .intervals import Interval, Timeline, TimelineError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Look:
    """How a kind of interval is drawn: its name, its colours, and matplotlib's and Bokeh's hatch."""

    label: str
    face: str
    edge: str
    hatch: str = ""
    pattern: str = "blank"


# Orange for computation, red for copies, green for waits, as in the profile that the exercise grew out of. Rows and
# hatches say the same without colour.
LOOKS = {
    "range": Look("named ranges", "#E3E8EF", "#7A8699"),
    "h2d": Look("copy host to device", "#F4A6A0", "#9B1C14", "////", "right_diagonal_line"),
    "compute": Look("compute", "#F28E2B", "#9A5200"),
    "d2h": Look("copy device to host", "#E06257", "#7D0F08", "\\\\\\\\", "left_diagonal_line"),
    "d2d": Look("copy on the device", "#F4A6A0", "#9B1C14", "xxx", "diagonal_cross"),
    "memset": Look("memset", "#F4D3D0", "#9B1C14", "...", "dot"),
    "enqueue": Look("enqueue", "#8A93A0", "#333333"),
    "allocate": Look("allocate, free", "#9AA3AF", "#3C4450", "xxx", "diagonal_cross"),
    "wait": Look("wait", "#7CC47F", "#1E6B2A", "---", "horizontal_line"),
}
_LANE_OF = {"range": "ranges", **dict.fromkeys(("h2d", "compute", "d2h", "d2d", "memset"), "device")}
_ROW_HEIGHT = 0.21  # inches
_WIDTH = 12.0
_ALWAYS = ("h2d", "compute", "d2h", "enqueue", "allocate", "wait")  # an empty row says something, too


def draw(timelines: Mapping[str, Timeline], *, title: str = "Timeline") -> Plot:
    """Timelines under each other at one time scale, as a picture that can be read without its colours.

    Each has a row for the named ranges, one for each kind of work of the device, one for each kind of call of the
    host. At the right stand bytes copied, time, and share of the device's span.

    Args:
        timelines: name to timeline, such as `{"before": ..., "after": ...}`, drawn in this order.

    The plot's table is that of all timelines, with the name in column `timeline`.

    Raises:
        TimelineError: nothing to draw.
    """
    import pandas as pd
    from matplotlib.figure import Figure

    check(timelines)
    kinds = kinds_of(timelines.values())
    depth = max(len(levels(one.lane("ranges"))) for one in timelines.values())
    rows = [kind for kind in kinds if kind != "range"]
    block = (depth + len(rows) + 1.1) * _ROW_HEIGHT
    end = max(extent(one) for one in timelines.values())
    notes = _notes(timelines)
    block = max(block, 2.45)  # the sums beside it
    count = len(timelines)
    figure = Figure(figsize=(_WIDTH, 1.45 + count * (block + 0.3) + 0.17 * len(notes)), layout="constrained")
    grid = figure.add_gridspec(count + 1, 2, width_ratios=(2.55, 1), height_ratios=(0.28, *[block] * count))
    head = figure.add_subplot(grid[0, :])  # title and legend have a place of their own
    head.set_axis_off()
    head.set_title(title, loc="left", fontsize=12, weight="bold")
    _legend(head, kinds)
    first: Axes | None = None
    for place, (name, one) in enumerate(timelines.items()):
        axes = figure.add_subplot(grid[place + 1, 0], sharex=first)
        first = first or axes
        _one(axes, name, one, rows, depth, end)
        if place < len(timelines) - 1:
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("milliseconds since the start" + (", one scale for all" if len(timelines) > 1 else ""))
        beside = figure.add_subplot(grid[place + 1, 1])
        beside.set_axis_off()
        beside.text(
            0, 1, sums(one), family="monospace", fontsize=8, va="top", transform=beside.transAxes, linespacing=1.25
        )
    if notes:
        figure.supxlabel("\n".join(notes), fontsize=8, x=0.01, ha="left", color="#333333")
    table = pd.concat([one.table().assign(timeline=name) for name, one in timelines.items()], ignore_index=True)
    table = table[["timeline", *table.columns[:-1]]]
    return Plot(figure, table, f"{title}. {words(timelines)}", title)


def check(timelines: Mapping[str, Timeline]) -> None:
    """Raise TimelineError where `timelines` is not a mapping of names to timelines with something in them."""
    if not isinstance(timelines, Mapping) or not all(isinstance(one, Timeline) for one in timelines.values()):
        raise TimelineError('Expected a dictionary of names and timelines, such as {"before": captured.timeline}.')
    if not timelines or not any(one.intervals for one in timelines.values()):
        raise TimelineError("Nothing to draw: no timeline has an interval. Was anything run in the block of capture()?")


def kinds_of(timelines: Any) -> list[str]:
    """The rows of a picture: what always has one, and what occurs."""
    there = {one.kind for timeline in timelines for one in timeline.intervals}
    return [kind for kind in LOOKS if kind in there or kind in _ALWAYS]


def extent(timeline: Timeline) -> float:
    """Where a timeline ends, in milliseconds."""
    return max([timeline.wall_ms, *(one.end_ms for one in timeline.intervals)])


def levels(ranges: Sequence[Interval]) -> list[list[Interval]]:
    """Ranges in rows, so that none lies on another: the outer ones first."""
    rows: list[list[Interval]] = []
    for one in ranges:  # by start, and of two with one start the longer first
        for row in rows:
            if row[-1].end_ms <= one.start_ms + 1e-9:
                row.append(one)
                break
        else:
            rows.append([one])
    return rows


def sums(timeline: Timeline) -> str:
    """A small table in characters: bytes, milliseconds and share of the device's span; the host's times below it."""
    lines = [f"{'device':<10}{'bytes':>11}{'ms':>10}{'of span':>9}"]
    rule = "-" * len(lines[0])
    table = timeline.table()
    for _, row in table[table["lane"] == "device"].iterrows():
        if row["kind"] == "span":
            lines.append(rule)
        moved = size(row["bytes"]) if row["bytes"] else ""
        share = "" if row["share of span"] != row["share of span"] else f"{row['share of span']:.1%}"
        lines.append(f"{_SHORT[row['kind']]:<10}{moved:>11}{number(row['ms']):>10}{share:>9}")
        overlap = timeline.adds_up.overlap
        if row["kind"] == "idle" and overlap:
            lines.append(f"{'two at once':<21}{'-' + number(overlap):>10}{-overlap / timeline.span_ms:>9.1%}")
    if len(lines) == 1:
        lines.append("nothing was recorded")
    else:
        lines += [rule, f"{'the clock':<21}{number(timeline.wall_ms):>10}"]
    host = table[table["lane"] == "host"]
    if len(host):
        lines += ["", f"{'host, meanwhile':<15}{'calls':>6}{'ms':>10}"]
        for _, row in host.iterrows():
            took = number(row["ms"]) if row["ms"] else ""
            lines.append(f"{_SHORT[row['kind']]:<10}{row['count']:>11,}{took:>10}")
    return "\n".join(line.rstrip() for line in lines)


_SHORT = {
    "h2d": "H2D copy", "compute": "compute", "d2h": "D2H copy", "d2d": "D2D copy", "memset": "memset", "idle": "idle",
    "span": "span", "before": "before it", "after": "after it", "enqueue": "enqueue", "allocate": "alloc/free",
    "wait": "wait",
}  # fmt: skip


def number(ms: float) -> str:
    """Milliseconds with as many digits as say something."""
    return f"{ms:,.0f}" if ms >= 1000 else f"{ms:,.1f}" if ms >= 100 else f"{ms:,.2f}" if ms >= 1 else f"{ms:.3f}"


def words(timelines: Mapping[str, Timeline]) -> str:
    """The picture in sentences, for who cannot see it."""
    texts = []
    for name, one in timelines.items():
        if not one.lane("device"):
            texts.append(f"{name}: no device work; {number(one.wall_ms)} ms by the clock.")
            continue
        parts = []
        for kind, ms in one.device_ms.items():
            moved = one.device_bytes[kind]
            of = f" of {size(moved)}" if moved else ""
            parts.append(f"{LOOKS[kind].label}{of} {number(ms)} ms ({ms / max(one.span_ms, 1e-12):.0%})")
        idle = f"idle {number(one.idle_ms)} ms ({one.idle_ms / max(one.span_ms, 1e-12):.0%})"
        host = [
            f"{one.counts[kind]:,} of {LOOKS[kind].label}{f' taking {number(ms)} ms' if ms else ''}"
            for kind, ms in one.host_ms.items()
        ]
        texts.append(
            f"{name}: the device's lane spans {number(one.span_ms)} of {number(one.wall_ms)} ms by the clock: "
            f"{', '.join(parts)}, {idle}. The host meanwhile made these calls: {', '.join(host) or 'none'}."
        )
    return " ".join(texts)


def _notes(timelines: Mapping[str, Timeline]) -> list[str]:
    notes = []
    sources = dict.fromkeys(one.source for one in timelines.values() if one.source)
    for source in sources:
        names = [name for name, one in timelines.items() if one.source == source]
        notes.append(("Ran on: " if len(sources) == 1 else f"{', '.join(names)}: ") + source)
    for name, one in timelines.items():
        if one.unfinished:
            notes.append(f"{name}: {one.unfinished} operations had not run when the capture ended, and are not shown")
    return notes


# --- one timeline ---


def _one(axes: Axes, name: str, timeline: Timeline, rows: Sequence[str], depth: int, end: float) -> None:
    labels: list[tuple[float, str]] = []
    for level, ranges in enumerate(levels(timeline.lane("ranges"))):
        _ranges(axes, ranges, -level, end)
    if depth:
        labels.append((-(depth - 1) / 2, "ranges"))
    gap = 0.0
    for at, kind in enumerate(rows):
        if at and _LANE_OF.get(kind) != _LANE_OF.get(rows[at - 1]):
            gap = 0.45  # between the device's rows and the host's
            axes.axhline(-(depth + at) + 0.5 - gap / 2, color="#bbbbbb", linewidth=0.8)
        place = -(depth + at) - gap
        lane = "device" if _LANE_OF.get(kind) == "device" else "host"
        labels.append((place, f"{lane}: {LOOKS[kind].label}"))
        _row(axes, timeline.lane(lane, kind), kind, place, end)
    if depth:
        axes.axhline(-depth + 0.5, color="#bbbbbb", linewidth=0.8)
    axes.axvline(timeline.wall_ms, color="#333333", linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlim(-0.004 * end, 1.01 * end)
    axes.set_ylim(-(depth + len(rows)) - gap + 0.4, 0.6)
    axes.set_yticks([place for place, _ in labels], [text for _, text in labels], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(f"{name}: {number(timeline.wall_ms)} ms by the clock (dashed line)", loc="left", fontsize=9.5)


def _row(axes: Axes, intervals: Sequence[Interval], kind: str, place: float, end: float) -> None:
    look = LOOKS[kind]
    moments = [one.start_ms for one in intervals if one.ms == 0]
    if moments:
        axes.vlines(moments, place - 0.33, place + 0.33, color=look.edge, linewidth=0.6)
    streams = sorted({one.stream for one in intervals if one.ms > 0})
    for at, stream in enumerate(streams):
        height = 0.72 / len(streams)
        bars = [(one.start_ms, one.ms) for one in _visible(intervals, stream, end)]
        axes.broken_barh(
            bars, (place + 0.36 - (at + 1) * height, height), facecolor=look.face, edgecolor=look.edge,
            hatch=look.hatch, linewidth=0.5,
        )  # fmt: skip


def _visible(intervals: Sequence[Interval], stream: int, end: float) -> tuple[Interval, ...]:
    """The intervals of a stream, those joined that no pixel lies between: else a thousand edges look like one block."""
    those = tuple(one for one in intervals if one.stream == stream and one.ms > 0)
    return Timeline(those, end).compact(end / 4000).intervals


def _ranges(axes: Axes, ranges: Sequence[Interval], place: float, end: float) -> None:
    look = LOOKS["range"]
    axes.broken_barh(
        [(one.start_ms, one.ms) for one in ranges], (place - 0.42, 0.84), facecolor=look.face, edgecolor=look.edge,
        linewidth=0.5,
    )  # fmt: skip
    room = 103 / end  # characters of 7 points that fit into a millisecond: the axes are about 6.3 inches wide
    texts = [_fitting([one.name for one in ranges], [one.ms * room for one in ranges])]
    for one, text in zip(ranges, texts[0], strict=True):
        axes.text(one.start_ms + one.ms / 2, place - 0.03, text, ha="center", va="center", fontsize=7, clip_on=True)


def _fitting(names: Sequence[str], rooms: Sequence[float]) -> list[str]:
    """Names as their boxes allow: all in full, or all by their last word (`step 12` is `12`), or those that fit."""
    for words_kept in (None, 1):
        short = [name if words_kept is None else name.split()[-1] if name.split() else "" for name in names]
        if all(len(text) + 0.6 <= room for text, room in zip(short, rooms, strict=True)):
            return short
    return [text if len(text) + 0.6 <= room else "" for text, room in zip(short, rooms, strict=True)]


def _legend(axes: Axes, kinds: Sequence[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = []
    for kind in kinds:
        look = LOOKS[kind]
        if kind == "enqueue":
            marks = {"marker": "|", "markersize": 9, "linestyle": "", "color": look.edge}
            handles.append(Line2D([], [], label=look.label, **marks))
        else:
            handles.append(
                Patch(facecolor=look.face, edgecolor=look.edge, hatch=look.hatch, label=look.label, linewidth=0.6)
            )
    axes.legend(
        handles=handles, loc="center left", bbox_to_anchor=(-0.01, 0.5), ncols=len(handles), frameon=False, fontsize=8,
        handlelength=2.0, columnspacing=1.1, handletextpad=0.5,
    )  # fmt: skip
