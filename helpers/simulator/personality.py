"""TensorRT 10's API on the simulator (TRT_API=10), for those who follow texts of 10.x.

What 10.16 has and 11 removed, as far as it can be had here:

* `NetworkDefinitionCreationFlag.EXPLICIT_BATCH` (bit 0, without effect) and `STRONGLY_TYPED` (bit 1, a choice);
* `BuilderFlag` with TensorRT 10's numbers (NvInfer.h, 10.x), FP16 and its like among them;
* `ICudaEngine.device_memory_size`, `get_device_memory_size_for_profile`,
  `create_execution_context_without_device_memory` and the old budgets of weight streaming;
* `Builder.platform_has_fast_fp16`, `platform_has_fast_int8`, `platform_has_tf32`.

The parser is TensorRT 11's: types that do not agree in the ONNX graph are refused, where a weakly typed network of
TensorRT 10 would cast.

A weakly typed network that is built with `BuilderFlag.FP16` is converted before the builder, which is strongly typed,
sees it: weights and arithmetic in FP16, inputs and outputs as they were. TensorRT 10 chooses layer by layer which
precision is faster; here all layers are FP16. Where the model does not go into FP16 it stays FP32 ("with FP32
fallback", says NvInfer.h), and a warning says why.
"""

from __future__ import annotations

import operator
import tempfile
import weakref
from pathlib import Path
from typing import Any

from . import names, runtime
from .host import current
from .native import BUILDER, nv
from .portable.enums import enum

Severity = nv.ILogger.Severity

NetworkDefinitionCreationFlag: Any = enum("NetworkDefinitionCreationFlag", {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1})
BuilderFlag: Any = enum(
    "BuilderFlag",
    {
        "FP16": 0,
        "INT8": 1,
        "DEBUG": 2,
        "GPU_FALLBACK": 3,
        "REFIT": 4,
        "DISABLE_TIMING_CACHE": 5,
        "TF32": 6,
        "SPARSE_WEIGHTS": 7,
        "SAFETY_SCOPE": 8,
        "OBEY_PRECISION_CONSTRAINTS": 9,
        "PREFER_PRECISION_CONSTRAINTS": 10,
        "DIRECT_IO": 11,
        "REJECT_EMPTY_ALGORITHMS": 12,
        "VERSION_COMPATIBLE": 13,
        "EXCLUDE_LEAN_RUNTIME": 14,
        "FP8": 15,
        "ERROR_ON_TIMING_CACHE_MISS": 16,
        "BF16": 17,
        "DISABLE_COMPILATION_CACHE": 18,
        "STRIP_PLAN": 19,
        "REFIT_IDENTICAL": 20,
        "WEIGHT_STREAMING": 21,
        "INT4": 22,
        "REFIT_INDIVIDUAL": 23,
        "STRICT_NANS": 24,
        "MONITOR_MEMORY": 25,
        "FP4": 26,
        "EDITABLE_TIMING_CACHE": 27,
        "DISTRIBUTIVE_INDEPENDENCE": 28,
    },
)
_PRECISIONS = ("FP16", "INT8", "BF16", "FP8", "INT4", "FP4")

_Native = nv.BuilderFlag
_set, _clear, _get = nv.IBuilderConfig.set_flag, nv.IBuilderConfig.clear_flag, nv.IBuilderConfig.get_flag
_reset = nv.IBuilderConfig.reset
# what TensorRT 11's objects cannot hold: flags of a config that it removed, and which networks are strongly typed
_removed: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()
_strong: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def _flag(call: str, flag: Any) -> Any:
    """The builder's own member for a flag, or the name of one that it does not have."""
    if isinstance(flag, _Native):
        return flag
    if not isinstance(flag, BuilderFlag):
        raise TypeError(
            f"{call}(): incompatible function arguments: expected a tensorrt.BuilderFlag, got {type(flag).__name__}"
        )
    return getattr(_Native, flag.name, flag.name)


def _set_flag(self: Any, flag: Any) -> None:
    native = _flag("set_flag", flag)
    if isinstance(native, str):
        _removed.setdefault(self, set()).add(native)
    else:
        _set(self, native)


def _clear_flag(self: Any, flag: Any) -> None:
    native = _flag("clear_flag", flag)
    if isinstance(native, str):
        _removed.get(self, set()).discard(native)
    else:
        _clear(self, native)


def _get_flag(self: Any, flag: Any) -> bool:
    native = _flag("get_flag", flag)
    return native in _removed.get(self, ()) if isinstance(native, str) else bool(_get(self, native))


def _flags(self: Any) -> int:
    return sum(1 << int(flag) for flag in BuilderFlag.__members__.values() if _get_flag(self, flag))


def _set_flags(self: Any, flags: int) -> None:
    for flag in BuilderFlag.__members__.values():
        (_set_flag if operator.index(flags) >> int(flag) & 1 else _clear_flag)(self, flag)


def _reset_config(self: Any) -> None:
    _reset(self)
    _removed.pop(self, None)


