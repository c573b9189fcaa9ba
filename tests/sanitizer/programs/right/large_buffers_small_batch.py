# expect:
"""Buffers for sixteen rows of which three are filled, executed and copied back; the rest is never written, nor read."""

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
x = cuda.pagelocked_empty((16, 8), np.float32)
y = cuda.pagelocked_empty((16, 4), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
context.set_input_shape("x", (3, 8))
x[:3] = 0.5
cuda.memcpy_htod_async(d_x, x[:3], stream)
assert context.execute_async_v3(stream.handle)
x[3:] = -1  # outside of what is copied
cuda.memcpy_dtoh_async(y[:3], d_y, stream)
y[3:] = 0  # outside of what is written
stream.synchronize()
np.testing.assert_allclose(y[:3], models.expected("layers", x=x[:3]), rtol=1e-5, atol=1e-6)
assert (y[3:] == 0).all()
