# expect: invalid-address, sticky-error
"""The result codes of the driver are thrown away."""

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
x = np.ones((1, 8), np.float32)
d_x = ok(driver.cuMemAlloc(32))
driver.cuMemcpyHtoD(d_x, x.ctypes.data, 32)
context.set_input_shape("x", (1, 8))
context.set_tensor_address("x", int(d_x))
context.set_tensor_address("y", int(d_x) + 4096)  # <- other
context.execute_async_v3(int(stream))  # <- invalid-address, other
driver.cuStreamSynchronize(stream)  # <- sticky-error
driver.cuMemcpyDtoH(x.ctypes.data, int(d_x) + 4096, 32)  # <- sticky-error
driver.cuMemFree(d_x)
print(x)
