"""Memory by address: which piece an address lies in, those that were freed too."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterator

from .memory import Shadow
from .places import Site

FREED_LIMIT = 2_000  # freed pieces that are remembered, to say where


class Shadows:
    """All pieces of one address space."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._by_start: dict[int, Shadow] = {}
        self._order: deque[Shadow] = deque()
        self.gone: deque[Shadow] = deque(maxlen=FREED_LIMIT)

    def add(self, shadow: Shadow) -> None:
        """A new piece; what was freed at the same addresses is no longer found by them."""
        end = shadow.start + shadow.nbytes
        first = bisect.bisect_left(self._starts, shadow.start)
        while first < len(self._starts) and self._starts[first] < end:
            self._drop(self._by_start[self._starts[first]])
        below = self.at(shadow.start)
        if below is not None:
            self._drop(below)
        bisect.insort(self._starts, shadow.start)
        self._by_start[shadow.start] = shadow

    def _drop(self, shadow: Shadow) -> None:
        del self._by_start[shadow.start]
        del self._starts[bisect.bisect_left(self._starts, shadow.start)]

    def at(self, address: int) -> Shadow | None:
        """The piece that an address lies in, freed or not."""
        place = bisect.bisect_right(self._starts, address) - 1
        if place < 0:
            return None
        shadow = self._by_start[self._starts[place]]
        return shadow if address < shadow.start + shadow.nbytes else None

    def below(self, address: int) -> Shadow | None:
        """The last piece that begins at or below an address."""
        place = bisect.bisect_right(self._starts, address) - 1
        return self._by_start[self._starts[place]] if place >= 0 else None

    def freed_at(self, address: int) -> Shadow | None:
        shadow = self.at(address)
        return shadow if shadow is not None and shadow.gone else None

    def free(self, start: int, where: Site | None, by_reset: bool = False) -> None:
        shadow = self._by_start.get(start)
        if shadow is None or shadow.gone:
            return
        shadow.gone, shadow.freed, shadow.by_reset = True, where, by_reset
        shadow.accesses.clear()
        if len(self.gone) == FREED_LIMIT and self._by_start.get(self.gone[0].start) is self.gone[0]:
            self._drop(self.gone[0])
        self.gone.append(shadow)

    def reset(self, where: Site | None) -> None:
        for shadow in self:
            self.free(shadow.start, where, True)

    def __iter__(self) -> Iterator[Shadow]:
        return iter(list(self._by_start.values()))
