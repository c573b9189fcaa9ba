# check: ex2/last_step
# expect: partly
# line: the view that is returned holds
# keys: 20
# why: takes the last steps for one piece at the end
def copy_last_step(host, device, shape, stream):
    rows, tokens, vocabulary = shape
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    offset = rows * (tokens - 1) * vocabulary * host.itemsize
    cuda.memcpy_dtoh_async(last, int(device) + offset, stream)
    return last
