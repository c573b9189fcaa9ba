# check: ex2/timeline
# expect: partly
# line: where streams overlap
# points: 2.5
# keys: 20
# why: idle is span minus the sums
def read_timeline(events):
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    work = [e for e in events if e["op"] in kinds]
    reading = {
        name: sum(e["finished_ns"] - e["started_ns"] for e in work if e["op"] == op) / 1e6 for op, name in kinds.items()
    }
    if not work:
        return reading | {"span_ms": 0, "idle_ms": 0}
    span = (max(e["finished_ns"] for e in work) - min(e["started_ns"] for e in work)) / 1e6
    return reading | {"span_ms": span, "idle_ms": span - sum(reading.values())}
