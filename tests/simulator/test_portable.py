"""The builder in Python against NVIDIA's, side by side in one process; and alone, where there is no wheel."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

from helpers.simulator import guard, portable
from helpers.simulator.native import BUILDER
from helpers.simulator.plan import PlanError, extract, open_plan

from .conftest import BATCHES, TEXTS, Log, add_model, build, classifier_model, linear_model, reference

beside_nvidia = pytest.mark.skipif(BUILDER != "nvidia", reason="compares with NVIDIA's builder")


def tensor(name: str, dims: Any, kind: int = T.FLOAT) -> onnx.ValueInfoProto:
    return h.make_tensor_value_info(name, kind, dims)


def model(nodes: Any, inputs: Any, outputs: Any, weights: Any = (), opset: int = 20) -> onnx.ModelProto:
    graph = h.make_graph(nodes, "graph", inputs, outputs, [nh.from_array(w, name) for name, w in dict(weights).items()])
    made = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], ir_version=10)
    if any(not info.type.tensor_type.HasField("shape") for info in graph.output):  # a model that is well formed has it
        whole = onnx.ModelProto.FromString(made.SerializeToString())
        whole.graph.ClearField("output")
        whole.graph.output.extend(onnx.ValueInfoProto(name=info.name) for info in graph.output)
        inferred = onnx.shape_inference.infer_shapes(whole, data_prop=True).graph.output
        for info, found in zip(made.graph.output, inferred, strict=True):
            dims = found.type.tensor_type.shape.dim
            info.type.tensor_type.shape.dim.extend(dims or [onnx.TensorShapeProto.Dimension(dim_param="any")])
    return made


def single(op: str, *names: str, kind: int = T.FLOAT, dims: Any = ("B", 8), opset: int = 20, **more: Any) -> Any:
    """A model of one node: x, and weights by name, to y."""
    weights = {k: v for k, v in more.items() if isinstance(v, np.ndarray)}
    attributes = {k: v for k, v in more.items() if k not in weights}
    node = h.make_node(op, ["x", *names, *(w for w in weights if w not in names)], ["y"], **attributes)
    return model([node], [tensor("x", dims, kind)], [tensor("y", None, kind)], weights, opset)


def changed(change: Callable[[Any], Any], of: Callable[[], Any] = linear_model) -> onnx.ModelProto:
    made = of()
    change(made)
    return made


@dataclass
class Outcome:
    """What a parser and a builder answered, and said."""

    parsed: Any = None
    errors: list[Any] = field(default_factory=list)
    added: list[int] = field(default_factory=list)
    built: bool = False
    raised: str = ""
    log: str = ""

    def answers(self) -> tuple[Any, ...]:
        return self.parsed, self.errors, self.added, self.built, self.raised


def outcome(trt: Any, data: Any, profiles: Any, configure: Any = None, flags: int = 0) -> Outcome:
    found, log = Outcome(), Log(trt)
    try:
        builder = trt.Builder(log.logger)
        network = builder.create_network(flags)
        parser = trt.OnnxParser(network, log.logger)
        found.parsed = parser.parse(data if isinstance(data, bytes | str) else data.SerializeToString())
        errors = [parser.get_error(i) for i in range(parser.num_errors)]
        found.errors = [(str(e.code()), e.node(), e.node_name(), e.node_operator()) for e in errors]
        config = builder.create_builder_config()
        for shapes in profiles:
            profile = builder.create_optimization_profile()
            for name, three in shapes.items():
                profile.set_shape(name, *three)
            found.added.append(config.add_optimization_profile(profile))
        if configure is not None:
            configure(trt, config)
        found.built = builder.build_serialized_network(network, config) is not None
    except (TypeError, RuntimeError, ValueError, AttributeError) as error:
        found.raised = type(error).__name__
    found.log = "\n".join(f"{severity} {text}" for severity, text in log.logger.lines)
    return found


def workspace(nbytes: int) -> Any:
    return lambda trt, config: config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, nbytes)


def flag(name: str) -> Any:
    return lambda trt, config: config.set_flag(getattr(trt.BuilderFlag, name))


def target(*names: str) -> Any:
    def configure(trt: Any, config: Any) -> None:
        config.num_compute_capabilities = len(names)
        for i, name in enumerate(names):
            config.set_compute_capability(getattr(trt.ComputeCapability, name), i)

    return configure


def capability(name: str) -> Any:
    return lambda trt, config: setattr(config, "engine_capability", getattr(trt.EngineCapability, name))


def X(*dims: Any) -> dict[str, Any]:
    return {"x": dims}


ONES = np.ones(8, np.float32)
HALF = np.ones(8, np.float16)
TABLE = [
    h.make_node("Shape", ["x"], ["length"], start=0, end=1),
    h.make_node("Slice", ["w", "zero", "length", "zero"], ["positions"]),
    h.make_node("Add", ["x", "positions"], ["y"], name="add"),
]
WITH_TABLE = model(
    TABLE, [tensor("x", ["S", 8])], [tensor("y", ["S", 8])], {"w": np.ones((16, 8), np.float32), "zero": np.array([0])}
)
TWO = model(
    [h.make_node("Add", ["x", "z"], ["y"])], [tensor("x", ["A", 8]), tensor("z", ["B", 8])], [tensor("y", None)]
)
JOINED = model(
    [h.make_node("Concat", ["x", "z"], ["y"], axis=1)],
    [tensor("x", ["A", 8]), tensor("z", ["B", 8])],
    [tensor("y", None)],
)
SIDE = changed(
    lambda m: (
        m.graph.initializer[0].ClearField("raw_data"),
        setattr(m.graph.initializer[0], "data_location", T.EXTERNAL),
        m.graph.initializer[0].external_data.add(key="location", value="nowhere.bin"),
    )
)
BATCH = BATCHES["x"]
ROWS = ((1, 64), (2, 64), (4, 64))

# name: (model or bytes, profiles, configure, what both say: a severity and a phrase)
SITUATIONS: dict[str, tuple[Any, Any, Any, str]] = {
    "fine": (add_model(), [BATCHES], None, "INFO Total Weights Memory: 32 bytes"),
    "two profiles": (add_model(), [BATCHES, X((5, 8), (6, 8), (7, 8))], None, "INFO Total Activation Memory: 0 bytes"),
    "no profile": (add_model(), [], None, "ERROR IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (Network has dynamic or shape inputs, but no optimization profile has been defined."),
    "empty profile": (add_model(), [{}], None, "Dynamic input tensor x is missing dimensions in profile 0."),
    "input missing": (classifier_model(), [{"input_ids": ROWS}], None, "Dynamic input tensor attention_mask is missing dimensions in profile 0."),
    "name misspelled": (classifier_model(), [{"input_ids": ROWS, "mask": ROWS}], None, "attention_mask is missing dimensions"),
    "one name too many": (classifier_model(), [{**TEXTS, "more": ROWS}], None, "INFO Total Weights Memory: 800 bytes"),
    "min > opt": (add_model(), [X((3, 8), (2, 8), (4, 8))], None, "Invalid optimization profiles for input tensors x, please ensure that the optimization profiles satisfy MIN<=OPT<=MAX."),
    "ranks differ": (add_model(), [X((1,), (2, 8), (4, 8))], None, "condition: profile->isValid()."),
    "wrong rank": (add_model(), [X((1,), (2,), (4,))], None, "Dynamic-shaped input tensor x has 2 dimensions but profile 0 has 1 dimensions."),
    "fixed dimension differs": (add_model(), [X((1, 4), (2, 4), (4, 4))], None, "Dimension mismatch for tensor x and profile 0. At dimension axis 1, profile has min=4, opt=4, max=4 but tensor has 8."),
    "second profile is wrong": (add_model(), [BATCHES, X((1, 8), (2, 8), (4, 9))], None, "Dimension mismatch for tensor x and profile 1."),
    "negative": (add_model(), [X((-1, 8), (2, 8), (4, 8))], None, "ERROR IOptimizationProfile::setDimensions"),
    "min 0": (add_model(), [X((0, 8), (2, 8), (4, 8))], None, "INFO In input (x), minShape is not the same as maxShape."),
    "static input": (single("Relu", dims=[2, 8]), [], None, "INFO Total Activation Memory: 0 bytes"),
    "static input, other profile": (single("Relu", dims=[2, 8]), [BATCHES], None, "Input tensor x has static dimensions that don't match kMIN dimensions in profile index 0. Input dimensions are [2,8] but profile dimensions are [1,8]."),
    "batches differ at opt": (classifier_model(), [{"input_ids": ROWS, "attention_mask": ((1, 64), (3, 64), (4, 64))}], None, "Profile kOPT values are not self-consistent. Dimensions with name batch must be equal. Condition '==' violated: 2 != 3."),
    "batches differ at max": (classifier_model(), [{"input_ids": ROWS, "attention_mask": ((1, 64), (2, 64), (8, 64))}], None, "INFO Total Weights Memory"),
    "other names differ at max": (TWO, [{"x": BATCH, "z": ((1, 8), (2, 8), (5, 8))}], None, "WARNING Profile kMAX values are not self-consistent. node_of_y: dimensions not compatible for elementwise. Broadcast has incompatible dimensions: 4 != 5 && 4 != 1 && 5 != 1."),
    "other names differ at opt": (TWO, [{"x": BATCH, "z": ((1, 8), (3, 8), (5, 8))}], None, "kOPT values for profile 0 violate shape constraints: node_of_y: dimensions not compatible for elementwise."),
    "joined differ at opt": (JOINED, [{"x": BATCH, "z": ((1, 8), (3, 8), (5, 8))}], None, "axis 0 dimensions must be equal for concatenation on axis 1. Dimensions are A and B. Condition '==' violated: 2 != 3."),
    "joined differ at max": (JOINED, [{"x": BATCH, "z": ((1, 8), (2, 8), (5, 8))}], None, "INFO Total Weights Memory"),
    "beyond the table at max": (WITH_TABLE, [X((1, 8), (8, 8), (32, 8))], None, "WARNING Profile kMAX values are not self-consistent. add: dimensions not compatible for elementwise. Condition '==' violated: 32 != 16."),
    "beyond the table at opt": (WITH_TABLE, [X((1, 8), (24, 8), (32, 8))], None, "kOPT values for profile 0 violate shape constraints: add: dimensions not compatible for elementwise. Condition '==' violated: 24 != 16."),
    "a batch in the graph": (single("Reshape", s=np.array([2, 8])), [BATCHES], None, "WARNING Profile kMAX values are not self-consistent. IShuffleLayer node_of_y: reshaping failed for tensor: x reshape would change volume 32 to 16"),
    "another batch in the graph": (single("Reshape", s=np.array([3, 8])), [BATCHES], None, "reshape would change volume 16 to 24"),
    "-1 of nothing": (single("Reshape", s=np.array([0, -1])), [X((0, 8), (2, 8), (4, 8))], None, "Reshape dimension of -1 has indeterminate solution."),
    "unused input": (model([h.make_node("Relu", ["x"], ["y"])], [tensor("x", ["B", 8]), tensor("u", [2])], [tensor("y", None)]), [BATCHES], None, "WARNING [RemoveDeadLayers] Input Tensor u is unused or used only at compile-time, but is not being removed."),
    "shape input without values": (model([h.make_node("Reshape", ["x", "s"], ["y"])], [tensor("x", ["B", 8]), tensor("s", [2], T.INT64)], [tensor("y", ["a", "b"])]), [BATCHES], None, "Optimization profile 0 is missing values for shape input tensor s."),
    "int64": (single("Identity", kind=T.INT64), [BATCHES], None, "Make sure output y has Int64 binding."),
    # --- files
    "nothing": (b"", [], None, "Network must have at least one output."),
    "a text that ends as protobuf": (b"hello world", [], None, "Network must have at least one output."),
    "zeros": (bytes(100), [], None, "Network must have at least one output."),
    "truncated": (linear_model().SerializeToString()[:-40], [], None, "Failed to parse the ONNX model."),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(100)), [], None, "Failed to parse the ONNX model."),
    "first byte": (b"\xff" + linear_model().SerializeToString()[1:], [], None, "Failed to parse the ONNX model."),
    "a path": ("linear.onnx", [], None, ""),
    "no nodes": (changed(lambda m: m.graph.ClearField("node")), [BATCHES], None, "Trying to access weights or a null tensor!"),
    "no outputs": (changed(lambda m: m.graph.ClearField("output")), [BATCHES], None, "Network must have at least one output."),
    "no opset": (changed(lambda m: m.ClearField("opset_import")), [BATCHES], None, "Pre-opset 7 broadcasting is unsupported in this version of the ONNX parser"),
    "opset 5": (changed(lambda m: setattr(m.opset_import[0], "version", 5)), [BATCHES], None, "TensorRT supports ONNX graphs generated with at least opset 7."),
    "opset 99": (changed(lambda m: setattr(m.opset_import[0], "version", 99)), [BATCHES], None, "INFO Total Weights Memory"),
    "weights missing": (changed(lambda m: m.graph.ClearField("initializer")), [BATCHES], None, "Node input was not registered."),
    "weights too short": (changed(lambda m: setattr(m.graph.initializer[0], "raw_data", b"1234")), [BATCHES], None, "Size mismatch when importing initializer: W. Expected size: 4 , actual size: 128"),
    "weights twice": (changed(lambda m: m.graph.initializer.append(m.graph.initializer[0])), [BATCHES], None, "ONNX graph has duplicate tensor name: W"),
    "weights in another file": (SIDE, [BATCHES], None, "Failed to open file: nowhere.bin"),
    "an output that nobody makes": (changed(lambda m: setattr(m.graph.output[0], "name", "z")), [BATCHES], None, "Trying to access weights or a null tensor!"),
    "two inputs of one name": (changed(lambda m: m.graph.input.append(m.graph.input[0])), [BATCHES], None, "ONNX graph has duplicate tensor name: x"),
    "two nodes of one output": (changed(lambda m: m.graph.node.append(m.graph.node[1])), [BATCHES], None, "Failed to sort the model topologically."),
    "a circle": (model([h.make_node("Add", ["x", "b"], ["a"]), h.make_node("Relu", ["a"], ["b"])], [tensor("x", ["B", 8])], [tensor("b", None)]), [BATCHES], None, "Failed to sort the model topologically."),
    "not in order": (model([h.make_node("Relu", ["a"], ["y"]), h.make_node("Neg", ["x"], ["a"])], [tensor("x", ["B", 8])], [tensor("y", None)]), [BATCHES], None, "INFO Total Weights Memory: 0 bytes"),
    "an unknown operator": (changed(lambda m: setattr(m.graph.node[0], "op_type", "Frobnicate")), [BATCHES], None, "Plugin not found, are the plugin name, version, and namespace correct?"),
    "two unknown operators": (model([h.make_node("Foo", ["x"], ["a"]), h.make_node("Bar", ["a"], ["y"])], [tensor("x", ["B", 8])], [tensor("y", None)]), [BATCHES], None, 'While parsing node number 1 [Bar -> "y"]:'),
    "a sequence": (model([h.make_node("SequenceConstruct", ["x"], ["s"]), h.make_node("SequenceAt", ["s", "i"], ["y"])], [tensor("x", [2])], [tensor("y", None)], {"i": np.array(0)}), [], None, "[8] false"),
    "an operator without its attribute": (single("Cast"), [BATCHES], None, "Attribute not found: to"),
    "an attribute that is no choice": (single("Gelu", approximate="apple"), [BATCHES], None, "Invalid value provided for the Gelu 'approximate' attribute: apple"),
    "an operator that needs a plugin": (single("NonZero"), [BATCHES], None, "NonZero plugin creator version 1 was not found in plugin registry."),
    "an operator of another domain": (changed(lambda m: (setattr(m.graph.node[0], "domain", "my.own"), m.opset_import.append(h.make_opsetid("my.own", 1)))), [BATCHES], None, "INFO Total Activation Memory: 8192000 bytes"),
    "an input as output": (model([], [tensor("x", ["B", 8])], [tensor("x", ["B", 8])]), [BATCHES], None, "Dynamic input tensor __x is missing dimensions in profile 0."),
    "nine dimensions": (single("Relu", dims=[1] * 9), [], None, "Failed to convert ONNX dimensions to TensorRT dimensions."),
    # --- types
    "half and float added": (single("Add", w=HALF), [BATCHES], None, "ElementWiseOperation SUM must have same input types. But they are of types Float and Half."),
    "half and float multiplied": (single("MatMul", w=np.ones((8, 8), np.float16)), [BATCHES], None, "IMatrixMultiplyLayer must have same input types. `A` is of type Float and `B` is of type Half."),
    "half and float normalised": (single("LayerNormalization", w=HALF), [BATCHES], None, "INormalizationLayer `input` and `scale` must have identical types. `input` type is Float and `scale` type is Half."),
    "half and float joined": (single("Concat", w=np.ones((1, 8), np.float16), axis=0), [BATCHES], None, "IConcatenationLayer `inputs` must all be of the same type. inputs[1] is of type Half but inputs[0] is of type Float."),
    "half and float selected": (model([h.make_node("Cast", ["x"], ["c"], to=T.BOOL), h.make_node("Where", ["c", "x", "w"], ["y"])], [tensor("x", ["B", 8])], [tensor("y", None)], {"w": HALF}), [BATCHES], None, "ISelectLayer must have `thenInput` and `elseInput` of same types but has Float and Half."),
    "bias in half": (single("Gemm", w=np.ones((8, 8), np.float32), b=HALF), [BATCHES], None, "ElementWiseOperation SUM must have same input types."),
    "integers and floats": (single("Mul", w=np.ones(8, np.int64)), [BATCHES], None, "But they are of types Float and Int64."),
    "Relu of bool": (single("Relu", kind=T.BOOL), [BATCHES], None, "Found unsupported input type of BOOL"),
    "MatMul of integers": (single("MatMul", kind=T.INT64, w=np.ones((8, 8), np.int64)), [BATCHES], None, "Found unsupported input type of INT64"),
    "int16": (single("Identity", kind=T.INT16), [BATCHES], None, "Failed to convert ONNX date type to TensorRT data type."),
    "rows of a matrix": (single("MatMul", w=np.ones((4, 8), np.float32)), [BATCHES], None, "last dimension of input0 = 8 and second to last dimension of input1 = 4 but must match."),
    "rows of a matrix, turned": (single("Gemm", w=np.ones((8, 4), np.float32), transB=1), [BATCHES], None, "last dimension of input0 = 8 and last dimension of input1 = 4 but must match."),
    "sizes that do not add": (single("Add", w=np.ones(4, np.float32)), [BATCHES], None, "broadcast dimensions must be conformable"),
    "sizes that do not join": (single("Concat", w=np.ones((1, 4), np.float32), axis=0), [BATCHES], None, "all concat input tensors must have the same dimensions except on the concatenation axis (0), but dimensions mismatched at index 1."),
    "volume that changes": (single("Reshape", s=np.array([3, 8]), dims=[2, 8]), [], None, "reshape changes volume. Reshaping [2,8] to [3,8]."),
    "indices that are floats": (single("Gather", i=np.ones(1, np.float32)), [BATCHES], None, "ERROR ITensor::getDimensions: Error Code 4: API Usage Error (node_of_y: ind"),
    # --- config
    "workspace 0": (linear_model(), [BATCHES], workspace(0), "Compiling this graph requires workspace memory greater than 0."),
    "workspace 1 MiB": (linear_model(), [BATCHES], workspace(1 << 20), "no tactics to implement the operation within workspace limit."),
    "workspace 1 MiB is enough": (add_model(), [BATCHES], workspace(1 << 20), "INFO Total Weights Memory"),
    "workspace 1 byte": (classifier_model(), [TEXTS], workspace(1), "OutOfMemory (Requested size was"),
    "refit": (linear_model(), [BATCHES], flag("REFIT"), "CHECK(status == CUDA_SUCCESS) failed."),
    "strip plan": (linear_model(), [BATCHES], flag("STRIP_PLAN"), "CHECK(status == CUDA_SUCCESS) failed."),
    "version compatible": (linear_model(), [BATCHES], flag("VERSION_COMPATIBLE"), "Unable to load library: libnvinfer_lean.so.1"),
    "exclude lean runtime": (linear_model(), [BATCHES], flag("EXCLUDE_LEAN_RUNTIME"), "kEXCLUDE_LEAN_RUNTIME can only be set if kVERSION_COMPATIBLE is set."),
    "TF32": (linear_model(), [BATCHES], flag("TF32"), "INFO Total Activation Memory: 8192000 bytes"),
    "SM86": (linear_model(), [BATCHES], target("SM86"), "INFO Total Activation Memory: 8192000 bytes"),
    "SM75": (linear_model(), [BATCHES], target("SM75"), "Cannot compile operation 'matmul' for Turing (SM75): FP32 GEMM is not supported."),
    "no target": (linear_model(), [BATCHES], target("NONE"), "Compute capability cannot be kNONE."),
    "this GPU": (linear_model(), [BATCHES], target("CURRENT"), ""),
    "this GPU and another": (linear_model(), [BATCHES], target("SM86", "CURRENT"), "When set to kCURRENT, the index must be 0 and the number of compute capabilities must be 1."),
    "a target beyond": (linear_model(), [BATCHES], lambda trt, config: config.set_compute_capability(trt.ComputeCapability.SM86, 3), "Index of compute capability is not in a valid range."),
    "less than no targets": (linear_model(), [BATCHES], lambda trt, config: setattr(config, "num_compute_capabilities", -1), "Number of compute capabilities must be non-negative."),
    "a safety engine": (linear_model(), [BATCHES], capability("SAFETY"), "Could not find any implementation for node {ForeignNode["),
    "an engine for DLA": (linear_model(), [BATCHES], capability("DLA_STANDALONE"), "Applying DLA optimizations without DLA backend."),
    "memory of DLA": (linear_model(), [BATCHES], lambda trt, config: config.set_memory_pool_limit(trt.MemoryPoolType.DLA_LOCAL_DRAM, 1), "Setting DLA memory pool size on TensorRT build with DLA disabled."),
    "Windows": (linear_model(), [BATCHES], lambda trt, config: setattr(config, "runtime_platform", trt.RuntimePlatform.WINDOWS_AMD64), "This version of TensorRT does not support building engines on platforms other than Linux x86_64"),
    "hardware compatibility": (linear_model(), [BATCHES], lambda trt, config: setattr(config, "hardware_compatibility_level", trt.HardwareCompatibilityLevel.AMPERE_PLUS), "setHardwareCompatibilityLevel() is unsupported in TensorRT-RTX."),
}  # fmt: skip


@pytest.fixture
def in_this_process(monkeypatch):
    """Malformed models that NVIDIA's parser is known to survive are not tried in a process of their own first."""
    monkeypatch.setattr(guard, "parser_trouble", lambda *_: "")


