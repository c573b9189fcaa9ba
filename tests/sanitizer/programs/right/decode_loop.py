# expect:
"""Greedy decoding: past and present change places, one synchronisation a step."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
engine = runtime.deserialize_cuda_engine(models.plan("decode"))
context = engine.create_execution_context()
stream = cuda.Stream()

ids = cuda.pagelocked_empty((1, 1), np.int64)
logits = cuda.pagelocked_empty((1, 16), np.float32)
d_ids = cuda.mem_alloc(ids.nbytes)
d_logits = cuda.mem_alloc(logits.nbytes)
past, present = cuda.mem_alloc(32), cuda.mem_alloc(32)
cuda.memset_d32(past, 0, 8)  # the default stream; a blocking stream waits for it

context.set_input_shape("input_ids", (1, 1))
context.set_input_shape("past", (1, 8))
context.set_tensor_address("input_ids", int(d_ids))
context.set_tensor_address("logits", int(d_logits))

tokens, state = [3], np.zeros((1, 8), np.float32)
for _ in range(12):
    ids[0, 0] = tokens[-1]
    cuda.memcpy_htod_async(d_ids, ids, stream)
    context.set_tensor_address("past", int(past))
    context.set_tensor_address("present", int(present))
    assert context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(logits, d_logits, stream)
    stream.synchronize()
    past, present = present, past
    wanted, state = models.expected("decode", input_ids=np.array([[tokens[-1]]]), past=state)
    np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-6)
    tokens.append(int(logits[0].argmax()))
assert len(tokens) == 13
print("tokens:", tokens)
