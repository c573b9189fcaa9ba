"""Activation memory from live ranges: what one execution context needs beside weights and the caller's buffers.

TensorRT fuses a graph into kernels and gives memory only to tensors between kernels; two tensors that are not needed
at the same time share it. So does this estimate:

- `kernels` groups nodes. A product of matrices, a convolution, a normalisation, a softmax or another reduction begins
  a kernel; what is computed element by element is part of the last kernel that it reads from, if nobody else reads
  there, or else begins one of its own.
- In half precision a product, a softmax and a product after one another are one kernel (fused attention): the scores
  are never in memory.
- `activation_bytes` lays the tensors between kernels on a time line of kernels, and takes the largest sum.

A kernel that multiplies matrices has a scratch space of its own: `SCRATCH`, whatever it multiplies. That number, and
these rules, are read from the logs of NVIDIA's TensorRT-RTX 1.7 builder; `tests/simulator/test_portable.py` compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnx import TensorProto

from .enums import ENUMS
from .model import TYPES
from .shapes import Fact

SCRATCH = 8_192_000
ALIGNMENT = 512

PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "LSTM", "GRU", "RNN", "Attention")
_REDUCTIONS = (
    "Softmax", "LogSoftmax", "LayerNormalization", "GroupNormalization", "InstanceNormalization", "RMSNormalization",
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
    "ArgMax", "ArgMin", "TopK", "CumSum", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "NonZero",
    "If", "Loop", "Scan",
)  # fmt: skip
# The same bytes seen with another shape or order: no kernel, no memory.
_VIEWS = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Dropout", "Split")


@dataclass(eq=False)
class Kernel:
    """Nodes that run as one: `nodes` are their places, `reads` and `writes` the tensors that cross its border."""

    nodes: list[int] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    product: bool = False
    reduction: bool = False
    scores: bool = False  # a softmax of a product in half precision: attention, so far
    scratch: int = 0


def size(fact: Fact) -> int:
    """Bytes of a tensor in TensorRT's type; dimensions that are not known count 1."""
    name = TYPES.get(fact.kind, "FLOAT")
    return -int(-fact.elements * getattr(ENUMS["DataType"], name).itemsize // 1)


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


class _Grouping:
    """Kernels of a graph, made node by node in the graph's order."""

    def __init__(
        self, nodes: Sequence[Any], facts: Mapping[str, Fact], outputs: Sequence[str], constants: set[str]
    ) -> None:
        self._nodes, self._facts, self._constants, self._outputs = nodes, facts, constants, outputs
        self._source: dict[str, str] = {}  # a view's name -> the tensor whose bytes it shows
        self._where: dict[str, Kernel] = {}
        self._made: list[Kernel] = []
        live = [i for i, node in enumerate(nodes) if not self._settled(node)]
        self._users: dict[str, int] = {}
        for name in [name for i in live for name in nodes[i].input] + list(outputs):
            self._users[name] = self._users.get(name, 0) + 1
        for i in live:
            self._place(i)

    def _settled(self, node: Any) -> bool:
        """Whether all that the node makes is known without the inputs' values: shapes, and what follows from them."""
        if any(name in self._facts and self._facts[name].value is not None for name in node.output):
            return True
        return bool(node.input) and all(not name or name in self._constants for name in node.input)

    def _place(self, i: int) -> None:
        node = self._nodes[i]
        names = [name for name in node.input if name and name not in self._constants]
        if node.op_type in _VIEWS:
            for name in node.output:
                self._source[name] = self._source.get(names[0], names[0]) if names else name
            return
        alone = {self._source.get(n, n) for n in names if self._users[n] == 1 and self._shown_once(n)}
        inputs = {self._source.get(name, name) for name in names}
        before = {self._where[name] for name in inputs if name in self._where}
        kernel = self._join(node, inputs, alone, before)
        for other in before - {kernel}:
            self._absorb(kernel, other, inputs & alone)
        kernel.nodes.append(i)
        kernel.product |= node.op_type in PRODUCTS
        kernel.reduction |= node.op_type in _REDUCTIONS
        kernel.scores = node.op_type == "Softmax" and kernel.product
        kernel.reads |= inputs
        for name in node.output:
            self._where[name] = kernel
        if node.op_type.startswith("Reduce"):
            kernel.scratch += self._partial_sums(node)

    def _shown_once(self, name: str) -> bool:
        """Whether the bytes of `name` are read under one name only."""
        source = self._source.get(name, name)
        return source == name or self._users.get(source, 0) <= 1

    def _join(self, node: Any, inputs: set[str], alone: set[str], before: set[Kernel]) -> Kernel:
        """The kernel of the node: the last of those that it reads from, if it may be part of that; else a new one."""
        last = max(before, key=self._made.index, default=None)
        fits = last is not None
        if last is not None and node.op_type in PRODUCTS + _REDUCTIONS:
            fits = all(name in alone for name in inputs if self._where.get(name) is last)
            half = any(name in self._facts and self._facts[name].kind == TensorProto.FLOAT16 for name in inputs)
            if node.op_type in PRODUCTS:
                fits = fits and last.scores and node.op_type == "MatMul"
            else:
                fits = fits and (not last.product or (half and node.op_type == "Softmax"))
        if last is not None and fits:
            return last
        self._made.append(Kernel())
        return self._made[-1]

    def _absorb(self, kernel: Kernel, other: Kernel, alone: set[str]) -> None:
        """Make `other` part of `kernel` where it only computes, element by element, what is needed here alone."""
        kept = [name for name, k in self._where.items() if k is other and self._users.get(name, 0)]
        inner = set().union(*(self._nodes[i].input for i in other.nodes))
        if other.product or other.reduction or kernel.product or any(n not in alone and n not in inner for n in kept):
            return
        kernel.nodes = other.nodes + kernel.nodes
        kernel.reads |= other.reads
        self._made.remove(other)
        for name in [name for name, k in self._where.items() if k is other]:
            self._where[name] = kernel

    def _partial_sums(self, node: Any) -> int:
        """A reduction that leaves the last dimension as it is writes partial results first."""
        before, after = self._facts.get(node.input[0]), self._facts.get(node.output[0])
        kept = before is not None and after is not None and before.dims and after.dims
        if not kept or before is None or after is None or not before.dims or not after.dims:
            return 0
        return _aligned(size(after)) if before.dims[-1] == after.dims[-1] else 0

    def finish(self) -> list[Kernel]:
        for kernel in self._made:
            kernel.reads = {name for name in kernel.reads if self._where.get(name) is not kernel}
        read = {name for kernel in self._made for name in kernel.reads}
        ends = {self._source.get(name, name) for name in self._outputs}
        for name in (read | ends) & set(self._where):
            self._where[name].writes.add(name)
        return self._made


def kernels(
    nodes: Sequence[Any], facts: Mapping[str, Fact], outputs: Sequence[str], constants: set[str]
) -> list[Kernel]:
    """Group the nodes of a graph (in order) into kernels. What is known before the execution is in none."""
    return _Grouping(nodes, facts, outputs, constants).finish()


def activation_bytes(made: Sequence[Kernel], facts: Mapping[str, Fact], given: set[str]) -> int:
    """Bytes that one execution context needs for these shapes, beside the inputs and outputs that are `given`."""
    first = {name: time for time, kernel in enumerate(made) for name in kernel.writes}
    last = {name: time for time, kernel in enumerate(made) for name in kernel.reads}
    steps = [kernel.scratch for kernel in made]
    for name in first.keys() & last.keys() - given:
        for time in range(first[name], last[name] + 1):
            steps[time] += _aligned(size(facts[name])) if name in facts else 0
    return max(steps, default=0) + (SCRATCH if any(kernel.product for kernel in made) else 0)