@beside_nvidia
@pytest.mark.parametrize("name", SITUATIONS)
def test_answers_and_says_what_nvidias_does(trt, in_this_process, name):
    made, profiles, configure, phrase = SITUATIONS[name]
    theirs, ours = (outcome(module, made, profiles, configure) for module in (trt, portable))
    assert ours.answers() == theirs.answers(), f"{ours.log}\n--- NVIDIA's:\n{theirs.log}"
    assert phrase in theirs.log, theirs.log
    assert phrase in ours.log, ours.log
    # a failure in the middle of a log is found by the number of its error lines, not only by one of them
    assert bool(ours.log.count("ERROR")) == bool(theirs.log.count("ERROR"))


# --- memory: the same small graphs through both --------------------------------------------------------------------

XS = tensor("x", ["B", "S", 64])
WIDE = X((1, 1, 64), (8, 16, 64), (32, 128, 64))
SQUARE, UP, DOWN = (np.ones(s, np.float32) for s in ((64, 64), (64, 256), (256, 64)))
GRAPHS = {
    "softmax": single("Softmax", dims=["B", "S", 64]),
    "product": single("MatMul", w=SQUARE, dims=["B", "S", 64]),
    "two products": model([h.make_node("MatMul", ["x", "w"], ["a"]), h.make_node("MatMul", ["a", "w"], ["y"])], [XS], [tensor("y", None)], {"w": SQUARE}),
    "product, Relu, product": model([h.make_node("MatMul", ["x", "w"], ["a"]), h.make_node("Relu", ["a"], ["b"]), h.make_node("MatMul", ["b", "v"], ["y"])], [XS], [tensor("y", None)], {"w": UP, "v": DOWN}),
    "feed forward": model([h.make_node("MatMul", ["x", "w"], ["a"]), h.make_node("Gelu", ["a"], ["b"]), h.make_node("MatMul", ["b", "v"], ["c"]), h.make_node("Add", ["c", "x"], ["d"]), h.make_node("LayerNormalization", ["d", "s"], ["y"])], [XS], [tensor("y", None)], {"w": UP, "v": DOWN, "s": np.ones(64, np.float32)}),
    "product, softmax": model([h.make_node("MatMul", ["x", "w"], ["a"]), h.make_node("Softmax", ["a"], ["y"])], [XS], [tensor("y", None)], {"w": SQUARE}),
    "two branches": model([h.make_node("Relu", ["x"], ["a"]), h.make_node("Neg", ["x"], ["b"]), h.make_node("Concat", ["a", "b"], ["y"], axis=1)], [XS], [tensor("y", None)]),
}  # fmt: skip


