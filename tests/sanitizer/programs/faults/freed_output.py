# expect: stale-address
"""The output buffer is freed to save memory, and its address stays in the context."""

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


def allocate(rows):
    h = cuda.pagelocked_zeros((rows, 8), np.float32)
    return h, cuda.mem_alloc(h.nbytes)


h_x, d_x = allocate(4)
h_y, d_y = allocate(4)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
for batch in range(2):
    h_x[:] = batch
    cuda.memcpy_htod_async(d_x, h_x, stream)
    context.execute_async_v3(stream.handle)  # <- stale-address
    if batch == 0:
        cuda.memcpy_dtoh_async(h_y, d_y, stream)
    stream.synchronize()
    if batch == 0:
        print(h_y[0, 0])
        d_y.free()  # <- other
