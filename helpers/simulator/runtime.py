"""The run half: `Runtime`, `ICudaEngine` and their contexts, with TensorRT's names, return values and log texts.

The classes translate; the device executes. As in TensorRT, calls return False or None and log what was wrong. Texts are
those that TensorRT 10 and 11 log, as far as they are documented; what TensorRT cannot know (a host pointer, a small
buffer) is logged with the mark "[simulator]".
"""

from __future__ import annotations

import operator
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any

from .context import IExecutionContext, contexts
from .errors import DeviceError
from .host import Host, current
from .inspector import EngineInspector, layer_name
from .names import explain
from .native import VERSION, nv
from .objects import Object, attribute, only_none
from .plan import Plan, SerializedPlan, Shape, TensorSpec, _profile, _tensor, open_plan

__all__ = [
    "EngineInspector",
    "ICudaEngine",
    "IExecutionContext",
    "IRuntimeConfig",
    "ISerializationConfig",
    "IStreamReaderV2",
    "Runtime",
    "contexts",
]

Strategy = nv.ExecutionContextAllocationStrategy

# A plan above this size waits in a temporary file for `ICudaEngine.serialize`, which few call.
_IN_MEMORY = 64 << 20


def _plan_of(description: dict[str, Any]) -> Plan:
    """The device's description of an engine (the parts themselves stay at the device)."""
    return Plan(
        version=description["version"],
        flavor=description["flavor"],
        builder=description["builder"],
        name=description["name"],
        tensors=tuple(_tensor(row) for row in description["tensors"]),
        profiles=tuple(_profile(p) for p in description["profiles"]),
        shape_values=tuple(_profile(p) for p in description["shape_values"]),
        settings=description["settings"],
        activation_bytes=tuple(description["activation_bytes"]),
        weight_bytes=description["weight_bytes"],
        layers=description["layers"],
        layer_info=tuple(description["layer_info"]),
        nvidia=b"",
        onnx=b"",
    )


# settings that an engine tells by TensorRT's own enumerations
_NAMED = {
    "profiling_verbosity": nv.ProfilingVerbosity,
    "engine_capability": nv.EngineCapability,
    "hardware_compatibility_level": nv.HardwareCompatibilityLevel,
}


def _odd_setting(plan: Plan) -> str | None:
    """What is wrong with the settings of a plan that no builder wrote; None where nothing is."""
    for name, kind in _NAMED.items():
        value = plan.settings.get(name)
        if value not in kind.__members__:
            return (
                f"Serialization (the plan's setting {name!r} is {value!r}; expected one of"
                f" {', '.join(kind.__members__)})"
            )
    return None


def _of_another_device(plan: Plan, properties: dict[str, Any]) -> str | None:
    """Why a plan cannot run on a device of this compute capability; None where it can.

    A plan built for no target in particular runs everywhere, and so does every plan on the simulated device until
    somebody gives it a compute capability (TRT_DEVICE_CC, `host.use(compute_capability=...)`).
    """
    targets = [name for name in plan.settings.get("compute_capabilities", ()) if name.startswith("SM")]
    major, minor = properties["compute_capability"]
    if not targets or properties.get("any_target", True) or f"SM{major}{minor}" in targets:
        return None
    built = ", ".join(f"{name[2:-1]}.{name[-1]}" for name in targets)
    return (
        "API Usage Error (The engine plan file is generated on an incompatible device, expecting compute"
        f" {major}.{minor} got compute {built}, please rebuild.)"
    )