def activations(trt: Any, made: onnx.ModelProto, profile: Any) -> int:
    plan = build(trt, Log(trt), made, profile)
    return open_plan(plan).activation_bytes[0]


@beside_nvidia
@pytest.mark.parametrize("name", GRAPHS)
def test_activation_memory_of_small_graphs_is_nvidias(trt, name):
    assert activations(portable, GRAPHS[name], WIDE) == activations(trt, GRAPHS[name], WIDE)


def test_activation_memory_grows_with_the_profile():
    sizes = [
        activations(portable, GRAPHS["feed forward"], X((1, 1, 64), (1, 1, 64), (batch, 128, 64)))
        for batch in (1, 8, 64)
    ]
    assert sizes[0] < sizes[1] < sizes[2]
    # the scratch space of a product does not grow; what is between kernels grows with the batch
    scratch = portable.builder.memory.SCRATCH
    assert (sizes[2] - scratch) == 64 * (sizes[0] - scratch)


def test_attention_in_half_precision_keeps_no_scores():
    def attention(dtype: Any) -> onnx.ModelProto:
        nodes = [
            h.make_node("MatMul", ["x", "w"], ["q"]),
            h.make_node("MatMul", ["x", "v"], ["k"]),
            h.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
            h.make_node("MatMul", ["q", "kt"], ["scores"]),
            h.make_node("Softmax", ["scores"], ["p"]),
            h.make_node("MatMul", ["p", "x"], ["y"]),
        ]
        kind = h.np_dtype_to_tensor_dtype(np.dtype(dtype))
        weights = {"w": SQUARE.astype(dtype), "v": (2 * SQUARE).astype(dtype)}
        return model(nodes, [tensor("x", ["B", "S", 64], kind)], [tensor("y", None, kind)], weights)

    long = X((1, 1, 64), (1, 1, 64), (4, 1024, 64))
    scratch = portable.builder.memory.SCRATCH
    single_, half = (activations(portable, attention(d), long) - scratch for d in (np.float32, np.float16))
    scores = 4 * 1024 * 1024 * 4
    assert single_ >= 2 * scores and half < scores // 4


