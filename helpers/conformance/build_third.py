"""A third batch of build cases: what documents say plainly of shapes, types, operators, profiles and settings.

As in `build_cases`, `returns` and `says` were committed before a builder ran a case and are never edited after that.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .build_cases import (
    BATCHES,
    BINDINGS,
    GUIDE,
    HEADER,
    I64,
    MEASURED,
    PARSER,
    RTX,
    SEQUENCES,
    F,
    H,
    Script,
    Tensor,
    _add,
    _attention,
    _built,
    _bytes,
    _for_target,
    _half,
    _outside,
    _with_workspace,
)
from .case import Ground, listed
from .run_kit import MODELS, ROWS, Table, kind, model_of, text

case = Table("build")

OPERATORS = "onnx/onnx-tensorrt, docs/operators.md: "
ONNX = "ONNX operators: "
MIGRATION = "TensorRT migration guides: "
X: Tensor = (F, ["B", ROWS])


def _chain(*nodes: onnx.NodeProto, x: Tensor = X, y: Tensor = X, **weights: np.ndarray) -> onnx.ModelProto:
    return model_of(nodes, {"x": x}, {"y": y}, **weights)


def _one(
    op: str, *names: str, x: Any = X, y: Any = X, weights: Mapping[str, Any] | None = None, **attributes: Any
) -> onnx.ModelProto:
    """y = op(x, names...)."""
    return _chain(helper.make_node(op, ["x", *names], ["y"], **attributes), x=x, y=y, **(weights or {}))


def _output(g: Ground, model: onnx.ModelProto) -> str:
    """Type and shape of the first output."""
    script = Script(g, model)
    tensor = script.network.get_output(0)
    return text((tensor.dtype.name, tuple(tensor.shape)))


# --- types ----------------------------------------------------------------------------------------------------------


@case("types-product-mixed", "False", source=MEASURED + "strongly typed: FP32 and FP16 do not meet")
def _(g: Ground) -> Any:
    """FP32 and FP16 do not meet in a matrix product."""
    return text(Script(g, _one("MatMul", "w", weights={"w": np.ones((ROWS, ROWS), np.float16)})).parsed)


@case("types-integers-mixed", "False", "must have same input types", source=MEASURED + "strongly typed networks")
def _(g: Ground) -> Any:
    """int32 and int64 do not meet in a sum."""
    x = (TensorProto.INT32, ["B", ROWS])
    return text(Script(g, _one("Add", "c", x=x, y=x, weights={"c": np.ones(ROWS, np.int64)})).parsed)


@case("types-concat-mixed", "False", source=MEASURED + "strongly typed networks")
def _(g: Ground) -> Any:
    """FP32 and FP16 are not put side by side."""
    model = model_of(
        [helper.make_node("Concat", ["x", "z"], ["y"], axis=1)], {"x": X, "z": (H, ["B", ROWS])}, {"y": (F, ["B", 16])}
    )
    return text(Script(g, model).parsed)


@case("types-cast-first", "True", source=ONNX + "Cast")
def _(g: Ground) -> Any:
    """With a Cast before it the sum of two types is right."""
    nodes = (helper.make_node("Cast", ["c"], ["f"], to=F), helper.make_node("Add", ["x", "f"], ["y"]))
    return text(Script(g, _chain(*nodes, c=np.ones(ROWS, np.float16))).parsed)


@case("types-comparison", "(BOOL, (-1, 8))", source=ONNX + "Greater gives bool")
def _(g: Ground) -> Any:
    """A comparison gives bool."""
    y = (TensorProto.BOOL, ["B", ROWS])
    return _output(g, _one("Greater", "c", y=y, weights={"c": np.zeros(ROWS, np.float32)}))


@case("types-shape", "(INT64, (2,))", source=ONNX + "Shape gives int64")
def _(g: Ground) -> Any:
    """A shape is int64."""
    return _output(g, _one("Shape", y=(I64, [2])))


@case("types-argmax", "(INT64, (-1, 1))", source=ONNX + "ArgMax gives int64")
def _(g: Ground) -> Any:
    """The place of the maximum is int64."""
    return _output(g, _one("ArgMax", y=(I64, ["B", 1]), axis=1, keepdims=1))


@case("types-softmax-half", "(HALF, (-1, 8))", source=ONNX + "Softmax keeps its type")
def _(g: Ground) -> Any:
    """A softmax of FP16 gives FP16."""
    x = (H, ["B", ROWS])
    return _output(g, _one("Softmax", x=x, y=x, axis=-1))


# --- shapes ---------------------------------------------------------------------------------------------------------


@case("shapes-product", "(FLOAT, (-1, 4))", source=ONNX + "MatMul")
def _(g: Ground) -> Any:
    """A product has the rows of one and the columns of the other."""
    return _output(g, MODELS["two"][0]())


@case("shapes-transpose", "(FLOAT, (8, -1))", source=ONNX + "Transpose")
def _(g: Ground) -> Any:
    """A dynamic dimension moves with its axis."""
    return _output(g, _one("Transpose", y=(F, [ROWS, "B"]), perm=[1, 0]))


@case("shapes-concat", "(FLOAT, (-1, 16))", source=ONNX + "Concat")
def _(g: Ground) -> Any:
    """Side by side the columns add up."""
    return _output(g, _one("Concat", "x", y=(F, ["B", 16]), axis=1))


@case("shapes-reshape-zero", "(FLOAT, (-1, 8))", source=ONNX + "Reshape: 0 keeps a dimension, -1 is what remains")
def _(g: Ground) -> Any:
    """A Reshape with 0 keeps the dynamic dimension."""
    return _output(g, _one("Reshape", "to", x=(F, ["B", 2, 4]), weights={"to": np.array([0, -1])}))


@case("shapes-reduce", "(FLOAT, (-1, 1))", source=ONNX + "ReduceMean 18")
def _(g: Ground) -> Any:
    """A mean over the columns leaves one."""
    return _output(g, _one("ReduceMean", "axes", y=(F, ["B", 1]), weights={"axes": np.array([1])}, keepdims=1))


@case("shapes-unsqueeze", "(FLOAT, (-1, 1, 8))", source=ONNX + "Unsqueeze 13")
def _(g: Ground) -> Any:
    """A dimension of 1 is put in."""
    return _output(g, _one("Unsqueeze", "axes", y=(F, ["B", 1, ROWS]), weights={"axes": np.array([1])}))


@case("shapes-gather", "(FLOAT, (-1, 4))", source=ONNX + "Gather")
def _(g: Ground) -> Any:
    """Rows of a table have the table's columns."""
    return _output(g, MODELS["gather"][0]())


