# check: ex2/kernel_only
# expect: partly
# line: it is the median
# points: 2.75
# keys: 20
# why: the mean
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    for _ in range(3):
        enqueue()
    stream.synchronize()
    times = []
    for _ in range(repeats):
        start, end = cuda.Event(), cuda.Event()
        start.record(stream)
        enqueue()
        end.record(stream)
        end.synchronize()
        times.append(start.time_till(end))
    return float(np.mean(times))