# --- networks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def log() -> Log:
    return Log(portable)


def parsed(log: Log, made: Any) -> tuple[Any, Any, Any]:
    builder = portable.Builder(log.logger)
    network = builder.create_network()
    parser = portable.OnnxParser(network, log.logger)
    assert parser.parse(made.SerializeToString())
    return builder, network, parser


def test_network_shows_tensors_and_layers(log):
    builder, network, parser = parsed(log, classifier_model())
    ids, logits = network.get_input(0), network.get_output(0)
    assert (ids.name, tuple(ids.shape), ids.dtype, ids.is_network_input) == (
        "input_ids", (-1, -1), portable.int64, True,
    )  # fmt: skip
    assert [ids.get_dimension_name(i) for i in range(2)] == ["batch", "seq"]
    assert (logits.name, tuple(logits.shape), logits.dtype) == ("logits", (-1, 2), portable.float32)
    assert logits.is_network_output and logits.is_execution_tensor and not logits.is_shape_tensor
    kinds = [network[i].type.name for i in range(len(network))]
    assert kinds == ["CONSTANT", "GATHER", "CAST", "CONSTANT", "UNSQUEEZE", "ELEMENTWISE", "CONSTANT", "REDUCE"]
    ids.set_dimension_name(0, "rows")
    ids.allowed_formats = 1
    assert (ids.get_dimension_name(0), ids.allowed_formats, logits.allowed_formats) == ("rows", 1, 8191)
    ids.name = "tokens"
    assert network.get_input(0).name == "tokens"
    gather = network.get_layer(1)
    assert (gather.name, gather.num_inputs, gather.num_outputs, gather.get_output_type(0)) == (
        "node_of_words", 2, 1, portable.float32,
    )  # fmt: skip
    assert gather.get_input(0).name == "W_output" and gather.get_input(9) is None
    assert gather.metadata == "[ONNX Layer: node_of_words]"
    gather.name, gather.metadata = "mine", "note"
    assert (network[1].name, network[1].metadata, len(network)) == ("mine", "note", network.num_layers)
    assert network.builder is builder and network.flags == 1 and network.name == "Unnamed Network 0"
    assert network.get_flag(portable.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert (parser.num_subgraphs, parser.get_subgraph_nodes(0)) == (1, list(range(5)))
    assert parser.get_layer_output_tensor("mine", 0).name == "words"
    assert parser.get_layer_output_tensor("none", 0) is None
    assert parser.supports_operator("MatMul") and not parser.supports_operator("Frobnicate")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda n: n.get_input(9), "Invalid network output index: 9"),
        (lambda n: n.get_output(-1), "Invalid network output index: -1"),
        (lambda n: n.get_layer(99), "__n (which is 99) >= this->size() (which is 8)"),
        (lambda n: n[0].get_output(7), "Invalid layer output tensor index: 7"),
        (lambda n: n.get_input(0).get_dimension_name(7), "Invalid dimension index: 7"),
        (lambda n: n.mark_output(n.get_output(0)), "already set as network-level output"),
        (lambda n: n.mark_output(n.get_input(0)), "can't be both input and output"),
        (lambda n: n.unmark_output(n[0].get_output(0)), "currently not set as a network-level output"),
        (lambda n: setattr(n.get_input(0), "name", "attention_mask"), "the new name is already in use"),
    ],
)
def test_misuse_of_a_network_is_logged(log, call, words):
    _, network, _ = parsed(log, classifier_model())
    assert call(network) is None and words in log.said()


