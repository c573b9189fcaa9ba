# expect: race-device
"""The event is recorded before the upload, so waiting for it orders nothing."""

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
uploads, compute = cuda.Stream(), cuda.Stream()
ready = cuda.Event()

x = cuda.pagelocked_zeros((4, 8), np.float32)
y = cuda.pagelocked_zeros((4, 8), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))

for step in range(3):
    x[:] = step
    ready.record(uploads)
    cuda.memcpy_htod_async(d_x, x, uploads)  # <- other
    compute.wait_for_event(ready)
    context.execute_async_v3(compute.handle)  # <- race-device
    cuda.memcpy_dtoh_async(y, d_y, compute)
    compute.synchronize()
    uploads.synchronize()
    print(step, y[0, 0])
