# expect: stale-address
"""int(cuda.mem_alloc(n)): the object is collected at once, and the memory with it."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("add"))
context = engine.create_execution_context()
stream = cuda.Stream()

host, device = {}, {}
for name in engine:
    host[name] = cuda.pagelocked_zeros((4, 8), np.float32)
    device[name] = int(cuda.mem_alloc(host[name].nbytes))  # <- other
    context.set_tensor_address(name, device[name])
context.set_input_shape("x", (4, 8))

host["x"][:] = 1.5
cuda.memcpy_htod_async(device["x"], host["x"], stream)  # <- stale-address
context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(host["y"], device["y"], stream)
stream.synchronize()
print(host["y"][0])
