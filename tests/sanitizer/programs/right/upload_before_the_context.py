# expect:
"""The weights of a look-up are uploaded long before the stream exists, and used from many."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

table = np.arange(128, dtype=np.float32).reshape(16, 8)
d_table = cuda.mem_alloc(table.nbytes)
cuda.memcpy_htod(d_table, table)
engine = models.engine("add")
streams = [cuda.Stream() for _ in range(4)]
contexts = [engine.create_execution_context() for _ in streams]
outputs = [cuda.pagelocked_zeros((4, 8), np.float32) for _ in streams]
d_outputs = [cuda.mem_alloc(128) for _ in streams]
for k, (context, stream) in enumerate(zip(contexts, streams)):
    context.set_input_shape("x", (4, 8))
    context.set_tensor_address("x", int(d_table) + 128 * k)
    context.set_tensor_address("y", int(d_outputs[k]))
    assert context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(outputs[k], d_outputs[k], stream)
cuda.Context.synchronize()
assert (np.concatenate(outputs) == table + 1).all()
