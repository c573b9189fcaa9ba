"""The build half: NVIDIA's own parser and builder decide; this module remembers what they were given.

`Builder` and `OnnxParser` are thin subclasses of the classes in `tensorrt_rtx`, which run on a machine without a
GPU. Networks, configs and profiles stay NVIDIA's own objects: side tables with weak keys remember, for a network, the
ONNX that was parsed into it and what it looked like then, and for a config the profiles that were added. A plan is
NVIDIA's plan with the ONNX model beside it (`plan.py`); what NVIDIA's builder refuses is refused here in its words.

A network edited after parsing: a renamed tensor or layer is honoured. Anything else (a layer added, an output
unmarked, a constant replaced, ...) would build in TensorRT but could not be run from the ONNX model, so the build is
refused and the edit named, never run as something else.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import inspect
import re
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import guard
from .native import BUILDER, VERSION, nv
from .plan import DTYPES, Plan, PlanError, SerializedPlan, TensorSpec

Severity = nv.ILogger.Severity

# After an API error the builder often adds the first on a machine without a driver; it says nothing about the error.
# The second is a note of NVIDIA's to itself, from calls outside a build.
_SPURIOUS = re.compile(r"catchCudaError.*cudaError 35|Thread context has not been set")


def _no_warning(self: Any) -> None:
    """The binding's own `__del__` only warns; Python calls it for instances of subclasses."""


class _Tap(nv.ILogger):
    """The one logger that NVIDIA's code gets: passes each line on to the logger of the object now called.

    TensorRT keeps one global logger a process and sends lines of a second builder to whichever came last. Handing it
    the same logger always, and choosing here, gives each user's logger its own lines. It also hears what the user's
    logger filters out: the sizes in the INFO lines of a build.
    """

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[Any] = []
        self.latest: Any = None  # hears what NVIDIA's objects say outside the calls below
        self.lines: list[str] | None = None
        self.lock = threading.RLock()  # one parse or build at a time: the lines of two could not be told apart

    def log(self, severity: Any, message: str) -> None:
        if _SPURIOUS.search(message):
            return
        if self.lines is not None:
            self.lines.append(message)
        target = self.targets[-1] if self.targets else self.latest
        if target is not None:
            target.log(severity, message)

    @contextmanager
    def to(self, logger: Any, collect: bool = False) -> Iterator[list[str]]:
        """Send lines to `logger` (None: to nobody) inside the block; with `collect`, also into a list, handed out."""
        with self.lock:
            outer, lines = self.lines, list[str]()
            self.targets.append(logger)
            self.latest = logger or self.latest
            if collect:
                self.lines = lines
            try:
                yield lines
            finally:
                self.lines = outer
                self.targets.pop()


_tap = _Tap()


def _check_logger(logger: Any) -> None:
    if not isinstance(logger, nv.ILogger):
        raise TypeError(
            "incompatible function arguments: expected a tensorrt.ILogger (such as trt.Logger()), got"
            f" {type(logger).__name__}"
        )


@dataclass
class _Parsed:
    """What was parsed into a network, and what the network looked like straight afterwards."""

    onnx: bytes
    dtypes: dict[str, str]
    inputs: list[str]
    outputs: list[str]
    picture: dict[str, Any] = field(default_factory=dict)


_parsed: weakref.WeakKeyDictionary[Any, _Parsed] = weakref.WeakKeyDictionary()
_profiles: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()

_native_add_profile = nv.IBuilderConfig.add_optimization_profile
_native_reset = nv.IBuilderConfig.reset


def _add_optimization_profile(self: Any, profile: Any) -> int:
    index: int = _native_add_profile(self, profile)
    if index >= 0:
        _profiles.setdefault(self, []).append(profile)
    return index


def _reset(self: Any) -> None:
    _native_reset(self)
    _profiles.pop(self, None)


@functools.cache
def install_hooks() -> None:
    """Patch `IBuilderConfig`, which cannot be subclassed from outside (a factory returns the raw class). Idempotent."""
    nv.IBuilderConfig.add_optimization_profile = _add_optimization_profile
    nv.IBuilderConfig.reset = _reset


