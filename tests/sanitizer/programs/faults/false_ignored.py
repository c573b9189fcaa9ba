# expect: uninitialized-read
"""The shape is outside the profile; False is ignored twice, and the output was never written."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("add2"))
context = engine.create_execution_context()
stream = cuda.Stream()
x = np.ones((9, 8), np.float32)
y = np.empty_like(x)
d_x = cuda.mem_alloc(x.nbytes)
d_y = cuda.mem_alloc(y.nbytes)  # <- other
context.set_input_shape("x", x.shape)  # profile 0 ends at 4 rows
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
cuda.memcpy_htod_async(d_x, x, stream)
context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(y, d_y, stream)  # <- uninitialized-read
stream.synchronize()
print(y[0])
