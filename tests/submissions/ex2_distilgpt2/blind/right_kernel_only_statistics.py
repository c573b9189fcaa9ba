# check: ex2/kernel_only
# expect: right
# why: one pair of events used again for each repeat, statistics.median, time_since in place of time_till, a warm-up that is waited for.
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    import statistics

    start, end = cuda.Event(), cuda.Event()

    def once():
        start.record(stream)
        enqueue()
        end.record(stream)
        end.synchronize()
        return end.time_since(start)

    enqueue()
    stream.synchronize()
    return statistics.median(once() for _ in range(repeats))
