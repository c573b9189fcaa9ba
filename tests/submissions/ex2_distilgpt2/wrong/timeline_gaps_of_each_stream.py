# check: ex2/timeline
# expect: partly
# line: where streams overlap
# points: 2.5
# why: idle is counted for each stream and added up
def read_timeline(events):
    """h2d_ms, compute_ms, d2h_ms, idle_ms and span_ms of the device's lane."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    reading = dict.fromkeys([*kinds.values(), "idle_ms", "span_ms"], 0.0)
    work = sorted((e["started_ns"], e["finished_ns"], e["op"]) for e in events if e["op"] in kinds)
    if not work:
        return reading
    for start, finish, op in work:
        reading[kinds[op]] += (finish - start) / 1e6
    reading["span_ms"] = (max(w[1] for w in work) - work[0][0]) / 1e6
    for stream in {e["stream"] for e in events if e["op"] in kinds}:
        mine = [(e["started_ns"], e["finished_ns"]) for e in events if e["op"] in kinds and e["stream"] == stream]
        reading["idle_ms"] += sum(max(0, b[0] - a[1]) for a, b in zip(mine, mine[1:])) / 1e6
    return reading
