# expect: missing-sync|race-host
"""The event was recorded on the default stream (0 by habit), not on the non-blocking one."""

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
stream = cuda_call(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking))
x, y = HostDeviceMem(32, np.float32), HostDeviceMem(32, np.float32)
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", x.device)
context.set_tensor_address("y", y.device)
x.host[:] = 1
y.host[:] = 0
done = cuda_call(cudart.cudaEventCreate())
cuda_call(cudart.cudaMemcpy(x.device, x.host.ctypes.data, x.nbytes, H2D))
context.execute_async_v3(int(stream))
cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, y.nbytes, D2H, stream))  # <- other
cuda_call(cudart.cudaEventRecord(done, 0))
cuda_call(cudart.cudaEventSynchronize(done))
result = np.array(y.host)  # <- missing-sync, race-host
cuda_call(cudart.cudaStreamSynchronize(stream))
print(result[0])
cuda_call(cudart.cudaEventDestroy(done))
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
