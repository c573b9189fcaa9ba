"""Shapes of all tensors of a graph: symbolic, for the network, and concrete, for the ends of a profile.

Symbolic shapes come from `onnx.shape_inference`. Concrete ones are found node by node: a node whose inputs' values are
all known is computed (`onnx.reference`: the arithmetic of shapes, and what is constant), any other node's output
shapes come from its schema's own inference. What TensorRT checks of shapes is checked on the way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

Dims = tuple[int | str | None, ...]

_KNOWN = 4096  # elements of a tensor whose value is followed
# Two inputs whose shapes are broadcast against each other.
ELEMENTWISE = {
    "Add": "SUM", "Sub": "SUB", "Mul": "PROD", "Div": "DIV", "Pow": "POW", "Min": "MIN", "Max": "MAX", "And": "AND",
    "Or": "OR", "Xor": "XOR", "Equal": "EQUAL", "Greater": "GREATER", "Less": "LESS", "Mod": "FLOOR_DIV",
    "GreaterOrEqual": "GREATER", "LessOrEqual": "LESS", "Sum": "SUM", "Mean": "SUM",
}  # fmt: skip
_RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")


@dataclass
class Fact:
    """What is known of a tensor: ONNX element type, dimensions (None: not even how many), and perhaps its value."""

    kind: int
    dims: Dims | None
    value: np.ndarray[Any, Any] | None = None

    @property
    def known(self) -> bool:
        return self.dims is not None and all(isinstance(d, int) for d in self.dims)

    @property
    def elements(self) -> int:
        """Number of elements; dimensions that are not known count 1."""
        return math.prod(size for size in self.dims or () if isinstance(size, int))


@dataclass(frozen=True)
class Violation:
    """A node whose inputs' shapes do not fit. `instruction` is TensorRT's name of what was checked.

    `parsing` is what the parser says where the shapes are fixed already. `at_ends` tells whether TensorRT also warns of
    it at a profile's minimum and maximum.
    """

    text: str
    parsing: str
    instruction: str = ""
    at_ends: bool = True


def label(node: Any) -> str:
    """The layer's name: the node's, or one made of its first output."""
    return node.name or f"node_of_{next((o for o in node.output if o), '')}"


def dims_of(info: Any) -> Dims | None:
    """Dimensions of a `ValueInfoProto`: an int, a name, or None for each."""
    kind = info.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(
        d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else d.dim_param or None for d in kind.shape.dim
    )


def skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large weights turned into inputs (above 4,096 elements), and nothing said of shapes."""
    graph = model.graph
    light = onnx.ModelProto(ir_version=max(model.ir_version, 4), opset_import=model.opset_import)
    standard = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    newest = onnx.defs.onnx_opset_version()
    if not standard or standard > newest:  # TensorRT reads on; inference needs a version that it has
        del light.opset_import[:]
        light.opset_import.append(helper.make_opsetid("", newest))
    light.graph.name = graph.name or "graph"
    light.graph.node.extend(graph.node)
    for node in light.graph.node:  # TensorRT's parser looks at the operator's name alone
        if node.domain and onnx.defs.has(node.op_type, ""):
            node.domain = ""
    names = {i.name for i in graph.input}
    light.graph.input.extend(graph.input)
    for tensor in graph.initializer:
        if np.prod(tensor.dims, dtype=np.int64) <= _KNOWN:
            light.graph.initializer.append(tensor)
        elif tensor.name not in names:
            light.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    light.graph.output.extend(onnx.ValueInfoProto(name=o.name) for o in graph.output)
    return light


def symbolic(light: onnx.ModelProto) -> dict[str, Fact]:
    """Types and shapes of all tensors of `skeleton(model)`, with the model's own names of dimensions."""
    facts: dict[str, Fact] = {}
    try:
        graph = shape_inference.infer_shapes(light, data_prop=True).graph
    except Exception:  # onnx's own error types; a node that it cannot follow (another domain) stops it
        graph = light.graph
    for tensor in graph.initializer:
        facts[tensor.name] = Fact(tensor.data_type, tuple(tensor.dims))
    for info in (*graph.input, *graph.value_info, *graph.output):
        if info.type.HasField("tensor_type"):
            facts[info.name] = Fact(info.type.tensor_type.elem_type, dims_of(info))
    return facts


