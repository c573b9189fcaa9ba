# expect:
"""Decoding with uploads, steps and downloads on a stream each; the host waits for the download alone."""

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
up, step, down = cuda.Stream(), cuda.Stream(), cuda.Stream()
uploaded, stepped = cuda.Event(), cuda.Event()
ids, logits = cuda.pagelocked_empty((1, 1), np.int64), cuda.pagelocked_empty((1, 16), np.float32)
d_ids, d_logits, past, present = (cuda.mem_alloc(n) for n in (8, 64, 32, 32))
cuda.memset_d8_async(past, 0, 32, step)
context.set_input_shape("input_ids", (1, 1))
context.set_input_shape("past", (1, 8))
context.set_tensor_address("input_ids", int(d_ids))
context.set_tensor_address("logits", int(d_logits))
token, state = 4, np.zeros((1, 8), np.float32)
for _ in range(6):
    ids[0, 0] = token  # the download of the step before was waited for, and all else came before it
    cuda.memcpy_htod_async(d_ids, ids, up)
    uploaded.record(up)
    step.wait_for_event(uploaded)
    context.set_tensor_address("past", int(past))
    context.set_tensor_address("present", int(present))
    assert context.execute_async_v3(step.handle)
    stepped.record(step)
    down.wait_for_event(stepped)
    cuda.memcpy_dtoh_async(logits, d_logits, down)
    down.synchronize()
    wanted, state = models.expected("decode", input_ids=np.array([[token]]), past=state)
    np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-6)
    past, present, token = present, past, int(logits.argmax())
