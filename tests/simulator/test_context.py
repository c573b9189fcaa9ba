"""What the run half has beside plain executions: shape tensors, allocators, profilers, recorders, memory, inspection."""

from __future__ import annotations

import gc
import json

import numpy as np
import onnx
import pytest

from helpers.simulator import host, runtime
from helpers.simulator.native import BUILDER
from helpers.simulator.plan import Plan, TensorSpec, open_plan

from .conftest import BATCHES, add_model, build, linear_model


def parsed(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model('<ir_version: 10, opset_import: ["" : 20]>' + text)


RESHAPE = """
    shaped (float[B, 8] x, int64[2] shape) => (float[n, k] y) <float[1] one = {1.0}>
    { more = Add (x, one)  y = Reshape (more, shape) }"""
COUNT = """
    counted (float[B, 8] x, int64 n) => (float[k] y) <int64 zero = {0}, int64 one = {1}>
    { r = Range (zero, n, one)  f = Cast <to = 1> (r)  s = ReduceSum <keepdims = 0> (x)  y = Add (f, s) }"""


def load(trt, log, plan):
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plan)
    assert engine is not None, log.said()
    return engine


def build_shaped(trt, log, text, values: dict, shapes: dict = BATCHES):
    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    assert trt.OnnxParser(network, log.logger).parse(parsed(text).SerializeToString())
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for name, three in shapes.items():
        profile.set_shape(name, *three)
    for name, three in values.items():
        profile.set_shape_input(name, *three)
    assert config.add_optimization_profile(profile) == 0
    return builder.build_serialized_network(network, config)


# --- shape tensors ---


@pytest.fixture
def shaped(trt, log):
    return load(trt, log, build_shaped(trt, log, RESHAPE, {"shape": ((1, 4), (4, 4), (8, 32))}))


def test_engine_tells_of_a_shape_tensor(trt, shaped):
    assert shaped.get_tensor_location("shape") == trt.TensorLocation.HOST
    assert shaped.get_tensor_location("x") == shaped.get_tensor_location("y") == trt.TensorLocation.DEVICE
    assert shaped.is_shape_inference_io("shape") and not shaped.is_shape_inference_io("x")
    assert shaped.get_tensor_profile_values(0, "shape") == [[1, 4], [4, 4], [8, 32]]
    assert tuple(shaped.get_tensor_shape("shape")) == (2,)


def test_values_of_a_shape_tensor_are_read_on_the_host(cuda, shaped):
    context, stream = shaped.create_execution_context(), cuda.Stream()
    x = np.arange(16, dtype=np.float32).reshape(2, 8)
    given, result = cuda.to_device(x), cuda.mem_alloc(64)
    shape = np.array([4, 4], np.int64)
    assert context.infer_shapes() == ["x", "shape"]
    assert context.set_input_shape("x", (2, 8)) and context.infer_shapes() == ["shape"]
    assert tuple(context.get_tensor_shape("y")) == (-1, -1)
    assert context.set_tensor_address("shape", shape.ctypes.data) and context.infer_shapes() == []
    assert tuple(context.get_tensor_shape("y")) == (4, 4)
    context.set_tensor_address("x", int(given))
    context.set_tensor_address("y", int(result))
    assert context.execute_async_v3(stream.handle)
    shape[:] = 2, 8  # the values are those at the enqueue; the next execution has these
    stream.synchronize()
    np.testing.assert_array_equal(cuda.from_device(result, (4, 4), np.float32), x.reshape(4, 4) + 1)
    assert tuple(context.get_tensor_shape("y")) == (2, 8)
    shape[:] = 16, 1
    assert context.execute_async_v3(stream.handle) is False


