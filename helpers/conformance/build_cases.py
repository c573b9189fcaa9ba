"""The build cases: what TensorRT's parser and builder return and log, and where each expectation comes from.

`returns` and `says` were written from documents, issues and the course's measured facts, and committed before NVIDIA's
builder ran a case (the one in Python ran the table once, by accident, about the time of that commit). They are
never edited after that: what turned out otherwise stands in `DIFFERS`, with its reason. Six cases were mended after a
run because they did not do what their sentence says: five dropped the network that their parser wrote to, and the table
of positions was cut by a Slice that ONNX does not allow.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .case import Ground, listed
from .run_kit import MODELS, ROWS, SIMULATOR, Table, attempt, kind, model_of, text

case = Table("build")

MEASURED = "measured with TensorRT-RTX 1.7.1 on a machine without a GPU: "
GUIDE = "TensorRT developer guide, "
HEADER = "NvInfer.h (TensorRT 11), "
PARSER = "NvOnnxParser.h (TensorRT 11), "
BINDINGS = "TensorRT 11's Python bindings, "
RTX = frozenset({"rtx"})  # targets are chosen in TensorRT-RTX alone
NO_PROFILE = "Network has dynamic or shape inputs, but no optimization profile has been defined"
MISSING = "is missing dimensions in profile 0"

Shapes = Mapping[str, Sequence[Sequence[int]]]
Tensor = tuple[int, Sequence[int | str]]  # ONNX type, shape
BATCHES: Shapes = {"x": ((1, ROWS), (2, ROWS), (4, ROWS))}
GARBAGE = b"this is no model at all"
F, H, I64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64


class Script:
    """What a build script does, step by step; a case does some of it wrongly."""

    def __init__(self, g: Ground, model: onnx.ModelProto | bytes | None = None) -> None:
        self.g = g
        self.builder = g.trt.Builder(g.logger)
        self.network = self.builder.create_network(0)
        self.parser = g.trt.OnnxParser(self.network, g.logger)
        self.config = self.builder.create_builder_config()
        self.parsed = None if model is None else self.parser.parse(_bytes(model))

    def profile(self, shapes: Shapes | None, add: bool = True) -> int | None:
        """What add_optimization_profile answers."""
        profile = self.builder.create_optimization_profile()
        for name, limits in (shapes or {}).items():
            profile.set_shape(name, *limits)
        return int(self.config.add_optimization_profile(profile)) if add else None

    def build(self) -> str:
        plan = self.builder.build_serialized_network(self.network, self.config)
        return "None" if plan is None else "a plan"

    def target(self, name: str) -> None:
        self.config.num_compute_capabilities = 1
        self.config.set_compute_capability(getattr(self.g.trt.ComputeCapability, name), 0)


def _bytes(model: onnx.ModelProto | bytes) -> bytes:
    return model if isinstance(model, bytes) else model.SerializeToString()


def _built(g: Ground, model: onnx.ModelProto, *profiles: Shapes) -> str:
    script = Script(g, model)
    for shapes in profiles:
        script.profile(shapes)
    return script.build()


def _add() -> onnx.ModelProto:
    return MODELS["add"][0]()


# --- models ---------------------------------------------------------------------------------------------------------


def _two() -> onnx.ModelProto:
    """y = ids + mask, int64 [B, S], with the names of the course."""
    tensor: Tensor = (I64, ["B", "S"])
    return model_of(
        [helper.make_node("Add", ["input_ids", "attention_mask"], ["y"])],
        {"input_ids": tensor, "attention_mask": tensor},
        {"y": tensor},
    )


def _embedding() -> onnx.ModelProto:
    """y = words[ids] + positions[0, 1, ...], float32 [B, S, 4]; the table of positions has 16 rows."""
    return model_of(
        [
            helper.make_node("Gather", ["words", "ids"], ["token"]),
            helper.make_node("Shape", ["ids"], ["length"], start=1, end=2),
            helper.make_node("Squeeze", ["length", "first"], ["S"]),
            helper.make_node("Range", ["from", "S", "by"], ["places"]),
            helper.make_node("Gather", ["table", "places"], ["position"]),
            helper.make_node("Add", ["token", "position"], ["y"]),
        ],
        {"ids": (I64, ["B", "S"])},
        {"y": (F, ["B", "S", 4])},
        words=np.ones((10, 4), np.float32),
        table=np.ones((16, 4), np.float32),
        first=np.array([0]),
        **{"from": np.array(0), "by": np.array(1)},
    )


def _baked() -> onnx.ModelProto:
    """y = x [B, 8] + its first columns, reshaped to the example's batch of 2: a batch that an export baked in."""
    return model_of(
        [
            helper.make_node("Reshape", ["x", "shape"], ["r"]),
            helper.make_node("Add", ["x", "r"], ["y"]),
        ],
        {"x": (F, ["B", ROWS])},
        {"y": (F, ["B", ROWS])},
        shape=np.array([2, ROWS]),
    )


