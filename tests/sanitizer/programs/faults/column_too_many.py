# expect: race-device
"""Two streams write columns 0..4 and 4..7 of the same rows: column 4 twice."""

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
ready = [cuda.Event(), cuda.Event()]
y = cuda.pagelocked_zeros((4, 8), np.float32)
d_x, d_y = cuda.mem_alloc(128), cuda.mem_alloc(128)
parts = [cuda.pagelocked_zeros((4, 5), np.float32), cuda.pagelocked_zeros((4, 4), np.float32)]
for part, first, stream, event in zip(parts, (0, 4), streams, ready):
    copy = cuda.Memcpy2D()
    copy.set_src_host(part)
    copy.set_dst_device(d_x)
    copy.width_in_bytes = copy.src_pitch = part.shape[1] * 4
    copy.height, copy.dst_pitch, copy.dst_x_in_bytes = 4, 32, first * 4
    copy(stream)  # <- race-device, other
    event.record(stream)
for event in ready:
    streams[0].wait_for_event(event)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
context.execute_async_v3(streams[0].handle)
cuda.memcpy_dtoh_async(y, d_y, streams[0])
streams[0].synchronize()
print(y[0])
