"""Intervals from the simulated device's record of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .intervals import Interval

_WORK = {
    "htod": "h2d", "dtoh": "d2h", "dtod": "d2d", "memset": "memset", "execute": "compute", "inference": "compute",
}  # fmt: skip
_MEMORY = {
    "alloc": "allocate device memory",
    "free": "free device memory",
    "host_alloc": "allocate pinned memory",
    "host_free": "free pinned memory",
    "engine_load": "load an engine",
    "context_create": "create an execution context",
}
_SAID = {
    "htod": "copy host to device",
    "dtoh": "copy device to host",
    "dtod": "copy device to device",
    "memset": "memset",
    "execute": "execute",
    "inference": "inference",
}
# Marks in a stream, and a wait of one stream for another: they take the host's time, not the device's.
_ENQUEUED = {"event_record": "record an event", "wait_event": "stream waits for an event"}


def intervals(events: Sequence[dict[str, Any]], origin_ns: int) -> tuple[list[Interval], int]:
    """What `backend.record()` holds, in two lanes, and how much enqueued work has not run.

    Args:
        events: rows of the record.
        origin_ns: `time.perf_counter_ns()` of the moment that becomes 0 ms.

    Device work lasts from `started_ns` to `finished_ns`, when it ran. The host's enqueueing is the moment of
    `enqueued_ns`; a blocking copy is a wait from then on, because the host goes on only when it is done.
    """
    found: list[Interval] = []
    unfinished = 0

    def add(lane: str, kind: str, name: str, start_ns: int, end_ns: int, event: dict[str, Any]) -> None:
        start, end = (start_ns - origin_ns) / 1e6, (end_ns - origin_ns) / 1e6
        found.append(Interval(lane, kind, name, start, max(start, end), event["nbytes"], event["stream"]))

    for event in events:
        op, called = event["op"], event["enqueued_ns"]
        start, end = event["started_ns"] or called, event["finished_ns"] or called
        if op in _WORK:
            name = f"{_SAID[op]} {event['tensor']}".strip()
            if event["finished_ns"]:
                add("device", _WORK[op], name, start, end, event)
            else:
                unfinished += 1
            if event["memory"].endswith("synchronous"):
                add("host", "wait", f"blocking {name}", called, end, event)
            else:
                add("host", "enqueue", name, called, called, event)
        elif op in _ENQUEUED:
            add("host", "enqueue", _ENQUEUED[op], called, called, event)
        elif op in _MEMORY:
            add("host", "allocate", _MEMORY[op], start, end, event)
        elif op == "synchronize":
            add("host", "wait", f"synchronise with the {event['waited_for']}", start, end, event)
    return found, unfinished
