# expect:
"""Views of all kinds are made while the copy is under way; nobody reads through them before it is done."""

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
x = cuda.pagelocked_empty((4, 8), np.float32)
y = cuda.pagelocked_empty((4, 4), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
x[:] = np.linspace(-1, 1, 32, dtype=np.float32).reshape(4, 8)
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
cuda.memcpy_htod_async(d_x, x, stream)
assert context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(y, d_y, stream)
first, flat, turned = y[0], y.reshape(-1), y.T[::2]
assert y.shape == (4, 4) and len(y) == 4 and y.dtype == np.float32 and y.flags.c_contiguous and turned.base is not None
stream.synchronize()
wanted = models.expected("layers", x=x)
for got, want in ((first, wanted[0]), (flat, wanted.reshape(-1)), (turned, wanted.T[::2])):
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
