# check: ex2/last_step
# expect: right
# why: one Memcpy2D whose source starts at the last position of row 0 and whose pitch is a whole row.
def copy_last_step(host, device, shape, stream):
    """Enqueue the copy of the last step's logits alone; the view [B, V] that will hold them."""
    rows, tokens, vocabulary = (int(n) for n in shape)
    width = vocabulary * host.itemsize
    copy = cuda.Memcpy2D()
    copy.set_src_device(int(device) + (tokens - 1) * width)
    copy.src_pitch = tokens * width
    copy.set_dst_host(host)
    copy.dst_pitch = copy.width_in_bytes = width
    copy.height = rows
    copy(stream)
    return host[: rows * vocabulary].reshape(rows, vocabulary)
