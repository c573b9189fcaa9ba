# expect: capture-refused
"""The capture forks to a second stream that it never joins again."""

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
main, side = (cuda_call(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking)) for _ in range(2))
fork = cuda_call(cudart.cudaEventCreateWithFlags(cudart.cudaEventDisableTiming))
x, y = HostDeviceMem(8, np.float32), HostDeviceMem(8, np.float32)
x.host[:] = 0
context.set_input_shape("x", (1, 8))
context.set_tensor_address("x", x.device)
context.set_tensor_address("y", y.device)


def enqueue():
    cuda_call(cudart.cudaEventRecord(fork, main))
    cuda_call(cudart.cudaStreamWaitEvent(side, fork, 0))
    cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, x.nbytes, H2D, side))
    context.execute_async_v3(int(side))


enqueue()
cuda_call(cudart.cudaDeviceSynchronize())
cuda_call(cudart.cudaStreamBeginCapture(main, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeGlobal))  # <- other
enqueue()
error, graph = cudart.cudaStreamEndCapture(main)  # <- capture-refused
print("capture:", error)
cuda_call(cudart.cudaEventDestroy(fork))
x.free()
y.free()
for stream in (main, side):
    cuda_call(cudart.cudaStreamDestroy(stream))