@case("shapes-split", "[(-1, 3), (-1, 5)]", source=ONNX + "Split 18")
def _(g: Ground) -> Any:
    """A split gives two outputs of the lengths that were asked for."""
    model = model_of(
        [helper.make_node("Split", ["x", "parts"], ["y", "z"], axis=1)],
        {"x": X},
        {"y": (F, ["B", 3]), "z": (F, ["B", 5])},
        parts=np.array([3, 5]),
    )
    network = Script(g, model).network
    return text([tuple(network.get_output(i).shape) for i in range(network.num_outputs)])


@case("shapes-shape-tensor", "True", source=HEADER + "ITensor::isShapeTensor")
def _(g: Ground) -> Any:
    """An input whose values are a shape is a shape tensor."""
    network = Script(g, MODELS["expand"][0]()).network
    names = [network.get_input(i).name for i in range(network.num_inputs)]
    return text(network.get_input(names.index("to")).is_shape_tensor)


# --- operators ------------------------------------------------------------------------------------------------------


def _operator(name: str, make: Any) -> None:
    """A case of one operator: a network of it alone builds."""

    def run(g: Ground) -> Any:
        return _built(g, make(), BATCHES)

    run.__doc__ = f"{name} builds."
    case(f"operator-{name.lower()}", "a plan", source=OPERATORS + name)(run)


_operator("Gelu", lambda: _one("Gelu"))
_operator("Erf", lambda: _one("Erf"))
_operator("Tanh", lambda: _one("Tanh"))
_operator("LayerNormalization", lambda: _one("LayerNormalization", "s", weights={"s": np.ones(ROWS, np.float32)}))
_operator("Clip", lambda: _one("Clip", "", "top", weights={"top": np.array(1, np.float32)}))
_operator("CumSum", lambda: _one("CumSum", "axis", weights={"axis": np.array(1)}))
_operator("Einsum", lambda: _one("Einsum", "w", weights={"w": np.ones((8, 8), np.float32)}, equation="bi,ij->bj"))
_operator("Gemm", lambda: _one("Gemm", "w", weights={"w": np.ones((8, 8), np.float32)}, transB=1))
_operator("Pow", lambda: _one("Pow", "e", weights={"e": np.array(2, np.float32)}))
_operator(
    "Where",
    lambda: _chain(
        helper.make_node("Greater", ["x", "c"], ["m"]), helper.make_node("Where", ["m", "x", "c"], ["y"]),
        c=np.zeros(ROWS, np.float32),
    ),
)  # fmt: skip
_operator("TopK", lambda: _top())


def _top() -> onnx.ModelProto:
    return model_of(
        [helper.make_node("TopK", ["x", "k"], ["y", "places"], axis=1)],
        {"x": X},
        {"y": (F, ["B", 3])},
        k=np.array([3]),
    )


