# expect: pageable-async
"""Copy and computation are to overlap, but np.empty is pageable: every copy waits."""

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
streams = [cuda_call(cudart.cudaStreamCreate()) for _ in range(2)]
batches = [np.full((16, 8), k, np.float32) for k in range(4)]
results = [np.empty((16, 4), np.float32) for _ in batches]
d_x = [cuda_call(cudart.cudaMalloc(512)) for _ in streams]
d_y = [cuda_call(cudart.cudaMalloc(256)) for _ in streams]
context.set_input_shape("x", (16, 8))
for k, (x, y) in enumerate(zip(batches, results)):
    slot = k % 2
    cuda_call(cudart.cudaMemcpyAsync(d_x[slot], x.ctypes.data, x.nbytes, H2D, streams[slot]))  # <- pageable-async
    context.set_tensor_address("x", d_x[slot])
    context.set_tensor_address("y", d_y[slot])
    context.execute_async_v3(int(streams[slot]))
    cuda_call(cudart.cudaMemcpyAsync(y.ctypes.data, d_y[slot], y.nbytes, D2H, streams[slot]))  # <- pageable-async
for stream in streams:
    cuda_call(cudart.cudaStreamSynchronize(stream))
print([float(y[0, 0]) for y in results])
for address in d_x + d_y:
    cuda_call(cudart.cudaFree(address))
for stream in streams:
    cuda_call(cudart.cudaStreamDestroy(stream))
