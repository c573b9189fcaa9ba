"""Intervals on a GPU: from torch.profiler, which sees the CUDA work of the whole process, whoever enqueued it.

The device's lane is complete: kernels, copies and memsets of PyTorch, ONNX Runtime, TensorRT and pycuda. Of the host's
calls the profiler has those of the CUDA runtime, and of the driver's API only launches. What pycuda calls (it uses the
driver's API alone) is therefore timed here, by wrapping its functions while a capture runs.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import json
import re
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from .intervals import HOST_KINDS, Interval, TimelineError

ANCHOR = "timeline.capture"
_CLOCKS_MS = 0.05  # what the profiler's clock and ours may differ by
_SUFFIX = re.compile(r"(_v\d+|_ptsz|_ptds)+$")
_WAIT = re.compile(r"Synchronize$")
_MEMORY = re.compile(r"^cu(da)?(Malloc|MemAlloc|HostAlloc|MemHostAlloc|Free|MemFree|HostRegister|MemCreate|MemRelease)")
_ENQUEUE = re.compile(r"Launch|Memcpy|Memset|EventRecord|StreamWaitEvent")


class Profiler:  # pragma: no cover - needs a GPU
    """torch.profiler around a block, and pycuda's calls in it."""

    def __init__(self) -> None:
        from torch.profiler import ProfilerActivity, profile

        self._profile = profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])
        self._watch = contextlib.ExitStack()
        self._calls: list[Call] = []
        self._anchor: Any = None
        self._anchor_ns = 0
        self._since = 0

    def start(self) -> None:
        """Begin to record. The first time in a process this takes seconds."""
        from helpers import backend

        self._profile.__enter__()
        try:
            self._anchor, self._anchor_ns = anchor()
            self._since = backend.record_length() if backend.current() else 0
            driver = sys.modules.get("pycuda.driver")
            # our own front end has a record of its own
            if driver is not None and not driver.__name__.startswith("helpers."):
                self._calls = self._watch.enter_context(watched(driver))
        except BaseException:
            self._profile.__exit__(None, None, None)
            raise

    def stop(self) -> None:
        """End the recording; waits for the device."""
        self._watch.close()
        self._anchor.__exit__(None, None, None)
        self._profile.__exit__(None, None, None)

    def intervals(self, began_ns: int, ended_ns: int) -> tuple[list[Interval], int]:
        """Device's and host's lanes, and how much of the device's work began after the block's end."""
        from helpers import backend

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            self._profile.export_chrome_trace(str(path))
            trace = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        others = list(self._calls)
        if backend.current() is not None:
            others += recorded(backend.record(self._since), ended_ns)
        return assemble(trace.get("traceEvents", ()), others, self._anchor_ns, began_ns, ended_ns)


Call = tuple[str, str, int, int, int]
"""A call of the host: kind, name, start and end in perf_counter_ns, bytes."""


def anchor() -> tuple[Any, int]:
    """Begin a range in the profiler's trace, and tell when by `time.perf_counter_ns`: it ties the two clocks together.

    Right to within some microseconds, the time that beginning a range takes.
    """
    from torch.profiler import record_function

    with record_function("warm-up"):  # the first one takes longer
        pass
    range_ = record_function(ANCHOR)
    before = time.perf_counter_ns()
    range_.__enter__()
    return range_, (before + time.perf_counter_ns()) // 2


