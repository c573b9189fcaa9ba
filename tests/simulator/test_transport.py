"""The child process: data-only messages, and what happens when they are not."""

from __future__ import annotations

import json
import socket
import struct
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.simulator import host
from helpers.simulator.device import JUDGE_ONLY, Device, DeviceError
from helpers.simulator.transport import (
    ALL_METHODS,
    METHODS,
    ChildDevice,
    ProtocolError,
    RemoteDevice,
    _checked,
    inherited,
    serve,
)


def talk(*messages: bytes) -> bytes:
    """What a server answers to raw bytes, until it ends or has nothing more to say."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for message in messages:
            ours.sendall(message)
        ours.shutdown(socket.SHUT_WR)
        serve(theirs, Device())
        theirs.close()
        return ours.recv(1 << 16)


def message(value, blob: bytes = b"") -> bytes:
    text = json.dumps(value).encode()
    return struct.pack("<II", len(text), len(blob)) + text + blob


def test_a_message_and_its_answer():
    answer = talk(message(["mem_get_info", []]))
    assert json.loads(answer[8:]) == ["ok", [15 << 30, 15 << 30]]


def test_a_refusal_is_an_answer():
    answer = talk(message(["mem_free", [1]]))
    assert json.loads(answer[8:])[:2] == ["error", "CUDA_ERROR_INVALID_VALUE"]


@pytest.mark.parametrize(
    "value",
    [
        ["no_such_method", []],
        ["_raise_fault", []],
        ["release", ["mem_free", 1]],
        ["host_memory", [1]],
        ["mem_alloc", []],
        ["mem_alloc", ["8"]],
        ["mem_alloc", [True]],
        ["mem_alloc", [1 << 80]],
        ["mem_alloc", [8.0]],
        ["memset", [1, "x", 1, 0, True]],
        ["infer", [1, {"x": [1.0]}]],
        ["keep_digests", [True]],
        ["settle", []],
        ["execute", [1, 0, True, 0, {"x": [1, "2"]}, {}]],
        ["execute", [1, 0, True, 0, {}, {"x": "1"}]],
        [["mem_alloc"], [8]],
        {"mem_alloc": 8},
        "mem_alloc",
        None,
    ],
)
def test_a_malformed_message_ends_the_device(value):
    with pytest.raises(ProtocolError):
        talk(message(value))


def test_not_json_and_too_long_end_the_device():
    with pytest.raises(ProtocolError, match="not JSON"):
        talk(struct.pack("<II", 4, 0) + b"\xff\xfe{{")
    with pytest.raises(ProtocolError, match="the limit is"):
        talk(struct.pack("<II", 0xFFFFFFFF, 0))
    assert talk(struct.pack("<II", 50, 0) + b"cut") == b""  # the other end went away


def test_what_only_a_grader_asks_is_served_where_it_is_allowed():
    assert not set(JUDGE_ONLY) & set(METHODS) and set(JUDGE_ONLY) < set(ALL_METHODS)
    device = ChildDevice()  # a process of the notebook's own
    ident = device.host_alloc(8)
    device.fill_pinned(ident, 4, b"1234")
    assert device.pinned(ident) == 8 and device.host_map(ident)[4:] == b"1234"
    device.close()


@settings(max_examples=200, deadline=None)
@given(
    method=st.sampled_from(sorted(METHODS)),
    arguments=st.lists(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=4),
            st.lists(st.integers(), max_size=3),
        ),
        max_size=8,
    ),
)
def test_arguments_of_any_kind_are_refused_or_answered(method, arguments):
    device = Device(memory=1 << 20)
    try:
        checked = _checked(method, arguments)
    except ProtocolError:
        return
    try:
        getattr(device, method)(*checked)
    except DeviceError:
        pass


def test_the_device_ends_with_its_process_and_says_so():
    device = ChildDevice()
    assert device.mem_get_info()[1] == 15 << 30
    device._process.kill()
    device._process.wait()
    with pytest.raises(DeviceError, match="the device's process has ended"):
        device.mem_get_info()
    with pytest.raises(DeviceError, match="has ended"):
        device.host_map(1)
    device.close()


def test_the_child_ends_with_its_parent():
    device = ChildDevice()
    device.mem_get_info()
    device.close()
    device.close()
    assert device._process.returncode == 0
    with pytest.raises(AttributeError):
        _ = device.no_such_method


def test_a_malformed_message_ends_the_real_child_with_words(capfd):
    device = ChildDevice()
    device._socket.sendall(message(["nonsense", []]))
    assert device._process.wait(timeout=20) == 1
    assert "malformed message, the device ends" in capfd.readouterr().err
    device.close()


def test_mapping_pinned_memory_that_does_not_exist():
    device = ChildDevice()
    with pytest.raises(DeviceError, match="does not exist"):
        device.host_map(77)
    assert device.mem_get_info()  # and the device goes on
    device.close()


def test_settings_reach_the_child():
    used = host.use("child", memory=1 << 20, threads=1)
    try:
        assert used.device.mem_get_info() == [1 << 20, 1 << 20]
    finally:
        host.use("process")
    with pytest.raises(ValueError, match="no transport 'tcp'"):
        host.use("tcp")


def test_a_device_behind_an_inherited_socket(monkeypatch):
    ours, theirs = socket.socketpair()
    serving = threading.Thread(target=serve, args=(theirs, Device(memory=1 << 20, shared=True)))
    serving.start()
    monkeypatch.setenv("TRT_DEVICE_FD", str(ours.fileno()))
    try:
        for _ in range(2):  # the descriptor stays open for a second device
            used = host.use("inherited")
            assert isinstance(used.device, RemoteDevice) and used.device.mem_get_info() == [1 << 20, 1 << 20]
            pinned = used.alloc_pinned(4)
            pinned.data[:] = 7
            used.free_pinned(pinned)
        with pytest.raises(AttributeError):
            used.device.keep_digests(True)
    finally:
        host.use("process")
        ours.close()
        serving.join(timeout=20)
    assert not serving.is_alive()
    theirs.close()
    monkeypatch.setenv("TRT_DEVICE_FD", "")
    with pytest.raises(OSError, match="TRT_DEVICE_FD is ''; expected the number of an open socket"):
        inherited()


def test_what_is_no_data_is_refused_and_the_device_goes_on():
    device = ChildDevice()
    for argument in (1 << 80, object(), {1: 2}):
        with pytest.raises(DeviceError, match="mem_alloc: "):
            device.mem_alloc(argument)
    assert device.mem_get_info()
    device.close()


def test_bare_host_pointers_are_checked_without_crashing():
    array = np.arange(4, dtype=np.uint8)
    assert host.read_pointer(array.ctypes.data, 4) == bytes(range(4))
    host.write_pointer(array.ctypes.data, b"\x09\x08")
    assert list(array) == [9, 8, 2, 3]
    for address in (0, 8, 0x3_0200_0000):
        with pytest.raises(DeviceError, match="cannot be reached"):
            host.read_pointer(address, 16)
        with pytest.raises(DeviceError, match="cannot be reached"):
            host.write_pointer(address, b"x" * 16)
