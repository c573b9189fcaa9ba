# expect: destruction-order
"""The primary context is reset to get rid of everything; the engine was made in it."""

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
context.set_input_shape("x", (1, 8))
ok(driver.cuDevicePrimaryCtxReset(device))  # <- other
primary = ok(driver.cuDevicePrimaryCtxRetain(device))
ok(driver.cuCtxSetCurrent(primary))
stream = ok(driver.cuStreamCreate(0))
d_x, d_y = ok(driver.cuMemAlloc(32)), ok(driver.cuMemAlloc(32))
ok(driver.cuMemsetD8(d_x, 0, 32))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_y))
print(context.execute_async_v3(int(stream)))  # <- destruction-order
for address in (d_x, d_y):
    driver.cuMemFree(address)
driver.cuStreamDestroy(stream)
