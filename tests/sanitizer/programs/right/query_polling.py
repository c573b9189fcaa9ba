# expect:
"""The host works on while it polls the stream; it reads when the query says that all is done."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("add"))
context = engine.create_execution_context()
stream, done = cuda.Stream(), cuda.Event()
x, y = (cuda.pagelocked_zeros((16, 8), np.float32) for _ in range(2))
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
context.set_input_shape("x", (16, 8))
for name, memory in zip(engine, (d_x, d_y)):
    context.set_tensor_address(name, int(memory))

polls = 0
for step in range(4):
    x[:] = step
    cuda.memcpy_htod_async(d_x, x, stream)
    context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(y, d_y, stream)
    done.record(stream)
    if step % 2:
        while not stream.is_done():
            polls += 1
    else:
        while not done.query():
            polls += 1
    assert (y == step + 1).all(), y
print(polls, "polls")