def test_wrong_types_raise_as_the_binding_does(log):
    builder, network, parser = parsed(log, add_model())
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for call in (
        lambda: portable.Builder("logger"),
        lambda: portable.OnnxParser(None, log.logger),
        lambda: portable.OnnxParser(network, "logger"),
        lambda: builder.create_network("x"),
        lambda: builder.create_network(-1),
        lambda: builder.build_serialized_network(None, config),
        lambda: network.get_flag(0),
        lambda: network.mark_output("y"),
        lambda: parser.parse(None),
        lambda: parser.parse_from_file(3),
        lambda: config.set_flag(6),
        lambda: config.add_optimization_profile("x"),
        lambda: config.set_memory_pool_limit(portable.MemoryPoolType.WORKSPACE, -1),
        lambda: setattr(config, "profiling_verbosity", 2),
        lambda: profile.set_shape("x", 1, 2, 3),
        lambda: portable.Logger(3),
        lambda: portable.DataType("FLOAT"),
        lambda: portable.Weights("x"),
        lambda: portable.Weights(np.ones(1, np.complex64)),
        lambda: portable.Dims(3),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(AttributeError, match="has no attribute 'max_workspace'"):
        config.max_workspace = 1
    with pytest.raises(IndexError):
        network[99]


def test_flags_of_a_network(log):
    builder = portable.Builder(log.logger)
    assert builder.create_network(1) is not None
    assert builder.create_network(2) is None and "flagSet.toU32()" in log.said()


EDITS = {
    "output removed": (lambda n: n.unmark_output(n.get_output(0)), "Network must have at least one output"),
    "output added": (lambda n: n.mark_output(n[0].get_output(0)), "outputs: one was added (parsed 1, now 2)"),
    "another output": (
        lambda n: (n.unmark_output(n.get_output(0)), n.mark_output(n[1].get_output(0))),
        "another tensor",
    ),
    "static input": (lambda n: setattr(n.get_input(0), "shape", (2, 8)), "input 'x': was (-1, 8), now (2, 8)"),
}


@pytest.mark.parametrize("name", EDITS)
def test_edits_after_parsing_are_refused_by_name(log, name):
    edit, words = EDITS[name]
    profiles = [] if name == "static input" else [BATCHES]
    assert build(portable, log, linear_model(), *profiles, edit=edit) is None
    assert words in log.said()


def test_a_network_without_a_model_is_refused(log):
    builder = portable.Builder(log.logger)
    network = builder.create_network()
    network._outputs.append(portable.ITensor(network, "y", portable.float32, (2,)))
    assert builder.build_serialized_network(network, builder.create_builder_config()) is None
    assert "did not come from an ONNX model" in log.said()


@pytest.mark.parametrize("kind", [T.DOUBLE, T.BFLOAT16])
def test_types_that_the_simulated_runtime_has_not_are_refused(log, kind):
    assert build(portable, log, single("Identity", kind=kind), BATCHES) is None
    assert "[simulator] tensor 'x' is" in log.said()


def test_attention_of_opset_23_has_no_kernel(log):
    made = single("Attention", "x", "x", dims=["B", 4, "S", 16], opset=23)
    shapes = X((1, 4, 8, 16), (2, 4, 8, 16), (4, 4, 8, 16))
    assert build(portable, log, made, shapes) is None
    assert "Attention operation was not supported by a dedicated kernel" in log.said()


def test_functions_of_a_model_are_looked_into(log):
    twice = h.make_function(
        "own", "Twice", ["a"], ["b"], [h.make_node("Add", ["a", "a"], ["b"])], [h.make_opsetid("", 20)]
    )
    made = single("Twice")
    made.graph.node[0].domain = "own"
    made.opset_import.append(h.make_opsetid("own", 1))
    made.functions.append(twice)
    plan = open_plan(build(portable, log, made, BATCHES))
    assert plan.onnx == made.SerializeToString() and plan.tensors[1].shape == (-1, 8)


def test_a_branch_reads_outer_tensors(log):
    def branch(op: str, name: str) -> Any:
        return h.make_graph([h.make_node(op, ["x"], [name])], name, [], [tensor(name, ["B", 8])])

    nodes = [
        h.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        h.make_node("Cast", ["m"], ["c"], to=T.BOOL),
        h.make_node("If", ["c"], ["y"], then_branch=branch("Relu", "a"), else_branch=branch("Neg", "b")),
    ]
    plan = build(portable, log, model(nodes, [tensor("x", ["B", 8])], [tensor("y", ["B", 8])]), BATCHES)
    assert plan is not None and open_plan(plan).tensors[1].name == "y"


# --- routes --------------------------------------------------------------------------------------------------------


def finished(builder: Any, network: Any) -> Any:
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    profile.set_shape("x", *BATCH)
    assert config.add_optimization_profile(profile) == 0
    return open_plan(builder.build_serialized_network(network, config))


@pytest.mark.parametrize("route", ["parse_from_file", "parse", "load_model_proto"])
def test_weights_in_side_files_are_taken_into_the_plan(log, route, tmp_path):
    path = tmp_path / "linear.onnx"
    onnx.save_model(linear_model(), path, save_as_external_data=True, location="w", size_threshold=0)
    builder = portable.Builder(log.logger)
    network = builder.create_network()
    parser = portable.OnnxParser(network, log.logger)
    if route == "parse_from_file":
        assert parser.parse_from_file(str(path))
    elif route == "parse":
        assert parser.parse(path.read_bytes(), str(path))
    else:
        assert parser.load_model_proto(path.read_bytes(), str(path)) and parser.parse_model_proto()
    inside = onnx.load_model_from_string(finished(builder, network).onnx)
    for found, expected in zip(inside.graph.initializer, linear_model().graph.initializer, strict=True):
        np.testing.assert_array_equal(nh.to_array(found), nh.to_array(expected))


@pytest.mark.parametrize("location", ["../outside", "/etc/hostname"])
def test_weights_outside_the_models_folder_are_not_read(log, location, tmp_path):
    (tmp_path / "outside").write_bytes(bytes(128))
    (tmp_path / "in").mkdir()
    made = changed(lambda m: None, lambda: onnx.ModelProto.FromString(SIDE.SerializeToString()))
    made.graph.initializer[0].external_data[0].value = location
    path = tmp_path / "in" / "m.onnx"
    path.write_bytes(made.SerializeToString())
    parser = portable.OnnxParser(portable.Builder(log.logger).create_network(), log.logger)
    assert not parser.parse_from_file(str(path)) and "Failed to open file" in log.said()


def test_initializer_given_by_pointer(log):
    own = np.full((8, 4), 2, np.float32)
    builder = portable.Builder(log.logger)
    network = builder.create_network()
    parser = portable.OnnxParser(network, log.logger)
    assert not parser.load_initializer("W", own.ctypes.data, own.nbytes)
    assert parser.load_model_proto(SIDE.SerializeToString())
    assert not parser.load_initializer("V", own.ctypes.data, own.nbytes)
    assert "Cannot find initializer name: V in model!" in log.said()
    assert parser.load_initializer("W", own.ctypes.data, own.nbytes) and parser.parse_model_proto()
    inside = onnx.load_model_from_string(finished(builder, network).onnx)
    np.testing.assert_array_equal(nh.to_array(inside.graph.initializer[0]), own)


def test_errors_of_a_parser(log):
    builder = portable.Builder(log.logger)
    network = builder.create_network()
    parser = portable.OnnxParser(network, log.logger)
    assert not parser.parse_from_file("nowhere.onnx") and parser.num_errors == 1
    error = parser.get_error(0)
    assert (error.code(), error.func(), error.node()) == (portable.ErrorCode.INVALID_VALUE, "parseFromFile", -1)
    assert "Input file cannot be found" in error.desc()
    assert (error.line(), error.local_function_stack(), error.local_function_stack_size()) == (0, [], 0)
    assert error.file()
    assert parser.get_error(1) is None
    parser.clear_errors()
    assert parser.num_errors == 0 and parser.num_subgraphs == 0
    assert parser.supports_model_v2(add_model().SerializeToString()) and network.num_inputs == 1
    assert not parser.parse(add_model().SerializeToString())
    assert "Parse was called with a non-empty network definition" in log.said()
    assert not parser.load_model_proto(add_model().SerializeToString())
    assert "A model was previously parsed!" in log.said()
    flags = portable.OnnxParserFlag
    parser.set_flag(flags.REPORT_CAPABILITY_DLA)
    parser.clear_flag(flags.NATIVE_INSTANCENORM)
    assert parser.get_flag(flags.REPORT_CAPABILITY_DLA) and parser.flags == 4
    parser.flags = 1
    assert parser.get_flag(flags.NATIVE_INSTANCENORM)
    assert parser.set_builder_config(builder.create_builder_config()) and parser.get_used_vc_plugin_libraries() == []


def test_to_a_stream(log):
    class Writer(portable.IStreamWriter):
        def __init__(self, takes: int) -> None:
            super().__init__()
            self.data, self.takes = b"", takes

        def write(self, data: bytes) -> int:
            self.data += data[: self.takes]
            return len(data[: self.takes])

    builder, network, _ = parsed(log, single("Relu", dims=[2, 8]))
    config = builder.create_builder_config()
    whole, part = Writer(1 << 30), Writer(10)
    assert builder.build_serialized_network_to_stream(network, config, whole)
    assert open_plan(whole.data).builder == "python" and open_plan(whole.data).nvidia == b""
    assert not builder.build_serialized_network_to_stream(network, config, part)
    assert not builder.build_serialized_network_to_stream(builder.create_network(), config, whole)


def test_there_is_no_plan_of_nvidias_to_extract(log, tmp_path):
    (tmp_path / "a.plan").write_bytes(build(portable, log, add_model(), BATCHES))
    with pytest.raises(PlanError, match="holds no plan of NVIDIA's: the builder in Python made it"):
        extract(tmp_path / "a.plan", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_shape_as_input(log):
    made = SITUATIONS["shape input without values"][0]
    builder, network, _ = parsed(log, made)
    assert network.get_input(1).is_shape_tensor and not network.get_input(0).is_shape_tensor
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    profile.set_shape("x", *BATCH)
    profile.set_shape_input("s", (1, 8), (2, 8), (4, 8))
    assert profile.get_shape_input("s") == [[1, 8], [2, 8], [4, 8]] and profile.get_shape_input("x") == []
    assert config.add_optimization_profile(profile) == 0
    plan = open_plan(builder.build_serialized_network(network, config))
    assert plan.shape_values == ({"s": ((1, 8), (2, 8), (4, 8))},) and plan.tensors[1].shape_tensor
    profile.set_shape_input("s", (1, 8), (3, 8), (4, 8))  # 3 rows of 8 from a batch of 2
    assert builder.build_serialized_network(network, config) is None
    assert "reshape would change volume 16 to 24" in log.said()


# --- config and profile --------------------------------------------------------------------------------------------


def test_profile(log):
    profile = portable.Builder(log.logger).create_optimization_profile()
    assert profile.get_shape("x") == [] and "Input is not present in this OptimizationProfile" in log.said()
    profile.set_shape("x", min=(1,), opt=(2,), max=(3,))
    assert [tuple(s) for s in profile.get_shape("x")] == [(1,), (2,), (3,)] and profile
    with pytest.raises(RuntimeError, match="opt input provided for shape tensor is inconsistent"):
        profile.set_shape_input("s", [3], [2], [1])
    assert not profile and "input tensors s," in log.said()
    profile.extra_memory_target = 0.5
    profile.extra_memory_target = 2
    assert profile.extra_memory_target == 0.5 and "target <= 1.F" in log.said()


def test_config_keeps_and_forgets(log):
    builder = portable.Builder(log.logger)
    config = builder.create_builder_config()
    flags = portable.BuilderFlag
    assert config.flags == 1 << int(flags.TF32) and config.get_flag(flags.TF32)
    config.clear_flag(flags.TF32)
    config.flags |= 1 << int(flags.DEBUG)
    assert config.get_flag(flags.DEBUG) and not config.get_flag(flags.TF32)
    config.builder_optimization_level = 9
    assert config.builder_optimization_level == 5
    config.set_preview_feature(portable.PreviewFeature.ALIASED_PLUGIN_IO_10_03, True)
    assert config.get_preview_feature(portable.PreviewFeature.ALIASED_PLUGIN_IO_10_03)
    assert config.set_tactic_sources(1) and config.get_tactic_sources() == 1
    config.max_aux_streams = 2
    config.num_compute_capabilities = 1
    assert config.set_compute_capability(portable.ComputeCapability.SM86, 0)
    assert config.get_compute_capability(0) == portable.ComputeCapability.SM86
    assert config.get_compute_capability(4) == portable.ComputeCapability.NONE
    assert config.add_optimization_profile(None) == -1 and config.num_optimization_profiles == 0
    assert config.get_memory_pool_limit(portable.MemoryPoolType.WORKSPACE) == 64 << 30
    cache = config.create_timing_cache(b"")
    assert config.set_timing_cache(cache, ignore_mismatch=False) and config.get_timing_cache() is None
    assert cache.combine(cache, True) and cache.reset() and cache.serialize() == b""
    config.build_route, config.DLA_core, config.default_device_type = "x", 0, portable.DeviceType.GPU
    assert (config.build_route, config.DLA_core, config.all_build_routes) == ("", -1, "")
    config.hardware_compatibility_level = portable.HardwareCompatibilityLevel.AMPERE_PLUS
    assert config.hardware_compatibility_level == portable.HardwareCompatibilityLevel.NONE
    assert config.runtime_platform == portable.RuntimePlatform.SAME_AS_BUILD
    config.reset()
    assert (config.flags, config.max_aux_streams, config.num_compute_capabilities) == (1 << int(flags.TF32), -1, 0)
    builder.max_threads, builder.gpu_allocator = 4, None
    assert (builder.max_threads, builder.num_DLA_cores, builder.max_DLA_batch_size) == (4, 0, 1 << 28)
    builder.reset()
    assert builder.max_threads == 1 and builder.logger is log.logger
    with builder as again, config:
        assert again is builder


def test_is_network_supported(log):
    builder, network, _ = parsed(log, add_model())
    assert not builder.is_network_supported(network, builder.create_builder_config())
    assert "IBuilder::isNetworkSupported: Error Code 4" in log.said()
    _, static, _ = parsed(log, single("Relu", dims=[2]))
    assert builder.is_network_supported(static, builder.create_builder_config())


def test_errors_go_to_the_recorder_instead(log):
    class Recorder(portable.IErrorRecorder):
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[Any] = []

        def report_error(self, arg0: Any, arg1: str) -> bool:
            self.errors.append((arg0, arg1))
            return True

    builder, network, _ = parsed(log, add_model())
    builder.error_recorder = recorder = Recorder()
    assert builder.error_recorder is recorder
    assert builder.build_serialized_network(network, builder.create_builder_config()) is None
    [(code, text)] = recorder.errors
    assert code == portable.ErrorCodeTRT.INVALID_CONFIG and "no optimization profile" in text
    assert log.said() == ""
    network.error_recorder = recorder
    assert network.error_recorder is recorder


class Monitor(portable.IProgressMonitor):
    def __init__(self, stop: int = 1 << 30) -> None:
        super().__init__()
        self.events: list[Any] = []
        self.stop = stop

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        self.events.append(("start", phase_name, parent_phase, num_steps))

    def step_complete(self, phase_name: str, step: int) -> bool:
        self.events.append(("step", phase_name, step))
        return len(self.events) < self.stop

    def phase_finish(self, phase_name: str) -> None:
        self.events.append(("finish", phase_name))


@pytest.mark.parametrize("stop", [1, 4, 8, 1 << 30])
def test_progress_and_its_end(log, stop):
    builder, network, _ = parsed(log, linear_model())
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    profile.set_shape("x", *BATCH)
    config.add_optimization_profile(profile)
    config.progress_monitor = monitor = Monitor(stop)
    plan = builder.build_serialized_network(network, config)
    assert (plan is None) == (stop < 1 << 30)
    assert ("Error Code 7: BuildCanceled (Build canceled by user" in log.said()) == (plan is None)
    begun = [event[1] for event in monitor.events if event[0] == "start"]
    ended = [event[1] for event in monitor.events if event[0] == "finish"]
    assert sorted(begun) == sorted(ended) and begun[0] == ended[-1] == "Building engine"
    if plan is not None:
        assert [e[2] for e in monitor.events if e[:2] == ("step", "Building engine")] == list(range(6))


def test_layers_are_listed(log):
    def detailed(verbosity: Any) -> Any:
        builder, network, _ = parsed(log, GRAPHS["feed forward"])
        config, profile = builder.create_builder_config(), builder.create_optimization_profile()
        profile.set_shape("x", *WIDE["x"])
        config.add_optimization_profile(profile)
        config.profiling_verbosity = verbosity
        return open_plan(builder.build_serialized_network(network, config))

    plan = detailed(portable.ProfilingVerbosity.DETAILED)
    kinds = [line.partition("LayerType: ")[2].partition(",")[0] for line in plan.layer_info]
    assert kinds == ["runtime_fusion", "runtime_fusion", "kgen"] and plan.layers == 3
    assert "MeanSubMulMean" in plan.layer_info[2] and "[ONNX Layer: node_of_a]" in plan.layer_info[0]
    assert "\n".join(("Layers:", *plan.layer_info)) in log.said("VERBOSE")
    plan = detailed(portable.ProfilingVerbosity.LAYER_NAMES_ONLY)
    assert plan.layer_info == (
        "Layer(Myelin): {ForeignNode[node_of_a...node_of_y]}, Tactic: 0x0000000000000000, x (Float[-1,-1,64]) -> "
        "y (Float[-1,-1,64])",
    )


# --- small types ---------------------------------------------------------------------------------------------------


def test_dims_and_weights():
    dims = portable.Dims([1, 2, 3])
    assert dims == (1, 2, 3) and dims != (1, 2) and dims != "x" and dims[-1] == 3 and dims[1:] == (2, 3)
    assert repr(dims) == "(1, 2, 3)" and len(portable.Dims()) == 0 and portable.volume(dims) == 6
    dims[0] = 9
    assert list(dims) == [9, 2, 3] and portable.Dims.MAX_DIMS == dims.MAX_DIMS == 8
    for place in (5, -9):
        with pytest.raises(IndexError, match="Out of bounds"):
            dims[place]
        with pytest.raises(IndexError, match="Out of bounds"):
            dims[place] = 1
    assert portable.Dims3() == (0, 0, 0) and portable.Dims4(1, 2, 3, 4) == portable.Dims4((1, 2, 3, 4)) == (1, 2, 3, 4)
    size = portable.DimsHW(4, 5)
    size.h, size.w = 6, 7
    assert (size.h, size.w) == (6, 7)
    with pytest.raises(ValueError, match="Input length 3 not equal to expected Dims2 length, which is 2"):
        portable.Dims2((1, 2, 3))
    with pytest.raises(ValueError, match="Max expected length is 8"):
        portable.Dims([1] * 9)
    weights = portable.Weights(np.arange(6, dtype=np.float16).reshape(2, 3))
    assert (weights.dtype, weights.size, weights.nbytes, len(weights)) == (portable.float16, 6, 12, 6)
    copy = portable.Weights(portable.float16, weights.numpy().ctypes.data, 6)
    np.testing.assert_array_equal(copy.numpy(), weights.numpy())
    assert len(portable.Weights()) == 0 and portable.Weights(portable.int64).dtype == portable.int64
    assert portable.nptype(portable.int8) is np.int8
    with pytest.raises(TypeError, match="Could not resolve TensorRT datatype"):
        portable.nptype(portable.fp4)
    assert (portable.float32.itemsize, portable.int4.itemsize) == (4, 0.5)


def test_enumerations():
    half = portable.DataType.HALF
    assert pickle.loads(pickle.dumps(portable.Logger.WARNING)) == portable.Logger.WARNING
    assert half == portable.DataType(1) and half != 1 and hash(half) == 1 and {half: 2}[portable.DataType(1)] == 2
    assert repr(portable.DataType(99)) == "<DataType.???: 99>" and 1 << int(half) == 2
    with pytest.raises(AttributeError):
        half.text = "x"


def test_loggers_and_interfaces(capsys):
    logger = portable.Logger(min_severity=portable.Logger.INFO)
    for severity in portable.ILogger.Severity.__members__.values():
        logger.log(severity, severity.name)
    out, err = capsys.readouterr()
    assert [line.split()[-2:] for line in (err + out).splitlines()] == [
        ["[F]", "INTERNAL_ERROR"], ["[E]", "ERROR"], ["[W]", "WARNING"], ["[I]", "INFO"],
    ]  # fmt: skip
    assert "[I]" not in err
    logger.min_severity = portable.Logger.VERBOSE
    logger.log(portable.Logger.VERBOSE, "all of it")
    portable.Profiler().report_layer_time("layer", 1.5)
    assert "[V] all of it\nlayer: 1.5ms" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match='Tried to call pure virtual function "IProfiler::report_layer_time"'):
        portable.IProfiler().report_layer_time("layer", 1.5)

    class Forgets(portable.ILogger):
        def __init__(self) -> None:
            pass

    with pytest.raises(TypeError, match=r"ILogger.__init__\(\) must be called when overriding __init__"):
        Forgets()
    allocator = portable.IGpuAllocator()
    assert allocator.api_language == portable.APILanguage.PYTHON
    info = allocator.interface_info
    info.kind, info.major, info.minor = "IGpuAllocator", 2, 1
    assert (info.kind, info.major, info.minor) == ("IGpuAllocator", 2, 1)
    assert portable.IErrorRecorder.MAX_DESC_LENGTH == portable.IErrorRecorder().MAX_DESC_LENGTH == 127
    with portable.IHostMemory() as memory:
        assert (memory.nbytes, memory.dtype) == (0, portable.int8)
    with logger as again:
        assert again is logger


def test_plugins_are_none():
    assert portable.init_libnvinfer_plugins(None, "") is True and portable.get_nv_onnx_parser_version() == 200
    builder = portable.Builder(portable.Logger())
    for registry in (
        portable.get_plugin_registry(),
        portable.get_builder_plugin_registry(portable.EngineCapability.STANDARD),
        builder.get_plugin_registry(),
    ):
        assert registry.all_creators == registry.all_creators_recursive == []
        assert registry.get_creator("Gelu", "1") is None and registry.parent_search_enabled
        assert registry.error_recorder is None


# --- alone ---------------------------------------------------------------------------------------------------------

ALONE = """
import sys
for name in ("tensorrt_rtx", "tensorrt_rtx_bindings", "tensorrt_rtx_libs"):
    sys.modules[name] = None  # as on a machine without the wheel: not found, and no import
from pathlib import Path
import numpy as np
from helpers import backend, engine
from helpers.runtime import TensorRTRunner
from helpers.simulator.builder import rebuild
from helpers.simulator.native import BUILDER
from helpers.simulator.plan import PlanError, extract, open_plan

active = backend.activate("simulator")
assert BUILDER == "python"
folder = Path(sys.argv[1])
texts = dict.fromkeys(("input_ids", "attention_mask"), ((1, 64), (32, 64), (128, 64)))
report = engine.build(folder / "model.onnx", folder / "model.plan", texts, progress=False)
print(report)
rng = np.random.default_rng(0)
ids, mask = rng.integers(0, 100, (7, 64)), rng.integers(0, 2, (7, 64))
with TensorRTRunner(folder / "model.plan") as runner:
    np.save(folder / "logits.npy", runner(input_ids=ids, attention_mask=mask)["logits"])
np.save(folder / "ids.npy", ids)
np.save(folder / "mask.npy", mask)
data = (folder / "model.plan").read_bytes()
assert bytes(rebuild(open_plan(data))) == data, "a plan does not build again to the same bytes"
import tensorrt as trt
try:
    trt.Builder(trt.Logger()).create_network(0).add_softmax
except AttributeError as error:
    print(error)
"""


def test_the_course_builds_and_runs_where_there_is_no_wheel(tmp_path):
    (tmp_path / "model.onnx").write_bytes(classifier_model().SerializeToString())
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path)],
        capture_output=True, text=True, timeout=100, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    ids, mask, logits = (np.load(tmp_path / f"{name}.npy") for name in ("ids", "mask", "logits"))
    np.testing.assert_allclose(logits, reference(ids, mask), rtol=1e-5, atol=1e-5)
    assert "activations" in done.stdout and "TensorRT has it; the simulator does not offer it" in done.stdout


@beside_nvidia
def test_an_error_prints_as_nvidias():
    import tensorrt_rtx

    model = changed(lambda m: setattr(m.graph.node[0], "op_type", "Frobnicate")).SerializeToString()
    printed = []
    for trt in (tensorrt_rtx, portable):
        logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
        builder = trt.Builder(logger)
        network = builder.create_network(0)
        parser = trt.OnnxParser(network, logger)
        assert not parser.parse(model)
        printed.append(str(parser.get_error(0)))
    assert printed[0] == printed[1]
