# expect:
"""Buffers of many sizes come and go, so that addresses are used again, of the host and of the device."""

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
rng = np.random.default_rng(8)
for step in range(25):
    rows = int(rng.integers(1, 17))
    stream = cuda.Stream()
    x, y = cuda.pagelocked_empty((rows, 8), np.float32), cuda.pagelocked_empty((rows, 8), np.float32)
    d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
    x[:] = step
    context.set_input_shape("x", x.shape)
    context.set_tensor_address("x", int(d_x))
    context.set_tensor_address("y", int(d_y))
    cuda.memcpy_htod_async(d_x, x, stream)
    assert context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(y, d_y, stream)
    stream.synchronize()
    assert (y == step + 1).all()
    if step % 2:
        d_x.free()
        d_y.free()
    del x, y
