"""A timeline: intervals in three lanes, and sums that count no moment twice."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.files import replacing, size

if TYPE_CHECKING:
    import pandas

LANES = ("ranges", "device", "host")
DEVICE_KINDS = ("h2d", "compute", "d2h", "d2d", "memset")
HOST_KINDS = ("enqueue", "allocate", "wait")
KINDS = {"ranges": ("range",), "device": DEVICE_KINDS, "host": HOST_KINDS}
WITHIN = 0.05  # the device's lane should explain the wall clock to this share


class TimelineError(RuntimeError):
    """A timeline that cannot be taken, read or drawn. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Something that happened from `start_ms` to `end_ms`, in milliseconds since the capture began.

    Attributes:
        lane: "device", "host" or "ranges".
        kind: of the device "h2d", "compute", "d2h", "d2d", "memset"; of the host "enqueue", "allocate" (frees too),
            "wait"; "range".
        name: what it was, in words: a tensor, a kernel, a call, the name of a range.
        nbytes: bytes copied, set or allocated; 0 where there are none.
        stream: the stream's number.

    A moment, such as the host's enqueueing on the simulator, has equal ends.
    """

    lane: str
    kind: str
    name: str
    start_ms: float
    end_ms: float
    nbytes: int = 0
    stream: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS.get(self.lane, ()):
            raise TimelineError(
                f"{self.name!r} is of kind {self.kind!r} in lane {self.lane!r}. Expected one of "
                + "; ".join(f"{lane}: {', '.join(kinds)}" for lane, kinds in KINDS.items())
            )
        if not self.start_ms <= self.end_ms:  # NaN too
            raise TimelineError(
                f"{self.name!r} goes from {self.start_ms} to {self.end_ms} ms. Expected an end after it"
            )

    @property
    def ms(self) -> float:
        """Its length in milliseconds."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True)
class AddsUp:
    """The device's lane against the clock. Milliseconds.

    `kinds` is the time of each kind, `overlap` what of it was at the same time (several streams), `idle` the gaps
    between the device's events, `span` from the first event's start to the last one's end, which is kinds less overlap
    plus idle. `before` and `after` are the time that the program took outside the span, when the device had not begun
    or was done; `wall` is the clock's time around all of it.
    """

    kinds: dict[str, float]
    overlap: float
    idle: float
    before: float
    after: float
    span: float
    wall: float

    @property
    def outside(self) -> float:
        """The share of the clock's time that lies before the device's first event or after its last."""
        return 1 - self.span / self.wall if self.wall > 0 else 0.0

    def __bool__(self) -> bool:
        """Whether the device's lane explains the clock's time, within 5 %."""
        return abs(self.outside) <= WITHIN

    def __str__(self) -> str:
        terms = " + ".join(f"{kind} {ms:,.3f}" for kind, ms in self.kinds.items()) or "nothing"
        overlap = f" - overlap {self.overlap:,.3f}" if self.overlap else ""
        return (
            f"{terms}{overlap} + idle {self.idle:,.3f} = span {self.span:,.3f} ms, {1 - self.outside:.1%} of the "
            f"clock's {self.wall:,.3f}; {self.before:,.3f} lie before the device's first event and {self.after:,.3f} "
            "after its last"
        )


@dataclass(frozen=True)
class Totals:
    """The sums of a whole record, kept where its intervals were joined afterwards. Milliseconds; counts by kind."""

    device_ms: dict[str, float]
    host_ms: dict[str, float]
    busy_ms: float
    idle_ms: float
    gaps: int
    counts: dict[str, int]


