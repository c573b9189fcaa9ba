# check: ex2/kernel_only
# expect: partly
# line: the figure is one of milliseconds
# points: 2.0
# why: microseconds
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
    return float(np.median(times) * 1000)
