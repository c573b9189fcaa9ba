"""Files that end the process which reads them: the kernel lives, and says what was wrong."""

from __future__ import annotations

import onnx
import pytest

from helpers.simulator import guard
from helpers.simulator.executor import Engine, ExecutionError
from helpers.simulator.native import BUILDER
from helpers.simulator.plan import Plan, TensorSpec

from .conftest import add_model, classifier_model

nvidia = pytest.mark.skipif(BUILDER != "nvidia", reason="it is NVIDIA's parser that dies")


def model(text: str, head: str = '<ir_version: 10, opset_import: ["" : 20, "own" : 1]>') -> onnx.ModelProto:
    return onnx.parser.parse_model(head + text)


def without_output() -> onnx.ModelProto:
    """A node with no output: NVIDIA's parser (TensorRT-RTX 1.7) dies of SIGSEGV."""
    made = add_model()
    del made.graph.node[0].output[:]
    return made


# NVIDIA's parser takes it, and its builder dies of SIGSEGV.
TILED = """g (float[2, 4] x) => (float[a, b] y) <float zero = {0}, int64[2] times = {1, 2}, int64[2] wide = {4, 8}> {
    p = Tan (zero)
    t = Tile (p, times)
    y = Expand (t, wide)
}"""
# ONNX Runtime 1.31 dies of SIGSEGV: as it loads, and as it runs.
INPUT_IS_OUTPUT = """g (float[B, 8] x) => (float[B, 8] y) { y = own.twice (x) }
    <domain: "own", opset_import: ["" : 20]> twice (a, b) => (b) { b = Add (a, a) }"""
LEFT_OUT = 'g (float[B, 8] x) => (float[B, 8] y) { y = Max (x, "") }'
# ... and of SIGABRT, in the C++ library's own assertion
NO_RANDOM = "g (float[B, 8] x) => (float[B, 8] y) { y = RandomNormalLike <scale = -1.0> (x) }"
# ONNX's own shape inference dies of SIGABRT.
NEGATIVE = """g (float[B, -2] x) => (float[B, 4] y) <int64[1] a = {0}, int64[1] e = {4}, int64[1] axis = {1}> {
    y = Slice (x, a, e, axis)
}"""


def plan_of(proto: onnx.ModelProto, **changes) -> Plan:
    """A plan of a model whose input is x and whose output is y, both float32 [B, 8]."""
    tensors = tuple(TensorSpec(n, n, m, "FLOAT", (-1, 8)) for n, m in (("x", "INPUT"), ("y", "OUTPUT")))
    limits = {"x": ((1, 8), (2, 8), (4, 8))}
    fields = {"tensors": tensors, "profiles": (limits,), "shape_values": ({},), "onnx": proto.SerializeToString()}
    return Plan("1", "", "", "", **{**fields, **changes}, settings={}, activation_bytes=(0,), weight_bytes=0, layers=1, nvidia=b"")


@nvidia
@pytest.mark.parametrize("route", ["parse", "parse_from_file", "supports_model_v2", "load_model_proto"])
def test_a_kernel_outlives_a_file_that_kills_the_parser(trt, log, tmp_path, route):
    network = trt.Builder(log.logger).create_network(0)
    parser = trt.OnnxParser(network, log.logger)
    data = without_output().SerializeToString()
    if route == "parse_from_file":
        (tmp_path / "m.onnx").write_bytes(data)
        assert parser.parse_from_file(str(tmp_path / "m.onnx")) is False
    else:
        assert getattr(parser, route)(data) is False
    assert "ends its process (SIGSEGV) on this model, which is malformed" in log.said()
    assert "has output size 0" in log.said()  # and what about it
    assert parser.num_errors == 1
    error = parser.get_error(0)
    assert error.code() == trt.ErrorCode.MODEL_DESERIALIZE_FAILED and error.desc() == log.said()
    assert log.said() in str(error) and error.node() == -1
    offered = {name for name in dir(type(parser.get_error(0))) if not name.startswith("_")}
    assert offered == {name for name in dir(trt.ParserError) if not name.startswith("_")}
    parser.clear_errors()
    assert parser.num_errors == 0
    assert parser.parse(add_model().SerializeToString())  # the parser goes on


@nvidia
def test_a_parser_whose_network_is_gone_says_so(trt, log):
    parser = trt.OnnxParser(trt.Builder(log.logger).create_network(0), log.logger)
    assert parser.parse(add_model().SerializeToString()) is False
    assert "the parser's network was deleted. Keep it in a variable" in log.said()


@nvidia
def test_bytes_that_are_no_model_are_nvidias_own_affair(trt, log, monkeypatch):
    monkeypatch.setattr(guard.subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
    network = trt.Builder(log.logger).create_network(0)
    parser = trt.OnnxParser(network, log.logger)
    assert parser.parse(b"no model") is False
    assert parser.get_error(0).code() == trt.ErrorCode.MODEL_DESERIALIZE_FAILED and "[simulator]" not in log.said()


def test_a_machine_that_starts_no_process_leaves_the_model_to_its_reader(monkeypatch):
    """In a sandbox: what dies there is the sandbox's affair, and most malformed models kill nobody."""
    data = without_output().SerializeToString()
    monkeypatch.setattr(guard.sys, "executable", "/no/such/python")
    assert guard.parser_trouble(data) == ""
    monkeypatch.setattr(guard.sys, "executable", "/bin/false")
    assert guard.parser_trouble(data) == ""


@nvidia
def test_what_kills_the_builder_is_not_even_parsed(trt, log):
    network = trt.Builder(log.logger).create_network(0)
    assert trt.OnnxParser(network, log.logger).parse(model(TILED).SerializeToString()) is False
    assert "parser or builder ends its process (SIGSEGV)" in log.said()


@nvidia
def test_a_malformed_model_that_kills_nobody_gets_nvidias_own_verdict(trt, log):
    """A declared output that is not the one which comes out: ONNX's checker refuses it, NVIDIA does not mind."""
    made = add_model()
    made.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    assert guard.look(made.SerializeToString()).flaw
    network = trt.Builder(log.logger).create_network(0)
    assert trt.OnnxParser(network, log.logger).parse(made.SerializeToString())
    assert not log.said()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (INPUT_IS_OUTPUT, r"ends its process \(SIGSEGV\)"),
        (LEFT_OUT, r"ends its process \(SIGSEGV\) .*input 1 is left out"),
        (NO_RANDOM, r"ends its process \(SIGABRT\) .*no random numbers have low 0.0, high 1.0, scale -1.0"),
    ],
)
def test_a_kernel_outlives_a_plan_that_kills_onnx_runtime(text, said):
    with pytest.raises(ExecutionError, match=said):
        Engine(plan_of(model(text)))


