# expect:
"""cudaFreeAsync on another stream that waited for the event behind the last use."""

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

engine = models.engine("add")
context = engine.create_execution_context()
compute, memory = (cuda_call(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking)) for _ in range(2))
used = cuda_call(cudart.cudaEventCreateWithFlags(cudart.cudaEventDisableTiming))
x, y = HostDeviceMem(16, np.float32), HostDeviceMem(16, np.float32)
context.set_input_shape("x", (2, 8))
context.set_tensor_address("y", y.device)
for value in range(3):
    scratch = cuda_call(cudart.cudaMallocAsync(64, compute))
    x.host[:] = value
    context.set_tensor_address("x", scratch)
    cuda_call(cudart.cudaMemcpyAsync(scratch, x.host.ctypes.data, 64, H2D, compute))
    assert context.execute_async_v3(int(compute))
    cuda_call(cudart.cudaEventRecord(used, compute))
    cuda_call(cudart.cudaStreamWaitEvent(memory, used, 0))
    cuda_call(cudart.cudaFreeAsync(scratch, memory))
    cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, 64, D2H, compute))
    cuda_call(cudart.cudaStreamSynchronize(compute))
    assert (y.host == value + 1).all()
cuda_call(cudart.cudaStreamSynchronize(memory))
x.free()
y.free()
cuda_call(cudart.cudaEventDestroy(used))
for stream in (compute, memory):
    cuda_call(cudart.cudaStreamDestroy(stream))
