# check: ex2/kernel_only
# expect: wrong
# line: each of the last executions, as many as asked for, lies between two CUDA events, with nothing else
# why: one pair of events around all repeats, divided by their number: a mean, in which one slow execution shows, and not a median of single ones.
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    enqueue()
    start, end = cuda.Event(), cuda.Event()
    start.record(stream)
    for _ in range(repeats):
        enqueue()
    end.record(stream)
    end.synchronize()
    return start.time_till(end) / repeats
