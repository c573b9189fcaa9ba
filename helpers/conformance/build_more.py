"""A second batch of build cases, written without a look at what either builder says, to hold both against.

As in `build_cases`, `returns` and `says` were committed before a builder ran a case and are never edited after that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .build_cases import BATCHES, BINDINGS, GUIDE, HEADER, F, Script, _add, _built, _bytes, _half, _two, _unary
from .case import Ground, listed
from .run_kit import MODELS, ROWS, Table, model_of, text

case = Table("build")

ERROR = "NvOnnxParser.h (TensorRT 11), IParserError: "
OPSETS = "TensorRT 11 documentation, ONNX opset guide: "
OPERATORS = "onnx/onnx-tensorrt, docs/operators.md: "
IMPORTER = "onnx/onnx-tensorrt, ModelImporter.cpp: "
TENSOR = "TensorRT's Python API, ITensor.name: each network input and output must have a unique name"


def _unknown_second() -> onnx.ModelProto:
    """y = Frobnicate(x + 1): the second node, called "odd", is unknown."""
    return model_of(
        [
            helper.make_node("Add", ["x", "one"], ["a"], name="fine"),
            helper.make_node("Frobnicate", ["a"], ["y"], name="odd"),
        ],
        {"x": (F, ["B", ROWS])},
        {"y": (F, ["B", ROWS])},
        one=np.ones(ROWS, np.float32),
    )


def _of_opset(version: int) -> onnx.ModelProto:
    model = _add()
    model.opset_import[0].version = version
    return model


def _nodes(nodes: Sequence[onnx.NodeProto], shape: Sequence[int | str], **weights: np.ndarray) -> onnx.ModelProto:
    return model_of(nodes, {"x": (F, shape)}, {"y": (F, shape)}, **weights)


# --- what the parser tells of an error ------------------------------------------------------------------------------


@case("error-node", "1", source=ERROR + "node is the index of the ONNX model's node")
def _(g: Ground) -> Any:
    """An error tells the index of its node."""
    script = Script(g, _unknown_second())
    return text(script.parser.get_error(0).node())


@case("error-node-name", "odd", source=ERROR + "nodeName is the name of the node")
def _(g: Ground) -> Any:
    """An error tells the name of its node."""
    script = Script(g, _unknown_second())
    return script.parser.get_error(0).node_name()


@case("error-operator", "Frobnicate", source=ERROR + "nodeOperator is the name of the node's operation")
def _(g: Ground) -> Any:
    """An error tells the operator of its node."""
    script = Script(g, _unknown_second())
    return script.parser.get_error(0).node_operator()


@case("error-code-unknown-operator", "UNSUPPORTED_NODE", source="NvOnnxParser.h (TensorRT 11), ErrorCode")
def _(g: Ground) -> Any:
    """An unknown operator has a code of its own."""
    script = Script(g, _unknown_second())
    return script.parser.get_error(0).code().name


@case("error-functions", "[]", source=ERROR + "localFunctionStack is empty outside local functions")
def _(g: Ground) -> Any:
    """A node outside a local function has no stack of functions."""
    script = Script(g, _unknown_second())
    return text(list(script.parser.get_error(0).local_function_stack()))


@case(
    "error-each-node", "(False, 2)", source="onnx/onnx-tensorrt, docs/Changelog.md, 9.1: static checkers report errors"
)
def _(g: Ground) -> Any:
    """Two unknown operators are two errors."""
    script = Script(g, _nodes([helper.make_node("Odd", ["x"], ["a"]), helper.make_node("Odder", ["a"], ["y"])], [2, 2]))
    return text((script.parsed, script.parser.num_errors))


@case("error-says-operators", "(True, False)", source="NvOnnxParser.h (TensorRT 11), IParser::supportsOperator")
def _(g: Ground) -> Any:
    """The parser can be asked for an operator by name."""
    script = Script(g)
    return text((script.parser.supports_operator("Add"), script.parser.supports_operator("Frobnicate")))


# --- models ---------------------------------------------------------------------------------------------------------


@case("opset-9", "True", source=OPSETS + "backward compatible to opset 9")
def _(g: Ground) -> Any:
    """The oldest promised opset is parsed."""
    return text(Script(g, _of_opset(9)).parsed)


@case("opset-25", "True", source=OPSETS + "maximum opset 25")
def _(g: Ground) -> Any:
    """The newest documented opset is parsed."""
    return text(Script(g, _of_opset(25)).parsed)


@case("model-out-of-order", "True", source=IMPORTER + "nodes are sorted topologically")
def _(g: Ground) -> Any:
    """Nodes in another order than their data's are sorted."""
    nodes = [helper.make_node("Neg", ["a"], ["y"]), helper.make_node("Abs", ["x"], ["a"])]
    return text(Script(g, _nodes(nodes, ["B", ROWS])).parsed)


