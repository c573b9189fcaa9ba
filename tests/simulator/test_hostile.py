"""Calls that no program means: the device refuses them in words, and neither hangs nor takes the machine's memory.

Found by fuzzing (`python -m tests.fuzz`); each test is one that it, or looking where it could not reach, brought up.
"""

from __future__ import annotations

import numpy as np
import pytest

from helpers.simulator.device import Device
from helpers.simulator.errors import DeviceError
from helpers.simulator.executor import Engine

from ..fuzz.seeds import plans
from .test_guard import model, plan_of


@pytest.fixture
def device() -> Device:
    return Device(memory=1 << 26, threads=1)


def test_no_bytes_in_many_rows_are_no_bytes(device):
    address, host = device.mem_alloc(4096), device.host_alloc(4096)
    device.memcpy_htod(address, 0, 0, 0, b"", 0, True, "float32", 1 << 40, 8, 8)
    device.memcpy_dtoh(address, 0, host, 0, False, 0, True, "float32", 1 << 40, 8, 8)
    device.memcpy_dtod(address, address, 0, 0, True, 1 << 40, 8, 8)


def test_very_many_thin_rows_are_copied_and_not_remembered_one_by_one(device):
    address = device.mem_alloc(1 << 20)
    rows = 200_000
    device.memset(address, b"\0", 1 << 20, 0, True)
    device.memcpy_htod(address, rows, 0, 0, b"\1" * rows, 0, True, "bool", rows, 2)
    back = np.frombuffer(device.memcpy_dtoh(address, 1 << 20, 0, 0, True, 0, True, ""), np.uint8)
    assert back[: 2 * rows : 2].all() and not back[1 : 2 * rows : 2].any()
    assert len(device._allocations[address].written) == 1


def test_many_pinned_rows_overlap_without_a_list_of_them(device):
    address, host = device.mem_alloc(1 << 20), device.host_alloc(1 << 20)
    for _ in range(2):
        device.memcpy_dtoh(address, 1 << 18, host, 0, False, 0, False, "", 1 << 18, 2, 4)
    device.synchronize()


@pytest.mark.parametrize("pattern", [b"", b"abc", b"x" * 64])
def test_a_memset_has_1_2_or_4_bytes(device, pattern):
    with pytest.raises(DeviceError, match=f"a pattern of {len(pattern)} bytes; expected 1, 2 or 4"):
        device.memset(device.mem_alloc(4096), pattern, 1, 0, True)


def test_memory_for_a_copy_is_taken_once_the_copy_is_possible(device):
    with pytest.raises(DeviceError, match="needs 1,125,899,906,842,624 bytes"):
        device.memcpy_dtoh(device.mem_alloc(8), 1 << 50, 0, 0, True, 0, True, "")


def test_a_dtype_that_numpy_does_not_know_is_nobodys_mistake(device):
    address = device.mem_alloc(8)
    device.memcpy_htod(address, 8, 0, 0, bytes(8), 0, True, "float32")
    assert device.memcpy_dtoh(address, 8, 0, 0, True, 0, True, "posit16") == bytes(8)


def loaded(device: Device, plan) -> tuple[int, int]:
    engine = device.engine_load(bytes(plan.serialize()))
    assert not engine.get("error"), engine
    return engine["engine"], device.context_create(engine["engine"])


def test_the_shape_of_a_scalar_must_be_given_too(device):
    engine, _ = loaded(device, plans()["branch"])
    with pytest.raises(DeviceError, match="input tensor 'c' has 0 dimensions, the shape given is None"):
        device.infer_shapes(engine, {"x": [8]})


def test_a_volume_beyond_64_bits_is_no_small_buffer(device):
    """(1 << 33) * (1 << 33) * 4 bytes are 0 in 64 bits: ONNX Runtime would read far behind the buffer."""
    text = "g (float[A, B] x) => (float[A, B] y) { y = Neg (x) }"
    from helpers.simulator.plan import TensorSpec

    tensors = tuple(TensorSpec(n, n, m, "FLOAT", (-1, -1)) for n, m in (("x", "INPUT"), ("y", "OUTPUT")))
    profile = {"x": ((1, 1), (1, 1), (1 << 39, 1 << 39))}
    _, context = loaded(device, plan_of(model(text), tensors=tensors, profiles=(profile,)))
    address = device.mem_alloc(256)
    with pytest.raises(DeviceError, match="no tensor of shape"):
        device.execute(context, 0, True, 0, {"x": [1 << 33, 1 << 33]}, {"x": address, "y": address})
    device.reset()
    _, context = loaded(device, plan_of(model(text), tensors=tensors, profiles=(profile,)))
    with pytest.raises(DeviceError, match=r"needs 4,294,967,296 bytes, but the buffer .* has 256"):
        device.execute(context, 0, True, 0, {"x": [1 << 15, 1 << 15]}, {"x": device.mem_alloc(256), "y": 0})


def test_shapes_of_long_vectors_are_inferred_without_an_object_for_each_element():
    """ONNX's inference that follows values takes 60 bytes for every element of a vector: 12 GB of `x` would be 180."""
    from helpers.simulator.plan import TensorSpec

    text = "g (float[A] x) => (float[n] y) <int64[1] two = {2}> { z = Add (x, x)\n y = Tile (z, two) }"
    tensors = tuple(TensorSpec(n, n, m, "FLOAT", (-1,)) for n, m in (("x", "INPUT"), ("y", "OUTPUT")))
    engine = Engine(plan_of(model(text), tensors=tensors, profiles=({"x": ((1,), (1,), (1 << 39,))},)))
    assert engine.output_shapes({"x": (3 << 30,)}) == {"y": (6 << 30,)}
