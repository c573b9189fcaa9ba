# expect: leak
"""A graph for every shape that comes along; the executable ones are kept nowhere."""

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
stream = cuda_call(cudart.cudaStreamCreate())
x, y = HostDeviceMem(128, np.float32), HostDeviceMem(128, np.float32)
context.set_tensor_address("x", x.device)
context.set_tensor_address("y", y.device)
x.host[:] = 1
cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, x.nbytes, H2D, stream))
for rows in (1, 2):
    context.set_input_shape("x", (rows, 8))
    context.execute_async_v3(int(stream))
    cuda_call(cudart.cudaStreamSynchronize(stream))
    cuda_call(cudart.cudaStreamBeginCapture(stream, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeGlobal))
    context.execute_async_v3(int(stream))
    graph = cuda_call(cudart.cudaStreamEndCapture(stream))
    executable = cuda_call(cudart.cudaGraphInstantiate(graph, 0))  # <- leak
    cuda_call(cudart.cudaGraphDestroy(graph))
    cuda_call(cudart.cudaGraphLaunch(executable, stream))
    cuda_call(cudart.cudaStreamSynchronize(stream))
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
