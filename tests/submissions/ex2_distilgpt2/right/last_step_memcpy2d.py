# check: ex2/last_step
# expect: full
# keys: 20
# why: one copy with a pitch
def copy_last_step(host, device, shape, stream):
    rows, tokens, vocabulary = shape
    width, pitch = vocabulary * host.itemsize, tokens * vocabulary * host.itemsize
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    copy = cuda.Memcpy2D()
    copy.set_src_device(int(device))
    copy.src_x_in_bytes, copy.src_pitch = pitch - width, pitch
    copy.set_dst_host(last)
    copy.dst_pitch = copy.width_in_bytes = width
    copy.height = rows
    copy(stream)
    return last
