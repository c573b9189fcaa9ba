"""Two ways to a device: in this process, or in a child process that only sees data-only messages.

A message is a pair of lengths, a JSON text, and at most one run of raw bytes::

    <II  length of the JSON, length of the bytes
    JSON [method, [arguments]]  ->  ["ok", result] or ["error", code, detail]

An argument or result that is bytes travels behind the JSON and stands in it as {"bytes": true}. The file descriptor of
pinned memory travels as ancillary data of a Unix socket. Never pickle: neither side can be made to run code.
"""

from __future__ import annotations

import inspect
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .device import T4_MEMORY, Device, DeviceError, Releasing

_LENGTHS = struct.Struct("<II")
_BYTES = {"bytes": True}
MESSAGE_LIMIT = 1 << 31  # a plan of a full-size model is 0.6 GB
_CLOSED = (
    "the device's process has ended. Restart the kernel, or take a new device: backend.activate(transport='child')."
)


class ProtocolError(Exception):
    """A malformed message. It ends the device: whoever sends one is no front end of ours."""


# What each argument must be, from the annotations of Device's own methods.
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "int": lambda v: type(v) is int and -(1 << 63) <= v < 1 << 63,
    "bool": lambda v: type(v) is bool,
    "str": lambda v: type(v) is str,
    "bytes": lambda v: type(v) is bytes,
    "bytes | None": lambda v: v is None or type(v) is bytes,
    "dict[str, int]": lambda v: type(v) is dict and all(_CHECKS["int"](x) for x in v.values()),
    "dict[str, list[int]]": lambda v: (
        type(v) is dict and all(type(x) is list and all(_CHECKS["int"](d) for d in x) for x in v.values())
    ),
}


def _methods() -> dict[str, list[str]]:
    methods = {}
    for name, function in inspect.getmembers(Device, inspect.isfunction):
        if not name.startswith("_") and name not in ("host_memory", "release"):
            parameters = list(inspect.signature(function).parameters.values())[1:]
            methods[name] = [str(p.annotation) for p in parameters]
    return methods


METHODS = _methods()


def _read(connection: socket.socket, length: int) -> bytes:
    chunks = bytearray(length)
    view = memoryview(chunks)
    while view:
        count = connection.recv_into(view)
        if count == 0:
            raise EOFError
        view = view[count:]
    return bytes(chunks)


def _send(connection: socket.socket, value: list[Any], blob: bytes | None) -> None:
    text = json.dumps(value, separators=(",", ":")).encode()
    head = _LENGTHS.pack(len(text), len(blob or b"")) + text
    connection.sendall(head)
    if blob:
        connection.sendall(blob)


def _receive(connection: socket.socket) -> tuple[Any, bytes]:
    n_text, n_blob = _LENGTHS.unpack(_read(connection, _LENGTHS.size))
    if n_text + n_blob > MESSAGE_LIMIT:
        raise ProtocolError(f"a message of {n_text + n_blob} bytes; the limit is {MESSAGE_LIMIT}")
    text = _read(connection, n_text)
    blob = _read(connection, n_blob) if n_blob else b""
    try:
        return json.loads(text), blob
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from None


