# expect: missing-sync
"""The result is read through a ctypes pointer that is older than the copy."""

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
values = ctypes.cast(y.host.ctypes.data, ctypes.POINTER(ctypes.c_float))
cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, x.nbytes, H2D, stream))
context.execute_async_v3(int(stream))
cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, y.nbytes, D2H, stream))  # <- other
print(values[3])  # <- missing-sync
cuda_call(cudart.cudaStreamSynchronize(stream))
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
