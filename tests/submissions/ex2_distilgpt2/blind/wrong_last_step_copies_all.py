# check: ex2/last_step
# expect: wrong
# line: exactly batch x vocabulary values are copied back
# why: copies all B * t * V elements and returns the strided view of the last positions: right values, but more than B * V elements are moved and they are not at the beginning of host.
def copy_last_step(host, device, shape, stream):
    """Enqueue the copy of the last step's logits alone; the view [B, V] that will hold them."""
    rows, tokens, vocabulary = shape
    everything = host[: rows * tokens * vocabulary].reshape(shape)
    cuda.memcpy_dtoh_async(everything, device, stream)
    return everything[:, -1]
