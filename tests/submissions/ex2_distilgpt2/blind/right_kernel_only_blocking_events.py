# check: ex2/kernel_only
# expect: right
# why: events with the BLOCKING_SYNC flag; warm-up executions go through the same code and their times are dropped.
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    warm, times = 2, []
    for _ in range(warm + repeats):
        start = cuda.Event(cuda.event_flags.BLOCKING_SYNC)
        end = cuda.Event(cuda.event_flags.BLOCKING_SYNC)
        start.record(stream)
        enqueue()
        end.record(stream)
        end.synchronize()
        times.append(start.time_till(end))
    return float(np.median(times[warm:]))