class Walk:
    """Concrete shapes, input shapes by input shapes, of one model."""

    def __init__(self, light: onnx.ModelProto, static: Mapping[str, Fact]) -> None:
        self._light, self.static = light, static
        self._opset = {o.domain: o.version for o in light.opset_import}
        self._constants = {
            t.name: Fact(t.data_type, tuple(t.dims), numpy_helper.to_array(t)) for t in light.graph.initializer
        }
        self._evaluators: dict[int, Any] = {}

    def run(
        self, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, tuple[int, ...]]
    ) -> tuple[dict[str, Fact], list[Violation]]:
        """Facts of all tensors for these shapes of inputs (and values of those that are shapes), and what is wrong."""
        facts = dict(self._constants)
        for info in self._light.graph.input:
            if info.name not in facts:
                kind, dims = info.type.tensor_type.elem_type, shapes.get(info.name) or dims_of(info)
                value = None
                if info.name in values:
                    value = np.array(values[info.name], helper.tensor_dtype_to_np_dtype(kind)).reshape(
                        shapes.get(info.name, ())
                    )
                facts[info.name] = Fact(kind, dims, value)
        violations = []
        for i, node in enumerate(self._light.graph.node):
            inputs = [facts.get(name) if name else None for name in node.input]
            found = check(node, inputs, [self.static.get(name) for name in node.input])
            if found:
                violations.append(found)
            facts.update(self._outputs(i, node, inputs))
        return facts, violations

    def _outputs(self, i: int, node: Any, inputs: list[Fact | None]) -> dict[str, Fact]:
        if node.op_type == "Shape" and inputs[0] is not None and inputs[0].known:
            dims = np.array(inputs[0].dims, np.int64)
            bounds = {a.name: a.i for a in node.attribute}
            value = dims[bounds.get("start", 0) : bounds.get("end", len(dims))]
            return {node.output[0]: Fact(TensorProto.INT64, value.shape, value)}
        small = all(fact is None or fact.value is not None for fact in inputs)
        if small and node.op_type not in _RANDOM:
            computed = self._compute(i, node, inputs)
            if computed is not None:
                return computed
        return self._infer(node, inputs)

    def _compute(self, i: int, node: Any, inputs: list[Fact | None]) -> dict[str, Fact] | None:
        """The node's values by ONNX's reference implementation; None where it has none, or they are many."""
        from onnx.reference import ReferenceEvaluator

        feeds = {name: fact.value for name, fact in zip(node.input, inputs, strict=True) if fact is not None}
        try:
            if i not in self._evaluators:
                infos = [onnx.ValueInfoProto(name=name) for name in feeds]
                graph = helper.make_graph([node], "node", infos, [onnx.ValueInfoProto(name=o) for o in node.output])
                one = helper.make_model(graph, opset_imports=self._light.opset_import)
                self._evaluators[i] = ReferenceEvaluator(one)
            with np.errstate(all="ignore"):
                values = self._evaluators[i].run(None, feeds)
            arrays = [np.asarray(value) for value in values]
            kinds = [helper.np_dtype_to_tensor_dtype(a.dtype) for a in arrays]
        except Exception:  # what it cannot do (a type, an operator, values that make no sense), inference may
            return None
        return {
            name: Fact(kind, a.shape, a if a.size <= _KNOWN else None)
            for name, kind, a in zip(node.output, kinds, arrays, strict=True)
        }

    def _infer(self, node: Any, inputs: list[Fact | None]) -> dict[str, Fact]:
        unknown = {name: Fact(self.static[name].kind if name in self.static else 0, None) for name in node.output}
        try:
            types = self._schema_says(node, inputs)
        except Exception:  # no schema (another domain), or shapes that do not fit: `check` has said so
            return unknown
        return unknown | {
            name: Fact(kind.tensor_type.elem_type, dims_of(onnx.ValueInfoProto(type=kind)))
            for name, kind in types.items()
        }

    def _schema_says(self, node: Any, inputs: list[Fact | None]) -> Any:
        """The types of a node's outputs by its schema's inference. Raises onnx's errors."""
        facts = {name: fact for name, fact in zip(node.input, inputs, strict=True) if fact is not None}
        return shape_inference.infer_node_outputs(
            onnx.defs.get_schema(node.op_type, self._opset[""], ""),
            node,
            {name: _type(fact) for name, fact in facts.items()},
            {n: numpy_helper.from_array(f.value, n) for n, f in facts.items() if f.value is not None},
            opset_imports=list(self._light.opset_import),
            ir_version=self._light.ir_version,
        )

    def refusal(self, node: Any) -> str:
        """What TensorRT's parser would find wrong with a node's shapes as far as they are fixed; "" for nothing."""
        inputs = [self._constants.get(name) or self.static.get(name) for name in node.input]
        found = check(node, inputs, inputs)
        if found is not None:
            return found.parsing
        if node.op_type in ("MatMul", "Gemm"):
            wrong = _product(node, inputs)
            if wrong:
                return wrong
        if any(name and (fact is None or not fact.kind) for name, fact in zip(node.input, inputs, strict=True)):
            return ""  # made by an operator that inference does not know
        try:
            self._schema_says(node, inputs)
        except (shape_inference.InferenceError, onnx.checker.ValidationError) as error:
            said = str(error).replace("[ShapeInferenceError] ", "").replace("[TypeInferenceError] ", "")
            return f"API Usage Error ({label(node)}: {said})"
        except onnx.defs.SchemaError:  # an operator of another domain
            pass
        return ""


