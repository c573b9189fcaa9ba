# expect:
"""Two profiles: small batches with one, large ones with the other."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("add2"))
assert engine.num_optimization_profiles == 2
context = engine.create_execution_context()
stream = cuda.Stream()
largest = tuple(engine.get_tensor_profile_shape("x", 1)[2])
x, y = (cuda.pagelocked_empty(largest, np.float32) for _ in range(2))
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))

active = 0
for rows in (1, 4, 40, 64, 2):
    wanted = 0 if rows <= 4 else 1
    if wanted != active:
        assert context.set_optimization_profile_async(wanted, stream.handle)
        active = wanted
    assert context.set_input_shape("x", (rows, 8))
    x[:rows] = rows
    cuda.memcpy_htod_async(d_x, x[:rows], stream)
    assert context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(y[:rows], d_y, stream)
    stream.synchronize()
    assert (y[:rows] == rows + 1).all()
