"""Messages between processes that carry data and nothing else: neither side can be made to run code by the other.

A message is a pair of lengths, a JSON text, and the raw bytes that the text stands for, in the text's order::

    <II  length of the text in bytes, length of the raw bytes
    text: null, true, numbers, "text", [...], {"key": ...}, and for what JSON does not have
          {"$bytes": length}  {"$text": length in UTF-8}  {"$array": [dtype name, [shape]]}  {"$handle": integer}
          {"$dict": {...}}    a dictionary one of whose keys begins with "$"

Values are None, bool, int (64 bits), float (NaN and infinities too), str, bytes, np.ndarray of the dtypes in DTYPES,
`Handle`, and lists and str-keyed dicts of them. A tuple arrives as a list, a NumPy scalar as a Python number, a value
of a subclass as one of the class itself. Never pickle.

Whoever receives pays for what arrives, not for what is claimed: lengths are compared with the limits before memory is
taken, memory is taken as bytes come in, and the containers of a text are counted before it is parsed.
"""

from __future__ import annotations

import json
import math
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from socket import socket
from typing import Any

import numpy as np

_LENGTHS = struct.Struct("<II")
_INTEGER = 1 << 63
_FIRST = 1 << 20  # bytes of memory taken before any arrived
_TOGETHER = 1 << 16  # text and raw bytes up to this size go out in one piece
_LONG = 256  # characters from which a str travels as raw bytes
_DIMENSIONS = 32

DTYPES = {
    name: np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64"),
    )
}


class ProtocolError(Exception):
    """A message that is malformed, is no data, or is larger than its limits allow."""


