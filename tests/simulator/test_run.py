"""The run half over both transports: results, return values, log texts, and the misuses that are named."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from helpers import backend
from helpers.simulator.device import comparable

from .conftest import Log, classifier_weights, reference


class Classifier:
    """The course's cells in bare pycuda: buffers for batch 128, copies of what the batch uses, one synchronisation."""

    def __init__(self, trt, cuda, plan, log) -> None:
        self.trt, self.cuda, self.log = trt, cuda, log
        self.engine = trt.Runtime(log.logger).deserialize_cuda_engine(plan)
        self.context = self.engine.create_execution_context()
        self.host = {
            "input_ids": cuda.pagelocked_empty(128 * 64, np.int64),
            "attention_mask": cuda.pagelocked_empty(128 * 64, np.int64),
            "logits": cuda.pagelocked_empty(128 * 2, np.float32),
        }
        self.device = {name: cuda.mem_alloc(array.nbytes) for name, array in self.host.items()}
        self.stream = cuda.Stream()

    def enqueue(self, ids, mask) -> bool:
        for name, array in (("input_ids", ids), ("attention_mask", mask)):
            if not self.context.set_input_shape(name, array.shape):
                return False
            self.host[name][: array.size] = array.ravel()
            self.cuda.memcpy_htod_async(self.device[name], self.host[name][: array.size], self.stream)
        for name, allocation in self.device.items():
            self.context.set_tensor_address(name, int(allocation))
        if not self.context.execute_async_v3(stream_handle=self.stream.handle):
            return False
        self.cuda.memcpy_dtoh_async(self.host["logits"][: len(ids) * 2], self.device["logits"], self.stream)
        return True

    def __call__(self, ids, mask):
        assert self.enqueue(ids, mask)
        self.stream.synchronize()
        return self.host["logits"][: len(ids) * 2].reshape(-1, 2).copy()


def texts(batch: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 100, (batch, 64)), (rng.random((batch, 64)) < 0.7).astype(np.int64)


@pytest.fixture
def classifier(trt, cuda, plans, log) -> Classifier:
    return Classifier(trt, cuda, plans["classifier"], log)


@pytest.mark.parametrize("batch", [1, 16, 17, 100, 128])
def test_one_engine_serves_every_batch_of_its_profile(classifier, batch):
    ids, mask = texts(batch, seed=batch)
    np.testing.assert_allclose(classifier(ids, mask), reference(ids, mask), atol=1e-4)


@pytest.mark.parametrize("batch", [0, 129])
def test_batches_outside_the_profile_are_refused_in_tensorrts_words(classifier, batch):
    assert classifier.enqueue(*texts(batch)) is False
    said = classifier.log.said()
    assert f"condition: satisfyProfile. Set dimension [{batch},64] for tensor input_ids" in said
    assert "Valid range for profile 0: [1,64]..[128,64]" in said


