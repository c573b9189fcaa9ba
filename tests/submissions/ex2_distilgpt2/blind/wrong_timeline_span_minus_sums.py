# check: ex2/timeline
# expect: wrong
# line: where streams overlap, the time counts once for idle_ms
# why: idle is the span minus all sums, so time in which two streams overlap is subtracted twice (idle can be negative).
def read_timeline(events):
    """h2d_ms, compute_ms, d2h_ms, idle_ms and span_ms of the device's lane."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    ours = [e for e in events if e["op"] in kinds]
    if not ours:
        return dict.fromkeys((*kinds.values(), "idle_ms", "span_ms"), 0.0)
    result = {
        name: sum(e["finished_ns"] - e["started_ns"] for e in ours if e["op"] == op) / 1e6
        for op, name in kinds.items()
    }
    span = (max(e["finished_ns"] for e in ours) - min(e["started_ns"] for e in ours)) / 1e6
    return {**result, "idle_ms": span - sum(result.values()), "span_ms": span}
