"""What the sanitizer costs: the same loop on the plain device and on the watched one, in turn."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from types import CodeType
from typing import Any

from .. import backend
from ..overhead import one_add_plan
from ..simulator import host
from .session import Session

# A decode-like loop: a shape that grows by one, copy in, execute, copy out, synchronise, read the result.
_DECODE = """
import time

import numpy as np
import pycuda.driver as cuda
import tensorrt as trt

cuda.init()
device_context = cuda.Device(0).make_context()
context = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(plan).create_execution_context()
x, y = (cuda.pagelocked_zeros((1, steps), np.float32) for _ in range(2))
device = {"x": cuda.mem_alloc(x.nbytes), "y": cuda.mem_alloc(y.nbytes)}
stream = cuda.Stream()
times = []
for t in range(1, steps + 1):
    start = time.perf_counter()
    context.set_input_shape("x", (1, t))
    for name, allocation in device.items():
        context.set_tensor_address(name, int(allocation))
    cuda.memcpy_htod_async(device["x"], x[:, :t], stream)
    context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(y[:, :t], device["y"], stream)
    stream.synchronize()
    assert y[0, t - 1] == 1
    times.append(time.perf_counter() - start)
del context, device, stream, x, y
device_context.pop()
"""

# The loop of Exercise 1: batches of text through a classifier, page-locked buffers, one stream.
_BATCHES = """
import time

import numpy as np
import pycuda.driver as cuda
import tensorrt as trt

cuda.init()
device_context = cuda.Device(0).make_context()
engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(plan)
context = engine.create_execution_context()
stream = cuda.Stream()
rng = np.random.default_rng(0)
host, device = {}, {}
for name in ("input_ids", "attention_mask", "logits"):
    if name != "logits":
        context.set_input_shape(name, (8, 32))
    shape = tuple(context.get_tensor_shape(name))
    host[name] = cuda.pagelocked_zeros(shape, trt.nptype(engine.get_tensor_dtype(name)))
    device[name] = cuda.mem_alloc(host[name].nbytes)
    context.set_tensor_address(name, int(device[name]))
times = []
for _ in range(steps):
    start = time.perf_counter()
    host["input_ids"][:] = rng.integers(1, vocabulary, (8, 32))
    host["attention_mask"][:] = 1
    for name in ("input_ids", "attention_mask"):
        cuda.memcpy_htod_async(device[name], host[name], stream)
    context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(host["logits"], device["logits"], stream)
    stream.synchronize()
    assert np.isfinite(host["logits"].argmax(1)).all()
    times.append(time.perf_counter() - start)
del context, device, stream, host
device_context.pop()
"""


def _decode(steps: int) -> dict[str, Any]:
    return {"plan": one_add_plan(steps), "steps": steps}


def _batches(steps: int) -> dict[str, Any]:
    from .. import engine, export, models

    classifier = models.load_classifier()
    with tempfile.TemporaryDirectory() as folder:
        path = export.export_onnx(classifier.model, Path(folder) / "model.onnx")
        shapes = ((8, 32),) * 3
        plan = engine.build(path, Path(folder) / "model.plan", dict.fromkeys(("input_ids", "attention_mask"), shapes))
        data = plan.path.read_bytes()
    return {"plan": data, "steps": steps, "vocabulary": classifier.model.config.vocab_size}


def _time(code: CodeType, names: dict[str, Any], watched: bool) -> float:
    """Median of the loop's steps, in seconds."""
    space = dict(names)
    if watched:
        with Session() as session:
            exec(code, space)
            found = session.finish()
        if found:
            raise RuntimeError(f"the loop is right, and the sanitizer reports: {found[0].message}")
    else:
        host.use("process")
        exec(code, space)
    return statistics.median(space["times"])


def measure(rounds: int = 5, steps: int = 1000, batches: int = 20) -> dict[str, dict[str, float]]:
    """Microseconds of a step, plain and watched, and the median of the ratios of `rounds` pairs that run in turn.

    Args:
        steps: of the decode-like loop.
        batches: of Exercise 1's loop; 0 leaves it out.
    """
    backend.activate("simulator", quiet=True)
    loops = {"decode loop of a one-Add plan": (_DECODE, _decode(steps))}
    if batches:
        loops["batches of Exercise 1's classifier"] = (_BATCHES, _batches(batches))
    measured = {}
    for name, (text, names) in loops.items():
        code = compile(text, "loop.py", "exec")
        pairs = []
        for turn in range(rounds):
            first, second = (_time(code, names, watched) for watched in (turn % 2 == 1, turn % 2 == 0))
            pairs.append((second, first) if turn % 2 else (first, second))
        measured[name] = {
            "plain_us": statistics.median(plain for plain, _ in pairs) * 1e6,
            "watched_us": statistics.median(watched for _, watched in pairs) * 1e6,
            "ratio": statistics.median(watched / plain for plain, watched in pairs),
        }
    host.use("process")
    return measured


def line(name: str, figures: dict[str, float]) -> str:
    return (
        f"{name}: {figures['plain_us']:,.0f} us a step, watched {figures['watched_us']:,.0f} us:"
        f" {figures['ratio']:.2f} times"
    )
