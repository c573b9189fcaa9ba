# expect: pageable-async
"""A list becomes a new pageable array every step; the asynchronous copy of it waits."""

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
requests = [[0.1 * k] * 8 for k in range(5)]
d_x, d_y = cuda.mem_alloc(8 * 4), cuda.mem_alloc(4 * 4)
y = cuda.pagelocked_empty((5, 4), np.float32)
context.set_input_shape("x", (1, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
for k, request in enumerate(requests):
    cuda.memcpy_htod_async(d_x, np.array([request], np.float32), stream)  # <- pageable-async
    context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(y[k : k + 1], d_y, stream)
stream.synchronize()
print(y.argmax(1))
