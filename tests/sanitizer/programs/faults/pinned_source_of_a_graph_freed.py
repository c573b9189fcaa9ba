# expect: graph-changed|stale-address, sticky-error
"""The pinned source of a graph's upload is freed, and the graph launched."""

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
pinned = cuda_call(cudart.cudaMallocHost(128))
ctypes.memset(pinned, 0, 128)
cuda_call(cudart.cudaMemcpyAsync(x.device, pinned, 128, H2D, stream))
context.execute_async_v3(int(stream))
cuda_call(cudart.cudaStreamSynchronize(stream))
cuda_call(cudart.cudaStreamBeginCapture(stream, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeGlobal))
cuda_call(cudart.cudaMemcpyAsync(x.device, pinned, 128, H2D, stream))
context.execute_async_v3(int(stream))
graph = cuda_call(cudart.cudaStreamEndCapture(stream))
executable = cuda_call(cudart.cudaGraphInstantiate(graph, 0))
cuda_call(cudart.cudaFreeHost(pinned))  # <- other
cudart.cudaGraphLaunch(executable, stream)  # <- graph-changed, stale-address, other
print(cudart.cudaStreamSynchronize(stream)[0])  # <- sticky-error
