"""Small ONNX models, and the simulator over both transports."""

from __future__ import annotations

import ctypes

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers import backend
from helpers.simulator import host

VOCABULARY = 100


def add_model() -> onnx.ModelProto:
    """y = x + 1, float32 [B, 8]."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "one"], ["y"], name="add")],
        "add",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", 8])],
        [numpy_helper.from_array(np.ones(8, np.float32), "one")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def linear_model() -> onnx.ModelProto:
    """y = x @ W + b, float32 [B, 8] to [B, 4]."""
    weight = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "W"], ["product"], name="matmul"),
            helper.make_node("Add", ["product", "b"], ["y"], name="add"),
        ],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", 4])],
        [numpy_helper.from_array(weight, "W"), numpy_helper.from_array(np.ones(4, np.float32), "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def classifier_weights() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(VOCABULARY, 2)).astype(np.float32)


def classifier_model() -> onnx.ModelProto:
    """A bag of words with the course's inputs: int64 input_ids and attention_mask [batch, seq] to logits [batch, 2]."""
    int64 = TensorProto.INT64
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["W", "input_ids"], ["words"]),
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
            helper.make_node("Mul", ["words", "mask3"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "middle"], ["logits"], keepdims=0),
        ],
        "classifier",
        [helper.make_tensor_value_info(n, int64, ["batch", "seq"]) for n in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [
            numpy_helper.from_array(classifier_weights(), "W"),
            numpy_helper.from_array(np.array([2]), "last"),
            numpy_helper.from_array(np.array([1]), "middle"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def reference(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What `classifier_model` computes, in NumPy."""
    return (classifier_weights()[ids] * mask[..., None]).sum(1).astype(np.float32)


@pytest.fixture(scope="session")
def trt():
    """`import tensorrt` as the simulator serves it."""
    backend.activate("simulator", quiet=True)
    import tensorrt

    return tensorrt


@pytest.fixture(params=["process", "child"])
def cuda(request, trt):
    """`pycuda.driver` on a fresh device, over each transport."""
    import pycuda.autoprimaryctx
    import pycuda.driver

    host.use(request.param)
    yield pycuda.driver
    host.use("process")


@pytest.fixture(params=["process", "child"])
def cudart(request, trt):
    """`cuda.bindings.runtime` on a fresh device, over each transport."""
    from cuda.bindings import runtime

    host.use(request.param)
    runtime.cudaGetLastError()
    yield runtime
    runtime.cudaDeviceReset()
    host.use("process")


def ok(result):
    """What a call of cuda.bindings returned; it must have succeeded."""
    error, *values = result
    assert error == 0, result
    return values[0] if len(values) == 1 else values


def view(address: int, count: int, dtype=np.float32) -> np.ndarray:
    """An array over host memory, as NVIDIA's samples make it."""
    kind = ctypes.POINTER(np.ctypeslib.as_ctypes_type(np.dtype(dtype)))
    return np.ctypeslib.as_array(ctypes.cast(address, kind), (count,))


class Log:
    """A logger of the user's own, and what it was told."""

    def __init__(self, trt) -> None:
        class Logger(trt.ILogger):
            def __init__(self) -> None:
                trt.ILogger.__init__(self)
                self.lines: list[tuple[str, str]] = []

            def log(self, severity, message) -> None:
                self.lines.append((severity.name, message))

        self.logger = Logger()

    def said(self, level: str = "ERROR") -> str:
        return "\n".join(message for severity, message in self.logger.lines if severity == level)


@pytest.fixture
def log(trt) -> Log:
    return Log(trt)


def build(trt, log: Log, model: onnx.ModelProto, *profiles: dict, edit=None):
    """A plan of `model`; each profile maps a name to (min, opt, max). `edit` changes the parsed network."""
    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    assert trt.OnnxParser(network, log.logger).parse(model.SerializeToString())
    if edit is not None:
        edit(network)
    config = builder.create_builder_config()
    for shapes in profiles:
        profile = builder.create_optimization_profile()
        for name, (low, best, high) in shapes.items():
            profile.set_shape(name, low, best, high)
        config.add_optimization_profile(profile)
    return builder.build_serialized_network(network, config)


BATCHES = {"x": ((1, 8), (2, 8), (4, 8))}
TEXTS = dict.fromkeys(("input_ids", "attention_mask"), ((1, 64), (32, 64), (128, 64)))


@pytest.fixture(scope="session")
def plans(trt) -> dict[str, bytes]:
    """Plans of the three models, built once."""
    log = Log(trt)
    return {
        "add": build(trt, log, add_model(), BATCHES),
        "linear": build(trt, log, linear_model(), BATCHES, {"x": ((8, 8), (16, 8), (32, 8))}),
        "classifier": build(trt, log, classifier_model(), TEXTS),
    }