def assemble(
    events: Iterable[dict[str, Any]], calls: Iterable[Call], anchor_ns: int, began_ns: int, ended_ns: int
) -> tuple[list[Interval], int]:
    """The lanes of device and host, from a profiler's trace and from calls that were timed beside it.

    Args:
        events: `traceEvents` of the trace that `export_chrome_trace` writes; times in microseconds.
        calls: of the host, by `time.perf_counter_ns`. Of a kind that the trace has from the driver's API they are left
            out, so that none counts twice.
        anchor_ns: when the range `ANCHOR` of the trace began, by `time.perf_counter_ns`.
        began_ns, ended_ns: the block, by the same clock.

    Returns the intervals, and how many pieces of device work began after the block's end; those are left out.

    Raises TimelineError where the trace has no range `ANCHOR`.
    """
    events = [event for event in events if event.get("ph") == "X" and "ts" in event]
    marks = [float(event["ts"]) for event in events if event.get("name") == ANCHOR]
    if not marks:
        raise TimelineError(
            f"The profiler's trace lacks the range {ANCHOR!r}, so that its clock cannot be read. Is another"
            " torch.profiler running in this process? One can run at a time."
        )
    shift = anchor_ns - began_ns - min(marks) * 1e3  # from the trace's clock to nanoseconds since the block began
    wall = (ended_ns - began_ns) / 1e6
    found: list[Interval] = []
    late = 0
    seen: set[str] = set()  # kinds of calls that the trace has from the driver's API
    for event in events:
        placed = _device(event) or _host(event)
        if placed is None:
            continue
        lane, kind, name = placed
        start = (float(event["ts"]) * 1e3 + shift) / 1e6
        end = start + float(event.get("dur", 0)) / 1e3
        if end < 0 or start > wall:
            late += lane == "device" and start > wall
            continue
        if event.get("cat") == "cuda_driver" and "Launch" not in name:
            seen.add(kind)
        found.append(Interval(lane, kind, name, start, end, _nbytes(event), _stream(event)))
    for kind, name, start_ns, end_ns, nbytes in calls:
        if kind not in seen:
            start, end = (start_ns - began_ns) / 1e6, (end_ns - began_ns) / 1e6
            found.append(Interval("host", kind, name, start, max(start, end), nbytes))
    return blocking(found), late


def blocking(intervals: Iterable[Interval]) -> list[Interval]:
    """The same, with calls that copied to pageable memory as waits: asynchronous by name, they return when it is done.

    "For transfers from device memory to pageable host memory, the function will return only once the copy has
    completed" (CUDA Driver API, "API synchronization behavior").
    """
    intervals = list(intervals)
    ends = sorted(one.end_ms for one in intervals if one.lane == "device" and "-> Pageable" in one.name)

    def held_up(one: Interval) -> bool:
        if one.kind != "enqueue" or "memcpy" not in one.name.lower():
            return False
        at = bisect.bisect_left(ends, one.start_ms)
        return at < len(ends) and ends[at] <= one.end_ms + _CLOCKS_MS

    return [replace(one, kind="wait", name=f"blocking {one.name}") if held_up(one) else one for one in intervals]


def _device(event: dict[str, Any]) -> tuple[str, str, str] | None:
    category, name = event.get("cat"), str(event.get("name", ""))
    if category == "kernel":
        return "device", "compute", name
    if category == "gpu_memset":
        return "device", "memset", name
    if category == "gpu_memcpy":
        way = {"HtoD": "h2d", "HtoA": "h2d", "DtoH": "d2h", "AtoH": "d2h"}
        return "device", next((kind for letters, kind in way.items() if letters in name), "d2d"), name
    return None


def _host(event: dict[str, Any]) -> tuple[str, str, str] | None:
    if event.get("cat") not in ("cuda_runtime", "cuda_driver"):
        return None
    name = _SUFFIX.sub("", str(event.get("name", "")))
    if _WAIT.search(name):
        return "host", "wait", name
    if _MEMORY.search(name):
        return "host", "allocate", name
    if _ENQUEUE.search(name):
        # without Async in its name a copy returns when it is done
        return "host", "wait" if "Memcpy" in name and "Async" not in name else "enqueue", name
    return None


def _nbytes(event: dict[str, Any]) -> int:
    value = event.get("args", {}).get("bytes", 0)
    return int(value) if isinstance(value, int | float) else 0


def _stream(event: dict[str, Any]) -> int:
    value = event.get("args", {}).get("stream", 0)
    return int(value) if isinstance(value, int | float) else 0