def test_negative_dimensions_do_not_reach_the_shape_inference():
    assert "negative dimension" in guard.look(model(NEGATIVE).SerializeToString()).flaw


def test_equations_that_are_none_do_not_reach_the_shape_inference():
    """ONNX 1.23's inference of an Einsum with a bare > does not come back."""
    text = 'g (float[B, 8] x) => (float[B, 8] y) {{ y = Einsum <equation = "{}"> (x, x) }}'
    for equation in ("bi,bi->bi", "b i, b i -> b i", "...i,...i->...i", "bi,bi"):
        assert "equation" not in guard.look(model(text.format(equation)).SerializeToString()).flaw
    for equation in ("b>i", "bi,bi->b->i", "b1,bi->bi"):
        assert "its equation is" in guard.look(model(text.format(equation)).SerializeToString()).flaw


def test_a_plan_whose_weights_are_elsewhere_is_refused():
    made = add_model()
    made.graph.initializer[0].ClearField("raw_data")
    made.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    made.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(ExecutionError, match="keeps 'one' in another file; expected all weights inside"):
        Engine(plan_of(made))


def test_a_constant_larger_than_the_machine_is_refused():
    text = "g (float[B, 8] x) => (float[B, 8] y) <int64[1] n = {70000000000000}, int64 z = {0}> { c = ConstantOfShape (n)\n e = Gather (c, z)\n y = Add (x, e) }"
    with pytest.raises(ExecutionError, match=r"tensor of 280,000,000,000,000 bytes; this machine has"):
        Engine(plan_of(model(text)))


def test_a_loop_without_end_is_stopped(monkeypatch):
    monkeypatch.setattr("helpers.simulator.executor.LOOP_SECONDS", 0.2)
    text = """g (float[B, 8] x) => (float[B, 8] y) <int64 trips = {9000000000000000}, bool go = {1}> {
        y = Loop (trips, go, x) <body = body (int64 i, bool c, float[B, 8] a) => (bool d, float[B, 8] b) { d = Identity (c) b = Add (a, a) }>
    }"""
    import numpy as np

    engine = Engine(plan_of(model(text)))
    for _ in range(2):  # and once more: the engine goes on
        with pytest.raises(ExecutionError, match=r"a loop of the model was stopped after 0\.2 s"):
            engine.infer({"x": np.ones((1, 8), np.float32)})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"onnx_name": "z"}, r"the plan names the model's inputs \['z'\]; the model has \['x'\]"),
        ({"dtype": "INT64"}, r"input 'x' is tensor\(float\) of 2 dimensions; the plan says tensor\(int64\) of 2"),
        ({"shape": (-1, 8, 1)}, r"input 'x' is tensor\(float\) of 2 dimensions; the plan says tensor\(float\) of 3"),
    ],
)
def test_a_plan_that_describes_another_model_is_refused(changes, said):
    whole = plan_of(add_model())
    x = whole.tensors[0]
    other = TensorSpec(**{**{f: getattr(x, f) for f in x.__dataclass_fields__}, **changes})
    with pytest.raises(ExecutionError, match=said):
        Engine(plan_of(add_model(), tensors=(other, whole.tensors[1])))
    with pytest.raises(ExecutionError, match=r"the model's outputs \['x'\]; the model has \['y'\]"):
        Engine(plan_of(add_model(), tensors=(x, TensorSpec("y", "x", "OUTPUT", "FLOAT", (-1, 8)))))


def test_well_formed_models_have_no_flaw():
    for proto in (add_model(), classifier_model()):
        assert guard.look(proto.SerializeToString()) == guard.Look(largest=guard.look(proto.SerializeToString()).largest)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"location": "w"}, ""),
        ({"location": "missing"}, ""),  # the parser says that it cannot open it
        ({"location": "w", "length": "8"}, "is bytes 0 to 8 of a file of 40; expected 32 that are there"),
        ({"location": "w", "offset": "-8"}, "is bytes -8 to 24"),
        ({"location": "w", "offset": "100"}, "is bytes 100 to 132"),
        ({"location": "w", "offset": "much"}, "cannot be read"),
        ({"location": "../w"}, "expected a file in the model's own folder"),
        ({}, "cannot be read"),
    ],
)
def test_weights_in_another_file_must_be_there(tmp_path, entry, said):
    folder = tmp_path / "model"
    folder.mkdir()
    for place in (folder, tmp_path):
        (place / "w").write_bytes(bytes(40))
    made = add_model()
    made.graph.initializer[0].ClearField("raw_data")
    made.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    for key, value in entry.items():
        made.graph.initializer[0].external_data.add(key=key, value=value)
    seen = guard.look(made.SerializeToString(), folder / "m.onnx")
    assert seen.outside == "one"
    assert said in seen.flaw and bool(said) == bool(seen.flaw), seen.flaw
