# expect: race-host|missing-sync
"""Two slots; the host waits for the slot that it filled last time and refills the other one."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("add"))
contexts = [engine.create_execution_context() for _ in range(2)]
streams = [cuda.Stream() for _ in range(2)]
done = [cuda.Event() for _ in range(2)]
x = [cuda.pagelocked_zeros((4, 8), np.float32) for _ in range(2)]
y = [cuda.pagelocked_zeros((4, 8), np.float32) for _ in range(2)]
d_x = [cuda.mem_alloc(128) for _ in range(2)]
d_y = [cuda.mem_alloc(128) for _ in range(2)]
for k in range(2):
    contexts[k].set_input_shape("x", (4, 8))
    contexts[k].set_tensor_address("x", int(d_x[k]))
    contexts[k].set_tensor_address("y", int(d_y[k]))

for step in range(6):
    slot = step % 2
    if step >= 2:
        done[(step - 1) % 2].synchronize()
        print(step - 2, y[slot][0, 0])  # <- missing-sync, race-host
    x[slot][:] = step  # <- race-host
    cuda.memcpy_htod_async(d_x[slot], x[slot], streams[slot])  # <- other
    contexts[slot].execute_async_v3(streams[slot].handle)
    cuda.memcpy_dtoh_async(y[slot], d_y[slot], streams[slot])  # <- other
    done[slot].record(streams[slot])
cuda.Context.synchronize()
