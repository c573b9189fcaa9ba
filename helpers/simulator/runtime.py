"""The run half: `Runtime`, `ICudaEngine`, `IExecutionContext` with TensorRT's names, return values and log texts.

The classes translate; the device executes. As in TensorRT, calls return False or None and log what was wrong. Texts are
those that TensorRT 10 and 11 log, as far as they are documented; what TensorRT cannot know (a host pointer, a small
buffer) is logged with the mark "[simulator]".
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from .device import DeviceError
from .host import Host, current
from .native import nv
from .plan import Plan, Shape, TensorSpec, _profile, _tensor

Severity = nv.ILogger.Severity

# What 8.x tutorials use and TensorRT 10 removed, with what to use in its place.
_REMOVED = {
    "num_bindings": "num_io_tensors",
    "get_binding_name": "get_tensor_name(i)",
    "get_binding_shape": "get_tensor_shape(name)",
    "get_binding_dtype": "get_tensor_dtype(name)",
    "get_binding_index": "names: tensors are bound by name, not by index",
    "binding_is_input": "get_tensor_mode(name) == trt.TensorIOMode.INPUT",
    "get_profile_shape": "get_tensor_profile_shape(name, profile_index)",
    "max_batch_size": "the optimization profile: get_tensor_profile_shape(name, 0)",
    "has_implicit_batch_dimension": "nothing: every network has explicit batch dimensions",
    "set_binding_shape": "set_input_shape(name, shape)",
    "execute_async": "execute_async_v3(stream_handle), after set_tensor_address for every tensor",
    "execute_async_v2": "execute_async_v3(stream_handle), after set_tensor_address for every tensor",
    "execute": "execute_v2(addresses) or execute_async_v3(stream_handle)",
    "all_shape_inputs_specified": "infer_shapes()",
    "device_memory_size": "device_memory_size_v2 (activation memory, without the weights)",
    "get_device_memory_size_for_profile": "get_device_memory_size_for_profile_v2(profile_index)",
    "weight_streaming_budget": "weight_streaming_budget_v2",
}


class _Named:
    """Says what became of a name that this class lacks, instead of a bare AttributeError."""

    _native: type

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and not hasattr(self._native, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        object.__setattr__(self, name, value)

    def __enter__(self) -> Any:  # deprecated in TensorRT, and in every older tutorial
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        cls = type(self).__name__
        if name in _REMOVED:
            raise AttributeError(
                f"{cls!r} object has no attribute {name!r}: TensorRT 10 and 11 removed it. Use {_REMOVED[name]}."
            )
        if not name.startswith("_") and hasattr(self._native, name):
            raise AttributeError(
                f"{cls}.{name} exists in TensorRT; the simulator does not offer it. It needs a real GPU."
            )
        raise AttributeError(f"{cls!r} object has no attribute {name!r}")


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
        nvidia=b"",
        onnx=b"",
    )


class Runtime(_Named):
    """`tensorrt.Runtime`."""

    _native = nv.Runtime

    def __init__(self, logger: Any) -> None:
        if not isinstance(logger, nv.ILogger):
            raise TypeError(f"expected a tensorrt.ILogger (such as trt.Logger()), got {type(logger).__name__}")
        self.logger = logger
        self.error_recorder: Any = None
        self.gpu_allocator: Any = None
        self.max_threads = 1
        self.engine_host_code_allowed = False

    def deserialize_cuda_engine(self, serialized_engine: Any) -> ICudaEngine | None:
        """An engine from the bytes of a plan; None, and an ERROR line, where the bytes are no plan of this version."""
        try:
            data = bytes(memoryview(serialized_engine))
        except TypeError:
            raise TypeError(
                "deserialize_cuda_engine(): incompatible function arguments: expected the bytes of a plan, got "
                f"{type(serialized_engine).__name__}"
                + (" (did the build return None?)" if serialized_engine is None else "")
            ) from None
        host = current()
        loaded = host.device.engine_load(data)
        error = loaded.get("error")
        if error is None:
            plan = _plan_of(loaded["description"])
            if plan.version == nv.__version__:
                return ICudaEngine(host, loaded["engine"], plan, self.logger)
            host.device.engine_free(loaded["engine"])
            error = (
                f"Version tag does not match. Note: Current Version: {nv.__version__}, Serialized Engine Version:"
                f" {plan.version}"
            )
        self.logger.log(Severity.ERROR, f"IRuntime::deserializeCudaEngine: Error Code 1: {error}")
        return None


class ICudaEngine(_Named):
    """`tensorrt.ICudaEngine`: what a plan holds, and the contexts that execute it."""

    _native = nv.ICudaEngine

    def __init__(self, host: Host, ident: int, plan: Plan, logger: Any) -> None:
        self._host, self._ident, self._plan, self._logger = host, ident, plan, logger
        self._tensors = {t.name: t for t in plan.tensors}
        self.error_recorder: Any = None
        self._free = weakref.finalize(self, host.device.release, "engine_free", ident)

    def _error(self, where: str, text: str) -> None:
        self._logger.log(Severity.ERROR, f"ICudaEngine::{where}: Error Code 3: API Usage Error ({text})")

    def _tensor(self, where: str, name: str) -> TensorSpec | None:
        tensor = self._tensors.get(name)
        if tensor is None:
            self._error(where, f"Given invalid tensor name: {name}. Get valid tensor names with getIOTensorName()")
        return tensor

    name = property(lambda self: self._plan.name)
    num_io_tensors = property(lambda self: len(self._plan.tensors))
    num_layers = property(lambda self: self._plan.layers)
    num_optimization_profiles = property(lambda self: len(self._plan.profiles))
    device_memory_size_v2 = property(lambda self: max(self._plan.activation_bytes))
    streamable_weights_size = property(lambda self: self._plan.weight_bytes)
    num_aux_streams = property(lambda self: 0)
    refittable = property(lambda self: False)

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
        """Activation memory of one profile, in bytes, from NVIDIA's build log."""
        if not 0 <= profile_index < len(self._plan.profiles):
            self._error("getDeviceMemorySizeForProfileV2", f"profile index {profile_index} is out of range")
            return 0
        return self._plan.activation_bytes[min(profile_index, len(self._plan.activation_bytes) - 1)]

    def get_tensor_name(self, index: int) -> str:
        if not 0 <= index < len(self._plan.tensors):
            self._error("getIOTensorName", f"index {index} is out of range [0, {len(self._plan.tensors)})")
            return ""
        return self._plan.tensors[index].name

    def get_tensor_mode(self, name: str) -> Any:
        tensor = self._tensor("getTensorIOMode", name)
        return getattr(nv.TensorIOMode, tensor.mode if tensor else "NONE")

    def get_tensor_dtype(self, name: str) -> Any:
        tensor = self._tensor("getTensorDataType", name)
        return getattr(nv.DataType, tensor.dtype if tensor else "FLOAT")

    def get_tensor_shape(self, name: str) -> Any:
        tensor = self._tensor("getTensorShape", name)
        return nv.Dims(list(tensor.shape)) if tensor else nv.Dims()

    def get_tensor_location(self, name: str) -> Any:
        tensor = self._tensor("getTensorLocation", name)
        return nv.TensorLocation.HOST if tensor and tensor.shape_tensor else nv.TensorLocation.DEVICE

    def get_tensor_format(self, name: str, profile_index: int = 0) -> Any:
        self._tensor("getTensorFormat", name)
        return nv.TensorFormat.LINEAR

    def get_tensor_format_desc(self, name: str, profile_index: int = 0) -> str:
        return "Row-major linear format (kLINEAR)" if self._tensor("getTensorFormatDesc", name) else ""

    def get_tensor_bytes_per_component(self, name: str, profile_index: int = 0) -> int:
        tensor = self._tensor("getTensorBytesPerComponent", name)
        return tensor.itemsize if tensor else -1

    def get_tensor_components_per_element(self, name: str, profile_index: int = 0) -> int:
        return 1 if self._tensor("getTensorComponentsPerElement", name) else -1

    def get_tensor_vectorized_dim(self, name: str, profile_index: int = 0) -> int:
        self._tensor("getTensorVectorizedDim", name)
        return -1

    def is_shape_inference_io(self, name: str) -> bool:
        tensor = self._tensor("isShapeInferenceIO", name)
        return bool(tensor and tensor.shape_tensor)

    def is_debug_tensor(self, name: str) -> bool:
        self._tensor("isDebugTensor", name)
        return False

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
        """[min, opt, max] as Dims; empty where the name or the index is wrong, or the tensor is an output."""
        tensor = self._tensor("getProfileShape", name)
        if tensor is None or not 0 <= profile_index < len(self._plan.profiles) or tensor.mode == "OUTPUT":
            return []
        return [nv.Dims(list(s)) for s in self._limits(tensor, profile_index)]

    def _limits(self, tensor: TensorSpec, profile_index: int) -> tuple[Shape, Shape, Shape]:
        return self._plan.profiles[profile_index].get(tensor.name, (tensor.shape,) * 3)

    def get_tensor_profile_values(self, profile_index: int, name: str) -> list[list[int]]:
        if self._tensor("getProfileTensorValues", name) is None or not 0 <= profile_index < len(self._plan.profiles):
            return []
        return [list(v) for v in self._plan.shape_values[profile_index].get(name, ())]

    def create_execution_context(
        self, strategy: Any = nv.ExecutionContextAllocationStrategy.STATIC
    ) -> IExecutionContext | None:
        try:
            ident = self._host.device.context_create(self._ident)
        except DeviceError as error:
            self._logger.log(
                Severity.ERROR, f"ICudaEngine::createExecutionContext: Error Code 2: OutOfMemory ({error.detail})"
            )
            return None
        return IExecutionContext(self, ident)

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self._plan.tensors):
            raise IndexError(
                f"tensor index {index} is out of range: the engine has {len(self._plan.tensors)} I/O tensors"
            )
        return self._plan.tensors[index].name

    def __iter__(self) -> Iterator[str]:
        return iter([t.name for t in self._plan.tensors])


