# expect:
"""Pinned arrays are arrays: sorted, pickled, packed, indexed, written in every way, before and behind the copies."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("layers")
context = engine.create_execution_context()
stream = cuda.Stream()
x = cuda.pagelocked_zeros((4, 8), np.float32)
y = cuda.pagelocked_zeros((4, 4), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
import copy
import io
import pickle
import struct

assert isinstance(x, np.ndarray) and x.flags.writeable and x.flags.aligned
np.random.default_rng(7).random(out=x, dtype=np.float32)
np.clip(x, 0.1, 0.9, out=x)
x.sort(axis=1)
x[[0, 1]] = x[[1, 0]]
x.view(np.uint8)[0, 0] = 0
np.put(x, [3], 0.5)
memoryview(x)[1, 1] = 0.25
cuda.memcpy_htod_async(d_x, x, stream)
assert context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(y, d_y, stream)
stream.synchronize()
wanted = models.expected("layers", x=np.array(x))
file = io.BytesIO()
np.save(file, y)
file.seek(0)
copies = [
    np.load(file),
    pickle.loads(pickle.dumps(y)),
    copy.deepcopy(y),
    np.array(y.tolist(), np.float32),
    np.frombuffer(y.tobytes(), np.float32).reshape(4, 4),
    np.array(struct.unpack("16f", memoryview(y).cast("B"))).reshape(4, 4),
    np.concatenate([y[:2], y[2:]]),
    y @ np.eye(4, dtype=np.float32),
    np.einsum("ij->ji", y).T,
    np.stack([y[:, k] for k in range(4)], 1),
    y[y == y].reshape(4, 4),
    np.where(True, y, 0),
]
for each in copies:
    np.testing.assert_allclose(each, wanted, rtol=1e-5, atol=1e-6)
y += 1
y[...] = np.sort(y)[::-1]
assert hash(y.tobytes()) and bool((y != 0).any())
