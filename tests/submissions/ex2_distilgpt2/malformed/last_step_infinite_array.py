# check: ex2/last_step
# expect: zero
# why: an array of infinities
def copy_last_step(host, device, shape, stream):
    return np.full((shape[0], shape[2]), np.inf, host.dtype)