def test_the_same_plan_gives_other_sizes_for_other_values(trt, cuda, log):
    engine = load(trt, log, build_shaped(trt, log, COUNT, {"n": ((1,), (4,), (9,))}))
    context, stream = engine.create_execution_context(), cuda.Stream()
    context.set_input_shape("x", (1, 8))
    given, result = cuda.to_device(np.ones((1, 8), np.float32)), cuda.mem_alloc(64)
    for count in (1, 9, 4):
        values = np.array(count, np.int64)
        for name, address in (("x", int(given)), ("n", values.ctypes.data), ("y", int(result))):
            context.set_tensor_address(name, address)
        assert context.infer_shapes() == [] and tuple(context.get_tensor_shape("y")) == (count,)
        assert context.get_max_output_size("y") == 9 * 4
        assert context.execute_async_v3(stream.handle)
        stream.synchronize()
        np.testing.assert_array_equal(cuda.from_device(result, count, np.float32), np.arange(count) + 8)


def test_values_outside_the_profile_are_refused(cuda, shaped, log):
    context = shaped.create_execution_context()
    context.set_input_shape("x", (2, 8))
    shape = np.array([16, 1], np.int64)
    context.set_tensor_address("shape", shape.ctypes.data)
    with pytest.raises(RuntimeError, match="infer_shapes error code: -1"):
        context.infer_shapes()
    assert "Set values [16,1] for shape tensor shape does not satisfy any optimization profiles" in log.said()
    assert "Valid range for profile 0: [1,4]..[8,32]" in log.said()


def test_values_that_do_not_fit_the_data_are_refused(cuda, shaped, log):
    context = shaped.create_execution_context()
    context.set_input_shape("x", (2, 8))
    shape = np.array([3, 5], np.int64)
    context.set_tensor_address("shape", shape.ctypes.data)
    for name in ("x", "y"):
        context.set_tensor_address(name, int(cuda.mem_alloc(64)))
    assert context.execute_async_v3(cuda.Stream().handle) is False
    assert log.said()


def test_device_address_of_a_shape_tensor_is_named(cuda, shaped, log):
    context = shaped.create_execution_context()
    context.set_input_shape("x", (2, 8))
    buffers = [cuda.mem_alloc(64) for _ in range(3)]
    for name, buffer in zip(shaped, buffers, strict=True):
        context.set_tensor_address(name, int(buffer))
    assert context.execute_async_v3(cuda.Stream().handle) is False
    assert "'shape' is a shape tensor" in log.said() and "host address" in log.said()


def test_a_plan_with_shape_tensors_builds_again_from_what_it_says(trt, log):
    from helpers.simulator.builder import rebuild

    plan = build_shaped(trt, log, RESHAPE, {"shape": ((1, 4), (4, 4), (8, 32))})
    assert rebuild(open_plan(plan)) == plan


def test_shapes_that_onnx_cannot_infer_are_found_by_a_trial(trt, log):
    """A size that goes through arithmetic on values: ONNX's inference gives up, TensorRT knows it."""
    text = """
        halved (float[B, 8] x) => (float[n] y) <int64[1] two = {2}, int64[1] zero = {0}, int64[1] axis = {0}>
        {
            s = Shape (x)  f = Cast <to = 1> (s)  t = Sqrt (f)  back = Cast <to = 7> (t)
            n = ReduceProd <keepdims = 1> (back)  flat = Flatten <axis = 0> (x)  row = Squeeze (flat, axis)
            y = Slice (row, zero, n, axis)
        }"""
    onnx.checker.check_model(parsed(text))
    from helpers.simulator.executor import Engine

    tensors = (TensorSpec("x", "x", "INPUT", "FLOAT", (-1, 8)), TensorSpec("y", "y", "OUTPUT", "FLOAT", (-1,)))
    plan = _plan(parsed(text), tensors, {"x": ((1, 8), (4, 8), (16, 8))})
    assert Engine(plan).output_shapes({"x": (16, 8)}) == {"y": (8,)}


def _plan(model: onnx.ModelProto, tensors: tuple[TensorSpec, ...], profile: dict) -> Plan:
    from helpers.simulator.native import VERSION

    return Plan(
        version=VERSION,
        flavor="tensorrt_rtx",
        builder="python",
        name="made",
        tensors=tensors,
        profiles=(profile,),
        shape_values=({},),
        settings={
            "profiling_verbosity": "LAYER_NAMES_ONLY",
            "engine_capability": "STANDARD",
            "hardware_compatibility_level": "NONE",
        },
        activation_bytes=(0,),
        weight_bytes=0,
        layers=0,
        nvidia=b"",
        onnx=model.SerializeToString(),
    )


