# expect: destruction-order
"""The CUDA context is popped before the last inference."""

import sys
from pathlib import Path

import numpy as np
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

cuda.init()
own = cuda.Device(0).make_context()
engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("add"))
execution = engine.create_execution_context()
stream = cuda.Stream()
x = np.ones((1, 8), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(x.nbytes)
execution.set_input_shape("x", (1, 8))
execution.set_tensor_address("x", int(d_x))
execution.set_tensor_address("y", int(d_y))


def infer(array):
    cuda.memcpy_htod(d_x, array)
    execution.execute_async_v3(stream.handle)
    stream.synchronize()
    result = np.empty_like(array)
    cuda.memcpy_dtoh(result, d_y)
    return result


print(infer(x))
own.pop()  # <- other
own.detach()  # <- other
execution.execute_async_v3(stream.handle)  # <- destruction-order
