# expect: double-free
"""pycuda owns the buffer and frees it; cudaFree freed the address before."""

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

import pycuda.autoprimaryctx
import pycuda.driver as cuda

buffer = cuda.mem_alloc(256)
cuda_call(cudart.cudaMemset(int(buffer), 0, 256))
cuda_call(cudart.cudaDeviceSynchronize())
cuda_call(cudart.cudaFree(int(buffer)))  # <- other, double-free
try:
    buffer.free()  # <- double-free
except cuda.Error as error:
    print(type(error).__name__)