def _attention() -> onnx.ModelProto:
    """y = softmax(x x^T) x for float32 x [B, S, 8] with 8 heads of scores: [B, 8, S, S] between its layers."""
    return model_of(
        [
            helper.make_node("Unsqueeze", ["x", "one"], ["x4"]),
            helper.make_node("Expand", ["x4", "heads"], ["q"]),
            helper.make_node("MatMul", ["q", "w"], ["k"]),
            helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
            helper.make_node("MatMul", ["q", "kt"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["p"], axis=-1),
            helper.make_node("MatMul", ["p", "q"], ["y"]),
        ],
        {"x": (F, ["B", "S", 8])},
        {"y": (F, ["B", 8, "S", 8])},
        one=np.array([1]),
        heads=np.array([1, 8, 1, 1]),
        w=np.eye(8, dtype=np.float32),
    )


def _mixed() -> onnx.ModelProto:
    """y = float32 x + float16 c: no ONNX checker would pass it."""
    return model_of(
        [helper.make_node("Add", ["x", "c"], ["y"])],
        {"x": (F, ["B", ROWS])},
        {"y": (F, ["B", ROWS])},
        c=np.ones(ROWS, np.float16),
    )


def _norm(scale: Any) -> onnx.ModelProto:
    return model_of(
        [helper.make_node("LayerNormalization", ["x", "s", "b"], ["y"], axis=-1)],
        {"x": (F, ["B", ROWS])},
        {"y": (F, ["B", ROWS])},
        s=np.ones(ROWS, scale),
        b=np.zeros(ROWS, scale),
    )


def _unary(op: str, kind: int = F, result: int | None = None, **attributes: Any) -> onnx.ModelProto:
    return model_of(
        [helper.make_node(op, ["x"], ["y"], **attributes)],
        {"x": (kind, ["B", ROWS])},
        {"y": (result or kind, ["B", ROWS])},
    )


def _half() -> onnx.ModelProto:
    return model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": (H, ["B", ROWS])},
        {"y": (H, ["B", ROWS])},
        w=np.ones((ROWS, ROWS), np.float16),
    )


def _unused() -> onnx.ModelProto:
    """y = x + 1; z is an input that nobody reads."""
    tensor: Tensor = (F, ["B", ROWS])
    return model_of(
        [helper.make_node("Add", ["x", "one"], ["y"])],
        {"x": tensor, "z": tensor},
        {"y": tensor},
        one=np.ones(ROWS, np.float32),
    )


def _branch() -> onnx.ModelProto:
    """y = x + 1 or x - 1, as a bool input says."""
    branches = {}
    for name, op in (("then_branch", "Add"), ("else_branch", "Sub")):
        info = [helper.make_tensor_value_info("r", F, [2, ROWS])]
        branches[name] = helper.make_graph([helper.make_node(op, ["x", "one"], ["r"])], name, [], info)
    return model_of(
        [helper.make_node("If", ["c"], ["y"], **branches)],
        {"c": (TensorProto.BOOL, []), "x": (F, [2, ROWS])},
        {"y": (F, [2, ROWS])},
        one=np.ones(ROWS, np.float32),
    )


def _flash() -> onnx.ModelProto:
    """ONNX's own Attention of opset 23, float32 [B, 2, S, 8]."""
    tensor: Tensor = (F, ["B", 2, "S", 8])
    model = model_of(
        [helper.make_node("Attention", ["q", "k", "v"], ["y"])], {"q": tensor, "k": tensor, "v": tensor}, {"y": tensor}
    )
    model.opset_import[0].version = 23
    return model


def _outside(folder: Path) -> Path:
    """y = x @ W with the weights in a file beside the model."""
    model = model_of(
        [helper.make_node("MatMul", ["x", "W"], ["y"])],
        {"x": (F, ["B", ROWS])},
        {"y": (F, ["B", 256])},
        W=np.ones((ROWS, 256), np.float32),
    )
    path = folder / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


# --- profiles -------------------------------------------------------------------------------------------------------


@case("profile-none", "None", NO_PROFILE, source=MEASURED + "NVIDIA/TensorRT issue 1116 has the words")
def _(g: Ground) -> Any:
    """A network with a dynamic input does not build without an optimization profile."""
    return _built(g, _add())


@case("profile-not-added", "None", NO_PROFILE, source=MEASURED + "NVIDIA/TensorRT issue 768")
def _(g: Ground) -> Any:
    """A profile that was created and never added is none."""
    script = Script(g, _add())
    script.profile(BATCHES, add=False)
    return script.build()


@case("profile-right", "a plan", source=GUIDE + "working with dynamic shapes")
def _(g: Ground) -> Any:
    """With a profile for its input it builds."""
    return _built(g, _add(), BATCHES)


@case("profile-index", "(0, 1)", source=HEADER + "IBuilderConfig::addOptimizationProfile")
def _(g: Ground) -> Any:
    """add_optimization_profile returns the index of the profile."""
    script = Script(g, _add())
    return text((script.profile(BATCHES), script.profile({"x": ((4, ROWS), (8, ROWS), (16, ROWS))})))


@case("profile-count", "(1, 1)", "MIN<=OPT<=MAX", source=HEADER + "IBuilderConfig::getNbOptimizationProfiles")
def _(g: Ground) -> Any:
    """A profile that was refused is not counted."""
    script = Script(g, _add())
    script.profile(BATCHES)
    before = script.config.num_optimization_profiles
    script.profile({"x": ((4, ROWS), (2, ROWS), (8, ROWS))})
    return text((before, script.config.num_optimization_profiles))


