# expect:
"""A pool of threads, each with a context of its own; the results are read behind result()."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

import threading
from concurrent.futures import ThreadPoolExecutor

engine = models.engine("add")
primary = pycuda.autoprimaryctx.context
local = threading.local()


def infer(value):
    primary.push()
    try:
        if not hasattr(local, "context"):
            local.context, local.stream = engine.create_execution_context(), cuda.Stream()
            local.d_x, local.d_y = cuda.mem_alloc(128), cuda.mem_alloc(128)
            local.context.set_input_shape("x", (4, 8))
            local.context.set_tensor_address("x", int(local.d_x))
            local.context.set_tensor_address("y", int(local.d_y))
        x, y = cuda.pagelocked_empty((4, 8), np.float32), cuda.pagelocked_empty((4, 8), np.float32)
        x[:] = value
        cuda.memcpy_htod_async(local.d_x, x, local.stream)
        assert local.context.execute_async_v3(local.stream.handle)
        cuda.memcpy_dtoh_async(y, local.d_y, local.stream)
        local.stream.synchronize()
        return y
    finally:
        cuda.Context.pop()


with ThreadPoolExecutor(3) as pool:
    answers = list(pool.map(infer, range(9)))
for value, answer in enumerate(answers):
    assert (answer == value + 1).all()
