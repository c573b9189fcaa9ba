# expect: race-device
"""Upload waits for computation and download for it too, but the next computation does not wait for the download."""

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
compute, download = cuda.Stream(), cuda.Stream()
computed = cuda.Event()
x = [cuda.pagelocked_empty((4, 8), np.float32) for _ in range(4)]
y = [cuda.pagelocked_empty((4, 8), np.float32) for _ in range(4)]
d_x, d_y = cuda.mem_alloc(128), cuda.mem_alloc(128)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
for k in range(4):
    x[k][:] = k
    cuda.memcpy_htod_async(d_x, x[k], compute)
    context.execute_async_v3(compute.handle)  # <- race-device
    computed.record(compute)
    download.wait_for_event(computed)
    cuda.memcpy_dtoh_async(y[k], d_y, download)  # <- other
compute.synchronize()
download.synchronize()
print([float(out[0, 0]) for out in y])
