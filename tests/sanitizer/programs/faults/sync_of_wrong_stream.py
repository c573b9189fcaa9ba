# expect: missing-sync|race-host
"""Two streams; the host waits for the one that did not copy the result."""

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
compute, download = cuda.Stream(), cuda.Stream()
done = cuda.Event()

x = cuda.pagelocked_zeros((4, 8), np.float32)
y = cuda.pagelocked_zeros((4, 8), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))

cuda.memcpy_htod_async(d_x, x, compute)
context.execute_async_v3(compute.handle)
done.record(compute)
download.wait_for_event(done)
cuda.memcpy_dtoh_async(y, d_y, download)  # <- other
compute.synchronize()
print("mean:", y.mean())  # <- missing-sync, race-host
