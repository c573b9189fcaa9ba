# expect: uninitialized-read
"""Half of the pinned batch was filled; the whole of it is copied and computed."""

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

engine = models.engine("layers")
context = engine.create_execution_context()
stream = cuda_call(cudart.cudaStreamCreate())
x, y = HostDeviceMem(32, np.float32), HostDeviceMem(16, np.float32)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", x.device)
context.set_tensor_address("y", y.device)
x.host[:16] = 1
cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, x.nbytes, H2D, stream))  # <- uninitialized-read
context.execute_async_v3(int(stream))  # <- uninitialized-read
cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, y.nbytes, D2H, stream))
cuda_call(cudart.cudaStreamSynchronize(stream))
print(y.host[:4])
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
