# expect:
"""While one thread captures (thread-local), another allocates and clears memory."""

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
import threading

cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, x.nbytes, H2D, stream))
assert context.execute_async_v3(int(stream))
cuda_call(cudart.cudaStreamSynchronize(stream))
allocated = []


def other_thread():
    allocated.append(cuda_call(cudart.cudaMalloc(256)))
    cuda_call(cudart.cudaMemset(allocated[0], 0, 256))


cuda_call(cudart.cudaStreamBeginCapture(stream, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal))
assert context.execute_async_v3(int(stream))
thread = threading.Thread(target=other_thread)
thread.start()
thread.join()
graph = cuda_call(cudart.cudaStreamEndCapture(stream))
executable = cuda_call(cudart.cudaGraphInstantiate(graph, 0))
cuda_call(cudart.cudaGraphLaunch(executable, stream))
cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, y.nbytes, D2H, stream))
cuda_call(cudart.cudaStreamSynchronize(stream))
assert (y.host == 2).all()
cuda_call(cudart.cudaFree(allocated[0]))
cuda_call(cudart.cudaGraphExecDestroy(executable))
cuda_call(cudart.cudaGraphDestroy(graph))
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
