# check: ex2/kernel_only
# expect: full
# why: two events for all repeats, Python's median
def kernel_only(enqueue, stream, repeats=20):
    import statistics

    start, end = cuda.Event(), cuda.Event()

    def once():
        start.record(stream)
        enqueue()
        end.record(stream).synchronize()
        return start.time_till(end)

    for _ in range(5):
        once()
    return statistics.median(once() for _ in range(repeats))