# --- output allocators ---


class Recorded:
    """Makes an IOutputAllocator that writes down what it was asked."""

    def __new__(cls, trt, cuda, gives=None):
        class Allocator(trt.IOutputAllocator):
            def __init__(self) -> None:
                trt.IOutputAllocator.__init__(self)
                self.calls: list[tuple] = []

            def reallocate_output_async(self, tensor_name, memory, size, alignment, stream):
                self.calls.append(("reallocate", tensor_name, memory, size, stream))
                self.memory = cuda.mem_alloc(size)
                return int(self.memory) if gives is None else gives

            def notify_shape(self, tensor_name, shape):
                self.calls.append(("notify", tensor_name, tuple(shape)))

        return Allocator()


NONZERO = "found (float[B, 8] x) => (int64[2, n] y) { y = NonZero (x) }"


def test_an_output_whose_size_depends_on_values(trt, cuda, log):
    """NVIDIA's RTX builder has no NonZero; TensorRT has. The plan is made by hand."""
    tensors = (TensorSpec("x", "x", "INPUT", "FLOAT", (-1, 8)), TensorSpec("y", "y", "OUTPUT", "INT64", (2, -1)))
    engine = load(trt, log, _plan(parsed(NONZERO), tensors, BATCHES).serialize())
    context, stream = engine.create_execution_context(), cuda.Stream()
    allocator = Recorded(trt, cuda)
    x = np.zeros((4, 8), np.float32)
    x[1, 2] = x[3, 7] = x[3, 1] = 1
    given = cuda.mem_alloc(x.nbytes)
    pinned = cuda.pagelocked_empty(x.shape, x.dtype)
    pinned[...] = x
    cuda.memcpy_htod_async(given, pinned, stream)  # what the size depends on is still queued
    context.set_input_shape("x", x.shape)
    context.set_tensor_address("x", int(given))
    assert tuple(context.get_tensor_shape("y")) == (2, -1) and context.get_max_output_size("y") == -1
    assert context.set_output_allocator("y", allocator)
    assert context.execute_async_v3(stream.handle)
    assert allocator.calls == [("reallocate", "y", 0, 2 * 3 * 8, stream.handle), ("notify", "y", (2, 3))]
    stream.synchronize()
    np.testing.assert_array_equal(cuda.from_device(allocator.memory, (2, 3), np.int64), np.nonzero(x))


@pytest.mark.parametrize("gives", [0, "text"])
def test_an_allocator_that_gives_nothing(trt, cuda, plans, log, gives, capfd):
    context = load(trt, log, plans["add"]).create_execution_context()
    context.set_input_shape("x", (1, 8))
    given = cuda.mem_alloc(32)
    context.set_tensor_address("x", int(given))
    context.set_output_allocator("y", Recorded(trt, cuda, gives))
    assert context.execute_async_v3(cuda.Stream().handle) is False
    assert "OutOfMemory" in log.said() and "y" in log.said()
    assert ("could not be interpreted as an int" in capfd.readouterr().err) is (gives == "text")
    assert context.set_output_allocator("y", None) and context.get_output_allocator("y") is None
    with pytest.raises(TypeError, match="IOutputAllocator"):
        context.set_output_allocator("y", object())


# --- profilers and recorders ---


def _ready(cuda, engine, context):
    given, result = cuda.to_device(np.ones((2, 8), np.float32)), cuda.mem_alloc(64)
    context.set_input_shape("x", (2, 8))
    context.set_tensor_address("x", int(given))
    context.set_tensor_address("y", int(result))
    return given, result


