# expect: stale-address|race-device|missing-sync
"""The output allocator gives the same memory again while the download of the result before may be under way."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models


class Allocator(trt.IOutputAllocator):
    def __init__(self):
        super().__init__()
        self.memory, self.nbytes = None, 0

    def reallocate_output_async(self, tensor_name, memory, size, alignment, stream):
        if size > self.nbytes:
            self.memory, self.nbytes = cuda.mem_alloc(size), size
        return int(self.memory)

    def notify_shape(self, tensor_name, shape):
        pass


engine = models.engine("add")
context = engine.create_execution_context()
compute, download = cuda.Stream(), cuda.Stream()
computed = cuda.Event()
allocator = Allocator()
context.set_output_allocator("y", allocator)
d_x = cuda.to_device(np.zeros((16, 8), np.float32))
context.set_tensor_address("x", int(d_x))
results = []
for rows in (2, 2):
    y = cuda.pagelocked_zeros((rows, 8), np.float32)
    context.set_input_shape("x", (rows, 8))
    context.execute_async_v3(compute.handle)  # <- race-device, stale-address, missing-sync
    computed.record(compute)
    download.wait_for_event(computed)
    cuda.memcpy_dtoh_async(y, allocator.memory, download)  # <- other
    results.append(y)
compute.synchronize()
download.synchronize()
print(len(results))
