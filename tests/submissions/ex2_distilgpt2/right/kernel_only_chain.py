# check: ex2/kernel_only
# expect: full
# why: each event ends one execution and begins the next
def kernel_only(enqueue, stream, repeats=20):
    enqueue()
    cuda.Context.synchronize()
    marks = [cuda.Event() for _ in range(repeats + 1)]
    marks[0].record(stream)
    for mark in marks[1:]:
        enqueue()
        mark.record(stream)
    while not marks[-1].query():
        pass
    times = sorted(a.time_till(b) for a, b in zip(marks, marks[1:]))
    return times[len(times) // 2]
