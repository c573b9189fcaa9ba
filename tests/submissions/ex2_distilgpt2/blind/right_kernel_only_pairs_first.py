# check: ex2/kernel_only
# expect: right
# why: all pairs of events are created first and everything is enqueued back to back; one wait for the last event, then the times are read.
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    for _ in range(3):
        enqueue()
    pairs = [(cuda.Event(), cuda.Event()) for _ in range(repeats)]
    for start, end in pairs:
        start.record(stream)
        enqueue()
        end.record(stream)
    pairs[-1][1].synchronize()  # events of one stream happen in order
    return float(np.median([start.time_till(end) for start, end in pairs]))
