"""What is known of each piece of memory: who touched which bytes, and which of them were ever written."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..simulator.memory import Rows
from .clocks import Clock
from .order import knows, mine
from .places import Site

# What fresh pinned memory holds: a pattern that no data has. Where it is still there, nobody has written.
PATTERN = np.frombuffer(bytes.fromhex("a75cd391e86b1f4a9d37c2508ef4b61d"), np.uint8)
_GRAIN = 4  # bytes of the pattern in a row that count as "still there"
WRITERS = 256
_LATEST = 8


class Intervals:
    """A set of bytes, as intervals that neither touch nor overlap."""

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        if end <= start:
            return
        first = bisect.bisect_left(self._ends, start)
        last = bisect.bisect_right(self._starts, end)
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def remove(self, start: int, end: int) -> None:
        gaps = [(a, b) for a, b in self if b <= start or a >= end]
        gaps += [(a, start) for a, b in self if a < start < b] + [(end, b) for a, b in self if a < end < b]
        gaps.sort()
        self._starts, self._ends = [a for a, _ in gaps], [b for _, b in gaps]

    def missing(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of [start, end) that are not in the set."""
        starts, ends = self._starts, self._ends
        place = bisect.bisect_right(starts, start) - 1
        if place >= 0 and ends[place] >= end:  # nearly always
            return []
        gaps = []
        for a, b in zip(starts[max(place, 0) :], ends[max(place, 0) :], strict=True):
            if a >= end:
                break
            if start < a:
                gaps.append((start, a))
            start = max(start, b)
        if start < end:
            gaps.append((start, end))
        return gaps

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(list(zip(self._starts, self._ends, strict=True)))


@dataclass(slots=True, eq=False)
class Access:
    """What one operation did to some bytes.

    Attributes:
        agent, number: the stream and the operation's number in it.
        rows: which bytes.
        what: "a copy from host to device", "an execution", ...
        context: of an execution, which; else 0.
    """

    agent: int
    number: int
    rows: Rows
    start: int
    end: int
    write: bool
    where: Site | None
    what: str
    context: int


