# check: ex2/kernel_only
# expect: partly
# line: each of the last executions
# why: one pair of events around all executions
def kernel_only(enqueue, stream, repeats=20):
    for _ in range(3):
        enqueue()
    start, end = cuda.Event(), cuda.Event()
    start.record(stream)
    for _ in range(repeats):
        enqueue()
    end.record(stream)
    end.synchronize()
    return start.time_till(end) / repeats
