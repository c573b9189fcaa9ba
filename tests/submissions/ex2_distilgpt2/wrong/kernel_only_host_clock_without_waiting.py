# check: ex2/kernel_only
# expect: partly
# line: each of the last executions
# why: the host's clock around a call that returns at once
def kernel_only(enqueue, stream, repeats=20):
    enqueue()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        enqueue()
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))