def test_a_profiler_is_told_the_time_of_each_execution(trt, cuda, plans, log):
    class Profiler(trt.IProfiler):
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.lines: list[tuple[str, float]] = []

        def report_layer_time(self, layer_name, ms):
            self.lines.append((layer_name, ms))

    engine = load(trt, log, plans["add"])
    context, stream, profiler = engine.create_execution_context(), cuda.Stream(), Profiler()
    kept = _ready(cuda, engine, context)
    assert context.report_to_profiler() is False  # there is none
    context.profiler = profiler
    assert context.profiler is profiler and context.enqueue_emits_profile is True
    assert context.execute_async_v3(stream.handle) and len(profiler.lines) == 1  # it waited
    (name, ms), *_ = profiler.lines
    layers = json.loads(engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))
    assert layers["Layers"] == [name] and 0 < ms < 10_000
    context.enqueue_emits_profile = False
    assert context.execute_async_v3(stream.handle) and len(profiler.lines) == 1
    assert context.report_to_profiler() and len(profiler.lines) == 2
    assert context.execute_v2([int(memory) for memory in kept])
    context.profiler = trt.Profiler()  # TensorRT's own prints
    assert context.execute_async_v3(stream.handle) and context.report_to_profiler()


def test_an_allocator_of_the_old_kind_and_one_that_raises(trt, cuda, plans, log, capfd):
    class Old(trt.IOutputAllocator):
        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)

        def reallocate_output(self, tensor_name, memory, size, alignment):
            self.memory = cuda.mem_alloc(size)
            return int(self.memory)

        def notify_shape(self, tensor_name, shape):
            raise ValueError("nobody asked")

    class Raises(Old):
        def reallocate_output(self, tensor_name, memory, size, alignment):
            raise KeyError("lost")

    context, stream = load(trt, log, plans["add"]).create_execution_context(), cuda.Stream()
    context.set_input_shape("x", (1, 8))
    given = cuda.to_device(np.ones(8, np.float32))
    context.set_tensor_address("x", int(given))
    old = Old()
    context.set_output_allocator("y", old)
    assert context.execute_async_v3(stream.handle)  # TensorRT, too, goes on after an exception of notify_shape
    stream.synchronize()
    assert (cuda.from_device(old.memory, 8, np.float32) == 2).all()
    context.set_output_allocator("y", Raises())
    assert context.execute_async_v3(stream.handle) is False
    said = capfd.readouterr().err
    assert "Exception caught in notifyShape(): nobody asked" in said
    assert "Exception caught in reallocateOutput(): 'lost'" in said


def test_an_error_recorder_gets_the_errors_instead_of_the_log(trt, cuda, plans, log):
    class Recorder(trt.IErrorRecorder):
        def __init__(self) -> None:
            trt.IErrorRecorder.__init__(self)
            self.errors: list[tuple] = []

        def report_error(self, code, description):
            self.errors.append((code, description))
            return True

        def num_errors(self):
            return len(self.errors)

        def clear(self):
            self.errors.clear()

    recorder = Recorder()
    runtime_ = trt.Runtime(log.logger)
    runtime_.error_recorder = recorder
    assert runtime_.deserialize_cuda_engine(b"not a plan, not at all, nothing of the kind here") is None
    engine = runtime_.deserialize_cuda_engine(plans["add"])
    context = engine.create_execution_context()
    assert engine.error_recorder is context.error_recorder is recorder  # passed on to what is created
    assert context.set_input_shape("x", (9, 8)) is False
    assert [code for code, _ in recorder.errors] == [
        trt.ErrorCodeTRT.UNSPECIFIED_ERROR,
        trt.ErrorCodeTRT.INVALID_ARGUMENT,
    ]
    assert "satisfyProfile" in recorder.errors[1][1] and log.said() == ""
    context.error_recorder = None
    assert context.set_input_shape("x", (9, 8)) is False and "satisfyProfile" in log.said()


# --- what an engine makes ---


