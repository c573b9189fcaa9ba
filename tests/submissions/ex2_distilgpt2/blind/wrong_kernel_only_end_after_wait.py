# check: ex2/kernel_only
# expect: wrong
# line: each of the last executions, as many as asked for, lies between two CUDA events, with nothing else
# why: waits for the stream before the end event is recorded, so the time holds the host's waiting and its next call as well.
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    enqueue()
    stream.synchronize()
    times = []
    for _ in range(repeats):
        start, end = cuda.Event(), cuda.Event()
        start.record(stream)
        enqueue()
        stream.synchronize()
        end.record(stream)
        end.synchronize()
        times.append(start.time_till(end))
    return float(np.median(times))