class IExecutionContext(_Named):
    """`tensorrt.IExecutionContext`: shapes and addresses of one execution at a time. Not for two threads at once."""

    _native = nv.IExecutionContext

    def __init__(self, engine: ICudaEngine, ident: int) -> None:
        self.engine = engine  # keeps the engine alive, as the binding does
        self._ident = ident
        self._device = engine._host.device
        self._inputs = [t for t in engine._plan.tensors if t.mode == "INPUT"]
        self._outputs = [t for t in engine._plan.tensors if t.mode == "OUTPUT"]
        self._profile = 0
        # a static input has its shape from the start
        self._shapes: dict[str, list[int]] = {t.name: list(t.shape) for t in self._inputs if -1 not in t.shape}
        self._addresses: dict[str, int] = {}
        self._allocators: dict[str, Any] = {}
        self._output_shapes: dict[tuple[Any, ...], dict[str, list[int]]] = {}
        self.name = ""
        self.debug_sync = False
        self.profiler: Any = None
        self.error_recorder: Any = None
        self._free = weakref.finalize(self, self._device.release, "context_free", ident)

    def _error(self, where: str, text: str) -> None:
        self.engine._logger.log(Severity.ERROR, f"IExecutionContext::{where}: Error Code 3: API Usage Error ({text})")

    # --- shapes ---

    @property
    def active_optimization_profile(self) -> int:
        return self._profile

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        if not 0 <= profile_index < self.engine.num_optimization_profiles:
            self._error(
                "setOptimizationProfileAsync",
                f"Optimization profile index {profile_index} must be in the range [0,"
                f" {self.engine.num_optimization_profiles})",
            )
            return False
        if profile_index != self._profile:
            self._profile = int(profile_index)
            self._shapes = {t.name: list(t.shape) for t in self._inputs if -1 not in t.shape}
        return True

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        """True where the active profile allows `shape` for the input `name`."""
        where = "setInputShape"
        tensor = self.engine._tensors.get(name)
        if tensor is None or tensor.mode != "INPUT":
            self._error(where, f"Given invalid tensor name: {name}. Get valid tensor names with getIOTensorName()")
            return False
        dims = [operator.index(d) for d in shape]
        low, _, high = self.engine._limits(tensor, self._profile)
        if len(dims) != len(tensor.shape):
            self._error(
                where,
                f"Parameter check failed, condition: engineDims.nbDims == dims.nbDims. Tensor {name} has"
                f" {len(tensor.shape)} dimensions, {len(dims)} were given.",
            )
            return False
        if -1 not in tensor.shape and tuple(dims) != tensor.shape:
            self._error(
                where,
                f"Static dimension mismatch while setting input shape for {name}. Set dimensions are {_dims(dims)}."
                f" Expected dimensions are {_dims(tensor.shape)}.",
            )
            return False
        if any(not a <= d <= b for a, d, b in zip(low, dims, high, strict=True)):
            self._error(
                where,
                f"Parameter check failed, condition: satisfyProfile. Set dimension {_dims(dims)} for tensor {name} does"
                f" not satisfy any optimization profiles. Valid range for profile {self._profile}:"
                f" {_dims(low)}..{_dims(high)}.",
            )
            return False
        self._shapes[name] = dims
        return True

    @property
    def all_binding_shapes_specified(self) -> bool:
        return not self._unset()

    def _unset(self) -> list[str]:
        return [t.name for t in self._inputs if t.name not in self._shapes]

    def infer_shapes(self) -> list[str]:
        """Names of the inputs that still lack a shape (or, for shape tensors, an address); empty where none does."""
        return self._unset() + [t.name for t in self._inputs if t.shape_tensor and t.name not in self._addresses]

    def _inferred(self) -> dict[str, list[int]]:
        key = tuple(tuple(self._shapes[t.name]) for t in self._inputs)
        if key not in self._output_shapes:
            self._output_shapes[key] = self._device.infer_shapes(self.engine._ident, self._shapes)
        return self._output_shapes[key]

    def get_tensor_shape(self, name: str) -> Any:
        """The shape at the next execution; -1 for dimensions that are not known yet."""
        tensor = self.engine._tensor("getTensorShape", name)
        if tensor is None:
            return nv.Dims()
        if tensor.mode == "INPUT":
            return nv.Dims(self._shapes.get(name, list(tensor.shape)))
        if self._unset():
            return nv.Dims(list(tensor.shape))
        try:
            return nv.Dims(self._inferred()[name])
        except DeviceError as error:
            self._error("getTensorShape", error.detail)
            return nv.Dims(list(tensor.shape))

    def get_tensor_strides(self, name: str) -> Any:
        shape = list(self.get_tensor_shape(name))
        strides = [1] * len(shape)
        for i in range(len(shape) - 2, -1, -1):
            strides[i] = -1 if shape[i + 1] < 0 or strides[i + 1] < 0 else strides[i + 1] * shape[i + 1]
        return nv.Dims(strides)

    def get_max_output_size(self, name: str) -> int:
        """Bytes of an output at the active profile's maximum."""
        tensor = self.engine._tensors.get(name)
        if tensor is None or tensor.mode != "OUTPUT":
            self._error("getMaxOutputSize", f"{name} is no output tensor")
            return -1
        highest = {t.name: list(self.engine._limits(t, self._profile)[2]) for t in self._inputs}
        shape = self._device.infer_shapes(self.engine._ident, highest)[name]
        return int(nv.volume(shape)) * tensor.itemsize

    def update_device_memory_size_for_shapes(self) -> int:
        return self.engine.get_device_memory_size_for_profile_v2(self._profile)

    # --- addresses ---

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if name not in self.engine._tensors:
            self._error(
                "setTensorAddress", f"Given invalid tensor name: {name}. Get valid tensor names with getIOTensorName()"
            )
            return False
        if isinstance(memory, bool) or (not hasattr(memory, "__index__") and not hasattr(memory, "__int__")):
            raise TypeError(f"set_tensor_address(): expected an int device address, got {type(memory).__name__}")
        self._addresses[name] = int(memory)
        return True

    def get_tensor_address(self, name: str) -> int:
        if name not in self.engine._tensors:
            self._error(
                "getTensorAddress", f"Given invalid tensor name: {name}. Get valid tensor names with getIOTensorName()"
            )
            return 0
        return self._addresses.get(name, 0)

    def set_output_allocator(self, name: str, output_allocator: Any) -> bool:
        tensor = self.engine._tensors.get(name)
        if tensor is None or tensor.mode != "OUTPUT":
            self._error("setOutputAllocator", f"{name} is no output tensor")
            return False
        self._allocators[name] = output_allocator
        return True

    def get_output_allocator(self, name: str) -> Any:
        return self._allocators.get(name)

    # --- execution ---

    def _ready(self, where: str) -> bool:
        unset = self._unset()
        if unset:
            self._error(
                where,
                "Not all shapes are specified. Following input tensors' dimensions are not specified: "
                + ", ".join(unset)
                + ".",
            )
            return False
        for tensor in self._inputs:
            if not self._addresses.get(tensor.name):
                self._error(
                    where,
                    f"Address is not set for input tensor {tensor.name}. Call setInputTensorAddress or setTensorAddress"
                    " before enqueue/execute.",
                )
                return False
        for tensor in self._outputs:
            if not self._addresses.get(tensor.name) and tensor.name not in self._allocators:
                self._error(where, f"Neither address or allocator is set for output tensor {tensor.name}.")
                return False
        return True

    def _allocate_outputs(self, stream: int) -> None:
        for name, allocator in self._allocators.items():
            shape = self._inferred()[name]
            nbytes = max(int(nv.volume(shape)), 1) * self.engine._tensors[name].itemsize
            memory = self._addresses.get(name, 0)
            if hasattr(allocator, "reallocate_output_async"):
                address = allocator.reallocate_output_async(name, memory, nbytes, 256, stream)
            else:
                address = allocator.reallocate_output(name, memory, nbytes, 256)
            self._addresses[name] = int(address or 0)
            allocator.notify_shape(name, nv.Dims(shape))

    def _execute(self, where: str, stream: int, wait: bool) -> bool:
        if not self._ready(where):
            return False
        try:
            if self._allocators:
                self._allocate_outputs(stream)
            self._device.execute(self._ident, stream, wait, self._profile, self._shapes, self._addresses)
        except DeviceError as error:
            self.engine._logger.log(Severity.ERROR, f"IExecutionContext::{where}: [simulator] {error.detail}")
            return False
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Enqueue on a stream. True says that it was enqueued, not that it ran."""
        if not hasattr(stream_handle, "__index__"):
            raise TypeError(
                f"execute_async_v3(): expected the integer handle of a stream, got {type(stream_handle).__name__}; "
                "pass stream.handle"
            )
        return self._execute("enqueueV3", int(stream_handle), False)

    def execute_v2(self, bindings: Sequence[int]) -> bool:
        """Execute and wait. `bindings` are the device addresses of all I/O tensors in the engine's order."""
        names = [t.name for t in self.engine._plan.tensors]
        if len(bindings) != len(names):
            self._error(
                "executeV2", f"{len(names)} addresses expected (the I/O tensors in order), {len(bindings)} given"
            )
            return False
        self._addresses.update(zip(names, (int(b) for b in bindings), strict=True))
        return self._execute("executeV2", 0, True)


def _dims(shape: Sequence[int]) -> str:
    return "[" + ",".join(str(d) for d in shape) + "]"
