# check: ex2/timeline
# expect: wrong
# line: where streams overlap, the time counts once for idle_ms
# why: trusts that the events come in the order of their starts, which events of two streams in a log that is written when they finish do not.
def read_timeline(events):
    """h2d_ms, compute_ms, d2h_ms, idle_ms and span_ms of the device's lane."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    ours = [e for e in events if e["op"] in kinds]
    if not ours:
        return dict.fromkeys((*kinds.values(), "idle_ms", "span_ms"), 0.0)
    result = dict.fromkeys((*kinds.values(), "idle_ms"), 0.0)
    until = ours[0]["started_ns"]
    for e in ours:
        result[kinds[e["op"]]] += (e["finished_ns"] - e["started_ns"]) / 1e6
        result["idle_ms"] += max(0, e["started_ns"] - until) / 1e6
        until = max(until, e["finished_ns"])
    return {**result, "span_ms": (until - ours[0]["started_ns"]) / 1e6}