@dataclass(frozen=True)
class Timeline:
    """What was captured. Times in milliseconds since the capture began.

    Attributes:
        intervals: of all lanes, by start.
        wall_ms: the clock's time from the capture's start to its end.
        source: what ran, and what measured it.
        unfinished: device work that was enqueued, and had not run when the capture ended.
        totals: sums of the whole record where `compact` has joined intervals; None where the intervals are the record.
    """

    intervals: tuple[Interval, ...]
    wall_ms: float
    source: str = ""
    unfinished: int = 0
    totals: Totals | None = None

    def __post_init__(self) -> None:
        ordered = sorted(self.intervals, key=lambda one: (one.start_ms, -one.end_ms))
        object.__setattr__(self, "intervals", tuple(ordered))

    def lane(self, lane: str, kind: str | None = None) -> tuple[Interval, ...]:
        """The intervals of a lane, or of one kind in it, by start."""
        return tuple(one for one in self.intervals if one.lane == lane and kind in (None, one.kind))

    @property
    def device_ms(self) -> dict[str, float]:
        """Time of each kind of device work that occurs. Two of one kind at the same time count once."""
        return self.totals.device_ms if self.totals else self._ms("device")

    @property
    def host_ms(self) -> dict[str, float]:
        """Time of each kind of call that the host made. Never to be added to the device's: they run side by side."""
        return self.totals.host_ms if self.totals else self._ms("host")

    def _ms(self, lane: str) -> dict[str, float]:
        found = {kind: self.lane(lane, kind) for kind in KINDS[lane]}
        return {kind: length(merged(those)) for kind, those in found.items() if those}

    @property
    def device_bytes(self) -> dict[str, int]:
        """Bytes of each kind of device work that occurs; computation has none."""
        found = {kind: self.lane("device", kind) for kind in DEVICE_KINDS}
        return {kind: sum(one.nbytes for one in those) for kind, those in found.items() if those}

    @property
    def busy_ms(self) -> float:
        """Time in which the device did anything; work at the same time on several streams counts once."""
        return self.totals.busy_ms if self.totals else length(merged(self.lane("device")))

    @property
    def idle_ms(self) -> float:
        """Time between the device's first and last event in which it did nothing: the sum of the gaps."""
        if self.totals:
            return self.totals.idle_ms
        stretches = merged(self.lane("device"))
        return sum(after - before for (_, before), (after, _) in itertools.pairwise(stretches))

    @property
    def counts(self) -> dict[str, int]:
        """How many intervals of each kind of device work and of the host's calls there are."""
        if self.totals:
            return self.totals.counts
        found = {kind: len(self.lane(lane, kind)) for lane in ("device", "host") for kind in KINDS[lane]}
        return {kind: count for kind, count in found.items() if count}

    @property
    def span_ms(self) -> float:
        """From the start of the device's first event to the end of its last; 0 where it did nothing."""
        device = self.lane("device")
        return max(one.end_ms for one in device) - device[0].start_ms if device else 0.0

    @property
    def before_ms(self) -> float:
        """From the capture's start to the device's first event; the whole capture where the device did nothing."""
        device = self.lane("device")
        return max(0.0, device[0].start_ms) if device else self.wall_ms

    @property
    def after_ms(self) -> float:
        """From the end of the device's last event to the capture's end."""
        device = self.lane("device")
        return max(0.0, self.wall_ms - max(one.end_ms for one in device)) if device else 0.0

    @property
    def adds_up(self) -> AddsUp:
        """Kinds, overlap and idle against the span; the span with what lies before and after it against the clock."""
        kinds = self.device_ms
        overlap = sum(kinds.values()) - self.busy_ms
        if overlap < 1e-6:  # a nanosecond is the finest that anything here is measured in; less is rounding
            overlap = 0.0
        return AddsUp(kinds, overlap, self.idle_ms, self.before_ms, self.after_ms, self.span_ms, self.wall_ms)

    def table(self) -> pandas.DataFrame:
        """One row a kind, with `lane`, `kind`, `count`, `bytes`, `ms`, `share of span`.

        The device's kinds and its idle time add up to the row `span` where nothing overlapped; span, `before` (no event
        has begun) and `after` (all are done) to the clock's time. The host's rows have no share: they are beside the
        device's time, not part of it.
        """
        import pandas as pd

        span, counts = self.span_ms, self.counts
        rows: list[tuple[str, str, int, int, float, float]] = []
        moved = self.device_bytes
        for kind, ms in self.device_ms.items():
            rows.append(("device", kind, counts[kind], moved[kind], ms, _share(ms, span)))
        if rows:
            gaps = self.totals.gaps if self.totals else len(merged(self.lane("device"))) - 1
            rows.append(("device", "idle", gaps, 0, self.idle_ms, _share(self.idle_ms, span)))
            count = sum(counts[kind] for kind in moved)
            rows.append(("device", "span", count, sum(moved.values()), span, _share(span, span)))
            rows.append(("device", "before", 0, 0, self.before_ms, float("nan")))
            rows.append(("device", "after", 0, 0, self.after_ms, float("nan")))
        for kind, ms in self.host_ms.items():
            nbytes = sum(one.nbytes for one in self.lane("host", kind))
            rows.append(("host", kind, counts[kind], nbytes, ms, float("nan")))
        return pd.DataFrame(rows, columns=["lane", "kind", "count", "bytes", "ms", "share of span"])

    def compact(self, gap_ms: float) -> Timeline:
        """The same with neighbours of one lane, kind and stream joined where less than `gap_ms` lies between them.

        For a picture or a small file: thousands of kernels become the stretches that an eye can tell apart. Sums and
        counts stay those of the whole record (`totals`).
        """
        joined: list[Interval] = [*self.lane("ranges")]
        rows: dict[tuple[str, str, int], list[Interval]] = {}
        for one in self.intervals:
            if one.lane != "ranges":
                rows.setdefault((one.lane, one.kind, one.stream), []).append(one)
        for (lane, kind, stream), those in rows.items():
            names, first, last, nbytes = [those[0].name], those[0].start_ms, those[0].end_ms, those[0].nbytes
            for one in those[1:]:
                if one.start_ms - last < gap_ms:
                    names, last, nbytes = [*names, one.name], max(last, one.end_ms), nbytes + one.nbytes
                    continue
                joined.append(Interval(lane, kind, _several(names), first, last, nbytes, stream))
                names, first, last, nbytes = [one.name], one.start_ms, one.end_ms, one.nbytes
            joined.append(Interval(lane, kind, _several(names), first, last, nbytes, stream))
        gaps = max(0, len(merged(self.lane("device"))) - 1)
        totals = self.totals or Totals(self.device_ms, self.host_ms, self.busy_ms, self.idle_ms, gaps, self.counts)
        return Timeline(tuple(joined), self.wall_ms, self.source, self.unfinished, totals)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as JSON, for `Timeline.load`."""
        rows = [list(asdict(one).values()) for one in self.intervals]
        for row in rows:
            row[3], row[4] = round(row[3], 6), round(row[4], 6)  # to the nanosecond
        with replacing(path) as part:
            lines = ",\n  ".join(json.dumps(row) for row in rows)
            head = {"wall_ms": self.wall_ms, "source": self.source, "unfinished": self.unfinished}
            head |= {"totals": asdict(self.totals)} if self.totals else {}
            part.write_text(
                json.dumps(head)[:-1] + ',\n "columns": ' + json.dumps(list(Interval.__slots__))
                + f',\n "intervals": [\n  {lines}\n]}}\n',
                encoding="utf-8",
            )  # fmt: skip
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Timeline:
        """A timeline that `save` wrote. Raises TimelineError where the file is no such thing."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            rows = tuple(Interval(**dict(zip(data["columns"], row, strict=True))) for row in data["intervals"])
            totals = Totals(**data["totals"]) if "totals" in data else None
            return cls(rows, float(data["wall_ms"]), data["source"], int(data["unfinished"]), totals)
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise TimelineError(
                f"{path} is no saved timeline ({type(error).__name__}: {error}). Expected a file that Timeline.save "
                "wrote; capture it again."
            ) from None

    def __repr__(self) -> str:
        if not self.lane("device"):
            return f"Timeline(no device work, {self.wall_ms:,.3f} ms by the clock)"
        waiting = f"; {self.unfinished} operations had not run" if self.unfinished else ""
        moved = ", ".join(f"{kind} {size(n)}" for kind, n in self.device_bytes.items() if n)
        return f"Timeline({self.adds_up}; copied: {moved or 'nothing'}{waiting})"


def merged(intervals: Iterable[Interval]) -> list[tuple[float, float]]:
    """The stretches of time that `intervals` cover, in order and apart from each other."""
    stretches: list[tuple[float, float]] = []
    for start, end in sorted((one.start_ms, one.end_ms) for one in intervals):
        if stretches and start <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(end, stretches[-1][1]))
        else:
            stretches.append((start, end))
    return stretches


def length(stretches: Sequence[tuple[float, float]]) -> float:
    """How long `stretches` are together."""
    return sum(end - start for start, end in stretches)


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _several(names: Sequence[str]) -> str:
    unlike = list(dict.fromkeys(names))
    if len(unlike) == 1:
        return unlike[0] if len(names) == 1 else f"{len(names)} x {unlike[0]}"
    return f"{len(names)}: {unlike[0]} ... {unlike[-1]}"