def test_inspector_tells_what_the_builder_said(trt, log):
    engine = load(trt, log, build(trt, log, linear_model(), BATCHES))
    inspector, form = engine.create_engine_inspector(), trt.LayerInformationFormat
    line = next(t for s, t in log.logger.lines if s == "VERBOSE" and t.startswith("Engine Layer Information"))
    name = inspector.get_layer_information(0, form.ONELINE)
    assert f": {name}, Tactic" in line and engine.num_layers == 1
    assert json.loads(inspector.get_layer_information(layer_index=0, format=form.JSON)) == name
    text = inspector.get_engine_information(form.ONELINE)
    assert name in text.splitlines() and text.splitlines()[-2:] == ["x", "y"]
    assert inspector.get_layer_information(1, form.ONELINE) == "" and "must be in the range [0, 1)" in log.said()
    context = engine.create_execution_context()
    inspector.execution_context = context
    assert inspector.execution_context is context
    with pytest.raises(TypeError, match="IExecutionContext"):
        inspector.execution_context = engine


@pytest.mark.parametrize(("verbosity", "found"), [("DETAILED", True), ("NONE", False)])
def test_inspector_tells_as_much_as_the_build_was_told_to_keep(trt, log, verbosity, found):
    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    trt.OnnxParser(network, log.logger).parse(linear_model().SerializeToString())
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    profile.set_shape("x", *BATCHES["x"])
    config.add_optimization_profile(profile)
    config.profiling_verbosity = getattr(trt.ProfilingVerbosity, verbosity)
    engine = load(trt, log, builder.build_serialized_network(network, config))
    layers = json.loads(engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))
    assert layers["Bindings"] == ["x", "y"] and bool(layers["Layers"]) is found
    if found:
        layer = layers["Layers"][-1]
        assert layer["LayerType"] and "ONNX Layer: add" in layer["Metadata"]
        assert [(t["Name"], t["Dimensions"]) for t in layer["Outputs"]] == [("y", [-1, 4])]
        assert all("Float" in t["Format/Datatype"] for t in (*layer["Inputs"], *layer["Outputs"]))
        text = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.ONELINE)
        assert f"Name: {layer['Name']}, LayerType: {layer['LayerType']}" in text


def test_an_engine_serializes_to_the_plan_it_came_from(trt, log, plans, monkeypatch):
    engine = load(trt, log, plans["linear"])
    again = engine.serialize()
    assert again == plans["linear"] and again.nbytes == plans["linear"].nbytes and again.dtype == trt.DataType.INT8
    config = engine.create_serialization_config()
    assert config.flags == 0 and config.set_flag(trt.SerializationFlag.EXCLUDE_LEAN_RUNTIME)
    assert engine.serialize_with_config(config) == plans["linear"]
    assert config.set_flag(trt.SerializationFlag.EXCLUDE_WEIGHTS) and config.flags == 3
    assert engine.serialize_with_config(config) is None and "refittable" in log.said()
    assert config.clear_flag(trt.SerializationFlag.EXCLUDE_WEIGHTS) and not config.get_flag(
        trt.SerializationFlag.EXCLUDE_WEIGHTS
    )
    monkeypatch.setattr(runtime, "_IN_MEMORY", 100)  # a large plan waits in a file
    assert load(trt, log, plans["linear"]).serialize() == plans["linear"]


def test_build_and_load_in_one_call(trt, log):
    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    trt.OnnxParser(network, log.logger).parse(add_model().SerializeToString())
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    assert builder.build_engine_with_config(network, config) is None
    profile.set_shape("x", *BATCHES["x"])
    config.add_optimization_profile(profile)
    assert list(builder.build_engine_with_config(network=network, config=config)) == ["x", "y"]


def test_a_plan_from_a_stream_reader(trt, log, plans):
    class Reader(trt.IStreamReaderV2):
        def __init__(self, data: bytes) -> None:
            trt.IStreamReaderV2.__init__(self)
            self.data, self.place = data, 0

        def read(self, num_bytes, stream):
            part = self.data[self.place : self.place + min(num_bytes, 5_000)]
            self.place += len(part)
            return part

        def seek(self, offset, where):
            self.place = offset
            return True

    assert list(trt.Runtime(log.logger).deserialize_cuda_engine(Reader(plans["add"]))) == ["x", "y"]
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(stream_reader_v2=Reader(plans["add"][:-1]))
    assert engine is None and "blobSize" in log.said()


