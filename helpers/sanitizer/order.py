"""The clocks of the host's threads: what of each other they are sure to come after."""

from __future__ import annotations

import itertools
import threading

from .clocks import Clock

_local = threading.local()
_numbers = itertools.count(1)


class Mine:
    """A thread's own clock, and its number there."""

    __slots__ = ("clock", "number")

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.clock: Clock = {self.number: 1}


def mine() -> Mine:
    found: Mine | None = getattr(_local, "mine", None)
    if found is None:
        found = _local.mine = Mine()
    return found


def send() -> Clock:
    """What this thread hands on; what it does from now on is not in it."""
    me = mine()
    sent = dict(me.clock)
    me.clock[me.number] += 1
    return sent


def knows(thread: int, number: int) -> bool:
    """Whether this thread comes after what another one did while its own clock said `number`."""
    return mine().clock.get(thread, 0) >= number