@contextmanager
def _whole_message() -> Iterator[None]:
    """Keep Ctrl-C until the answer is here: half a message would leave the two sides out of step."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets KeyboardInterrupt
        return
    came: list[Any] = []
    before = signal.signal(signal.SIGINT, lambda *arguments: came.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came and callable(before):
            before(*came[0])


class ChildDevice(Releasing):
    """A device in a child process; has the methods of `Device`.

    Args: as for `Device`.

    Raises:
        DeviceError: what the device refused, and when its process has ended.
    """

    def __init__(self, memory: int = T4_MEMORY, threads: int = 0) -> None:
        super().__init__()
        if sys.platform != "linux":  # pragma: no cover - shared pinned memory is a memfd
            raise OSError("a device in a child process needs Linux; use the in-process device on this system")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "helpers.simulator.transport", str(theirs.fileno()), str(memory), str(threads)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in a terminal goes to the whole group: it is not the device's affair
                env={**os.environ, "PYTHONPATH": path},
            )
        self._socket = ours

    def _call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        if self._released:
            self._drain()
        blob: bytes | None = None
        plain: list[Any] = []
        for argument in arguments:
            if isinstance(argument, bytes | bytearray | memoryview):
                blob = bytes(argument)
                argument = _BYTES
            plain.append(argument)
        if blob is not None and len(blob) > MESSAGE_LIMIT - (1 << 20):
            raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"{len(blob):,} bytes in one message; copy in smaller parts")
        try:
            with self._lock, _whole_message():
                _send(self._socket, [method, plain], blob)
                reply, data = _receive(self._socket)
        except (OSError, EOFError):
            raise DeviceError("CUDA_ERROR_LAUNCH_FAILED", _CLOSED) from None
        if reply[0] == "error":
            raise DeviceError(reply[1], reply[2])
        return data if reply[1] == _BYTES else reply[1]

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method not in METHODS:
            raise AttributeError(method)

        def call(*arguments: Any) -> Any:
            return self._call(method, arguments)

        self.__dict__[method] = call  # the next call finds it without __getattr__
        return call

    def host_map(self, ident: int) -> mmap.mmap:
        """This process' mapping of pinned memory."""
        try:
            with self._lock, _whole_message():
                _send(self._socket, ["host_fd", [ident]], None)
                _, fds, _, _ = socket.recv_fds(self._socket, 1, 1)
                reply, _ = _receive(self._socket)
        except (OSError, EOFError):
            raise DeviceError("CUDA_ERROR_LAUNCH_FAILED", _CLOSED) from None
        if reply[0] == "error":
            raise DeviceError(reply[1], reply[2])
        try:
            return mmap.mmap(fds[0], reply[1])
        finally:
            os.close(fds[0])

    def close(self) -> None:
        """End the child process; safe to call twice."""
        self._socket.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class InProcessDevice(Device):
    """The device in this process: the same methods, called directly."""

    def host_map(self, ident: int) -> Any:
        return self.host_memory(ident).data

    def close(self) -> None:
        return None


def serve(connection: socket.socket, device: Device) -> None:
    """Answer messages until the other end closes.

    Raises:
        ProtocolError: at the first malformed message.
    """
    while True:
        try:
            message, blob = _receive(connection)
        except (EOFError, ConnectionError):
            return
        if not (isinstance(message, list) and len(message) == 2 and isinstance(message[1], list)):
            raise ProtocolError("expected [method, [arguments]]")
        method, arguments = message
        result: Any
        try:
            if method == "host_fd":
                memory = device.host_memory(_checked("host_free", arguments, b"")[0])
                socket.send_fds(connection, [b"\0"], [memory.fd])
                result = memory.nbytes
            else:
                checked = _checked(method, arguments, blob)
                result = getattr(device, method)(*checked)
        except ProtocolError:
            raise
        except Exception as error:  # the device goes on, whatever an operation does
            refusal = error if isinstance(error, DeviceError) else _unknown(error)
            if method == "host_fd":
                connection.sendall(b"\0")
            _send(connection, ["error", refusal.code, refusal.detail], None)
            continue
        if isinstance(result, bytes):
            _send(connection, ["ok", _BYTES], result)
        else:
            _send(connection, ["ok", result], None)


def _unknown(error: Exception) -> DeviceError:
    return DeviceError("CUDA_ERROR_UNKNOWN", f"{type(error).__name__}: {error}")


def _checked(method: Any, arguments: list[Any], blob: bytes) -> list[Any]:
    kinds = METHODS.get(method) if isinstance(method, str) else None
    if kinds is None:
        raise ProtocolError(f"no method {method!r}")
    if len(arguments) != len(kinds):
        raise ProtocolError(f"{method} takes {len(kinds)} arguments, {len(arguments)} came")
    checked = [blob if argument == _BYTES else argument for argument in arguments]
    for kind, argument in zip(kinds, checked, strict=True):
        if not _CHECKS[kind](argument):
            raise ProtocolError(f"{method}: expected {kind}, got {type(argument).__name__}")
    return checked


def main() -> None:
    fd, memory, threads = (int(argument) for argument in sys.argv[1:])
    with socket.socket(fileno=fd) as connection:
        try:
            serve(connection, Device(memory, threads, shared=True))
        except ProtocolError as error:
            sys.exit(f"simulated device: malformed message, the device ends: {error}")


if __name__ == "__main__":
    main()