# --- activation memory ---


def test_strategies_of_activation_memory(trt, cuda, log):
    small, large = (dict.fromkeys(("input_ids", "attention_mask"), ((1, 64), (1, 64), (b, 64))) for b in (2, 512))
    from .conftest import classifier_model

    engine = load(trt, log, build(trt, log, classifier_model(), small, large))
    sizes = [engine.get_device_memory_size_for_profile_v2(i) for i in range(2)]
    assert engine.device_memory_size_v2 == max(sizes) and sizes[0] < sizes[1]
    free = cuda.mem_get_info()[0]

    def taken() -> int:
        gc.collect()
        return free - cuda.mem_get_info()[0]

    strategy = trt.ExecutionContextAllocationStrategy
    context = engine.create_execution_context()
    assert taken() == max(sizes)
    context = engine.create_execution_context(strategy.ON_PROFILE_CHANGE)
    assert taken() == sizes[0] and context.set_optimization_profile_async(1, 0) and taken() == sizes[1]
    config = engine.create_runtime_config()
    config.set_execution_context_allocation_strategy(strategy.USER_MANAGED)
    context = engine.create_execution_context(config)
    assert context.get_runtime_config() is config and taken() == 0
    del context
    assert engine.create_execution_context(runtime_config=config) is not None


def test_a_profile_whose_memory_does_not_fit(trt, log):
    from .conftest import classifier_model

    small, large = (dict.fromkeys(("input_ids", "attention_mask"), ((1, 64), (1, 64), (b, 64))) for b in (2, 512))
    plan = build(trt, log, classifier_model(), small, large)
    sizes = open_plan(plan).activation_bytes
    host.use("process", memory=open_plan(plan).weight_bytes + sum(sizes))
    try:
        engine = load(trt, log, plan)
        strategy = trt.ExecutionContextAllocationStrategy.ON_PROFILE_CHANGE
        first, second = (engine.create_execution_context(strategy) for _ in range(2))
        assert first.set_optimization_profile_async(1, 0)
        with pytest.raises(RuntimeError, match="Error in set optimization profile async"):
            second.set_optimization_profile_async(1, 0)
        assert "OutOfMemory" in log.said() and second.active_optimization_profile == 0
        assert engine.create_execution_context() is None
        assert f"OutOfMemory (Requested size was {max(sizes)} bytes.)" in log.said()
    finally:
        host.use("process")


def test_a_context_without_memory_waits_for_the_users(trt, cuda, plans, log):
    engine = load(trt, log, plans["linear"])
    context = engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
    kept, stream = _ready(cuda, engine, context), cuda.Stream()
    assert context.execute_async_v3(stream.handle) is False
    assert "USER_MANAGED" in log.said() and "set_device_memory" in log.said()
    needed = engine.device_memory_size_v2
    memory = cuda.mem_alloc(needed)
    context.set_device_memory(int(memory) + 1, needed)
    context.set_device_memory(int(memory), needed - 1)
    assert "not aligned" in log.said() and f"{needed - 1} bytes" in log.said()
    assert context.execute_async_v3(stream.handle) is False
    context.set_device_memory(memory=int(memory), size=needed)
    assert context.execute_async_v3(stream.handle)
    stream.synchronize()
    own = engine.create_execution_context()
    own.device_memory = int(memory)
    assert "own device memory" in log.said()
    del kept


# --- devices, events, contexts ---


def test_a_plan_for_another_compute_capability(trt, log):
    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    trt.OnnxParser(network, log.logger).parse(add_model().SerializeToString())
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    profile.set_shape("x", *BATCHES["x"])
    config.add_optimization_profile(profile)
    portable = builder.build_serialized_network(network, config)
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    plan = builder.build_serialized_network(network, config)
    try:
        host.use("process")
        assert trt.Runtime(log.logger).deserialize_cuda_engine(plan) is not None  # the simulated device takes any
        host.use("process", compute_capability=75)
        assert trt.Runtime(log.logger).deserialize_cuda_engine(plan) is None
        assert "Error Code 6" in log.said()
        assert (
            "generated on an incompatible device, expecting compute 7.5 got compute 8.6, please rebuild" in log.said()
        )
        assert trt.Runtime(log.logger).deserialize_cuda_engine(portable) is not None
        host.use("process", compute_capability=86)
        assert trt.Runtime(log.logger).deserialize_cuda_engine(plan) is not None
    finally:
        host.use("process")


