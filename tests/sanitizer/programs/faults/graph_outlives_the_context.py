# expect: destruction-order|graph-changed|stale-address, sticky-error
"""The execution context is deleted; the graph still uses its activation memory."""

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
cuda_call(cudart.cudaMemcpy(x.device, x.host.ctypes.data, x.nbytes, H2D))
context.execute_async_v3(int(stream))
cuda_call(cudart.cudaStreamSynchronize(stream))
cuda_call(cudart.cudaStreamBeginCapture(stream, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeGlobal))
context.execute_async_v3(int(stream))
graph = cuda_call(cudart.cudaStreamEndCapture(stream))
executable = cuda_call(cudart.cudaGraphInstantiate(graph, 0))
del context  # <- other, destruction-order, graph-changed
cudart.cudaGraphLaunch(executable, stream)  # <- destruction-order, graph-changed, stale-address, other
print(cudart.cudaStreamSynchronize(stream)[0])  # <- sticky-error
cudart.cudaGraphExecDestroy(executable)  # <- sticky-error
cudart.cudaGraphDestroy(graph)
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
