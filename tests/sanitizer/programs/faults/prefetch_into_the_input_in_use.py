# expect: race-device
"""The next batch is uploaded into the buffer that the execution before still reads."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("layers")
context = engine.create_execution_context()
prefetch, compute = cuda.Stream(), cuda.Stream()
arrived = cuda.Event()
batches = [cuda.pagelocked_zeros((4, 8), np.float32) for _ in range(3)]
results = [cuda.pagelocked_zeros((4, 4), np.float32) for _ in range(3)]
d_x, d_y = cuda.mem_alloc(128), cuda.mem_alloc(64)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
for batch, result in zip(batches, results):
    cuda.memcpy_htod_async(d_x, batch, prefetch)  # <- race-device
    arrived.record(prefetch)
    compute.wait_for_event(arrived)
    context.execute_async_v3(compute.handle)  # <- other
    cuda.memcpy_dtoh_async(result, d_y, compute)
compute.synchronize()
print(results[0][0])
