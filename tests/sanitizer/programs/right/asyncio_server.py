# expect:
"""Requests are coroutines; a lock guards the context, and a thread waits for the stream."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

import asyncio

engine = models.engine("layers")
context = engine.create_execution_context()
stream = cuda.Stream()
x, y = cuda.pagelocked_empty((1, 8), np.float32), cuda.pagelocked_empty((1, 4), np.float32)
d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
context.set_input_shape("x", x.shape)
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
primary = pycuda.autoprimaryctx.context


def wait():
    primary.push()
    try:
        stream.synchronize()
    finally:
        cuda.Context.pop()


async def infer(lock, values):
    async with lock:
        x[:] = values
        cuda.memcpy_htod_async(d_x, x, stream)
        assert context.execute_async_v3(stream.handle)
        cuda.memcpy_dtoh_async(y, d_y, stream)
        await asyncio.to_thread(wait)
        return y.copy()


async def main():
    lock = asyncio.Lock()
    inputs = [np.full((1, 8), k / 5, np.float32) for k in range(5)]
    answers = await asyncio.gather(*(infer(lock, each) for each in inputs))
    for each, answer in zip(inputs, answers):
        np.testing.assert_allclose(answer, models.expected("layers", x=each), rtol=1e-5, atol=1e-6)


asyncio.run(main())