def test_record_is_equal_over_both_transports(trt, plans):
    """Devices here and in a child: equal outputs, equal records but for times and addresses."""
    import pycuda.autoprimaryctx
    import pycuda.driver

    from helpers.simulator import host

    seen = []
    for transport in ("process", "child"):
        host.use(transport)
        run = Classifier(trt, pycuda.driver, plans["classifier"], Log(trt))
        outputs = [run(*texts(batch, batch)) for batch in (1, 16, 128)]
        run.context.set_tensor_address("logits", run.host["logits"].ctypes.data)
        assert not run.context.execute_async_v3(run.stream.handle)
        seen.append((outputs, comparable(backend.record())))
        del run
        gc.collect()
    host.use("process")
    for ours, theirs in zip(seen[0][0], seen[1][0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert seen[0][1] == seen[1][1] and len(seen[0][1]) > 15


def test_record_tells_bytes_memory_and_order(classifier):
    before = backend.record_length()
    classifier(*texts(16))
    events = backend.record(before)
    assert [e["op"] for e in events] == ["htod", "htod", "execute", "dtoh", "synchronize"]
    assert [e["nbytes"] for e in events[:4]] == [16 * 64 * 8, 16 * 64 * 8, 0, 16 * 2 * 4]
    assert {e["memory"] for e in events if e["op"] in ("htod", "dtoh")} == {"pinned"}
    assert events[2]["shapes"] == {"input_ids": [16, 64], "attention_mask": [16, 64], "logits": [16, 2]}
    times = [t for e in events[:4] for t in (e["started_ns"], e["finished_ns"])]
    assert times == sorted(times) and events[0]["started_ns"] >= events[3]["enqueued_ns"]


def test_record_can_be_printed(classifier):
    before = backend.record_length()
    classifier.enqueue(*texts(16))
    said = backend.describe_record(before).splitlines()
    assert len(said) == 4 and all(line.endswith("not run yet") for line in said)
    assert "htod" in said[0] and "8,192 bytes" in said[0] and "pinned" in said[0]
    assert "input_ids [16, 64]" in said[2] and "logits [16, 2]" in said[2]
    classifier.stream.synchronize()
    assert backend.describe_record(before).splitlines()[0].endswith(" ms")


# --- the four misuses, named every time ---


def test_reading_before_synchronising_is_poison_and_named(classifier):
    for _ in range(5):
        ids, mask = texts(4)
        assert classifier.enqueue(ids, mask)
        early = classifier.host["logits"][:8]
        assert np.isnan(early).all()
        said = backend.explain(early)
        assert "Read too early" in said and "'logits'" in said and "32 bytes" in said
        assert f"stream {classifier.stream.handle}" in said and "synchronize()" in said
        classifier.stream.synchronize()
        np.testing.assert_allclose(early.reshape(4, 2), reference(ids, mask), atol=1e-4)
        assert "no copy into it is pending" in backend.explain(early)


def _named(classifier, words, lost=True):
    """The execution is refused, logged, and raised again by the next synchronisation; by all where CUDA loses it."""
    assert classifier.context.execute_async_v3(classifier.stream.handle) is False
    for word in words:
        assert word in classifier.log.said(), classifier.log.said()
    with pytest.raises(classifier.cuda.LogicError, match="cuStreamSynchronize failed") as error:
        classifier.stream.synchronize()
    for word in words:
        assert word in str(error.value)
    for _ in range(2):
        if lost:
            with pytest.raises(classifier.cuda.LogicError, match=r"illegal memory access.*The CUDA context is lost"):
                classifier.cuda.mem_alloc(8)
        else:
            classifier.stream.synchronize()  # said once


@pytest.mark.parametrize("tensor", ["input_ids", "logits"])
def test_too_small_buffer_is_named(classifier, tensor):
    classifier(*texts(16))
    small = classifier.cuda.mem_alloc(100)
    classifier.context.set_tensor_address(tensor, int(small))
    need = {"input_ids": "8,192", "logits": "128"}[tensor]
    _named(classifier, [f"'{tensor}'", f"needs {need} bytes", "has 100", "Allocate"])


def test_host_pointer_as_device_address_is_named(classifier):
    classifier(*texts(2))
    classifier.context.set_tensor_address("input_ids", classifier.host["input_ids"].ctypes.data)
    _named(classifier, ["'input_ids'", "is no device address", "host pointer", "cuda.mem_alloc"])


def test_int32_buffer_for_an_int64_tensor_is_named(classifier):
    ids, mask = texts(2)
    classifier(ids, mask)
    classifier.cuda.memcpy_htod(classifier.device["input_ids"], ids.astype(np.int32))
    _named(classifier, ["'input_ids'", "array of int32", "int64", "astype"], lost=False)


def test_int32_buffer_of_int32_size_is_named_too(classifier):
    ids, _ = texts(128)
    classifier(*texts(128))
    small = classifier.cuda.to_device(ids.astype(np.int32))
    classifier.context.set_tensor_address("input_ids", int(small))
    _named(classifier, ["'input_ids'", "needs 65,536 bytes", "has 32,768", "dtype"])


def test_freed_buffer_is_named(classifier):
    classifier(*texts(2))
    classifier.device["input_ids"].free()
    _named(classifier, ["'input_ids'", "was freed", "alive"])


def test_collected_buffer_is_named(classifier):
    classifier(*texts(2))
    classifier.context.set_tensor_address("logits", int(classifier.cuda.mem_alloc(1024)))  # nobody keeps it
    gc.collect()
    _named(classifier, ["'logits'", "was freed"])


def test_output_into_an_array_of_another_dtype_is_named(classifier):
    classifier(*texts(2))
    wrong = classifier.cuda.pagelocked_empty(8, np.float16)
    with pytest.raises(classifier.cuda.LogicError, match=r"'logits'.*float32.*float16"):
        classifier.cuda.memcpy_dtoh_async(wrong, classifier.device["logits"], classifier.stream)


def test_token_ids_beyond_the_vocabulary_fail_at_the_synchronisation(classifier):
    ids, mask = texts(2)
    ids[0, 0] = len(classifier_weights()) + 5
    assert classifier.enqueue(ids, mask)
    with pytest.raises(classifier.cuda.LaunchError, match="the execution failed"):
        classifier.stream.synchronize()
    with pytest.raises(classifier.cuda.LaunchError, match="The CUDA context is lost"):
        classifier.enqueue(*texts(2))


# --- TensorRT's return values ---


def test_engine_tells_its_tensors(classifier, trt):
    engine = classifier.engine
    assert list(engine) == ["input_ids", "attention_mask", "logits"] and engine.num_io_tensors == 3
    assert [engine.get_tensor_name(i) for i in range(3)] == list(engine) and engine[2] == "logits"
    assert engine.get_tensor_mode("logits") == trt.TensorIOMode.OUTPUT
    assert engine.get_tensor_dtype("input_ids") == trt.int64 and trt.nptype(trt.int64) is np.int64
    assert tuple(engine.get_tensor_shape("logits")) == (-1, 2)
    assert engine.get_tensor_location("input_ids") == trt.TensorLocation.DEVICE
    assert engine.get_tensor_format("input_ids") == trt.TensorFormat.LINEAR
    assert [tuple(s) for s in engine.get_tensor_profile_shape("input_ids", 0)] == [(1, 64), (32, 64), (128, 64)]
    for name, profile in (("input_ids", 3), ("logits", 0), ("ids", 0)):
        with pytest.raises(RuntimeError, match=f"Could not get profile shape for tensor '{name}'"):
            engine.get_tensor_profile_shape(name, profile)
    assert engine.get_tensor_bytes_per_component("input_ids") == -1  # no tensor is vectorized
    assert engine.num_optimization_profiles == 1 and engine.num_layers >= 1
    assert engine.device_memory_size_v2 == engine.get_device_memory_size_for_profile_v2(0) > 0
    assert engine.get_device_memory_size_for_profile_v2(1) == 0
    assert engine.is_shape_inference_io("input_ids") is False and engine.is_debug_tensor("logits") is False
    assert engine.get_tensor_components_per_element("logits") == -1 and engine.get_tensor_vectorized_dim("logits") == -1
    assert engine.get_tensor_format_desc("logits") == "Row-major linear FP32 format"
    with pytest.raises(RuntimeError, match="does not correspond to an input shape tensor"):
        engine.get_tensor_profile_values(0, "input_ids")
    assert engine[-1] == "logits"
    assert engine.engine_capability == trt.EngineCapability.STANDARD
    assert engine.hardware_compatibility_level == trt.HardwareCompatibilityLevel.NONE
    assert engine.profiling_verbosity == trt.ProfilingVerbosity.LAYER_NAMES_ONLY
    with pytest.raises(IndexError):
        engine[3]


def test_wrong_names_return_nothing_and_are_logged(classifier, trt):
    engine, context = classifier.engine, classifier.context
    assert engine.get_tensor_mode("ids") == trt.TensorIOMode.NONE
    assert engine.get_tensor_name(9) is None
    for owner in (engine, context):
        with pytest.raises(RuntimeError, match="Could not get shape for tensor 'ids'"):
            owner.get_tensor_shape("ids")
    with pytest.raises(RuntimeError, match="Could not get strides for tensor 'input_ids'"):
        context.get_tensor_strides("input_ids")  # its shape is not set
    assert context.set_input_shape("ids", (1, 64)) is False
    assert context.set_input_shape("logits", (1, 2)) is False
    assert context.set_tensor_address("ids", 1) is False and context.get_tensor_address("ids") == 0
    assert context.get_max_output_size("input_ids") == -1 == context.get_max_output_size("logits")  # no shapes yet
    assert context.set_output_allocator("input_ids", None) is False
    assert "Given invalid tensor name: ids" in classifier.log.said()


def test_unset_shapes_and_addresses_are_refused(classifier):
    context, stream = classifier.context, classifier.stream
    assert context.execute_async_v3(stream.handle) is False
    assert (
        "Not all shapes are specified. Following input tensors' dimensions are not specified: input_ids, attention"
        in (classifier.log.said())
    )
    assert context.infer_shapes() == ["input_ids", "attention_mask"]
    assert tuple(context.get_tensor_shape("logits")) == (-1, 2)
    for name in ("input_ids", "attention_mask"):
        assert context.set_input_shape(name, (3, 64)) is True
    assert context.infer_shapes() == [] and context.all_binding_shapes_specified
    assert tuple(context.get_tensor_shape("logits")) == (3, 2)
    assert tuple(context.get_tensor_strides("input_ids")) == (64, 1)
    assert context.get_max_output_size("logits") == 128 * 2 * 4
    assert context.update_device_memory_size_for_shapes() == classifier.engine.device_memory_size_v2
    assert context.execute_async_v3(stream.handle) is False
    assert "Address is not set for input tensor input_ids. Call setInputTensorAddress" in classifier.log.said()
    for name in ("input_ids", "attention_mask"):
        context.set_tensor_address(name, int(classifier.device[name]))
    assert context.execute_async_v3(stream.handle) is False
    assert "Neither address or allocator is set for output tensor logits." in classifier.log.said()
    with pytest.raises(TypeError, match="expected an int device address"):
        context.set_tensor_address("logits", "0x1")


def test_wrong_rank_and_disagreeing_inputs(classifier):
    assert classifier.context.set_input_shape("input_ids", (3,)) is False
    assert "engineDims.nbDims == dims.nbDims" in classifier.log.said()


def test_execute_v2_waits(classifier):
    ids, mask = texts(2)
    for name, array in (("input_ids", ids), ("attention_mask", mask)):
        classifier.context.set_input_shape(name, array.shape)
        classifier.cuda.memcpy_htod(classifier.device[name], array)
    addresses = [int(classifier.device[name]) for name in classifier.engine]
    assert classifier.context.execute_v2(addresses) is True
    assert classifier.context.execute_v2(addresses[:2]) is False
    out = np.empty((2, 2), np.float32)
    classifier.cuda.memcpy_dtoh(out, classifier.device["logits"])
    np.testing.assert_allclose(out, reference(ids, mask), atol=1e-4)


def test_two_profiles_and_the_switch(trt, cuda, plans, log):
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["linear"])
    context, stream = engine.create_execution_context(), cuda.Stream()
    assert engine.num_optimization_profiles == 2 and context.active_optimization_profile == 0
    assert context.set_input_shape("x", (16, 8)) is False and context.set_input_shape("x", (4, 8)) is True
    assert context.set_optimization_profile_async(1, stream.handle) is True
    assert context.infer_shapes() == ["x"]  # the switch forgets the shapes
    assert context.set_input_shape("x", (4, 8)) is False and context.set_input_shape("x", (32, 8)) is True
    with pytest.raises(RuntimeError, match="Error in set optimization profile async"):
        context.set_optimization_profile_async(2, stream.handle)
    assert "must be in the range [0, 2)" in log.said()
    x = np.random.default_rng(0).normal(size=(32, 8)).astype(np.float32)
    given, result = cuda.to_device(x), cuda.mem_alloc(32 * 4 * 4)
    context.set_tensor_address("x", int(given))
    context.set_tensor_address("y", int(result))
    assert context.execute_async_v3(stream.handle)
    stream.synchronize()
    got = cuda.from_device(result, (32, 4), np.float32)
    weight = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    np.testing.assert_allclose(got, x @ weight + 1, atol=1e-5)


def test_shapes_and_addresses_are_those_at_enqueue(trt, cuda, plans, log):
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["add"])
    context, stream = engine.create_execution_context(), cuda.Stream()
    first, second = (cuda.to_device(np.full((4, 8), v, np.float32)) for v in (1, 10))
    result = cuda.to_device(np.zeros((4, 8), np.float32))
    context.set_tensor_address("y", int(result))
    context.set_tensor_address("x", int(first))
    context.set_input_shape("x", (1, 8))
    assert context.execute_async_v3(stream.handle)
    context.set_input_shape("x", (4, 8))  # changes after the enqueue do not reach it
    context.set_tensor_address("x", int(second))
    stream.synchronize()
    got = cuda.from_device(result, (4, 8), np.float32)
    assert (got[0] == 2).all() and (got[1:] == 0).all()


