# expect: invalid-address
"""The address of a NumPy array is given where a device address belongs."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("layers"))
context = engine.create_execution_context()
stream = cuda.Stream()

x = np.linspace(0, 1, 16, dtype=np.float32).reshape(2, 8)
y = np.zeros((2, 4), np.float32)
d_y = cuda.mem_alloc(y.nbytes)
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", x.ctypes.data)  # <- other
context.set_tensor_address("y", int(d_y))
if not context.execute_async_v3(stream.handle):  # <- invalid-address
    sys.exit("inference failed")
cuda.memcpy_dtoh(y, d_y)
print(y)
