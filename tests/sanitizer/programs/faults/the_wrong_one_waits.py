# expect: race-device
"""The wait is asked of the stream that recorded, and the other one waits for nothing."""

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

engine = models.engine("sum2")
context = engine.create_execution_context()
uploads, compute = (cuda_call(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking)) for _ in range(2))
event = cuda_call(cudart.cudaEventCreateWithFlags(cudart.cudaEventDisableTiming))
memory = {name: HostDeviceMem(8, np.float32) for name in engine}
for name in ("a", "b"):
    memory[name].host[:] = 2
    context.set_input_shape(name, (1, 8))
    each = memory[name]
    cuda_call(cudart.cudaMemcpyAsync(each.device, each.host.ctypes.data, 32, H2D, uploads))  # <- other
for name in engine:
    context.set_tensor_address(name, memory[name].device)
cuda_call(cudart.cudaEventRecord(event, uploads))
cuda_call(cudart.cudaStreamWaitEvent(uploads, event, 0))
context.execute_async_v3(int(compute))  # <- race-device
cuda_call(cudart.cudaStreamSynchronize(uploads))
cuda_call(cudart.cudaMemcpyAsync(memory["c"].host.ctypes.data, memory["c"].device, 32, D2H, compute))
cuda_call(cudart.cudaStreamSynchronize(compute))
print(memory["c"].host[0])
for each in memory.values():
    each.free()
cuda_call(cudart.cudaEventDestroy(event))
for stream in (uploads, compute):
    cuda_call(cudart.cudaStreamDestroy(stream))
