# expect: wrong-dtype
"""NumPy's default is float64; the input buffer has room for it, and FP32 is read from its bytes."""

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
d_x, d_y = cuda.mem_alloc(16 * 8 * 4), cuda.mem_alloc(16 * 4 * 4)
y = cuda.pagelocked_zeros((2, 4), np.float32)
x = np.random.default_rng(0).random((2, 8))
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
cuda.memcpy_htod(d_x, x)  # <- other
context.execute_async_v3(stream.handle)  # <- wrong-dtype
cuda.memcpy_dtoh_async(y, d_y, stream)
stream.synchronize()
print(y)
