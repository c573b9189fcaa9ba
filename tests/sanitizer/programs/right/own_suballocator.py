# expect:
"""One device buffer is divided by a ring of pieces; a piece is given again when its event has come."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("add")
context = engine.create_execution_context()
stream = cuda.Stream()
PIECE, PIECES = 512, 3
arena = cuda.mem_alloc(PIECE * PIECES)
events = [cuda.Event() for _ in range(PIECES)]
given = 0


def piece():
    global given
    slot = given % PIECES
    events[slot].synchronize()
    given += 1
    return int(arena) + slot * PIECE, events[slot]


outputs = []
d_y = cuda.mem_alloc(64)
context.set_input_shape("x", (2, 8))
context.set_tensor_address("y", int(d_y))
for value in range(8):
    address, event = piece()
    x, y = cuda.pagelocked_empty((2, 8), np.float32), cuda.pagelocked_empty((2, 8), np.float32)
    x[:] = value
    cuda.memcpy_htod_async(address, x, stream)
    context.set_tensor_address("x", address)
    assert context.execute_async_v3(stream.handle)
    event.record(stream)
    cuda.memcpy_dtoh_async(y, d_y, stream)
    outputs.append((x, y))
stream.synchronize()
for x, y in outputs:
    assert (y == x + 1).all()
