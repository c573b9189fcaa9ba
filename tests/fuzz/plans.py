"""Mutated plans: through `deserialize_cuda_engine`, and where one loads, on to executions in guarded memory."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.simulator.plan import _PREFIX, MAGIC, Plan

from .campaign import SEED, Campaign
from .clear import Fault, unclear
from .mutate import INTEGERS, mutated_bytes, mutated_json, mutated_model
from .onnx_files import recorder
from .seeds import models, plans

_CANARY = 0xA5
_FENCE = 4096  # bytes of canary on both sides of a tensor
_MOST = 8 << 20  # bytes of a tensor that is executed on


def _container(manifest: Any, nvidia: bytes, onnx: bytes) -> bytes:
    """A plan with right lengths and digests. `manifest` is its text, or an object."""
    if isinstance(manifest, dict) and "parts" not in manifest:
        parts = [[len(part), hashlib.sha256(part).hexdigest()] for part in (nvidia, onnx)]
        manifest = manifest | {"parts": parts}
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    return _PREFIX.pack(MAGIC, len(text), hashlib.sha256(text).digest()) + text + nvidia + onnx


def plan(number: int, seed: str = SEED) -> bytes:
    """Mutated plan number `number`. Of each five, four have right digests and lengths."""
    rng = random.Random(f"plan {seed} {number}")
    names = list(plans())
    name = rng.choice(names)
    right = plans()[name]
    description, model = right.description(), right.onnx
    match number % 5:
        case 0:
            return mutated_bytes(bytes(right.serialize()), rng)
        case 1 | 2:  # the manifest
            description = mutated_json(description, rng, rng.choice((1, 1, 1, 2, 3)))
            if rng.random() < 0.1:
                text = json.dumps(description | {"parts": right_parts(right)}) if type(description) is dict else "[]"
                return _container(mutated_bytes(text.encode(), rng), right.nvidia, model)
            if rng.random() < 0.1 and type(description) is dict:
                description["parts"] = mutated_json(right_parts(right), rng)
        case 3:  # the model
            model = mutated_model(models()[name], rng)
        case 4:  # another model, perhaps a manifest that does not fit it either
            model = plans()[rng.choice(names)].onnx
            if rng.random() < 0.5:
                description = mutated_json(description, rng)
            if rng.random() < 0.2:
                model, right = right.nvidia, right
    return _container(description, right.nvidia, model)


def right_parts(of: Plan) -> list[Any]:
    return [[len(part), hashlib.sha256(part).hexdigest()] for part in (of.nvidia, of.onnx)]


# --- what is done with one ------------------------------------------------------------------------------------------


def start() -> Callable[[int], str]:
    """The simulator in this process; returns what runs a case."""
    from helpers import backend
    from helpers.simulator import executor, host

    backend.activate("simulator", quiet=True)
    executor.LOOP_SECONDS = 1.0
    import tensorrt

    def case(number: int) -> str:
        used, logger = host.use("process", memory=1 << 30, threads=1), recorder(tensorrt)
        try:
            return drive(tensorrt, used.device, logger, plan(number), random.Random(f"use {SEED} {number}"))
        except Fault as fault:
            return f"BAD: {fault}"
        except Exception as error:
            return f"BAD: raises {type(error).__name__}: {str(error)[:200]}"

    case(0)
    return case


def drive(trt: Any, device: Any, logger: Any, data: bytes, rng: random.Random) -> str:
    """Load and use a plan as a program might; what became of it in a few words."""
    engine = trt.Runtime(logger).deserialize_cuda_engine(data)
    _check(logger)
    if engine is None:
        if not logger.errors:
            raise Fault("None, and no error")
        return f"None: {_kind(logger.errors[0])}"
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    _ask(engine, names)
    context = engine.create_execution_context()
    _check(logger)
    if context is None:
        return "loads; no context, and an error"
    ran = 0
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    for profile in range(engine.num_optimization_profiles):
        if not context.set_optimization_profile_async(profile, 0):
            raise Fault(f"profile {profile} of {engine.num_optimization_profiles} cannot be chosen")
        for which in range(3):
            for name in inputs:
                shape = [*engine.get_tensor_profile_shape(name, profile)[which]]
                if rng.random() < 0.1:
                    shape = [rng.choice((d, rng.choice(INTEGERS))) for d in shape]
                _said(lambda shape=shape, name=name: context.set_input_shape(name, shape))
            done = _execute(trt, device, engine, context, names)
            _check(logger)
            if done is None:
                return "loads; an execution fails with an error"
            ran += done
    return "loads and runs" if ran else "loads; no execution, and an error"


def _ask(engine: Any, names: list[str]) -> None:
    """Everything that an engine says about itself."""
    for name in ("name", "num_layers", "device_memory_size_v2", "streamable_weights_size", "profiling_verbosity"):
        _said(lambda name=name: getattr(engine, name))
    for name in ("engine_capability", "hardware_compatibility_level", "refittable", "num_aux_streams"):
        _said(lambda name=name: getattr(engine, name))
    for name in (*names, "no such tensor"):
        for method in ("mode", "dtype", "shape", "location", "format", "format_desc", "bytes_per_component"):
            _said(lambda name=name, method=method: getattr(engine, f"get_tensor_{method}")(name))
        for index in (0, engine.num_optimization_profiles):
            _said(lambda name=name, index=index: engine.get_tensor_profile_shape(name, index))
            _said(lambda name=name, index=index: engine.get_tensor_profile_values(index, name))
    _said(lambda: engine.create_engine_inspector().get_engine_information(_layer_format()))


def _layer_format() -> Any:
    import tensorrt

    return tensorrt.LayerInformationFormat.JSON


def _said(call: Callable[[], Any]) -> Any:
    """The call's result; an error that it raises must be clear (and have been meant as one)."""
    from helpers.simulator.errors import DeviceError

    try:
        return call()
    except (RuntimeError, DeviceError) as error:
        if why := unclear(str(error)):
            raise Fault(why) from None
        return None


