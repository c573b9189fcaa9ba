"""Output shapes that the graph's dimension names do not give, shapes that only running gives, and failures."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from helpers.simulator.executor import Engine, ExecutionError
from helpers.simulator.plan import Plan, TensorSpec

from .conftest import BATCHES, build


def model(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(text)


TWICE_AS_MANY = """
    <ir_version: 10, opset_import: ["" : 20]>
    both (float[B, 8] x) => (float[rows, 8] y) { y = Concat <axis = 0> (x, x) }"""

RESHAPED = """
    <ir_version: 10, opset_import: ["" : 20]>
    reshaped (float[B, 8] x) => (float[n, m] y) {
        shape = Shape (x)
        two = Constant <value_ints = [2]> ()
        rows = Mul (shape, two)
        one = Constant <value_ints = [-1, 4]> ()
        y = Reshape (x, one)
    }"""

COUNTED = """
    <ir_version: 10, opset_import: ["" : 20]>
    counted (float[B, 8] x) => (int64[2, found] y) { y = NonZero (x) }"""


def run(trt, cuda, plan, log, x, out_shape, dtype):
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plan)
    context, stream = engine.create_execution_context(), cuda.Stream()
    given, result = cuda.to_device(x), cuda.mem_alloc(1024)
    assert context.set_input_shape("x", x.shape)
    context.set_tensor_address("x", int(given))
    context.set_tensor_address("y", int(result))
    shape = tuple(context.get_tensor_shape("y"))
    assert context.execute_async_v3(stream.handle)
    stream.synchronize()
    return shape, cuda.from_device(result, out_shape, dtype)


@pytest.mark.parametrize(("text", "shape"), [(TWICE_AS_MANY, (6, 8)), (RESHAPED, (6, 4))])
def test_shapes_by_inference(trt, cuda, log, text, shape):
    x = np.arange(24, dtype=np.float32).reshape(3, 8)
    plan = build(trt, log, model(text), BATCHES)
    said, got = run(trt, cuda, plan, log, x, shape, np.float32)
    assert said == shape
    np.testing.assert_array_equal(got, np.concatenate([x, x]) if shape == (6, 8) else x.reshape(6, 4))


def counted_plan() -> Plan:
    tensors = (TensorSpec("x", "x", "INPUT", "FLOAT", (-1, 8)), TensorSpec("y", "y", "OUTPUT", "INT64", (2, -1)))
    limits = {"x": ((1, 8), (2, 8), (4, 8))}
    onnx_bytes = model(COUNTED).SerializeToString()
    return Plan("1", "tensorrt_rtx", "nvidia", "", tensors, (limits,), ({},), {}, (0,), 0, 1, b"", onnx_bytes)


def test_shapes_that_only_running_gives():
    """TensorRT-RTX has no NonZero, so that no plan of its builder comes here; the runtime half is ready for one."""
    engine = Engine(counted_plan())
    assert engine.output_shapes({"x": (3, 8)}) == {"y": (2, -1)}
    x = np.zeros((3, 8), np.float32)
    x[1, 2] = x[2, 7] = 1
    views = {"x": x.view(np.uint8).ravel(), "y": np.zeros(64, np.uint8)}
    engine.run(1, {"x": (3, 8), "y": (2, -1)}, views)
    np.testing.assert_array_equal(views["y"].view(np.int64)[:4].reshape(2, 2), [[1, 2], [2, 7]])


def test_an_output_larger_than_its_buffer_is_named():
    engine = Engine(counted_plan(), threads=1)
    views = {"x": np.ones((4, 8), np.float32).view(np.uint8).ravel(), "y": np.zeros(16, np.uint8)}
    with pytest.raises(ExecutionError, match=r"output 'y' has 512 bytes, its buffer 16"):
        engine.run(1, {"x": (4, 8), "y": (2, -1)}, views)


def test_what_is_outside_a_profile():
    engine = Engine(counted_plan())
    (x,) = engine.inputs
    assert engine.outside_profile(x, (4, 8), 0) is None
    assert "profile 3 does not exist" in str(engine.outside_profile(x, (4, 8), 3))
    assert "has 2 dimensions" in str(engine.outside_profile(x, (4,), 0))
    assert "outside profile 0, which has [1, 8] to [4, 8]" in str(engine.outside_profile(x, (5, 8), 0))


def test_the_device_checks_shapes_itself(cuda, plans):
    """Whatever a front end lets pass: the device is the one that decides."""
    from helpers.simulator.device import DeviceError
    from helpers.simulator.host import current

    device = current().device
    loaded = device.engine_load(bytes(plans["add"]))
    context = device.context_create(loaded["engine"])
    stream = device.stream_create(0)
    for shapes in ({"x": [5, 8]}, {"x": [4]}, {}):
        with pytest.raises(DeviceError, match=r"profile 0|dimensions"):
            device.execute(context, stream, False, 0, shapes, {"x": 0, "y": 0})
        with pytest.raises(DeviceError):  # said again at the synchronisation
            device.stream_synchronize(stream)
    with pytest.raises(DeviceError, match="execution context 999 does not exist"):
        device.execute(999, stream, False, 0, {}, {})
    with pytest.raises(DeviceError, match="engine 999 does not exist"):
        device.context_create(999)
