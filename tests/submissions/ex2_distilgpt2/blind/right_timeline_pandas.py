# check: ex2/timeline
# expect: right
# why: pandas: sorted by start, the running maximum of the finishes shifted by one gives the gaps.
def read_timeline(events):
    """h2d_ms, compute_ms, d2h_ms, idle_ms and span_ms of the device's lane."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    table = pd.DataFrame(list(events), columns=["op", "stream", "started_ns", "finished_ns", "nbytes"])
    table = table[table["op"].isin(list(kinds))].sort_values("started_ns")
    if table.empty:
        return dict.fromkeys((*kinds.values(), "idle_ms", "span_ms"), 0.0)
    took = (table["finished_ns"] - table["started_ns"]).groupby(table["op"]).sum()
    gaps = (table["started_ns"] - table["finished_ns"].cummax().shift()).clip(lower=0)
    span = table["finished_ns"].max() - table["started_ns"].min()
    return {
        **{name: float(took.get(op, 0)) / 1e6 for op, name in kinds.items()},
        "idle_ms": float(gaps.sum()) / 1e6,
        "span_ms": float(span) / 1e6,
    }
