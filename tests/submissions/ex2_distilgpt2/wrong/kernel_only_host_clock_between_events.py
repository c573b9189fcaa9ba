# check: ex2/kernel_only
# expect: partly
# line: it is the median
# line: the figure is one of milliseconds
# why: events are recorded, and the host's clock is returned
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    for _ in range(3):
        enqueue()
    stream.synchronize()
    times = []
    for _ in range(repeats):
        start, end = cuda.Event(), cuda.Event()
        begun = time.perf_counter()
        start.record(stream)
        enqueue()
        end.record(stream)
        end.synchronize()
        times.append(1.2 + 1000 * (time.perf_counter() - begun))
    return float(np.median(times))
