# expect:
"""Warm-up, then events around every step, read at the end: the usual benchmark."""

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
stream = cuda.Stream()
x = np.ones((16, 8), np.float32)
d_x, d_y = cuda.to_device(x), cuda.mem_alloc(16 * 4 * 4)
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
for _ in range(3):
    assert context.execute_async_v3(stream.handle)
pairs = [(cuda.Event(), cuda.Event()) for _ in range(10)]
for start, end in pairs:
    start.record(stream)
    assert context.execute_async_v3(stream.handle)
    end.record(stream)
pairs[-1][1].synchronize()
times = [start.time_till(end) for start, end in pairs]
assert all(t >= 0 for t in times) and len(times) == 10
y = cuda.from_device(d_y, (16, 4), np.float32)
np.testing.assert_allclose(y, models.expected("layers", x=x), rtol=1e-5, atol=1e-6)