class Runtime(Object):
    """`tensorrt.Runtime`."""

    _title = "IRuntime"

    def __init__(self, logger: Any) -> None:
        if not isinstance(logger, nv.ILogger):
            raise TypeError(f"expected a tensorrt.ILogger (such as trt.Logger()), got {type(logger).__name__}")
        self._logger = logger

    logger = property(lambda self: self._logger)
    error_recorder = attribute("error_recorder", nv.IErrorRecorder)
    gpu_allocator = only_none("gpu_allocator", "The simulated device allocates by itself.", readable=False)
    max_threads = attribute("max_threads", int, 1)
    engine_host_code_allowed = attribute("engine_host_code_allowed", bool, False)
    temporary_directory = attribute("temporary_directory", str)
    tempfile_control_flags = attribute("tempfile_control_flags", int, 3)
    dla_workspace_allocation_strategy = attribute(
        "dla_workspace_allocation_strategy",
        nv.DLAWorkspaceAllocationStrategy,
        nv.DLAWorkspaceAllocationStrategy.DEFAULT,
    )
    DLA_core = attribute("DLA_core", int, -1)
    num_DLA_cores = property(lambda self: 0)

    def deserialize_cuda_engine(self, serialized_engine: Any = None, *, stream_reader_v2: Any = None) -> Any:
        """An ICudaEngine from the bytes of a plan, or from an IStreamReaderV2; None, and an ERROR line, where the
        bytes are no plan of this version, or of another device's.
        """
        source = serialized_engine if stream_reader_v2 is None else stream_reader_v2
        if isinstance(source, IStreamReaderV2):
            data = b"".join(iter(lambda: bytes(source.read(1 << 20, 0)), b""))
        else:
            try:
                data = source if isinstance(source, bytes) else bytes(memoryview(source))
            except TypeError:
                raise TypeError(
                    "deserialize_cuda_engine(): incompatible function arguments: expected the bytes of a plan, got "
                    f"{type(source).__name__}" + (" (did the build return None?)" if source is None else "")
                ) from None
        host = current()
        loaded = host.device.engine_load(data)
        code, error = loaded.get("code", 1), loaded.get("error")
        if error is None:
            plan = _plan_of(loaded["description"])
            if plan.version != VERSION:
                error = (
                    "Serialization (Serialization assertion stdVersionRead == kSERIALIZATION_VERSION failed.Version tag"
                    f" does not match. Note: Current Version: {VERSION}, Serialized Engine Version: {plan.version})"
                )
            else:
                error = _odd_setting(plan)
            if error is None:
                code, error = 6, _of_another_device(plan, host.device.properties())
            if error is None:
                return ICudaEngine(host, loaded["engine"], plan, self, data)
            host.device.engine_free(loaded["engine"])
        self._say(code, "deserializeCudaEngine", error)
        return None


class IStreamReaderV2:
    """`tensorrt.IStreamReaderV2`: a base class. `read(num_bytes, stream)` gives bytes, `seek(offset, where)` a bool.

    NVIDIA's own opens the CUDA driver when it is made, and there may be none.
    """

    def read(self, num_bytes: int, stream: int) -> Any:
        raise NotImplementedError("IStreamReaderV2.read(num_bytes, stream) must be overridden; it gives bytes")

    def seek(self, offset: int, where: Any) -> bool:
        raise NotImplementedError("IStreamReaderV2.seek(offset, where) must be overridden; it gives True or False")


class IRuntimeConfig(Object):
    """`tensorrt.IRuntimeConfig`: how a context gets its activation memory."""

    _strategy: Any = Strategy.STATIC

    def set_execution_context_allocation_strategy(self, strategy: Any = Strategy.STATIC) -> None:
        if not isinstance(strategy, Strategy):
            raise TypeError(f"expected an ExecutionContextAllocationStrategy, got {type(strategy).__name__}")
        self._strategy = strategy

    def get_execution_context_allocation_strategy(self) -> Any:
        return self._strategy


class ISerializationConfig(Object):
    """`tensorrt.ISerializationConfig`: what `ICudaEngine.serialize_with_config` writes."""

    flags = attribute("flags", int, 0)

    def set_flag(self, flag: Any) -> bool:
        self.flags |= 1 << int(flag)
        return True

    def clear_flag(self, flag: Any) -> bool:
        self.flags &= ~(1 << int(flag))
        return True

    def get_flag(self, flag: Any) -> bool:
        return bool(self.flags & 1 << int(flag))


