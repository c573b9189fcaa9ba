"""Fresh device memory holds poison wherever nobody wrote, though it is laid only where memory is touched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.simulator.device import Device
from helpers.simulator.memory import POISON, POISON_BLOCK

SIZE = 3 * POISON_BLOCK + 1000
places = st.one_of(st.integers(0, SIZE - 1), st.sampled_from([0, POISON_BLOCK - 1, POISON_BLOCK, 2 * POISON_BLOCK]))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["write", "set", "read", "copy"]), places, places), min_size=1, max_size=12))
def test_memory_is_what_was_written_and_poison_elsewhere(steps: list[tuple[str, int, int]]) -> None:
    device = Device()
    first, second = device.mem_alloc(SIZE), device.mem_alloc(SIZE)
    expected = np.full(SIZE, POISON, np.uint8)
    copied = np.full(SIZE, POISON, np.uint8)
    random = np.random.default_rng(len(steps))

    def read(address: int, start: int, length: int) -> np.ndarray:
        data = device.memcpy_dtoh(address + start, length, 0, 0, True, 0, True, "")
        return np.frombuffer(data, np.uint8)

    for what, one, other in steps:
        start, end = min(one, other), max(one, other) + 1
        if what == "write":
            data = random.integers(0, 255, end - start, dtype=np.uint8)
            device.memcpy_htod(first + start, end - start, 0, 0, data.tobytes(), 0, True, "")
            expected[start:end] = data
        elif what == "set":
            device.memset(first + start, b"\x07", end - start, 0, True)
            expected[start:end] = 7
        elif what == "copy":
            device.memcpy_dtod(second + start, first + start, end - start, 0, True)
            copied[start:end] = expected[start:end]
        else:
            assert np.array_equal(read(first, start, end - start), expected[start:end])
    assert np.array_equal(read(first, 0, SIZE), expected)
    assert np.array_equal(read(second, 0, SIZE), copied)


@pytest.mark.parametrize("nbytes", [1, POISON_BLOCK, 200 << 20])
def test_large_memory_holds_poison_too(nbytes: int) -> None:
    device = Device()
    address = device.mem_alloc(nbytes)
    assert device.memcpy_dtoh(address + nbytes - 1, 1, 0, 0, True, 0, True, "") == bytes([POISON])


def test_memory_that_is_handed_out_again_holds_poison() -> None:
    device = Device()
    for nbytes in (SIZE, SIZE - 7, 2 * SIZE, SIZE):
        address = device.mem_alloc(nbytes)
        assert device.memcpy_dtoh(address, nbytes, 0, 0, True, 0, True, "") == bytes([POISON]) * nbytes
        device.memset(address, b"\x01", nbytes, 0, True)
        device.mem_free(address)
