# expect:
"""The capture forks to a second stream and joins it again by events; the graph keeps that order."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cudart

sys.path.insert(0, str(Path(__file__).parents[1]))
import models
from common import HostDeviceMem, allocate_buffers, cuda_call, do_inference, free_buffers

H2D = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
D2H = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
D2D = cudart.cudaMemcpyKind.cudaMemcpyDeviceToDevice

engine = models.engine("sum2")
context = engine.create_execution_context()
main, side = (cuda_call(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking)) for _ in range(2))
fork, join = (cuda_call(cudart.cudaEventCreateWithFlags(cudart.cudaEventDisableTiming)) for _ in range(2))
memory = {name: HostDeviceMem(16, np.float32) for name in engine}
for name in ("a", "b"):
    context.set_input_shape(name, (2, 8))
for name in engine:
    context.set_tensor_address(name, memory[name].device)


def upload(name, stream):
    each = memory[name]
    cuda_call(cudart.cudaMemcpyAsync(each.device, each.host.ctypes.data, each.nbytes, H2D, stream))


def enqueue():
    cuda_call(cudart.cudaEventRecord(fork, main))
    cuda_call(cudart.cudaStreamWaitEvent(side, fork, 0))
    upload("a", main)
    upload("b", side)
    cuda_call(cudart.cudaEventRecord(join, side))
    cuda_call(cudart.cudaStreamWaitEvent(main, join, 0))
    assert context.execute_async_v3(int(main))
    c = memory["c"]
    cuda_call(cudart.cudaMemcpyAsync(c.host.ctypes.data, c.device, c.nbytes, D2H, main))


memory["a"].host[:], memory["b"].host[:] = 1, 1
enqueue()
cuda_call(cudart.cudaStreamSynchronize(main))
cuda_call(cudart.cudaStreamBeginCapture(main, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed))
enqueue()
graph = cuda_call(cudart.cudaStreamEndCapture(main))
executable = cuda_call(cudart.cudaGraphInstantiate(graph, 0))
for value in (2, 3):
    memory["a"].host[:], memory["b"].host[:] = value, 10 * value
    cuda_call(cudart.cudaGraphLaunch(executable, main))
    cuda_call(cudart.cudaStreamSynchronize(main))
    assert (memory["c"].host == 11 * value).all()
cuda_call(cudart.cudaGraphExecDestroy(executable))
cuda_call(cudart.cudaGraphDestroy(graph))
for event in (fork, join):
    cuda_call(cudart.cudaEventDestroy(event))
for each in memory.values():
    each.free()
for stream in (main, side):
    cuda_call(cudart.cudaStreamDestroy(stream))
