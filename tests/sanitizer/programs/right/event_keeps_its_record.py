# expect:
"""A wait stands for the record that was there when it was enqueued; recording the event again changes nothing."""

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
uploads, compute = cuda.Stream(), cuda.Stream()
ready = cuda.Event(cuda.event_flags.DISABLE_TIMING)
x = [cuda.pagelocked_empty((4, 8), np.float32) for _ in range(4)]
y = [cuda.pagelocked_empty((4, 8), np.float32) for _ in range(4)]
d_x = [cuda.mem_alloc(128) for _ in range(4)]
d_y = cuda.mem_alloc(128)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("y", int(d_y))
for k in range(4):
    x[k][:] = k
    cuda.memcpy_htod_async(d_x[k], x[k], uploads)
    ready.record(uploads)
    compute.wait_for_event(ready)
    context.set_tensor_address("x", int(d_x[k]))
    assert context.execute_async_v3(compute.handle)
    cuda.memcpy_dtoh_async(y[k], d_y, compute)
ready.record(compute)
ready.synchronize()
assert [float(out[0, 0]) for out in y] == [1, 2, 3, 4]