def _network_flags(self: Any) -> int:
    return _strong.get(self, False) << int(NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _capable(least: int) -> Any:
    """Whether the device's compute capability is at least that (53 for 5.3)."""

    def get(self: Any) -> bool:
        major, minor = current().device.properties()["compute_capability"]
        return bool(10 * major + minor >= least)

    return property(get)


def _base() -> Any:
    if BUILDER == "python":
        return nv.Builder
    from .builder import Builder

    return Builder


_Base: Any = _base()


class Builder(_Base):
    """The builder with TensorRT 10's weakly typed networks."""

    platform_has_fast_fp16 = _capable(53)
    platform_has_fast_int8 = _capable(61)
    platform_has_tf32 = _capable(80)

    def create_network(self, flags: int = 0) -> Any:
        """A network; `flags` are bits such as `1 << int(NetworkDefinitionCreationFlag.EXPLICIT_BATCH)`."""
        known = sum(1 << int(flag) for flag in NetworkDefinitionCreationFlag.__members__.values())
        unknown = operator.index(flags) & ~known
        network = super().create_network(unknown)  # the builder has its own words for those
        if network is not None:
            _strong[network] = bool(flags >> int(NetworkDefinitionCreationFlag.STRONGLY_TYPED) & 1)
        return network

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        """As TensorRT 10: precision flags are for weakly typed networks."""
        wanted = [name for name in _PRECISIONS if name in _removed.get(config, ())]
        if wanted and _strong.get(network):
            self.logger.log(
                Severity.ERROR,
                "IBuilder::buildSerializedNetwork: Error Code 3: API Usage Error (Parameter check failed, condition:"
                f" !config.getFlag(BuilderFlag::k{wanted[0]}). )",
            )
            return None
        model = self._model(network) if wanted else None
        if model is None:  # nothing was wanted, or the builder will say what is wrong with the network
            return super().build_serialized_network(network, config)
        if "INT8" in wanted and not _quantized(model):
            self.logger.log(
                Severity.ERROR,
                "IBuilder::buildSerializedNetwork: Error Code 4: Internal Error (Calibration failure occurred with no"
                " scaling factors detected. This could be due to no int8 calibrator or insufficient custom scales for"
                " network layers. Please see int8 sample to setup calibration correctly.)",
            )
            return None
        if "BF16" in wanted:
            self._warn("BuilderFlag.BF16 allows BF16 and demands nothing: ONNX Runtime's CPU has none.")
        if "FP16" in wanted:
            converted = self._in_fp16(network, model)
            if converted is not None:
                return super().build_serialized_network(converted, config)
        return super().build_serialized_network(network, config)

    def _warn(self, text: str) -> None:
        self.logger.log(Severity.WARNING, f"[simulator] {text}")

    def _model(self, network: Any) -> bytes | None:
        """The ONNX model that `network` was parsed from; None where there is none, or it was edited since."""
        if BUILDER == "python":
            from .portable.builder import _NoPlan, _own

            try:
                return bytes(_own(network).onnx)
            except _NoPlan:
                return None
        from . import builder

        parsed = builder._parsed.get(network)
        if parsed is None:
            return None
        with builder._tap.to(None):
            return None if builder._edit(network, parsed) else parsed.onnx

    def _in_fp16(self, network: Any, model: bytes) -> Any:
        """The network in FP16, with names, inputs and outputs as they were; None, and a warning, where it cannot be."""
        from ..precision import PrecisionError, to_fp16

        try:
            with tempfile.TemporaryDirectory() as folder:
                source = Path(folder, "model.onnx")
                source.write_bytes(model)
                converted = to_fp16(source, Path(folder, "fp16.onnx"), fp32_outputs=True).read_bytes()
        except PrecisionError as error:
            self._warn(f"BuilderFlag.FP16: the network stays as it is. {error}")
            return None
        again = super().create_network(0)
        errors = _Errors()
        parser = (nv.OnnxParser if BUILDER == "python" else _parser())(again, errors)
        if not parser.parse(converted):
            self._warn(f"BuilderFlag.FP16: the network stays as it is. In FP16 it does not parse: {errors.first}")
            return None
        again.name = network.name
        pairs = [(network.get_input(i).name, again.get_input(i)) for i in range(network.num_inputs)]
        pairs += [(network.get_output(i).name, again.get_output(i)) for i in range(network.num_outputs)]
        other = [(name, tensor) for name, tensor in pairs if tensor.name != name]
        for i, (_, tensor) in enumerate(other):  # names may have been swapped: none is taken in between
            tensor.name = f"renamed {i}"
        for name, tensor in other:
            tensor.name = name
        return again


class _Errors(nv.ILogger):
    """Keeps the first ERROR line."""

    def __init__(self) -> None:
        super().__init__()
        self.first = ""

    def log(self, severity: Any, msg: str) -> None:
        if severity == Severity.ERROR:
            self.first = self.first or msg


def _parser() -> Any:
    from .builder import OnnxParser

    return OnnxParser


def _quantized(model: bytes) -> bool:
    import onnx

    return any(node.op_type == "QuantizeLinear" for node in onnx.load_model_from_string(model).graph.node)


def _without_memory(self: Any) -> Any:
    return self.create_execution_context(nv.ExecutionContextAllocationStrategy.USER_MANAGED)


def install(module: Any) -> None:
    """Put TensorRT 10's names into the module `tensorrt` and on its classes. Idempotent."""
    module.Builder = Builder
    module.BuilderFlag, module.NetworkDefinitionCreationFlag = BuilderFlag, NetworkDefinitionCreationFlag
    names.explain(BuilderFlag)
    names.explain(NetworkDefinitionCreationFlag)
    config, network = nv.IBuilderConfig, nv.INetworkDefinition
    config.set_flag, config.clear_flag, config.get_flag = _set_flag, _clear_flag, _get_flag
    config.flags, config.reset = property(_flags, _set_flags), _reset_config
    network.flags = property(_network_flags)
    network.get_flag = lambda self, flag: bool(_network_flags(self) >> int(flag) & 1)
    engine: Any = runtime.ICudaEngine
    engine.device_memory_size = engine.device_memory_size_v2
    engine.get_device_memory_size_for_profile = engine.get_device_memory_size_for_profile_v2
    engine.create_execution_context_without_device_memory = _without_memory
    engine.weight_streaming_budget = engine.weight_streaming_budget_v2
    engine.minimum_weight_streaming_budget = property(lambda self: 0)
