# check: ex2/kernel_only
# expect: wrong
# line: it ends with a time
# why: reads time_till without waiting for the end event; on a GPU that raises cuEventElapsedTime "not ready".
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    enqueue()
    stream.synchronize()
    times = []
    for _ in range(repeats):
        start, end = cuda.Event(), cuda.Event()
        start.record(stream)
        enqueue()
        end.record(stream)
        times.append(start.time_till(end))
    return float(np.median(times))
