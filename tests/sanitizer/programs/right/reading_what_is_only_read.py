# expect:
"""Many may read: two streams read one device buffer, and the host reads pinned memory that is being uploaded."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("sum2"))
contexts = [engine.create_execution_context() for _ in range(2)]
streams = [cuda.Stream() for _ in range(2)]
shared = cuda.pagelocked_empty((4, 8), np.float32)
shared[:] = np.arange(32, dtype=np.float32).reshape(4, 8)
d_shared = cuda.mem_alloc(shared.nbytes)
cuda.memcpy_htod_async(d_shared, shared, streams[0])
largest = float(shared.max())  # the copy reads, and so do we
uploaded = cuda.Event().record(streams[0])
streams[1].wait_for_event(uploaded)

d_c = [cuda.mem_alloc(shared.nbytes) for _ in streams]
c = [cuda.pagelocked_empty((4, 8), np.float32) for _ in streams]
for context, stream, d_out, out in zip(contexts, streams, d_c, c):
    for name in ("a", "b"):
        context.set_input_shape(name, (4, 8))
        context.set_tensor_address(name, int(d_shared))  # both inputs in one place
    context.set_tensor_address("c", int(d_out))
    assert context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(out, d_out, stream)
for stream in streams:
    stream.synchronize()
for out in c:
    assert out.max() == 2 * largest
