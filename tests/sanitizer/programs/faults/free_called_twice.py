# expect: double-free
"""free() in the function and again in the clean-up."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("add"))
context = engine.create_execution_context()
stream = cuda.Stream()
allocations = []


def infer(x):
    d_x, d_y = cuda.to_device(x), cuda.mem_alloc(x.nbytes)
    allocations.extend((d_x, d_y))
    context.set_input_shape("x", x.shape)
    context.set_tensor_address("x", int(d_x))
    context.set_tensor_address("y", int(d_y))
    context.execute_async_v3(stream.handle)
    stream.synchronize()
    y = cuda.from_device_like(d_y, x)
    d_x.free()  # <- other
    return y


print(infer(np.zeros((2, 8), np.float32))[0, 0])
for allocation in allocations:
    allocation.free()  # <- double-free
