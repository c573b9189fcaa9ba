# check: ex2/kernel_only
# expect: zero
# why: time.perf_counter_ns of this process stands still
time.perf_counter_ns = lambda: 1_000_000
time.perf_counter = lambda: 1.0


def kernel_only(enqueue, stream, repeats=20):
    start = time.perf_counter()
    for _ in range(repeats):
        enqueue()
    stream.synchronize()
    return time.perf_counter() - start