@case("profile-input-missing", "None", MISSING, source=MEASURED + "Dynamic input tensor ... is missing dimensions")
def _(g: Ground) -> Any:
    """One of two dynamic inputs is not in the profile."""
    return _built(g, _two(), {"input_ids": ((1, 2), (2, 4), (4, 8))})


@case("profile-name-misspelled", "None", "attention_mask " + MISSING, source=MEASURED + "the log names the input")
def _(g: Ground) -> Any:
    """A misspelled name leaves its input without dimensions."""
    limits = ((1, 2), (2, 4), (4, 8))
    return _built(g, _two(), {"input_ids": limits, "attention_masks": limits})


@case("profile-extra-name", "a plan", source=MEASURED + "a name that no input has is silent")
def _(g: Ground) -> Any:
    """A name too many is not noticed."""
    return _built(g, _add(), {**BATCHES, "nobody": ((1, 2), (1, 2), (1, 2))})


@case("profile-min-above-opt", "-1", "MIN<=OPT<=MAX", source=MEASURED + "set_shape is fine, adding returns -1")
def _(g: Ground) -> Any:
    """A minimum above the optimum is refused when the profile is added."""
    return text(Script(g, _add()).profile({"x": ((3, ROWS), (2, ROWS), (4, ROWS))}))


@case("profile-opt-above-max", "-1", "MIN<=OPT<=MAX", source=MEASURED + "set_shape is fine, adding returns -1")
def _(g: Ground) -> Any:
    """An optimum above the maximum is refused when the profile is added."""
    return text(Script(g, _add()).profile({"x": ((1, ROWS), (5, ROWS), (4, ROWS))}))


@case("profile-refused-then-built", "None", NO_PROFILE, source=MEASURED + "the -1 was not looked at")
def _(g: Ground) -> Any:
    """Whoever overlooks the -1 is told that there is no profile."""
    return _built(g, _add(), {"x": ((3, ROWS), (2, ROWS), (4, ROWS))})


@case(
    "profile-wrong-rank",
    "None",
    "has 2 dimensions but profile 0 has 1 dimensions",
    source=MEASURED + "said at the build",
)
def _(g: Ground) -> Any:
    """A profile with another number of dimensions is refused late, by the build."""
    return _built(g, _add(), {"x": ((1,), (2,), (4,))})


@case("profile-negative", "RuntimeError", source=MEASURED + "set_shape raises at once")
def _(g: Ground) -> Any:
    """A negative dimension is refused by set_shape."""
    return kind(lambda: Script(g, _add()).profile({"x": ((-1, ROWS), (2, ROWS), (4, ROWS))}))


@case("profile-min-zero", "a plan", source=MEASURED + "a warning, and it builds")
def _(g: Ground) -> Any:
    """A minimum of 0 builds."""
    return _built(g, _add(), {"x": ((0, ROWS), (2, ROWS), (4, ROWS))})


@case("profile-beyond-position-table", "a plan", source=MEASURED + "a sequence beyond the position table builds")
def _(g: Ground) -> Any:
    """Sequences longer than the table of positions build: nobody compares them."""
    return _built(g, _embedding(), {"ids": ((1, 2), (2, 8), (4, 32))})


@case("profile-disagrees-at-opt", "None", "Profile kOPT values are not self-consistent", source=MEASURED + "its words")
def _(g: Ground) -> Any:
    """Two inputs that are added have other lengths at the optimum."""
    return _built(g, _two(), {"input_ids": ((1, 2), (2, 4), (4, 8)), "attention_mask": ((1, 2), (2, 5), (4, 8))})


@case("profile-disagrees-at-max", "a plan", source=MEASURED + "where they meet in an Add there is not even a warning")
def _(g: Ground) -> Any:
    """Two inputs that are added have other lengths at the maximum only."""
    return _built(g, _two(), {"input_ids": ((1, 2), (2, 4), (4, 8)), "attention_mask": ((1, 2), (2, 4), (4, 9))})


@case("profile-baked-batch", "a plan", "kMAX values are not self-consistent", source="roboflow/rf-detr issue 376")
def _(g: Ground) -> Any:
    """A batch that was baked into a Reshape is a warning about the maximum, and builds."""
    return _built(g, _baked(), {"x": ((2, ROWS), (2, ROWS), (4, ROWS))})


@case("profile-shape-of-unset", "[]", source=BINDINGS + "IOptimizationProfile.get_shape")
def _(g: Ground) -> Any:
    """The shapes of an input that the profile does not have are an empty list."""
    return text(list(g.trt.Builder(g.logger).create_optimization_profile().get_shape("x")))


@case("profile-shape-of-set", "[(1, 8), (2, 8), (4, 8)]", source=BINDINGS + "IOptimizationProfile.get_shape")
def _(g: Ground) -> Any:
    """The shapes come back as they were set: minimum, optimum, maximum."""
    profile = g.trt.Builder(g.logger).create_optimization_profile()
    profile.set_shape("x", *BATCHES["x"])
    return text([tuple(shape) for shape in profile.get_shape("x")])


