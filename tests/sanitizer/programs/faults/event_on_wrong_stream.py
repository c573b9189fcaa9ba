# expect: race-device
"""The event is recorded on the stream that waits, not on the one that computes."""

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
compute, download = cuda.Stream(), cuda.Stream()
computed = cuda.Event(cuda.event_flags.DISABLE_TIMING)

x = cuda.pagelocked_empty((4, 8), np.float32)
y = cuda.pagelocked_empty((4, 4), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))

x.fill(0.5)
cuda.memcpy_htod_async(d_x, x, compute)
context.execute_async_v3(compute.handle)  # <- other
computed.record(download)
download.wait_for_event(computed)
cuda.memcpy_dtoh_async(y, d_y, download)  # <- race-device
download.synchronize()
print(y)
compute.synchronize()
