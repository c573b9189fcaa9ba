"""Happens-before: which work is certain to come before which, whatever order this run happened to show.

A vector clock maps an agent (a stream, by its handle) to how many of its operations are known to be over. Each stream
has one, each recorded event, and the host. After PyTorch's CUDA stream sanitizer (torch/cuda/_sanitizer.py) and the
CUDA Driver API reference ("Stream synchronization behavior"):

* An operation comes after all that its stream has done, and after all that the host knew to be over when it enqueued
  it.
* An event carries its stream's clock at the place where it was recorded; whoever waits for it takes that over.
* The legacy default stream waits for all blocking streams, and they wait for it; non-blocking streams do neither.
* The host learns of work by waiting, or by a query that says that it is over. Threads of the host share one clock: how
  they wait for each other is not asked, so that nothing is called a race that a queue between them may have ordered.
"""

from __future__ import annotations

import threading

Clock = dict[int, int]

DEFAULT_STREAM = 0


def join(clock: Clock, other: Clock) -> None:
    """Let `clock` know what `other` knows."""
    for agent, count in other.items():
        if clock.get(agent, 0) < count:
            clock[agent] = count


class Clocks:
    """The clocks of one device. Safe to use from several threads."""

    def __init__(self) -> None:
        self.host: Clock = {}
        self.streams: dict[int, Clock] = {DEFAULT_STREAM: {}}
        self.events: dict[int, Clock] = {}
        self._blocking: set[int] = set()
        self._seen: dict[int, int] = {}  # stream -> the version of the host's clock that it has taken over
        self._version = 0
        self._lock = threading.Lock()

    def create(self, stream: int, blocking: bool) -> None:
        with self._lock:
            self.streams[stream] = {}
            if blocking:
                self._blocking.add(stream)

    def destroy(self, stream: int) -> None:
        """Forget a destroyed stream as soon as the host knows that all of its work is over."""
        with self._lock:
            clock = self.streams.get(stream)
            if clock is not None and self.host.get(stream, 0) >= clock.get(stream, 0):
                del self.streams[stream]
                self._blocking.discard(stream)
                self._seen.pop(stream, None)

    def tick(self, stream: int) -> Clock:
        """The next operation of a stream: its clock, of which `clock[stream]` is the operation's own number."""
        with self._lock:
            clock = self.streams.get(stream)
            if clock is None:  # a stream within a graph
                clock = self.streams[stream] = {}
            if self._seen.get(stream) != self._version:
                self._seen[stream] = self._version
                join(clock, self.host)
            if stream == DEFAULT_STREAM:
                for other in self._blocking:
                    join(clock, self.streams[other])
            elif stream in self._blocking and self.streams[DEFAULT_STREAM]:
                join(clock, self.streams[DEFAULT_STREAM])
            clock[stream] = clock.get(stream, 0) + 1
            return clock

    def take_over(self, stream: int, other: Clock) -> None:
        """What comes on the stream from now on comes after all that `other` knows."""
        with self._lock:
            join(self.streams[stream], other)

    def record(self, event: int, stream: int) -> None:
        with self._lock:
            self.events[event] = dict(self.streams[stream])

    def wait(self, stream: int, event: int) -> None:
        """An event that was never recorded is nothing to wait for."""
        recorded = self.events.get(event)
        if recorded is not None:
            self.take_over(stream, recorded)

    # --- the host ---

    def _learn(self, *clocks: Clock) -> None:
        known = dict(self.host)
        for clock in clocks:
            join(known, clock)
        if known != self.host:
            self.host = known
            self._version += 1

    def host_waits(self, stream: int) -> None:
        """The host knows that all work of a stream is over; for the default stream, of the blocking streams too."""
        with self._lock:
            if stream == DEFAULT_STREAM:
                self._learn(self.streams[stream], *(self.streams[other] for other in self._blocking))
            elif stream in self.streams:
                self._learn(self.streams[stream])

    def host_waits_for_event(self, event: int) -> None:
        with self._lock:
            self._learn(self.events.get(event, {}))

    def host_waits_for_all(self) -> None:
        with self._lock:
            self._learn(*self.streams.values())

    def reset(self) -> None:
        """The CUDA context ended: nothing is in flight any more, and only the default stream is left."""
        self.host_waits_for_all()
        with self._lock:
            self.streams = {DEFAULT_STREAM: {}}
            self.events.clear()
            self._blocking.clear()
            self._seen.clear()

    def over(self, agent: int, number: int) -> bool:
        """Whether the host knows that an operation is over."""
        return self.host.get(agent, 0) >= number
