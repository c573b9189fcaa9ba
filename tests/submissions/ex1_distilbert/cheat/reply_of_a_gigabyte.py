# check: ex1/enqueue
# expect: zero
# why: an output of 1 GB, which takes no memory before it is sent
def enqueue(context, buffers, stream, inputs):
    return {name: np.broadcast_to(np.zeros(1, np.uint8), (1 << 30,)) for name in buffers if name not in inputs}
