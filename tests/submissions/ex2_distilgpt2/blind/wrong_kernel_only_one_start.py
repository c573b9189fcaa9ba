# check: ex2/kernel_only
# expect: wrong
# line: each of the last executions, as many as asked for, lies between two CUDA events, with nothing else
# why: all pairs share one start event that is recorded once, before the first repeat, so each time holds all executions so far.
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    enqueue()
    stream.synchronize()
    start, times = cuda.Event(), []
    start.record(stream)
    for _ in range(repeats):
        end = cuda.Event()
        enqueue()
        end.record(stream)
        end.synchronize()
        times.append(start.time_till(end))
    return float(np.median(times))
