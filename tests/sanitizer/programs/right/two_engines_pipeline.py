# expect:
"""The output of one engine is the input of the next, on two streams: an event each way."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

first, second = models.engine("add"), models.engine("layers")
contexts = [first.create_execution_context(), second.create_execution_context()]
streams = [cuda.Stream(), cuda.Stream()]
made, taken = cuda.Event(), cuda.Event()
x = [cuda.pagelocked_empty((4, 8), np.float32) for _ in range(5)]
y = [cuda.pagelocked_empty((4, 4), np.float32) for _ in range(5)]
d_x, d_mid, d_y = cuda.mem_alloc(128), cuda.mem_alloc(128), cuda.mem_alloc(64)
for context, source, target in zip(contexts, (d_x, d_mid), (d_mid, d_y)):
    context.set_input_shape("x", (4, 8))
    context.set_tensor_address("x", int(source))
    context.set_tensor_address("y", int(target))
for k in range(5):
    x[k][:] = k / 8
    cuda.memcpy_htod_async(d_x, x[k], streams[0])
    streams[0].wait_for_event(taken)
    contexts[0].execute_async_v3(streams[0].handle)
    made.record(streams[0])
    streams[1].wait_for_event(made)
    contexts[1].execute_async_v3(streams[1].handle)
    taken.record(streams[1])
    cuda.memcpy_dtoh_async(y[k], d_y, streams[1])
cuda.Context.synchronize()
for k in range(5):
    np.testing.assert_allclose(y[k], models.expected("layers", x=x[k] + 1), rtol=1e-5, atol=1e-6)
