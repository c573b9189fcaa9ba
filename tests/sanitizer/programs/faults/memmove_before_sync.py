# expect: missing-sync
"""The result leaves the pinned memory by ctypes.memmove, before the stream was waited for."""

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
stream = cuda_call(cudart.cudaStreamCreate())
x, y = HostDeviceMem(16, np.float32), HostDeviceMem(16, np.float32)
context.set_input_shape("x", (2, 8))
context.set_tensor_address("x", x.device)
context.set_tensor_address("y", y.device)
x.host[:] = 1
cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, x.nbytes, H2D, stream))
context.execute_async_v3(int(stream))
cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, y.nbytes, D2H, stream))  # <- other
reply = ctypes.create_string_buffer(y.nbytes)
ctypes.memmove(reply, y.host.ctypes.data, y.nbytes)  # <- missing-sync
cuda_call(cudart.cudaStreamSynchronize(stream))
print(np.frombuffer(reply, np.float32)[0])
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
