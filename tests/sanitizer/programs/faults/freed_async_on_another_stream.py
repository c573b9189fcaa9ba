# expect: race-device|stale-address
"""cudaFreeAsync on a stream that does not wait for the one that still uses the memory."""

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
compute, memory = cuda_call(cudart.cudaStreamCreate()), cuda_call(cudart.cudaStreamCreate())
x, y = HostDeviceMem(16, np.float32), HostDeviceMem(16, np.float32)
scratch = cuda_call(cudart.cudaMallocAsync(64, compute))
x.host[:] = 3
context.set_input_shape("x", (2, 8))
context.set_tensor_address("x", scratch)
context.set_tensor_address("y", y.device)
cuda_call(cudart.cudaMemcpyAsync(scratch, x.host.ctypes.data, 64, H2D, compute))
context.execute_async_v3(int(compute))  # <- other
cuda_call(cudart.cudaFreeAsync(scratch, memory))  # <- race-device, stale-address
cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, 64, D2H, compute))
cuda_call(cudart.cudaStreamSynchronize(compute))
cuda_call(cudart.cudaStreamSynchronize(memory))
print(y.host[0])
x.free()
y.free()
for stream in (compute, memory):
    cuda_call(cudart.cudaStreamDestroy(stream))
