"""Stand-in for TODO 6 of Exercise 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def read_timeline(events: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Milliseconds of the device's copies and executions, idle between them, and from first to last."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    work = sorted((e for e in events if e["op"] in kinds), key=lambda e: e["started_ns"])
    sums = dict.fromkeys(kinds.values(), 0)
    busy = 0
    reached = first = work[0]["started_ns"] if work else 0
    for event in work:
        start, end = event["started_ns"], event["finished_ns"]
        sums[kinds[event["op"]]] += end - start
        busy += max(end - max(start, reached), 0)
        reached = max(reached, end)
    span = reached - first
    return {name: value / 1e6 for name, value in (sums | {"idle_ms": span - busy, "span_ms": span}).items()}
