# check: ex2/last_step
# expect: full
# why: offsets by NumPy's strides
def copy_last_step(host, device, shape, stream):
    b, t, v = (int(n) for n in shape)
    strides = np.empty(shape, host.dtype).strides
    target = host[-b * v:]
    for i in range(b):
        cuda.memcpy_dtoh_async(target[i * v : (i + 1) * v], int(device) + i * strides[0] + (t - 1) * strides[1], stream)
    return target.reshape((b, v))
