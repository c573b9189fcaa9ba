# check: ex2/last_step
# expect: wrong
# line: the view that is returned holds the last step of every row, once the stream is done
# why: one plain copy of the last B * V elements of the buffer, as if the memory were ordered [t, B, V].
def copy_last_step(host, device, shape, stream):
    """Enqueue the copy of the last step's logits alone; the view [B, V] that will hold them."""
    rows, tokens, vocabulary = shape
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    offset = (tokens - 1) * rows * vocabulary * host.itemsize
    cuda.memcpy_dtoh_async(last, int(device) + offset, stream)
    return last
