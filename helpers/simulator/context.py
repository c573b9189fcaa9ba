"""`tensorrt.IExecutionContext` of the simulator: shapes, addresses and executions. The device executes."""

from __future__ import annotations

import math
import operator
import sys
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ERROR_TEXTS, DeviceError
from .host import read_pointer
from .names import explain
from .native import nv
from .objects import Object, Severity, attribute, dims, only_none
from .plan import DTYPES

if TYPE_CHECKING:
    from .runtime import ICudaEngine, IRuntimeConfig

Strategy = nv.ExecutionContextAllocationStrategy

# every context that is alive, by the number that the device gave it: what looks at a run from outside finds it here
contexts: weakref.WeakValueDictionary[int, IExecutionContext] = weakref.WeakValueDictionary()

_SHAPES = (tuple, list, nv.Dims)
_UNKNOWN = "Given invalid tensor name: {}. Get valid tensor names with getIOTensorName()"
_NO_PROFILE = "Error in set optimization profile async."
_NO_DIMS = (
    "Could not get {} for tensor '{}'. Check that the tensor name is correct and that all dynamic input shapes have"
    " been set."
)
_DEFAULT_STREAM = (
    "Using default stream in enqueueV3() may lead to performance issues due to additional calls to"
    " cudaStreamSynchronize() by TensorRT to ensure correct synchronization. Please use non-default stream instead."
)
_ALIGNMENT = 256


