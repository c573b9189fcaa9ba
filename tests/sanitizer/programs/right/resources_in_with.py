# expect:
"""Context managers that free in reverse order, also when the body raises."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cudart

sys.path.insert(0, str(Path(__file__).parents[1]))
import models
from common import HostDeviceMem, allocate_buffers, cuda_call, do_inference, free_buffers

H2D = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
D2H = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
D2D = cudart.cudaMemcpyKind.cudaMemcpyDeviceToDevice

import contextlib


@contextlib.contextmanager
def cuda_stream():
    stream = cuda_call(cudart.cudaStreamCreate())
    try:
        yield stream
    finally:
        cuda_call(cudart.cudaStreamSynchronize(stream))
        cuda_call(cudart.cudaStreamDestroy(stream))


@contextlib.contextmanager
def buffer(count):
    memory = HostDeviceMem(count, np.float32)
    try:
        yield memory
    finally:
        memory.free()


engine = models.engine("add")
results = []
for fail in (False, True):
    with contextlib.suppress(KeyError), buffer(16) as x, buffer(16) as y, cuda_stream() as stream:
        context = engine.create_execution_context()
        context.set_input_shape("x", (2, 8))
        context.set_tensor_address("x", x.device)
        context.set_tensor_address("y", y.device)
        x.host[:] = 6
        cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, x.nbytes, H2D, stream))
        assert context.execute_async_v3(int(stream))
        if fail:
            raise KeyError("the request was cancelled")
        cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, y.nbytes, D2H, stream))
        cuda_call(cudart.cudaStreamSynchronize(stream))
        results.append(y.host.copy())
assert len(results) == 1 and (results[0] == 7).all()
