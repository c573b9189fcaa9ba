# check: ex2/kernel_only
# expect: wrong
# line: each of the last executions
# keys: 20
# why: cuda.Event is replaced; the events never reach the device
class Event:
    def record(self, stream=None):
        self.at = time.perf_counter()
        return self

    def synchronize(self):
        return self

    def time_till(self, other):
        return 2.0


cuda.Event = Event


def kernel_only(enqueue, stream, repeats=20):
    for _ in range(repeats + 3):
        start, end = cuda.Event(), cuda.Event()
        start.record(stream)
        enqueue()
        end.record(stream)
    stream.synchronize()
    return start.time_till(end)
