# check: ex2/timeline
# expect: wrong
# line: where streams overlap, the time counts once for idle_ms
# why: gaps are counted for each stream and added, so time in which the other stream works counts as idle.
def read_timeline(events):
    """h2d_ms, compute_ms, d2h_ms, idle_ms and span_ms of the device's lane."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    ours = [e for e in events if e["op"] in kinds]
    if not ours:
        return dict.fromkeys((*kinds.values(), "idle_ms", "span_ms"), 0.0)
    result = dict.fromkeys((*kinds.values(), "idle_ms"), 0.0)
    for e in ours:
        result[kinds[e["op"]]] += (e["finished_ns"] - e["started_ns"]) / 1e6
    for stream in {e["stream"] for e in ours}:
        until = None
        for e in sorted((e for e in ours if e["stream"] == stream), key=lambda e: e["started_ns"]):
            if until is not None:
                result["idle_ms"] += max(0, e["started_ns"] - until) / 1e6
            until = e["finished_ns"]
    span = max(e["finished_ns"] for e in ours) - min(e["started_ns"] for e in ours)
    return {**result, "span_ms": span / 1e6}