class IExecutionContext(Object):
    """`tensorrt.IExecutionContext`: shapes and addresses of one execution at a time. Not for two threads at once."""

    _title = "IExecutionContext"

    def __init__(self, engine: ICudaEngine, ident: int, config: IRuntimeConfig) -> None:
        self._engine = engine  # keeps the engine alive, as the binding does
        self._logger, self._error_recorder = engine._logger, engine._error_recorder
        self._ident = ident
        self._config = config
        self._strategy = config.get_execution_context_allocation_strategy()
        self._device = engine._host.device
        self._inputs = [t for t in engine._plan.tensors if t.mode == "INPUT"]
        self._outputs = [t for t in engine._plan.tensors if t.mode == "OUTPUT"]
        self._shape_inputs = [t for t in self._inputs if t.shape_tensor]
        self._profile = 0
        # a static input has its shape from the start
        self._shapes: dict[str, list[int]] = {t.name: list(t.shape) for t in self._inputs if -1 not in t.shape}
        self._addresses: dict[str, int] = {}
        self._allocators: dict[str, Any] = {}
        self._output_shapes: dict[tuple[Any, ...], dict[str, list[int]]] = {}
        self._memory = self._strategy != Strategy.USER_MANAGED
        self._profiler: Any = None
        self._profiled: tuple[int, int] | None = None  # stream and index in the record of the latest execution
        self._listener: Any = None
        self._consumed = 0
        self._free = weakref.finalize(self, self._device.release, "context_free", ident)
        contexts[ident] = self

    engine = property(lambda self: self._engine)
    name = attribute("name", str, "")
    debug_sync = attribute("debug_sync", bool, False)
    profiler = attribute("profiler", nv.IProfiler)
    error_recorder = attribute("error_recorder", nv.IErrorRecorder)
    enqueue_emits_profile = attribute("enqueue_emits_profile", bool, True)
    persistent_cache_limit = attribute("persistent_cache_limit", int, 0)
    unfused_tensors_debug_state = attribute("unfused_tensors_debug_state", bool, False)
    temporary_allocator = only_none("temporary_allocator", "The simulated device needs no temporary memory.")

    @property
    def nvtx_verbosity(self) -> Any:
        return self.__dict__.get("_nvtx_verbosity", self._engine.profiling_verbosity)

    @nvtx_verbosity.setter
    def nvtx_verbosity(self, value: Any) -> None:
        if not isinstance(value, nv.ProfilingVerbosity):
            raise TypeError(f"nvtx_verbosity: expected a ProfilingVerbosity, got {type(value).__name__}")
        self._nvtx_verbosity = value

    def get_runtime_config(self) -> IRuntimeConfig:
        return self._config

    def set_aux_streams(self, aux_streams: Sequence[int]) -> None:
        """Nothing: `engine.num_aux_streams` is 0, and TensorRT uses no more of the streams than that."""
        for handle in aux_streams:
            operator.index(handle)

    # --- activation memory ---

    def _device_memory(self, memory: int) -> None:
        self.set_device_memory(memory, self._engine.device_memory_size_v2)

    device_memory = property(None, _device_memory)

    def set_device_memory(self, memory: int, size: int) -> None:
        """Activation memory for a context created with USER_MANAGED: a device address, and its bytes."""
        where, needed = "setDeviceMemoryV2", self._engine.device_memory_size_v2
        if self._strategy != Strategy.USER_MANAGED:
            self._error(where, "The context was created with its own device memory; expected USER_MANAGED.")
        elif operator.index(memory) % _ALIGNMENT:
            self._error(where, f"The memory 0x{memory:x} is not aligned to {_ALIGNMENT} bytes.")
        elif operator.index(size) < needed:
            self._error(where, f"The memory has {size} bytes; engine.device_memory_size_v2 is {needed}.")
        else:
            self._memory = bool(memory) or not needed

    def update_device_memory_size_for_shapes(self) -> int:
        """Bytes of activation memory of the active profile: what the builder said, whatever the shapes."""
        return self._engine.get_device_memory_size_for_profile_v2(self._profile)

    # --- shapes ---

    @property
    def active_optimization_profile(self) -> int:
        return self._profile

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        """Choose a profile; shapes that were set are forgotten. Always True.

        Raises:
            RuntimeError: no such profile, or no memory for it (the binding turns TensorRT's False into this).
        """
        where, count = "setOptimizationProfileAsync", self._engine.num_optimization_profiles
        if not 0 <= profile_index < count:
            self._error(where, f"Optimization profile index {profile_index} must be in the range [0, {count})")
            raise RuntimeError(_NO_PROFILE)
        if profile_index != self._profile:
            if self._strategy == Strategy.ON_PROFILE_CHANGE:
                try:
                    nbytes = self._engine.get_device_memory_size_for_profile_v2(int(profile_index))
                    self._device.context_memory(self._ident, nbytes)
                except DeviceError as error:
                    self._say(2, where, f"OutOfMemory ({error.detail})")
                    raise RuntimeError(_NO_PROFILE) from None
            self._profile = int(profile_index)
            self._shapes = {t.name: list(t.shape) for t in self._inputs if -1 not in t.shape}
        return True

    def set_input_shape(self, name: str, shape: Any) -> bool:
        """True where the active profile allows `shape` (a tuple, list or Dims) for the input `name`."""
        where = "setInputShape"
        if not isinstance(shape, _SHAPES):
            raise TypeError(
                "set_input_shape(): incompatible function arguments: expected a tuple, list or tensorrt.Dims, got"
                f" {type(shape).__name__}"
            )
        tensor = self._engine._tensors.get(name)
        if tensor is None or tensor.mode != "INPUT":
            self._error(where, _UNKNOWN.format(name))
            return False
        given = [operator.index(d) for d in shape]
        low, _, high = self._engine._limits(tensor, self._profile)
        if len(given) != len(tensor.shape):
            self._error(
                where,
                f"Parameter check failed, condition: engineDims.nbDims == dims.nbDims. Tensor {name} has"
                f" {len(tensor.shape)} dimensions, {len(given)} were given.",
            )
            return False
        if any(fixed not in (-1, d) for fixed, d in zip(tensor.shape, given, strict=True)):
            self._error(
                where,
                "Parameter check failed, condition: engineDims.d[i] == dims.d[i]. Static dimension mismatch while"
                f" setting input shape for {name}. Set dimensions are {dims(given)}."
                f" Expected dimensions are {dims(tensor.shape)}.",
            )
            return False
        if any(not a <= d <= b for a, d, b in zip(low, given, high, strict=True)):
            self._error(
                where,
                f"Parameter check failed, condition: satisfyProfile. Set dimension {dims(given)} for tensor {name} does"
                f" not satisfy any optimization profiles. Valid range for profile {self._profile}:"
                f" {dims(low)}..{dims(high)}.",
            )
            return False
        self._shapes[name] = given
        return True

    @property
    def all_binding_shapes_specified(self) -> bool:
        return not self._unset()

    def _unset(self) -> list[str]:
        return [t.name for t in self._inputs if t.name not in self._shapes]

    def infer_shapes(self) -> list[str]:
        """Names of the inputs that still lack a shape (or, for shape tensors, an address); empty where none does.

        Raises:
            RuntimeError: the shapes or values that were given do not fit together, or not into the profile.
        """
        missing = self._unset() + [t.name for t in self._shape_inputs if not self._addresses.get(t.name)]
        if not missing:
            try:
                values = self._values("inferShapes")
                if values is not None:
                    self._inferred(values)
                    return []
            except DeviceError as error:
                self._say(7, "inferShapes", f"Internal Error ({error.detail})")
            raise RuntimeError("infer_shapes error code: -1")
        return missing

    def _values(self, where: str) -> dict[str, bytes] | None:
        """The bytes at the host addresses of the shape tensors; None, logged, where the profile forbids them."""
        values: dict[str, bytes] = {}
        for tensor in self._shape_inputs:
            nbytes = math.prod(self._shapes[tensor.name]) * tensor.itemsize
            try:
                values[tensor.name] = read_pointer(self._addresses[tensor.name], nbytes)
            except DeviceError as error:
                self._refuse(
                    where,
                    f"input {tensor.name!r} is a shape tensor (engine.is_shape_inference_io): TensorRT reads its values"
                    f" on the host, so set_tensor_address takes a host address. {error.detail}",
                )
                return None
            given = np.frombuffer(values[tensor.name], DTYPES[tensor.dtype]).tolist()
            limits = self._engine._plan.shape_values[self._profile].get(tensor.name)
            if limits and any(not a <= v <= b for a, v, b in zip(limits[0], given, limits[2], strict=False)):
                self._error(
                    where,
                    f"Parameter check failed, condition: satisfyProfile. Set values {dims(given)} for shape tensor"
                    f" {tensor.name} does not satisfy any optimization profiles. Valid range for profile"
                    f" {self._profile}: {dims(limits[0])}..{dims(limits[2])}.",
                )
                return None
        return values

    def _inferred(self, values: dict[str, bytes]) -> dict[str, list[int]]:
        key = (*(tuple(self._shapes[t.name]) for t in self._inputs), *values.values())
        if key not in self._output_shapes:
            more = (values,) if values else ()
            self._output_shapes[key] = self._device.infer_shapes(self._engine._ident, self._shapes, *more)
        return self._output_shapes[key]

    def get_tensor_shape(self, name: str) -> Any:
        """The shape at the next execution; -1 for dimensions that are not known yet, or depend on values.

        Raises:
            RuntimeError: no such tensor.
        """
        tensor = self._engine._tensor("getTensorShape", name)
        if tensor is None:
            raise RuntimeError(_NO_DIMS.format("shape", name))
        if tensor.mode == "INPUT":
            if name in self._shapes:
                return nv.Dims(self._shapes[name])
            low, _, high = self._engine._limits(tensor, self._profile)  # where they agree, nothing else can be set
            return nv.Dims([a if a == b else d for a, b, d in zip(low, high, tensor.shape, strict=True)])
        if self._unset() or not all(self._addresses.get(t.name) for t in self._shape_inputs):
            return nv.Dims(list(tensor.shape))
        try:
            values = self._values("getTensorShape")
            return nv.Dims(list(tensor.shape) if values is None else self._inferred(values)[name])
        except DeviceError as error:
            self._say(7, "getTensorShape", f"Internal Error ({error.detail})")
            return nv.Dims(list(tensor.shape))

    def get_tensor_strides(self, name: str) -> Any:
        """Elements from one index to the next, per dimension: row-major.

        Raises:
            RuntimeError: no such tensor, or its shape is not known yet.
        """
        shape = list(self.get_tensor_shape(name)) if name in self._engine._tensors else [-1]
        if -1 in shape:
            raise RuntimeError(_NO_DIMS.format("strides", name))
        return nv.Dims([math.prod(shape[i + 1 :]) for i in range(len(shape))])

    def get_max_output_size(self, name: str) -> int:
        """Bytes of an output at the active profile's maximum.

        -1 for what is no output, while input shapes are unset (so says NvInferRuntime.h), and where values decide.
        """
        tensor = self._engine._tensors.get(name)
        if tensor is None or tensor.mode != "OUTPUT":
            self._error("getMaxOutputSize", f"{name} is no output tensor")
            return -1
        if self._unset():
            return -1
        plan = self._engine._plan
        highest = {t.name: list(self._engine._limits(t, self._profile)[2]) for t in self._inputs}
        values = {
            t.name: np.array(plan.shape_values[self._profile][t.name][2], DTYPES[t.dtype]).tobytes()
            for t in self._shape_inputs
        }
        more = (values,) if values else ()
        shape = self._device.infer_shapes(self._engine._ident, highest, *more)[name]
        return -1 if -1 in shape else int(nv.volume(shape)) * tensor.itemsize

    # --- addresses ---

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Bind a device address (of a shape tensor: a host address) to an input or output."""
        if name not in self._engine._tensors:
            self._say(3, "setTensorAddress", f"Internal Error ({_UNKNOWN.format(name)})")
            return False
        if isinstance(memory, bool) or (not hasattr(memory, "__index__") and not hasattr(memory, "__int__")):
            raise TypeError(f"set_tensor_address(): expected an int device address, got {type(memory).__name__}")
        self._addresses[name] = int(memory)
        return True

    def get_tensor_address(self, name: str) -> int:
        if name not in self._engine._tensors:
            self._error("getTensorAddress", _UNKNOWN.format(name))
            return 0
        return self._addresses.get(name, 0)

    def set_output_allocator(self, name: str, output_allocator: Any) -> bool:
        """An IOutputAllocator for an output; None takes it away again."""
        tensor = self._engine._tensors.get(name)
        if tensor is None or tensor.mode != "OUTPUT":
            self._error("setOutputAllocator", f"{name} is no output tensor")
            return False
        if output_allocator is None:
            self._allocators.pop(name, None)
        elif isinstance(output_allocator, nv.IOutputAllocator):
            self._allocators[name] = output_allocator
        else:
            raise TypeError(
                f"set_output_allocator(): expected a tensorrt.IOutputAllocator, got {type(output_allocator).__name__}"
            )
        return True

    def get_output_allocator(self, name: str) -> Any:
        return self._allocators.get(name)

    def set_input_consumed_event(self, event: int) -> bool:
        """A CUDA event that each execution records once its inputs have been read; 0 for none.

        Here that is the end of the execution: later than on a GPU at worst, never too early.
        """
        self._consumed = operator.index(event)
        return True

    def get_input_consumed_event(self) -> int:
        return self._consumed

    # --- debug tensors: none can be marked, the builder refuses them ---

    def set_debug_listener(self, listener: Any) -> bool:
        """Keep a listener. It is never called: no network with debug tensors can be built here."""
        if not (listener is None or isinstance(listener, nv.IDebugListener)):
            raise TypeError(f"set_debug_listener(): expected a tensorrt.IDebugListener, got {type(listener).__name__}")
        self._listener = listener
        return True

    def get_debug_listener(self) -> Any:
        return self._listener

    def set_tensor_debug_state(self, name: str, flag: bool) -> bool:
        self._error("setTensorDebugState", f"{name} is no debug tensor: INetworkDefinition.mark_debug marks them")
        return False

    def get_debug_state(self, name: str) -> bool:
        self._error("getDebugState", f"{name} is no debug tensor: INetworkDefinition.mark_debug marks them")
        return False

    def set_all_tensors_debug_state(self, flag: bool) -> bool:
        return True

    # --- execution ---

    def _ready(self, where: str) -> bool:
        shapes, addresses = self._shapes, self._addresses
        for tensor in self._inputs:
            if tensor.name not in shapes:
                self._error(
                    where,
                    "Parameter check failed, condition: inputDimensionSpecified && inputShapesSpecified. Not all shapes"
                    " are specified. Following input tensors' dimensions are not specified: "
                    f"{', '.join(self._unset())}.",
                )
                return False
        for tensor in self._inputs:
            if not addresses.get(tensor.name):
                self._error(
                    where,
                    "Parameter check failed, condition: mContext.profileObliviousBindings.at(profileObliviousIndex) !="
                    f" nullptr. Address is not set for input tensor {tensor.name}. Call setInputTensorAddress or"
                    " setTensorAddress before enqueue/execute.",
                )
                return False
        for tensor in self._outputs:
            if not addresses.get(tensor.name) and tensor.name not in self._allocators:
                self._error(
                    where,
                    "Parameter check failed, condition: mContext.profileObliviousBindings.at(profileObliviousIndex) ||"
                    " getPtrOrNull(mOutputAllocators, profileObliviousIndex). Neither address or allocator is set for"
                    f" output tensor {tensor.name}. Call setOutputTensorAddress, setTensorAddress or setOutputAllocator"
                    " before enqueue/execute.",
                )
                return False
        if not self._memory:
            self._error(
                where,
                "Device memory is not set. The context was created with USER_MANAGED: call set_device_memory(memory,"
                " size) with engine.device_memory_size_v2 bytes before enqueue/execute.",
            )
            return False
        return True

    def _allocate(self, where: str, stream: int, values: dict[str, bytes]) -> bool:
        """Let the allocators give memory for their outputs, then tell them the shapes: all before the call returns."""
        shapes = self._inferred(values)
        if any(-1 in shapes[name] for name in self._allocators):
            # TensorRT, too, waits here: the size is known when what is before the output has run
            shapes = self._device.data_shapes(self._ident, stream, self._profile, self._shapes, self._addresses, values)
        for name, allocator in self._allocators.items():
            shape = shapes[name]
            nbytes = max(int(nv.volume(shape)), 1) * self._engine._tensors[name].itemsize
            address = _reallocate(allocator, name, self._addresses.get(name, 0), nbytes, stream)
            if not address:
                self._say(2, where, f"OutOfMemory (The output allocator gave no memory for output tensor {name}.)")
                return False
            self._addresses[name] = address
            try:
                allocator.notify_shape(name, nv.Dims(shape))
            except Exception as error:
                print(f"[ERROR] Exception caught in notifyShape(): {error}", file=sys.stderr)
        return True

    def _execute(self, where: str, stream: int, wait: bool) -> bool:
        if not self._ready(where):
            return False
        device = self._device
        try:
            values = self._values(where) if self._shape_inputs else {}
            if values is None:
                return False
            more = (values,) if values else ()
            if self._allocators and not self._allocate(where, stream, values):
                return False
            if self._profiler is not None:
                self._profiled = (stream, device.record_length())
            device.execute(self._ident, stream, wait, self._profile, self._shapes, self._addresses, *more)
            if self._consumed:
                device.event_record(self._consumed, stream)
            if self._profiler is not None and (wait or self.enqueue_emits_profile):
                return self.report_to_profiler()
        except DeviceError as error:
            self._failed(where, error)
            return False
        return True

    def _failed(self, where: str, error: DeviceError) -> None:
        """Report what the device refused, in TensorRT's form where TensorRT would see it."""
        if error.code != "CUDA_ERROR_INVALID_VALUE":  # a CUDA call of TensorRT's fails, now or at the next one
            text = ERROR_TEXTS.get(error.code, error.code)
            self._say(1, where, f"Cuda Runtime ({text}) [simulator] {error.detail}")
            return
        try:
            self._inferred(self._values(where) or {})
        except DeviceError as shapes:  # the inputs do not fit together
            self._say(7, where, f"Internal Error ({shapes.detail})")
        else:
            self._refuse(where, error.detail)

    def report_to_profiler(self) -> bool:
        """Call the profiler with the time of the latest execution, in milliseconds; waits for it. False without one.

        ONNX Runtime executes the graph as a whole and not in the layers of the built engine: one line stands for all
        of them. The time is this machine's.
        """
        if self._profiler is None or self._profiled is None:
            self._error("reportToProfiler", "a profiler must be set before the execution that is reported")
            return False
        stream, since = self._profiled
        self._device.stream_synchronize(stream)
        for event in self._device.record(since):
            if event["op"] == "execute" and event["context"] == self._ident:
                milliseconds = (event["finished_ns"] - event["started_ns"]) / 1e6
                self._profiler.report_layer_time(self._engine._whole(), milliseconds)
                return True
        self._error("reportToProfiler", "no execution was launched since the profiler was set")
        return False

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Enqueue on a stream. True says that it was enqueued, not that it ran."""
        if not hasattr(stream_handle, "__index__"):
            raise TypeError(
                f"execute_async_v3(): expected the integer handle of a stream, got {type(stream_handle).__name__}; "
                "pass stream.handle"
            )
        stream = int(stream_handle)
        if not stream:
            self._logger.log(Severity.WARNING, _DEFAULT_STREAM)
        return self._execute("enqueueV3", stream, False)

    def execute_v2(self, bindings: Sequence[int]) -> bool:
        """Execute and wait. `bindings` are the addresses of all I/O tensors in the engine's order."""
        names = [t.name for t in self._engine._plan.tensors]
        if len(bindings) != len(names):
            self._refuse(
                "executeV2", f"{len(names)} addresses expected (the I/O tensors in order), {len(bindings)} given"
            )
            return False
        for name, address in zip(names, bindings, strict=True):
            if not address and name not in self._allocators:
                self._error(
                    "executeV2",
                    f'Parameter check failed, condition: nullPtrAllowed. Tensor "{name}" is bound to nullptr, which is'
                    " allowed only for an empty input tensor, shape tensor, or an output tensor associated with an"
                    " IOuputAllocator.",
                )
                return False
        self._addresses.update(zip(names, (int(b) for b in bindings), strict=True))
        return self._execute("executeV2", 0, True)


def _reallocate(allocator: Any, name: str, memory: int, nbytes: int, stream: int) -> int:
    """What an allocator gives; 0, and a line on stderr, where it raises or gives no int: what the binding does."""
    call = "reallocateOutput()"
    try:
        if hasattr(allocator, "reallocate_output_async"):
            call = "reallocateOutputAsync()"
            return operator.index(allocator.reallocate_output_async(name, memory, nbytes, _ALIGNMENT, stream))
        return operator.index(allocator.reallocate_output(name, memory, nbytes, _ALIGNMENT))
    except TypeError as error:
        print(f"[ERROR] Return value of {call} could not be interpreted as an int: {error}", file=sys.stderr)
    except Exception as error:
        print(f"[ERROR] Exception caught in {call}: {error}", file=sys.stderr)
    return 0


explain(IExecutionContext)