@case(
    "profile-changed-after-adding",
    "8",
    source=MEASURED + "the profile is read when the network is built",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A profile that is changed after it was added changes the build."""
    script = Script(g, _add())
    profile = script.builder.create_optimization_profile()
    profile.set_shape("x", *BATCHES["x"])
    script.config.add_optimization_profile(profile)
    profile.set_shape("x", (1, ROWS), (2, ROWS), (8, ROWS))
    plan = script.builder.build_serialized_network(script.network, script.config)
    engine = g.trt.Runtime(g.logger).deserialize_cuda_engine(plan)
    return text(engine.get_tensor_profile_shape("x", 0)[2][0])


@case("profile-static-network", "a plan", source=GUIDE + "profiles are needed for dynamic inputs only")
def _(g: Ground) -> Any:
    """A static network needs no profile."""
    return _built(g, MODELS["static"][0]())


@case("profile-values-of-no-shape-tensor", "a plan", source=HEADER + "IOptimizationProfile::setShapeValues")
def _(g: Ground) -> Any:
    """Values for an input that is no shape tensor do no harm beside its shapes."""
    script = Script(g, _add())
    profile = script.builder.create_optimization_profile()
    profile.set_shape("x", *BATCHES["x"])
    profile.set_shape_input("other", (1,), (2,), (4,))
    script.config.add_optimization_profile(profile)
    return script.build()


@case("profile-of-shape-tensor", "a plan", source=GUIDE + "shape tensors have values in the profile")
def _(g: Ground) -> Any:
    """An input whose values are a shape gets values in the profile, and builds."""
    script = Script(g, MODELS["expand"][0]())
    profile = script.builder.create_optimization_profile()
    profile.set_shape_input("to", (1, 1), (2, 3), (4, 8))
    script.config.add_optimization_profile(profile)
    return script.build()


@case("profile-unused-input", "a plan", "Unused Input", source=MEASURED + "an unused input stays in the network")
def _(g: Ground) -> Any:
    """An input that nobody reads is told of, and must be in the profile."""
    return _built(g, _unused(), {**BATCHES, "z": BATCHES["x"]})


@case("profile-unused-input-missing", "None", MISSING, source=MEASURED + "an unused input must be in the profile")
def _(g: Ground) -> Any:
    """Without dimensions for the input that nobody reads there is no plan."""
    return _built(g, _unused(), BATCHES)


# --- the parser -----------------------------------------------------------------------------------------------------


@case("parse-right", "(True, 0)", source=PARSER + "IParser::parse")
def _(g: Ground) -> Any:
    """A right model is parsed, without errors."""
    script = Script(g, _add())
    return text((script.parsed, script.parser.num_errors))


@case("parse-empty", "(True, 0)", source=MEASURED + "parse(b'') is True with 0 errors")
def _(g: Ground) -> Any:
    """No bytes at all are parsed without complaint."""
    script = Script(g, b"")
    return text((script.parsed, script.parser.num_errors))


@case("parse-empty-then-build", "None", "Network must have at least one output", source=MEASURED + "its words")
def _(g: Ground) -> Any:
    """What came of no bytes does not build."""
    return Script(g, b"").build()


@case("parse-garbage", "(False, MODEL_DESERIALIZE_FAILED)", source=MEASURED + "corrupt ONNX")
def _(g: Ground) -> Any:
    """Bytes that are no protobuf are refused, with a code."""
    script = Script(g, GARBAGE)
    return text((script.parsed, script.parser.get_error(0).code().name))


@case("parse-truncated", "(False, MODEL_DESERIALIZE_FAILED)", source=MEASURED + "truncated ONNX")
def _(g: Ground) -> Any:
    """A model that was cut off is refused, with a code."""
    data = _bytes(_add())
    script = Script(g, data[: len(data) // 2])
    return text((script.parsed, script.parser.get_error(0).code().name))


@case("parse-false-ignored", "None", "Network must have at least one output", source=MEASURED + "parse's False ignored")
def _(g: Ground) -> Any:
    """Whoever overlooks the parser's False is told that the network has no output."""
    script = Script(g, GARBAGE)
    script.profile(BATCHES)
    return script.build()


@case("parse-path", "TypeError", source=MEASURED + "parse takes bytes")
def _(g: Ground) -> Any:
    """parse takes the model's bytes, not its path."""
    script = Script(g)
    return kind(script.parser.parse, "model.onnx")


@case("parse-twice", "(True, False)", "non-empty network definition", source=MEASURED + "its words")
def _(g: Ground) -> Any:
    """A second model does not go into the same network."""
    script = Script(g, _add())
    return text((script.parsed, script.parser.parse(_bytes(_add()))))


@case("parse-errors-cleared", "(1, 0)", source=PARSER + "IParser::clearErrors")
def _(g: Ground) -> Any:
    """clear_errors forgets the errors."""
    script = Script(g, GARBAGE)
    before = script.parser.num_errors
    script.parser.clear_errors()
    return text((before, script.parser.num_errors))


@case(
    "parse-outside-weights-as-bytes", "False", "Failed to open file", source=MEASURED + "onnx/onnx-tensorrt issue 818"
)
def _(g: Ground) -> Any:
    """Weights in another file cannot be found from the model's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        model = _outside(Path(folder)).read_bytes()
    return text(Script(g, model).parsed)


@case("parse-outside-weights-from-file", "True", source=MEASURED + "parse_from_file knows the folder")
def _(g: Ground) -> Any:
    """Weights in another file are found from the model's path."""
    with tempfile.TemporaryDirectory() as folder:
        script = Script(g)
        return text(script.parser.parse_from_file(str(_outside(Path(folder)))))


@case("parse-file-missing", "False", source=PARSER + "IParser::parseFromFile returns whether it was parsed")
def _(g: Ground) -> Any:
    """A file that does not exist is refused."""
    script = Script(g)
    return text(script.parser.parse_from_file("nothing.onnx"))


@case("parse-mixed-types", "False", "must have same input types", source=MEASURED + "FP32 meets FP16 in an Add")
def _(g: Ground) -> Any:
    """FP32 and FP16 do not meet in an elementwise operator."""
    return text(Script(g, _mixed()).parsed)


@case("parse-norm-of-two-types", "False", source=MEASURED + "LayerNorm: input Float, scale Half")
def _(g: Ground) -> Any:
    """FP32 activations and FP16 weights do not meet in a LayerNormalization."""
    return text(Script(g, _norm(np.float16)).parsed)


@case("parse-norm-of-one-type", "True", source="ONNX operators, LayerNormalization 17")
def _(g: Ground) -> Any:
    """A LayerNormalization of one type is parsed."""
    return text(Script(g, _norm(np.float32)).parsed)


@case(
    "parse-unknown-operator", "False", "Plugin not found, are the plugin name, version", source=MEASURED + "its words"
)
def _(g: Ground) -> Any:
    """An operator that ONNX does not have is looked for among the plugins."""
    return text(Script(g, _unary("Frobnicate")).parsed)


@case("parse-unknown-domain", "False", "Plugin not found", source=MEASURED + "as for an unknown operator")
def _(g: Ground) -> Any:
    """An operator of another domain is looked for among the plugins."""
    return text(Script(g, _unary("Gelu", domain="com.example")).parsed)


@case("parse-nonzero", "False", source=MEASURED + "TensorRT-RTX 1.7 has no NonZero", needs=RTX)
def _(g: Ground) -> Any:
    """TensorRT-RTX has no NonZero."""
    return text(Script(g, MODELS["nonzero"][0]()).parsed)


@case("parse-int64-inputs", "True", "Make sure input input_ids has Int64 binding", source=MEASURED + "a warning")
def _(g: Ground) -> Any:
    """int64 inputs are told of."""
    return text(Script(g, _two()).parsed)


@case("parse-infinite-weights", "a plan", source=MEASURED + "weights that are infinite build without a warning")
def _(g: Ground) -> Any:
    """Weights that are infinite already are nobody's concern."""
    model = _add()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full(ROWS, np.inf, np.float32), "one"))
    return _built(g, model, BATCHES)


