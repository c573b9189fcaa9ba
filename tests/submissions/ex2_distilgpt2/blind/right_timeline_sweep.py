# check: ex2/timeline
# expect: right
# why: a sweep over starts and ends with a counter of running events; idle is what passes at count 0.
def read_timeline(events):
    """h2d_ms, compute_ms, d2h_ms, idle_ms and span_ms of the device's lane."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    lane = dict.fromkeys((*kinds.values(), "idle_ms", "span_ms"), 0.0)
    edges = []
    for event in events:
        if event["op"] in kinds:
            lane[kinds[event["op"]]] += (event["finished_ns"] - event["started_ns"]) / 1e6
            edges += [(event["started_ns"], 1), (event["finished_ns"], -1)]
    if not edges:
        return lane
    edges.sort(key=lambda edge: (edge[0], -edge[1]))  # at one moment starts come before ends
    running = 0
    for (at, change), (after, _) in zip(edges, edges[1:]):
        running += change
        if running == 0:
            lane["idle_ms"] += (after - at) / 1e6
    lane["span_ms"] = (edges[-1][0] - edges[0][0]) / 1e6
    return lane