class Shadow:
    """What is known of an allocation, of pinned memory, or of an execution context's own memory.

    Attributes:
        kind: "device memory", "pinned memory" or "execution context".
        start: its address.
        made, freed: where in the program; `freed` is None while it lives.
        raw: whether the program itself must free it.
        accesses: by operations of which the host does not know that they are over.
        written: the bytes that hold something.
        writers: where an offset was last written from.
    """

    __slots__ = (
        "accesses",
        "by_reset",
        "freed",
        "gone",
        "kind",
        "made",
        "nbytes",
        "raw",
        "start",
        "tainted",
        "tainted_at",
        "tensor",
        "threads",
        "told",
        "writers",
        "written",
    )

    def __init__(self, kind: str, start: int, nbytes: int, made: Site | None, raw: bool = False) -> None:
        self.kind = kind
        self.start = start
        self.nbytes = nbytes
        self.made = made
        self.raw = raw
        self.freed: Site | None = None
        self.gone = False
        self.by_reset = False
        self.told = False  # a host access without order was noted: its content may be anything
        self.tensor = ""
        self.accesses: list[Access] = []
        self.threads: dict[int, list[tuple[int, Access]]] = {}  # thread -> its latest accesses, at which of its times
        self.written = Intervals()
        self.tainted = Intervals()  # pinned memory that a copy filled from device memory which holds nothing
        self.tainted_at: Site | None = None
        self.writers: dict[int, Site | None] = {}

    def touch(
        self,
        rows: Rows,
        write: bool,
        agent: int,
        clock: Clock,
        host: Clock,
        where: Site | None,
        what: str,
        context: int = 0,
    ) -> Access | None:
        """Note an access by the operation `clock[agent]` of a stream. Returns an access that nothing orders with it.

        Those that the host knows to be over come before everything from now on, and are forgotten. So are those that
        this one stands for: of the same stream, within its bytes, and no more than it is.
        """
        start, end = rows.start, rows.start + rows.extent
        clash: Access | None = None
        if self.accesses:
            kept = []
            for access in self.accesses:
                other, number = access.agent, access.number
                if host.get(other, 0) >= number:
                    continue
                if access.start < end and start < access.end:
                    if other == agent:
                        within = start <= access.start and access.end <= end and rows.whole
                        if (write or not access.write) and (within or rows == access.rows):
                            continue
                    elif (write or access.write) and clock.get(other, 0) < number and rows.overlap(access.rows):
                        clash = access
                kept.append(access)
            self.accesses = kept
        self.accesses.append(Access(agent, clock[agent], rows, start, end, write, where, what, context))
        return clash

    def across_threads(self, access: Access) -> Access | None:
        """Note which thread enqueued an access; an earlier one by a thread that nothing orders with this one.

        What that thread waited for does not help: this one does not know that it has. Work on one stream is in order
        whoever enqueues it.
        """
        me, clash = mine(), None
        for thread, latest in self.threads.items():
            for when, other in latest if thread != me.number else ():
                both = (access.write or other.write) and other.agent != access.agent
                if both and not knows(thread, when) and access.rows.overlap(other.rows):
                    clash = other
        own = self.threads.setdefault(me.number, [])
        own[:] = [each for each in own if each[1].rows != access.rows or each[1].write > access.write][-_LATEST:]
        own.append((me.clock[me.number], access))
        return clash

    def pending(self, rows: Rows, write: bool, host: Clock) -> Access | None:
        """An access of these bytes that may still go on while the host reads (or writes) them; the latest such."""
        if not self.accesses:
            return None
        self.accesses = [a for a in self.accesses if host.get(a.agent, 0) < a.number]
        start, end = rows.start, rows.start + rows.extent
        for access in reversed(self.accesses):
            if (write or access.write) and access.start < end and start < access.end and rows.overlap(access.rows):
                return access
        return None

    @property
    def full(self) -> bool:
        """Whether all of its bytes hold something."""
        return not self.written.missing(0, self.nbytes)

    @property
    def quiet(self) -> bool:
        """Whether no access of it, by whomever, can be a mistake of the host's."""
        return not self.accesses and not self.gone and not self.tainted

    def fill(self, rows: Rows, where: Site | None) -> None:
        """These bytes hold something now."""
        for start, end in each(rows):
            self.written.add(start, end)
        if len(self.writers) >= WRITERS:
            del self.writers[next(iter(self.writers))]
        self.writers.pop(rows.start, None)
        self.writers[rows.start] = where

    def writer(self, offset: int) -> Site | None:
        """Where the bytes at `offset` were written, as far as that is remembered."""
        below = [start for start in self.writers if start <= offset]
        return self.writers[max(below)] if below else None

    def unwritten(self, rows: Rows) -> list[tuple[int, int]]:
        """The parts of these bytes that nobody has written."""
        if rows.whole:
            return self.written.missing(rows.start, rows.start + rows.extent)
        return [gap for start, end in each(rows) for gap in self.written.missing(start, end)]


def each(rows: Rows) -> Iterator[tuple[int, int]]:
    """(start, end) of each row; of rows without gaps, of all together."""
    if rows.whole:
        yield rows.start, rows.start + rows.extent
        return
    for row in range(rows.rows):
        start = rows.start + row * rows.pitch
        yield start, start + rows.width


def lay_pattern(data: np.ndarray) -> None:
    """Fill fresh pinned memory (uint8)."""
    whole = len(data) // len(PATTERN) * len(PATTERN)
    data[:whole].reshape(-1, len(PATTERN))[...] = PATTERN
    data[whole:] = PATTERN[: len(data) - whole]


def still_pattern(data: np.ndarray, start: int, end: int) -> list[tuple[int, int]]:
    """The parts of [start, end) of pinned memory that still hold the pattern."""
    expected = np.resize(np.roll(PATTERN, -(start % len(PATTERN))), end - start)
    same = np.flatnonzero(np.diff(np.concatenate(([0], (data[start:end] == expected).view(np.int8), [0]))))
    runs = same.reshape(-1, 2) + start
    return [(int(a), int(b)) for a, b in runs if b - a >= min(_GRAIN, end - start)]
