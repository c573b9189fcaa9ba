"""The ONNX parser: NVIDIA's verdicts and words, found with onnx's own schemas and shape inference."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnx.inliner
from onnx import TensorProto

from .. import guard
from . import model as models
from .enums import ENUMS, Severity
from .model import SPOKEN, TYPES, Fault, Refused
from .network import ILayer, INetworkDefinition, ITensor, LayerType, layer_type
from .objects import Native
from .shapes import ELEMENTWISE, Fact, Walk, dims_of, label, shape_inputs, skeleton, symbolic
from .types import ILogger, check_logger, incompatible

DataType = ENUMS["DataType"]
ErrorCode = ENUMS["ErrorCode"]
Flag = ENUMS["OnnxParserFlag"]

# Operators that NVIDIA's parser has no importer for; it looks for a plugin then, and there is none.
_UNSUPPORTED = """
    AffineGrid Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im Compress
    ConcatFromSequence ConvInteger CumProd DFT DeformConv Det DynamicQuantizeLinear ImageDecoder MatMulInteger
    MaxRoiPool MaxUnpool MelWeightMatrix Multinomial NegativeLogLikelihoodLoss Optional OptionalGetElement
    OptionalHasElement QLinearConv QLinearMatMul RegexFullMatch SequenceAt SequenceConstruct SequenceEmpty
    SequenceErase SequenceInsert SequenceLength SequenceMap SoftmaxCrossEntropyLoss SplitToSequence StringConcat
    StringNormalizer StringSplit SwiGLU TfIdfVectorizer Unique
""".split()  # noqa: SIM905
_REFUSED_BY_NAME = ("SequenceConstruct", "SequenceAt", "SequenceEmpty", "SequenceInsert", "SequenceErase")
_CONTRIB = ("GroupQueryAttention", "MultiHeadAttention")
# the plugins that some importers need, and TensorRT-RTX does not have
_PLUGINS = ("NonZero", "NonMaxSuppression", "RoiAlign")
_NO_INTEGERS = ("MatMul", "Gemm", "Conv", "ConvTranspose", "Softmax", "LayerNormalization")


@dataclass(frozen=True)
class Parsed:
    """What was parsed into a network.

    Attributes:
        onnx: the model, weights inside.
        light: the model without its large weights, its nodes in order (`shapes.skeleton`).
        facts: symbolic shapes of all its tensors.
        walk: concrete shapes of them.
        inputs: the network's inputs, each with its name in the graph and its shape.
        outputs: the network's outputs, each with its name in the graph.
    """

    onnx: bytes
    light: Any
    facts: dict[str, Fact]
    walk: Walk
    inputs: tuple[tuple[ITensor, str, tuple[int, ...]], ...]
    outputs: tuple[tuple[ITensor, str], ...]
    flaw: str = ""  # what is malformed in the model

    def double(self, name: str) -> bool:
        """Whether an input or output of the graph is FP64, which TensorRT does not have."""
        graph = self.light.graph
        declared = {info.name: info.type.tensor_type.elem_type for info in graph.input}
        return TensorProto.DOUBLE in (declared.get(name), self.facts.get(name, _NOTHING).kind)


class ParserError(Native):
    """One error of the parser."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def code(self) -> Any:
        return getattr(ErrorCode, self._fault.code)

    def desc(self) -> str:
        return self._fault.text

    def func(self) -> str:
        return self._fault.func

    def node(self) -> int:
        return self._fault.node

    def node_name(self) -> str:
        return self._fault.name

    def node_operator(self) -> str:
        return self._fault.operator

    def file(self) -> str:
        return "parser.py"

    def line(self) -> int:
        return 0

    def local_function_stack(self) -> list[str]:
        return list(self._fault.stack)

    def local_function_stack_size(self) -> int:
        return len(self._fault.stack)

    def __repr__(self) -> str:
        """As NVIDIA's: where it was, the code, and what was wrong."""
        where = f"In node {self.node()} with name: {self.node_name()} and operator: {self.node_operator()}"
        return f"{where} ({self.func()}): {self.code().name}: {self.desc()}"


