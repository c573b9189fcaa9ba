# check: ex2/last_step
# expect: wrong
# line: the copies are asynchronous, into the pinned array, and nothing waits for them
# why: the plain memcpy_dtoh waits for each row and is not ordered behind the execution on this (non-blocking) stream.
def copy_last_step(host, device, shape, stream):
    """Enqueue the copy of the last step's logits alone; the view [B, V] that will hold them."""
    rows, tokens, vocabulary = shape
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    for row in range(rows):
        cuda.memcpy_dtoh(last[row], int(device) + host.itemsize * vocabulary * (row * tokens + tokens - 1))
    return last