@case("model-cycle", "False", "Failed to sort the model topologically", source=IMPORTER + "toposort's assertion")
def _(g: Ground) -> Any:
    """Nodes that wait for each other cannot be sorted."""
    nodes = [helper.make_node("Add", ["x", "y"], ["a"]), helper.make_node("Neg", ["a"], ["y"])]
    return text(Script(g, _nodes(nodes, ["B", ROWS])).parsed)


@case("model-tensor-of-nobody", "False", source="ONNX IR: a node's input is a graph input, an initializer or an output")
def _(g: Ground) -> Any:
    """A node that reads what nobody writes is refused."""
    return text(Script(g, _nodes([helper.make_node("Add", ["x", "nobody"], ["y"])], ["B", ROWS])).parsed)


@case("model-without-outputs", "None", "Network must have at least one output", source="NVIDIA/TensorRT issue 183")
def _(g: Ground) -> Any:
    """A graph that declares no outputs does not build."""
    model = _add()
    del model.graph.output[:]
    return _built(g, model, BATCHES)


@case("model-name", "small", source=IMPORTER + "the network gets the graph's name")
def _(g: Ground) -> Any:
    """The network is called as the ONNX graph."""
    return Script(g, _add()).network.name


@case("model-identity", "a plan", source=OPERATORS + "Identity")
def _(g: Ground) -> Any:
    """An output that is the input builds."""
    return _built(g, _nodes([helper.make_node("Identity", ["x"], ["y"])], ["B", ROWS]), BATCHES)


@case("model-empty-dimension", "a plan", source=GUIDE + "empty tensors are supported")
def _(g: Ground) -> Any:
    """A static input of no rows builds."""
    return _built(g, _nodes([helper.make_node("Neg", ["x"], ["y"])], [0, ROWS]))


@case("model-rank-9", "False", source=GUIDE + "tensors of 0 to 8 dimensions")
def _(g: Ground) -> Any:
    """Nine dimensions are refused."""
    return text(Script(g, _nodes([helper.make_node("Neg", ["x"], ["y"])], [1] * 9)).parsed)


@case("model-bfloat16", "True", source=OPERATORS + "types: BFLOAT16")
def _(g: Ground) -> Any:
    """BF16 is parsed."""
    return text(Script(g, _unary("Neg", TensorProto.BFLOAT16)).parsed)


@case("model-strings", "False", source=OPERATORS + "the types listed have no STRING")
def _(g: Ground) -> Any:
    """Strings are refused."""
    return text(Script(g, _unary("Identity", TensorProto.STRING)).parsed)