class OnnxParser(Native):
    """Fills a network from an ONNX model."""

    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        check_logger(logger)
        if not isinstance(network, INetworkDefinition):
            raise incompatible(
                "tensorrt.OnnxParser(network: tensorrt.INetworkDefinition, logger: tensorrt.ILogger)",
                network,
                logger,
                constructor=True,
            )
        self._network = network
        self._logger = logger
        self._errors: list[ParserError] = []
        self._flags = 1 << int(Flag.NATIVE_INSTANCENORM)
        self._proto: tuple[bytes, str | None] | None = None
        self._given: dict[str, bytes] = {}
        self._flaw = ""

    def _log(self, severity: Any, text: str) -> None:
        self._logger.log(severity, text)

    # --- errors and flags ---

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError | None:
        if 0 <= index < len(self._errors):
            return self._errors[index]
        at, size = index % (1 << 64), len(self._errors)
        self._log(Severity.ERROR, f"vector::_M_range_check: __n (which is {at}) >= this->size() (which is {size})")
        return None

    def clear_errors(self) -> None:
        self._errors.clear()

    @property
    def flags(self) -> int:
        return self._flags

    @flags.setter
    def flags(self, value: int) -> None:
        self._flags = int(value)

    def set_flag(self, flag: Any) -> None:
        self._flags |= 1 << int(flag)

    def clear_flag(self, flag: Any) -> None:
        self._flags &= ~(1 << int(flag))

    def get_flag(self, flag: Any) -> bool:
        return bool(self._flags >> int(flag) & 1)

    def set_builder_config(self, builder_config: Any) -> bool:
        return True

    def get_used_vc_plugin_libraries(self) -> list[str]:
        return []

    # --- what is asked of a model ---

    def supports_operator(self, op_name: str) -> bool:
        return _supported(op_name)

    num_subgraphs = property(lambda self: int(self._done()))

    def get_subgraph_nodes(self, index: int) -> list[int]:
        """All nodes are in subgraph 0 of a model that was parsed whole."""
        network = self._network
        return list(range(len(network._parsed.light.graph.node))) if self._done() and index == 0 else []

    def _done(self) -> bool:
        return self._network._parsed is not None

    def get_layer_output_tensor(self, name: str, i: int) -> ITensor | None:
        found = next((layer for layer in self._network._layers if layer.name == name), None)
        return found.get_output(i) if found is not None else None

    # --- routes into the network ---

    def parse(self, model: Any, path: str | None = None) -> bool:
        """Fill the network from the bytes of a model. False, and errors, where it cannot be."""
        data = _bytes(model, "parse(self, model: Buffer, path: str = None) -> bool")
        return self._guarded(lambda: self._read(data, path))

    def supports_model_v2(self, model: Any, path: str | None = None) -> bool:
        """Whether the model can be parsed. As NVIDIA's parser, it fills the network too."""
        data = _bytes(model, "supports_model_v2(self, model: Buffer, path: str = None) -> bool")
        return self._guarded(lambda: self._read(data, path))

    def parse_from_file(self, model: str) -> bool:
        """As `parse`, for a file; weights in side files are looked for beside it."""
        if not isinstance(model, str | bytes):
            raise incompatible("parse_from_file(self, model: str) -> bool", model)
        path = model if isinstance(model, str) else model.decode()
        if not Path(path).is_file():
            missing = (
                "Assertion failed: stat(onnxModelFile, &sb) == 0 && S_ISREG(sb.st_mode): Input file cannot be found, or"
                f" is not a regular file: {path}"
            )
            self._errors.append(ParserError(Fault("INVALID_VALUE", missing, "parseFromFile")))
            text = f"In node -1 with name:  and operator:  (parseFromFile): INVALID_VALUE: {missing}"
            self._log(Severity.ERROR, text)
            return False
        return self._guarded(lambda: self._read(Path(path).read_bytes(), path))

    def load_model_proto(self, model: Any, path: str | None = None) -> bool:
        """Read a model without filling the network; initializers may be given next, then `parse_model_proto`."""
        data = _bytes(model, "load_model_proto(self, model: Buffer, path: str = None) -> bool")

        def load() -> None:
            if self._proto is not None:
                failed = "Assertion failed: model->ByteSizeLong() == 0: A model was previously parsed!"
                raise Refused(Fault("MODEL_DESERIALIZE_FAILED", failed, "deserializeOnnxModel"))
            models.deserialize(data)
            self._proto = (data, path)

        return self._guarded(load)

    def load_initializer(self, name: str, data: int, size: int) -> bool:
        """Take the `size` bytes at the address `data` for the initializer `name` of the model that was loaded."""
        loaded = models.deserialize(self._proto[0]).graph.initializer if self._proto is not None else ()
        if all(tensor.name != name for tensor in loaded):
            self._log(Severity.ERROR, f"Cannot find initializer name: {name} in model!")
            return False
        self._given[name] = ctypes.string_at(int(data), int(size))
        return True

    def parse_model_proto(self) -> bool:
        """Fill the network from the model that was loaded; without one, from nothing."""
        data, path = self._proto or (b"", None)
        return self._guarded(lambda: self._read(data, path))

    def _guarded(self, work: Any) -> bool:
        self._flaw = ""
        try:
            work()
        except Refused as refused:
            for line in refused.lines:
                self._log(Severity.ERROR, line)
            self._fail(refused.fault)
        except _Failed:
            pass
        except Exception:  # of many types: what ONNX's functions and NumPy meet in a malformed model
            if not self._flaw:
                raise
            self._fail(Fault("INVALID_GRAPH", f"[simulator] the model is malformed: {self._flaw}", "parse"))
        else:
            return True
        return False

    def _fail(self, fault: Fault, op: str = "", output: str = "") -> None:
        """Keep an error and log it as NVIDIA's parser does."""
        self._errors.append(ParserError(fault))
        if fault.code == "MODEL_DESERIALIZE_FAILED":
            self._log(Severity.ERROR, f"({fault.func}): {fault.code}: {fault.text}")
            return
        if fault.node >= 0:
            self._log(Severity.ERROR, f'While parsing node number {fault.node} [{op} -> "{output}"]:')
            self._log(Severity.ERROR, f"--- Begin node ---\nNode name: {fault.name}")
            self._log(Severity.ERROR, "--- End node ---")
        number = int(getattr(ErrorCode, fault.code))
        self._log(Severity.ERROR, f"ERROR: In function {fault.func}:\n[{number}] {fault.text}")

    # --- the model itself ---

    def _read(self, data: bytes, path: str | None) -> None:
        network = self._network
        if network._inputs or network._layers:
            self._log(Severity.ERROR, "Parse was called with a non-empty network definition")
            raise _Failed
        model = models.deserialize(data)
        seen = guard.look(data, path)
        why, self._flaw = guard.parser_trouble(data, path, seen), seen.flaw
        if why:
            raise Refused(Fault("INVALID_GRAPH", f"[simulator] {why}", "parse"))
        self._proto = self._proto or (data, path)
        for line in _heading(model):
            self._log(Severity.INFO, line)
        if not model.graph.ByteSize():
            return
        version = _opset(model)
        if model.opset_import and version < 7:
            self._log(
                Severity.WARNING,
                "TensorRT supports ONNX graphs generated with at least opset 7. Models using older opsets are not"
                " guaranteed to work.",
            )
        made = self._inputs(network, model.graph)
        folder = str(Path(path).parent) if path else ""
        whole = model.SerializeToString() if models.take_in_weights(model, folder, self._given) else data
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        order = _sorted(model.graph)
        nodes = [onnx.NodeProto.FromString(model.graph.node[i].SerializeToString()) for i in order]
        self._refuse_unknown(order, nodes)
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        if version < 7 and any(node.op_type in ELEMENTWISE for node in nodes):
            text = "Pre-opset 7 broadcasting is unsupported in this version of the ONNX parser"
            text = f"Assertion failed: ctx->getOpsetVersion() >= 7: {text}"
            raise Refused(Fault("UNSUPPORTED_NODE", text, "broadcastTensor"))
        light = skeleton(model)
        facts = symbolic(light)
        for tensor in model.graph.initializer:
            facts[tensor.name] = Fact(tensor.data_type, tuple(tensor.dims))
        weights = {tensor.name for tensor in model.graph.initializer}
        walk = Walk(light, facts)
        for place, node in zip(order, nodes, strict=True):
            self._layer(network, place, node, made, weights, walk)
        inputs = tuple((t, t.name, tuple(t.shape)) for t in network._inputs)
        self._outputs(network, model.graph, made)
        for name in shape_inputs(nodes, {name for _, name, _ in inputs}):
            made[name]._shape_tensor = True
        outputs = tuple((made[info.name], info.name) for info in model.graph.output)
        network._parsed = Parsed(whole, light, facts, walk, inputs, outputs, self._flaw)

    def _refuse_unknown(self, order: list[int], nodes: list[Any]) -> None:
        """All operators that the parser has not, in one go."""
        unknown = [(i, node) for i, node in zip(order, nodes, strict=True) if not _supported(node.op_type)]
        for _, node in unknown:
            if node.op_type not in _REFUSED_BY_NAME:
                plugin = f"using pluginName: {node.op_type}, pluginVersion: 1, pluginNamespace: {node.domain}"
                self._log(Severity.INFO, f"Plugin not found with node attribute namespace: {plugin}")
                self._log(Severity.INFO, f"Searching for plugin with node domain namespace: {plugin}")
        for i, node in unknown:
            code, func = "INVALID_NODE", "checkFallbackPluginImporter"
            text = 'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
            if node.op_type in _REFUSED_BY_NAME:
                code, text, func = "UNSUPPORTED_NODE", "false", f"check{node.op_type}"
            fault = Fault(code, text, func, i, node.name, node.op_type)
            self._fail(fault, node.op_type, next(iter(node.output), ""))
        if unknown:
            raise _Failed

    def _inputs(self, network: INetworkDefinition, graph: Any) -> dict[str, ITensor]:
        """Make the network's inputs; all tensors are kept by their names in the graph."""
        made: dict[str, ITensor] = {}
        weights = {tensor.name for tensor in graph.initializer}
        for info in graph.input:
            if info.name in weights:
                continue
            if info.name in made:
                raise Refused(Fault("INTERNAL_ERROR", f"ONNX graph has duplicate tensor name: {info.name}", "parse"))
            dtype, dims = TYPES.get(info.type.tensor_type.elem_type), dims_of(info) or ()
            failed = ""
            if dtype is None:
                code, failed = "UNSUPPORTED_NODE", "convertDtype(onnxDtype.elem_type(), &trtDtype)"
                failed += ' && "Failed to convert ONNX date type to TensorRT data type."'
            elif len(dims) > 8:
                code, failed = "UNSUPPORTED_GRAPH", "convertOnnxDims(onnxDtype.shape().dim(), trt_dims, namedDims)"
                failed += ' && "Failed to convert ONNX dimensions to TensorRT dimensions."'
            if dtype is None or failed:
                raise Refused(Fault(code, f"Assertion failed: {failed}", "importInput"))
            tensor = made[info.name] = _tensor(network, info.name, dtype, dims)
            tensor._dimension_names = {i: d for i, d in enumerate(dims) if isinstance(d, str)}
            network._inputs.append(tensor)
            if dtype == "INT64":
                self._log(Severity.WARNING, f"Make sure input {info.name} has Int64 binding.")
        return made

    def _outputs(self, network: INetworkDefinition, graph: Any, made: dict[str, ITensor]) -> None:
        for info in graph.output:
            tensor = made.get(info.name)
            if tensor is None:
                raise Refused(Fault("INTERNAL_ERROR", "Trying to access weights or a null tensor!", "parse"))
            if tensor.is_network_input:  # NVIDIA's parser gives the input another name, and copies
                tensor._name = f"__{info.name}"
                copy = made[info.name] = _tensor(network, info.name, tensor.dtype.name, tuple(tensor.shape))
                network._layers.append(ILayer(network, LayerType.IDENTITY, info.name, [tensor], [copy]))
                tensor = copy
            network.mark_output(tensor)
            if tensor.dtype == DataType.INT64:
                self._log(Severity.WARNING, f"Make sure output {info.name} has Int64 binding.")

    def _layer(
        self,
        network: INetworkDefinition,
        place: int,
        node: Any,
        made: dict[str, ITensor],
        weights: set[str],
        walk: Walk,
    ) -> None:
        """Check a node and make its layer, with a CONSTANT for every weight that is used for the first time."""
        facts = walk.static
        for name in node.input:
            if name and name not in made:
                if name not in weights:
                    text = "Assertion failed: (ctx->tensors().count(inputName)): Node input was not registered."
                    raise _Blame(self, place, node, "INVALID_GRAPH", "parseNode", text)
                fact = facts[name]
                made[name] = _tensor(network, f"{name}_output", TYPES.get(fact.kind, "FLOAT"), fact.dims or ())
                network._layers.append(ILayer(network, LayerType.CONSTANT, name, [], [made[name]]))
        self._check_types(place, node, [made[name].dtype.name if name else "" for name in node.input])
        wrong = walk.refusal(node)
        if wrong:
            text = f"ITensor::getDimensions: Error Code 4: {wrong}"
            raise _Blame(self, place, node, "INVALID_NODE", "parseNode", f"Invalid Node - {label(node)}\n{text}", text)
        for name in node.output:
            if name:
                fact = facts.get(name, _NOTHING)
                made[name] = _tensor(network, name, TYPES.get(fact.kind, "FLOAT"), fact.dims or ())
        kind = LayerType.CONSTANT if node.op_type == "Constant" else layer_type(node.op_type)
        inputs = [made[name] if name else None for name in node.input]
        network._layers.append(ILayer(network, kind, label(node), inputs, [made[n] for n in node.output if n]))

    def _check_types(self, place: int, node: Any, types: list[str]) -> None:
        """One type where the operator has one, and none that it does not take."""
        op, name = node.op_type, label(node)
        if op in _PLUGINS:
            text = (
                "Assertion failed: creator && getPluginCreatorVersion(creator) == CreatorVersion::kV3ONE:"
                f" {op} plugin creator version 1 was not found in plugin registry."
            )
            raise _Blame(self, place, node, "UNSUPPORTED_NODE", f"import{op}", text)
        schema = _schema(op)
        if schema is None:
            return
        needed = [a.name for a in schema.attributes.values() if a.required]
        missing = next((key for key in needed if all(a.name != key for a in node.attribute)), None)
        if missing is not None:
            raise Refused(Fault("INTERNAL_ERROR", f"Attribute not found: {missing}", "parse"))
        how = next((a.s.decode(errors="replace") for a in node.attribute if a.name == "approximate"), "none")
        if op == "Gelu" and how not in ("none", "tanh"):
            text = f"Assertion failed: false: Invalid value provided for the Gelu 'approximate' attribute: {how}"
            raise _Blame(self, place, node, "UNSUPPORTED_NODE_ATTR", "importGelu", text)
        first: dict[str, tuple[int, str]] = {}
        for i, dtype in enumerate(types):
            formal = schema.inputs[min(i, len(schema.inputs) - 1)] if schema.inputs else None
            if formal is None or not dtype:
                continue
            whole = dtype in ("INT32", "INT64", "INT8", "UINT8")
            if _never(formal, dtype) or (op in _NO_INTEGERS and i < 2 and whole):
                text = f"Assertion failed: status.is_success(): Found unsupported input type of {dtype}"
                raise _Blame(self, place, node, "UNSUPPORTED_NODE", "checkNotInvalidType", text)
            j, other = first.setdefault(formal.type_str, (i, dtype))
            if other != dtype and not formal.type_str.startswith(("tensor(", "seq(")):
                self._refuse_mixed(place, node, name, j, i, SPOKEN[other], SPOKEN[dtype])

    def _refuse_mixed(self, place: int, node: Any, name: str, j: int, i: int, a: str, b: str) -> None:
        op = node.op_type
        if op in ELEMENTWISE or (op == "Gemm" and i == 2):
            what = "IElementWiseLayer with inputs " + " and ".join(node.input)
            self._log(Severity.WARNING, f"{what}: first input has type {a} but second input has type {b}.")
            text = f"ElementWiseOperation {ELEMENTWISE.get(op, 'SUM')} must have same input types."
            text += f" But they are of types {a} and {b}."
        elif op in ("MatMul", "Gemm"):
            text = f"IMatrixMultiplyLayer must have same input types. `A` is of type {a} and `B` is of type {b}."
        elif op == "LayerNormalization":
            text = (
                f"INormalizationLayer `input` and `scale` must have identical types. `input` type is {a} and `scale`"
                f" type is {b}."
            )
        elif op == "Concat":
            text = (
                f"IConcatenationLayer `inputs` must all be of the same type. inputs[{i}] is of type {b} but inputs[{j}]"
                f" is of type {a}."
            )
        elif op == "Where":
            what = "ISelectLayer with inputs " + " and ".join(node.input)
            self._log(Severity.WARNING, f"{what}: thenInput input has type {a} but elseInput has type {b}.")
            text = f"ISelectLayer must have `thenInput` and `elseInput` of same types but has {a} and {b}."
        else:
            text = f"{op} must have same input types. But they are of types {a} and {b}."
        text = f"ITensor::getDimensions: Error Code 4: API Usage Error ({name}: {text})"
        raise _Blame(self, place, node, "INVALID_NODE", "parseNode", f"Invalid Node - {name}\n{text}", text)