@case("operator-constant-node", "a plan", source=OPERATORS + "Constant")
def _(g: Ground) -> Any:
    """A constant may be a node."""
    value = numpy_helper.from_array(np.ones(ROWS, np.float32))
    nodes = (helper.make_node("Constant", [], ["c"], value=value), helper.make_node("Add", ["x", "c"], ["y"]))
    return _built(g, _chain(*nodes), BATCHES)


@case("operator-of-trees", "False", "Plugin not found", source=OPERATORS + "has none of ai.onnx.ml")
def _(g: Ground) -> Any:
    """A forest of decision trees is no operator that TensorRT knows."""
    model = _one("TreeEnsembleRegressor", domain="ai.onnx.ml")
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return text(Script(g, model).parsed)


# --- routes into a network ------------------------------------------------------------------------------------------


@case("route-path-beside-bytes", "True", source=BINDINGS + "OnnxParser.parse(model, path): for weights in other files")
def _(g: Ground) -> Any:
    """With the model's path beside its bytes the weights in another file are found."""
    script = Script(g)
    with tempfile.TemporaryDirectory() as folder:
        path = _outside(Path(folder))
        return text(script.parser.parse(path.read_bytes(), str(path)))


@case("route-file", "(True, 1)", source=PARSER + "IParser::parseFromFile")
def _(g: Ground) -> Any:
    """A file is parsed."""
    script = Script(g)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(_bytes(_add()))
        return text((script.parser.parse_from_file(str(path)), script.network.num_outputs))


@case("route-file-cut-off", "False", source=MEASURED + "truncated ONNX")
def _(g: Ground) -> Any:
    """A file that was cut off is refused."""
    script = Script(g)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(_bytes(_add())[:-20])
        return text(script.parser.parse_from_file(str(path)))


@case("route-initializer-among-inputs", "1", source="ONNX IR 3: initializers are listed among the inputs, too")
def _(g: Ground) -> Any:
    """An initializer that is listed among the inputs is none of the network."""
    model = _add()
    model.graph.input.append(helper.make_tensor_value_info("one", F, [ROWS]))
    return text(Script(g, model).network.num_inputs)


@case("route-native-norm", "True", source="onnx/onnx-tensorrt, docs/Changelog.md, 10.0: NATIVE_INSTANCENORM is on")
def _(g: Ground) -> Any:
    """The parser's flag for instance normalization is on."""
    script = Script(g)
    return text(script.parser.get_flag(g.trt.OnnxParserFlag.NATIVE_INSTANCENORM))


@case("route-ends", "(True, True)", source=HEADER + "ITensor::isNetworkInput, isNetworkOutput")
def _(g: Ground) -> Any:
    """Tensors know that they are a network's ends."""
    network = Script(g, _add()).network
    return text((network.get_input(0).is_network_input, network.get_output(0).is_network_output))


@case("route-output-unmarked", "None", "Network must have at least one output", source=HEADER + "unmarkOutput")
def _(g: Ground) -> Any:
    """Without its only output a network does not build."""
    script = Script(g, _add())
    script.network.unmark_output(script.network.get_output(0))
    script.profile(BATCHES)
    return script.build()


@case("route-output-renamed", "a plan", source=HEADER + "ITensor::setName")
def _(g: Ground) -> Any:
    """An output can be renamed after parsing."""
    script = Script(g, _add())
    script.network.get_output(0).name = "answer"
    script.profile(BATCHES)
    return script.build()


# --- profiles -------------------------------------------------------------------------------------------------------


@case("range-of-one", "a plan", source=GUIDE + "minimum, optimum and maximum may be equal")
def _(g: Ground) -> Any:
    """A profile of one shape builds."""
    return _built(g, _add(), {"x": ((2, ROWS),) * 3})


@case("range-of-static-input", "a plan", source=GUIDE + "profiles are needed for dynamic inputs only")
def _(g: Ground) -> Any:
    """A profile that repeats a static input's shape does no harm."""
    return _built(g, MODELS["static"][0](), {"x": ((2, ROWS),) * 3})


@case("range-of-other-ranks", "RuntimeError", source=BINDINGS + "set_shape: inconsistent with other shapes")
def _(g: Ground) -> Any:
    """Minimum and optimum of other ranks are refused at once."""
    profile = g.trt.Builder(g.logger).create_optimization_profile()
    return kind(profile.set_shape, "x", (1, ROWS), (2,), (4, ROWS))


@case("range-values-unset", "[]", source=BINDINGS + "IOptimizationProfile.get_shape_input")
def _(g: Ground) -> Any:
    """The values of an input that the profile does not have are an empty list."""
    return text(list(g.trt.Builder(g.logger).create_optimization_profile().get_shape_input("x")))


@case("range-memory-target", "1.0", source=HEADER + "IOptimizationProfile::getExtraMemoryTarget")
def _(g: Ground) -> Any:
    """The share of further memory that a profile may take is all."""
    return text(g.trt.Builder(g.logger).create_optimization_profile().extra_memory_target)


