# expect: race-device
"""Three engines in a row on three streams; the second waits for the first, the third for nothing."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engines = [models.engine("add"), models.engine("add"), models.engine("layers")]
contexts = [engine.create_execution_context() for engine in engines]
streams = [cuda.Stream() for _ in engines]
events = [cuda.Event() for _ in engines]
buffers = [cuda.mem_alloc(128) for _ in range(4)]
x, y = cuda.pagelocked_zeros((4, 8), np.float32), cuda.pagelocked_zeros((4, 4), np.float32)
for k, context in enumerate(contexts):
    context.set_input_shape("x", (4, 8))
    context.set_tensor_address("x", int(buffers[k]))
    context.set_tensor_address("y", int(buffers[k + 1]))
cuda.memcpy_htod_async(buffers[0], x, streams[0])
contexts[0].execute_async_v3(streams[0].handle)
events[0].record(streams[0])
streams[1].wait_for_event(events[0])
contexts[1].execute_async_v3(streams[1].handle)  # <- other
events[1].record(streams[1])
streams[2].wait_for_event(events[0])
contexts[2].execute_async_v3(streams[2].handle)  # <- race-device
cuda.memcpy_dtoh_async(y, buffers[3], streams[2])
cuda.Context.synchronize()
print(y[0])
