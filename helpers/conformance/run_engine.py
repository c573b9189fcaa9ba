"""Run cases: plans that load and plans that do not, what an engine tells, inspector, recorder, profiler, memory."""

from __future__ import annotations

import gc
import json
from typing import Any

import numpy as np

from .case import Ground
from .run_kit import (
    BINDINGS,
    HEADER,
    MODELS,
    PROMISE,
    ROWS,
    SIMULATOR,
    Bench,
    Table,
    attempt,
    changed,
    kind,
    load,
    plan,
    ready,
    rows,
    text,
)

case = Table()

MEASURED = "measured with TensorRT-RTX 1.7's runtime on a machine without a GPU"
VERSIONS = "github.com/NVIDIA/TensorRT issues 2072 and 2983; yuvraj108c/ComfyUI-Dwpose-Tensorrt issue 5, TensorRT 10"
DEVICES = "github.com/NVIDIA/TensorRT issue 564; QwenAudio/CosyVoice issue 1600, TensorRT 10"
WORKS = "developer guide, How TensorRT Works, "
NAME = "github.com/dusty-nv/jetson-containers issue 904, TensorRT 10"


# --- plans ---


def _load(g: Ground, data: Any) -> str:
    return kind(lambda: "None" if g.trt.Runtime(g.logger).deserialize_cuda_engine(data) is None else "engine")


@case("plan-loads", "engine", source=HEADER + "IRuntime::deserializeCudaEngine")
def _(g: Ground) -> Any:
    """A plan of this version loads."""
    return _load(g, plan(g.trt, "add"))


@case("plan-from-any-buffer", "[engine, engine, engine]", source=BINDINGS + "deserialize_cuda_engine takes any buffer")
def _(g: Ground) -> Any:
    """bytes, bytearray and memoryview load."""
    data = plan(g.trt, "add")
    return text([_load(g, each) for each in (data, bytearray(data), memoryview(data))])


@case("plan-is-none", "TypeError", source=BINDINGS + "deserialize_cuda_engine: incompatible function arguments")
def _(g: Ground) -> Any:
    """None, which a failed build returns, is a TypeError."""
    return _load(g, None)


@case("plan-is-a-path", "TypeError", source=BINDINGS + "deserialize_cuda_engine: a str is no buffer")
def _(g: Ground) -> Any:
    """A file's name is a TypeError."""
    return _load(g, "model.plan")


@case(
    "plan-is-empty", "None", source=HEADER + "IRuntime::deserializeCudaEngine: nullptr if it could not be deserialized"
)
def _(g: Ground) -> Any:
    """No bytes at all: what an aborted write leaves."""
    return _load(g, b"")


@case("plan-is-onnx", "None", "header.magicTag == kEXPECTED_MAGIC_TAG failed", source=MEASURED)
def _(g: Ground) -> Any:
    """An ONNX file is no plan."""
    return _load(g, MODELS["add"][0]().SerializeToString() + bytes(200))


@case("plan-truncated", "None", "plan.header.size == blobSize failed", source=MEASURED)
def _(g: Ground) -> Any:
    """A plan whose last bytes are missing."""
    return _load(g, plan(g.trt, "add")[:-100])


@case("plan-with-more", "None", "plan.header.size == blobSize failed", source=MEASURED)
def _(g: Ground) -> Any:
    """A plan with a byte too many."""
    return _load(g, plan(g.trt, "add") + b"\0")


