"""Copies with a pitch, `pycuda.driver.Memcpy2D`, and copies at offsets: the last step of logits `[B, t, V]`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import backend
from helpers.simulator import host
from helpers.simulator.errors import DeviceError
from helpers.simulator.memory import Rows as _Rows

B, T, V = 3, 4, 5
LOGITS = np.arange(B * T * V, dtype=np.float32).reshape(B, T, V)
LAST = LOGITS[:, -1]


def last_step(cuda, device, target):
    """A copy of the last of T steps into `target` [B, V], packed."""
    copy = cuda.Memcpy2D()
    copy.set_src_device(device)
    copy.src_x_in_bytes = (T - 1) * V * 4
    copy.src_pitch = T * V * 4
    copy.set_dst_host(target)
    copy.dst_pitch = copy.width_in_bytes = V * 4
    copy.height = B
    return copy


def test_the_last_step_of_every_row_is_one_event(cuda):
    device, stream = cuda.to_device(LOGITS), cuda.Stream()
    target = cuda.pagelocked_zeros((B, V), np.float32)
    before = backend.record_length()
    last_step(cuda, device, target)(stream)
    assert np.isnan(target).all()
    stream.synchronize()
    np.testing.assert_array_equal(target, LAST)
    event, _ = backend.record(before)
    assert (event["op"], event["nbytes"], event["memory"]) == ("dtoh", B * V * 4, "pinned")
    assert event["source"] == int(device) + (T - 1) * V * 4 and event["stream"] == stream.handle
    assert 0 < event["enqueued_ns"] < event["started_ns"] <= event["finished_ns"]


def test_copies_at_offsets_do_the_same(cuda):
    device, stream = cuda.to_device(LOGITS), cuda.Stream()
    target = cuda.pagelocked_empty((B, V), np.float32)
    before = backend.record_length()
    for row in range(B):
        cuda.memcpy_dtoh_async(target[row], int(device) + (row * T + T - 1) * V * 4, stream)
    stream.synchronize()
    np.testing.assert_array_equal(target, LAST)
    assert [event["nbytes"] for event in backend.record(before)] == [V * 4] * B + [0]


def test_only_the_bytes_that_are_pending_are_poisoned(cuda):
    device, stream = cuda.to_device(LOGITS), cuda.Stream()
    target = cuda.pagelocked_zeros((B, T, V), np.float32)
    copy = last_step(cuda, device, target)
    copy.dst_pitch, copy.dst_x_in_bytes = T * V * 4, V * 4  # every row's second step
    copy(stream)
    assert np.isnan(target[:, 1]).all() and (target[:, [0, 2, 3]] == 0).all()
    assert "dtoh" not in backend.explain(target[:, 0]) and "no copy into it is pending" in backend.explain(target[0, 0])
    assert "Read too early" in backend.explain(target[2, 1])
    assert "no copy into it is pending" in backend.explain(target[2, 2:])
    stream.synchronize()
    np.testing.assert_array_equal(target[:, 1], LAST)
    assert (target[:, [0, 2, 3]] == 0).all()


def test_a_second_copy_into_the_same_rows_keeps_them_poisoned(cuda):
    device, first, second = cuda.to_device(LOGITS), cuda.Stream(flags=1), cuda.Stream(flags=1)
    target = cuda.pagelocked_zeros((B, V), np.float32)
    last_step(cuda, device, target)(first)
    cuda.memcpy_dtoh_async(target[1], int(device), second)
    first.synchronize()
    np.testing.assert_array_equal(target[[0, 2]], LAST[[0, 2]])
    assert np.isnan(target[1]).all()
    second.synchronize()
    np.testing.assert_array_equal(target[1], LOGITS[0, 0])


def test_pageable_memory_waits(cuda):
    device, stream = cuda.to_device(LOGITS), cuda.Stream()
    target = np.zeros((B, 2, V), np.float32)
    copy = last_step(cuda, device, target)
    copy.dst_pitch, copy.dst_y = V * 2 * 4, 0
    before = backend.record_length()
    copy(stream)
    np.testing.assert_array_equal(target[:, 0], LAST)
    assert (target[:, 1] == 0).all()
    (event,) = backend.record(before)
    assert event["memory"] == "pageable, synchronous" and event["nbytes"] == B * V * 4 and event["finished_ns"]
    view = np.zeros((B, 2, V), np.float32)[:, 1]  # not contiguous: pycuda takes its address
    copy.set_dst_host(view)
    copy()
    np.testing.assert_array_equal(view, LAST)


@pytest.mark.parametrize("aligned", [True, False])
def test_the_blocking_call_waits(cuda, aligned):
    device, target = cuda.to_device(LOGITS), cuda.pagelocked_empty((B, V), np.float32)
    before = backend.record_length()
    last_step(cuda, device, target)(aligned=aligned)
    np.testing.assert_array_equal(target, LAST)
    assert backend.record(before)[0]["memory"] == "pinned, synchronous"


@pytest.mark.parametrize("is_pinned", [True, False])
def test_host_to_device(cuda, is_pinned):
    device, stream = cuda.to_device(np.zeros((B, T, V), np.float32)), cuda.Stream()
    source = cuda.pagelocked_empty((B, V + 2), np.float32) if is_pinned else np.empty((B, V + 2), np.float32)
    source[:] = 7
    source[:, 2:] = LAST
    copy = cuda.Memcpy2D()
    copy.set_src_host(source)
    copy.src_x_in_bytes, copy.src_pitch = 8, (V + 2) * 4
    copy.set_dst_device(int(device) + V * 4)
    copy.dst_pitch, copy.width_in_bytes, copy.height = T * V * 4, V * 4, B
    before = backend.record_length()
    copy(stream)
    stream.synchronize()
    got = cuda.from_device(device, (B, T, V), np.float32)
    np.testing.assert_array_equal(got[:, 1], LAST)
    assert (got[:, [0, 2, 3]] == 0).all()
    event = backend.record(before)[0]
    assert (event["op"], event["nbytes"], event["address"]) == ("htod", B * V * 4, int(device) + V * 4)


def test_within_the_device(cuda):
    device, other = cuda.to_device(LOGITS), cuda.to_device(np.zeros((B, V), np.float32))
    copy = cuda.Memcpy2D()
    copy.set_src_device(device)
    copy.src_y, copy.src_pitch = 1, T * V * 4  # from the second row on
    copy.set_dst_device(other)
    copy.dst_pitch = copy.width_in_bytes = V * 4
    copy.height = 2
    copy()
    np.testing.assert_array_equal(cuda.from_device(other, (B, V), np.float32)[:2], LOGITS[1:, 0])


def test_evidence_is_of_the_rows_alone(cuda):
    device = host.current().device
    device.keep_digests(True)
    memory, target = cuda.to_device(LOGITS), cuda.pagelocked_empty((B, V), np.float32)
    before = backend.record_length()
    last_step(cuda, memory, target)()
    cuda.memcpy_dtoh(np.empty((B, V), np.float32), cuda.to_device(np.ascontiguousarray(LAST)))
    device.keep_digests(False)
    first, *_, second = [event for event in backend.record(before) if event["op"] == "dtoh"]
    assert first["digests"] == second["digests"] and first["digests"]["data"]


def test_mistakes_are_named(cuda):
    device, target = cuda.to_device(LOGITS), cuda.pagelocked_empty((B, V), np.float32)

    def refused(text, error=cuda.LogicError, **changes):
        copy = last_step(cuda, device, target)
        for name, value in changes.items():
            if name.startswith("set"):
                getattr(copy, name)(value)
            else:
                setattr(copy, name, value)
        with pytest.raises(error, match=text):
            copy(cuda.Stream())

    refused(r"cuMemcpy2DAsync failed: invalid argument.*height is 0; expected 1 or more", height=0)
    refused(r"src_pitch is 0; expected the bytes from one row to the next.*= 80 or more", src_pitch=0)
    refused(r"dst_pitch is 16; expected", dst_pitch=16)
    refused(r"src_x_in_bytes is -1", src_x_in_bytes=-1)
    # as if the shape were that of a longer sequence
    refused(r"3 rows of 20 bytes, 100 apart, reach over 220 bytes.*has 180.*a pitch of t rows of V", src_pitch=100)
    refused(r"run past the end of a pinned buffer of 60 bytes", dst_pitch=24)
    refused(r"need 68 bytes of the host array; it has 60", set_dst_host=np.zeros((B, V), np.float32), dst_pitch=24)
    refused(r"is no device address", set_src_device=np.zeros(99).ctypes.data)
    refused(r"both host memory", set_src_host=np.zeros((B, T, V), np.float32))
    refused(r"the device holds float32, the host array is int32", set_dst_host=np.zeros((B, V), np.int32))
    with pytest.raises(cuda.LogicError, match=r"cuMemcpy2DUnaligned failed.*no src was set"):
        copy = cuda.Memcpy2D()
        copy.width_in_bytes = copy.height = 1
        copy()
    with pytest.raises(TypeError, match="destination first"):
        cuda.Memcpy2D().set_src_device(target)
    with pytest.raises(TypeError, match="expected a host buffer"):
        cuda.Memcpy2D().set_dst_host(device)
    with pytest.raises(ValueError, match="read-only"):
        cuda.Memcpy2D().set_dst_host(b"12345678")
    with pytest.raises(TypeError, match=r"expected a pycuda.driver.Stream"):
        last_step(cuda, device, target)("stream")
    with pytest.raises(AttributeError):
        cuda.Memcpy2D().source_pitch = 8


def test_rows_of_unequal_width_are_refused_by_the_device(cuda):
    device = host.current().device
    address = device.mem_alloc(64)
    with pytest.raises(DeviceError, match="7 bytes in 2 rows"):
        device.memcpy_dtoh(address, 7, 0, 0, True, 0, True, "", 2, 8, 0)
    with pytest.raises(DeviceError, match="the pitch is 3 bytes, the width 4"):
        device.memcpy_dtoh(address, 8, 0, 0, True, 0, True, "", 2, 3, 0)
    with pytest.raises(DeviceError, match="0 rows"):
        device.memcpy_dtoh(address, 8, 0, 0, True, 0, True, "", 0, 3, 0)


def test_an_execution_reads_what_a_copy_with_a_pitch_wrote(cuda):
    """The dtype of every row is remembered."""
    device = cuda.to_device(np.zeros(64, np.uint8))
    copy = cuda.Memcpy2D()
    copy.set_src_host(np.ones((2, 2), np.float64))
    copy.src_pitch = copy.width_in_bytes = 16
    copy.set_dst_device(device)
    copy.dst_pitch, copy.height = 32, 2
    copy()
    with pytest.raises(cuda.LogicError, match="the device holds float64"):
        cuda.memcpy_dtoh(np.zeros(4, np.float32), int(device) + 32)


pieces = st.builds(
    lambda start, width, rows, gap: _Rows(start, width, rows, width + gap),
    st.integers(0, 40),
    st.integers(1, 9),
    st.integers(1, 6),
    st.integers(0, 9),
)


@settings(max_examples=300, deadline=None)
@given(one=pieces, two=pieces)
def test_overlap_is_exact(one, two):
    def touched(piece):
        return {piece.start + row * piece.pitch + byte for row in range(piece.rows) for byte in range(piece.width)}

    assert one.overlap(two) == two.overlap(one) == bool(touched(one) & touched(two))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_copy_with_a_pitch_is_numpys(cuda, data):
    """Up with a pitch, down with another, against slices of NumPy arrays; and nothing else is touched."""
    rows, width = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 6))
    memory = data.draw(st.sampled_from(["pinned", "pageable"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    on_device = rng.integers(0, 255, (rows, data.draw(st.integers(width, 9))), np.uint8)
    device = cuda.to_device(on_device)

    def array(shape):
        made = cuda.pagelocked_empty(shape, np.uint8) if memory == "pinned" else np.empty(shape, np.uint8)
        made[:] = rng.integers(0, 255, shape, np.uint8)
        return made

    source, target = (array((rows, data.draw(st.integers(width, 9)))) for _ in range(2))
    want_device, want_target = on_device.copy(), target.copy()
    stream = cuda.Stream()
    up, down = cuda.Memcpy2D(), cuda.Memcpy2D()
    up.set_src_host(source)
    up.set_dst_device(device)
    down.set_src_device(device)
    down.set_dst_host(target)
    for copy, of, to in ((up, source, on_device), (down, on_device, target)):
        copy.src_x_in_bytes = data.draw(st.integers(0, of.shape[1] - width))
        copy.dst_x_in_bytes = data.draw(st.integers(0, to.shape[1] - width))
        copy.src_pitch, copy.dst_pitch = of.shape[1], to.shape[1]
        copy.width_in_bytes, copy.height = width, rows
        copy(stream)
    stream.synchronize()
    a, b = up.dst_x_in_bytes, up.src_x_in_bytes
    want_device[:, a : a + width] = source[:, b : b + width]
    a, b = down.dst_x_in_bytes, down.src_x_in_bytes
    want_target[:, a : a + width] = want_device[:, b : b + width]
    np.testing.assert_array_equal(target, want_target)
    np.testing.assert_array_equal(cuda.from_device(device, on_device.shape, np.uint8), want_device)
