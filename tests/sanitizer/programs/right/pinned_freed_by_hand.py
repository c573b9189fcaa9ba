# expect:
"""Pinned memory is freed by hand behind the wait; its arrays are not used any more."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("add")
context = engine.create_execution_context()
stream = cuda.Stream()
d_x, d_y = cuda.mem_alloc(64), cuda.mem_alloc(64)
context.set_input_shape("x", (2, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
for value in range(4):
    x, y = cuda.pagelocked_empty((2, 8), np.float32), cuda.pagelocked_empty((2, 8), np.float32)
    x[:] = value
    cuda.memcpy_htod_async(d_x, x, stream)
    assert context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(y, d_y, stream)
    stream.synchronize()
    assert (y == value + 1).all()
    x.base.free()
    y.base.free()
