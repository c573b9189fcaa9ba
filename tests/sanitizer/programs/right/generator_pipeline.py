# expect:
"""A generator keeps two batches in flight and yields results in order."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("layers")


def pipeline(batches, depth=2):
    slots = []
    for _ in range(depth):
        context, stream = engine.create_execution_context(), cuda.Stream()
        x, y = cuda.pagelocked_empty((16, 8), np.float32), cuda.pagelocked_empty((16, 4), np.float32)
        d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
        context.set_tensor_address("x", int(d_x))
        context.set_tensor_address("y", int(d_y))
        slots.append((context, stream, x, y, d_x, d_y))
    pending = []
    for index, batch in enumerate(batches):
        if len(pending) == depth:
            yield finish(*pending.pop(0))
        context, stream, x, y, d_x, d_y = slots[index % depth]
        rows = len(batch)
        x[:rows] = batch
        context.set_input_shape("x", batch.shape)
        cuda.memcpy_htod_async(d_x, x[:rows], stream)
        assert context.execute_async_v3(stream.handle)
        cuda.memcpy_dtoh_async(y[:rows], d_y, stream)
        pending.append((stream, y[:rows]))
    while pending:
        yield finish(*pending.pop(0))


def finish(stream, view):
    stream.synchronize()
    return view.copy()


rng = np.random.default_rng(9)
inputs = [rng.random((int(rng.integers(1, 17)), 8), dtype=np.float32) for _ in range(7)]
for batch, result in zip(inputs, pipeline(inputs), strict=True):
    np.testing.assert_allclose(result, models.expected("layers", x=batch), rtol=1e-5, atol=1e-6)
