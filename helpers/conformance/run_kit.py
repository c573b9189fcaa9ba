"""What the run cases share: small models, their plans, and a bench: an engine, a context, a stream and buffers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .. import backend
from ..simulator.plan import TensorSpec, open_plan
from .case import Case, Ground

Shapes = tuple[int, ...]

ROWS = 8  # columns of the small models
HEADER = "NvInferRuntime.h (TensorRT 11), "
BINDINGS = "TensorRT 11's Python bindings, python/src/infer/pyCore.cpp, "
PROMISE = "undefined on a GPU; docs/simulator.md, what the simulator promises: "
DRIVER = "CUDA driver API reference, "
RUNTIME = "CUDA runtime API reference, "
GUIDE = "CUDA programming guide, CUDA graphs, prohibited and unhandled operations; "
PYCUDA = "pycuda, src/cpp/cuda.hpp, "

SIMULATOR = frozenset({"simulator"})
CUDA_PYTHON = frozenset({"cuda.bindings"})


# --- the table ------------------------------------------------------------------------------------------------------


class Table:
    """Cases of one half, in the order in which they are written."""

    def __init__(self, half: str = "run") -> None:
        self.half = half
        self.cases: list[Case] = []

    def __call__(
        self, name: str, returns: str, says: str = "", *, source: str, needs: frozenset[str] = frozenset()
    ) -> Callable[[Callable[[Ground], Any]], Callable[[Ground], Any]]:
        """Register the function below as the case `name`; its docstring is the case's sentence."""

        def register(run: Callable[[Ground], Any]) -> Callable[[Ground], Any]:
            assert run.__doc__ is not None
            self.cases.append(Case(name, self.half, run.__doc__.rstrip("."), returns, says, source, needs, run))
            return run

        return register


