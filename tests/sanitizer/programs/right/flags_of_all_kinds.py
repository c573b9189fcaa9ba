# expect:
"""Priorities, blocking events, allocation flags, a query of the memory: none of it changes the order."""

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

least, greatest = cudart.cudaDeviceGetStreamPriorityRange()[1:]
engine = models.engine("add")
context = engine.create_execution_context()
stream = cuda_call(cudart.cudaStreamCreateWithPriority(cudart.cudaStreamNonBlocking, greatest))
done = cuda_call(cudart.cudaEventCreateWithFlags(cudart.cudaEventBlockingSync | cudart.cudaEventDisableTiming))
pinned = cuda_call(cudart.cudaHostAlloc(256, cudart.cudaHostAllocPortable))
x, y = (np.frombuffer((ctypes.c_float * 32).from_address(pinned + 128 * k), np.float32) for k in range(2))
d_x, d_y = cuda_call(cudart.cudaMalloc(128)), cuda_call(cudart.cudaMalloc(128))
free, total = cuda_call(cudart.cudaMemGetInfo())
assert 0 < free < total
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", d_x)
context.set_tensor_address("y", d_y)
x[:] = 8
cuda_call(cudart.cudaMemcpyAsync(d_x, pinned, 128, H2D, stream))
assert context.execute_async_v3(int(stream))
cuda_call(cudart.cudaMemcpyAsync(pinned + 128, d_y, 128, D2H, stream))
cuda_call(cudart.cudaEventRecord(done, stream))
cuda_call(cudart.cudaEventSynchronize(done))
assert (y == 9).all()
cuda_call(cudart.cudaFree(d_x))
cuda_call(cudart.cudaFree(d_y))
cuda_call(cudart.cudaFreeHost(pinned))
cuda_call(cudart.cudaEventDestroy(done))
cuda_call(cudart.cudaStreamDestroy(stream))
