# expect:
"""Synchronous cudaMemcpy with pinned memory beside a non-blocking stream that was waited for: the host orders them."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cudart

sys.path.insert(0, str(Path(__file__).parents[1]))
import models
from common import HostDeviceMem, allocate_buffers, cuda_call, do_inference, free_buffers

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
for step in range(3):
    x.host[:] = step
    cuda_call(cudart.cudaMemcpy(x.device, x.host.ctypes.data, x.nbytes, H2D))
    assert context.execute_async_v3(int(stream))
    cuda_call(cudart.cudaStreamSynchronize(stream))
    cuda_call(cudart.cudaMemcpy(y.host.ctypes.data, y.device, y.nbytes, D2H))
    assert (y.host == step + 1).all()
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
