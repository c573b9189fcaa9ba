# expect:
"""Two threads share one execution context: a lock, and the stream is waited for before it is released."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

import threading

engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("add"))
context = engine.create_execution_context()
primary = pycuda.autoprimaryctx.context
lock, answers = threading.Lock(), {}


def handler(value):
    primary.push()
    stream = cuda.Stream()
    x, y = cuda.pagelocked_empty((1, 8), np.float32), cuda.pagelocked_empty((1, 8), np.float32)
    d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
    for _ in range(4):
        x[:] = value
        cuda.memcpy_htod_async(d_x, x, stream)
        with lock:
            context.set_input_shape("x", x.shape)
            context.set_tensor_address("x", int(d_x))
            context.set_tensor_address("y", int(d_y))
            assert context.execute_async_v3(stream.handle)
            stream.synchronize()
        cuda.memcpy_dtoh_async(y, d_y, stream)
        stream.synchronize()
    answers[value] = float(y[0, 0])
    cuda.Context.pop()


threads = [threading.Thread(target=handler, args=(value,)) for value in (1, 2, 3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert answers == {1: 2, 2: 3, 3: 4}
