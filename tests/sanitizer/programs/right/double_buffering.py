# expect:
"""Two sets of buffers, two streams, two contexts; a set is filled again when its own event has passed."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("add"))


class Slot:
    def __init__(self):
        self.context = engine.create_execution_context()
        self.stream = cuda.Stream()
        self.done = cuda.Event()
        self.x = cuda.pagelocked_empty((16, 8), np.float32)
        self.y = cuda.pagelocked_empty((16, 8), np.float32)
        self.d_x, self.d_y = cuda.mem_alloc(self.x.nbytes), cuda.mem_alloc(self.y.nbytes)
        self.context.set_tensor_address("x", int(self.d_x))
        self.context.set_tensor_address("y", int(self.d_y))
        self.batch = None

    def submit(self, batch):
        self.batch = batch
        rows = len(batch)
        self.x[:rows] = batch
        self.context.set_input_shape("x", batch.shape)
        cuda.memcpy_htod_async(self.d_x, self.x[:rows], self.stream)
        self.context.execute_async_v3(self.stream.handle)
        cuda.memcpy_dtoh_async(self.y[:rows], self.d_y, self.stream)
        self.done.record(self.stream)

    def collect(self):
        if self.batch is None:
            return None
        self.done.synchronize()
        batch, self.batch = self.batch, None
        result = self.y[: len(batch)].copy()
        np.testing.assert_array_equal(result, batch + 1)
        return result


rng = np.random.default_rng(1)
batches = [rng.random((rng.integers(1, 17), 8), dtype=np.float32) for _ in range(9)]
slots, results = [Slot(), Slot()], []
for index, batch in enumerate(batches):
    slot = slots[index % 2]
    results.append(slot.collect())
    slot.submit(batch)
for index in range(len(batches), len(batches) + 2):
    results.append(slots[index % 2].collect())
assert sum(r is not None for r in results) == len(batches)
