# expect: race-device
"""The second engine reads the first one's output on its own stream without waiting."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

first, second = models.engine("add"), models.engine("layers")
contexts = [first.create_execution_context(), second.create_execution_context()]
streams = [cuda.Stream(), cuda.Stream()]
x = cuda.pagelocked_zeros((4, 8), np.float32)
y = cuda.pagelocked_zeros((4, 4), np.float32)
d_x, d_mid, d_y = cuda.mem_alloc(128), cuda.mem_alloc(128), cuda.mem_alloc(64)
for context in contexts:
    context.set_input_shape("x", (4, 8))
contexts[0].set_tensor_address("x", int(d_x))
contexts[0].set_tensor_address("y", int(d_mid))
contexts[1].set_tensor_address("x", int(d_mid))
contexts[1].set_tensor_address("y", int(d_y))
cuda.memcpy_htod_async(d_x, x, streams[0])
contexts[0].execute_async_v3(streams[0].handle)  # <- other
contexts[1].execute_async_v3(streams[1].handle)  # <- race-device
cuda.memcpy_dtoh_async(y, d_y, streams[1])
cuda.Context.synchronize()
print(y[0])
