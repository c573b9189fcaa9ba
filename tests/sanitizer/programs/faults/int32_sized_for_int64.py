# expect: invalid-address
"""Buffers of int32 size for an engine whose ids are int64."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("pool"))
context = engine.create_execution_context()
stream = cuda.Stream()
B, T = 2, 8

buffers = {}
for name in ("input_ids", "attention_mask"):
    context.set_input_shape(name, (B, T))
    buffers[name] = cuda.mem_alloc(B * T * np.dtype(np.int32).itemsize)  # <- other
    context.set_tensor_address(name, int(buffers[name]))
buffers["logits"] = cuda.mem_alloc(B * 4 * 4)
context.set_tensor_address("logits", int(buffers["logits"]))

ids = np.arange(B * T, dtype=np.int64).reshape(B, T)
mask = np.ones((B, T), np.int64)
cuda.memcpy_htod(buffers["input_ids"], ids)  # <- invalid-address
cuda.memcpy_htod(buffers["attention_mask"], mask)
context.execute_async_v3(stream.handle)
logits = np.empty((B, 4), np.float32)
cuda.memcpy_dtoh(logits, buffers["logits"])
print(logits)
