# expect: capture-refused
"""The captured work waits for an event that was recorded before the capture."""

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
uploads, stream = (cuda_call(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking)) for _ in range(2))
uploaded = cuda_call(cudart.cudaEventCreateWithFlags(cudart.cudaEventDisableTiming))
x, y = HostDeviceMem(8, np.float32), HostDeviceMem(8, np.float32)
context.set_input_shape("x", (1, 8))
context.set_tensor_address("x", x.device)
context.set_tensor_address("y", y.device)
x.host[:] = 1
cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, 32, H2D, uploads))
cuda_call(cudart.cudaEventRecord(uploaded, uploads))
cuda_call(cudart.cudaStreamSynchronize(uploads))
context.execute_async_v3(int(stream))
cuda_call(cudart.cudaStreamSynchronize(stream))
cuda_call(cudart.cudaStreamBeginCapture(stream, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed))  # <- other
(error,) = cudart.cudaStreamWaitEvent(stream, uploaded, 0)  # <- capture-refused
context.execute_async_v3(int(stream))
error, graph = cudart.cudaStreamEndCapture(stream)
print(error)
cuda_call(cudart.cudaEventDestroy(uploaded))
x.free()
y.free()
for each in (uploads, stream):
    cuda_call(cudart.cudaStreamDestroy(each))
