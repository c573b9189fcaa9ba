# expect: stale-address
"""The output buffer is replaced by a larger one; the context still has the address of the old one, which is freed."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("add")
context = engine.create_execution_context()
stream = cuda.Stream()
x = cuda.pagelocked_zeros((16, 8), np.float32)
d_x = cuda.to_device(x)
d_y = cuda.mem_alloc(2 * 32)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
have = 2
for rows in (1, 2, 2, 8):
    context.set_input_shape("x", (rows, 8))
    if rows > have:
        stream.synchronize()
        d_y, have = cuda.mem_alloc(rows * 32), rows  # <- other
    if not context.execute_async_v3(stream.handle):  # <- stale-address
        sys.exit(f"failed at {rows} rows")
stream.synchronize()
