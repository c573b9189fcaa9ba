# expect: stale-address, sticky-error
"""A retry loop swallows every CUDA error; after the first illegal address no attempt can succeed."""

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
stream = cuda.Stream()
x = np.ones((2, 8), np.float32)
y = np.empty_like(x)
d_x, d_y = cuda.to_device(x), cuda.mem_alloc(y.nbytes)
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
d_y.free()
d_y = cuda.mem_alloc(y.nbytes)  # and the context is not told
for attempt in range(3):
    try:
        context.execute_async_v3(stream.handle)  # <- stale-address, sticky-error, other
        stream.synchronize()  # <- sticky-error, other
        cuda.memcpy_dtoh(y, d_y)
        break
    except cuda.Error as error:
        print("attempt", attempt, "failed")
