# expect: race-host
"""Both inputs go through the same staging array, one right after the other."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("sum2"))
context = engine.create_execution_context()
stream = cuda.Stream()
staging = cuda.pagelocked_empty((2, 8), np.float32)
c = cuda.pagelocked_empty((2, 8), np.float32)
memory = {name: cuda.mem_alloc(staging.nbytes) for name in engine}


def upload(name, values):
    np.copyto(staging, values)  # <- race-host
    cuda.memcpy_htod_async(memory[name], staging, stream)  # <- other
    context.set_input_shape(name, values.shape)


upload("a", np.full((2, 8), 1, np.float32))
upload("b", np.full((2, 8), 10, np.float32))
for name in engine:
    context.set_tensor_address(name, int(memory[name]))
context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(c, memory["c"], stream)
stream.synchronize()
print(c[0, 0], "expected 11")
