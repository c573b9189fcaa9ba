# expect: shared-context
"""One thread uses execute_v2, the main thread execute_async_v3, of the same context, without a lock."""

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
context = engine.create_execution_context()
primary = pycuda.autoprimaryctx.context
buffers = [cuda.to_device(np.zeros((2, 8), np.float32)) for _ in range(4)]
context.set_input_shape("x", (2, 8))  # <- other


def background():
    primary.push()
    for _ in range(3):
        context.execute_v2([int(buffers[0]), int(buffers[1])])  # <- shared-context, other
    primary.pop()


stream = cuda.Stream()
thread = threading.Thread(target=background)
thread.start()
context.set_tensor_address("x", int(buffers[2]))  # <- shared-context, other
context.set_tensor_address("y", int(buffers[3]))  # <- shared-context, other
context.execute_async_v3(stream.handle)  # <- shared-context, other
stream.synchronize()
thread.join()
