# expect:
"""Four threads share an engine; each has its own context, stream and buffers, and pushes the CUDA context."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

import threading

engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(models.plan("layers"))
primary = pycuda.autoprimaryctx.context
failures = []


def worker(seed):
    primary.push()
    try:
        context = engine.create_execution_context()
        stream = cuda.Stream()
        x = cuda.pagelocked_empty((3, 8), np.float32)
        y = cuda.pagelocked_empty((3, 4), np.float32)
        d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
        context.set_input_shape("x", x.shape)
        context.set_tensor_address("x", int(d_x))
        context.set_tensor_address("y", int(d_y))
        rng = np.random.default_rng(seed)
        for _ in range(5):
            x[:] = rng.random(x.shape, dtype=np.float32)
            cuda.memcpy_htod_async(d_x, x, stream)
            assert context.execute_async_v3(stream.handle)
            cuda.memcpy_dtoh_async(y, d_y, stream)
            stream.synchronize()
            np.testing.assert_allclose(y, models.expected("layers", x=x), rtol=1e-5, atol=1e-6)
    except BaseException as error:
        failures.append(error)
    finally:
        cuda.Context.pop()


threads = [threading.Thread(target=worker, args=(seed,)) for seed in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures
