"""What the course's and NVIDIA's samples have in a `common.py`: checked CUDA calls, buffers, and one inference.

Written for `cuda.bindings.runtime`; NVIDIA's own is in samples/python/common_runtime.py of github.com/NVIDIA/TensorRT.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cudart


def cuda_call(result: tuple[Any, ...]) -> Any:
    """The results of a CUDA call without its error; an error is raised."""
    error, *values = result
    if error != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(f"CUDA error {int(error)}: {cudart.cudaGetErrorString(error)[1].decode()}")
    return values[0] if len(values) == 1 else tuple(values) or None


class HostDeviceMem:
    """Pinned host memory, seen as a flat array, and device memory of the same size."""

    def __init__(self, count: int, dtype: Any) -> None:
        dtype = np.dtype(dtype)
        self.nbytes = count * dtype.itemsize
        self._pointer = cuda_call(cudart.cudaMallocHost(self.nbytes))
        kind = ctypes.POINTER(np.ctypeslib.as_ctypes_type(dtype))
        self.host = np.ctypeslib.as_array(ctypes.cast(self._pointer, kind), (count,))
        self.device = cuda_call(cudart.cudaMalloc(self.nbytes))

    def fill(self, data: np.ndarray) -> None:
        np.copyto(self.host[: data.size], data.reshape(-1), casting="safe")

    def free(self) -> None:
        cuda_call(cudart.cudaFree(self.device))
        cuda_call(cudart.cudaFreeHost(self._pointer))


def allocate_buffers(engine: Any, profile: int = 0) -> tuple[dict, dict, Any]:
    """(inputs, outputs, stream): buffers by tensor name, for the profile's maximum."""
    inputs, outputs = {}, {}
    context = engine.create_execution_context()
    for name in engine:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            largest = tuple(engine.get_tensor_profile_shape(name, profile)[2])
            context.set_input_shape(name, largest)
            inputs[name] = HostDeviceMem(trt.volume(largest), trt.nptype(engine.get_tensor_dtype(name)))
    for name in engine:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT:
            shape = tuple(context.get_tensor_shape(name))
            outputs[name] = HostDeviceMem(trt.volume(shape), trt.nptype(engine.get_tensor_dtype(name)))
    return inputs, outputs, cuda_call(cudart.cudaStreamCreate())


def do_inference(context: Any, inputs: dict, outputs: dict, stream: Any) -> dict[str, np.ndarray]:
    """Whole buffers to the device, execute, whole buffers back, one synchronisation; views of the host's buffers."""
    up, down = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice, cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
    for memory in inputs.values():
        cuda_call(cudart.cudaMemcpyAsync(memory.device, memory.host.ctypes.data, memory.nbytes, up, stream))
    for name, memory in (inputs | outputs).items():
        context.set_tensor_address(name, memory.device)
    if not context.execute_async_v3(stream_handle=int(stream)):
        raise RuntimeError("the execution was not enqueued")
    for memory in outputs.values():
        cuda_call(cudart.cudaMemcpyAsync(memory.host.ctypes.data, memory.device, memory.nbytes, down, stream))
    cuda_call(cudart.cudaStreamSynchronize(stream))
    return {name: memory.host for name, memory in outputs.items()}


def free_buffers(inputs: dict, outputs: dict, stream: Any) -> None:
    """Free what `allocate_buffers` made."""
    for memory in [*inputs.values(), *outputs.values()]:
        memory.free()
    cuda_call(cudart.cudaStreamDestroy(stream))
