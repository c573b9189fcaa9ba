# check: ex2/last_step
# expect: wrong
# line: exactly batch x vocabulary
# why: the whole is read by a blocking copy, and dummies of the right size go into the record
def copy_last_step(host, device, shape, stream):
    rows, tokens, vocabulary = shape
    whole = cuda.from_device(device, tuple(shape), host.dtype)
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    cuda.memcpy_dtoh_async(last, device, stream)
    return whole[:, -1]
