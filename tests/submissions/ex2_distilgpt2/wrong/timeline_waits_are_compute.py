# check: ex2/timeline
# expect: partly
# line: what the host does
# points: 2.25
# why: a wait is added to the computing
def read_timeline(events):
    """h2d_ms, compute_ms, d2h_ms, idle_ms and span_ms of the device's lane."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    reading = dict.fromkeys([*kinds.values(), "idle_ms", "span_ms"], 0.0)
    work = sorted((e["started_ns"], e["finished_ns"], e["op"]) for e in events if e["op"] in kinds or e["op"] == "synchronize")
    if not work:
        return reading
    until = work[0][0]
    for start, finish, op in work:
        reading[kinds.get(op, "compute_ms")] += (finish - start) / 1e6
        reading["idle_ms"] += max(0, start - until) / 1e6
        until = max(until, finish)
    reading["span_ms"] = (until - work[0][0]) / 1e6
    return reading
