# check: ex2/kernel_only
# expect: full
# keys: 20
# why: all pairs are enqueued, one wait at the end
def kernel_only(enqueue, stream, repeats=20):
    enqueue()
    pairs = [(cuda.Event(), cuda.Event()) for _ in range(repeats)]
    for start, end in pairs:
        start.record(stream)
        enqueue()
        end.record(stream)
    stream.synchronize()
    return np.median([end.time_since(start) for start, end in pairs])
