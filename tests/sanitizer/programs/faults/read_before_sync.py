# expect: missing-sync
"""Single inference; the result is printed before anything waited for the stream."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

logger = trt.Logger(trt.Logger.WARNING)
engine = trt.Runtime(logger).deserialize_cuda_engine(models.plan("layers"))
context = engine.create_execution_context()
stream = cuda.Stream()

batch = 4
h_in = cuda.pagelocked_empty((batch, 8), np.float32)
h_out = cuda.pagelocked_empty((batch, 4), np.float32)
d_in, d_out = cuda.mem_alloc(h_in.nbytes), cuda.mem_alloc(h_out.nbytes)

h_in[:] = np.random.default_rng(0).random((batch, 8), dtype=np.float32)
context.set_input_shape("x", (batch, 8))
context.set_tensor_address("x", int(d_in))
context.set_tensor_address("y", int(d_out))

cuda.memcpy_htod_async(d_in, h_in, stream)
context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(h_out, d_out, stream)  # <- other
best = h_out.argmax(axis=1)  # <- missing-sync
stream.synchronize()
print("classes:", best)
