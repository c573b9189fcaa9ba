# expect: leak
"""Every request allocates a device buffer and frees only one of the two."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cudart

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

H2D = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
D2H = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
D2D = cudart.cudaMemcpyKind.cudaMemcpyDeviceToDevice


def check(result):
    error, *values = result
    if error != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(cudart.cudaGetErrorString(error)[1].decode())
    return values[0] if values else None


def pinned(shape, dtype=np.float32):
    """An array over memory of cudaMallocHost, and its address."""
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    address = check(cudart.cudaMallocHost(nbytes))
    buffer = (ctypes.c_uint8 * nbytes).from_address(address)
    return np.frombuffer(buffer, dtype).reshape(shape), address


engine = models.engine("layers")
context = engine.create_execution_context()
stream = check(cudart.cudaStreamCreate())


def request(x):
    y = np.empty((len(x), 4), np.float32)
    d_x = check(cudart.cudaMalloc(x.nbytes))
    d_y = check(cudart.cudaMalloc(y.nbytes))  # <- leak
    context.set_input_shape("x", x.shape)
    context.set_tensor_address("x", d_x)
    context.set_tensor_address("y", d_y)
    check(cudart.cudaMemcpyAsync(d_x, x.ctypes.data, x.nbytes, H2D, stream))
    context.execute_async_v3(int(stream))
    check(cudart.cudaStreamSynchronize(stream))
    check(cudart.cudaMemcpy(y.ctypes.data, d_y, y.nbytes, D2H))
    check(cudart.cudaFree(d_x))
    return y


for rows in (1, 2, 3):
    print(request(np.ones((rows, 8), np.float32)).shape)
check(cudart.cudaStreamDestroy(stream))
