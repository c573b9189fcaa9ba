# expect:
"""Columns are gathered from two buffers into one by two streams, disjoint; a third reads behind both events."""

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
sides, compute = [cuda.Stream(), cuda.Stream()], cuda.Stream()
d_x, d_y = cuda.mem_alloc(128), cuda.mem_alloc(128)
y = cuda.pagelocked_empty((4, 8), np.float32)
halves = [cuda.to_device(np.full((4, 4), 3 * k, np.float32)) for k in range(2)]
for k, side in enumerate(sides):
    copy = cuda.Memcpy2D()
    copy.set_src_device(halves[k])
    copy.set_dst_device(d_x)
    copy.width_in_bytes = copy.src_pitch = 16
    copy.height, copy.dst_pitch, copy.dst_x_in_bytes = 4, 32, 16 * k
    copy(side)
    compute.wait_for_event(cuda.Event().record(side))
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
assert context.execute_async_v3(compute.handle)
cuda.memcpy_dtoh_async(y, d_y, compute)
compute.synchronize()
assert (y[:, :4] == 1).all() and (y[:, 4:] == 4).all()
