"""Activation memory from live ranges: what one execution context needs beside weights and the caller's buffers.

TensorRT fuses a graph into kernels and gives memory only to tensors between kernels; two tensors that are not needed
at the same time share it. So does this estimate:

- `kernels` groups nodes. A product of matrices, a convolution, a normalisation, a softmax or another reduction begins
  a kernel, and what is computed element by element is part of the kernel before it, or of the first that reads it.
- `activation_bytes` lays the tensors between kernels on a time line of kernels, and takes the largest sum.

In half precision, a product, a softmax and a product after one another are one kernel (fused attention): the scores
are never in memory. A kernel that multiplies matrices has a scratch space of its own: `SCRATCH`, whatever it
multiplies (from the log of NVIDIA's TensorRT-RTX 1.7 builder).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
VIEWS = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Dropout", "Split")


@dataclass
class Kernel:
    """Nodes that run as one: `nodes` are their places, `reads` and `writes` the tensors that cross its border."""

    nodes: list[int] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    product: bool = False


def size(fact: Fact) -> int:
    """Bytes of a tensor in TensorRT's type; dimensions that are not known count 1."""
    name = TYPES.get(fact.kind, "FLOAT")
    return -int(-fact.elements * getattr(ENUMS["DataType"], name).itemsize // 1)


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def kernels(nodes: Sequence[Any], facts: Mapping[str, Fact], outputs: Sequence[str], constants: set[str]) -> list[Kernel]:
    """Group the nodes of a graph (in order) into kernels. What is known before the execution is in none."""
    source: dict[str, str] = {}  # a view's name -> the tensor whose bytes it shows
    users: dict[str, int] = {}
    live = [i for i, node in enumerate(nodes) if not _settled(node, facts, constants)]
    for i in live:
        for name in nodes[i].input:
            users[name] = users.get(name, 0) + 1
    for name in outputs:
        users[name] = users.get(name, 0) + 1
    made: list[Kernel] = []
    where: dict[str, Kernel] = {}
    for i in live:
        node = nodes[i]
        inputs = [source.get(name, name) for name in node.input if name and name not in constants]
        if node.op_type in VIEWS:
            for name in node.output:
                source[name] = inputs[0] if inputs else name
            continue
        kernel = _joined(node, inputs, where, users, source, facts)
        if kernel is None:
            kernel = Kernel()
            made.append(kernel)
        kernel.nodes.append(i)
        kernel.product = kernel.product or node.op_type in PRODUCTS
        kernel.reads.update(name for name in inputs if where.get(name) is not kernel)
        for name in node.output:
            where[name] = kernel
    for kernel in made:
        for other in made:
            if other is not kernel:
                kernel.writes |= {name for name in other.reads if where.get(name) is kernel}
    return made


def _settled(node: Any, facts: Mapping[str, Fact], constants: set[str]) -> bool:
    """Whether all that the node makes is known without the inputs' values: shapes, and what follows from them."""
    if any(name in facts and facts[name].value is not None for name in node.output):
        return True
    return bool(node.input) and all(not name or name in constants for name in node.input)


def _joined(
    node: Any,
    inputs: list[str],
    where: Mapping[str, Kernel],
    users: Mapping[str, int],
    source: Mapping[str, str],
    facts: Mapping[str, Fact],
) -> Kernel | None:
    """The kernel that the node is computed in, if it begins none: that of the largest tensor that it alone reads."""
    if node.op_type in PRODUCTS:
        return None
    alone = [name for name in inputs if name in where and users.get(name, 0) <= 1]
    if node.op_type in _REDUCTIONS:
        # a reduction reads what was computed element by element just before it, but is no part of a product
        alone = [name for name in alone if not where[name].product]
    if not alone:
        return None
    return where[max(alone, key=lambda name: facts[name].elements if name in facts else 0)]


def activation_bytes(made: Sequence[Kernel], facts: Mapping[str, Fact], given: set[str]) -> int:
    """Bytes that one execution context needs for these shapes, beside the inputs and outputs that are `given`."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for time, kernel in enumerate(made):
        for name in kernel.writes:
            first.setdefault(name, time)
        for name in kernel.reads:
            last[name] = time
    sizes = {n: _aligned(size(facts[n])) for n in first if n in last and n in facts and n not in given}
    steps = [0] * (len(made) + 1)
    for name, nbytes in sizes.items():
        for time in range(first[name], last[name] + 1):
            steps[time] += nbytes
    scratch = SCRATCH if any(kernel.product for kernel in made) else 0
    return max(steps) + scratch
