# expect: race-device
"""Upload and computation on two streams, and no event between them."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("add"))
context = engine.create_execution_context()
copy_stream, compute_stream = cuda.Stream(), cuda.Stream()

x = cuda.pagelocked_empty((8, 8), np.float32)
y = cuda.pagelocked_empty((8, 8), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
x[:] = np.arange(64, dtype=np.float32).reshape(8, 8)
context.set_input_shape("x", (8, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))

cuda.memcpy_htod_async(d_x, x, copy_stream)  # <- other
context.execute_async_v3(compute_stream.handle)  # <- race-device
cuda.memcpy_dtoh_async(y, d_y, compute_stream)
compute_stream.synchronize()
copy_stream.synchronize()
print(y[-1])
