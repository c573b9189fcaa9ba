"""What is mutated: small ONNX models with the operators that a network is made of, and plans around them."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping

import numpy as np
import onnx

from helpers.simulator.native import VERSION
from helpers.simulator.plan import DTYPES, NVIDIA_MAGIC, Plan, Profile, TensorSpec

from ..simulator.conftest import add_model, classifier_model, linear_model

_HEAD = '<ir_version: 10, opset_import: ["" : 20]>\n'

_TEXTS = {
    "norm": """g (float[B, 8] x) => (float[B, 8] y) <float[8] scale = {1, 1, 1, 1, 2, 2, 2, 2}, float[8] bias = {0, 0, 0, 0, 0, 0, 0, 0}> {
        n = LayerNormalization <axis = -1, epsilon = 0.00001> (x, scale, bias)
        s = Softmax <axis = -1> (n)
        y = Gelu (s)
    }""",
    "decomposed": """g (float[B, 8] x) => (float[B, 8] y) <int64[1] axes = {-1}, float two = {2}, float small = {0.001}> {
        mean = ReduceMean <keepdims = 1> (x, axes)
        d = Sub (x, mean)
        p = Pow (d, two)
        v = ReduceMean <keepdims = 1> (p, axes)
        e = Add (v, small)
        r = Sqrt (e)
        y = Div (d, r)
    }""",
    "attention": """g (float[B, T, 8] q, float[B, T, 8] k, bool[B, T, T] mask) => (float[B, T, 8] y) <float low = {-1000}, float root = {2.8}> {
        kt = Transpose <perm = [0, 2, 1]> (k)
        s = MatMul (q, kt)
        t = Div (s, root)
        m = Where (mask, t, low)
        p = Softmax <axis = -1> (m)
        y = MatMul (p, k)
    }""",
    "image": """g (float[B, 1, 6, 6] x) => (float[B, 2] y) <float[2, 1, 3, 3] w = {1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0}, float[2] b = {0, 1}> {
        c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1]> (x, w, b)
        r = Relu (c)
        p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
        a = GlobalAveragePool (p)
        y = Flatten <axis = 1> (a)
    }""",
    "shapes": """g (float[B, 8] x) => (float[B, 2, 4] y) <int64[1] first = {0}, int64[2] tail = {2, 4}> {
        s = Shape (x)
        b = Gather <axis = 0> (s, first)
        to = Concat <axis = 0> (b, tail)
        y = Reshape (x, to)
    }""",
    "indices": """g (float[B, 8] x) => (float[B, 4] y, int64[B, 2] i) <int64[1] k = {2}, int64[1] a = {0}, int64[1] e = {4}, int64[1] ax = {1}, int64[1] st = {1}, int64 one = {1}, float lo = {-1}, float hi = {1}> {
        v, i = TopK <axis = -1> (x, k)
        s = Slice (x, a, e, ax, st)
        c = CumSum (s, one)
        t = Tanh (c)
        y = Clip (t, lo, hi)
    }""",
    "padded": """g (float[2, 4] x) => (float[a, b] y) <int64[4] pads = {1, 0, 1, 0}, float zero = {0}, int64[2] times = {1, 2}, int64[2] wide = {4, 8}> {
        p = Pad <mode = "constant"> (x, pads, zero)
        t = Tile (p, times)
        y = Expand (t, wide)
    }""",
    "loop": """g (float[8] x) => (float[8] y) <int64 trips = {3}, bool go = {1}> {
        y = Loop (trips, go, x) <body = body (int64 i, bool c, float[8] a) => (bool d, float[8] b) { d = Identity (c) b = Add (a, a) }>
    }""",
    "branch": """g (float[8] x, bool c) => (float[8] y) {
        y = If (c) <then_branch = t () => (float[8] p) { p = Neg (x) }, else_branch = e () => (float[8] n) { n = Abs (x) }>
    }""",
    "scan": """g (float[3, 8] x, float[8] start) => (float[8] last, float[3, 8] y) {
        last, y = Scan <num_scan_inputs = 1, body = s (float[8] a, float[8] r) => (float[8] b, float[8] o) { b = Add (a, r) o = Identity (b) }> (start, x)
    }""",
    "quantized": """g (float[B, 8] x) => (float[B, 8] y) <float scale = {0.1}, int8 zero = {0}> {
        q = QuantizeLinear (x, scale, zero)
        y = DequantizeLinear (q, scale, zero)
    }""",
    "mixed": """g (float[B, 4] x, int64[B] id) => (float16[B, 4] y) <int64 depth = {4}, float[2] values = {0, 1}> {
        h = OneHot <axis = -1> (id, depth, values)
        e = Einsum <equation = "bi,bi->bi"> (x, h)
        y = Cast <to = 10> (e)
    }""",
    "gated": """g (float[3, 2, 4] x) => (float[3, 1, 2, 2] y, float[1, 2, 2] h) <float[1, 8, 4] w = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}, float[1, 8, 2] r = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}> {
        y, h, c = LSTM <hidden_size = 2> (x, w, r)
    }""",
    "scattered": """g (float[4, 4] x, int64[2, 1] where, float[2, 4] with) => (float[4, 4] y, float[4, 4] z) {
        s = ScatterND (x, where, with)
        y = Identity (s)
        z = Transpose <perm = [1, 0]> (s)
    }""",
    "resized": """g (float[1, 1, 4, 4] x) => (float[1, 1, 8, 8] y) <float[4] scales = {1, 1, 2, 2}> {
        y = Resize <mode = "nearest"> (x, , scales)
    }""",
}
_FUNCTION = """
    <ir_version: 10, opset_import: ["" : 20, "own" : 1]>
    g (float[B, 8] x) => (float[B, 8] y) { y = own.twice (x) }
    <domain: "own", opset_import: ["" : 20]>
    twice (a) => (b) { b = Add (a, a) }"""


@functools.cache
def models() -> Mapping[str, onnx.ModelProto]:
    """Small valid models, by name; the largest has 1 kB."""
    made = {"add": add_model(), "linear": linear_model(), "classifier": classifier_model()}
    made |= {name: onnx.parser.parse_model(_HEAD + text) for name, text in _TEXTS.items()}
    made["function"] = onnx.parser.parse_model(_FUNCTION)
    return made

SETTINGS = {
    "flags": ["TF32"],
    "memory_pools": {"WORKSPACE": 1 << 30, "TACTIC_SHARED_MEMORY": 1 << 30},
    "compute_capabilities": [],
    "preview_features": [],
    "tactic_sources": 0,
    "builder_optimization_level": 3,
    "max_aux_streams": -1,
    "tiling_optimization_level": "NONE",
    "profiling_verbosity": "LAYER_NAMES_ONLY",
    "hardware_compatibility_level": "NONE",
    "runtime_platform": "SAME_AS_BUILD",
    "engine_capability": "STANDARD",
    "max_num_tactics": -1,
}


@functools.cache
def plans() -> Mapping[str, Plan]:
    """A plan of each model, as a builder writes it but for NVIDIA's part, which the simulator does not read."""
    return {name: _plan(model) for name, model in models().items()}


