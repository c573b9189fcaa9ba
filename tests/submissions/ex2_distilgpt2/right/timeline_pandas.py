# check: ex2/timeline
# expect: full
# keys: 20
# why: pandas, with a running maximum
def read_timeline(events):
    frame = pd.DataFrame(events)
    frame = frame[frame["op"].isin(["htod", "execute", "dtoh"])].sort_values("started_ns")
    if frame.empty:
        return dict.fromkeys(["h2d_ms", "compute_ms", "d2h_ms", "idle_ms", "span_ms"], 0)
    took = frame["finished_ns"] - frame["started_ns"]
    sums = took.groupby(frame["op"]).sum() / 1e6
    reached = frame["finished_ns"].cummax().shift()
    gaps = (frame["started_ns"] - reached).clip(lower=0).fillna(0)
    return {
        "h2d_ms": sums["htod"],
        "compute_ms": sums["execute"],
        "d2h_ms": sums["dtoh"],
        "idle_ms": gaps.sum() / 1e6,
        "span_ms": (frame["finished_ns"].max() - frame["started_ns"].min()) / 1e6,
    }
