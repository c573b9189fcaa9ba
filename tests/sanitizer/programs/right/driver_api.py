# expect:
"""The driver API of cuda.bindings: an own context, pinned memory, a blocking and a non-blocking stream."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import tensorrt as trt
from cuda.bindings import driver

sys.path.insert(0, str(Path(__file__).parents[1]))
import models


def ok(result):
    error, *values = result
    assert error == driver.CUresult.CUDA_SUCCESS, error
    return values[0] if len(values) == 1 else values


ok(driver.cuInit(0))
device = ok(driver.cuDeviceGet(0))
primary = ok(driver.cuDevicePrimaryCtxRetain(device))
ok(driver.cuCtxSetCurrent(primary))
uploads = ok(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
compute = ok(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_DEFAULT))
ready = ok(driver.cuEventCreate(driver.CUevent_flags.CU_EVENT_DISABLE_TIMING))

engine = models.engine("add")
context = engine.create_execution_context()
nbytes = 4 * 8 * 4
h_x, h_y = ok(driver.cuMemAllocHost(nbytes)), ok(driver.cuMemAllocHost(nbytes))
x, y = (np.frombuffer((ctypes.c_byte * nbytes).from_address(int(a)), np.float32).reshape(4, 8) for a in (h_x, h_y))
d_x, d_y = ok(driver.cuMemAlloc(nbytes)), ok(driver.cuMemAlloc(nbytes))
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
for step in range(3):
    x[:] = step
    ok(driver.cuMemcpyHtoDAsync(d_x, h_x, nbytes, uploads))
    ok(driver.cuEventRecord(ready, uploads))
    ok(driver.cuStreamWaitEvent(compute, ready, 0))
    assert context.execute_async_v3(int(compute))
    ok(driver.cuMemcpyDtoHAsync(h_y, d_y, nbytes, compute))
    ok(driver.cuStreamSynchronize(compute))
    assert (y == step + 1).all()
del context, engine
for memory in (d_x, d_y):
    ok(driver.cuMemFree(memory))
for memory in (h_x, h_y):
    ok(driver.cuMemFreeHost(memory))
ok(driver.cuEventDestroy(ready))
for stream in (uploads, compute):
    ok(driver.cuStreamDestroy(stream))
ok(driver.cuDevicePrimaryCtxRelease(device))
