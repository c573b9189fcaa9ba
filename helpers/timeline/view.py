"""The same timelines to zoom into: Bokeh, in HTML that holds all it needs."""

from __future__ import annotations

import base64
import functools
import gzip
import html as escaping
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.files import replacing, size

from .intervals import Interval, Timeline
from .picture import LOOKS, check, extent, kinds_of, levels, number, words

_ROW = 24  # pixels
_LEFT = 150
_MANY = 200
_NAME = 90  # characters of a name; kernels have names of hundreds
_SAID = "Needs JavaScript, and in a notebook that you have not run yourself, your trust. The picture shows the same."

# Bokeh's script, packed, once for all views of a page: the first one that runs unpacks it, the others wait for it.
# Where a page keeps only one of several equal scripts, the others find what it left on `window`.
_LOAD = """
window.timelineBokeh ??= (async () => {
  const packed = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(unpacked).text();
  const before = window.Bokeh;
  document.head.appendChild(script);
  const loaded = window.Bokeh;
  if (before) window.Bokeh = before;  // somebody else's, of another version perhaps
  return loaded;
})();
"""
_EMBED = """
(async () => {
  const place = document.getElementById("%s");
  try {
    const bokeh = await window.timelineBokeh;
    place.textContent = "";
    await bokeh.embed.embed_item(%s, place);
  } catch (error) {
    place.textContent = "This view could not be drawn: " + error;
  }
})();
"""


# Names of ranges, as far as they fit into what is seen of their boxes: in full, by their last word, or not at all.
_NAMES = """
const left = Math.min(seen.start, seen.end), right = Math.max(seen.start, seen.end);
const scale = plot.inner_width / (right - left);
const {x, text, start, end, what} = source.data;
for (let i = 0; i < what.length; i++) {
  const from = Math.max(start[i], left), to = Math.min(end[i], right), room = (to - from) * scale - 4;
  const name = [what[i], what[i].split(" ").at(-1)].find((name) => 6.2 * name.length <= room);
  x[i] = (from + to) / 2;
  text[i] = name ?? "";
}
source.change.emit();
"""


