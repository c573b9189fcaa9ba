# check: ex2/kernel_only
# expect: partly
# line: each of the last executions
# line: it is the median
# why: seven repeats, whatever was asked for
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    for _ in range(3):
        enqueue()
    stream.synchronize()
    times = []
    for _ in range(7):
        start, end = cuda.Event(), cuda.Event()
        start.record(stream)
        enqueue()
        end.record(stream)
        end.synchronize()
        times.append(start.time_till(end))
    return float(np.median(times))
