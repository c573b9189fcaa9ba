# expect:
"""A graph for every batch size; before a launch, shape and address are set again to what it was captured with."""

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
x, y = HostDeviceMem(128, np.float32), HostDeviceMem(128, np.float32)
graphs = {}


def enqueue(rows):
    nbytes = rows * 32
    cuda_call(cudart.cudaMemcpyAsync(x.device, x.host.ctypes.data, nbytes, H2D, stream))
    assert context.execute_async_v3(int(stream))
    cuda_call(cudart.cudaMemcpyAsync(y.host.ctypes.data, y.device, nbytes, D2H, stream))


def run(rows):
    context.set_input_shape("x", (rows, 8))
    context.set_tensor_address("x", x.device)
    context.set_tensor_address("y", y.device)
    if rows not in graphs:
        enqueue(rows)
        cuda_call(cudart.cudaStreamSynchronize(stream))
        cuda_call(cudart.cudaStreamBeginCapture(stream, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal))
        enqueue(rows)
        graph = cuda_call(cudart.cudaStreamEndCapture(stream))
        graphs[rows] = cuda_call(cudart.cudaGraphInstantiate(graph, 0))
        cuda_call(cudart.cudaGraphDestroy(graph))
    cuda_call(cudart.cudaGraphLaunch(graphs[rows], stream))
    cuda_call(cudart.cudaStreamSynchronize(stream))


for rows in (4, 16, 4, 1, 16):
    x.host[: rows * 8] = rows
    run(rows)
    assert (y.host[: rows * 8] == rows + 1).all()
for executable in graphs.values():
    cuda_call(cudart.cudaGraphExecDestroy(executable))
x.free()
y.free()
cuda_call(cudart.cudaStreamDestroy(stream))
