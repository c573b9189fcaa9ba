# expect:
"""Two streams work in two halves of the same buffers, on the device and on the host."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("add"))
contexts = [engine.create_execution_context() for _ in range(2)]
streams = [cuda.Stream() for _ in range(2)]
x, y = cuda.pagelocked_empty((8, 8), np.float32), cuda.pagelocked_empty((8, 8), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
half = x.nbytes // 2
for step in range(3):
    for k, (context, stream) in enumerate(zip(contexts, streams)):
        mine = slice(4 * k, 4 * k + 4)
        x[mine] = 10 * k + step
        context.set_input_shape("x", (4, 8))
        context.set_tensor_address("x", int(d_x) + k * half)
        context.set_tensor_address("y", int(d_y) + k * half)
        cuda.memcpy_htod_async(int(d_x) + k * half, x[mine], stream)
        assert context.execute_async_v3(stream.handle)
        cuda.memcpy_dtoh_async(y[mine], int(d_y) + k * half, stream)
    for k, stream in enumerate(streams):
        stream.synchronize()
        assert (y[4 * k : 4 * k + 4] == 10 * k + step + 1).all()  # the other half may still be under way