class _Refusal:
    """What `OnnxParser.get_error` gives where NVIDIA's parser was not asked; has the methods of `ParserError`."""

    def __init__(self, text: str) -> None:
        self._text = text

    def code(self) -> Any:
        return nv.ErrorCode.MODEL_DESERIALIZE_FAILED

    def desc(self) -> str:
        return self._text

    def file(self) -> str:
        return "guard.py"

    def line(self) -> int:
        return 0

    def func(self) -> str:
        return "parse"

    def node(self) -> int:
        return -1

    def node_name(self) -> str:
        return ""

    def node_operator(self) -> str:
        return ""

    def local_function_stack(self) -> list[str]:
        return []

    def local_function_stack_size(self) -> int:
        return 0

    def __str__(self) -> str:
        return f"In node -1 (parse): MODEL_DESERIALIZE_FAILED: {self._text}"


class OnnxParser(nv.OnnxParser):
    """NVIDIA's ONNX parser; remembers the model that went into the network by any of its routes."""

    __del__ = _no_warning

    def __init__(self, network: Any, logger: Any) -> None:
        _check_logger(logger)
        with _tap.to(logger):
            super().__init__(network, _tap)
        # The binding keeps a parser alive as long as its network (it owns the weights): a strong reference back would
        # be a cycle that Python's collector cannot see.
        self._network = weakref.ref(network)
        self._logger = logger
        self._proto: tuple[bytes, str | None] | None = None
        self._initializers: dict[str, bytes] = {}
        self._refusals: list[_Refusal] = []

    def _remember(self, model: bytes, path: str | None) -> None:
        network = self._network()
        if network is None:
            return
        with _tap.to(None):
            if network.num_layers or network.num_inputs:
                _parsed[network] = _picture_of(network, *_self_contained(model, path, self._initializers))

    def _deadly(self, model: Any, path: str | None) -> bool:
        """Whether reading `model` would end this process; then the logger and `get_error` say so."""
        why = ""
        if self._network() is None:  # the binding would write into freed memory
            why = "the parser's network was deleted. Keep it in a variable: network = builder.create_network(0)"
        elif isinstance(model, bytes | bytearray | memoryview):
            why = guard.parser_trouble(bytes(model), path)
        self._refusals = [_Refusal(f"[simulator] {why}")] if why else []
        if why:
            self._logger.log(Severity.ERROR, f"[simulator] {why}")
        return bool(why)

    @property
    def num_errors(self) -> int:
        return len(self._refusals) or super().num_errors

    def get_error(self, index: int) -> Any:
        return self._refusals[index] if 0 <= index < len(self._refusals) else super().get_error(index)

    def clear_errors(self) -> None:
        self._refusals = []
        super().clear_errors()

    def parse(self, model: Any, path: str | None = None) -> bool:
        if self._deadly(model, path):
            return False
        with _tap.to(self._logger):
            done: bool = super().parse(model, path)
        if done:
            self._remember(bytes(model), path)
        return done

    def parse_from_file(self, model: str) -> bool:
        if isinstance(model, str) and Path(model).is_file() and self._deadly(Path(model).read_bytes(), model):
            return False
        with _tap.to(self._logger):
            done: bool = super().parse_from_file(model)
        if done:
            self._remember(Path(model).read_bytes(), model)
        return done

    def supports_model_v2(self, model: Any, path: str | None = None) -> bool:
        if self._deadly(model, path):
            return False
        with _tap.to(self._logger):
            done: bool = super().supports_model_v2(model, path)
        if done:  # NVIDIA's parser fills the network here too
            self._remember(bytes(model), path)
        return done

    def load_model_proto(self, model: Any, path: str | None = None) -> bool:
        if self._deadly(model, path):
            return False
        with _tap.to(self._logger):
            done: bool = super().load_model_proto(model, path)
        self._proto = (bytes(model), path) if done else None
        return done

    def load_initializer(self, name: str, data: int, size: int) -> bool:
        with _tap.to(self._logger):
            done: bool = super().load_initializer(name, data, size)
        if done:
            self._initializers[name] = ctypes.string_at(int(data), int(size))
        return done

    def parse_model_proto(self) -> bool:
        with _tap.to(self._logger):
            done: bool = super().parse_model_proto()
        if done and self._proto is not None:
            self._remember(*self._proto)
        return done


