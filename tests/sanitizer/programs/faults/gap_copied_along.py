# expect: uninitialized-read
"""The cache is shifted by a row within the device; its last row was never written."""

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
stream = cuda.Stream()
ROWS, ROW = 4, 8 * 4
cache, shifted = cuda.mem_alloc(ROWS * ROW), cuda.mem_alloc(ROWS * ROW)  # <- other
rows = cuda.pagelocked_zeros((ROWS - 1, 8), np.float32)
y = cuda.pagelocked_zeros((ROWS, 8), np.float32)
d_y = cuda.mem_alloc(y.nbytes)
cuda.memcpy_htod_async(cache, rows, stream)
cuda.memcpy_dtod_async(shifted, cache, ROWS * ROW, stream)  # <- uninitialized-read
context.set_input_shape("x", (ROWS, 8))
context.set_tensor_address("x", int(shifted))
context.set_tensor_address("y", int(d_y))
context.execute_async_v3(stream.handle)  # <- uninitialized-read
cuda.memcpy_dtoh_async(y, d_y, stream)
stream.synchronize()
print(y)
