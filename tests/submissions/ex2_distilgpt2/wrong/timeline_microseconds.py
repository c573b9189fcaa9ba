# check: ex2/timeline
# expect: partly
# line: all five figures are there
# why: microseconds
def read_timeline(events):
    """h2d_ms, compute_ms, d2h_ms, idle_ms and span_ms of the device's lane."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    reading = dict.fromkeys([*kinds.values(), "idle_ms", "span_ms"], 0.0)
    work = sorted((e["started_ns"], e["finished_ns"], e["op"]) for e in events if e["op"] in kinds)
    if not work:
        return reading
    until = work[0][0]
    for start, finish, op in work:
        reading[kinds[op]] += (finish - start) / 1e3
        reading["idle_ms"] += max(0, start - until) / 1e3
        until = max(until, finish)
    reading["span_ms"] = (until - work[0][0]) / 1e3
    return reading
