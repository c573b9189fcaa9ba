# check: ex2/timeline
# expect: wrong
# line: where streams overlap, the time counts once for idle_ms
# why: the gap is taken to the previous event's finish instead of the latest finish so far, so an event that lies inside a longer one makes a gap that is not there; the span ends with the last one to start.
def read_timeline(events):
    """h2d_ms, compute_ms, d2h_ms, idle_ms and span_ms of the device's lane."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    ours = sorted((e for e in events if e["op"] in kinds), key=lambda e: e["started_ns"])
    if not ours:
        return dict.fromkeys((*kinds.values(), "idle_ms", "span_ms"), 0.0)
    result = dict.fromkeys((*kinds.values(), "idle_ms", "span_ms"), 0.0)
    for e in ours:
        result[kinds[e["op"]]] += (e["finished_ns"] - e["started_ns"]) / 1e6
    for one, two in zip(ours, ours[1:]):
        result["idle_ms"] += max(0, two["started_ns"] - one["finished_ns"]) / 1e6
    result["span_ms"] = (ours[-1]["finished_ns"] - ours[0]["started_ns"]) / 1e6
    return result