def _self_contained(model: bytes, path: str | None, initializers: dict[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """The model with weights inside, and the ONNX dtype of every input and output.

    Side files (beside `path`) and initializers given by pointer are read in.
    """
    import onnx
    from onnx.external_data_helper import load_external_data_for_model, uses_external_data

    proto = onnx.load_model_from_string(model)
    changed = False
    for tensor in proto.graph.initializer:
        if tensor.name in initializers:
            del tensor.external_data[:]
            tensor.data_location = onnx.TensorProto.DEFAULT
            for kind in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"):
                tensor.ClearField(kind)
            tensor.raw_data = initializers[tensor.name]
            changed = True
    if any(uses_external_data(tensor) for tensor in proto.graph.initializer):
        load_external_data_for_model(proto, str(Path(path).parent) if path else ".")
        for tensor in proto.graph.initializer:
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
        changed = True
    dtypes = {
        info.name: onnx.TensorProto.DataType.Name(info.type.tensor_type.elem_type)
        for info in (*proto.graph.input, *proto.graph.output)
    }
    return proto.SerializeToString() if changed else model, dtypes


# --- a network's picture: what must be equal at build time for the ONNX model to stand for it -------------------------


def _layer_classes() -> dict[Any, type]:
    by_name = {name.upper(): getattr(nv, name) for name in dir(nv) if re.fullmatch(r"I\w+Layer|IAttention\w*", name)}
    found = {}
    for kind in nv.LayerType.__members__.values():
        cls = by_name.get(f"I{kind.name.replace('_', '')}LAYER")
        if cls is not None:
            found[kind] = cls
    return found


_CLASSES = _layer_classes()
# names may change; metadata is a note; weights' values are taken as digests
_NOT_COMPARED = {"name", "metadata"}


def _plain(value: Any) -> Any:
    if isinstance(value, nv.Weights):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        return (str(array.dtype), array.shape, hashlib.sha256(array.view(np.uint8).data).hexdigest())
    if isinstance(value, nv.Dims):
        return tuple(value)
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))  # NVIDIA's objects show where they are


def _properties(layer: Any) -> dict[str, Any]:
    """Every readable property of a layer's own class, as comparable plain data."""
    generic = type(layer)
    specific = _CLASSES.get(layer.type, nv.ILayer)
    values: dict[str, Any] = {}
    layer.__class__ = specific  # the factory returns ILayer; only the specific class shows the layer's own properties
    try:
        for name in dir(specific):
            if name.startswith("_") or name in _NOT_COMPARED:
                continue
            if not isinstance(inspect.getattr_static(specific, name), property):
                continue
            try:
                values[name] = _plain(getattr(layer, name))
            except Exception as error:  # a property that this layer does not have (e.g. alpha of a ReLU)
                values[name] = type(error).__name__
    finally:
        layer.__class__ = generic
    return values


def _picture(network: Any) -> dict[str, Any]:
    """A description of `network` in which tensors are numbered by first appearance, so that names do not matter."""
    numbers: dict[int, int] = {}
    alive: list[Any] = []  # the binding returns the same wrapper for a tensor only while one is alive

    def number(tensor: Any) -> int | None:
        if tensor is None:
            return None
        alive.append(tensor)
        return numbers.setdefault(id(tensor), len(numbers))

    def io(tensor: Any) -> tuple[Any, ...]:
        dims = tuple(tensor.shape)
        return (number(tensor), str(tensor.dtype), dims, int(tensor.allowed_formats), tensor.is_shape_tensor)

    picture: dict[str, Any] = {"inputs": [io(network.get_input(i)) for i in range(network.num_inputs)]}
    layers = []
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        layers.append(
            (
                layer.type.name,
                tuple(number(layer.get_input(k)) for k in range(layer.num_inputs)),
                tuple(number(layer.get_output(k)) for k in range(layer.num_outputs)),
                tuple(str(layer.get_output_type(k)) for k in range(layer.num_outputs)),
                tuple(network.is_debug_tensor(layer.get_output(k)) for k in range(layer.num_outputs)),
                _properties(layer),
            )
        )
    picture["layers"] = layers
    picture["outputs"] = [io(network.get_output(i)) for i in range(network.num_outputs)]
    return picture


def _picture_of(network: Any, onnx: bytes, dtypes: dict[str, str]) -> _Parsed:
    return _Parsed(
        onnx,
        dtypes,
        [network.get_input(i).name for i in range(network.num_inputs)],
        [network.get_output(i).name for i in range(network.num_outputs)],
        _picture(network),
    )


