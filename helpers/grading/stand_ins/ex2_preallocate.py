"""Stand-in for TODO 7 of Exercise 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def preallocated_step(
    context: Any, stream: Any, copy_logits: Callable[..., np.ndarray]
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A step (ids, mask -> logits of the last position) whose memory is allocated once, for the largest shape."""
    import pycuda.driver as cuda
    import tensorrt as trt

    engine = context.engine
    names = ("input_ids", "attention_mask", "logits")
    for name in names[:2]:
        context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[2])
    hosts = {
        name: cuda.pagelocked_empty(
            trt.volume(context.get_tensor_shape(name)), trt.nptype(engine.get_tensor_dtype(name))
        )
        for name in names
    }
    devices = {name: cuda.mem_alloc(host.nbytes) for name, host in hosts.items()}
    for name, device in devices.items():
        context.set_tensor_address(name, int(device))

    def step(input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        inputs = dict(zip(names, (input_ids, attention_mask), strict=False))
        if not all(context.set_input_shape(name, array.shape) for name, array in inputs.items()):
            raise ValueError(f"{input_ids.shape} lies outside the profile")
        for name, array in inputs.items():
            used = hosts[name][: array.size]
            used[:] = array.ravel()
            cuda.memcpy_htod_async(devices[name], used, stream)
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("the execution was refused; the log says why")
        shape = tuple(context.get_tensor_shape("logits"))
        rows = copy_logits(hosts["logits"], devices["logits"], shape, stream)
        stream.synchronize()
        return rows.astype(np.float32)

    return step
