# expect:
"""Events and streams may be destroyed while work is pending: it still runs, and the device is waited for."""

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

engine = models.engine("add")
context = engine.create_execution_context()
uploads, compute = cuda_call(cudart.cudaStreamCreate()), cuda_call(cudart.cudaStreamCreate())
x, y = HostDeviceMem(8, np.float32), HostDeviceMem(8, np.float32)
context.set_input_shape("x", (1, 8))
context.set_tensor_address("x", x.device)
context.set_tensor_address("y", y.device)
x.host[:] = 1
cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, x.nbytes, H2D, uploads))
ready = cuda_call(cudart.cudaEventCreateWithFlags(cudart.cudaEventDisableTiming))
cuda_call(cudart.cudaEventRecord(ready, uploads))
cuda_call(cudart.cudaStreamWaitEvent(compute, ready, 0))
cuda_call(cudart.cudaEventDestroy(ready))
cuda_call(cudart.cudaStreamDestroy(uploads))
assert context.execute_async_v3(int(compute))
cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, y.nbytes, D2H, compute))
cuda_call(cudart.cudaStreamDestroy(compute))
cuda_call(cudart.cudaDeviceSynchronize())
assert (y.host == 2).all()
x.free()
y.free()
