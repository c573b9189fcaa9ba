# expect: double-free
"""free() of the buffers is called by the error path and by the clean-up."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cudart

sys.path.insert(0, str(Path(__file__).parents[1]))
import models
from common import HostDeviceMem, cuda_call

H2D = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
D2H = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
D2D = cudart.cudaMemcpyKind.cudaMemcpyDeviceToDevice

h_x = cuda_call(cudart.cudaMallocHost(64))
d_x = cuda_call(cudart.cudaMalloc(64))


def clean_up():
    cudart.cudaFree(d_x)  # <- double-free, other
    cudart.cudaFreeHost(h_x)  # <- double-free, other


try:
    (ctypes.c_float * 16).from_address(h_x)[:] = range(16)
    cuda_call(cudart.cudaMemcpy(d_x, h_x, 64, H2D))
    raise KeyboardInterrupt
except KeyboardInterrupt:
    clean_up()
    print("interrupted")
finally:
    clean_up()
