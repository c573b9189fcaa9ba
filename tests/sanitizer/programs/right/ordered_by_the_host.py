# expect:
"""The host waits for one stream, and only then gives work to the other: no event is needed."""

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
uploads, compute, down = cuda.Stream(), cuda.Stream(), cuda.Stream()
x, y = cuda.pagelocked_zeros((4, 8), np.float32), cuda.pagelocked_zeros((4, 8), np.float32)
d_x, d_y = cuda.mem_alloc(128), cuda.mem_alloc(128)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
arrived = cuda.Event()
for step in range(3):
    x[:] = step
    cuda.memcpy_htod_async(d_x, x, uploads)
    arrived.record(uploads)
    arrived.synchronize()
    assert context.execute_async_v3(compute.handle)
    compute.synchronize()
    cuda.memcpy_dtoh_async(y, d_y, down)
    down.synchronize()
    assert (y == step + 1).all()
