# expect: missing-sync
"""np.save writes the result away before the stream was waited for."""

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
stream = cuda.Stream()
x = cuda.pagelocked_zeros((4, 8), np.float32)
y = cuda.pagelocked_zeros((4, 4), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
import io

cuda.memcpy_htod_async(d_x, x, stream)
context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(y, d_y, stream)  # <- other
file = io.BytesIO()
np.save(file, y)  # <- missing-sync
stream.synchronize()
print(len(file.getvalue()))