@case("parse-branch", "True", source="onnx/onnx-tensorrt, docs/operators.md: If")
def _(g: Ground) -> Any:
    """An If whose condition is an input is parsed."""
    return text(Script(g, _branch()).parsed)


@case("parse-model-proto", "(True, True)", source=PARSER + "IParser::loadModelProto, parseModelProto")
def _(g: Ground) -> Any:
    """A model can be loaded first and parsed afterwards."""
    script = Script(g)
    parser = script.parser
    return text((parser.load_model_proto(_bytes(_add())), parser.parse_model_proto()))


@case("parse-supports-model", "True", source=PARSER + "IParser::supportsModelV2")
def _(g: Ground) -> Any:
    """A model of known operators is supported."""
    script = Script(g)
    return text(script.parser.supports_model_v2(_bytes(_add())))


@case("parse-supports-not", "False", source=PARSER + "IParser::supportsModelV2")
def _(g: Ground) -> Any:
    """A model with an unknown operator is not."""
    script = Script(g)
    return text(script.parser.supports_model_v2(_bytes(_unary("Frobnicate"))))


@case("parse-logger-missing", "TypeError", source=BINDINGS + "OnnxParser takes an ILogger")
def _(g: Ground) -> Any:
    """A parser without a logger is refused."""
    return kind(lambda: g.trt.OnnxParser(Script(g).network, None))


# --- the network ----------------------------------------------------------------------------------------------------


@case("network-tensors", "[(x, (-1, 8), FLOAT), (y, (-1, 8), FLOAT)]", source=GUIDE + "dynamic dimensions are -1")
def _(g: Ground) -> Any:
    """Inputs and outputs have the model's names and types; dynamic dimensions are -1."""
    network = Script(g, _add()).network
    tensors = (network.get_input(0), network.get_output(0))
    return text([(tensor.name, tuple(tensor.shape), tensor.dtype.name) for tensor in tensors])


@case("network-types", "[INT64, INT64, INT64]", source=GUIDE + "INT64 is a type since TensorRT 10")
def _(g: Ground) -> Any:
    """int64 stays int64."""
    network = Script(g, _two()).network
    return text([t.dtype.name for t in (network.get_input(0), network.get_input(1), network.get_output(0))])


