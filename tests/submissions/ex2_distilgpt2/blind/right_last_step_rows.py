# check: ex2/last_step
# expect: right
# why: a copy for each row into slices of the reshaped view, offsets from range with a stride.
def copy_last_step(host, device, shape, stream):
    """Enqueue the copy of the last step's logits alone; the view [B, V] that will hold them."""
    rows, tokens, vocabulary = shape
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    stride = tokens * vocabulary * host.itemsize
    first = int(device) + (tokens - 1) * vocabulary * host.itemsize
    for row, source in zip(last, range(first, first + rows * stride, stride), strict=True):
        cuda.memcpy_dtoh_async(row, source, stream)
    return last
