# expect: race-host|race-device
"""Two streams copy their results into the same pinned array."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("add"))
streams = [cuda.Stream(), cuda.Stream()]
contexts = [engine.create_execution_context() for _ in streams]
x = [cuda.pagelocked_empty((4, 8), np.float32) for _ in streams]
result = cuda.pagelocked_empty((4, 8), np.float32)
d_x = [cuda.mem_alloc(result.nbytes) for _ in streams]
d_y = [cuda.mem_alloc(result.nbytes) for _ in streams]
for k, (stream, context) in enumerate(zip(streams, contexts)):
    x[k][:] = k
    context.set_input_shape("x", (4, 8))
    context.set_tensor_address("x", int(d_x[k]))
    context.set_tensor_address("y", int(d_y[k]))
    cuda.memcpy_htod_async(d_x[k], x[k], stream)
    context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(result, d_y[k], stream)  # <- race-host, race-device, other
for stream in streams:
    stream.synchronize()
print(result[0, 0])
