# expect:
"""pycuda's memory and streams together with cuda.bindings, ordered by an event of the one in a stream of the other."""

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

import pycuda.autoprimaryctx
import pycuda.driver as cuda

engine = models.engine("add")
context = engine.create_execution_context()
uploads, compute = cuda.Stream(), cuda_call(cudart.cudaStreamCreate())
uploaded = cuda_call(cudart.cudaEventCreate())
x, y = cuda.pagelocked_zeros((4, 8), np.float32), cuda.pagelocked_zeros((4, 8), np.float32)
d_x, d_y = cuda.mem_alloc(128), cuda_call(cudart.cudaMalloc(128))
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", d_y)
for step in range(3):
    x[:] = step
    cuda.memcpy_htod_async(d_x, x, uploads)
    cuda_call(cudart.cudaEventRecord(uploaded, uploads.handle))
    cuda_call(cudart.cudaStreamWaitEvent(compute, uploaded, 0))
    assert context.execute_async_v3(int(compute))
    cuda_call(cudart.cudaMemcpyAsync(y.ctypes.data, d_y, 128, D2H, compute))
    cuda_call(cudart.cudaStreamSynchronize(compute))
    assert (y == step + 1).all()
cuda_call(cudart.cudaFree(d_y))
cuda_call(cudart.cudaEventDestroy(uploaded))
cuda_call(cudart.cudaStreamDestroy(compute))
