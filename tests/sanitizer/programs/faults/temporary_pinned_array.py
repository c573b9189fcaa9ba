# expect: stale-address|race-host|missing-sync
"""The pinned source of an asynchronous copy is a temporary: nobody keeps it until the copy has run."""

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
y = cuda.pagelocked_empty((2, 8), np.float32)
d_x, d_y = cuda.mem_alloc(64), cuda.mem_alloc(64)


def as_pinned(values):
    array = cuda.pagelocked_empty(values.shape, values.dtype)
    array[:] = values
    return array


context.set_input_shape("x", (2, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
cuda.memcpy_htod_async(d_x, as_pinned(np.ones((2, 8), np.float32)), stream)  # <- stale-address, race-host, missing-sync
context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(y, d_y, stream)
stream.synchronize()
print(y[0, 0])
