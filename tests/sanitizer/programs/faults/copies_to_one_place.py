# expect: race-device
"""Two copies within the device go to the same place on two streams: the driver API, as its own samples write it."""

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
left, right = ok(driver.cuStreamCreate(1)), ok(driver.cuStreamCreate(1))
engine = models.engine("add")
context = engine.create_execution_context()
x, y, pool = (ok(driver.cuMemAlloc(128)) for _ in range(3))
ok(driver.cuMemsetD32Async(x, 0, 32, left))  # <- other
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", int(x))
context.set_tensor_address("y", int(y))
context.execute_async_v3(int(left))
ok(driver.cuMemcpyDtoDAsync(pool, y, 128, left))  # <- other
ok(driver.cuMemcpyDtoDAsync(pool, x, 64, right))  # <- race-device
ok(driver.cuStreamSynchronize(left))
ok(driver.cuStreamSynchronize(right))
result = np.empty((4, 8), np.float32)
ok(driver.cuMemcpyDtoH(result.ctypes.data, pool, 128))
print(result[:, 0])
for memory in (x, y, pool):
    ok(driver.cuMemFree(memory))
for stream in (left, right):
    ok(driver.cuStreamDestroy(stream))
ok(driver.cuDevicePrimaryCtxRelease(device))