def _type(fact: Fact) -> onnx.TypeProto:
    shape = None if fact.dims is None else [d if isinstance(d, int) else None for d in fact.dims]
    return helper.make_tensor_type_proto(fact.kind, shape)


# --- what TensorRT checks --------------------------------------------------------------------------------------------


def check(node: Any, inputs: list[Fact | None], static: list[Fact | None]) -> Violation | None:
    """What TensorRT would find wrong with the shapes of `node`'s inputs; dimensions that are not known fit."""
    present = [f.dims for f in inputs if f is not None and f.dims is not None]
    name = label(node)
    if node.op_type in ELEMENTWISE or node.op_type == "Where":
        return _broadcast(name, node.op_type, present, static)
    if node.op_type == "Concat":
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        return _concat(name, axis, present, static)
    if node.op_type == "Reshape" and len(inputs) > 1:
        return _reshape(node, name, inputs)
    return None


def _broadcast(name: str, op: str, present: list[Dims], static: Iterable[Fact | None]) -> Violation | None:
    rank = max(map(len, present), default=0)
    padded = [(1,) * (rank - len(dims)) + dims for dims in present]
    fixed = [(1,) * (rank - len(f.dims)) + f.dims for f in static if f is not None and f.dims is not None]
    for axis in range(rank):
        sizes = [dims[axis] for dims in padded if isinstance(dims[axis], int) and dims[axis] != 1]
        other = next((size for size in sizes if size != sizes[0]), None)
        if other is None:
            continue
        a, b = sizes[0], other
        # two dimensions of the network's inputs might still be 1; what is fixed or computed must be met
        free = all(dims[axis] == 1 or _is_name(dims[axis]) for dims in fixed)
        if op != "Where" and not free:
            condition, instruction = f"Condition '==' violated: {a} != {b}.", f"CHECK_EQUAL {a} {b}."
        else:
            condition = f"Broadcast has incompatible dimensions: {a} != {b} && {a} != 1 && {b} != 1."
            instruction = f"CHECK_BROADCAST {a} {b}."
        what = "dimensions not compatible for elementwise."
        if op == "Where":
            what = f"ISelect condition and elseInput axis {axis} dimensions are not compatible"
        conformable = "Shape Error (broadcast dimensions must be conformable)"
        return Violation(f"{name}: {what} {condition}", conformable, instruction)
    return None


def _is_name(size: int | str | None) -> bool:
    """Whether a symbolic dimension is one that the model names, not one that inference made up."""
    return isinstance(size, str) and not size.startswith("unk__")