@case("network-half", "(HALF, a plan)", source=GUIDE + "strongly typed networks: the type is the model's")
def _(g: Ground) -> Any:
    """An FP16 model builds without a flag, and its output is FP16."""
    script = Script(g, _half())
    script.profile(BATCHES)
    return text((script.network.get_output(0).dtype.name, script.build()))


@case("network-int32", "a plan", source=GUIDE + "types: INT32")
def _(g: Ground) -> Any:
    """int32 builds."""
    return _built(g, _unary("Abs", TensorProto.INT32), BATCHES)


@case("network-bool", "a plan", source=GUIDE + "types: BOOL")
def _(g: Ground) -> Any:
    """bool builds."""
    return _built(g, _unary("Not", TensorProto.BOOL), BATCHES)


@case("network-uint8", "a plan", source=GUIDE + "types: UINT8 at a network's ends, converted next to them")
def _(g: Ground) -> Any:
    """uint8 builds where it is converted at once."""
    return _built(g, _unary("Cast", TensorProto.UINT8, F, to=F), BATCHES)


@case("network-scalar", "a plan", source=GUIDE + "tensors of 0 to 8 dimensions")
def _(g: Ground) -> Any:
    """A scalar builds."""
    model = model_of([helper.make_node("Neg", ["x"], ["y"])], {"x": (F, [])}, {"y": (F, [])})
    return _built(g, model)


@case("network-empty", "None", "Network must have at least one output", source=MEASURED + "its words")
def _(g: Ground) -> Any:
    """A network with nothing in it does not build."""
    return Script(g).build()


@case("network-renamed-input", "a plan", source=MEASURED + "a network whose input was renamed builds")
def _(g: Ground) -> Any:
    """An input can be renamed after parsing; the profile takes the new name."""
    script = Script(g, _add())
    script.network.get_input(0).name = "values"
    script.profile({"values": BATCHES["x"]})
    return script.build()


