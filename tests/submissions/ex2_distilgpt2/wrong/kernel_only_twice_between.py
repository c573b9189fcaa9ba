# check: ex2/kernel_only
# expect: partly
# line: each of the last executions
# why: two executions between a pair of events, halved
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
        enqueue()
        end.record(stream)
        end.synchronize()
        times.append(start.time_till(end) / 2)
    return float(np.median(times))
