# expect:
"""The graph and the same work without it take turns on one stream."""

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


def enqueue():
    cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, x.nbytes, H2D, stream))
    assert context.execute_async_v3(int(stream))
    cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, y.nbytes, D2H, stream))


enqueue()
cuda_call(cudart.cudaStreamSynchronize(stream))
cuda_call(cudart.cudaStreamBeginCapture(stream, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeGlobal))
enqueue()
graph = cuda_call(cudart.cudaStreamEndCapture(stream))
executable = cuda_call(cudart.cudaGraphInstantiate(graph, 0))
for step in range(4):
    x.host[:] = step
    if step % 2:
        enqueue()
    else:
        cuda_call(cudart.cudaGraphLaunch(executable, stream))
    cuda_call(cudart.cudaMemsetAsync(y.device, 0, y.nbytes, stream))
    cuda_call(cudart.cudaStreamSynchronize(stream))
    assert (y.host == step + 1).all()
cuda_call(cudart.cudaGraphExecDestroy(executable))
cuda_call(cudart.cudaGraphDestroy(graph))
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
