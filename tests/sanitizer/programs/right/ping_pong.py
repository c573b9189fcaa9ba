# expect:
"""Two buffers change places at every step; one pinned array takes the upload, then the result: all on one stream."""

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
array = cuda.pagelocked_empty((4, 8), np.float32)
source, target = cuda.mem_alloc(array.nbytes), cuda.mem_alloc(array.nbytes)
context.set_input_shape("x", (4, 8))
array[:] = 0
cuda.memcpy_htod_async(source, array, stream)
for _ in range(7):
    context.set_tensor_address("x", int(source))
    context.set_tensor_address("y", int(target))
    assert context.execute_async_v3(stream.handle)
    source, target = target, source
cuda.memcpy_dtoh_async(array, source, stream)
stream.synchronize()
assert (array == 7).all()
