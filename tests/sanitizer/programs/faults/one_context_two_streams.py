# expect: shared-context
"""Two requests at once through one execution context, each on a stream and in buffers of its own."""

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


class Request:
    def __init__(self, value):
        self.stream = cuda.Stream()
        self.x = cuda.pagelocked_empty((2, 8), np.float32)
        self.y = cuda.pagelocked_empty((2, 4), np.float32)
        self.x[:] = value
        self.d_x, self.d_y = cuda.mem_alloc(self.x.nbytes), cuda.mem_alloc(self.y.nbytes)

    def start(self):
        context.set_input_shape("x", self.x.shape)
        context.set_tensor_address("x", int(self.d_x))
        context.set_tensor_address("y", int(self.d_y))
        cuda.memcpy_htod_async(self.d_x, self.x, self.stream)
        context.execute_async_v3(self.stream.handle)  # <- shared-context
        cuda.memcpy_dtoh_async(self.y, self.d_y, self.stream)


requests = [Request(value) for value in (0.25, 0.75)]
for request in requests:
    request.start()
for request in requests:
    request.stream.synchronize()
    print(request.y[0])