def _plan(model: onnx.ModelProto) -> Plan:
    names = {onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)): name for name, dtype in DTYPES.items()}
    tensors = []
    for mode, infos in (("INPUT", model.graph.input), ("OUTPUT", model.graph.output)):
        for info in infos:
            kind = info.type.tensor_type
            shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim)
            tensors.append(TensorSpec(info.name, info.name, mode, names[kind.elem_type], shape))
    profiles: list[Profile] = []
    for sizes in ((1, 2, 4), (2, 3, 8)):
        profiles.append(
            {
                t.name: tuple(tuple(size if d < 0 else d for d in t.shape) for size in sizes)  # type: ignore[misc]
                for t in tensors
                if t.mode == "INPUT" and -1 in t.shape
            }
        )
    if not profiles[0]:
        del profiles[1:]
    return Plan(
        version=VERSION,
        flavor="tensorrt_rtx",
        builder="nvidia",
        name=model.graph.name,
        tensors=tuple(tensors),
        profiles=tuple(profiles),
        shape_values=tuple({} for _ in profiles),
        settings=SETTINGS,
        activation_bytes=tuple(1024 for _ in profiles),
        weight_bytes=512,
        layers=len(model.graph.node),
        layer_info=tuple(f"Layer({node.op_type}): {node.name}" for node in model.graph.node),
        nvidia=NVIDIA_MAGIC + random.Random(model.graph.name).randbytes(400),
        onnx=model.SerializeToString(),
    )
