# expect: invalid-address, sticky-error
"""Nobody looks at the error codes: after an illegal address everything else fails too, in silence."""

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
err, stream = cudart.cudaStreamCreate()
x = np.ones((2, 8), np.float32)
y = np.zeros((2, 4), np.float32)
err, d_x = cudart.cudaMalloc(x.nbytes)
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", d_x)
context.set_tensor_address("y", y.ctypes.data)
cudart.cudaMemcpyAsync(d_x, x.ctypes.data, x.nbytes, H2D, stream)
context.execute_async_v3(int(stream))  # <- invalid-address, other
cudart.cudaStreamSynchronize(stream)  # <- sticky-error
cudart.cudaMemcpy(d_x, x.ctypes.data, x.nbytes, H2D)  # <- sticky-error
cudart.cudaFree(d_x)
cudart.cudaStreamDestroy(stream)
print("result:", y[0])
