# expect: race-device
"""The next state is cleared on a stream of its own while the step that reads it is running."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("decode"))
context = engine.create_execution_context()
compute, clearing = cuda.Stream(), cuda.Stream()
ids = cuda.pagelocked_zeros((1, 1), np.int64)
logits = cuda.pagelocked_zeros((1, 16), np.float32)
memory = {name: cuda.mem_alloc(n) for name, n in (("input_ids", 8), ("past", 32), ("logits", 64), ("present", 32))}
context.set_input_shape("input_ids", (1, 1))
context.set_input_shape("past", (1, 8))
for name in engine:
    context.set_tensor_address(name, int(memory[name]))
cuda.memset_d32_async(memory["past"], 0, 8, compute)
cuda.memcpy_htod_async(memory["input_ids"], ids, compute)
context.execute_async_v3(compute.handle)  # <- other
cuda.memset_d32_async(memory["past"], 0, 8, clearing)  # <- race-device
cuda.memcpy_dtoh_async(logits, memory["logits"], compute)
compute.synchronize()
clearing.synchronize()
print(logits.argmax())