def build_engine_with_config(self: Any, network: Any, config: Any) -> Any:
    """`tensorrt.Builder.build_engine_with_config`: an ICudaEngine at once; None where build or loading was refused."""
    plan = self.build_serialized_network(network, config)
    return None if plan is None else Runtime(self.logger).deserialize_cuda_engine(plan)


class _Kept:
    """A serialized plan, in memory or, when it is large, in a temporary file."""

    def __init__(self, data: bytes) -> None:
        self._data: bytes | None = data if len(data) <= _IN_MEMORY else None
        if self._data is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the engine
            self._file.write(data)

    def read(self) -> bytes:
        if self._data is not None:
            return self._data
        self._file.seek(0)
        return self._file.read()


class ICudaEngine(Object):
    """`tensorrt.ICudaEngine`: what a plan holds, and the contexts that execute it."""

    _title = "ICudaEngine"

    def __init__(self, host: Host, ident: int, plan: Plan, runtime: Runtime, data: bytes) -> None:
        self._host, self._ident, self._plan = host, ident, plan
        self._logger, self._error_recorder = runtime._logger, runtime._error_recorder
        self._kept = _Kept(data)
        self._tensors = {t.name: t for t in plan.tensors}
        self._free = weakref.finalize(self, host.device.release, "engine_free", ident)

    def _tensor(self, where: str, name: str) -> TensorSpec | None:
        tensor = self._tensors.get(name)
        if tensor is None:
            self._error(where, f"Given invalid tensor name: {name}. Get valid tensor names with getIOTensorName()")
        return tensor

    error_recorder = attribute("error_recorder", nv.IErrorRecorder)
    name = property(lambda self: self._plan.name)
    num_io_tensors = property(lambda self: len(self._plan.tensors))
    num_layers = property(lambda self: self._plan.layers)
    num_optimization_profiles = property(lambda self: len(self._plan.profiles))
    device_memory_size_v2 = property(lambda self: max(self._plan.activation_bytes))
    streamable_weights_size = property(lambda self: 0)  # no WEIGHT_STREAMING: NvInferRuntime.h says 0
    weight_streaming_scratch_memory_size = property(lambda self: 0)
    num_aux_streams = property(lambda self: 0)
    refittable = property(lambda self: False)
    tactic_sources = property(lambda self: int(self._plan.settings.get("tactic_sources", 0)))

    @property
    def weight_streaming_budget_v2(self) -> int:
        """0: weights do not stream, they are all on the device."""
        return 0

    @weight_streaming_budget_v2.setter
    def weight_streaming_budget_v2(self, budget: int) -> None:
        self._error(
            "setWeightStreamingBudgetV2",
            f"a budget of {budget}: the engine was built without BuilderFlag.WEIGHT_STREAMING",
        )
        raise RuntimeError(f"weight_streaming_budget_v2 = {budget}: the engine streams no weights")

    def get_weight_streaming_automatic_budget(self) -> int:
        return 0

    def get_engine_stat(self, stat: Any = nv.EngineStat.TOTAL_WEIGHTS_SIZE) -> int:
        """Bytes of all weights, from the builder's log; -1 for those of a stripped plan, which this is none of."""
        return self._plan.weight_bytes if stat == nv.EngineStat.TOTAL_WEIGHTS_SIZE else -1

    @property
    def profiling_verbosity(self) -> Any:
        return getattr(nv.ProfilingVerbosity, self._plan.settings["profiling_verbosity"])

    @property
    def engine_capability(self) -> Any:
        return getattr(nv.EngineCapability, self._plan.settings["engine_capability"])

    @property
    def hardware_compatibility_level(self) -> Any:
        return getattr(nv.HardwareCompatibilityLevel, self._plan.settings["hardware_compatibility_level"])

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        """Activation memory of one profile, in bytes, from the builder's log."""
        if not 0 <= profile_index < len(self._plan.profiles):
            self._error("getDeviceMemorySizeForProfileV2", f"profile index {profile_index} is out of range")
            return 0
        return self._plan.activation_bytes[min(profile_index, len(self._plan.activation_bytes) - 1)]

    # --- tensors ---

    def get_tensor_name(self, index: int) -> str | None:
        """The name of an I/O tensor; None, logged, where there is no such index."""
        if not 0 <= operator.index(index) < len(self._plan.tensors):
            self._error("getIOTensorName", f"index {index} is out of range [0, {len(self._plan.tensors)})")
            return None
        return self._plan.tensors[index].name

    def get_tensor_mode(self, name: str) -> Any:
        tensor = self._tensor("getTensorIOMode", name)
        return getattr(nv.TensorIOMode, tensor.mode if tensor else "NONE")

    def get_tensor_dtype(self, name: str) -> Any:
        tensor = self._tensor("getTensorDataType", name)
        return getattr(nv.DataType, tensor.dtype if tensor else "FLOAT")

    def get_tensor_shape(self, name: str) -> Any:
        """The shape in the network, -1 for a dynamic dimension.

        Raises:
            RuntimeError: no such tensor (so does the binding).
        """
        tensor = self._tensor("getTensorShape", name)
        if tensor is None:
            raise RuntimeError(f"Could not get shape for tensor '{name}'. Check that the tensor name is correct.")
        return nv.Dims(list(tensor.shape))

    def get_tensor_location(self, name: str) -> Any:
        tensor = self._tensor("getTensorLocation", name)
        return nv.TensorLocation.HOST if tensor and tensor.shape_tensor else nv.TensorLocation.DEVICE

    def get_tensor_format(self, name: str, profile_index: int = 0) -> Any:
        self._tensor("getTensorFormat", name)
        return nv.TensorFormat.LINEAR

    def get_tensor_format_desc(self, name: str, profile_index: int = 0) -> str:
        tensor = self._tensor("getTensorFormatDesc", name)
        short = {"FLOAT": "FP32", "HALF": "FP16"}
        return f"Row-major linear {short.get(tensor.dtype, tensor.dtype)} format" if tensor else ""

    def get_tensor_bytes_per_component(self, name: str, profile_index: int = 0) -> int:
        """-1: no tensor is vectorized here. The size of an element is `get_tensor_dtype(name).itemsize`."""
        self._tensor("getTensorBytesPerComponent", name)
        return -1

    def get_tensor_components_per_element(self, name: str, profile_index: int = 0) -> int:
        """-1: no tensor is vectorized here."""
        self._tensor("getTensorComponentsPerElement", name)
        return -1

    def get_tensor_vectorized_dim(self, name: str, profile_index: int = 0) -> int:
        self._tensor("getTensorVectorizedDim", name)
        return -1

    def get_aliased_input_tensor(self, name: str) -> str | None:
        """None: no output shares memory with an input here."""
        return None

    def is_shape_inference_io(self, name: str) -> bool:
        tensor = self._tensor("isShapeInferenceIO", name)
        return bool(tensor and tensor.shape_tensor)

    def is_debug_tensor(self, name: str) -> bool:
        self._tensor("isDebugTensor", name)
        return False

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
        """[min, opt, max] as Dims.

        Raises:
            RuntimeError: the name or the index is wrong, or the tensor is an output (so does the binding).
        """
        tensor = self._tensor("getProfileShape", name)
        if tensor is None or not 0 <= profile_index < len(self._plan.profiles) or tensor.mode == "OUTPUT":
            raise RuntimeError(
                f"Could not get profile shape for tensor '{name}'. Is the tensor name an input and the profile index"
                " valid?"
            )
        return [nv.Dims(list(s)) for s in self._limits(tensor, profile_index)]

    def _limits(self, tensor: TensorSpec, profile_index: int) -> tuple[Shape, Shape, Shape]:
        return self._plan.profiles[profile_index].get(tensor.name, (tensor.shape,) * 3)

    # The binding, too, takes the index first and calls it "name".
    def get_tensor_profile_values(self, name: int, profile_index: str) -> list[list[int]]:
        """[min, opt, max] of the values of a shape tensor: `get_tensor_profile_values(0, "shape")`.

        Raises:
            RuntimeError: the tensor is no input whose values are a shape.
        """
        index, tensor = operator.index(name), self._tensors.get(profile_index)
        if tensor is None or not tensor.shape_tensor or not 0 <= index < len(self._plan.profiles):
            raise RuntimeError("Binding index does not correspond to an input shape tensor.")
        return [list(v) for v in self._plan.shape_values[index].get(tensor.name, ())]

    def __getitem__(self, arg0: int) -> str:
        count = len(self._plan.tensors)
        if not -count <= arg0 < count:
            raise IndexError(f"tensor index {arg0} is out of range: the engine has {count} I/O tensors")
        return self._plan.tensors[arg0].name

    def __iter__(self) -> Iterator[str]:
        return iter([t.name for t in self._plan.tensors])

    # --- what an engine makes ---

    def create_runtime_config(self) -> IRuntimeConfig:
        return IRuntimeConfig()

    def create_execution_context(self, strategy: Any = Strategy.STATIC, runtime_config: Any = None) -> Any:
        """An IExecutionContext; None, logged, where its activation memory does not fit on the device.

        Args:
            strategy: STATIC (memory for every profile), ON_PROFILE_CHANGE (for the active one) or USER_MANAGED (none:
                `set_device_memory`). An IRuntimeConfig may stand in its place.
            runtime_config: the same, in an IRuntimeConfig.
        """
        config = strategy if isinstance(strategy, IRuntimeConfig) else runtime_config
        if config is None:
            config = IRuntimeConfig()
            config.set_execution_context_allocation_strategy(strategy)
        elif not isinstance(config, IRuntimeConfig):
            raise TypeError(f"create_execution_context(): expected an IRuntimeConfig, got {type(config).__name__}")
        sizes = {Strategy.STATIC: self.device_memory_size_v2, Strategy.USER_MANAGED: 0}
        nbytes = sizes.get(config.get_execution_context_allocation_strategy(), self._plan.activation_bytes[0])
        try:
            ident = self._host.device.context_create(self._ident, nbytes)
        except DeviceError as error:
            requested = f"OutOfMemory (Requested size was {nbytes} bytes.)"
            self._say(2, "createExecutionContext", f"{requested} [simulator] {error.detail}")
            return None
        return IExecutionContext(self, ident, config)

    def create_engine_inspector(self) -> EngineInspector:
        return EngineInspector(self)

    def create_serialization_config(self) -> ISerializationConfig:
        return ISerializationConfig()

    def serialize(self) -> SerializedPlan:
        """The plan that the engine was made from: the same bytes."""
        data = self._kept.read()
        plan = SerializedPlan(data)
        plan.nbytes = len(open_plan(data).nvidia) or len(data)
        return plan

    def serialize_with_config(self, arg0: ISerializationConfig) -> SerializedPlan | None:
        """As `serialize`; None, logged, where the weights are to be left out."""
        if arg0.get_flag(nv.SerializationFlag.EXCLUDE_WEIGHTS):
            self._error("serializeWithConfig", "kEXCLUDE_WEIGHTS needs a refittable engine")
            return None
        return self.serialize()

    def _whole(self) -> str:
        """What a profiler is told that one execution is: the only layer, or all of them."""
        plan = self._plan
        one = len(plan.layer_info) == 1
        return layer_name(plan.layer_info[0]) if one else f"{plan.name or 'engine'} ({plan.layers} layers)"


for _cls in (Runtime, IRuntimeConfig, ISerializationConfig, ICudaEngine):
    explain(_cls)
