# expect: leak
"""Device memory is freed; the pinned memory and the stream are forgotten."""

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


engine = models.engine("add")
context = engine.create_execution_context()
stream = check(cudart.cudaStreamCreate())  # <- leak
nbytes = 4 * 8 * 4
h_x = check(cudart.cudaMallocHost(nbytes))  # <- leak
h_y = check(cudart.cudaMallocHost(nbytes))  # <- leak
x = np.frombuffer((ctypes.c_float * 32).from_address(h_x), np.float32).reshape(4, 8)
y = np.frombuffer((ctypes.c_float * 32).from_address(h_y), np.float32).reshape(4, 8)
d_x, d_y = check(cudart.cudaMalloc(nbytes)), check(cudart.cudaMalloc(nbytes))
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", d_x)
context.set_tensor_address("y", d_y)

x[:] = 3
check(cudart.cudaMemcpyAsync(d_x, h_x, nbytes, H2D, stream))
context.execute_async_v3(int(stream))
check(cudart.cudaMemcpyAsync(h_y, d_y, nbytes, D2H, stream))
check(cudart.cudaStreamSynchronize(stream))
print(y[0])
check(cudart.cudaFree(d_x))
check(cudart.cudaFree(d_y))
