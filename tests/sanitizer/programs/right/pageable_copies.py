# expect:
"""Pageable arrays in asynchronous copies: they wait, so that reading at once is right (if slow)."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("sum2"))
context = engine.create_execution_context()
stream = cuda.Stream()
a = np.arange(32, dtype=np.float32).reshape(4, 8)
b = np.ones((4, 8), np.float32)
c = np.empty((4, 8), np.float32)
memory = {"a": cuda.mem_alloc(a.nbytes), "b": cuda.mem_alloc(b.nbytes), "c": cuda.mem_alloc(c.nbytes)}
for name in ("a", "b"):
    context.set_input_shape(name, (4, 8))
for name in engine:
    context.set_tensor_address(name, int(memory[name]))
for step in range(3):
    b[:] = step
    cuda.memcpy_htod_async(memory["a"], a, stream)
    cuda.memcpy_htod_async(memory["b"], b, stream)
    b[:] = -1  # the copy has left: nothing reads this
    assert context.execute_async_v3(stream_handle=stream.handle)
    cuda.memcpy_dtoh_async(c, memory["c"], stream)
    assert (c == a + step).all(), c
