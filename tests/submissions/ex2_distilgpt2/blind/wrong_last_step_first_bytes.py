# check: ex2/last_step
# expect: wrong
# line: the view that is returned holds the last step of every row, once the stream is done
# why: one plain copy of the first B * V elements: these are the first positions of row 0.
def copy_last_step(host, device, shape, stream):
    """Enqueue the copy of the last step's logits alone; the view [B, V] that will hold them."""
    rows, _, vocabulary = shape
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    cuda.memcpy_dtoh_async(last, device, stream)
    return last
