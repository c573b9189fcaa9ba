# expect: shared-context
"""Requests in flight on a pool of streams, one execution context for all of them."""

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
pool = [cuda_call(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking)) for _ in range(3)]
buffers = [(HostDeviceMem(16, np.float32), HostDeviceMem(16, np.float32)) for _ in pool]
context.set_input_shape("x", (2, 8))
for k, (stream, (x, y)) in enumerate(zip(pool, buffers)):
    x.host[:] = k
    cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, x.nbytes, H2D, stream))
    context.set_tensor_address("x", x.device)
    context.set_tensor_address("y", y.device)
    context.execute_async_v3(int(stream))  # <- shared-context, other
    cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, y.nbytes, D2H, stream))
for stream, (x, y) in zip(pool, buffers):
    cuda_call(cudart.cudaStreamSynchronize(stream))
    print(y.host[0])
    x.free()
    y.free()
    cuda_call(cudart.cudaStreamDestroy(stream))
