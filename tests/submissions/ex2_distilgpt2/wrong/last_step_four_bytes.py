# check: ex2/last_step
# expect: partly
# line: the same for FP16
# points: 3.75
# why: an element is taken to have four bytes
def copy_last_step(host, device, shape, stream):
    """Enqueue the copy of the last step's logits alone; the view [B, V] that will hold them."""
    rows, tokens, vocabulary = shape
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    for row in range(rows):
        position = (row + 1) * tokens - 1
        cuda.memcpy_dtoh_async(last[row], int(device) + position * vocabulary * 4, stream)
    return last
