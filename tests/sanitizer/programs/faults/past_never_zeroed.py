# expect: uninitialized-read
"""The first step reads a state that cudaMalloc left as it was."""

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


engine = models.engine("decode")
context = engine.create_execution_context()
stream = check(cudart.cudaStreamCreate())
sizes = {"input_ids": 8, "past": 32, "logits": 64, "present": 32}
device = {name: check(cudart.cudaMalloc(nbytes)) for name, nbytes in sizes.items()}  # <- other
context.set_input_shape("input_ids", (1, 1))
context.set_input_shape("past", (1, 8))
ids, logits = np.array([[5]]), np.empty((1, 16), np.float32)
for step in range(3):
    check(cudart.cudaMemcpy(device["input_ids"], ids.ctypes.data, 8, H2D))
    for name, address in device.items():
        context.set_tensor_address(name, address)
    context.execute_async_v3(int(stream))  # <- uninitialized-read
    check(cudart.cudaStreamSynchronize(stream))
    check(cudart.cudaMemcpy(logits.ctypes.data, device["logits"], 64, D2H))
    device["past"], device["present"] = device["present"], device["past"]
    ids[:] = logits.argmax()
    print(ids[0, 0])
for address in device.values():
    check(cudart.cudaFree(address))
check(cudart.cudaStreamDestroy(stream))
