# check: ex1/enqueue
# expect: zero
# why: an output of 1 GB
def enqueue(context, buffers, stream, inputs):
    return {name: np.zeros(1 << 30, np.uint8) for name in buffers if name not in inputs}
