# expect: race-device
"""The wait is enqueued behind the execution that it was meant for."""

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
uploads, compute = cuda.Stream(), cuda.Stream()
uploaded = cuda.Event()
x, y = cuda.pagelocked_zeros((4, 8), np.float32), cuda.pagelocked_zeros((4, 8), np.float32)
d_x, d_y = cuda.mem_alloc(128), cuda.mem_alloc(128)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
cuda.memcpy_htod_async(d_x, x, uploads)  # <- other
uploaded.record(uploads)
context.execute_async_v3(compute.handle)  # <- race-device
compute.wait_for_event(uploaded)
cuda.memcpy_dtoh_async(y, d_y, compute)
compute.synchronize()
print(y[0, 0])
