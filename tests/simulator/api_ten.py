"""What texts of TensorRT 10 expect, and what it says of the rest. `test_personality.py` runs this with TRT_API=10."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from helpers.simulator.native import BUILDER
from helpers.simulator.plan import open_plan

from .conftest import BATCHES, linear_model


def build10(trt, log, model: onnx.ModelProto, *flags: str, network_flags: int | None = None, edit=None):
    """What a text of 10.x does."""
    if network_flags is None:
        network_flags = 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    builder = trt.Builder(log.logger)
    network = builder.create_network(network_flags)
    assert trt.OnnxParser(network, log.logger).parse(model.SerializeToString())
    if edit is not None:
        edit(network)
    config = builder.create_builder_config()
    for flag in flags:
        config.set_flag(getattr(trt.BuilderFlag, flag))
    profile = builder.create_optimization_profile()
    profile.set_shape(network.get_input(0).name, *BATCHES["x"])
    config.add_optimization_profile(profile)
    return builder.build_serialized_network(network, config)


def run(trt, log, plan, x: np.ndarray, names: tuple[str, str] = ("x", "y")) -> np.ndarray:
    import pycuda.autoprimaryctx  # noqa: F401
    import pycuda.driver as cuda

    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plan)
    assert list(engine) == list(names)
    assert {engine.get_tensor_dtype(name) for name in names} == {trt.float32}
    context, stream = engine.create_execution_context(), cuda.Stream()
    given, result = cuda.to_device(x), cuda.mem_alloc(len(x) * 4 * 4)
    context.set_input_shape(names[0], x.shape)
    context.set_tensor_address(names[0], int(given))
    context.set_tensor_address(names[1], int(result))
    assert context.execute_async_v3(stream.handle)
    stream.synchronize()
    return cuda.from_device(result, (len(x), 4), np.float32)


def test_version_and_flags(trt, log):
    assert trt.__version__ == "10.16.1.11"
    assert int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH) == 0
    assert int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) == 1
    flag = trt.BuilderFlag
    assert (int(flag.FP16), int(flag.INT8), int(flag.TF32), int(flag.BF16), int(flag.VERSION_COMPATIBLE)) == (
        0,
        1,
        6,
        17,
        13,
    )
    assert repr(flag.FP16) == "<BuilderFlag.FP16: 0>" and flag(0) == flag.FP16 and isinstance(flag.FP16, flag)
    config = trt.Builder(log.logger).create_builder_config()
    assert config.get_flag(flag.TF32) and not config.get_flag(flag.FP16) and config.flags == 1 << 6
    config.set_flag(flag.FP16)
    config.set_flag(flag.STRICT_NANS)
    assert config.get_flag(flag.FP16) and config.flags == 1 | 1 << 6 | 1 << 24
    config.clear_flag(flag.FP16)
    config.clear_flag(flag.TF32)
    assert config.flags == 1 << 24
    config.flags = 1 << int(flag.BF16) | 1 << int(flag.DEBUG)
    assert config.get_flag(flag.BF16) and config.get_flag(flag.DEBUG) and not config.get_flag(flag.STRICT_NANS)
    config.reset()
    assert config.flags == 1 << 6
    with pytest.raises(TypeError, match="BuilderFlag"):
        config.set_flag(0)


def test_networks(trt, log):
    builder, flag = trt.Builder(log.logger), trt.NetworkDefinitionCreationFlag
    for flags, strong in ((0, False), (1, False), (2, True), (3, True)):
        network = builder.create_network(flags)
        assert network.get_flag(flag.STRONGLY_TYPED) is strong and network.flags == 2 * strong
        assert network.has_implicit_batch_dimension is False
    assert builder.create_network(1 << 5) is None and "createNetworkV2" in log.said()
    assert builder.platform_has_fast_fp16 and builder.platform_has_fast_int8  # as on a T4
    assert builder.platform_has_tf32 is False


def test_fp16_gives_an_fp16_engine_with_fp32_ends(trt, log):
    """What TensorRT 10 promises of the flag: smaller, and results that are FP16's and not FP32's."""
    model = linear_model()
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(8, 4)).astype(np.float32)
    x = rng.normal(size=(4, 8)).astype(np.float32)
    full, half = build10(trt, log, model), build10(trt, log, model, "FP16")
    exact, rounded = run(trt, log, full, x), run(trt, log, half, x)
    np.testing.assert_allclose(rounded, exact, atol=2e-2)
    assert np.abs(rounded - exact).max() > 1e-5  # FP32 would agree to the last digits
    opened = [open_plan(plan) for plan in (full, half)]
    assert opened[1].version == "10.16.1.11"
    weights = [{t.name: t for t in onnx.load_model_from_string(p.onnx).graph.initializer} for p in opened]
    assert numpy_helper.to_array(weights[0]["W"]).dtype == np.float32
    assert numpy_helper.to_array(weights[1]["W"]).dtype == np.float16
    assert wide.nbytes == 2 * numpy_helper.to_array(weights[1]["W"]).nbytes


def test_a_larger_plan_is_half_the_size(trt, log):
    model = linear_model()
    large = np.random.default_rng(0).normal(size=(8, 1 << 15)).astype(np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(large, "W"))
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.ones(1 << 15, np.float32), "b"))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1 << 15
    full, half = build10(trt, log, model), build10(trt, log, model, "FP16")
    assert half.nbytes < 0.7 * full.nbytes and open_plan(half).weight_bytes < 0.6 * open_plan(full).weight_bytes


def test_renamed_tensors_keep_their_names_in_fp16(trt, log):
    def rename(network):
        network.get_input(0).name = "free"
        network.get_output(0).name = "x"
        network.get_input(0).name = "y"

    plan = build10(trt, log, linear_model(), "FP16", edit=rename)
    assert [t.name for t in open_plan(plan).tensors] == ["y", "x"]
    assert np.isfinite(run(trt, log, plan, np.ones((2, 8), np.float32), ("y", "x"))).all()


@pytest.mark.parametrize("flag", ["FP16", "BF16", "INT8"])
def test_precision_flags_of_a_strongly_typed_network_are_refused(trt, log, flag):
    assert build10(trt, log, linear_model(), flag, network_flags=2) is None
    assert f"condition: !config.getFlag(BuilderFlag::k{flag})" in log.said()


def test_other_precisions(trt, log):
    assert build10(trt, log, linear_model(), "INT8") is None
    assert "Calibration failure occurred with no scaling factors detected" in log.said()
    assert build10(trt, log, linear_model(), "BF16", "FP8", "OBEY_PRECISION_CONSTRAINTS") is not None
    assert "allows BF16 and demands nothing" in log.said("WARNING")


def test_what_does_not_go_into_fp16_stays_fp32_with_a_warning(trt, log):
    model = linear_model()
    large = np.full((8, 4), 1e6, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(large, "W"))
    plan = build10(trt, log, model, "FP16")
    assert "BuilderFlag.FP16: the network stays as it is" in log.said("WARNING") and "1e+06" in log.said("WARNING")
    x = np.ones((1, 8), np.float32)
    np.testing.assert_allclose(run(trt, log, plan, x), np.full((1, 4), 8e6 + 1), rtol=1e-6)


def test_an_edited_network_is_refused_with_fp16_too(trt, log):
    plan = build10(trt, log, linear_model(), "FP16", edit=lambda network: network.unmark_output(network.get_output(0)))
    assert plan is None and log.said()


def test_memory_of_an_engine_by_its_old_names(trt, log):
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(build10(trt, log, linear_model()))
    assert engine.device_memory_size == engine.device_memory_size_v2
    assert engine.get_device_memory_size_for_profile(0) == engine.get_device_memory_size_for_profile_v2(0)
    context = engine.create_execution_context_without_device_memory()
    strategy = context.get_runtime_config().get_execution_context_allocation_strategy()
    assert strategy == trt.ExecutionContextAllocationStrategy.USER_MANAGED
    assert engine.weight_streaming_budget == engine.minimum_weight_streaming_budget == 0


def test_what_ten_removed_is_explained_and_what_is_not_offered_too(trt, log):
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(build10(trt, log, linear_model()))
    for reach, words in (
        (lambda: engine.num_bindings, "TensorRT 10 removed it. Use num_io_tensors"),
        (lambda: trt.BuilderFlag.STRICT_TYPES, "TensorRT 10 removed it"),
        (lambda: trt.Builder(log.logger).max_batch_size, "TensorRT 10 removed it"),
        (lambda: trt.IInt8EntropyCalibrator2, r"TensorRT 10 has it \(11 removed it\); the simulator does not offer it"),
        (lambda: trt.Builder(log.logger).create_builder_config().int8_calibrator, "QuantizeLinear"),
        (lambda: trt.NetworkDefinitionCreationFlag.PREFER_JIT_PYTHON_PLUGINS, "does not offer it"),
    ):
        with pytest.raises(AttributeError, match=words):
            reach()


def test_a_plan_of_ten_does_not_load_as_eleven(trt, log):
    from dataclasses import replace

    plan = open_plan(build10(trt, log, linear_model()))
    assert plan.builder == BUILDER
    other = replace(plan, version="11.4.0.106").serialize()
    assert trt.Runtime(log.logger).deserialize_cuda_engine(other) is None
    assert "Current Version: 10.16.1.11, Serialized Engine Version: 11.4.0.106" in log.said()


def test_an_fp16_plan_builds_again_from_what_it_says(trt, log):
    from helpers.simulator.builder import rebuild

    plan = build10(trt, log, linear_model(), "FP16")
    assert rebuild(open_plan(plan)) == plan