@case("model-loop", "True", source=OPERATORS + "Loop")
def _(g: Ground) -> Any:
    """A Loop with a constant trip count is parsed."""
    body = helper.make_graph(
        [helper.make_node("Add", ["v", "v"], ["w"]), helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", F, [2, ROWS]),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("w", F, [2, ROWS])],
    )
    node = helper.make_node("Loop", ["count", "yes", "x"], ["y"], body=body)
    return text(Script(g, _nodes([node], [2, ROWS], count=np.array(3), yes=np.array(True))).parsed)


@case("model-quantized", "a plan", source=OPERATORS + "QuantizeLinear, DequantizeLinear")
def _(g: Ground) -> Any:
    """A pair of Q and DQ in the graph builds."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    model = _nodes(nodes, ["B", ROWS], scale=np.array(0.1, np.float32), zero=np.array(0, np.int8))
    return _built(g, model, BATCHES)


@case("model-convolution", "a plan", source=OPERATORS + "Conv")
def _(g: Ground) -> Any:
    """A convolution of dynamic batch builds."""
    model = model_of(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        {"x": (F, ["B", 3, 8, 8])},
        {"y": (F, ["B", 4, 8, 8])},
        w=np.ones((4, 3, 3, 3), np.float32),
    )
    return _built(g, model, {"x": ((1, 3, 8, 8), (2, 3, 8, 8), (4, 3, 8, 8))})


@case("model-reshape-of-other-volume", "False", "volume", source="NVIDIA/TensorRT issue 2248: reshape changes volume")
def _(g: Ground) -> Any:
    """A static Reshape to another number of values is refused."""
    model = model_of(
        [helper.make_node("Reshape", ["x", "to"], ["y"])], {"x": (F, [2, 8])}, {"y": (F, [3, 5])}, to=np.array([3, 5])
    )
    return text(Script(g, model).parsed)


@case("model-product-of-other-sizes", "False", source="ONNX operators, MatMul: as numpy.matmul")
def _(g: Ground) -> Any:
    """A matrix product of 8 columns with 4 rows is refused."""
    model = model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": (F, ["B", 8])},
        {"y": (F, ["B", 4])},
        w=np.ones((4, 4), np.float32),
    )
    return text(Script(g, model).parsed)


@case("model-weights-of-wrong-length", "False", source="ONNX IR: raw_data holds all values of its dims")
def _(g: Ground) -> Any:
    """An initializer with fewer bytes than its shape says is refused."""
    model = _add()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones(ROWS, np.float32), "one"))
    model.graph.initializer[0].raw_data = b"\0" * 12
    return text(Script(g, model).parsed)


@case("model-half-output", "[HALF]", source=GUIDE + "strongly typed networks: the type is the model's")
def _(g: Ground) -> Any:
    """A model with FP16 inside has an FP16 output tensor."""
    network = Script(g, _half()).network
    return text([network.get_output(i).dtype.name for i in range(network.num_outputs)])


# --- the network ----------------------------------------------------------------------------------------------------


@case("outputs-marked-twice", "(1, a plan)", "already set as an output", source="NVIDIA-AI-IOT/torch2trt issue 532")
def _(g: Ground) -> Any:
    """An output that is marked again is told of, and stays one output."""
    script = Script(g, _add())
    script.network.mark_output(script.network.get_output(0))
    script.profile(BATCHES)
    return text((script.network.num_outputs, script.build()))


@case("outputs-input-marked", "1", "cannot be both input and output", source="NVIDIA-AI-IOT/torch2trt issue 365")
def _(g: Ground) -> Any:
    """An input cannot be marked as an output."""
    network = Script(g, _add()).network
    network.mark_output(network.get_input(0))
    return text(network.num_outputs)


@case("inputs-of-one-name", "None", source=TENSOR)
def _(g: Ground) -> Any:
    """Two inputs of one name do not build."""
    script = Script(g, _two())
    script.network.get_input(1).name = "input_ids"
    limits = ((1, 2), (2, 4), (4, 8))
    script.profile({"input_ids": limits})
    return script.build()


@case("inputs-beyond-the-last", "None", source=HEADER + "INetworkDefinition::getInput: nullptr beyond the last")
def _(g: Ground) -> Any:
    """An input that the network has not is None."""
    return text(Script(g, _add()).network.get_input(5))


@case("layers-of-nothing", "(0, 0, 0)", source=HEADER + "INetworkDefinition: a new one is empty")
def _(g: Ground) -> Any:
    """A new network has no layers, inputs or outputs."""
    network = Script(g).network
    return text((network.num_layers, network.num_inputs, network.num_outputs))


@case("layers-one-at-least", "True", source=HEADER + "INetworkDefinition::getNbLayers")
def _(g: Ground) -> Any:
    """A parsed model has layers."""
    return text(Script(g, _add()).network.num_layers > 0)


# --- profiles and the configuration ---------------------------------------------------------------------------------


@case("profiles-equal", "a plan", source=GUIDE + "a profile for each execution context may be needed")
def _(g: Ground) -> Any:
    """Two equal profiles build."""
    return _built(g, _add(), BATCHES, BATCHES)


@case("profiles-one-of-two-lacks-an-input", "None", "profile 1", source=GUIDE + "each profile has all dynamic inputs")
def _(g: Ground) -> Any:
    """The second of two profiles lacks the input: the log tells which."""
    return _built(g, _add(), BATCHES, {})


@case("profiles-shape-set-again", "[(1, 8), (3, 8), (9, 8)]", source=HEADER + "IOptimizationProfile::setDimensions")
def _(g: Ground) -> Any:
    """The last shapes that were set are the profile's."""
    profile = g.trt.Builder(g.logger).create_optimization_profile()
    profile.set_shape("x", *BATCHES["x"])
    profile.set_shape("x", (1, ROWS), (3, ROWS), (9, ROWS))
    return text([tuple(shape) for shape in profile.get_shape("x")])


@case("profiles-static-dimension-changed", "None", source=GUIDE + "static dimensions are the network's in each profile")
def _(g: Ground) -> Any:
    """A profile with 9 where the network has 8 columns does not build."""
    return _built(g, _add(), {"x": ((1, 9), (2, 9), (4, 9))})


@case("profiles-shape-tensor-without-values", "None", source=GUIDE + "shape tensors have values in the profile")
def _(g: Ground) -> Any:
    """An input whose values are a shape has no values in the profile."""
    script = Script(g, MODELS["expand"][0]())
    script.config.add_optimization_profile(script.builder.create_optimization_profile())
    return script.build()


@case("config-defaults", "(3, LAYER_NAMES_ONLY, 0, False)", source=HEADER + "IBuilderConfig's defaults")
def _(g: Ground) -> Any:
    """What a new configuration says: level, verbosity, profiles, REFIT."""
    config = Script(g).config
    refit = config.get_flag(g.trt.BuilderFlag.REFIT)
    return text(
        (config.builder_optimization_level, config.profiling_verbosity, config.num_optimization_profiles, refit)
    )


@case("config-flag-cleared", "(True, False)", source=HEADER + "IBuilderConfig::setFlag, clearFlag")
def _(g: Ground) -> Any:
    """A flag that was set can be cleared."""
    config, flag = Script(g).config, g.trt.BuilderFlag.REFIT
    config.set_flag(flag)
    before = config.get_flag(flag)
    config.clear_flag(flag)
    return text((before, config.get_flag(flag)))


@case("config-no-monitor", "None", source=BINDINGS + "IBuilderConfig.progress_monitor")
def _(g: Ground) -> Any:
    """A new configuration has no progress monitor."""
    return text(Script(g).config.progress_monitor)


@case(
    "build-model-of-bytes-twice",
    "True",
    source="NvOnnxParser.h (TensorRT 11), IParser::parse keeps nothing of its input",
)
def _(g: Ground) -> Any:
    """The same bytes go into a second network."""
    data = _bytes(_add())
    return text(Script(g, data).parsed and Script(g, data).parsed)


_WORDS = "the phrase was TensorRT 7's; 11 says: Failed attempt to set a tensor as network-level output"
_CODE = "the expectation was wrong: the parser looks for a plugin, and says INVALID_NODE where it finds none"
_NAME = "the expectation was wrong: the parser leaves the network's name alone"
# case -> builder -> why it is otherwise there
DIFFERS: Mapping[str, Mapping[str, str]] = {
    "error-code-unknown-operator": dict.fromkeys(("nvidia", "python"), _CODE),
    "model-name": dict.fromkeys(("nvidia", "python"), _NAME),
    "outputs-marked-twice": dict.fromkeys(("nvidia", "python"), _WORDS),
    "outputs-input-marked": dict.fromkeys(("nvidia", "python"), _WORDS),
}

CASES = listed(case.cases, DIFFERS)
