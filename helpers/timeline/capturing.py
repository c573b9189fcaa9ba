"""`capture` and `span`: take a timeline of what runs in a block."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from helpers import backend

from . import record
from .intervals import Interval, Timeline, TimelineError

_current: Capture | None = None
_lock = threading.Lock()


class Capture:
    """What `capture` returns: the block's timeline, once the block has ended."""

    def __init__(self) -> None:
        self._spans: list[tuple[str, int, int]] = []  # name, start and end in perf_counter_ns
        self._began = 0
        self._ended = 0
        self._since = 0
        self._profiler: Any = None
        self._timeline: Timeline | None = None

    @property
    def timeline(self) -> Timeline:
        """What happened in the block. Raises TimelineError while it is running, or where it cannot be read."""
        if self._timeline is None:
            if not self._ended:
                raise TimelineError("The timeline is there when the block of capture() has ended; it is running, or"
                                    " was never entered. Read it behind the with statement.")  # fmt: skip
            self._timeline = self._read()
        return self._timeline

    def __enter__(self) -> Capture:
        global _current
        with _lock:
            if _current is not None:
                raise TimelineError("A timeline is being captured already, and one is taken at a time. End that block.")
            if self._began:
                raise TimelineError("This capture has been used. Call timeline.capture() again for the next one.")
            _current = self
        try:
            self._start()
        except BaseException:
            _current = None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _current
        self._ended = time.perf_counter_ns()
        _current = None
        if self._profiler is not None:
            self._profiler.stop()
        elif kind is None:
            self._timeline = self._read()  # now, because the record goes on, and forgets its oldest events

    def _start(self) -> None:
        active = backend.current()
        if active is not None and active.gpu:  # pragma: no cover - needs a GPU
            from .trace import Profiler

            self._profiler = Profiler()
            self._profiler.start()
        elif active is not None:
            self._since = backend.record_length()
        self._began = time.perf_counter_ns()

    def _read(self) -> Timeline:
        wall = (self._ended - self._began) / 1e6
        found = [
            Interval("ranges", "range", name, max(start - self._began, 0) / 1e6, (end - self._began) / 1e6)
            for name, start, end in self._spans
        ]
        active = backend.current()
        if self._profiler is not None:  # pragma: no cover - needs a GPU
            work, unfinished = self._profiler.intervals(self._began, self._ended)
            source = f"{active.engine if active else 'a GPU'}; torch.profiler"
            return Timeline(tuple(found + work), wall, source, unfinished)
        if active is None:
            return Timeline(tuple(found), wall)
        events = [event for event in backend.record(self._since) if event["enqueued_ns"] <= self._ended]
        if events and events[0]["index"] > self._since:
            raise TimelineError(
                f"The block made more events than the {len(events):,} that the simulated device still has on record."
                " Capture fewer steps at a time."
            )
        work, unfinished = record.intervals(events, self._began)
        return Timeline(tuple(found + work), wall, f"{active.engine}; the simulated device's record", unfinished)


def capture() -> Capture:
    """A context manager that records what device and host do in its block; `.timeline` has it afterwards.

    On the simulator the lanes come from the device's record, on a GPU from `torch.profiler`, whose own cost falls into
    what is measured. Warm up first, and synchronise inside the block: what has not run when it ends is not in the
    picture (`Timeline.unfinished` counts it). Before `backend.activate()`, and for PyTorch on a CPU, only the ranges
    are recorded.

    Raises TimelineError where one is running already.
    """
    return Capture()


@contextlib.contextmanager
def span(name: str) -> Iterator[None]:
    """Name a stretch of time: a range in the timeline that is being captured, and an NVTX range for Nsight Systems.

    The NVTX range is pushed where the package `nvtx` is installed (the extra `gpu` brings it). Without a capture and
    without a profiler the block just runs.
    """
    marker = _nvtx()
    began = time.perf_counter_ns()
    try:
        with marker.annotate(name) if marker else contextlib.nullcontext():
            yield
    finally:
        if _current is not None:
            _current._spans.append((name, began, time.perf_counter_ns()))


@functools.cache
def _nvtx() -> Any:
    return importlib.import_module("nvtx") if importlib.util.find_spec("nvtx") else None
