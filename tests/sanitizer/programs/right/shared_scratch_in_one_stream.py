# expect:
"""Two contexts use one scratch buffer and one stream: the stream orders them."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine, second = models.engine("add"), models.engine("layers")
a, b = engine.create_execution_context(), second.create_execution_context()
stream = cuda.Stream()
x = [cuda.pagelocked_empty((4, 8), np.float32) for _ in range(3)]
y = [cuda.pagelocked_empty((4, 4), np.float32) for _ in range(3)]
scratch, d_y = cuda.mem_alloc(256), cuda.mem_alloc(64)
for context in (a, b):
    context.set_input_shape("x", (4, 8))
a.set_tensor_address("x", int(scratch))
a.set_tensor_address("y", int(scratch) + 128)
b.set_tensor_address("x", int(scratch) + 128)
b.set_tensor_address("y", int(d_y))
for k in range(3):
    x[k][:] = k / 3
    cuda.memcpy_htod_async(scratch, x[k], stream)
    assert a.execute_async_v3(stream.handle) and b.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(y[k], d_y, stream)
stream.synchronize()
for k in range(3):
    np.testing.assert_allclose(y[k], models.expected("layers", x=x[k] + 1), rtol=1e-5, atol=1e-6)