def test_output_allocator(trt, cuda, plans, log):
    class Allocator(trt.IOutputAllocator):
        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)
            self.shape = None

        def reallocate_output_async(self, name, memory, size, alignment, stream):
            self.memory = cuda.mem_alloc(size)
            return int(self.memory)

        def notify_shape(self, name, shape):
            self.shape = tuple(shape)

    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["add"])
    context, stream, allocator = engine.create_execution_context(), cuda.Stream(), Allocator()
    given = cuda.to_device(np.ones((3, 8), np.float32))
    context.set_input_shape("x", (3, 8))
    context.set_tensor_address("x", int(given))
    assert context.set_output_allocator("y", allocator) and context.get_output_allocator("y") is allocator
    assert context.execute_async_v3(stream.handle)
    stream.synchronize()
    assert allocator.shape == (3, 8)
    assert (cuda.from_device(allocator.memory, (3, 8), np.float32) == 2).all()


def test_engine_and_runtime_may_be_collected_before_the_context(trt, cuda, plans, log):
    context = trt.Runtime(log.logger).deserialize_cuda_engine(plans["add"]).create_execution_context()
    gc.collect()
    stream = cuda.Stream()
    given, result = cuda.to_device(np.ones((1, 8), np.float32)), cuda.mem_alloc(32)
    context.set_input_shape("x", (1, 8))
    context.set_tensor_address("x", int(given))
    context.set_tensor_address("y", int(result))
    assert context.execute_async_v3(stream.handle)
    handle = stream.handle
    del stream  # pycuda destroys it; what it holds still runs
    gc.collect()
    cuda.Context.synchronize()
    assert (cuda.from_device(result, (1, 8), np.float32) == 2).all()
    assert not context.execute_async_v3(handle)
    assert "is no stream of this device" in log.said()


