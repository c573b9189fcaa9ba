# check: ex2/timeline
# expect: wrong
# line: where streams overlap, the time counts once for idle_ms
# why: time in which copies overlap an execution is given to the execution alone; the task asks for the sums over the events of each kind.
def read_timeline(events):
    """h2d_ms, compute_ms, d2h_ms, idle_ms and span_ms of the device's lane."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    lane = dict.fromkeys((*kinds.values(), "idle_ms", "span_ms"), 0.0)
    ours = [e for e in events if e["op"] in kinds]
    times = sorted({t for e in ours for t in (e["started_ns"], e["finished_ns"])})
    for begin, end in zip(times, times[1:]):
        running = {e["op"] for e in ours if e["started_ns"] <= begin and e["finished_ns"] >= end}
        first = next((op for op in ("execute", "dtoh", "htod") if op in running), None)
        lane[kinds[first] if first else "idle_ms"] += (end - begin) / 1e6
    if times:
        lane["span_ms"] = (times[-1] - times[0]) / 1e6
    return lane
