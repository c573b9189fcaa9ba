# expect: uninitialized-read
"""The batch has four rows, and the last (short) batch fills only one."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("layers"))
context = engine.create_execution_context()
stream = cuda.Stream()
rows = np.linspace(0, 1, 8, dtype=np.float32).reshape(1, 8)
y = np.empty((4, 4), np.float32)
d_x, d_y = cuda.mem_alloc(4 * 8 * 4), cuda.mem_alloc(y.nbytes)  # <- other
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
cuda.memcpy_htod(d_x, rows)
context.execute_async_v3(stream.handle)  # <- uninitialized-read
stream.synchronize()
cuda.memcpy_dtoh(y, d_y)
print(y[:1])
