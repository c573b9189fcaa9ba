# check: ex2/kernel_only
# expect: wrong
# line: each of the last executions, as many as asked for, lies between two CUDA events, with nothing else
# why: host clock with a synchronisation: includes launching and waiting, and there is no event at all.
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    enqueue()
    stream.synchronize()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        enqueue()
        stream.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))
