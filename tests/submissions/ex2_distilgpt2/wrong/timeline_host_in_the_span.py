# check: ex2/timeline
# expect: partly
# line: what the host does
# points: 2.5
# why: waits and allocations are in span and idle
def read_timeline(events):
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    reading = dict.fromkeys([*kinds.values(), "idle_ms", "span_ms"], 0.0)
    work = sorted((e["started_ns"], e["finished_ns"], e["op"]) for e in events)
    if not any(op in kinds for _, _, op in work):
        return reading
    until = work[0][0]
    for start, finish, op in work:
        if op in kinds:
            reading[kinds[op]] += (finish - start) / 1e6
        reading["idle_ms"] += max(0, start - until) / 1e6
        until = max(until, finish)
    reading["span_ms"] = (until - work[0][0]) / 1e6
    return reading
