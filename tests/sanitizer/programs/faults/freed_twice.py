# expect: double-free
"""A buffer has two names for the sake of an older caller; the clean-up frees it under both."""

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
x = np.zeros((2, 8), np.float32)
buffers = {name: check(cudart.cudaMalloc(x.nbytes)) for name in engine}
context.set_input_shape("x", x.shape)
for name, address in buffers.items():
    context.set_tensor_address(name, address)
buffers["output_0"] = buffers["y"]
check(cudart.cudaMemcpyAsync(buffers["x"], x.ctypes.data, x.nbytes, H2D, stream))
context.execute_async_v3(int(stream))
check(cudart.cudaMemcpyAsync(x.ctypes.data, buffers["output_0"], x.nbytes, D2H, stream))
check(cudart.cudaStreamSynchronize(stream))
print(x[0, 0])
for address in buffers.values():
    cudart.cudaFree(address)  # <- double-free, other
check(cudart.cudaStreamDestroy(stream))
