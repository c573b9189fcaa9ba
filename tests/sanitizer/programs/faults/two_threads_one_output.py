# expect: race-device
"""Two threads with contexts and streams of their own write into one output buffer."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

import threading

engine = models.engine("add")
primary = pycuda.autoprimaryctx.context
d_x = [cuda.to_device(np.full((2, 8), k, np.float32)) for k in range(2)]
d_y = cuda.mem_alloc(64)


def worker(k):
    primary.push()
    context, stream = engine.create_execution_context(), cuda.Stream()
    context.set_input_shape("x", (2, 8))
    context.set_tensor_address("x", int(d_x[k]))
    context.set_tensor_address("y", int(d_y))
    context.execute_async_v3(stream.handle)  # <- race-device, other
    stream.synchronize()
    primary.pop()


threads = [threading.Thread(target=worker, args=(k,)) for k in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(cuda.from_device(d_y, (2, 8), np.float32)[0])