def _execute(trt: Any, device: Any, engine: Any, context: Any, names: list[str]) -> bool | None:
    """Execute once on buffers with canaries around them; whether it ran, None where it failed and the device ends."""
    from helpers.simulator.errors import DeviceError

    blocks = []
    for name in names:
        shape = _said(lambda name=name: context.get_tensor_shape(name))
        if shape is None or len(shape) < 0:
            return False
        size = math.prod(16 if d < 0 else d for d in shape) * np.dtype(trt.nptype(engine.get_tensor_dtype(name))).itemsize
        if size > _MOST:
            return False
        address = device.mem_alloc(size + 2 * _FENCE)
        device.memset(address, bytes([_CANARY]), size + 2 * _FENCE, 0, True)
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            device.memset(address + _FENCE, b"\0", size, 0, True)
        context.set_tensor_address(name, address + _FENCE)
        blocks.append((address, size))
    ran = bool(_said(lambda: context.execute_async_v3(0)))
    try:
        device.synchronize()
    except DeviceError as error:
        if why := unclear(error.detail):
            raise Fault(why) from None
        if error.code not in ("CUDA_ERROR_LAUNCH_FAILED", "CUDA_ERROR_INVALID_VALUE"):
            raise Fault(f"{error.code}: {error.detail}") from None
        return None
    for address, size in blocks:
        for place in (address, address + _FENCE + size):
            if device.memcpy_dtoh(place, _FENCE, 0, 0, True, 0, True, "") != bytes([_CANARY]) * _FENCE:
                raise Fault("an execution wrote beside its tensors")
        device.mem_free(address)
    return ran


def _check(logger: Any) -> None:
    for text in logger.errors:
        if why := unclear(text):
            raise Fault(why)


def _kind(text: str) -> str:
    """The sort of a refusal, for the table."""
    for words in (
        *("empty memory buffer", "NVIDIA's plan alone", "minBufferSize", "kEXPECTED_MAGIC_TAG", "blobSize", "checksum"),
        *("Version tag", "manifest cannot be read", "ONNX Runtime cannot load", "in another file", "ends its process"),
        *("does not come to an end", "the plan names the model", "the plan says", "the plan's setting", "OutOfMemory", "this machine has", "compute"),
    ):
        if words in text:
            return words
    return text[:60]


PLANS = Campaign("plans", 10_000, start, seconds=30.0)
