# check: ex2/kernel_only
# expect: partly
# line: each of the last executions
# why: a copy stands between the events
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    for _ in range(3):
        enqueue()
    stream.synchronize()
    spare, pinned = cuda.mem_alloc(4096), cuda.pagelocked_empty(1024, np.float32)
    times = []
    for _ in range(repeats):
        start, end = cuda.Event(), cuda.Event()
        start.record(stream)
        cuda.memcpy_htod_async(spare, pinned, stream)
        enqueue()
        end.record(stream)
        end.synchronize()
        times.append(start.time_till(end))
    return float(np.median(times))
