# check: ex2/last_step
# expect: partly
# line: exactly batch x vocabulary
# points: 2.75
# why: two positions of each row are copied
def copy_last_step(host, device, shape, stream):
    rows, tokens, vocabulary = shape
    some = min(tokens, 2)
    last = host[: rows * some * vocabulary].reshape(rows, some, vocabulary)
    for row in range(rows):
        position = (row + 1) * tokens - some
        cuda.memcpy_dtoh_async(last[row], int(device) + position * vocabulary * host.itemsize, stream)
    return last[:, -1]
