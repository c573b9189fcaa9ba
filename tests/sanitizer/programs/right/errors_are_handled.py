# expect:
"""What CUDA and TensorRT refuse is asked for, and the program goes another way."""

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

engine = models.engine("add2")
context = engine.create_execution_context()
stream = cuda_call(cudart.cudaStreamCreate())
error, too_much = cudart.cudaMalloc(1 << 50)
assert error == cudart.cudaError_t.cudaErrorMemoryAllocation
assert cudart.cudaGetLastError()[0] == cudart.cudaError_t.cudaErrorMemoryAllocation
assert cudart.cudaGetLastError()[0] == cudart.cudaError_t.cudaSuccess
x, y = HostDeviceMem(64 * 8, np.float32), HostDeviceMem(64 * 8, np.float32)
rows = 20
if not context.set_input_shape("x", (rows, 8)):  # profile 0 ends at 4
    assert context.set_optimization_profile_async(1, int(stream))
    assert context.set_input_shape("x", (rows, 8))
context.set_tensor_address("x", x.device)
context.set_tensor_address("y", y.device)
x.host[: rows * 8] = 4
cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, rows * 32, H2D, stream))
assert context.execute_async_v3(int(stream))
cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, rows * 32, D2H, stream))
while (error := cudart.cudaStreamQuery(stream)[0]) != cudart.cudaError_t.cudaSuccess:
    assert error == cudart.cudaError_t.cudaErrorNotReady
assert (y.host[: rows * 8] == 5).all()
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
