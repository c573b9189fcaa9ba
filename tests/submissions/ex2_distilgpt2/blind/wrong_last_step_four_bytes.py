# check: ex2/last_step
# expect: wrong
# line: the same for FP16 logits
# why: the offset in bytes takes four for an element; with an FP16 engine it reads elsewhere.
def copy_last_step(host, device, shape, stream):
    """Enqueue the copy of the last step's logits alone; the view [B, V] that will hold them."""
    rows, tokens, vocabulary = shape
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    for row in range(rows):
        offset = 4 * vocabulary * (row * tokens + tokens - 1)
        cuda.memcpy_dtoh_async(last[row], int(device) + offset, stream)
    return last