def test_a_plan_of_another_version(trt, log, plans):
    from dataclasses import replace

    other = replace(open_plan(plans["add"]), version="10.16.1.11").serialize()
    assert trt.Runtime(log.logger).deserialize_cuda_engine(other) is None
    assert (
        "Version tag does not match. Note: Current Version: 11.4.0.106, Serialized Engine Version: 10.16" in log.said()
    )


def test_event_of_consumed_inputs(trt, cuda, plans, log):
    engine = load(trt, log, plans["add"])
    context, stream, event = engine.create_execution_context(), cuda.Stream(), cuda.Event()
    kept = _ready(cuda, engine, context)
    handle = event.handle
    assert context.set_input_consumed_event(handle) and context.get_input_consumed_event() == handle
    assert context.execute_async_v3(stream.handle) and not event.query()
    event.synchronize()
    assert (cuda.from_device(kept[1], (2, 8), np.float32) == 2).all()
    assert context.set_input_consumed_event(0)


def test_the_default_stream_is_warned_of(trt, cuda, plans, log):
    engine = load(trt, log, plans["add"])
    context = engine.create_execution_context()
    kept = _ready(cuda, engine, context)
    assert context.execute_async_v3(0)
    assert "Using default stream in enqueueV3()" in log.said("WARNING")
    assert context.execute_async_v3(stream_handle=10**6) is False
    assert "Error Code 1: Cuda Runtime (invalid resource handle)" in log.said()
    del kept


def test_contexts_that_are_alive_can_be_found(trt, cuda, plans, log):
    engine = load(trt, log, plans["add"])
    context = engine.create_execution_context()
    found = [ident for ident, alive in runtime.contexts.items() if alive is context]
    assert len(found) == 1
    del context
    gc.collect()
    assert found[0] not in runtime.contexts


@pytest.mark.skipif(BUILDER != "nvidia", reason="the builder in Python has no debug tensors")
def test_debug_tensors_are_refused_at_the_build_and_no_listener_is_called(trt, cuda, log):
    def mark(network):
        network.mark_debug(network.get_layer(0).get_output(0))

    assert build(trt, log, linear_model(), BATCHES, edit=mark) is None and "debug tensors changed" in log.said()
    context = load(trt, log, build(trt, log, linear_model(), BATCHES)).create_execution_context()
    listener = trt.IDebugListener()
    assert context.set_debug_listener(listener) and context.get_debug_listener() is listener
    assert context.set_tensor_debug_state("y", True) is False and context.get_debug_state("y") is False
    assert "y is no debug tensor" in log.said() and context.set_all_tensors_debug_state(True)


def test_arguments_of_other_types(trt, plans, log):
    engine = load(trt, log, plans["add"])
    context = engine.create_execution_context()
    for call in (
        lambda: context.set_input_shape("x", np.array([1, 8])),  # TensorRT takes a tuple, a list or Dims
        lambda: context.set_aux_streams(["one"]),
        lambda: context.set_debug_listener(object()),
        lambda: engine.create_runtime_config().set_execution_context_allocation_strategy(0),
        lambda: engine.create_execution_context(runtime_config=0),
    ):
        with pytest.raises(TypeError):
            call()
    assert context.set_input_shape("x", [1, 8]) and context.set_input_shape("x", trt.Dims((1, 8)))
    context.set_aux_streams([])
    assert context.set_input_shape("x", (1, 9)) is False
    assert "condition: engineDims.d[i] == dims.d[i]. Static dimension mismatch" in log.said()
    assert "Set dimensions are [1,9]. Expected dimensions are [-1,8]." in log.said()
    reader = trt.IStreamReaderV2()
    for missing in (lambda: reader.read(1, 0), lambda: reader.seek(0, trt.SeekPosition.SET)):
        with pytest.raises(NotImplementedError, match="must be overridden"):
            missing()