def _concat(name: str, axis: int, present: list[Dims], static: list[Fact | None]) -> Violation | None:
    if len({len(dims) for dims in present}) != 1:
        return None
    rank = len(present[0])
    for k in range(rank):
        sizes = [dims[k] for dims in present if isinstance(dims[k], int)]
        other = next((size for size in sizes if size != sizes[0]), None)
        if k != axis % rank and other is not None:
            names = [str(f.dims[k]) for f in static if f is not None and f.dims is not None]
            index = next(i for i, dims in enumerate(present) if dims[k] == other)
            return Violation(
                f"{name}: axis {k} dimensions must be equal for concatenation on axis {axis}. Dimensions are"
                f" {' and '.join(names)}. Condition '==' violated: {sizes[0]} != {other}.",
                f"Internal Error ({name}: all concat input tensors must have the same dimensions except on the"
                f" concatenation axis ({axis}), but dimensions mismatched at index {k}. Input 0 shape:"
                f" {_spoken(present[0])}, Input {index} shape: {_spoken(present[index])})",
                at_ends=False,
            )
    return None


def _reshape(node: Any, name: str, inputs: list[Fact | None]) -> Violation | None:
    data, wanted = inputs[0], inputs[1]
    if data is None or wanted is None or wanted.value is None or not data.known:
        return None
    assert data.dims is not None
    copies = not any(a.name == "allowzero" and a.i for a in node.attribute)
    target = [int(d) for d in wanted.value]
    target = [data.dims[i] if d == 0 and copies and i < len(data.dims) else d for i, d in enumerate(target)]  # type: ignore[misc]
    volume = math.prod(d for d in target if d != -1)
    if -1 in target and volume == 0:
        why, parsing = "Reshape dimension of -1 has indeterminate solution.", ""
    elif volume == data.elements or (-1 in target and data.elements % volume == 0):
        return None
    else:
        why = f"reshape would change volume {data.elements} to {volume}"
        parsing = f"Shape Error (reshape changes volume. Reshaping {_spoken(data.dims)} to {_spoken(tuple(target))}.)"
    before, after = " ".join(map(str, data.dims)), " ".join(map(str, target))
    return Violation(
        f"IShuffleLayer {name}: reshaping failed for tensor: {node.input[0]} {why}",
        parsing,
        f"RESHAPEinput dims{{{before}}} reshape dims{{{after}}}.",
    )


def _product(node: Any, inputs: list[Fact | None]) -> str:
    """The inner dimensions of a product of matrices, which TensorRT compares while it parses, and not later."""
    if len(inputs) < 2 or inputs[0] is None or inputs[1] is None or not inputs[0].dims or not inputs[1].dims:
        return ""
    a, b = inputs[0].dims, inputs[1].dims
    turned = {item.name: item.i for item in node.attribute}
    left = a[-2] if turned.get("transA") and len(a) > 1 else a[-1]
    right = b[-1] if turned.get("transB") or len(b) == 1 else b[-2]
    if not isinstance(left, int) or not isinstance(right, int) or left == right:
        return ""
    first = "second to last dimension" if turned.get("transA") else "last dimension"
    second = "last dimension" if turned.get("transB") else "second to last dimension"
    text = f"{first} of input0 = {left} and {second} of input1 = {right} but must match."
    return f"API Usage Error ({label(node)}: {text})"


def _spoken(dims: Dims) -> str:
    return f"[{','.join(str(d) if isinstance(d, int) else '-1' for d in dims)}]"


# --- shapes as inputs -------------------------------------------------------------------------------------------------

_REDUCES = ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp")
# operators and their inputs that are shapes or axes: their values decide about shapes of outputs
SHAPE_OPERANDS = {
    "Reshape": (1,), "Expand": (1,), "ConstantOfShape": (0,), "Slice": (1, 2, 3, 4), "Tile": (1,), "Pad": (1,),
    "Range": (0, 1, 2), "Resize": (2, 3), "TopK": (1,), "Squeeze": (1,), "Unsqueeze": (1,), "Split": (1,),
    "OneHot": (1,), "CumSum": (1,), **dict.fromkeys((f"Reduce{kind}" for kind in _REDUCES), (1,)),
}  # fmt: skip


def shape_inputs(nodes: Iterable[Any], inputs: set[str]) -> set[str]:
    """Inputs whose values shapes are computed from."""
    made = {name: node for node in nodes for name in node.output}
    todo = [
        node.input[i] for node in made.values() for i in SHAPE_OPERANDS.get(node.op_type, ()) if i < len(node.input)
    ]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            node = made.get(name)
            if node is not None and node.op_type not in ("Shape", "Size"):
                todo += node.input
    return seen & inputs