@case(
    "plan-of-another-version",
    "None",
    "Version tag does not match. Note: Current Version:",
    source=VERSIONS,
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A plan that another TensorRT built."""
    return _load(g, changed(plan(g.trt, "add"), version="10.0.0.1"))


@case(
    "plan-of-another-version-code",
    "None",
    "IRuntime::deserializeCudaEngine: Error Code 1: Serialization",
    source=VERSIONS,
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """The error's code is 1, Serialization."""
    return _load(g, changed(plan(g.trt, "add"), version="10.0.0.1"))


@case(
    "plan-of-another-gpu",
    "None",
    "The engine plan file is generated on an incompatible device, expecting compute 8.6 got compute 7.5, please"
    " rebuild.",
    source=DEVICES,
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A plan for compute capability 7.5 on a device of 8.6."""
    data = changed(plan(g.trt, "add"), settings={"compute_capabilities": ["SM75"]})
    g.device(compute_capability=86)
    return _load(g, data)


@case("plan-of-this-gpu-among-others", "engine", source=DEVICES, needs=SIMULATOR)
def _(g: Ground) -> Any:
    """A plan for 7.5 and 8.6 loads on 8.6."""
    data = changed(plan(g.trt, "add"), settings={"compute_capabilities": ["SM75", "SM86"]})
    g.device(compute_capability=86)
    return _load(g, data)


@case("serialize-round-trip", "(True, True, [1.0, 16.0])", source=HEADER + "ICudaEngine::serialize")
def _(g: Ground) -> Any:
    """What an engine serializes to loads again and computes the same."""
    again = g.trt.Runtime(g.logger).deserialize_cuda_engine(load(g, "add").serialize())
    bench = Bench(g, engine=again)
    bench.give("x", rows(2))
    bench.room("y", 64)
    return text((again is not None, bench.run(), bench.result((16,))[[0, -1]].tolist()))


# --- what an engine tells ---


@case(
    "engine-tensors",
    "[(x, INPUT, FLOAT, (-1, 8)), (y, OUTPUT, FLOAT, (-1, 8))]",
    source=HEADER + "ICudaEngine, I/O tensors",
)
def _(g: Ground) -> Any:
    """Names, modes, dtypes and shapes of the tensors, inputs first."""
    engine = load(g, "add")
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    return text([(n, engine.get_tensor_mode(n), engine.get_tensor_dtype(n), engine.get_tensor_shape(n)) for n in names])


@case(
    "engine-index-and-iteration",
    "(x, y, [x, y])",
    source=BINDINGS + "engine_getitem: negative indices count from the end",
)
def _(g: Ground) -> Any:
    """engine[i] is a name, engine[-1] the last; an engine can be iterated."""
    engine = load(g, "add")
    return text((engine[0], engine[-1], list(engine)))


@case("engine-index-beyond", "IndexError", source=BINDINGS + "engine_getitem")
def _(g: Ground) -> Any:
    """An index beyond the tensors."""
    engine = load(g, "add")
    return kind(lambda: engine[9])


@case("engine-name-beyond", "None", source=BINDINGS + "get_tensor_name: getIOTensorName's nullptr becomes None")
def _(g: Ground) -> Any:
    """get_tensor_name beyond the tensors."""
    return text(load(g, "add").get_tensor_name(9))


@case(
    "engine-of-a-wrong-name",
    "(NONE, FLOAT, DEVICE, LINEAR)",
    "Given invalid tensor name: ids",
    source=HEADER + "getTensorIOMode, getTensorDataType, getTensorLocation, getTensorFormat; text: " + NAME,
)
def _(g: Ground) -> Any:
    """What an engine says of a name that it does not have."""
    engine = load(g, "add")
    return text(
        (
            engine.get_tensor_mode("ids"),
            engine.get_tensor_dtype("ids"),
            engine.get_tensor_location("ids"),
            engine.get_tensor_format("ids"),
        )
    )


@case(
    "engine-shape-of-a-wrong-name",
    "RuntimeError",
    "Given invalid tensor name: ids",
    source=BINDINGS + "ICudaEngine.get_tensor_shape throws for Dims of rank -1; text: " + NAME,
)
def _(g: Ground) -> Any:
    """get_tensor_shape of an engine raises for a name that it does not have."""
    return kind(load(g, "add").get_tensor_shape, "ids")


@case("engine-formats", "(LINEAR, -1, -1, -1)", source=HEADER + "getTensorBytesPerComponent: -1 where not vectorized")
def _(g: Ground) -> Any:
    """A linear tensor is not vectorized."""
    engine = load(g, "add")
    return text(
        (
            engine.get_tensor_format("x"),
            engine.get_tensor_bytes_per_component("x"),
            engine.get_tensor_components_per_element("x"),
            engine.get_tensor_vectorized_dim("x"),
        )
    )


@case("engine-format-description", "True", source=HEADER + "getTensorFormatDesc: Row-major linear FP32 format")
def _(g: Ground) -> Any:
    """The format in words."""
    said = load(g, "add").get_tensor_format_desc("x")
    return text(said.replace("-", " ").lower().startswith("row major linear fp32 format"))


@case("engine-profile-shapes", "[(1, 8), (2, 8), (4, 8)]", source=HEADER + "getProfileShape")
def _(g: Ground) -> Any:
    """Minimum, optimum and maximum of an input."""
    return text(load(g, "add").get_tensor_profile_shape("x", 0))


@case("engine-profile-shapes-static", "[(2, 8), (2, 8), (2, 8)]", source=HEADER + "getProfileShape, of any input")
def _(g: Ground) -> Any:
    """A static input has one shape three times."""
    return text(load(g, "static").get_tensor_profile_shape("x", 0))


@case(
    "engine-profile-shape-of-an-output",
    "RuntimeError: Could not get profile shape for tensor 'y'. Is the tensor name an input and the profile index"
    " valid?",
    source=BINDINGS + "get_tensor_profile_shape",
)
def _(g: Ground) -> Any:
    """An output has no profile."""
    return attempt(load(g, "add").get_tensor_profile_shape, "y", 0)


@case(
    "engine-profile-shape-beyond",
    "RuntimeError: Could not get profile shape for tensor 'x'. Is the tensor name an input and the profile index"
    " valid?",
    source=BINDINGS + "get_tensor_profile_shape",
)
def _(g: Ground) -> Any:
    """A profile that the engine does not have."""
    return attempt(load(g, "add").get_tensor_profile_shape, "x", 1)


@case("engine-static-has-a-profile", "1", source=HEADER + "getNbOptimizationProfiles: always at least 1")
def _(g: Ground) -> Any:
    """An engine without dynamic shapes has one profile."""
    return text(load(g, "static").num_optimization_profiles)


@case("engine-memory-grows-with-the-profile", "(True, True)", source=HEADER + "getDeviceMemorySizeForProfileV2")
def _(g: Ground) -> Any:
    """The larger profile needs more memory; device_memory_size_v2 is the largest."""
    engine = load(g, "deep")
    sizes = [engine.get_device_memory_size_for_profile_v2(i) for i in range(2)]
    return text((sizes[0] < sizes[1], engine.device_memory_size_v2 == max(sizes)))


@case(
    "engine-memory-for-shapes",
    "True",
    source=HEADER + "updateDeviceMemorySizeForShapes; the profile's size is an upper bound",
)
def _(g: Ground) -> Any:
    """What the shapes need is at most what the profile needs."""
    engine = load(g, "add")
    context = engine.create_execution_context()
    context.set_input_shape("x", (2, 8))
    return text(0 <= context.update_device_memory_size_for_shapes() <= engine.device_memory_size_v2)


@case("engine-weights", "(0, True, -1)", source=HEADER + "getStreamableWeightsSize, getEngineStat")
def _(g: Ground) -> Any:
    """No streamable weights without weight streaming; a total of weights; none stripped."""
    engine, stat = load(g, "deep"), g.trt.EngineStat
    return text(
        (
            engine.streamable_weights_size,
            engine.get_engine_stat(stat.TOTAL_WEIGHTS_SIZE) > 0,
            engine.get_engine_stat(stat.STRIPPED_WEIGHTS_SIZE),
        )
    )


@case(
    "engine-flags", "(STANDARD, NONE, LAYER_NAMES_ONLY, False, False)", source=HEADER + "ICudaEngine; builder defaults"
)
def _(g: Ground) -> Any:
    """What an engine of the default configuration is."""
    engine = load(g, "add")
    return text(
        (
            engine.engine_capability,
            engine.hardware_compatibility_level,
            engine.profiling_verbosity,
            engine.refittable,
            engine.is_debug_tensor("y"),
        )
    )


@case("engine-layers", "(True, 0, None)", source=HEADER + "getNbLayers, getNbAuxStreams, getAliasedInputTensor")
def _(g: Ground) -> Any:
    """A small engine has layers, no auxiliary streams, and no output that shares an input's memory."""
    engine = load(g, "add")
    return text((engine.num_layers >= 1, engine.num_aux_streams, engine.get_aliased_input_tensor("y")))


@case("context-knows-its-engine", "(True, decoder)", source=HEADER + "getEngine, setName")
def _(g: Ground) -> Any:
    """A context has its engine, and a name that can be set."""
    engine = load(g, "add")
    context = engine.create_execution_context()
    context.name = "decoder"
    return text((context.engine.get_tensor_name(0) == "x", context.name))


@case("context-defaults", "(False, True, 0, 0)", source=HEADER + "debugSync, enqueueEmitsProfile, persistentCacheLimit")
def _(g: Ground) -> Any:
    """A new context's settings."""
    context = load(g, "add").create_execution_context()
    return text(
        (
            context.debug_sync,
            context.enqueue_emits_profile,
            context.persistent_cache_limit,
            context.get_input_consumed_event(),
        )
    )


# --- inspector ---


@case("inspector-json", "(True, True)", source="Python API, EngineInspector; developer guide, engine inspector")
def _(g: Ground) -> Any:
    """The inspector's JSON lists the layers by name; the default verbosity names them only."""
    engine = load(g, "add")
    told = json.loads(engine.create_engine_inspector().get_engine_information(g.trt.LayerInformationFormat.JSON))
    layers = told["Layers"]
    return text((len(layers) == engine.num_layers, all(isinstance(layer, str) for layer in layers)))


@case("inspector-layer", "True", source="Python API, EngineInspector.get_layer_information")
def _(g: Ground) -> Any:
    """One layer's information names it."""
    inspector = load(g, "add").create_engine_inspector()
    return text(bool(inspector.get_layer_information(0, g.trt.LayerInformationFormat.ONELINE).strip()))


# --- error recorder ---


def _recorder(g: Ground) -> Any:
    class Recorder(g.trt.IErrorRecorder):  # type: ignore[name-defined]
        def __init__(self) -> None:
            g.trt.IErrorRecorder.__init__(self)
            self.errors: list[tuple[Any, str]] = []

        def get_num_errors(self) -> int:
            return len(self.errors)

        num_errors = get_num_errors

        def get_error_code(self, index: int) -> Any:
            return self.errors[index][0]

        def get_error_desc(self, index: int) -> str:
            return self.errors[index][1]

        def has_overflowed(self) -> bool:
            return False

        def clear(self) -> None:
            self.errors.clear()

        def report_error(self, code: Any, desc: str) -> bool:
            self.errors.append((code, desc))
            return False

    return Recorder()


@case(
    "recorder-of-a-context",
    "(False, 1, INVALID_ARGUMENT, True)",
    source=HEADER + "setErrorRecorder, ErrorCode (3 is kINVALID_ARGUMENT)",
)
def _(g: Ground) -> Any:
    """A context's recorder gets its errors, with the code and the text."""
    recorder = _recorder(g)
    context = load(g, "add").create_execution_context()
    context.error_recorder = recorder
    done = context.set_input_shape("x", (9, 8))
    code, said = recorder.errors[0] if recorder.errors else (None, "")
    return text((done, len(recorder.errors), code, "satisfyProfile" in said))


@case(
    "recorder-instead-of-the-log",
    "(False, False)",
    source=HEADER + "setErrorRecorder: if none is set, messages go to the log; " + WORKS + "error handling",
)
def _(g: Ground) -> Any:
    """What a recorder got is not in the log."""
    context = load(g, "add").create_execution_context()
    context.error_recorder = _recorder(g)
    done = context.set_input_shape("x", (9, 8))
    return text((done, any("satisfyProfile" in line for _, line in g.log)))


@case(
    "recorder-of-an-engine", "(False, True)", source=HEADER + "createExecutionContext passes the engine's recorder on"
)
def _(g: Ground) -> Any:
    """An engine's recorder is passed to the contexts that it creates."""
    recorder = _recorder(g)
    engine = load(g, "add")
    engine.error_recorder = recorder
    context = engine.create_execution_context()
    done = context.set_input_shape("x", (9, 8))
    return text((done, bool(recorder.errors)))


# --- profiler ---


def _profiler(g: Ground) -> Any:
    class Profiler(g.trt.IProfiler):  # type: ignore[name-defined]
        def __init__(self) -> None:
            g.trt.IProfiler.__init__(self)
            self.times: list[tuple[str, float]] = []

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.times.append((layer_name, ms))

    return Profiler()


@case(
    "profiler-reports-at-enqueue",
    "(True, True, True)",
    source=HEADER + "setEnqueueEmitsProfile: true makes enqueue synchronous",
)
def _(g: Ground) -> Any:
    """With a profiler, execute_async_v3 waits and reports each layer once."""
    bench, profiler = ready(g), _profiler(g)
    bench.context.profiler = profiler
    done = bench.context.execute_async_v3(bench.stream.handle)
    layers = len(profiler.times)
    bench.stream.synchronize()
    return text((done, layers >= 1, all(ms >= 0 for _, ms in profiler.times)))


@case("profiler-reports-when-asked", "(0, True, True)", source=HEADER + "reportToProfiler")
def _(g: Ground) -> Any:
    """With enqueue_emits_profile off, report_to_profiler reports."""
    bench, profiler = ready(g), _profiler(g)
    bench.context.profiler = profiler
    bench.context.enqueue_emits_profile = False
    bench.run()
    before = len(profiler.times)
    done = bench.context.report_to_profiler()
    return text((before, done, len(profiler.times) >= 1))


@case("profiler-missing", "False", source="Python API, report_to_profiler: False where no profiler is provided")
def _(g: Ground) -> Any:
    """report_to_profiler without a profiler."""
    bench = ready(g)
    bench.context.enqueue_emits_profile = False
    bench.run()
    return text(bench.context.report_to_profiler())


# --- memory ---


@case("memory-of-contexts-comes-back", "(True, True)", source=HEADER + "ExecutionContextAllocationStrategy::kSTATIC")
def _(g: Ground) -> Any:
    """A context takes device memory when it is created; it is back when the context is gone."""
    engine = load(g, "deep")
    free = g.cuda.mem_get_info()[0]
    context = engine.create_execution_context()
    taken = free - g.cuda.mem_get_info()[0]
    del context
    gc.collect()
    return text((taken >= engine.device_memory_size_v2, g.cuda.mem_get_info()[0] == free))


@case(
    "memory-of-engines-comes-back",
    "True",
    source=WORKS + "memory: weights are allocated at deserialization",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """All that an engine took is back when it is gone."""
    free = g.cuda.mem_get_info()[0]
    engine = load(g, "deep")
    context = engine.create_execution_context()
    took = g.cuda.mem_get_info()[0] < free
    del context, engine
    gc.collect()
    return text(took and g.cuda.mem_get_info()[0] == free)


@case(
    "context-does-not-fit",
    "None",
    "OutOfMemory",
    source="NVIDIA's text, measured: OutOfMemory (Requested size was 1074664960 bytes.)",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A context whose memory the device does not have is None, with an error in the log."""
    engine = load(g, "deep")
    left = engine.device_memory_size_v2 // 2
    kept = g.cuda.mem_alloc(g.cuda.mem_get_info()[0] - left)
    context = engine.create_execution_context()
    return text("None" if context is None else f"a context, and {int(kept) and left} bytes were free")


@case(
    "user-managed-without-memory", "False", source="developer guide, memory: USER_MANAGED needs set_device_memory first"
)
def _(g: Ground) -> Any:
    """A context without memory of its own does not execute before it is given some."""
    engine = load(g, "deep")
    context = engine.create_execution_context(g.trt.ExecutionContextAllocationStrategy.USER_MANAGED)
    bench = Bench(g, engine=engine)
    bench.context = context
    bench.give("x", np.ones((1, 256), np.float32))
    bench.room("y", 1024)
    return text(context.execute_async_v3(bench.stream.handle))


@case("user-managed-memory", "(True, True)", source=HEADER + "IExecutionContext::setDeviceMemoryV2")
def _(g: Ground) -> Any:
    """A context with memory of the user's takes none when it is created, and executes with what it is given."""
    engine = load(g, "deep")
    free = g.cuda.mem_get_info()[0]
    context = engine.create_execution_context(g.trt.ExecutionContextAllocationStrategy.USER_MANAGED)
    small = free - g.cuda.mem_get_info()[0] < engine.device_memory_size_v2
    bench = Bench(g, engine=engine)
    bench.context = context
    memory = g.cuda.mem_alloc(max(engine.device_memory_size_v2, 1))
    context.set_device_memory(int(memory), engine.device_memory_size_v2)
    bench.give("x", np.ones((1, 256), np.float32))
    bench.room("y", 1024)
    return text((small, bench.run()))


@case(
    "removed-names-say-so",
    "AttributeError",
    source="Python migration guide, 8 to 10: num_bindings became num_io_tensors; github.com/NVIDIA/TensorRT issue 4216",
)
def _(g: Ground) -> Any:
    """A name of TensorRT 8 is an AttributeError."""
    engine = load(g, "add")
    return kind(lambda: engine.num_bindings)


@case("removed-names-say-what-instead", "True", source=PROMISE + "the error names what replaced it", needs=SIMULATOR)
def _(g: Ground) -> Any:
    """The error says what to use instead."""
    engine = load(g, "add")
    return text("num_io_tensors" in attempt(lambda: engine.num_bindings))


@case("engine-row-bytes", f"{ROWS * 4}", source=HEADER + "DataType; Python API, DataType.itemsize")
def _(g: Ground) -> Any:
    """A row's bytes from the engine's dtype."""
    return text(load(g, "add").get_tensor_dtype("x").itemsize * ROWS)


# --- runtime, allocation strategies ---


@case(
    "runtime-defaults",
    "(-1, 0, False)",
    source="Python API, Runtime: DLA_core, num_DLA_cores, engine_host_code_allowed",
)
def _(g: Ground) -> Any:
    """A new runtime's settings on a device without DLA."""
    runtime = g.trt.Runtime(g.logger)
    return text((runtime.DLA_core, runtime.num_DLA_cores, runtime.engine_host_code_allowed))


@case("runtime-needs-a-logger", "TypeError", source=BINDINGS + "Runtime.__init__(logger: ILogger)")
def _(g: Ground) -> Any:
    """A runtime without a logger is a TypeError."""
    return kind(g.trt.Runtime, "logger")


@case("recorder-of-a-runtime", "(None, True)", source=HEADER + "IRuntime::setErrorRecorder")
def _(g: Ground) -> Any:
    """A runtime's recorder gets the error of a plan that does not load."""
    runtime, recorder = g.trt.Runtime(g.logger), _recorder(g)
    runtime.error_recorder = recorder
    engine = runtime.deserialize_cuda_engine(b"no plan at all" * 20)
    return text((engine, bool(recorder.errors)))


@case("recorder-taken-back", "(False, 0, True)", source=HEADER + "setErrorRecorder: nullptr unregisters the recorder")
def _(g: Ground) -> Any:
    """Without the recorder, errors are in the log again."""
    recorder = _recorder(g)
    context = load(g, "add").create_execution_context()
    context.error_recorder = recorder
    context.error_recorder = None
    done = context.set_input_shape("x", (9, 8))
    return text((done, len(recorder.errors), any("satisfyProfile" in line for _, line in g.log)))


@case(
    "allocation-on-profile-change",
    "(True, True)",
    source=HEADER + "kON_PROFILE_CHANGE: reallocate for a profile when it is selected",
)
def _(g: Ground) -> Any:
    """A context that allocates by profile takes less for the small one, and more after the switch."""
    engine, stream = load(g, "deep"), g.cuda.Stream()
    free = g.cuda.mem_get_info()[0]
    context = engine.create_execution_context(g.trt.ExecutionContextAllocationStrategy.ON_PROFILE_CHANGE)
    small = free - g.cuda.mem_get_info()[0]
    context.set_optimization_profile_async(1, stream.handle)
    stream.synchronize()
    large = free - g.cuda.mem_get_info()[0]
    return text((small < large, engine.get_device_memory_size_for_profile_v2(0) <= small))


@case("allocation-strategy-is-told", "ON_PROFILE_CHANGE", source=HEADER + "getRuntimeConfig, IRuntimeConfig")
def _(g: Ground) -> Any:
    """The context's runtime configuration tells its strategy."""
    strategy = g.trt.ExecutionContextAllocationStrategy.ON_PROFILE_CHANGE
    context = load(g, "add").create_execution_context(strategy)
    return text(context.get_runtime_config().get_execution_context_allocation_strategy())


@case("context-of-a-runtime-config", "(True, [1.0, 16.0])", source=HEADER + "createExecutionContext(IRuntimeConfig*)")
def _(g: Ground) -> Any:
    """A context made with a runtime configuration executes."""
    bench = ready(g)
    bench.context = bench.engine.create_execution_context(bench.engine.create_runtime_config())
    bench.context.set_input_shape("x", (2, 8))
    for name in ("x", "y"):
        bench.context.set_tensor_address(name, int(bench.device[name]))
    return text((bench.run(), bench.result((16,))[[0, -1]].tolist()))


@case("user-managed-too-little", "False", source=HEADER + "setDeviceMemoryV2: large enough, getDeviceMemorySizeV2")
def _(g: Ground) -> Any:
    """Less memory than the engine asks for does not do."""
    engine = load(g, "deep")
    bench = Bench(g, engine=engine)
    bench.context = engine.create_execution_context(g.trt.ExecutionContextAllocationStrategy.USER_MANAGED)
    memory = g.cuda.mem_alloc(256)
    bench.context.set_device_memory(int(memory), 256)
    bench.context.set_optimization_profile_async(1, bench.stream.handle)
    bench.stream.synchronize()
    bench.give("x", np.ones((64, 256), np.float32))
    bench.room("y", 64 * 1024)
    return text(bench.context.execute_async_v3(bench.stream.handle))


@case("serialize-with-config", "engine", source=HEADER + "serializeWithConfig, createSerializationConfig")
def _(g: Ground) -> Any:
    """An engine serialized with a configuration loads."""
    engine = load(g, "add")
    return _load(g, engine.serialize_with_config(engine.create_serialization_config()))


@case("serialize-is-the-same", "True", source=HEADER + "ICudaEngine::serialize; sizes of the plan that was loaded")
def _(g: Ground) -> Any:
    """What an engine serializes to has as many bytes each time."""
    engine = load(g, "add")
    return text(engine.serialize().nbytes == engine.serialize().nbytes > 0)


@case("nvtx-verbosity-default", "LAYER_NAMES_ONLY", source=HEADER + "getNvtxVerbosity: that of the engine")
def _(g: Ground) -> Any:
    """A context's NVTX verbosity is the engine's."""
    return text(load(g, "add").create_execution_context().nvtx_verbosity)


@case("profiler-of-execute-v2", "True", source="Python API, IProfiler: once per layer for each execute_v2()")
def _(g: Ground) -> Any:
    """execute_v2 reports to the profiler too."""
    bench, profiler = ready(g), _profiler(g)
    bench.context.profiler = profiler
    bench.context.execute_v2([int(bench.device[name]) for name in ("x", "y")])
    return text(len(profiler.times) >= 1)


# --- verbosity, readers, weights ---


@case(
    "inspector-detailed",
    "(True, True)",
    source="developer guide, engine inspector: DETAILED prints names and parameters",
)
def _(g: Ground) -> Any:
    """Built with DETAILED, each layer of the JSON is an object with a name."""
    engine = load(g, "detailed")
    told = json.loads(engine.create_engine_inspector().get_engine_information(g.trt.LayerInformationFormat.JSON))
    return text((len(told["Layers"]) == engine.num_layers, all("Name" in layer for layer in told["Layers"])))


@case(
    "inspector-of-nothing",
    "(NONE, [])",
    source="Python API, EngineInspector: with NONE no layer information is printed",
)
def _(g: Ground) -> Any:
    """Built with NONE, the engine tells nothing of its layers."""
    engine = load(g, "hidden")
    told = json.loads(engine.create_engine_inspector().get_engine_information(g.trt.LayerInformationFormat.JSON))
    return text((engine.profiling_verbosity, told.get("Layers", [])))


@case(
    "inspector-layer-beyond", "True", source="Python API, get_layer_information: the index must lie in [0, num_layers)"
)
def _(g: Ground) -> Any:
    """A layer that the engine does not have gives no information, and raises nothing."""
    engine = load(g, "add")
    said = engine.create_engine_inspector().get_layer_information(99, g.trt.LayerInformationFormat.ONELINE)
    return text(not said)


@case(
    "plan-from-a-reader", "engine", source=BINDINGS + "PyStreamReaderV2: read(num_bytes, stream), seek(offset, where)"
)
def _(g: Ground) -> Any:
    """A plan may come through an IStreamReaderV2, in pieces."""
    data = plan(g.trt, "add")

    class Reader(g.trt.IStreamReaderV2):  # type: ignore[name-defined]
        def __init__(self) -> None:
            g.trt.IStreamReaderV2.__init__(self)
            self.at = 0

        def read(self, num_bytes: int, stream: int) -> bytes:
            piece = data[self.at : self.at + min(num_bytes, 1000)]
            self.at += len(piece)
            return piece

        def seek(self, offset: int, where: Any) -> bool:
            self.at = offset + (0 if where == g.trt.SeekPosition.SET else self.at)
            return True

    return _load(g, Reader())


@case(
    "engine-does-not-fit",
    "None",
    "OutOfMemory",
    source="NVIDIA's text, measured: OutOfMemory (Requested size was 1074664960 bytes.); weights are allocated here",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """An engine whose weights the device does not have memory for is None, with an error in the log."""
    data = plan(g.trt, "deep")
    kept = g.cuda.mem_alloc(g.cuda.mem_get_info()[0] - 1024)
    said = _load(g, data)
    return said if int(kept) else ""


@case("engines-of-two-plans", "([1.0, 16.0], 28.0)", source="developer guide: several engines in one process")
def _(g: Ground) -> Any:
    """Engines of two plans are executed in turns."""
    one, two = ready(g), Bench(g, "two")
    two.give("x", np.tile(np.arange(8, dtype=np.float32), (2, 1)))
    two.room("y", 32)
    for bench in (one, two):
        bench.context.execute_async_v3(bench.stream.handle)
    for bench in (one, two):
        bench.stream.synchronize()
    return text((one.result((16,))[[0, -1]].tolist(), two.result((2, 4))[0, 0].item()))


@case("engine-loaded-twice", "[True, True]", source=HEADER + "IRuntime::deserializeCudaEngine")
def _(g: Ground) -> Any:
    """One plan may be loaded twice; the engines do not know of each other."""
    benches = [Bench(g) for _ in range(2)]
    for i, bench in enumerate(benches):
        bench.give("x", np.full((2, 8), i, np.float32))
        bench.room("y", 64)
        bench.run()
    return text([bool((bench.result((2, 8)) == i + 1).all()) for i, bench in enumerate(benches)])


CASES = case.cases
