# expect: race-host
"""Two batches through one staging buffer: the second fill comes before the first copy was waited for."""

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
stream = cuda.Stream()

staging = cuda.pagelocked_empty((2, 8), np.float32)
results = [cuda.pagelocked_empty((2, 8), np.float32) for _ in range(2)]
d_in, d_out = cuda.mem_alloc(staging.nbytes), cuda.mem_alloc(staging.nbytes)
context.set_input_shape("x", (2, 8))
context.set_tensor_address("x", int(d_in))
context.set_tensor_address("y", int(d_out))

for step, result in enumerate(results):
    staging[...] = step  # <- race-host
    cuda.memcpy_htod_async(d_in, staging, stream)  # <- other
    context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(result, d_out, stream)
stream.synchronize()
print([float(r[0, 0]) for r in results])