@dataclass(frozen=True)
class View:
    """Timelines to zoom into. As the last expression of a cell it shows itself.

    Attributes:
        alt: what it shows, in sentences.
        title: plain text.
    """

    alt: str
    title: str
    _layout: Any

    def html(self) -> str:
        """A fragment that works in JupyterLab and in a page, without network. Scripts make up nearly all of it."""
        from bokeh.embed import json_item

        ident = f"timeline-{uuid.uuid4().hex[:12]}"
        # "</" inside a script would end it
        item = json.dumps(json_item(self._layout), separators=(",", ":")).replace("</", "<\\/")
        return (
            f'<div role="group" aria-label="{escaping.escape(self.alt)}">'
            f"<p><strong>{escaping.escape(self.title)}</strong> (zoom with the wheel, drag to move, point at a bar)</p>"
            f'<div id="{ident}">{_SAID}</div>'
            f"<script>{_loader()}</script><script>{_EMBED % (ident, item)}</script></div>"
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as a page of its own, which needs nothing else."""
        page = (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport"'
            f' content="width=device-width, initial-scale=1"><title>{escaping.escape(self.title)}</title></head>'
            f'<body style="font-family: system-ui, sans-serif; margin: 1rem">{self.html()}</body></html>\n'
        )
        with replacing(path) as part:
            part.write_text(page, encoding="utf-8")
        return Path(path)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.alt}

    def __repr__(self) -> str:
        return f"View({self.title!r}: {self.alt})"


def html(timelines: Mapping[str, Timeline], *, title: str = "Timeline") -> View:
    """Timelines under each other with one time axis for all: wheel zooms, dragging moves, pointing tells.

    Args:
        timelines: name to timeline, as for `draw`.

    Raises TimelineError where there is nothing to draw.
    """
    from bokeh.layouts import column
    from bokeh.models import Range1d

    check(timelines)
    kinds = [kind for kind in kinds_of(timelines.values()) if kind != "range"]
    end = max(extent(one) for one in timelines.values())
    time_range = Range1d(-0.01 * end, 1.01 * end, bounds=(-0.02 * end, 1.02 * end))
    figures = [
        _figure(name, one, kinds, time_range, last=place == len(timelines) - 1)
        for place, (name, one) in enumerate(timelines.items())
    ]
    return View(f"{title}. {words(timelines)}", title, column(*figures, sizing_mode="stretch_width"))


@functools.cache
def _loader() -> str:
    """The script that makes Bokeh, packed to a third of its size, the same in each process."""
    from bokeh.resources import INLINE

    (source,) = [text for text in INLINE.js_raw if len(text) > 100_000][:1]
    return _LOAD % base64.b64encode(gzip.compress(source.encode(), 9, mtime=0)).decode()


def _figure(name: str, timeline: Timeline, kinds: list[str], time_range: Any, *, last: bool) -> Any:
    from bokeh.models import FixedTicker, HoverTool, NumeralTickFormatter, Span, WheelZoomTool
    from bokeh.plotting import figure

    ranges = levels(timeline.lane("ranges"))
    labels = dict.fromkeys(range(len(ranges)), "ranges")
    places = {}
    for at, kind in enumerate(kinds, start=len(ranges)):
        places[kind] = at
        lane = "host" if kind in ("enqueue", "allocate", "wait") else "device"
        labels[at] = f"{lane}: {LOOKS[kind].label}"
    rows = len(labels)
    plot = figure(
        title=f"{name}: {number(timeline.wall_ms)} ms by the clock (dashed line)",
        height=rows * _ROW + (78 if last else 58),
        sizing_mode="stretch_width",
        x_range=time_range,
        y_range=(rows - 0.4, -0.6),
        tools="xpan,xbox_zoom,reset",
        active_drag="xpan",
        toolbar_location="right",
        output_backend="canvas",
    )
    zoom = WheelZoomTool(dimensions="width")
    plot.add_tools(zoom)
    plot.toolbar.active_scroll = zoom
    plot.toolbar.logo = None
    renderers = [_bars(plot, "range", level, at) for at, level in enumerate(ranges)]
    for at, level in enumerate(ranges):
        _names(plot, level, at)
    for kind, at in places.items():
        lane = labels[at].split(":")[0]
        lasting = [one for one in timeline.lane(lane, kind) if one.ms > 0]
        moments = [one for one in timeline.lane(lane, kind) if one.ms == 0]
        renderers += [_bars(plot, kind, lasting, at)] if lasting else []
        renderers += [_marks(plot, kind, moments, at)] if moments else []
    tips = [("", "@what"), ("from", "@start{0,0.000} ms"), ("for", "@ms{0,0.000} ms"), ("bytes", "@moved"),
            ("stream", "@stream")]  # fmt: skip
    plot.add_tools(HoverTool(tooltips=tips, renderers=renderers, point_policy="follow_mouse"))
    plot.add_layout(Span(location=timeline.wall_ms, dimension="height", line_dash="dashed", line_color="#333333"))
    for at in range(1, rows):  # lines between the lanes
        if labels[at].split(":")[0] != labels[at - 1].split(":")[0]:
            plot.add_layout(Span(location=at - 0.5, dimension="width", line_color="#bbbbbb"))
    plot.yaxis.ticker = FixedTicker(ticks=list(labels))
    plot.yaxis.major_label_overrides = labels
    plot.yaxis.major_tick_line_color = None
    plot.min_border_left = _LEFT
    plot.ygrid.grid_line_color = None
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0.[0000]")
    if last:
        plot.xaxis.axis_label = "milliseconds since the start, one scale for all"
    return plot


def _data(intervals: list[Interval]) -> dict[str, list[Any]]:
    return {
        "start": [round(one.start_ms, 6) for one in intervals],
        "end": [round(one.end_ms, 6) for one in intervals],
        "ms": [round(one.ms, 6) for one in intervals],
        "what": [one.name if len(one.name) <= _NAME else f"{one.name[: _NAME - 1]}…" for one in intervals],
        "moved": [f"{one.nbytes:,} ({size(one.nbytes)})" if one.nbytes else "none" for one in intervals],
        "stream": [str(one.stream) if one.lane != "ranges" else "" for one in intervals],
    }


def _bars(plot: Any, kind: str, intervals: list[Interval], at: int) -> Any:
    from bokeh.models import ColumnDataSource

    look = LOOKS[kind]
    streams = sorted({one.stream for one in intervals})
    height = 0.74 / max(1, len(streams))  # of several streams each has a part of the row
    tops = [at - 0.37 + streams.index(one.stream) * height for one in intervals]
    edge = (
        look.edge if len(intervals) <= _MANY else look.face
    )  # the edges of a thousand kernels would hide their colour
    data = _data(intervals) | {"top": tops, "bottom": [top + height for top in tops]}
    return plot.quad(
        left="start", right="end", top="top", bottom="bottom", source=ColumnDataSource(data),
        fill_color=look.face, line_color=edge, line_width=0.5,
        hatch_pattern=look.pattern, hatch_color=look.edge, hatch_scale=7, hatch_weight=1,
    )  # fmt: skip


def _names(plot: Any, intervals: list[Interval], at: int) -> None:
    from bokeh.models import ColumnDataSource, CustomJS

    none = [0.0] * len(intervals)
    source = ColumnDataSource(_data(intervals) | {"x": none, "text": [""] * len(intervals)})
    plot.text(
        x="x", y=at, text="text", source=source, text_align="center", text_baseline="middle", text_font_size="10px"
    )
    fit = CustomJS(args={"plot": plot, "seen": plot.x_range, "source": source}, code=_NAMES)
    plot.js_on_change("inner_width", fit)
    for edge in ("start", "end"):
        plot.x_range.js_on_change(edge, fit)


def _marks(plot: Any, kind: str, intervals: list[Interval], at: int) -> Any:
    from bokeh.models import ColumnDataSource

    return plot.segment(
        x0="start", x1="start", y0=at - 0.33, y1=at + 0.33, source=ColumnDataSource(_data(intervals)),
        line_color=LOOKS[kind].edge, line_width=1,
    )  # fmt: skip