def test_memory_of_engines_and_contexts_is_counted_and_comes_back(trt, cuda, plans, log):
    free = cuda.mem_get_info()[0]
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["linear"])
    context = engine.create_execution_context()
    assert free - cuda.mem_get_info()[0] == engine.device_memory_size_v2 + engine.get_engine_stat()
    del context, engine
    gc.collect()
    assert cuda.mem_get_info()[0] == free


def test_a_context_that_does_not_fit_is_none(trt, plans, log):
    import pycuda.autoprimaryctx  # noqa: F401

    from helpers.simulator import host

    host.use("process", memory=1 << 20)
    try:
        engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["linear"])
        assert engine.create_execution_context() is None
        assert "OutOfMemory" in log.said()
    finally:
        host.use("process")


def test_names_of_the_past_say_what_replaces_them(classifier):
    with pytest.raises(AttributeError, match=r"removed it. Use num_io_tensors"):
        _ = classifier.engine.num_bindings
    with pytest.raises(AttributeError, match=r"Use set_input_shape\(name, shape\)"):
        classifier.context.set_binding_shape(0, (1, 64))
    with pytest.raises(AttributeError, match="device_memory_size_v2"):
        _ = classifier.engine.device_memory_size
    with pytest.raises(AttributeError, match=r"'set_communicator'.*does not offer it.*Use one engine"):
        classifier.context.set_communicator(None)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = classifier.engine.nonsense


def test_as_a_context_manager(trt, cuda, plans, log):
    with trt.Runtime(log.logger) as runtime, runtime.deserialize_cuda_engine(plans["add"]) as engine:
        assert engine.num_io_tensors == 2


def test_serialized_engine_of_the_wrong_type(trt, log):
    with pytest.raises(TypeError, match="did the build return None"):
        trt.Runtime(log.logger).deserialize_cuda_engine(None)
    with pytest.raises(TypeError, match=r"expected a tensorrt\.ILogger"):
        trt.Runtime("logger")
