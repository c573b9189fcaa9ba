# expect: uninitialized-read
"""Three rows are computed, sixteen are copied back and averaged."""

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
x = cuda.pagelocked_zeros((3, 8), np.float32)
y = cuda.pagelocked_zeros((16, 4), np.float32)
d_x = cuda.mem_alloc(16 * 32)
d_y = cuda.mem_alloc(16 * 16)  # <- other
context.set_input_shape("x", (3, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
cuda.memcpy_htod_async(d_x, x, stream)
context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(y, d_y, stream)  # <- uninitialized-read
stream.synchronize()
print(y.mean(axis=0))
