# check: ex2/kernel_only
# expect: wrong
# line: at least one execution before them warms up
# why: no warm-up; the first execution, with its one-time work, is among the times.
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    start, end, times = cuda.Event(), cuda.Event(), []
    for _ in range(repeats):
        start.record(stream)
        enqueue()
        end.record(stream)
        end.synchronize()
        times.append(start.time_till(end))
    return float(np.median(times))
