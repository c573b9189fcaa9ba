# expect: leak
"""Two new events for every measured step; none is destroyed."""

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
x.host[:] = 0
context.set_input_shape("x", (1, 8))
context.set_tensor_address("x", x.device)
context.set_tensor_address("y", y.device)
cuda_call(cudart.cudaMemcpy(x.device, x.host.ctypes.data, x.nbytes, H2D))
times = []
for _ in range(3):
    start, end = cuda_call(cudart.cudaEventCreate()), cuda_call(cudart.cudaEventCreate())  # <- leak
    cuda_call(cudart.cudaEventRecord(start, stream))
    context.execute_async_v3(int(stream))
    cuda_call(cudart.cudaEventRecord(end, stream))
    cuda_call(cudart.cudaEventSynchronize(end))
    times.append(cuda_call(cudart.cudaEventElapsedTime(start, end)))
print(len(times), "steps measured")
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
