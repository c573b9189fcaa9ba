# expect: race-device
"""Two workers split a buffer of nine rows as 0..5 and 4..9: one row belongs to both."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("add")
contexts = [engine.create_execution_context() for _ in range(2)]
streams = [cuda.Stream() for _ in range(2)]
x = cuda.pagelocked_zeros((9, 8), np.float32)
y = cuda.pagelocked_zeros((9, 8), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
cuda.memcpy_htod(d_x, x)
row = 8 * 4
for k, first in enumerate((0, 4)):
    contexts[k].set_input_shape("x", (5, 8))
    contexts[k].set_tensor_address("x", int(d_x) + first * row)
    contexts[k].set_tensor_address("y", int(d_y) + first * row)
contexts[0].execute_async_v3(streams[0].handle)  # <- other
contexts[1].execute_async_v3(streams[1].handle)  # <- race-device
for stream in streams:
    stream.synchronize()
cuda.memcpy_dtoh(y, d_y)
print(y[:, 0])
