# check: ex2/kernel_only
# expect: partly
# line: each of the last executions
# why: the host's clock around the call
def kernel_only(enqueue, stream, repeats=20):
    for _ in range(3):
        enqueue()
    stream.synchronize()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        enqueue()
        stream.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))
