# expect:
"""The runtime and the engine go out of scope; the execution context keeps what it needs."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models


def make():
    runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
    return runtime.deserialize_cuda_engine(models.plan("add")).create_execution_context()


context, stream = make(), cuda.Stream()
x, y = cuda.pagelocked_empty((3, 8), np.float32), cuda.pagelocked_empty((3, 8), np.float32)
buffers = {"x": cuda.mem_alloc(x.nbytes), "y": cuda.mem_alloc(y.nbytes)}
context.set_input_shape("x", x.shape)
for name in context.engine:
    context.set_tensor_address(name, int(buffers[name]))
x[:] = 2
cuda.memcpy_htod_async(buffers["x"], x, stream)
assert context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(y, buffers["y"], stream)
stream.synchronize()
del context
assert (y == 3).all()
