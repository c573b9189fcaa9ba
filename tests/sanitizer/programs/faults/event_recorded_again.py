# expect: race-device
"""One event for two uploads: it is recorded again on another stream before the first record was waited for."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(models.plan("sum2"))
context = engine.create_execution_context()
first, second, compute = cuda.Stream(), cuda.Stream(), cuda.Stream()
ready = cuda.Event()
host = {name: cuda.pagelocked_zeros((4, 8), np.float32) for name in engine}
memory = {name: cuda.mem_alloc(array.nbytes) for name, array in host.items()}
for name in ("a", "b"):
    context.set_input_shape(name, (4, 8))
for name in engine:
    context.set_tensor_address(name, int(memory[name]))
host["a"][:], host["b"][:] = 1, 2

cuda.memcpy_htod_async(memory["a"], host["a"], first)  # <- other
ready.record(first)
cuda.memcpy_htod_async(memory["b"], host["b"], second)
ready.record(second)
compute.wait_for_event(ready)  # only the second record counts
context.execute_async_v3(compute.handle)  # <- race-device
cuda.memcpy_dtoh_async(host["c"], memory["c"], compute)
compute.synchronize()
first.synchronize()
print(host["c"][0, 0])
