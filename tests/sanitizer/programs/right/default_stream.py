# expect:
"""Everything on the default stream, with blocking copies: slow, and right."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("pool"))
context = engine.create_execution_context()
rng = np.random.default_rng(2)
for batch, length in ((1, 1), (3, 7), (8, 16)):
    ids = rng.integers(0, 32, (batch, length))
    mask = (rng.random((batch, length)) < 0.7).astype(np.int64)
    logits = np.empty((batch, 4), np.float32)
    d_ids, d_mask, d_logits = cuda.to_device(ids), cuda.to_device(mask), cuda.mem_alloc(logits.nbytes)
    context.set_input_shape("input_ids", ids.shape)
    context.set_input_shape("attention_mask", mask.shape)
    context.set_tensor_address("input_ids", int(d_ids))
    context.set_tensor_address("attention_mask", int(d_mask))
    context.set_tensor_address("logits", int(d_logits))
    assert context.execute_async_v3(0)
    cuda.memcpy_dtoh(logits, d_logits)  # waits for the default stream
    np.testing.assert_allclose(
        logits, models.expected("pool", input_ids=ids, attention_mask=mask), rtol=1e-5, atol=1e-6
    )
    for memory in (d_ids, d_mask, d_logits):
        memory.free()