def recorded(events: Iterable[dict[str, Any]], ended_ns: int) -> list[Call]:
    """The host's calls in the record of our own front end on a GPU; no executions: their launches are traced."""
    from . import record

    those = [event for event in events if event["enqueued_ns"] <= ended_ns and event["op"] != "execute"]
    rows, _ = record.intervals(those, 0)
    return [
        (one.kind, one.name, round(one.start_ms * 1e6), round(one.end_ms * 1e6), one.nbytes)
        for one in rows
        if one.lane == "host" and one.kind in HOST_KINDS
    ]


# --- pycuda's calls ---------------------------------------------------------------------------------------------------

_FUNCTIONS = {
    "mem_alloc": "allocate", "mem_alloc_pitch": "allocate",
    "pagelocked_empty": "allocate", "pagelocked_zeros": "allocate",
    "memcpy_htod": "wait", "memcpy_dtoh": "wait", "memcpy_dtod": "wait",
    "memcpy_htod_async": "enqueue", "memcpy_dtoh_async": "enqueue", "memcpy_dtod_async": "enqueue",
}  # fmt: skip
_METHODS = {
    ("Stream", "synchronize"): "wait",
    ("Event", "synchronize"): "wait",
    ("Event", "record"): "enqueue",
    ("Context", "synchronize"): "wait",
    ("DeviceAllocation", "free"): "allocate",
    ("Memcpy2D", "__call__"): "enqueue",
}


@contextlib.contextmanager
def watched(driver: Any) -> Iterator[list[Call]]:
    """Time the calls of `pycuda.driver` while the block runs: a list that fills.

    Wraps functions in the module `driver` and methods of its classes, and puts back what was there. A device allocation
    that is collected is a free too: its moment is known, not how long it took.
    """
    calls: list[Call] = []
    lock = threading.Lock()

    def note(kind: str, name: str, start: int, end: int, nbytes: int) -> None:
        with lock:
            calls.append((kind, name, start, end, nbytes))

    def freed(nbytes: int) -> None:
        now = time.perf_counter_ns()
        note("allocate", "a collected DeviceAllocation", now, now, nbytes)

    def timed(function: Callable[..., Any], kind: str, name: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            if name == "DeviceAllocation.free" and (finalizer := collected.pop(id(arguments[0]), None)):
                finalizer.detach()  # this free is noted here
            start = time.perf_counter_ns()
            try:
                result = function(*arguments, **named)
            finally:
                end = time.perf_counter_ns()
            nbytes = 0
            if name == "mem_alloc":
                nbytes = int(arguments[0] if arguments else named.get("bytes", 0))
                with contextlib.suppress(TypeError):  # where the class allows no weak reference
                    collected[id(result)] = weakref.finalize(result, freed, nbytes)
            elif hasattr(result, "nbytes"):
                nbytes = int(result.nbytes)
            note(kind, name, start, end, nbytes)
            return result

        return call

    collected: dict[int, weakref.finalize[Any, Any]] = {}
    with contextlib.ExitStack() as undo:
        for name, kind in _FUNCTIONS.items():
            if hasattr(driver, name):
                _replace(undo, driver, name, timed(getattr(driver, name), kind, name))
        for (owner, name), kind in _METHODS.items():
            held = getattr(driver, owner, None)
            if isinstance(held, type) and hasattr(held, name):
                kept = vars(held).get(name)
                said = f"{owner}.{name}" if name != "__call__" else owner
                wrapped: Any = timed(getattr(held, name), kind, said)
                _replace(undo, held, name, staticmethod(wrapped) if isinstance(kept, staticmethod) else wrapped)
        try:
            yield calls
        finally:
            for one in collected.values():
                one.detach()


def _replace(undo: contextlib.ExitStack, owner: Any, name: str, value: Any) -> None:
    inherited = name not in vars(owner)
    before = None if inherited else vars(owner)[name]
    try:
        setattr(owner, name, value)
    except (AttributeError, TypeError):  # a class that lets nobody write to it is left unwatched
        return
    undo.callback(*((delattr, owner, name) if inherited else (setattr, owner, name, before)))
