# expect:
"""The result comes in two copies; the first half is read behind its own event while the second is under way."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("add"))
context = engine.create_execution_context()
compute, other = cuda.Stream(), cuda.Stream()
x, y = cuda.pagelocked_empty((16, 8), np.float32), cuda.pagelocked_empty((16, 8), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
half = y.nbytes // 2
x[:] = np.arange(16, dtype=np.float32)[:, None]
context.set_input_shape("x", (16, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
cuda.memcpy_htod_async(d_x, x, compute)
assert context.execute_async_v3(compute.handle)
cuda.memcpy_dtoh_async(y[:8], d_y, compute)
first = cuda.Event().record(compute)
other.wait_for_event(first)
cuda.memcpy_dtoh_async(y[8:], int(d_y) + half, compute)
other.synchronize()  # through the event it stands for the first copy
assert (y[:8, 0] == np.arange(1, 9)).all()
x[:8] = -1  # the upload was before the first copy
compute.synchronize()
assert (y[8:, 0] == np.arange(9, 17)).all()
