# expect:
"""Two streams fill the left and the right columns of the same rows: their ranges overlap, their bytes do not."""

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
streams = [cuda.Stream(), cuda.Stream()]
filled = [cuda.Event(), cuda.Event()]
parts = [cuda.pagelocked_empty((4, 4), np.float32) for _ in streams]
y = cuda.pagelocked_empty((4, 8), np.float32)
d_x, d_y = cuda.mem_alloc(128), cuda.mem_alloc(128)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
for k, (stream, event, part) in enumerate(zip(streams, filled, parts)):
    part[:] = 10 * (k + 1)
    copy = cuda.Memcpy2D()
    copy.set_src_host(part)
    copy.set_dst_device(d_x)
    copy.width_in_bytes, copy.height = 16, 4
    copy.src_pitch, copy.dst_pitch, copy.dst_x_in_bytes = 16, 32, 16 * k
    copy(stream)
    event.record(stream)
streams[0].wait_for_event(filled[1])
assert context.execute_async_v3(streams[0].handle)
cuda.memcpy_dtoh_async(y, d_y, streams[0])
streams[0].synchronize()
assert (y[:, :4] == 11).all() and (y[:, 4:] == 21).all()
