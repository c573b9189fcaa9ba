# expect: race-host
"""One event for two uploads: the host waits for its last record, and refills the array of the first."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("sum2")
context = engine.create_execution_context()
left, right = cuda.Stream(), cuda.Stream()
uploaded = cuda.Event()
a, b = cuda.pagelocked_zeros((4, 8), np.float32), cuda.pagelocked_zeros((4, 8), np.float32)
d_a, d_b = cuda.mem_alloc(a.nbytes), cuda.mem_alloc(b.nbytes)
for step in range(2):
    a[:] = step  # <- race-host
    b[:] = 10 * step
    cuda.memcpy_htod_async(d_a, a, left)  # <- other
    uploaded.record(left)
    cuda.memcpy_htod_async(d_b, b, right)
    uploaded.record(right)
    uploaded.synchronize()
cuda.Context.synchronize()
print(a[0, 0] + b[0, 0])