@dataclass(frozen=True, slots=True)
class Handle:
    """An object of the other process, as an integer that only that process can resolve."""

    ident: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may hold: bytes in all, containers inside each other, and values."""

    nbytes: int = 64 << 20
    depth: int = 16
    values: int = 200_000


_DEFAULT = Limits()
_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False)  # the writer has a depth


def send(connection: socket, value: Any, limits: Limits = _DEFAULT) -> None:
    """Send one message.

    Raises:
        ProtocolError: `value` is no data, or more than `limits` allow; nothing was sent.
    """
    head, parts = _encode(value, limits)
    if not parts or sum(map(len, parts)) <= _TOGETHER:
        connection.sendall(b"".join((head, *parts)))
        return
    connection.sendall(head)
    for part in parts:
        connection.sendall(part)


def receive(connection: socket, limits: Limits = _DEFAULT, *, until: float | None = None) -> Any:
    """The next message.

    Args:
        until: the point of `time.monotonic()` by which the whole message must be here, however slowly it comes in.

    Raises:
        EOFError: the other end closed the connection, also in the middle of a message.
        ProtocolError: what came is no message. The connection is of no further use: the two sides are out of step.
        TimeoutError: it was not here by `until`.
    """
    n_text, n_raw = _LENGTHS.unpack(_read(connection, _LENGTHS.size, until))
    _fits(n_text + n_raw, limits)
    text = _read(connection, n_text, until)
    return _decode(text, _read(connection, n_raw, until) if n_raw else bytearray(), limits)


def plain(value: Any, limits: Limits = _DEFAULT) -> Any:
    """What `value` would be at the other side; ProtocolError where it is no data or too large."""
    head, parts = _encode(value, limits)
    return _decode(bytearray(head[_LENGTHS.size :]), bytearray(b"".join(parts)), limits)


def _fits(nbytes: int, limits: Limits) -> None:
    if nbytes > limits.nbytes:
        raise ProtocolError(f"a message of {nbytes:,} bytes; the limit is {limits.nbytes:,}")


def _read(connection: socket, length: int, until: float | None) -> bytearray:
    data = bytearray(min(length, _FIRST))
    filled = 0
    while filled < length:
        if filled == len(data):  # as much again as has arrived
            data.extend(bytes(min(length - filled, len(data))))
        if until is not None:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the message did not come in time")
            connection.settimeout(left)
        if filled:
            with memoryview(data) as view, view[filled:] as rest:
                count = connection.recv_into(rest)
        else:
            count = connection.recv_into(data)
        if count == 0:
            raise EOFError("the other end closed the connection" + (" within a message" if filled else ""))
        filled += count
    return data


# --- writing --------------------------------------------------------------------------------------------------------


def _encode(value: Any, limits: Limits) -> tuple[bytes, list[Any]]:
    writer = _Writer(limits)
    shown = writer.shown(value, limits.depth)
    try:
        text = _JSON.encode(shown).encode()
    except UnicodeEncodeError as error:
        raise ProtocolError(f"text that is no Unicode: {error.reason}") from None
    _counted(text, limits)
    nbytes = sum(map(len, writer.parts)) if writer.parts else 0
    _fits(len(text) + nbytes, limits)
    if len(text) >= 1 << 32 or nbytes >= 1 << 32:
        raise ProtocolError("a message of 4 GiB; its length has 32 bits")
    return _LENGTHS.pack(len(text), nbytes) + text, writer.parts


class _Writer:
    """Turns a value into what JSON has, and collects its raw bytes."""

    def __init__(self, limits: Limits) -> None:
        self.parts: list[Any] = []
        self._left = limits.values
        self._limits = limits

    def shown(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ProtocolError(f"more than {self._limits.values:,} values")
        kind = type(value)
        if kind is int:
            if not -_INTEGER <= value < _INTEGER:
                raise ProtocolError("an integer of more than 64 bits")
            return value
        if kind is str:
            return value if len(value) < _LONG else {"$text": self._raw(_utf8(value))}
        if value is None or kind is bool or kind is float:
            return value
        if kind in (list, tuple):
            below = self._below(depth)
            return [self.shown(v, below) for v in value]
        if kind is dict:
            return self._dict(value, self._below(depth))
        if kind is bytes:
            return {"$bytes": self._raw(value)}
        if kind is Handle:
            return {"$handle": self.shown(_integer(value.ident), depth)}
        if kind is np.ndarray:
            return self._array(value)
        return self.shown(_exact(value), depth)

    def _below(self, depth: int) -> int:
        if depth <= 0:
            raise ProtocolError(f"nested more than {self._limits.depth} deep")
        return depth - 1

    def _raw(self, part: Any) -> int:
        if len(part):
            self.parts.append(part)
        return len(part)

    def _dict(self, value: dict[Any, Any], below: int) -> dict[str, Any]:
        escape = False
        shown = {}
        for key, item in value.items():
            if type(key) is not str:
                raise ProtocolError(f"a key of type {type(key).__name__}; expected str")
            escape = escape or key.startswith("$")
            shown[key] = self.shown(item, below)
        return {"$dict": shown} if escape else shown

    def _array(self, value: np.ndarray) -> dict[str, Any]:
        if value.dtype.name not in DTYPES:
            raise ProtocolError(f"an array of dtype {value.dtype}; expected one of {', '.join(DTYPES)}")
        whole = np.ascontiguousarray(value, dtype=DTYPES[value.dtype.name])  # native byte order, C order
        self._raw(whole.reshape(-1).view(np.uint8).data)
        return {"$array": [value.dtype.name, list(value.shape)]}


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ProtocolError(f"text that is no Unicode: {error.reason}") from None


def _exact(value: Any) -> Any:
    """A subclass' value in the class itself."""
    if isinstance(value, np.generic) and value.dtype.name in DTYPES:
        return value.item()
    if isinstance(value, bytearray | memoryview | bytes):
        return bytes(value)
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    for cls, convert in _CONVERSIONS:
        if isinstance(value, cls):
            return convert(value)
    raise ProtocolError(f"a value of type {type(value).__name__} is no data")


_CONVERSIONS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, int.__pos__),
    (float, float.__pos__),
    (str, str.__str__),
    (dict, lambda value: dict(dict.items(value))),
    (list, lambda value: list(list.__iter__(value))),
    (tuple, lambda value: list(tuple.__iter__(value))),
)


# --- reading --------------------------------------------------------------------------------------------------------


def _counted(text: bytes | bytearray, limits: Limits) -> None:
    """Refuse a text of more values than allowed before any of them is made: "[]," would become 64 bytes of a list.

    Commas within a text count too; long texts are not in here, so that nobody meets that who does not try to.
    """
    most = 4 * limits.values
    if len(text) > most and text.count(b",") + text.count(b"[") + text.count(b"{") > most:
        raise ProtocolError(f"more than {limits.values:,} values")


