# expect: race-device|stale-address
"""The memory is freed in the order of the default stream; a non-blocking stream uses it."""

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
stream = cuda_call(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking))
x, y = HostDeviceMem(32, np.float32), HostDeviceMem(32, np.float32)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", x.device)
context.set_tensor_address("y", y.device)
x.host[:] = 1
y.host[:] = 0
scratch = cuda_call(cudart.cudaMallocAsync(128, stream))
cuda_call(cudart.cudaMemcpyAsync(scratch, x.host.ctypes.data, 128, H2D, stream))
context.set_tensor_address("x", scratch)
context.execute_async_v3(int(stream))  # <- other
cuda_call(cudart.cudaFreeAsync(scratch, 0))  # <- race-device, stale-address
cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, y.nbytes, D2H, stream))
cuda_call(cudart.cudaStreamSynchronize(stream))
cuda_call(cudart.cudaDeviceSynchronize())
print(y.host[0])
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
