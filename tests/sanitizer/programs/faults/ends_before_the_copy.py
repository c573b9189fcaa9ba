# expect: missing-sync
"""The last batch is enqueued and the program ends; its result is never waited for."""

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
x = cuda.pagelocked_empty((4, 8), np.float32)
y = [cuda.pagelocked_empty((4, 4), np.float32) for _ in range(3)]
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y[0].nbytes)
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
for batch in range(3):
    stream.synchronize()
    if batch:
        print(batch - 1, y[batch - 1].sum())
    x[:] = batch
    cuda.memcpy_htod_async(d_x, x, stream)
    context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(y[batch], d_y, stream)  # <- missing-sync
