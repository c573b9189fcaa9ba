# expect:
"""A thread enqueues and records an event; another takes it from a queue, waits for it and reads."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

import queue
import threading

engine = models.engine("add")
primary = pycuda.autoprimaryctx.context
jobs, free, failures = queue.Queue(), queue.Queue(), []


class Slot:
    def __init__(self):
        self.context = engine.create_execution_context()
        self.done = cuda.Event()
        self.x, self.y = (cuda.pagelocked_empty((4, 8), np.float32) for _ in range(2))
        self.d_x, self.d_y = cuda.mem_alloc(128), cuda.mem_alloc(128)
        self.context.set_input_shape("x", (4, 8))
        self.context.set_tensor_address("x", int(self.d_x))
        self.context.set_tensor_address("y", int(self.d_y))


def consumer():
    primary.push()
    try:
        while (job := jobs.get()) is not None:
            value, slot = job
            slot.done.synchronize()
            assert (slot.y == value + 1).all(), slot.y
            free.put(slot)
    except BaseException as error:
        failures.append(error)
        free.put(None)
    finally:
        primary.pop()


for _ in range(2):
    free.put(Slot())
stream = cuda.Stream()
thread = threading.Thread(target=consumer)
thread.start()
for value in range(6):
    slot = free.get()
    if slot is None:
        break
    slot.x[:] = value
    cuda.memcpy_htod_async(slot.d_x, slot.x, stream)
    slot.context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(slot.y, slot.d_y, stream)
    slot.done.record(stream)
    jobs.put((value, slot))
jobs.put(None)
thread.join()
assert not failures, failures
