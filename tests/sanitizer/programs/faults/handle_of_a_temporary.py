# expect: stale-handle
"""Only the integer handle of the stream is kept; pycuda destroys the stream with its object."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("add"))


class Session:
    def __init__(self):
        self.context = engine.create_execution_context()
        self.handle = cuda.Stream().handle  # <- other
        self.d_x, self.d_y = cuda.mem_alloc(32), cuda.mem_alloc(32)
        self.context.set_input_shape("x", (1, 8))
        self.context.set_tensor_address("x", int(self.d_x))
        self.context.set_tensor_address("y", int(self.d_y))

    def run(self, x):
        y = np.empty_like(x)
        cuda.memcpy_htod(self.d_x, x)
        self.context.execute_async_v3(self.handle)  # <- stale-handle
        cuda.Context.synchronize()
        cuda.memcpy_dtoh(y, self.d_y)
        return y


print(Session().run(np.ones((1, 8), np.float32)))