def test_shapes_that_disagree(trt, cuda, plans, log):
    context = load(trt, log, plans["classifier"]).create_execution_context()
    context.set_input_shape("input_ids", (2, 64))
    context.set_input_shape("attention_mask", (3, 64))
    with pytest.raises(RuntimeError, match="infer_shapes error code: -1"):
        context.infer_shapes()
    assert "Error Code 7: Internal Error" in log.said() and "Condition '==' violated: 3 != 2" in log.said()


def test_weights_do_not_stream(trt, plans, log):
    engine = load(trt, log, plans["linear"])
    assert engine.streamable_weights_size == engine.weight_streaming_budget_v2 == 0
    assert engine.get_engine_stat() > 0 and engine.get_engine_stat(trt.EngineStat.STRIPPED_WEIGHTS_SIZE) == -1
    with pytest.raises(RuntimeError, match="streams no weights"):
        engine.weight_streaming_budget_v2 = 1


# --- the device's own checks, for whoever sends it something else than our front end ---


def test_device_checks_what_comes_with_an_execution(trt, log, plans):
    from helpers.simulator.device import Device
    from helpers.simulator.errors import DeviceError

    device = Device()
    shaped = device.engine_load(build_shaped(trt, log, RESHAPE, {"shape": ((1, 4), (4, 4), (8, 32))}))["engine"]
    context, stream = device.context_create(shaped), device.stream_create(0)
    shapes, four = {"x": [2, 8], "shape": [2]}, np.array([4, 4]).tobytes()
    assert device.infer_shapes(shaped, shapes, {"shape": four}) == {"y": [4, 4]}
    address = device.mem_alloc(64)
    where = {"x": address, "y": device.mem_alloc(64)}
    assert device.data_shapes(context, stream, 0, shapes, where, {"shape": four}) == {"y": [4, 4]}
    for call, words in (
        (lambda: device.infer_shapes(shaped, shapes, {"shape": four[:8]}), "'shape' has 16 bytes, 8 came"),
        (lambda: device.data_shapes(99, stream, 0, shapes, where), "99 does not exist"),
        (
            lambda: device.data_shapes(context, stream, 0, {"x": [9, 8], "shape": [2]}, where, {"shape": four}),
            "outside",
        ),
        (lambda: device.data_shapes(context, stream, 0, shapes, {"x": 1}, {"shape": four}), "no device address"),
        (lambda: device.context_memory(context, -1), "no such context"),
        (lambda: device.context_memory(99, 1), "no such context"),
        (lambda: device.execute(context, stream, False, 0, shapes, where), "'shape' has 16 bytes, 0 came"),
        (lambda: device.synchronize(), "'shape' has 16 bytes, 0 came"),
    ):
        with pytest.raises(DeviceError, match=words):
            call()
    with pytest.raises(DeviceError, match="the execution failed"):
        device.data_shapes(context, stream, 0, shapes, where, {"shape": np.array([3, 5]).tobytes()})
    device.reset()


def test_a_size_that_depends_on_values_is_not_captured(trt, log):
    from helpers.simulator.device import Device
    from helpers.simulator.errors import DeviceError

    tensors = (TensorSpec("x", "x", "INPUT", "FLOAT", (-1, 8)), TensorSpec("y", "y", "OUTPUT", "INT64", (2, -1)))
    device = Device()
    engine = device.engine_load(bytes(_plan(parsed(NONZERO), tensors, BATCHES).serialize()))["engine"]
    context, stream = device.context_create(engine), device.stream_create(0)
    device.stream_begin_capture(stream, 0)
    with pytest.raises(DeviceError, match="size depends on values"):
        device.data_shapes(context, stream, 0, {"x": [1, 8]}, {"x": device.mem_get_info()[0]})
    device.reset()
