# expect: invalid-address
"""The buffer is made for one sample, the batch has four."""

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

sample = np.ones((1, 8), np.float32)
d_in = cuda.mem_alloc(4 * sample.nbytes)
d_out = cuda.mem_alloc(sample.nbytes)  # <- other
h_in = cuda.pagelocked_empty((4, 8), np.float32)
h_out = cuda.pagelocked_empty((1, 8), np.float32)
h_in[:] = sample

context.set_input_shape("x", h_in.shape)
context.set_tensor_address("x", int(d_in))
context.set_tensor_address("y", int(d_out))  # <- other
cuda.memcpy_htod_async(d_in, h_in, stream)
ok = context.execute_async_v3(stream.handle)  # <- invalid-address
if ok:
    cuda.memcpy_dtoh_async(h_out, d_out, stream)
    stream.synchronize()
    print(h_out)
