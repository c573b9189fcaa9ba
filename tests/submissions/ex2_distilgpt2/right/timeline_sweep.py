# check: ex2/timeline
# expect: full
# why: beginnings and ends, counted up and down
def read_timeline(events):
    work = [e for e in events if e["op"] in ("htod", "dtoh", "execute")]
    marks = sorted([(e["started_ns"], 1) for e in work] + [(e["finished_ns"], -1) for e in work])
    idle, running = 0, 0
    for (at, change), (following, _) in zip(marks, marks[1:]):
        running += change
        if running == 0:
            idle += following - at
    total = lambda op: sum(e["finished_ns"] - e["started_ns"] for e in work if e["op"] == op) / 1_000_000
    return dict(
        h2d_ms=total("htod"),
        compute_ms=total("execute"),
        d2h_ms=total("dtoh"),
        idle_ms=idle / 1_000_000,
        span_ms=(marks[-1][0] - marks[0][0]) / 1_000_000 if marks else 0.0,
    )
