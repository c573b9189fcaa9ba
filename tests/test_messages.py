"""Data-only messages: what comes back is what was sent, and hostile bytes cost nothing and break nothing."""

from __future__ import annotations

import enum
import json
import math
import resource
import socket
import struct
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.messages import DTYPES, Handle, Limits, ProtocolError, plain, receive, send

SMALL = Limits(nbytes=1 << 16, depth=4, values=50)


def raw(text: object, blob: bytes = b"") -> bytes:
    """A message as bytes; `text` is JSON already where it is bytes."""
    data = text if isinstance(text, bytes) else json.dumps(text).encode()
    return struct.pack("<II", len(data), len(blob)) + data + blob


def received(data: bytes, limits: Limits = SMALL):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        return receive(theirs, limits)


def equal(a, b) -> bool:
    if isinstance(a, np.ndarray):
        same = isinstance(b, np.ndarray) and a.dtype.name == b.dtype.name and a.shape == b.shape
        return same and np.ascontiguousarray(a, b.dtype).tobytes() == b.tobytes()
    if isinstance(a, list | tuple):
        return type(b) is list and len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, float) and math.isnan(a):
        return type(b) is float and math.isnan(b)
    return type(a) is type(b) and a == b


ARRAYS = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=4))
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.floats(),
        TEXT,
        st.integers(0, 3).flatmap(lambda n: st.just("a\u00e4," * 200 * n)),
        st.binary(),
        ARRAYS,
        st.integers(0, 1 << 40).map(Handle),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(TEXT, st.sampled_from(["$bytes", "$dict", "$"])), inner, max_size=4),
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_what_is_sent_arrives(value):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, value)
        send(ours, "next")
        assert equal(value, receive(theirs))
        assert receive(theirs) == "next"
    assert equal(value, plain(value))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200), st.integers(0, 200))
def test_any_bytes_are_a_message_or_refused(data, n_text, n_raw):
    for message in (data, struct.pack("<II", n_text, n_raw) + data):
        try:
            received(message)
        except (ProtocolError, EOFError):
            pass


JSON = st.recursive(
    st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=4), st.sampled_from(["float32", "bool"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["$bytes", "$text", "$array", "$handle", "$dict", "$x", "a"]), inner, max_size=2
        ),
    ),
)


@settings(max_examples=500, deadline=None)
@given(JSON, st.binary(max_size=16))
def test_any_json_is_a_message_or_refused(shown, blob):
    try:
        value = received(raw(shown, blob))
    except ProtocolError:
        return
    assert equal(value, plain(value, SMALL))


def test_large_things_and_many_of_them():
    value = {
        "plan": bytes(range(256)) * 40_000,
        "image": np.random.default_rng(0).random((500, 600)),
        "text": "é" * 9000,
    }
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sending = threading.Thread(target=send, args=(ours, value))
        sending.start()
        assert equal(value, receive(theirs))
        sending.join()


def test_subclasses_and_other_orders_arrive_as_the_thing_itself():
    class Text(str):
        pass

    class Data(bytes):
        pass

    class Number(enum.IntEnum):
        SEVEN = 7

    fortran = np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3))[:, ::-1]
    value = [
        Text("a"),
        Data(b"b"),
        Number.SEVEN,
        np.float32(0.5),
        np.int64(3),
        bytearray(b"c"),
        memoryview(b"d"),
        fortran,
    ]
    got = plain(value)
    assert equal(["a", b"b", 7, 0.5, 3, b"c", b"d"], got[:-1])
    assert got[-1].dtype == np.dtype("int32") and got[-1].tolist() == fortran.tolist() and got[-1].flags.writeable
    got[-1][0, 0] = 9
    assert [type(v) for v in got[:4]] == [str, bytes, int, float]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "type object is no data"),
        ({1: 2}, "a key of type int"),
        ([lambda: None], "type function is no data"),
        (1 << 63, "more than 64 bits"),
        (-(1 << 63) - 1, "more than 64 bits"),
        (Handle(1 << 70), "more than 64 bits"),
        (Handle("x"), "or none at all"),
        (1j, "complex"),
        ({1, 2}, "set"),
        (np.array([object()]), "an array of dtype object"),
        (np.array(["a"]), "an array of dtype <U1"),
        (np.array([1j]), "complex128"),
        (np.zeros(2, "datetime64[s]"), "datetime64"),
        (np.zeros(2, [("a", "i4")]), "an array of dtype"),
        (np.longdouble(1), "no data"),
        ("\ud800", "no Unicode"),
        ("\ud800" * 999, "no Unicode"),
        ([[[[[]]]]], "nested more than 4 deep"),
        ([0] * 50, "more than 50 values"),
        (b"x" * (1 << 16), "the limit is 65,536"),
        ("x" * (1 << 16), "the limit is 65,536"),
        ("," * 201, "more than 50 values"),
    ],
)
def test_what_is_no_data_or_too_much_is_not_sent(value, words):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(ProtocolError, match=words):
            send(ours, value, SMALL)
        send(ours, "next", SMALL)
        assert receive(theirs, SMALL) == "next"  # nothing of it had left