@case("range-of-one-name", "a plan", source=MEASURED + "a mask whose dimension is named like the past builds silently")
def _(g: Ground) -> Any:
    """Two inputs share the name of a dimension, never meet, and have other lengths: it builds."""
    model = model_of(
        [helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Neg", ["z"], ["w"])],
        {"x": X, "z": X},
        {"y": X, "w": X},
    )
    return _built(g, model, {**BATCHES, "z": ((1, ROWS), (3, ROWS), (6, ROWS))})


# --- settings -------------------------------------------------------------------------------------------------------


@case("setting-workspace-small", "a plan", source=GUIDE + "a workspace only for layers that need it")
def _(g: Ground) -> Any:
    """A sum needs no workspace to speak of."""
    return _with_workspace(g, _add(), 1 << 20, BATCHES)


@case("setting-workspace-1-mib", "None", source=MEASURED + "a workspace of 1 MiB")
def _(g: Ground) -> Any:
    """Attention over 128 x 512 does not build in 1 MiB."""
    return _with_workspace(g, _attention(), 1 << 20, SEQUENCES)


@case("setting-flags-none", "(0, False)", source=HEADER + "IBuilderConfig::setFlags")
def _(g: Ground) -> Any:
    """All flags can be cleared as one number."""
    config = Script(g).config
    config.flags = 0
    return text((config.flags, config.get_flag(g.trt.BuilderFlag.TF32)))


@case("setting-level-0", "a plan", source=HEADER + "IBuilderConfig::setBuilderOptimizationLevel: 0 to 5")
def _(g: Ground) -> Any:
    """The lowest optimization level builds."""
    script = Script(g, _add())
    script.config.builder_optimization_level = 0
    script.profile(BATCHES)
    return script.build()


@case("setting-threads", "(1, 4)", source=HEADER + "IBuilder::setMaxThreads")
def _(g: Ground) -> Any:
    """A builder has one thread, and can have more."""
    builder = g.trt.Builder(g.logger)
    before = builder.max_threads
    builder.max_threads = 4
    return text((before, builder.max_threads))


@case("setting-two-configurations", "(True, True)", source=HEADER + "IBuilder::buildSerializedNetwork")
def _(g: Ground) -> Any:
    """One network is built with two configurations."""
    script = Script(g, _add())
    script.profile(BATCHES)
    first = script.build()
    script.config = script.builder.create_builder_config()
    script.profile({"x": ((4, ROWS), (8, ROWS), (16, ROWS))})
    return text((first == "a plan", script.build() == "a plan"))


@case("setting-target-sm89", "a plan", source=MEASURED + "SM89 is accepted", needs=RTX)
def _(g: Ground) -> Any:
    """A plan for compute capability 8.9."""
    return _for_target(g, _add(), BATCHES, "SM89")


@case("setting-target-half", "a plan", source=MEASURED + "FP16 for SM86", needs=RTX)
def _(g: Ground) -> Any:
    """An FP16 product for compute capability 8.6."""
    return _for_target(g, _half(), BATCHES, "SM86")


# --- what was removed -----------------------------------------------------------------------------------------------


@case("gone-calibrator", "AttributeError", source=MIGRATION + "implicit quantization was removed in 11")
def _(g: Ground) -> Any:
    """Calibrators are gone."""
    return kind(lambda: g.trt.IInt8EntropyCalibrator2)


@case("gone-fully-connected", "AttributeError", source=MIGRATION + "IFullyConnectedLayer was removed in 10")
def _(g: Ground) -> Any:
    """INetworkDefinition.add_fully_connected is gone."""
    return kind(lambda: Script(g).network.add_fully_connected)


@case("gone-uff", "AttributeError", source=MIGRATION + "the UFF parser was removed in 9")
def _(g: Ground) -> Any:
    """The UFF parser is gone."""
    return kind(lambda: g.trt.UffParser)


@case("gone-build-cuda-engine", "AttributeError", source=MIGRATION + "Builder.build_cuda_engine was removed in 8")
def _(g: Ground) -> Any:
    """Builder.build_cuda_engine is gone."""
    return kind(lambda: g.trt.Builder(g.logger).build_cuda_engine)


# case -> builder -> why it is otherwise there
_RANKS = "the expectation was wrong: set_shape takes them, and says nothing"
_NAMED = (
    "silent where dimensions of one name differ at the minimum or the maximum alone; these differ at the optimum, which"
    " is refused (measured)"
)
DIFFERS: Mapping[str, Mapping[str, str]] = {
    "range-of-other-ranks": dict.fromkeys(("nvidia", "python"), _RANKS),
    "range-of-one-name": dict.fromkeys(("nvidia", "python"), _NAMED),
}

CASES = listed(case.cases, DIFFERS)
