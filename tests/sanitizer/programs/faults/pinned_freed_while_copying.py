# expect: missing-sync|race-host|stale-address
"""The staging memory is freed while the upload from it may still be under way."""

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
stream = check(cudart.cudaStreamCreate())
d_x, d_y = check(cudart.cudaMalloc(128)), check(cudart.cudaMalloc(128))


def upload(values):
    staging, address = pinned(values.shape)
    staging[:] = values
    check(cudart.cudaMemcpyAsync(d_x, address, staging.nbytes, H2D, stream))  # <- other
    check(cudart.cudaFreeHost(address))  # <- missing-sync, race-host, stale-address


upload(np.full((4, 8), 2, np.float32))
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", d_x)
context.set_tensor_address("y", d_y)
context.execute_async_v3(int(stream))
y = np.empty((4, 8), np.float32)
check(cudart.cudaMemcpyAsync(y.ctypes.data, d_y, 128, D2H, stream))
check(cudart.cudaStreamSynchronize(stream))
print(y[0, 0])
check(cudart.cudaFree(d_x))
check(cudart.cudaFree(d_y))
check(cudart.cudaStreamDestroy(stream))
