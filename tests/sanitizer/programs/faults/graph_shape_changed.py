# expect: graph-changed
"""A larger batch is set after the capture; the graph still runs the one that it was captured with."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cudart

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

H2D = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
D2H = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
D2D = cudart.cudaMemcpyKind.cudaMemcpyDeviceToDevice


def check(result):
    error, *values = result
    if error != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(cudart.cudaGetErrorString(error)[1].decode())
    return values[0] if values else None


def pinned(shape, dtype=np.float32):
    """An array over memory of cudaMallocHost, and its address."""
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    address = check(cudart.cudaMallocHost(nbytes))
    buffer = (ctypes.c_uint8 * nbytes).from_address(address)
    return np.frombuffer(buffer, dtype).reshape(shape), address


engine = models.engine("add")
context = engine.create_execution_context()
stream = check(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking))
x, x_address = pinned((16, 8))
y, y_address = pinned((16, 8))
d_x, d_y = check(cudart.cudaMalloc(x.nbytes)), check(cudart.cudaMalloc(y.nbytes))
context.set_input_shape("x", (4, 8))
context.set_tensor_address("x", d_x)
context.set_tensor_address("y", d_y)
x[:] = 2


def work():
    check(cudart.cudaMemcpyAsync(d_x, x_address, x.nbytes, H2D, stream))
    context.execute_async_v3(int(stream))
    check(cudart.cudaMemcpyAsync(y_address, d_y, 4 * 8 * 4, D2H, stream))


work()  # once outside: TensorRT allocates at the first execution with a shape
check(cudart.cudaStreamSynchronize(stream))
check(cudart.cudaStreamBeginCapture(stream, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeGlobal))
work()
graph = check(cudart.cudaStreamEndCapture(stream))
executable = check(cudart.cudaGraphInstantiate(graph, 0))
check(cudart.cudaGraphLaunch(executable, stream))
check(cudart.cudaStreamSynchronize(stream))
print(y[3, 0])

context.set_input_shape("x", (12, 8))  # <- other
x[:] = 5
check(cudart.cudaGraphLaunch(executable, stream))  # <- graph-changed
check(cudart.cudaStreamSynchronize(stream))
print(y[11, 0])

check(cudart.cudaGraphExecDestroy(executable))
check(cudart.cudaGraphDestroy(graph))
check(cudart.cudaFree(d_x))
check(cudart.cudaFree(d_y))
check(cudart.cudaFreeHost(x_address))
check(cudart.cudaFreeHost(y_address))
check(cudart.cudaStreamDestroy(stream))
