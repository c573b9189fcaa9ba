# expect:
"""A long loop: nothing may grow with its steps."""

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
x, y = HostDeviceMem(8, np.float32), HostDeviceMem(8, np.float32)
context.set_input_shape("x", (1, 8))
context.set_tensor_address("x", x.device)
context.set_tensor_address("y", y.device)
for step in range(600):
    x.host[:] = step
    cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, x.nbytes, H2D, stream))
    assert context.execute_async_v3(int(stream))
    cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, y.nbytes, D2H, stream))
    cuda_call(cudart.cudaStreamSynchronize(stream))
    assert y.host[0] == step + 1
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