def _edit(network: Any, parsed: _Parsed) -> str | None:
    """Name the first edit after parsing that is more than a renaming; None where there is none."""
    now, then = _picture(network), parsed.picture
    for kind in ("inputs", "outputs"):
        if len(now[kind]) != len(then[kind]):
            verb = "added" if len(now[kind]) > len(then[kind]) else "removed"
            return f"{kind}: one was {verb} (parsed {len(then[kind])}, now {len(now[kind])})"
    if len(now["layers"]) != len(then["layers"]):
        extra = len(now["layers"]) - len(then["layers"])
        last = network.get_layer(network.num_layers - 1)
        return f"{extra} layer(s) added, the last one {last.type.name} {last.name!r}"
    for i, (a, b) in enumerate(zip(now["layers"], then["layers"], strict=True)):
        if a != b:
            changed = [key for key in a[-1] if a[-1].get(key) != b[-1].get(key)]
            changed = changed or (["debug tensors"] if a[4] != b[4] else ["connections or types"])
            layer = network.get_layer(i)
            return f"layer {i} {layer.type.name} {layer.name!r}: {', '.join(changed)} changed"
    for kind, get in (("inputs", network.get_input), ("outputs", network.get_output)):
        for i, (a, b) in enumerate(zip(now[kind], then[kind], strict=True)):
            if a != b:
                return f"{kind[:-1]} {get(i).name!r}: was {b[1:3]}, now {a[1:3]}, or another tensor"
    return None


# --- the builder --------------------------------------------------------------------------------------------------


class Builder(nv.Builder):
    """NVIDIA's builder; its plans carry the parsed ONNX model for the simulated runtime."""

    __del__ = _no_warning

    def __init__(self, logger: Any) -> None:
        _check_logger(logger)
        install_hooks()
        with _tap.to(logger):
            super().__init__(_tap)
        self._logger = logger

    @property
    def logger(self) -> Any:
        return self._logger

    def create_network(self, flags: int = 0) -> Any:
        with _tap.to(self._logger):
            return super().create_network(flags)

    def create_builder_config(self) -> Any:
        with _tap.to(self._logger):
            return super().create_builder_config()

    def is_network_supported(self, network: Any, config: Any) -> bool:
        with _tap.to(self._logger):
            supported: bool = super().is_network_supported(network, config)
            return supported

    def build_serialized_network(self, network: Any, config: Any) -> SerializedPlan | None:
        """NVIDIA's verdict: None with a log line where it refuses, else its plan with the ONNX model beside it."""
        with _tap.to(self._logger, collect=True) as lines:
            host_memory = super().build_serialized_network(network, config)
        if host_memory is None:
            return None
        with _tap.to(None):  # reading settings makes NVIDIA's objects warn of some that RTX lacks
            return self._with_model(network, config, bytes(host_memory), lines)

    def build_serialized_network_to_stream(self, network: Any, config: Any, writer: Any) -> bool:
        """As `build_serialized_network`; the plan goes to `writer.write(bytes) -> int`. False where anything failed."""
        plan = self.build_serialized_network(network, config)
        if plan is None:
            return False
        return bool(writer.write(bytes(plan)) == len(plan))

    def _refuse(self, why: str) -> None:
        self._logger.log(Severity.ERROR, f"[simulator] {why}")

    def _with_model(self, network: Any, config: Any, nvidia: bytes, lines: list[str]) -> SerializedPlan | None:
        parsed = _parsed.get(network)
        if parsed is None:
            self._refuse(
                "NVIDIA's builder built this network, but it did not come from an ONNX model, and the simulated runtime"
                " runs ONNX models only. Expected: a network filled by OnnxParser. Write the model as ONNX, or run on a"
                " GPU."
            )
            return None
        edit = _edit(network, parsed)
        if edit is not None:
            self._refuse(
                f"NVIDIA's builder built this network, but it was edited after parsing ({edit}), and the simulated"
                " runtime would run the ONNX model without the edit. Make the change in the ONNX model, or run on a"
                " GPU."
            )
            return None
        tensors = []
        for mode, count, get, onnx_names in (
            ("INPUT", network.num_inputs, network.get_input, parsed.inputs),
            ("OUTPUT", network.num_outputs, network.get_output, parsed.outputs),
        ):
            for i in range(count):
                tensor = get(i)
                dtype = tensor.dtype.name
                if parsed.dtypes.get(onnx_names[i]) == "DOUBLE":
                    self._refuse(
                        f"tensor {tensor.name!r} is DOUBLE in the ONNX model and {dtype} in TensorRT, which has no"
                        " FP64. Expected FLOAT in the model: export it in FP32."
                    )
                    return None
                if dtype not in DTYPES:
                    self._refuse(
                        f"tensor {tensor.name!r} is {dtype}, which the simulated runtime cannot run; it has"
                        f" {', '.join(DTYPES)}"
                    )
                    return None
                on_host = mode == "INPUT" and tensor.is_shape_tensor
                tensors.append(TensorSpec(tensor.name, onnx_names[i], mode, dtype, tuple(tensor.shape), on_host))
        inputs = [t for t in tensors if t.mode == "INPUT"]
        profiles, values = [], []
        for profile in _profiles.get(config, []):
            profiles.append(
                {
                    t.name: _triple(profile.get_shape(t.name))
                    for t in inputs
                    if -1 in t.shape and profile.get_shape(t.name)
                }
            )
            values.append(
                {
                    t.name: _triple(profile.get_shape_input(t.name))
                    for t in inputs
                    if t.shape_tensor and profile.get_shape_input(t.name)
                }
            )
        described = _layer_lines(lines)
        return Plan(
            version=VERSION,
            flavor="tensorrt_rtx",
            builder="nvidia",
            name=network.name,
            tensors=tuple(tensors),
            profiles=tuple(profiles) or ({},),  # a static network has one profile, as in TensorRT
            shape_values=tuple(values) or ({},),
            settings=_settings(config),
            # one line a profile; what the builder did not say is 0
            activation_bytes=tuple(_logged(lines, r"Total Activation Memory: (\d+) bytes")) or (0,),
            weight_bytes=max(_logged(lines, r"Total Weights Memory: (\d+) bytes"), default=0),
            layers=len(described),
            layer_info=described,
            nvidia=nvidia,
            onnx=parsed.onnx,
        ).serialize()


