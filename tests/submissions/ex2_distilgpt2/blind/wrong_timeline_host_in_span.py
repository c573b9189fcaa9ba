# check: ex2/timeline
# expect: wrong
# line: what the host does (waits, allocations) changes none of them
# why: the span goes from the first to the last of all events, the host's among them.
def read_timeline(events):
    """h2d_ms, compute_ms, d2h_ms, idle_ms and span_ms of the device's lane."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    result = dict.fromkeys(kinds.values(), 0.0)
    if not any(e["op"] in kinds for e in events):
        return {**result, "idle_ms": 0.0, "span_ms": 0.0}
    busy, until = 0, 0
    for e in sorted(events, key=lambda e: e["started_ns"]):
        if e["op"] not in kinds:
            continue
        result[kinds[e["op"]]] += (e["finished_ns"] - e["started_ns"]) / 1e6
        busy += max(0, e["finished_ns"] - max(e["started_ns"], until))
        until = max(until, e["finished_ns"])
    span = max(e["finished_ns"] for e in events) - min(e["started_ns"] for e in events)
    return {**result, "idle_ms": (span - busy) / 1e6, "span_ms": span / 1e6}
