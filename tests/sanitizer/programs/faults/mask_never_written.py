# expect: uninitialized-read
"""The ids are copied; the attention mask was allocated and forgotten."""

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

shape = (1, 8)
ids = cuda.pagelocked_zeros(shape, np.int64)
logits = cuda.pagelocked_zeros((1, 4), np.float32)
device = {
    "input_ids": cuda.mem_alloc(ids.nbytes),
    "attention_mask": cuda.mem_alloc(ids.nbytes),  # <- other
    "logits": cuda.mem_alloc(logits.nbytes),
}
for name in ("input_ids", "attention_mask"):
    context.set_input_shape(name, shape)
for name, memory in device.items():
    context.set_tensor_address(name, int(memory))

ids[0, :5] = [3, 1, 4, 1, 5]
cuda.memcpy_htod_async(device["input_ids"], ids, stream)
context.execute_async_v3(stream.handle)  # <- uninitialized-read
cuda.memcpy_dtoh_async(logits, device["logits"], stream)
stream.synchronize()
print(logits)
