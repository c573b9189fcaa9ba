# expect:
"""One pinned and one device allocation, divided by hand: input, output and a result that the host reads meanwhile."""

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
PART = 256
host, device = cuda_call(cudart.cudaMallocHost(4 * PART)), cuda_call(cudart.cudaMalloc(4 * PART))
x, y, previous = (
    np.ctypeslib.as_array((ctypes.c_float * 32).from_address(host + k * PART)).reshape(4, 8) for k in range(3)
)
previous[:] = 0
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", device)
context.set_tensor_address("y", device + PART)
for step in range(4):
    x[:] = step
    cuda_call(cudart.cudaMemcpyAsync(device, host, 128, H2D, stream))
    assert context.execute_async_v3(int(stream))
    cuda_call(cudart.cudaMemcpyAsync(host + PART, device + PART, 128, D2H, stream))
    assert (previous == step).all()  # beside the copies
    cuda_call(cudart.cudaStreamSynchronize(stream))
    previous[:] = y
assert (previous == 4).all()
cuda_call(cudart.cudaFree(device))
cuda_call(cudart.cudaFreeHost(host))
cuda_call(cudart.cudaStreamDestroy(stream))