def _decode(text: bytearray, raw: bytearray, limits: Limits) -> Any:
    _counted(text, limits)
    try:
        shown = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {str(error)[:200]}") from None
    reader = _Reader(raw, limits)
    value = reader.value(shown, limits.depth)
    if reader.place != len(raw):
        raise ProtocolError(f"{len(raw) - reader.place:,} raw bytes that stand for nothing")
    return value


class _Reader:
    """Turns what JSON gave into values, and takes their raw bytes one after the other."""

    def __init__(self, raw: bytearray, limits: Limits) -> None:
        self.place = 0
        self._raw = memoryview(raw)
        self._left = limits.values
        self._limits = limits

    def value(self, shown: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ProtocolError(f"more than {self._limits.values:,} values")
        kind = type(shown)
        if kind is int:
            if not -_INTEGER <= shown < _INTEGER:
                raise ProtocolError("an integer of more than 64 bits")
            return shown
        if kind is str:
            if not shown.isascii():
                _utf8(shown)  # JSON can spell half a character
            return shown
        if kind is list:
            below = self._below(depth)
            return [self.value(v, below) for v in shown]
        if kind is dict:
            return self._object(shown, depth)
        return shown

    def _below(self, depth: int) -> int:
        if depth <= 0:
            raise ProtocolError(f"nested more than {self._limits.depth} deep")
        return depth - 1

    def _object(self, shown: dict[str, Any], depth: int) -> Any:
        tag = next((key for key in shown if key.startswith("$")), None)
        if tag is None:
            return self._dict(shown, depth)
        inside = shown[tag]
        if len(shown) != 1:
            raise ProtocolError(f"{tag} stands beside other keys")
        if tag == "$bytes":
            return bytes(self._take(inside))
        if tag == "$array":
            return self._array(inside)
        if tag == "$handle":
            return Handle(_integer(inside))
        if tag == "$dict" and type(inside) is dict:
            return self._dict(inside, depth)
        if tag == "$text":
            try:
                return str(self._take(inside), "utf-8")
            except UnicodeDecodeError as error:
                raise ProtocolError(f"text that is no UTF-8: {error.reason}") from None
        raise ProtocolError(f"{tag[:50]!r} is no kind of value")

    def _dict(self, shown: dict[str, Any], depth: int) -> dict[str, Any]:
        below = self._below(depth)
        for key in shown:
            if not key.isascii():
                _utf8(key)
        return {key: self.value(v, below) for key, v in shown.items()}

    def _take(self, length: Any) -> memoryview:
        if type(length) is not int or not 0 <= length <= len(self._raw) - self.place:
            raise ProtocolError(f"{str(length)[:30]} raw bytes of {len(self._raw) - self.place:,} that are left")
        self.place += length
        return self._raw[self.place - length : self.place]

    def _array(self, inside: Any) -> np.ndarray:
        if not (type(inside) is list and len(inside) == 2 and type(inside[0]) is str and type(inside[1]) is list):
            raise ProtocolError("an array is [dtype name, [shape]]")
        dtype, shape = DTYPES.get(inside[0]), inside[1]
        if dtype is None:
            raise ProtocolError(f"an array of dtype {inside[0][:30]!r}; expected one of {', '.join(DTYPES)}")
        if len(shape) > _DIMENSIONS or not all(type(d) is int and 0 <= d < 1 << 48 for d in shape):
            raise ProtocolError("an array's shape is at most 32 integers of 0 or more")
        data = bytearray(self._take(math.prod(shape) * dtype.itemsize))  # its own, aligned and writable
        if dtype.name == "bool" and data.translate(None, b"\0\1"):
            raise ProtocolError("an array of bool with a byte that is neither 0 nor 1")
        try:
            return np.frombuffer(data, dtype).reshape(shape)
        except ValueError as error:  # [0, 1 << 47, 1 << 47] has no bytes, and no array either
            raise ProtocolError(f"no array has shape {shape}: {error}") from None


def _integer(value: Any) -> int:
    if type(value) is not int or not -_INTEGER <= value < _INTEGER:
        raise ProtocolError("an integer of more than 64 bits, or none at all")
    return value
