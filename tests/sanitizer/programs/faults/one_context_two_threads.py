# expect: shared-context
"""A web server's handlers share one execution context without a lock."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

import threading

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("add"))
context = engine.create_execution_context()
primary = pycuda.autoprimaryctx.context
answers = {}


def handler(value):
    primary.push()
    stream = cuda.Stream()
    x = cuda.pagelocked_empty((1, 8), np.float32)
    y = cuda.pagelocked_empty((1, 8), np.float32)
    d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
    x[:] = value
    context.set_input_shape("x", x.shape)  # <- shared-context
    context.set_tensor_address("x", int(d_x))  # <- shared-context
    context.set_tensor_address("y", int(d_y))  # <- shared-context
    cuda.memcpy_htod_async(d_x, x, stream)
    context.execute_async_v3(stream.handle)  # <- shared-context
    cuda.memcpy_dtoh_async(y, d_y, stream)
    stream.synchronize()
    answers[value] = float(y[0, 0])
    cuda.Context.pop()


threads = [threading.Thread(target=handler, args=(value,)) for value in (1, 2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(answers)
