# expect: uninitialized-read
"""pagelocked_empty is copied to the device before anybody filled it."""

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

host = {name: cuda.pagelocked_empty((2, 8), np.float32) for name in engine}  # <- other
device = {name: cuda.mem_alloc(array.nbytes) for name, array in host.items()}
host["a"][:] = 1.0
host["a_bias"] = np.full((2, 8), 0.25, np.float32)  # meant for "b"

for name in ("a", "b"):
    context.set_input_shape(name, (2, 8))
    cuda.memcpy_htod_async(device[name], host[name], stream)  # <- uninitialized-read
for name in engine:
    context.set_tensor_address(name, int(device[name]))
context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(host["c"], device["c"], stream)
stream.synchronize()
print(host["c"].sum())
