# check: ex2/kernel_only
# expect: wrong
# line: each of the last executions, as many as asked for, lies between two CUDA events, with nothing else
# why: a clock on the host around the call measures the call, not the execution.
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    enqueue()
    stream.synchronize()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        enqueue()
        times.append(1000 * (time.perf_counter() - start))
    stream.synchronize()
    return float(np.median(times))
