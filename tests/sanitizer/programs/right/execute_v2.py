# expect:
"""execute_v2 waits itself; no stream is in sight."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("sum2")
context = engine.create_execution_context()
a, b = np.arange(16, dtype=np.float32).reshape(2, 8), np.ones((2, 8), np.float32)
memory = [cuda.to_device(a), cuda.to_device(b), cuda.mem_alloc(a.nbytes)]
for name, array in (("a", a), ("b", b)):
    context.set_input_shape(name, array.shape)
for _ in range(3):
    assert context.execute_v2([int(each) for each in memory])
    assert (cuda.from_device_like(memory[2], a) == a + b).all()
    memory[0], memory[2] = memory[2], memory[0]
    a = a + b
