# expect:
"""One execution context on two streams, in turn: each waits for the other's event."""

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
streams = [cuda.Stream(), cuda.Stream()]
finished = cuda.Event()
x = [cuda.pagelocked_empty((2, 8), np.float32) for _ in streams]
y = [cuda.pagelocked_empty((2, 4), np.float32) for _ in streams]
d_x = [cuda.mem_alloc(64) for _ in streams]
d_y = [cuda.mem_alloc(32) for _ in streams]
context.set_input_shape("x", (2, 8))
for k, stream in enumerate(streams):
    x[k][:] = (k + 1) / 4
    cuda.memcpy_htod_async(d_x[k], x[k], stream)
    context.set_tensor_address("x", int(d_x[k]))
    context.set_tensor_address("y", int(d_y[k]))
    stream.wait_for_event(finished)
    assert context.execute_async_v3(stream.handle)
    finished.record(stream)
    cuda.memcpy_dtoh_async(y[k], d_y[k], stream)
for k, stream in enumerate(streams):
    stream.synchronize()
    np.testing.assert_allclose(y[k], models.expected("layers", x=x[k]), rtol=1e-5, atol=1e-6)
