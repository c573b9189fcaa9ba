# expect: destruction-order
"""The execution context goes out of scope while its execution may still run."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("add"))
stream = cuda.Stream()
x = cuda.pagelocked_zeros((4, 8), np.float32)
y = cuda.pagelocked_zeros((4, 8), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)


def start():
    context = engine.create_execution_context()
    context.set_input_shape("x", x.shape)
    context.set_tensor_address("x", int(d_x))
    context.set_tensor_address("y", int(d_y))
    cuda.memcpy_htod_async(d_x, x, stream)
    context.execute_async_v3(stream.handle)  # <- other
    cuda.memcpy_dtoh_async(y, d_y, stream)  # <- destruction-order


start()  # <- destruction-order
stream.synchronize()
print(y[0, 0])
