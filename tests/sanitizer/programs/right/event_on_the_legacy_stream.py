# expect:
"""An event on the default stream comes behind the work of all blocking streams: waiting for it is enough."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("layers")
streams = [cuda.Stream() for _ in range(3)]
contexts = [engine.create_execution_context() for _ in streams]
x = [cuda.pagelocked_zeros((2, 8), np.float32) for _ in streams]
y = [cuda.pagelocked_zeros((2, 4), np.float32) for _ in streams]
d_x = [cuda.mem_alloc(64) for _ in streams]
d_y = [cuda.mem_alloc(32) for _ in streams]
for k, (context, stream) in enumerate(zip(contexts, streams)):
    x[k][:] = (k + 1) / 4
    context.set_input_shape("x", (2, 8))
    context.set_tensor_address("x", int(d_x[k]))
    context.set_tensor_address("y", int(d_y[k]))
    cuda.memcpy_htod_async(d_x[k], x[k], stream)
    assert context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(y[k], d_y[k], stream)
cuda.Event().record().synchronize()
for k in range(3):
    np.testing.assert_allclose(y[k], models.expected("layers", x=x[k]), rtol=1e-5, atol=1e-6)
