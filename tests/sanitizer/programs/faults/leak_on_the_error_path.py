# expect: leak
"""The function returns early for an empty batch, behind its allocations."""

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
    return values[0] if values else None


ok(driver.cuInit(0))
device = ok(driver.cuDeviceGet(0))
primary = ok(driver.cuDevicePrimaryCtxRetain(device))
ok(driver.cuCtxSetCurrent(primary))

engine = models.engine("add")
context = engine.create_execution_context()
stream = ok(driver.cuStreamCreate(0))


def infer(x):
    h_y = ok(driver.cuMemAllocHost(512))  # <- leak
    d_x, d_y = ok(driver.cuMemAlloc(512)), ok(driver.cuMemAlloc(512))  # <- leak
    if not context.set_input_shape("x", x.shape):
        return None
    context.set_tensor_address("x", int(d_x))
    context.set_tensor_address("y", int(d_y))
    ok(driver.cuMemcpyHtoDAsync(d_x, x.ctypes.data, x.nbytes, stream))
    context.execute_async_v3(int(stream))
    y = np.empty_like(x)
    ok(driver.cuMemcpyDtoHAsync(y.ctypes.data, d_y, y.nbytes, stream))
    ok(driver.cuStreamSynchronize(stream))
    ok(driver.cuMemFree(d_x))
    ok(driver.cuMemFree(d_y))
    ok(driver.cuMemFreeHost(h_y))
    return y


print(infer(np.zeros((2, 8), np.float32))[0, 0])
print(infer(np.zeros((0, 8), np.float32)))
ok(driver.cuStreamDestroy(stream))
ok(driver.cuDevicePrimaryCtxRelease(device))