def text(value: Any) -> str:
    """A result as the table shows it: tuples for `Dims`, the name of an enum's member, else what `str` says."""
    if isinstance(value, list):
        return "[" + ", ".join(map(text, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(text, value)) + ("," if len(value) == 1 else "") + ")"
    name = getattr(value, "name", None)
    return name if isinstance(name, str) else str(value)


def attempt(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """What a call returns, as text; "Error: message" where it raises. What the simulator adds to a message is cut."""
    try:
        return text(call(*arguments, **named))
    except Exception as error:
        return f"{type(error).__name__}: {str(error).split(' - [simulator]')[0]}"


def kind(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """The class of the error that a call raises, where its message is nobody's promise; else what it returns."""
    return attempt(call, *arguments, **named).split(":")[0]


# --- models ---------------------------------------------------------------------------------------------------------


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Sequence[int | str]]],
    outputs: Mapping[str, tuple[int, Sequence[int | str]]],
    **weights: np.ndarray,
) -> onnx.ModelProto:
    infos = [
        [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in side.items()]
        for side in (inputs, outputs)
    ]
    graph = helper.make_graph(
        list(nodes), "small", *infos, [numpy_helper.from_array(array, name) for name, array in weights.items()]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _add(batch: int | str) -> onnx.ModelProto:
    """y = x + 1, float32 [batch, 8]."""
    shape: Sequence[int | str] = [batch, ROWS]
    tensor = (TensorProto.FLOAT, shape)
    return model_of(
        [helper.make_node("Add", ["x", "one"], ["y"], name="add")],
        {"x": tensor},
        {"y": tensor},
        one=np.ones(ROWS, np.float32),
    )


def _linear() -> onnx.ModelProto:
    """y = x @ W, float32 [B, 8] to [B, 4]; W holds ones."""
    return model_of(
        [helper.make_node("MatMul", ["x", "W"], ["y"], name="matmul")],
        {"x": (TensorProto.FLOAT, ["B", ROWS])},
        {"y": (TensorProto.FLOAT, ["B", 4])},
        W=np.ones((ROWS, 4), np.float32),
    )


def _pair() -> onnx.ModelProto:
    """y = a - b, float32 [M, 8] and [N, 8], which must agree."""
    return model_of(
        [helper.make_node("Sub", ["a", "b"], ["y"], name="sub")],
        {"a": (TensorProto.FLOAT, ["M", ROWS]), "b": (TensorProto.FLOAT, ["N", ROWS])},
        {"y": (TensorProto.FLOAT, ["K", ROWS])},
    )


def _expand() -> onnx.ModelProto:
    """y = x, float32 [1, 1], repeated to the shape that the values of `to`, int64 [2], say."""
    return model_of(
        [helper.make_node("Expand", ["x", "to"], ["y"], name="expand")],
        {"x": (TensorProto.FLOAT, [1, 1]), "to": (TensorProto.INT64, [2])},
        {"y": (TensorProto.FLOAT, ["R", "C"])},
    )


def _nonzero() -> onnx.ModelProto:
    """y = the places where x, float32 [N], is not zero: int64 [1, as many as there are]."""
    return model_of(
        [helper.make_node("NonZero", ["x"], ["y"], name="nonzero")],
        {"x": (TensorProto.FLOAT, ["N"])},
        {"y": (TensorProto.INT64, [1, "K"])},
    )


def _gather() -> onnx.ModelProto:
    """y = the rows of a table that x, int64 [N], says: float32 [N, 4]; row i begins with 4 * i."""
    return model_of(
        [helper.make_node("Gather", ["table", "x"], ["y"], name="gather")],
        {"x": (TensorProto.INT64, ["N"])},
        {"y": (TensorProto.FLOAT, ["N", 4])},
        table=np.arange(40, dtype=np.float32).reshape(10, 4),
    )


def _deep() -> onnx.ModelProto:
    """Four times a matrix product and a softmax, float32 [B, 256]: what needs memory between its layers."""
    width = 256
    weights = {f"w{i}": np.full((width, width), 0.01, np.float32) for i in range(4)}
    nodes, last = [], "x"
    for i in range(4):
        nodes.append(helper.make_node("MatMul", [last, f"w{i}"], [f"m{i}"], name=f"matmul{i}"))
        last = "y" if i == 3 else f"s{i}"
        nodes.append(helper.make_node("Softmax", [f"m{i}"], [last], axis=-1, name=f"softmax{i}"))
    shape: Sequence[int | str] = ["B", width]
    tensor = (TensorProto.FLOAT, shape)
    return model_of(nodes, {"x": tensor}, {"y": tensor}, **weights)


BATCHES: dict[str, Sequence[Shapes]] = {"x": ((1, ROWS), (2, ROWS), (4, ROWS))}
_PAIR = ((1, ROWS), (2, ROWS), (4, ROWS))

MODELS: dict[str, tuple[Callable[[], onnx.ModelProto], Sequence[Mapping[str, Sequence[Shapes]]]]] = {
    "add": (lambda: _add("B"), [BATCHES]),
    "fixed": (lambda: _add("B"), [{"x": ((3, ROWS),) * 3}]),
    "static": (lambda: _add(2), []),
    "two": (_linear, [BATCHES, {"x": ((8, ROWS), (16, ROWS), (32, ROWS))}]),
    "pair": (_pair, [{"a": _PAIR, "b": _PAIR}]),
    "expand": (_expand, [{"to": ((1, 1), (2, 3), (4, 8))}]),
    "empty": (lambda: _add("B"), [{"x": ((0, ROWS), (2, ROWS), (4, ROWS))}]),
    "gather": (_gather, [{"x": ((1,), (2,), (4,))}]),
    "detailed": (lambda: _add("B"), [BATCHES]),
    "hidden": (lambda: _add("B"), [BATCHES]),
    "nonzero": (_nonzero, [{"x": ((1,), (4,), (8,))}]),
    "deep": (_deep, [{"x": ((1, 256),) * 3}, {"x": ((64, 256),) * 3}]),
}
VERBOSITY = {"detailed": "DETAILED", "hidden": "NONE"}
SHAPE_INPUTS = ("to",)  # whose profile holds values, not shapes


@functools.cache
def plan(trt: Any, name: str) -> bytes:
    """The plan of one of `MODELS`, built once a process.

    TensorRT-RTX has no NonZero. On the simulator its plan is therefore put together here, from that of another model.

    Raises:
        RuntimeError: the builder did not build it; a case that needs it cannot be run.
    """
    model, profiles = MODELS[name]
    active = backend.current()
    if name == "nonzero" and active is not None and active.name == "simulator":
        tensors = (TensorSpec("x", "x", "INPUT", "FLOAT", (-1,)), TensorSpec("y", "y", "OUTPUT", "INT64", (1, -1)))
        return changed(plan(trt, "add"), tensors=tensors, profiles=tuple(profiles), onnx=model().SerializeToString())
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model().SerializeToString()):
        raise RuntimeError(f"the model {name!r} was not parsed")
    config = builder.create_builder_config()
    config.profiling_verbosity = getattr(trt.ProfilingVerbosity, VERBOSITY.get(name, "LAYER_NAMES_ONLY"))
    for shapes in profiles:
        profile = builder.create_optimization_profile()
        for tensor, (low, best, high) in shapes.items():
            (profile.set_shape_input if tensor in SHAPE_INPUTS else profile.set_shape)(tensor, low, best, high)
        config.add_optimization_profile(profile)
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise RuntimeError(f"the model {name!r} was not built")
    return built if isinstance(built, bytes) else bytes(built)


