# expect: double-free
"""Two objects believe that they own the same buffer."""

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


class Buffer:
    def __init__(self, address):
        self.address = address

    def close(self):
        print(driver.cuMemFree(self.address)[0])  # <- double-free, other


address = ok(driver.cuMemAlloc(256))
ok(driver.cuMemsetD8(address, 0, 256))
first, second = Buffer(address), Buffer(address)
first.close()
second.close()
ok(driver.cuDevicePrimaryCtxRelease(device))
