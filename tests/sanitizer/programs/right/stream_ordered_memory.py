# expect:
"""cudaMallocAsync and cudaFreeAsync in the stream that uses the memory."""

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

engine = models.engine("layers")
context = engine.create_execution_context()
stream = cuda_call(cudart.cudaStreamCreate())
rng = np.random.default_rng(5)
for rows in (1, 16, 3):
    x = rng.random((rows, 8), dtype=np.float32)
    y = np.empty((rows, 4), np.float32)
    d_x = cuda_call(cudart.cudaMallocAsync(x.nbytes, stream))
    d_y = cuda_call(cudart.cudaMallocAsync(y.nbytes, stream))
    context.set_input_shape("x", x.shape)
    context.set_tensor_address("x", d_x)
    context.set_tensor_address("y", d_y)
    cuda_call(cudart.cudaMemcpyAsync(d_x, x.ctypes.data, x.nbytes, H2D, stream))
    assert context.execute_async_v3(int(stream))
    cuda_call(cudart.cudaMemcpyAsync(y.ctypes.data, d_y, y.nbytes, D2H, stream))
    cuda_call(cudart.cudaFreeAsync(d_x, stream))
    cuda_call(cudart.cudaFreeAsync(d_y, stream))
    cuda_call(cudart.cudaStreamSynchronize(stream))
    np.testing.assert_allclose(y, models.expected("layers", x=x), rtol=1e-5, atol=1e-6)
cuda_call(cudart.cudaStreamDestroy(stream))
