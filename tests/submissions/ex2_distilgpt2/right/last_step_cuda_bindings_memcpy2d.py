# check: ex2/last_step
# expect: full
# whole: yes
# why: one cudaMemcpy2DAsync
from cuda.bindings import runtime as cudart


def copy_last_step(host, device, shape, stream):
    rows, tokens, vocabulary = shape
    width = vocabulary * host.itemsize
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    source = int(device) + (tokens - 1) * width
    (error,) = cudart.cudaMemcpy2DAsync(
        last, width, source, tokens * width, width, rows, cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost, stream.handle
    )
    if error != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(cudart.cudaGetErrorString(error)[1].decode())
    return last
