# expect: race-device
"""The state goes back by cudaMemcpy, which does not wait within the device, beside a non-blocking stream."""

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
stream = check(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking))
ids, ids_address = pinned((1, 1), np.int64)
logits, logits_address = pinned((1, 16))
sizes = {"input_ids": 8, "past": 32, "logits": 64, "present": 32}
device = {name: check(cudart.cudaMalloc(n)) for name, n in sizes.items()}
context.set_input_shape("input_ids", (1, 1))
context.set_input_shape("past", (1, 8))
for name in engine:
    context.set_tensor_address(name, device[name])

check(cudart.cudaMemsetAsync(device["past"], 0, 32, stream))
token = 1
for _ in range(4):
    ids[0, 0] = token
    check(cudart.cudaMemcpyAsync(device["input_ids"], ids_address, 8, H2D, stream))
    context.execute_async_v3(int(stream))  # <- race-device
    check(cudart.cudaMemcpyAsync(logits_address, device["logits"], 64, D2H, stream))
    check(cudart.cudaStreamSynchronize(stream))
    check(cudart.cudaMemcpy(device["past"], device["present"], 32, D2D))  # <- other
    token = int(logits.argmax())
check(cudart.cudaDeviceSynchronize())
print("last token:", token)

for address in device.values():
    check(cudart.cudaFree(address))
for address in (ids_address, logits_address):
    check(cudart.cudaFreeHost(address))
check(cudart.cudaStreamDestroy(stream))
