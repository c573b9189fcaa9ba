# expect: missing-sync|race-host
"""The event that the host waits for was recorded between the computation and the copy."""

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
stream, done = cuda.Stream(), cuda.Event()
x = cuda.pagelocked_empty((4, 8), np.float32)
y = cuda.pagelocked_empty((4, 4), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
x[:] = 0.1
cuda.memcpy_htod_async(d_x, x, stream)
context.execute_async_v3(stream.handle)
done.record(stream)
cuda.memcpy_dtoh_async(y, d_y, stream)  # <- other
done.synchronize()
for row in y:  # <- missing-sync, race-host
    print(row)  # <- missing-sync, race-host
stream.synchronize()
