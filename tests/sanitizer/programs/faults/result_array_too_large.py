# expect: invalid-address
"""The host array has the profile's maximum, the device buffer the size of the batch."""

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
x = np.ones((4, 8), np.float32)
y = cuda.pagelocked_empty(tuple(engine.get_tensor_profile_shape("x", 0)[2]), np.float32)
d_x = cuda.to_device(x)
d_y = cuda.mem_alloc(x.nbytes)  # <- other
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(y, d_y, stream)  # <- invalid-address
stream.synchronize()
print(y[:4])
