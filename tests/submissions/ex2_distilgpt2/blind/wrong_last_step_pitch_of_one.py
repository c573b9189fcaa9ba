# check: ex2/last_step
# expect: wrong
# line: the view that is returned holds the last step of every row, once the stream is done
# why: the Memcpy2D's source pitch is one position instead of t: after row 0's last position comes row 1's first one.
def copy_last_step(host, device, shape, stream):
    """Enqueue the copy of the last step's logits alone; the view [B, V] that will hold them."""
    rows, tokens, vocabulary = shape
    width = vocabulary * host.itemsize
    copy = cuda.Memcpy2D()
    copy.set_src_device(int(device) + (tokens - 1) * width)
    copy.set_dst_host(host)
    copy.src_pitch = copy.dst_pitch = copy.width_in_bytes = width
    copy.height = rows
    copy(stream)
    return host[: rows * vocabulary].reshape(rows, vocabulary)
