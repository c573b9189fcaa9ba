# expect: wrong-dtype
"""A tokenizer gives int32; the engine reads int64. The buffers are large enough, so nobody complains."""

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
ids = np.arange(B * T, dtype=np.int32).reshape(B, T)
mask = np.ones((B, T), dtype=np.int32)
logits = np.empty((B, 4), np.float32)

memory = {name: cuda.mem_alloc(B * T * 8) for name in ("input_ids", "attention_mask")}
memory["logits"] = cuda.mem_alloc(logits.nbytes)
cuda.memset_d8(memory["input_ids"], 0, B * T * 8)
cuda.memset_d8(memory["attention_mask"], 0, B * T * 8)
cuda.memcpy_htod(memory["input_ids"], ids)  # <- other
cuda.memcpy_htod(memory["attention_mask"], mask)  # <- other
for name in ("input_ids", "attention_mask"):
    context.set_input_shape(name, (B, T))
for name in engine:
    context.set_tensor_address(name, int(memory[name]))
context.execute_async_v3(stream.handle)  # <- wrong-dtype
stream.synchronize()
cuda.memcpy_dtoh(logits, memory["logits"])
print(logits)