_NOTHING = Fact(0, None)


class _Failed(Exception):
    """The errors are kept and logged already."""


class _Blame(_Failed):
    """A node is at fault; `line` is logged before the parser's own."""

    def __init__(
        self, parser: OnnxParser, place: int, node: Any, code: str, func: str, text: str, line: str = ""
    ) -> None:
        super().__init__(text)
        if line:
            parser._log(Severity.ERROR, line)
        fault = Fault(code, text, func, place, node.name, node.op_type)
        parser._fail(fault, node.op_type, next(iter(node.output), ""))


def _bytes(model: Any, signature: str) -> bytes:
    if isinstance(model, str):
        raise incompatible(signature, model)
    try:
        return bytes(memoryview(model))
    except TypeError:
        raise incompatible(signature, model) from None


def _heading(model: onnx.ModelProto) -> list[str]:
    ir = model.ir_version
    opset = _opset(model)
    line = "-" * 64
    return [
        line,
        f"ONNX IR version:  {ir >> 32 & 0xFF}.{ir >> 16 & 0xFF}.{ir & 0xFFFF}",
        f"Opset version:    {opset}",
        f"Producer name:    {model.producer_name}",
        f"Producer version: {model.producer_version}",
        f"Domain:           {model.domain}",
        f"Model version:    {model.model_version}",
        f"Doc string:       {model.doc_string}",
        line,
    ]


