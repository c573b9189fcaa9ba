# expect:
"""Buffers free themselves in __del__, the stream by atexit: behind the last line of the program."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cudart

sys.path.insert(0, str(Path(__file__).parents[1]))
import models
from common import HostDeviceMem, cuda_call

H2D = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
D2H = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
D2D = cudart.cudaMemcpyKind.cudaMemcpyDeviceToDevice

import atexit


class Buffer:
    """Frees itself, at the latest when the interpreter ends."""

    def __init__(self, nbytes):
        self.address = cuda_call(cudart.cudaMalloc(nbytes))
        self.nbytes = nbytes

    def close(self):
        if self.address:
            cudart.cudaFree(self.address)
            self.address = 0

    __del__ = close


engine = models.engine("add")
context = engine.create_execution_context()
stream = cuda_call(cudart.cudaStreamCreate())
atexit.register(lambda: cuda_call(cudart.cudaStreamDestroy(stream)))
buffers = {name: Buffer(64) for name in engine}
x, y = np.ones((2, 8), np.float32), np.zeros((2, 8), np.float32)
context.set_input_shape("x", x.shape)
for name, buffer in buffers.items():
    context.set_tensor_address(name, buffer.address)
cuda_call(cudart.cudaMemcpy(buffers["x"].address, x.ctypes.data, 64, H2D))
assert context.execute_async_v3(int(stream))
cuda_call(cudart.cudaStreamSynchronize(stream))
cuda_call(cudart.cudaMemcpy(y.ctypes.data, buffers["y"].address, 64, D2H))
assert (y == 2).all()
atexit.register(buffers.clear)
