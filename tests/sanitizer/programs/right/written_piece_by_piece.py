# expect:
"""An input buffer is filled by four copies and a memset of its pieces, from two streams, before it is read."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("layers")
context = engine.create_execution_context()
streams = [cuda.Stream(), cuda.Stream()]
x, y = cuda.pagelocked_empty((6, 8), np.float32), cuda.pagelocked_empty((6, 4), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
x[:4] = np.arange(32, dtype=np.float32).reshape(4, 8) / 32
x[4:] = 0
for row in range(4):
    cuda.memcpy_htod_async(int(d_x) + 32 * row, x[row], streams[row % 2])
cuda.memset_d32_async(int(d_x) + 128, 0, 16, streams[0])
streams[1].wait_for_event(cuda.Event().record(streams[0]))
context.set_input_shape("x", (6, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
assert context.execute_async_v3(streams[1].handle)
cuda.memcpy_dtoh_async(y, d_y, streams[1])
streams[1].synchronize()
np.testing.assert_allclose(y, models.expected("layers", x=x), rtol=1e-5, atol=1e-6)
