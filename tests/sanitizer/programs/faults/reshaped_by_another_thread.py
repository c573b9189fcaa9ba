# expect: shared-context
"""A controller thread changes the context's shape while the worker executes with it."""

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
stream = cuda.Stream()
d_x, d_y = cuda.to_device(np.zeros((16, 8), np.float32)), cuda.mem_alloc(512)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
context.set_input_shape("x", (4, 8))  # <- other


def controller():
    context.set_input_shape("x", (8, 8))  # <- shared-context, other


thread = threading.Thread(target=controller)
thread.start()
context.execute_async_v3(stream.handle)  # <- shared-context, other
stream.synchronize()
thread.join()
