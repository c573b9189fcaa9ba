# expect: race-device
"""Of two events with similar names the wrong one is waited for; it was never recorded."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("decode")
context = engine.create_execution_context()
compute, shift = cuda.Stream(), cuda.Stream()
step_done, steps_done = cuda.Event(), cuda.Event()
ids, logits = cuda.pagelocked_zeros((1, 1), np.int64), cuda.pagelocked_zeros((1, 16), np.float32)
memory = {name: cuda.mem_alloc(n) for name, n in (("input_ids", 8), ("past", 32), ("logits", 64), ("present", 32))}
cuda.memset_d8(memory["past"], 0, 32)
context.set_input_shape("input_ids", (1, 1))
context.set_input_shape("past", (1, 8))
for name in engine:
    context.set_tensor_address(name, int(memory[name]))
for step in range(4):
    cuda.memcpy_htod_async(memory["input_ids"], ids, compute)
    context.execute_async_v3(compute.handle)  # <- other
    step_done.record(compute)
    cuda.memcpy_dtoh_async(logits, memory["logits"], compute)
    shift.wait_for_event(steps_done)
    cuda.memcpy_dtod_async(memory["past"], memory["present"], 32, shift)  # <- race-device
    shift.synchronize()
    compute.synchronize()
    ids[0, 0] = logits.argmax()
print(ids[0, 0])
