# check: ex2/last_step
# expect: partly
# line: the view that is returned holds
# why: only the first row is copied
def copy_last_step(host, device, shape, stream):
    """Enqueue the copy of the last step's logits alone; the view [B, V] that will hold them."""
    rows, tokens, vocabulary = shape
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    for row in range(1):
        position = (row + 1) * tokens - 1
        cuda.memcpy_dtoh_async(last[row], int(device) + position * vocabulary * host.itemsize, stream)
    return last