def test_a_list_inside_itself_is_refused():
    value: list = []
    value.append(value)
    with pytest.raises(ProtocolError, match="nested"):
        plain(value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (struct.pack("<II", 1 << 30, 0), "the limit is 65,536"),
        (struct.pack("<II", 0, 1 << 30), "the limit is 65,536"),
        (struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF), "the limit is 65,536"),
        (raw(b"\xff\xfe{{"), "not JSON"),
        (raw('["a"]'.encode("utf-16")), "not JSON"),
        (raw(b""), "not JSON"),
        (raw(b"[1,"), "not JSON"),
        (raw(b"1 2"), "not JSON"),
        (raw(b"[" * 190), "not JSON"),
        (raw(b"[" * 60_000), "more than 50 values"),
        (raw(b'{"a":' * 180 + b"1" + b"}" * 180), "nested more than 4 deep"),
        (raw(b"[[[[[1]]]]]"), "nested more than 4 deep"),
        (raw(b"[" + b"[]," * 900 + b"[]]"), "more than 50 values"),
        (raw([0] * 60), "more than 50 values"),
        (raw(b"9" * 5000), "not JSON"),
        (raw(1 << 64), "more than 64 bits"),
        (raw({"$handle": 1 << 64}), "more than 64 bits"),
        (raw({"$handle": True}), "or none at all"),
        (raw({"$handle": [1]}), "or none at all"),
        (raw(b'"\\ud800"'), "no Unicode"),
        (raw(b'{"\\udc00":1}'), "no Unicode"),
        (raw({"$text": 2}, b"\xff\xfe"), "no UTF-8"),
        (raw({"$bytes": 5}, b"abcd"), "5 raw bytes of 4 that are left"),
        (raw([{"$bytes": 4}, {"$bytes": 1}], b"abcd"), "1 raw bytes of 0 that are left"),
        (raw({"$bytes": 3}, b"abcd"), "1 raw bytes that stand for nothing"),
        (raw(b'{"$bytes":4,"$bytes":0}', b"abcd"), "4 raw bytes that stand for nothing"),
        (raw({"$bytes": -1}, b"abcd"), "-1 raw bytes"),
        (raw({"$bytes": 1.0}, b"a"), "1.0 raw bytes"),
        (raw({"$bytes": True}, b"a"), "True raw bytes"),
        (raw({"$bytes": 1, "b": 2}, b"a"), "beside other keys"),
        (raw({"$pickle": "x"}), "no kind of value"),
        (raw({"$dict": [1]}), "no kind of value"),
        (raw({"$array": 1}), "an array is"),
        (raw({"$array": ["float32"]}), "an array is"),
        (raw({"$array": ["object", [1]]}, b"a" * 8), "dtype 'object'"),
        (raw({"$array": ["O", [1]]}, b"a" * 8), "dtype 'O'"),
        (raw({"$array": [">f4", [1]]}, b"a" * 4), "dtype '>f4'"),
        (raw({"$array": [["float32"], [1]]}, b"a" * 4), "an array is"),
        (raw({"$array": ["float32", [2]]}, b"a" * 4), "8 raw bytes of 4"),
        (raw({"$array": ["float32", [1 << 40, 1 << 40]]}), "raw bytes of 0"),
        (raw({"$array": ["float32", [-1, -4]]}, b"a" * 16), "integers of 0 or more"),
        (raw({"$array": ["float32", [True]]}, b"a" * 4), "integers of 0 or more"),
        (raw({"$array": ["float32", [0] * 33]}), "at most 32"),
        (raw({"$array": ["float32", [0, 1 << 47, 1 << 47]]}), "no array has shape"),
        (raw({"$array": ["float32", [1 << 60]]}), "integers of 0 or more"),
        (raw({"$array": ["bool", [2]]}, b"\x01\x02"), "neither 0 nor 1"),
    ],
)
def test_hostile_messages_are_refused(data, words):
    with pytest.raises(ProtocolError, match=words):
        received(data)


@pytest.mark.parametrize("data", [b"", b"\x01\x00", raw("abc")[:-1], raw({"$bytes": 4}, b"abcd")[:-2]])
def test_an_end_is_an_end_wherever_it_comes(data):
    with pytest.raises(EOFError, match="closed the connection"):
        received(data)


def test_nan_and_infinities_are_values():
    got = received(raw(b"[NaN,Infinity,-Infinity,1e999]"))
    assert math.isnan(got[0]) and got[1:] == [math.inf, -math.inf, math.inf]


def test_a_claim_takes_no_memory():
    """1 GB is claimed, within the limits, and 3 MB come."""
    ours, theirs = socket.socketpair()
    came: list = []

    def reading() -> None:
        with pytest.raises(EOFError, match="within a message"):
            receive(theirs, Limits(nbytes=2 << 30))
        came.append(True)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ours, theirs:
        thread = threading.Thread(target=reading)
        thread.start()
        ours.sendall(struct.pack("<II", 2, 1 << 30) + b"{}" + bytes(3 << 20))
        ours.close()
        thread.join(timeout=20)
    assert came == [True]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_many_empty_lists_are_counted_before_they_are_made():
    text = b"[" + b"[]," * (16 << 20) + b"[]]"  # 48 MiB of text, a gibibyte of lists
    ours, theirs = socket.socketpair()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ours, theirs:
        sending = threading.Thread(target=ours.sendall, args=(raw(text),))
        sending.start()
        with pytest.raises(ProtocolError, match="more than 200,000 values"):
            receive(theirs)
        sending.join()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10


def test_a_message_that_trickles_in_meets_its_time():
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def trickle() -> None:
        for byte in raw("x" * 200):
            if stop.wait(0.05):
                return
            ours.sendall(bytes([byte]))

    with ours, theirs:
        thread = threading.Thread(target=trickle)
        thread.start()
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            receive(theirs, until=begin + 0.3)
        stop.set()
        thread.join()
        with pytest.raises(TimeoutError):
            receive(theirs, until=begin)
