# expect: invalid-address
"""The second half of a buffer, with the offset counted as if elements had 8 bytes."""

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
stream = cuda.Stream()
x = cuda.pagelocked_empty((8, 8), np.float32)
y = cuda.pagelocked_empty((8, 8), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
x[:] = np.arange(8, dtype=np.float32)[:, None]
cuda.memcpy_htod_async(d_x, x, stream)
context.set_input_shape("x", (4, 8))
for half in range(2):
    offset = half * 4 * 8 * np.dtype(np.float64).itemsize
    context.set_tensor_address("x", int(d_x) + offset)  # <- other
    context.set_tensor_address("y", int(d_y) + offset)  # <- other
    if not context.execute_async_v3(stream.handle):  # <- invalid-address
        print("half", half, "failed")
        sys.exit(1)
cuda.memcpy_dtoh_async(y, d_y, stream)
stream.synchronize()
print(y[:, 0])
