"""The build half: NVIDIA's verdicts kept, routes covered, edits honoured or refused by name."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import onnx
import pytest

from helpers.simulator.native import BUILDER
from helpers.simulator.plan import PlanError, SerializedPlan, extract, open_plan

from .conftest import BATCHES, TEXTS, Log, add_model, build, classifier_model, linear_model

nvidia = pytest.mark.skipif(BUILDER != "nvidia", reason="about NVIDIA's builder itself, or layers added one by one")


@nvidia
def test_plan_carries_nvidias_bytes_unchanged(trt, log):
    import tensorrt_rtx

    plan = build(trt, log, linear_model(), BATCHES)
    assert isinstance(plan, SerializedPlan)
    opened = open_plan(plan)
    assert plan.nbytes == len(opened.nvidia)

    native = tensorrt_rtx.Builder(log.logger)  # the same build without the simulator
    network = native.create_network(0)
    tensorrt_rtx.OnnxParser(network, log.logger).parse(linear_model().SerializeToString())
    config = native.create_builder_config()
    profile = native.create_optimization_profile()
    profile.set_shape("x", *BATCHES["x"])
    config.add_optimization_profile(profile)
    assert bytes(native.build_serialized_network(network, config)) == opened.nvidia


def test_sizes_are_those_of_nvidias_log(trt):
    log = Log(trt)
    plan = open_plan(build(trt, log, linear_model(), BATCHES))
    info = log.said("INFO")
    assert f"Total Activation Memory: {plan.activation_bytes[0]} bytes" in info
    assert f"Total Weights Memory: {plan.weight_bytes} bytes" in info
    assert plan.activation_bytes[0] > 0 and plan.weight_bytes >= 8 * 4 * 4
    assert plan.layers == log.said("VERBOSE").count("Layer(Myelin)") == 1


def test_each_profile_has_its_own_activation_memory(trt, log):
    small, large = (dict.fromkeys(("input_ids", "attention_mask"), ((1, 64), (1, 64), (b, 64))) for b in (2, 512))
    plan = open_plan(build(trt, log, classifier_model(), small, large))
    assert len(plan.activation_bytes) == 2
    assert log.said("INFO").count("Total Activation Memory") == 2


def test_a_users_logger_that_hears_only_errors_gets_only_errors(trt, capfd):
    plan = build(trt, type("L", (), {"logger": trt.Logger(trt.Logger.ERROR)})(), linear_model(), BATCHES)
    assert open_plan(plan).activation_bytes[0] > 0
    assert capfd.readouterr() == ("", "")


def test_two_loggers_each_hear_their_own_build(trt):
    first, second = Log(trt), Log(trt)
    one = trt.Builder(first.logger)
    other = trt.Builder(second.logger)
    assert other.logger is second.logger
    network = one.create_network(0)
    trt.OnnxParser(network, first.logger).parse(add_model().SerializeToString())
    assert one.build_serialized_network(network, one.create_builder_config()) is None
    assert "no optimization profile has been defined" in first.said()
    assert second.said() == ""


def test_profile_changed_after_it_was_added_is_read_at_build_time(trt, log):
    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    trt.OnnxParser(network, log.logger).parse(add_model().SerializeToString())
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1, 8), (2, 8), (4, 8))
    config.add_optimization_profile(profile)
    profile.set_shape("x", (1, 8), (2, 8), (64, 8))
    del profile
    gc.collect()
    plan = open_plan(builder.build_serialized_network(network, config))
    assert plan.profiles[0]["x"][2] == (64, 8)


def test_config_reset_forgets_the_profiles(trt, log):
    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    trt.OnnxParser(network, log.logger).parse(add_model().SerializeToString())
    config = builder.create_builder_config()
    for high in (4, 8):
        profile = builder.create_optimization_profile()
        profile.set_shape("x", (1, 8), (2, 8), (high, 8))
        config.add_optimization_profile(profile)
        if high == 4:
            config.reset()
    plan = open_plan(builder.build_serialized_network(network, config))
    assert [p["x"][2] for p in plan.profiles] == [(8, 8)]


def _parse(trt, log, network, route, model, folder):
    parser = trt.OnnxParser(network, log.logger)
    data = model.SerializeToString()
    if route == "parse":
        return parser.parse(data)
    if route == "supports_model_v2":
        return parser.supports_model_v2(data)
    if route == "parse_from_file":
        (folder / "m.onnx").write_bytes(data)
        return parser.parse_from_file(str(folder / "m.onnx"))
    assert parser.load_model_proto(data)
    return parser.parse_model_proto()


@pytest.mark.parametrize("route", ["parse", "parse_from_file", "supports_model_v2", "load_model_proto"])
@pytest.mark.parametrize("way_out", ["bytes", "stream"])
def test_every_route_through_parser_and_builder(trt, log, route, way_out, tmp_path):
    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    assert _parse(trt, log, network, route, linear_model(), tmp_path)
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape("x", *BATCHES["x"])
    config.add_optimization_profile(profile)
    if way_out == "bytes":
        data = builder.build_serialized_network(network, config)
    else:

        class Writer(trt.IStreamWriter):
            def __init__(self) -> None:
                trt.IStreamWriter.__init__(self)
                self.data = b""

            def write(self, data) -> int:
                self.data += data
                return len(data)

        writer = Writer()
        assert builder.build_serialized_network_to_stream(network, config, writer) is True
        data = writer.data
    plan = open_plan(data)
    assert [t.name for t in plan.tensors] == ["x", "y"]
    assert plan.onnx == linear_model().SerializeToString()


def test_weights_in_side_files_are_taken_into_the_plan(trt, log, tmp_path):
    path = tmp_path / "linear.onnx"
    onnx.save_model(
        linear_model(), path, save_as_external_data=True, all_tensors_to_one_file=True, location="w", size_threshold=0
    )
    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    assert trt.OnnxParser(network, log.logger).parse_from_file(str(path))
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape("x", *BATCHES["x"])
    config.add_optimization_profile(profile)
    plan = open_plan(builder.build_serialized_network(network, config))
    inside = onnx.load_model_from_string(plan.onnx)
    assert all(not t.external_data for t in inside.graph.initializer)
    weight = onnx.numpy_helper.to_array(next(t for t in inside.graph.initializer if t.name == "W"))
    np.testing.assert_array_equal(weight, onnx.numpy_helper.to_array(linear_model().graph.initializer[0]))


def test_initializer_given_by_pointer_is_taken_into_the_plan(trt, log):
    model = linear_model()
    own = np.full((8, 4), 2, np.float32)
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="nowhere.bin")
    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log.logger)
    assert parser.load_model_proto(model.SerializeToString())
    assert parser.load_initializer("W", own.ctypes.data, own.nbytes)
    assert parser.parse_model_proto()
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape("x", *BATCHES["x"])
    config.add_optimization_profile(profile)
    plan = open_plan(builder.build_serialized_network(network, config))
    inside = onnx.load_model_from_string(plan.onnx)
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(inside.graph.initializer[0]), own)


def test_renamed_tensors_are_honoured_swapped_names_too(trt, log):
    def swap(network):
        a, b = network.get_input(0), network.get_input(1)
        a.name, b.name = "tmp", "input_ids"
        a.name = "attention_mask"
        network.get_output(0).name = "scores"
        network.get_layer(0).name = "renamed"

    plan = open_plan(build(trt, log, classifier_model(), TEXTS, edit=swap))
    assert [(t.name, t.onnx_name) for t in plan.tensors] == [
        ("attention_mask", "input_ids"),
        ("input_ids", "attention_mask"),
        ("scores", "logits"),
    ]


def _add_softmax(network, trt):
    output = network.get_output(0)
    network.unmark_output(output)
    network.mark_output(network.add_softmax(output).get_output(0))


def _other_output(network, trt):
    network.unmark_output(network.get_output(0))
    network.mark_output(network.get_layer(1).get_output(0))


def _second_output(network, trt):
    network.mark_output(network.get_layer(1).get_output(0))


def _constant(network, trt):
    layer = network.get_layer(0)
    layer.__class__ = trt.IConstantLayer
    layer.weights = np.zeros((8, 4), np.float32)


def _operation(network, trt):
    layer = network.get_layer(network.num_layers - 1)
    layer.__class__ = trt.IElementWiseLayer
    layer.op = trt.ElementWiseOperation.SUB


def _static(network, trt):
    network.get_input(0).shape = (2, 8)


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        pytest.param(_add_softmax, "SOFTMAX", marks=nvidia),
        (_other_output, "output"),
        (_second_output, "outputs: one was added"),
        pytest.param(_constant, "weights changed", marks=nvidia),
        pytest.param(_operation, "op changed", marks=nvidia),
        (_static, "input 'x'"),
    ],
)
def test_edits_after_parsing_are_refused_by_name(trt, log, edit, named):
    profiles = [] if edit is _static else [BATCHES]  # a static input needs no profile
    plan = build(trt, log, linear_model(), *profiles, edit=lambda network: edit(network, trt))
    assert plan is None
    assert "edited after parsing" in log.said() and named in log.said()


@nvidia
def test_network_without_a_model_is_refused(trt, log):
    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    tensor = network.add_input("x", trt.float32, (2, 8))
    network.mark_output(network.add_softmax(tensor).get_output(0))
    assert builder.build_serialized_network(network, builder.create_builder_config()) is None
    assert "did not come from an ONNX model" in log.said()


@nvidia
def test_nothing_is_kept_of_a_collected_network(trt, log):
    from helpers.simulator import builder as module

    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    trt.OnnxParser(network, log.logger).parse(add_model().SerializeToString())
    reference = weakref.ref(network)
    before = len(module._parsed)
    del network
    gc.collect()
    assert reference() is None and len(module._parsed) == before - 1


@pytest.mark.parametrize(
    ("profiles", "words"),
    [
        ([], "no optimization profile has been defined"),
        ([{"input_ids": ((1, 64), (2, 64), (4, 64))}], "attention_mask is missing dimensions in profile 0"),
    ],
)
def test_nvidias_refusals_come_through(trt, log, profiles, words):
    assert build(trt, log, classifier_model(), *profiles) is None
    assert words in log.said()
    assert "cudaError 35" not in log.said()  # the spurious line on a machine without a driver


def test_wrong_logger_is_a_clear_error(trt):
    with pytest.raises(TypeError, match=r"expected a tensorrt\.ILogger"):
        trt.Builder("logger")


@nvidia
def test_extracted_plan_is_nvidias_and_intact(trt, tmp_path):
    """NVIDIA's own runtime gets past the header and stops at the missing driver; with one byte cut it says so."""
    import tensorrt_rtx

    log = Log(trt)
    path, out = tmp_path / "a.plan", tmp_path / "a.nvidia"
    path.write_bytes(build(trt, log, linear_model(), BATCHES))
    assert extract(path, out) == out.stat().st_size

    mine = Log(trt)
    runtime = tensorrt_rtx.Runtime(mine.logger)
    assert runtime.deserialize_cuda_engine(out.read_bytes()) is None
    if "cudaError 35" in mine.said():  # no driver here, and nothing else is wrong
        assert all("cudaError 35" in line for line in mine.said().splitlines())
    else:  # pragma: no cover - a machine with a driver
        pytest.skip("NVIDIA's runtime found a driver: the proof is for machines without one")
    cut = Log(trt)
    assert tensorrt_rtx.Runtime(cut.logger).deserialize_cuda_engine(out.read_bytes()[:-1]) is None
    # TensorRT has one logger a process: the line goes to whichever came first
    assert "blobSize failed" in cut.said() + mine.said() + log.said()


def test_extract_says_what_is_wrong_and_writes_nothing(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(FileNotFoundError, match="no plan at"):
        extract(tmp_path / "missing.plan", out)
    (tmp_path / "text.plan").write_text("this is not a plan at all")
    with pytest.raises(PlanError, match="is no plan of the simulator"):
        extract(tmp_path / "text.plan", out)
    assert not out.exists()