def changed(data: bytes, **fields: Any) -> bytes:
    """A plan of the simulator with other contents: a version, or settings, that this machine does not build."""
    opened = open_plan(data)
    if "settings" in fields:
        fields["settings"] = {**opened.settings, **fields["settings"]}
    return bytes(dataclasses.replace(opened, **fields).serialize())


# --- the bench ------------------------------------------------------------------------------------------------------


def load(g: Ground, name: str) -> Any:
    """The engine of one of `MODELS`; its log goes to the ground's."""
    return g.trt.Runtime(g.logger).deserialize_cuda_engine(plan(g.trt, name))


def rows(count: int, start: float = 0) -> np.ndarray:
    """float32 `[count, 8]`, counting from `start`."""
    return np.arange(start, start + count * ROWS, dtype=np.float32).reshape(count, ROWS)


def pinned(g: Ground, array: np.ndarray) -> np.ndarray:
    """A pinned copy of `array`."""
    copy: np.ndarray = g.cuda.pagelocked_empty(array.shape, array.dtype)
    copy[...] = array
    return copy


class Bench:
    """One engine, one context and one stream, with buffers that live as long as it does."""

    def __init__(self, g: Ground, name: str = "add", engine: Any = None, flags: int = 1) -> None:
        self.g = g
        self.engine = load(g, name) if engine is None else engine
        self.context = self.engine.create_execution_context()
        self.stream = g.cuda.Stream(flags=flags)
        self.device: dict[str, Any] = {}

    def give(self, name: str, array: np.ndarray) -> bool:
        """Set an input's shape, copy `array` to a buffer of its own, and set its address."""
        ready: bool = self.context.set_input_shape(name, array.shape)
        self.device[name] = self.g.cuda.to_device(array)
        return ready and self.context.set_tensor_address(name, int(self.device[name]))

    def room(self, name: str, nbytes: int) -> bool:
        """A buffer for an output; it holds zeros until an execution writes."""
        self.device[name] = self.g.cuda.to_device(np.zeros(nbytes, np.uint8))
        done: bool = self.context.set_tensor_address(name, int(self.device[name]))
        return done

    def run(self) -> bool:
        """Execute on the bench's stream, and wait for it where that was accepted."""
        done: bool = self.context.execute_async_v3(self.stream.handle)
        if done:
            self.stream.synchronize()
        return done

    def result(self, shape: Shapes, name: str = "y", dtype: Any = np.float32) -> np.ndarray:
        """What an output's buffer holds."""
        array: np.ndarray = self.g.cuda.from_device(self.device[name], shape, dtype)
        return array


def ready(g: Ground, batch: int = 2, start: float = 0) -> Bench:
    """A bench for "add" with all shapes and addresses set."""
    bench = Bench(g)
    bench.give("x", rows(batch, start))
    bench.room("y", batch * ROWS * 4)
    return bench
