# expect: destruction-order
"""cudaDeviceReset as a clean start, after the engine was loaded."""

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
cudart.cudaDeviceReset()  # <- other
stream = check(cudart.cudaStreamCreate())
d_x, d_y = check(cudart.cudaMalloc(32)), check(cudart.cudaMalloc(32))
x = np.ones((1, 8), np.float32)
check(cudart.cudaMemcpy(d_x, x.ctypes.data, 32, H2D))
context.set_input_shape("x", (1, 8))
context.set_tensor_address("x", d_x)
context.set_tensor_address("y", d_y)
ok = context.execute_async_v3(int(stream))  # <- destruction-order
print("executed:", ok)
cudart.cudaFree(d_x)
cudart.cudaFree(d_y)
cudart.cudaStreamDestroy(stream)
