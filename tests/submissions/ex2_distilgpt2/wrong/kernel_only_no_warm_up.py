# check: ex2/kernel_only
# expect: partly
# line: at least one execution before them
# points: 3.25
# why: the first execution is timed, too
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    times = []
    for _ in range(repeats):
        start, end = cuda.Event(), cuda.Event()
        start.record(stream)
        enqueue()
        end.record(stream)
        end.synchronize()
        times.append(start.time_till(end))
    return float(np.median(times))
