# check: ex2/last_step
# expect: full
# why: each row goes to where it would lie among all positions
def copy_last_step(host, device, shape, stream):
    whole = host[: int(np.prod(shape))].reshape(shape)
    for at, row in enumerate(whole):
        begin = (at * shape[1] + shape[1] - 1) * shape[2] * host.dtype.itemsize
        cuda.memcpy_dtoh_async(row[-1], int(device) + begin, stream)
    return whole[:, -1, :]