@case(
    "network-edited",
    "None",
    "edited after parsing",
    source="docs/simulator.md: it runs the ONNX model",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """The simulator refuses a network whose output was unmarked and another one marked, and says why."""
    script = Script(g, MODELS["deep"][0]())
    script.network.unmark_output(script.network.get_output(0))
    script.network.mark_output(script.network.get_layer(0).get_output(0))
    script.profile({"x": ((1, 256),) * 3})
    return script.build()


@case("network-double", "None", "has no FP64", source="docs/simulator.md: DOUBLE is refused", needs=SIMULATOR)
def _(g: Ground) -> Any:
    """The simulator refuses FP64, which TensorRT would make FP32, and says why."""
    return _built(g, _unary("Neg", TensorProto.DOUBLE), BATCHES)


@case("network-flags-0-and-1", "(True, True)", source=MEASURED + "create_network(1) works")
def _(g: Ground) -> Any:
    """create_network takes no flag, and what 8.x tutorials pass."""
    builder = g.trt.Builder(g.logger)
    return text(tuple(builder.create_network(flags) is not None for flags in (0, 1)))


@case("network-flags-2", "True", source=MEASURED + "create_network(2) returns None", needs=RTX)
def _(g: Ground) -> Any:
    """A flag that TensorRT-RTX does not have gives None."""
    return text(g.trt.Builder(g.logger).create_network(2) is None)


@case("network-strongly-typed", "True", source="TensorRT 11 migration guide: STRONGLY_TYPED is accepted, and always on")
def _(g: Ground) -> Any:
    """STRONGLY_TYPED is accepted."""
    flag = 1 << int(g.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    return text(g.trt.Builder(g.logger).create_network(flag) is not None)


# --- the configuration ----------------------------------------------------------------------------------------------


def _with_workspace(g: Ground, model: onnx.ModelProto, nbytes: int, shapes: Shapes) -> str:
    script = Script(g, model)
    script.profile(shapes)
    script.config.set_memory_pool_limit(g.trt.MemoryPoolType.WORKSPACE, nbytes)
    return script.build()


@case("config-workspace-kept", "1073741824", source=HEADER + "IBuilderConfig::getMemoryPoolLimit")
def _(g: Ground) -> Any:
    """A workspace limit that was set is told."""
    config = Script(g).config
    config.set_memory_pool_limit(g.trt.MemoryPoolType.WORKSPACE, 1 << 30)
    return text(config.get_memory_pool_limit(g.trt.MemoryPoolType.WORKSPACE))


@case("config-workspace-0", "None", "workspace memory greater than 0", source=MEASURED + "its words")
def _(g: Ground) -> Any:
    """No workspace at all is refused."""
    return _with_workspace(g, _add(), 0, BATCHES)


SEQUENCES = {"x": ((1, 2, 8), (8, 64, 8), (128, 512, 8))}


@case("config-workspace-too-small", "None", "OutOfMemory (Requested size was", source=MEASURED + "1-128 x 2-512, 1 GiB")
def _(g: Ground) -> Any:
    """Scores of 128 x 8 x 512 x 512 do not fit into a workspace of 1 GiB."""
    return _with_workspace(g, _attention(), 1 << 30, SEQUENCES)


@case("config-workspace-large-enough", "a plan", source=MEASURED + "it builds with 4 GiB")
def _(g: Ground) -> Any:
    """The same builds with 4 GiB."""
    return _with_workspace(g, _attention(), 4 << 30, SEQUENCES)


@case("config-workspace-smaller-profile", "a plan", source=MEASURED + "it builds up to batch 32")
def _(g: Ground) -> Any:
    """The same builds with 1 GiB up to a batch of 32."""
    return _with_workspace(g, _attention(), 1 << 30, {"x": ((1, 2, 8), (8, 64, 8), (32, 512, 8))})


@case("config-tf32", "True", source=MEASURED + "TF32 is on by default")
def _(g: Ground) -> Any:
    """TF32 is on in a new configuration."""
    return text(Script(g).config.get_flag(g.trt.BuilderFlag.TF32))


@case("config-level", "5", source=HEADER + "IBuilderConfig::setBuilderOptimizationLevel")
def _(g: Ground) -> Any:
    """The optimization level can be set and read."""
    config = Script(g).config
    config.builder_optimization_level = 5
    return text(config.builder_optimization_level)


def _with_flag(g: Ground, name: str) -> str:
    script = Script(g, _add())
    script.profile(BATCHES)
    script.config.set_flag(getattr(g.trt.BuilderFlag, name))
    return script.build()


@case("config-refit", "None", source=MEASURED + "REFIT fails without a GPU")
def _(g: Ground) -> Any:
    """REFIT needs a GPU."""
    return _with_flag(g, "REFIT")


@case("config-strip-plan", "None", source=MEASURED + "STRIP_PLAN fails without a GPU")
def _(g: Ground) -> Any:
    """STRIP_PLAN needs a GPU."""
    return _with_flag(g, "STRIP_PLAN")


@case("config-version-compatible", "None", source=MEASURED + "VERSION_COMPATIBLE fails without a GPU")
def _(g: Ground) -> Any:
    """VERSION_COMPATIBLE needs a GPU."""
    return _with_flag(g, "VERSION_COMPATIBLE")


def _for_target(g: Ground, model: onnx.ModelProto, shapes: Shapes, target: str) -> str:
    script = Script(g, model)
    script.profile(shapes)
    script.target(target)
    return script.build()


@case("target-sm86", "a plan", source=MEASURED + "SM86 is accepted without a GPU", needs=RTX)
def _(g: Ground) -> Any:
    """A plan can be built for a card that is not here."""
    return _for_target(g, MODELS["two"][0](), BATCHES, "SM86")


@case("target-sm120", "a plan", source=MEASURED + "SM120 is accepted", needs=RTX)
def _(g: Ground) -> Any:
    """Also for the newest."""
    return _for_target(g, _add(), BATCHES, "SM120")


@case("target-current", "None", source=MEASURED + "CURRENT fails without a GPU", needs=RTX)
def _(g: Ground) -> Any:
    """The card of this machine is no target where there is none."""
    return _for_target(g, _add(), BATCHES, "CURRENT")


@case("target-sm75-fp32", "None", "FP32 GEMM is not supported", source="pytorch/TensorRT pull request 4643", needs=RTX)
def _(g: Ground) -> Any:
    """TensorRT-RTX has no FP32 matrix product for compute capability 7.5."""
    return _for_target(g, MODELS["two"][0](), BATCHES, "SM75")


@case("target-sm75-fp16", "a plan", source=MEASURED + "FP16 builds for SM75", needs=RTX)
def _(g: Ground) -> Any:
    """FP16 it has."""
    return _for_target(g, _half(), BATCHES, "SM75")


@case(
    "target-attention-23", "None", "not supported by a dedicated kernel", source=MEASURED + "opset 23, SM86", needs=RTX
)
def _(g: Ground) -> Any:
    """ONNX's own Attention in FP32 has no kernel for compute capability 8.6."""
    limits = ((1, 2, 2, 8), (2, 2, 16, 8), (4, 2, 64, 8))
    return _for_target(g, _flash(), {"q": limits, "k": limits, "v": limits}, "SM86")


# --- the build ------------------------------------------------------------------------------------------------------


@case("build-twice", "True", source=MEASURED + "two builds are byte-identical", needs=RTX)
def _(g: Ground) -> Any:
    """Two builds of one network give the same bytes."""
    script = Script(g, _add())
    script.profile(BATCHES)
    plans = [bytes(script.builder.build_serialized_network(script.network, script.config)) for _ in range(2)]
    return text(plans[0] == plans[1])


@case("build-activation-memory", "a plan", "Total Activation Memory: ", source=MEASURED + "said at INFO")
def _(g: Ground) -> Any:
    """The log tells the activation memory."""
    return _built(g, MODELS["deep"][0](), {"x": ((1, 256), (8, 256), (64, 256))})


@case("build-weights-memory", "a plan", "Total Weights Memory: ", source=MEASURED + "said at INFO")
def _(g: Ground) -> Any:
    """The log tells the weights' memory."""
    return _built(g, MODELS["deep"][0](), {"x": ((1, 256), (8, 256), (64, 256))})


@case("build-to-stream", "(True, True)", source=BINDINGS + "Builder.build_serialized_network_to_stream")
def _(g: Ground) -> Any:
    """A plan can be written piece by piece."""
    written: list[bytes] = []

    class Writer(g.trt.IStreamWriter):  # type: ignore[name-defined]
        def __init__(self) -> None:
            g.trt.IStreamWriter.__init__(self)

        def write(self, data: Any) -> int:
            written.append(bytes(data))
            return len(written[-1])

    script = Script(g, _add())
    script.profile(BATCHES)
    writer = Writer()
    done = script.builder.build_serialized_network_to_stream(script.network, script.config, writer)
    return text((done, sum(map(len, written)) > 100))


def _monitored(g: Ground, go_on: Callable[[], bool]) -> str:
    class Monitor(g.trt.IProgressMonitor):  # type: ignore[name-defined]
        def __init__(self) -> None:
            g.trt.IProgressMonitor.__init__(self)
            self.steps = 0

        def phase_start(self, name: str, parent: str | None, count: int) -> None:
            return None

        def step_complete(self, name: str, step: int) -> bool:
            self.steps += 1
            return go_on()

        def phase_finish(self, name: str) -> None:
            return None

    script, monitor = Script(g, MODELS["two"][0]()), Monitor()
    script.profile(BATCHES)
    script.config.progress_monitor = monitor
    return f"{script.build()}, {monitor.steps > 0}"


@case("build-watched", "a plan, True", source=HEADER + "IProgressMonitor")
def _(g: Ground) -> Any:
    """A progress monitor is told of steps."""
    return _monitored(g, lambda: True)


@case("build-canceled", "None, True", "BuildCanceled", source=MEASURED + "returning False ends the build")
def _(g: Ground) -> Any:
    """A progress monitor can end the build."""
    return _monitored(g, lambda: False)


@case("build-type", "(True, True)", source=BINDINGS + "IHostMemory: nbytes, the buffer protocol")
def _(g: Ground) -> Any:
    """A plan has nbytes, and can be written to a file."""
    script = Script(g, _add())
    script.profile(BATCHES)
    plan = script.builder.build_serialized_network(script.network, script.config)
    with tempfile.TemporaryFile() as file:
        return text((plan.nbytes > 0, file.write(plan) >= plan.nbytes))


# --- what was removed -----------------------------------------------------------------------------------------------


@case("removed-explicit-batch", "AttributeError", source="TensorRT 11 migration guide: EXPLICIT_BATCH was removed")
def _(g: Ground) -> Any:
    """EXPLICIT_BATCH is gone."""
    return kind(lambda: g.trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)


@case("removed-fp16-flag", "AttributeError", source="TensorRT 11 migration guide: weak typing was removed")
def _(g: Ground) -> Any:
    """BuilderFlag.FP16 is gone: the type is in the model."""
    return kind(lambda: g.trt.BuilderFlag.FP16)


@case("removed-build-engine", "AttributeError", source="TensorRT 10 migration guide; NVIDIA/TensorRT issue 4216")
def _(g: Ground) -> Any:
    """Builder.build_engine is gone."""
    return kind(lambda: g.trt.Builder(g.logger).build_engine)


@case("removed-max-workspace-size", "AttributeError", source="TensorRT 10 migration guide; NVIDIA/TensorRT issue 4007")
def _(g: Ground) -> Any:
    """IBuilderConfig.max_workspace_size is gone."""
    return kind(lambda: Script(g).config.max_workspace_size)


@case("removed-max-batch-size", "AttributeError", source="TensorRT 10 migration guide: implicit batch was removed")
def _(g: Ground) -> Any:
    """Builder.max_batch_size is gone, also for writing."""
    return attempt(setattr, g.trt.Builder(g.logger), "max_batch_size", 1).split(":")[0]


# case -> backend or builder -> why it is otherwise there
_ANY_DOMAIN = "the expectation was wrong: NVIDIA's parser takes a known operator's name in any domain"
_TEXT = dict.fromkeys(
    ("nvidia", "python"),
    "the expectation was wrong for these bytes: protobuf stops at what reads as the end of a group, and parse is True"
    " with no errors, as for an HTML page that was saved as a model",
)
_GPU = dict.fromkeys(("tensorrt", "tensorrt_rtx"), "expected of a machine without a GPU; here is one")
DIFFERS: Mapping[str, Mapping[str, str]] = {
    "profile-baked-batch": {
        "nvidia": "no warning where the reshaped tensor meets the input again in an Add or a Concat; there is one where"
        " it is an output or goes into a MatMul (measured)"
    },
    "parse-garbage": _TEXT,
    "parse-errors-cleared": _TEXT,
    "parse-unknown-domain": {"nvidia": _ANY_DOMAIN, "python": _ANY_DOMAIN},
    "config-strip-plan": {
        "nvidia": "an Add alone builds; a MatMul of any size fails as it was measured",
        **_GPU,
    },
    "config-refit": _GPU,
    "config-version-compatible": _GPU,
    "target-current": _GPU,
}

CASES = listed(case.cases, DIFFERS)
