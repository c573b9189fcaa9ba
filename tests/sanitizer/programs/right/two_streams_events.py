# expect:
"""Upload, computation and download on a stream each, ordered by events."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("layers"))
context = engine.create_execution_context()
up, compute, down = cuda.Stream(), cuda.Stream(), cuda.Stream()
uploaded, computed, downloaded = (cuda.Event(cuda.event_flags.DISABLE_TIMING) for _ in range(3))

x = [cuda.pagelocked_empty((4, 8), np.float32) for _ in range(6)]
y = [cuda.pagelocked_empty((4, 4), np.float32) for _ in range(6)]
d_x, d_y = cuda.mem_alloc(x[0].nbytes), cuda.mem_alloc(y[0].nbytes)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))

for step in range(6):
    x[step][:] = np.random.default_rng(step).random((4, 8), dtype=np.float32)
    up.wait_for_event(computed)  # the first time it was never recorded: nothing to wait for
    cuda.memcpy_htod_async(d_x, x[step], up)
    uploaded.record(up)
    compute.wait_for_event(uploaded)
    compute.wait_for_event(downloaded)
    context.execute_async_v3(compute.handle)
    computed.record(compute)
    down.wait_for_event(computed)
    cuda.memcpy_dtoh_async(y[step], d_y, down)
    downloaded.record(down)
downloaded.synchronize()  # behind everything: the downloads are in order, and each came after its computation
for step in range(6):
    np.testing.assert_allclose(y[step], models.expected("layers", x=x[step]), rtol=1e-5, atol=1e-6)
