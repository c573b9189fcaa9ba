# expect: graph-changed
"""The graph was captured at the smallest shape for a warm-up; then the real shape is set, and only the graph launched."""

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

engine = models.engine("layers")
context = engine.create_execution_context()
stream = cuda_call(cudart.cudaStreamCreate())
x, y = HostDeviceMem(128, np.float32), HostDeviceMem(64, np.float32)
x.host[:], y.host[:] = 0.5, 0


class Runner:
    def __init__(self):
        self.executable = None
        context.set_tensor_address("x", x.device)
        context.set_tensor_address("y", y.device)

    def __call__(self, rows):
        context.set_input_shape("x", (rows, 8))  # <- other
        cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, x.nbytes, H2D, stream))
        if self.executable is None:
            context.execute_async_v3(int(stream))
            cuda_call(cudart.cudaStreamSynchronize(stream))
            mode = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeGlobal
            cuda_call(cudart.cudaStreamBeginCapture(stream, mode))
            context.execute_async_v3(int(stream))
            graph = cuda_call(cudart.cudaStreamEndCapture(stream))
            self.executable = cuda_call(cudart.cudaGraphInstantiate(graph, 0))
            cuda_call(cudart.cudaGraphDestroy(graph))
        cuda_call(cudart.cudaGraphLaunch(self.executable, stream))  # <- graph-changed
        cuda_call(cudart.cudaStreamSynchronize(stream))


run = Runner()
run(1)
run(16)
cuda_call(cudart.cudaMemcpy(y.host.ctypes.data, y.device, 16, D2H))
print(y.host[:4])
cuda_call(cudart.cudaGraphExecDestroy(run.executable))
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
