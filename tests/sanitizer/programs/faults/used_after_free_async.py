# expect: stale-address
"""The buffer is freed in stream order, and a copy out of it comes behind that."""

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
x, y = np.ones((2, 8), np.float32), np.zeros((2, 8), np.float32)
d_x = cuda_call(cudart.cudaMallocAsync(x.nbytes, stream))
d_y = cuda_call(cudart.cudaMallocAsync(y.nbytes, stream))
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", d_x)
context.set_tensor_address("y", d_y)
cuda_call(cudart.cudaMemcpyAsync(d_x, x.ctypes.data, x.nbytes, H2D, stream))
context.execute_async_v3(int(stream))
for address in (d_x, d_y):
    cuda_call(cudart.cudaFreeAsync(address, stream))  # <- other
cudart.cudaMemcpyAsync(y.ctypes.data, d_y, y.nbytes, D2H, stream)  # <- stale-address
cudart.cudaStreamSynchronize(stream)
print(y[0])
cudart.cudaStreamDestroy(stream)
