# check: ex2/last_step
# expect: full
# why: one copy for each row, of the driver API, into addresses of the pinned array
from cuda.bindings import driver


def copy_last_step(host, device, shape, stream):
    rows, tokens, vocabulary = (int(n) for n in shape)
    size = vocabulary * host.itemsize
    for row in range(rows):
        target = host.ctypes.data + row * size
        source = int(device) + (row * tokens + tokens - 1) * size
        (error,) = driver.cuMemcpyDtoHAsync(target, source, size, driver.CUstream(stream.handle))
        assert error == driver.CUresult.CUDA_SUCCESS, error
    return host[: rows * vocabulary].reshape(rows, vocabulary)