def _triple(shapes: Any) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    low, best, high = (tuple(int(d) for d in s) for s in shapes)
    return low, best, high


def _logged(lines: list[str], pattern: str) -> list[int]:
    """All figures that `pattern` finds in a build log, in order."""
    return [int(m[1]) for line in lines if (m := re.search(pattern, line))]


def _layer_lines(lines: list[str]) -> tuple[str, ...]:
    """What a build log says of the engine's layers, one line a layer."""
    found = (m for line in lines for m in re.findall(r"^(?:Layer\(|Name: .*, LayerType: ).*", line, re.MULTILINE))
    return tuple(found)


def _settings(config: Any) -> dict[str, Any]:
    """What the config says, as plain data: enough to build the same plan again."""
    settings: dict[str, Any] = {
        "flags": [f.name for f in nv.BuilderFlag.__members__.values() if config.get_flag(f)],
        "memory_pools": {},
        "compute_capabilities": [config.get_compute_capability(i).name for i in range(config.num_compute_capabilities)],
        "preview_features": [f.name for f in nv.PreviewFeature.__members__.values() if config.get_preview_feature(f)],
        "tactic_sources": int(config.get_tactic_sources()),
    }
    for pool in nv.MemoryPoolType.__members__.values():
        settings["memory_pools"][pool.name] = int(config.get_memory_pool_limit(pool))
    for name in (
        "builder_optimization_level",
        "max_aux_streams",
        "tiling_optimization_level",
        "profiling_verbosity",
        "hardware_compatibility_level",
        "runtime_platform",
        "engine_capability",
        "max_num_tactics",
    ):
        value = getattr(config, name, None)
        settings[name] = getattr(value, "name", value)
    return settings


# --- building again -----------------------------------------------------------------------------------------------


