# expect:
"""Three slots, one upload stream, one compute stream, one download stream, all non-blocking; events alone."""

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

SLOTS, ROWS = 3, 4
engine = models.engine("layers")
context = engine.create_execution_context()
up, compute, down = (cuda_call(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking)) for _ in range(3))
x = [HostDeviceMem(ROWS * 8, np.float32) for _ in range(SLOTS)]
y = [HostDeviceMem(ROWS * 4, np.float32) for _ in range(SLOTS)]
flags = cudart.cudaEventDisableTiming
uploaded, computed, downloaded = (
    [cuda_call(cudart.cudaEventCreateWithFlags(flags)) for _ in range(SLOTS)] for _ in range(3)
)
context.set_input_shape("x", (ROWS, 8))
rng = np.random.default_rng(4)
batches = [rng.random((ROWS, 8), dtype=np.float32) for _ in range(10)]


def collect(step):
    slot = step % SLOTS
    cuda_call(cudart.cudaEventSynchronize(downloaded[slot]))
    got = y[slot].host.reshape(ROWS, 4)
    np.testing.assert_allclose(got, models.expected("layers", x=batches[step]), rtol=1e-5, atol=1e-6)


for step, batch in enumerate(batches):
    slot = step % SLOTS
    if step >= SLOTS:
        collect(step - SLOTS)  # this also says that x[slot] was copied and read
    x[slot].fill(batch)
    cuda_call(cudart.cudaMemcpyAsync(x[slot].device, x[slot].host.ctypes.data, x[slot].nbytes, H2D, up))
    cuda_call(cudart.cudaEventRecord(uploaded[slot], up))
    cuda_call(cudart.cudaStreamWaitEvent(compute, uploaded[slot], 0))
    context.set_tensor_address("x", x[slot].device)
    context.set_tensor_address("y", y[slot].device)
    assert context.execute_async_v3(int(compute))
    cuda_call(cudart.cudaEventRecord(computed[slot], compute))
    cuda_call(cudart.cudaStreamWaitEvent(down, computed[slot], 0))
    cuda_call(cudart.cudaMemcpyAsync(y[slot].host.ctypes.data, y[slot].device, y[slot].nbytes, D2H, down))
    cuda_call(cudart.cudaEventRecord(downloaded[slot], down))
for step in range(len(batches) - SLOTS, len(batches)):
    collect(step)
for event in uploaded + computed + downloaded:
    cuda_call(cudart.cudaEventDestroy(event))
for memory in x + y:
    memory.free()
for stream in (up, compute, down):
    cuda_call(cudart.cudaStreamDestroy(stream))