def _supported(op: str) -> bool:
    return op not in _UNSUPPORTED and (_schema(op) is not None or op in _CONTRIB)


def _schema(op: str) -> Any:
    """The newest schema of an operator of ONNX itself."""
    try:
        return onnx.defs.get_schema(op, onnx.defs.onnx_opset_version(), "")
    except onnx.defs.SchemaError:
        return None


def _never(formal: Any, dtype: str) -> bool:
    """Whether the operator's schema has this input in other types only."""
    allowed = {_ONNX_NAMES.get(kind) for kind in formal.types}
    return None not in allowed and dtype not in allowed and dtype in ("BOOL",)


_ONNX_NAMES = {
    "tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(bfloat16)": "BF16", "tensor(double)": "FLOAT",
    "tensor(int8)": "INT8", "tensor(int32)": "INT32", "tensor(int64)": "INT64", "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8", "tensor(int16)": "", "tensor(uint16)": "", "tensor(uint32)": "", "tensor(uint64)": "",
}  # fmt: skip


def _sorted(graph: Any) -> list[int]:
    """Places of the nodes in an order in which every tensor is made before it is used."""
    made = models.producers(graph)
    names = [name for node in graph.node for name in node.output if name]
    ready = {info.name for info in graph.input} | {tensor.name for tensor in graph.initializer}
    order: list[int] = []
    state: dict[int, int] = {}
    fine = len(names) == len(set(names)) and not ready & set(names)
    todo = [(i, False) for i in reversed(range(len(graph.node)))]
    while todo and fine:
        i, done = todo.pop()
        if done:
            state[i] = 2
            order.append(i)
        elif state.get(i) is None:
            state[i] = 1
            todo.append((i, True))
            before = [made[name] for name in _needs(graph.node[i]) if name in made]
            fine = all(state.get(k) != 1 for k in before)
            todo += [(k, False) for k in reversed(before) if k not in state]
    if not fine:
        text = "toposort(graph.node(), &topoOrder, subgraphOuterDeps): Failed to sort the model topologically."
        raise Refused(
            Fault("INVALID_GRAPH", f"Assertion failed: {text}", "parseGraph"), "Failed to sort model topologically"
        )
    return order


def _needs(node: Any) -> Iterable[str]:
    """Names that a node reads, those inside its subgraphs too."""
    yield from node.input
    for item in node.attribute:
        for graph in (item.g, *item.graphs):
            for inner in graph.node:
                yield from _needs(inner)


def _tensor(network: INetworkDefinition, name: str, dtype: str, dims: tuple[Any, ...]) -> ITensor:
    shape = tuple(d if isinstance(d, int) else -1 for d in dims[:8])
    return ITensor(network, name, getattr(DataType, dtype), shape)


def _opset(model: onnx.ModelProto) -> int:
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
