# expect:
"""Blocking streams and the default stream order each other: no event is needed between them."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("decode"))
context = engine.create_execution_context()
uploads, compute = cuda.Stream(), cuda.Stream()
ids = cuda.pagelocked_empty((1, 1), np.int64)
logits = cuda.pagelocked_empty((1, 16), np.float32)
memory = {name: cuda.mem_alloc(n) for name, n in (("input_ids", 8), ("past", 32), ("logits", 64), ("present", 32))}
context.set_input_shape("input_ids", (1, 1))
context.set_input_shape("past", (1, 8))
for name in engine:
    context.set_tensor_address(name, int(memory[name]))
ids[0, 0] = 9
cuda.memcpy_htod_async(memory["input_ids"], ids, uploads)
cuda.memset_d8(memory["past"], 0, 32)  # default stream: behind `uploads`, before `compute`
context.execute_async_v3(compute.handle)
cuda.memcpy_dtod(memory["past"], memory["present"], 32)  # default stream again: behind the execution
context.execute_async_v3(compute.handle)
cuda.memcpy_dtoh(logits, memory["logits"])  # behind that one, and it waits
_, state = models.expected("decode", input_ids=ids, past=np.zeros((1, 8), np.float32))
np.testing.assert_allclose(logits, models.expected("decode", input_ids=ids, past=state)[0], rtol=1e-5, atol=1e-6)