class _Errors(nv.ILogger):
    """Keeps TensorRT's ERROR lines and prints nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def log(self, severity: Any, message: str) -> None:
        if severity in (Severity.ERROR, Severity.INTERNAL_ERROR):
            self.errors.append(" ".join(message.split())[:300])


def rebuild(plan: Plan) -> SerializedPlan:
    """Build `plan` again from what it carries: the ONNX model, the names, the profiles and the settings.

    NVIDIA's builder is deterministic on one machine: the result has the same bytes as `plan.serialize()` exactly when
    `plan` says the truth about how it was built.

    Raises:
        PlanError: another builder made it, the model keeps weights outside, does not parse or does not build, or a
            setting cannot be applied.
    """
    outside = external_tensors(plan.onnx)
    if outside:
        raise PlanError(f"the ONNX model inside keeps {', '.join(outside[:4])} in another file")
    if plan.builder != BUILDER:
        raise PlanError(f"it says that builder {plan.builder!r} made it, and here is {BUILDER!r} (TRT_BUILDER)")
    logger = _Errors()
    builder = (Builder if BUILDER == "nvidia" else nv.Builder)(logger)
    network = builder.create_network(0)
    parser = (OnnxParser if BUILDER == "nvidia" else nv.OnnxParser)(network, logger)
    if not parser.parse(plan.onnx):
        raise PlanError(f"the ONNX model inside does not parse: {'; '.join(logger.errors[:1])}")
    config = builder.create_builder_config()
    try:
        _rename(network, plan)
        for profile, values in zip(plan.profiles, plan.shape_values, strict=True):
            if profile or values:
                again = builder.create_optimization_profile()
                for name, shapes in profile.items():
                    again.set_shape(name, *shapes)
                for name, three in values.items():
                    again.set_shape_input(name, *three)
                if config.add_optimization_profile(again) < 0:
                    raise PlanError(f"the builder refuses the profile {dict(profile)}")
        with _tap.to(None):
            _apply(config, plan.settings)
            applied = _settings(config)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, RuntimeError) as error:
        if isinstance(error, PlanError):
            raise
        raise PlanError(f"what the plan says of its build cannot be applied: {error}") from None
    different = sorted(k for k in {*applied, *plan.settings} if applied.get(k) != plan.settings.get(k))
    if different:
        raise PlanError(f"settings that cannot be applied again: {', '.join(map(str, different))}")
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise PlanError(f"it does not build again: {'; '.join(logger.errors[:1])}")
    return built


def external_tensors(model: bytes) -> list[str]:
    """Names of the tensors that an ONNX model keeps in other files, in subgraphs and attributes too.

    Raises:
        PlanError: the bytes are no ONNX model.
    """
    import onnx
    from onnx.external_data_helper import uses_external_data

    try:
        proto = onnx.load_model_from_string(model)
    except Exception as error:  # protobuf's own type differs with its implementation
        raise PlanError(f"this is no ONNX model: {error}") from None
    found: list[str] = []
    todo: list[Any] = [proto.graph, *proto.functions]
    while todo:
        part = todo.pop()
        tensors = list(getattr(part, "initializer", ()))
        for sparse in getattr(part, "sparse_initializer", ()):
            tensors += [sparse.values, sparse.indices]
        for node in part.node:
            for item in node.attribute:
                tensors += [item.t, *item.tensors]
                todo += [g for g in (item.g, *item.graphs) if g.node or g.initializer]
                for sparse in (item.sparse_tensor, *item.sparse_tensors):
                    tensors += [sparse.values, sparse.indices]
        found += [tensor.name or "a constant" for tensor in tensors if uses_external_data(tensor)]
    return found


def _rename(network: Any, plan: Plan) -> None:
    """Give the network and its tensors the names that they had when the plan was built."""
    network.name = plan.name
    now = {}
    for count, get in (
        (network.num_inputs, network.get_input),
        (network.num_outputs, network.get_output),
    ):
        now.update({get(i).name: get(i) for i in range(count)})
    for tensor in plan.tensors:
        if tensor.onnx_name != tensor.name:
            now[tensor.onnx_name].name = tensor.name


def _apply(config: Any, settings: Any) -> None:
    """Set what differs from a fresh config. Unknown names raise KeyError or AttributeError."""
    fresh = _settings(config)
    wanted = set(settings["flags"])
    for flag in nv.BuilderFlag.__members__.values():
        if flag.name in wanted and not config.get_flag(flag):
            config.set_flag(flag)
        elif flag.name not in wanted and config.get_flag(flag):
            config.clear_flag(flag)
    for name, size in settings["memory_pools"].items():
        if fresh["memory_pools"][name] != size:
            config.set_memory_pool_limit(getattr(nv.MemoryPoolType, name), size)
    for name in nv.PreviewFeature.__members__:
        on = name in settings["preview_features"]
        if on != (name in fresh["preview_features"]):
            config.set_preview_feature(getattr(nv.PreviewFeature, name), on)
    if settings["tactic_sources"] != fresh["tactic_sources"]:
        config.set_tactic_sources(settings["tactic_sources"])
    if settings["compute_capabilities"]:
        config.num_compute_capabilities = len(settings["compute_capabilities"])
        for i, name in enumerate(settings["compute_capabilities"]):
            config.set_compute_capability(getattr(nv.ComputeCapability, name), i)
    for name, value in settings.items():
        if name in fresh and isinstance(value, int | str) and value != fresh[name] and name != "tactic_sources":
            kind = type(getattr(config, name))
            setattr(config, name, getattr(kind, value) if isinstance(value, str) else value)
