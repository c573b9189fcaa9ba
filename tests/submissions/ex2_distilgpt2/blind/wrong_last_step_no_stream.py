# check: ex2/last_step
# expect: wrong
# line: the view that is returned holds the last step of every row, once the stream is done
# why: memcpy_dtoh_async without the stream goes to the default stream and is not what stream.synchronize() waits for.
def copy_last_step(host, device, shape, stream):
    """Enqueue the copy of the last step's logits alone; the view [B, V] that will hold them."""
    rows, tokens, vocabulary = shape
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    for row in range(rows):
        offset = host.itemsize * vocabulary * ((row + 1) * tokens - 1)
        cuda.memcpy_dtoh_async(last[row], int(device) + offset)
    return last
