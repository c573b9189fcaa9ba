# expect:
"""The output's memory is allocated by an IOutputAllocator when the shape is known."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models


class Allocator(trt.IOutputAllocator):
    def __init__(self):
        super().__init__()
        self.memory, self.nbytes, self.shape = None, 0, None

    def reallocate_output_async(self, tensor_name, memory, size, alignment, stream):
        if size > self.nbytes:
            self.memory, self.nbytes = cuda.mem_alloc(size), size
        return int(self.memory)

    def notify_shape(self, tensor_name, shape):
        self.shape = tuple(shape)


engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("layers"))
context = engine.create_execution_context()
stream = cuda.Stream()
allocator = Allocator()
context.set_output_allocator("y", allocator)
x = cuda.pagelocked_empty((16, 8), np.float32)
d_x = cuda.mem_alloc(x.nbytes)
context.set_tensor_address("x", int(d_x))
for rows in (2, 9, 5):
    x[:rows] = np.random.default_rng(rows).random((rows, 8), dtype=np.float32)
    context.set_input_shape("x", (rows, 8))
    cuda.memcpy_htod_async(d_x, x[:rows], stream)
    assert context.execute_async_v3(stream.handle)
    stream.synchronize()
    assert allocator.shape == (rows, 4)
    y = np.empty(allocator.shape, np.float32)
    cuda.memcpy_dtoh(y, allocator.memory)
    np.testing.assert_allclose(y, models.expected("layers", x=x[:rows]), rtol=1e-5, atol=1e-6)
