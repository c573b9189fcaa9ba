# expect: shared-context
"""One execution context on two streams; the event between them was recorded before the execution."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("layers")
context = engine.create_execution_context()
streams = [cuda.Stream(), cuda.Stream()]
turn = cuda.Event()
x = [cuda.pagelocked_zeros((2, 8), np.float32) for _ in streams]
y = [cuda.pagelocked_zeros((2, 4), np.float32) for _ in streams]
d_x = [cuda.mem_alloc(64) for _ in streams]
d_y = [cuda.mem_alloc(32) for _ in streams]
context.set_input_shape("x", (2, 8))
for k, stream in enumerate(streams):
    cuda.memcpy_htod_async(d_x[k], x[k], stream)
    stream.wait_for_event(turn)
    turn.record(stream)
    context.set_tensor_address("x", int(d_x[k]))
    context.set_tensor_address("y", int(d_y[k]))
    context.execute_async_v3(stream.handle)  # <- shared-context, other
    cuda.memcpy_dtoh_async(y[k], d_y[k], stream)
for stream in streams:
    stream.synchronize()
print(y[0][0], y[1][0])
