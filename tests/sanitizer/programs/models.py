"""Small models for the sanitizer's programs: their ONNX bytes, and plans built from them with TensorRT's own API.

| name     | inputs                                             | outputs                      |
|----------|----------------------------------------------------|------------------------------|
| `add`    | x float32 [1..16, 8]                               | y = x + 1, float32 [B, 8]    |
| `add2`   | the same, two profiles: [1..4, 8] and [4..64, 8]   | the same                     |
| `layers` | x float32 [1..16, 8]                               | y = relu(x V) W, float32 [B, 4] |
| `pool`   | input_ids, attention_mask int64 [1..8, 1..16]      | logits float32 [B, 4]        |
| `decode` | input_ids int64 [B, 1], past float32 [B, 8]; B 1..4 | logits float32 [B, 16], present float32 [B, 8] |
| `sum2`   | a, b float32 [1..16, 8]                            | c = a + b, float32 [B, 8]    |

`expected(name, **inputs)` computes the same with NumPy.

A plan is built once and kept in the folder that the environment variable SANITIZER_PROGRAMS_CACHE names, or in one under
the system's folder for temporary files.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_FLOAT, _INT64 = TensorProto.FLOAT, TensorProto.INT64

V = (np.arange(8 * 16, dtype=np.float32).reshape(8, 16) % 7 - 3) / 8
W = (np.arange(16 * 4, dtype=np.float32).reshape(16, 4) % 5 - 2) / 4
TABLE = (np.arange(32 * 4, dtype=np.float32).reshape(32, 4) % 11 - 5) / 4  # embeddings of `pool`, by token
STEP = (np.arange(16 * 8, dtype=np.float32).reshape(16, 8) % 9 - 4) / 8  # embeddings of `decode`, by token

# name -> for every profile, the inputs' (min, opt, max)
_PROFILES: dict[str, list[dict[str, tuple[tuple[int, ...], ...]]]] = {
    "add": [{"x": ((1, 8), (4, 8), (16, 8))}],
    "add2": [{"x": ((1, 8), (2, 8), (4, 8))}, {"x": ((4, 8), (16, 8), (64, 8))}],
    "layers": [{"x": ((1, 8), (4, 8), (16, 8))}],
    "pool": [dict.fromkeys(("input_ids", "attention_mask"), ((1, 1), (4, 8), (8, 16)))],
    "decode": [{"input_ids": ((1, 1), (1, 1), (4, 1)), "past": ((1, 8), (1, 8), (4, 8))}],
    "sum2": [dict.fromkeys(("a", "b"), ((1, 8), (4, 8), (16, 8)))],
}


def onnx_bytes(name: str) -> bytes:
    """The ONNX file of the model `name`."""
    base = "add" if name == "add2" else name
    make = {"add": _add, "layers": _layers, "pool": _pool, "decode": _decode, "sum2": _sum2}[base]
    nodes, inputs, outputs, constants = make()
    graph = helper.make_graph(
        nodes,
        base,
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _add() -> Any:
    node = helper.make_node("Add", ["x", "one"], ["y"])
    return [node], [("x", _FLOAT, ["B", 8])], [("y", _FLOAT, ["B", 8])], {"one": np.float32([1])}


def _layers() -> Any:
    nodes = [
        helper.make_node("MatMul", ["x", "V"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "W"], ["y"]),
    ]
    return nodes, [("x", _FLOAT, ["B", 8])], [("y", _FLOAT, ["B", 4])], {"V": V, "W": W}


def _pool() -> Any:
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["embedded"], axis=0),
        helper.make_node("Cast", ["attention_mask"], ["weights"], to=_FLOAT),
        helper.make_node("Unsqueeze", ["weights", "last"], ["column"]),
        helper.make_node("Mul", ["embedded", "column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "tokens"], ["logits"], keepdims=0),
    ]
    inputs = [("input_ids", _INT64, ["B", "T"]), ("attention_mask", _INT64, ["B", "T"])]
    constants = {"table": TABLE, "last": np.int64([-1]), "tokens": np.int64([1])}
    return nodes, inputs, [("logits", _FLOAT, ["B", 4])], constants


def _decode() -> Any:
    nodes = [
        helper.make_node("Gather", ["step", "input_ids"], ["embedded"], axis=0),
        helper.make_node("ReduceSum", ["embedded", "one"], ["token"], keepdims=0),
        helper.make_node("Mul", ["past", "half"], ["faded"]),
        helper.make_node("Add", ["faded", "token"], ["present"]),
        helper.make_node("MatMul", ["present", "V"], ["logits"]),
    ]
    inputs = [("input_ids", _INT64, ["B", 1]), ("past", _FLOAT, ["B", 8])]
    outputs = [("logits", _FLOAT, ["B", 16]), ("present", _FLOAT, ["B", 8])]
    return nodes, inputs, outputs, {"step": STEP, "one": np.int64([1]), "half": np.float32([0.5]), "V": V}


def _sum2() -> Any:
    inputs = [("a", _FLOAT, ["B", 8]), ("b", _FLOAT, ["B", 8])]
    return [helper.make_node("Add", ["a", "b"], ["c"])], inputs, [("c", _FLOAT, ["B", 8])], {}


def expected(name: str, **inputs: np.ndarray) -> Any:
    """What the model computes: an array, or for `decode` (logits, present)."""
    if name in ("add", "add2"):
        return inputs["x"] + np.float32(1)
    if name == "layers":
        return np.maximum(inputs["x"] @ V, 0) @ W
    if name == "pool":
        return (TABLE[inputs["input_ids"]] * inputs["attention_mask"][..., None].astype(np.float32)).sum(1)
    if name == "decode":
        present = inputs["past"] * np.float32(0.5) + STEP[inputs["input_ids"]].sum(1)
        return present @ V, present
    return inputs["a"] + inputs["b"]


def build(name: str) -> bytes:
    """Parse the ONNX file and build a plan, as every TensorRT sample does."""
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx_bytes(name)):
        raise RuntimeError("; ".join(str(parser.get_error(i)) for i in range(parser.num_errors)))
    config = builder.create_builder_config()
    for shapes in _PROFILES[name]:
        profile = builder.create_optimization_profile()
        for tensor, limits in shapes.items():
            profile.set_shape(tensor, *limits)
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError(f"the plan of {name!r} could not be built; TensorRT's log above says why")
    return bytes(plan)


def plan(name: str) -> bytes:
    """The plan of the model `name`, from the cache or built now."""
    import tensorrt as trt

    given = os.environ.get("SANITIZER_PROGRAMS_CACHE")
    folder = Path(given) if given else Path(tempfile.gettempdir()) / "sanitizer-programs"
    key = hashlib.sha256(onnx_bytes(name) + repr(_PROFILES[name]).encode()).hexdigest()[:12]
    builder = getattr(trt, "__builder__", "")
    cached = folder / f"{name}-{trt.__version__}{builder}-{key}.plan"
    if not cached.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = cached.with_suffix(f".{os.getpid()}")
        partial.write_bytes(build(name))
        partial.replace(cached)  # at once, so that another program never reads half a plan
    return cached.read_bytes()


def engine(name: str) -> Any:
    """The plan of the model `name` as an engine."""
    import tensorrt as trt

    runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
    return runtime.deserialize_cuda_engine(plan(name))
