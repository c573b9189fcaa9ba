"""Ways to a device: in this process, or in another one that only sees data-only messages.

A request is [method, [arguments]], its reply ["ok", result] or ["error", code, detail], in the format of `messages.py`.
The file descriptor of pinned memory travels as ancillary data of a Unix socket. Neither side can be made to run code.
"""

from __future__ import annotations

import inspect
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..messages import Limits, ProtocolError, receive, send
from . import guard
from .device import JUDGE_ONLY, T4_MEMORY, Device, DeviceError, Releasing

__all__ = ["METHODS", "ChildDevice", "InProcessDevice", "ProtocolError", "RemoteDevice", "serve"]

# A plan of a full-size model is 0.6 GB; a full record is 50,000 events of 18 fields.
LIMITS = Limits(nbytes=1 << 31, values=4_000_000)
# What a graded program may send at once: the plan of a small model with GPT-2's vocabulary has 84 MB, others a few.
INHERITED_LIMITS = Limits(nbytes=128 << 20, values=1_200_000)
SPIN_NS = 100_000  # of CPU time, at most, for each call
_CLOSED = (
    "the device's process has ended. Restart the kernel, or take a new device: backend.activate(transport='child')."
)

# What each argument must be, from the annotations of Device's own methods.
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "int": lambda v: type(v) is int,
    "bool": lambda v: type(v) is bool,
    "str": lambda v: type(v) is str,
    "bytes": lambda v: type(v) is bytes,
    "bytes | None": lambda v: v is None or type(v) is bytes,
    "dict[str, int]": lambda v: type(v) is dict and all(type(x) is int for x in v.values()),
    "dict[str, bytes] | None": lambda v: v is None or (type(v) is dict and all(type(x) is bytes for x in v.values())),
    "dict[str, list[int]]": lambda v: (
        type(v) is dict and all(type(x) is list and all(type(d) is int for d in x) for x in v.values())
    ),
    "dict[str, np.ndarray]": lambda v: type(v) is dict and all(type(x) is np.ndarray for x in v.values()),
}

Methods = Mapping[str, list[str]]  # name -> what each argument must be; "?" behind what may be left out


def _methods() -> Methods:
    methods = {}
    for name, function in inspect.getmembers(Device, inspect.isfunction):
        if not name.startswith("_") and name not in ("host_memory", "release"):
            parameters = list(inspect.signature(function).parameters.values())[1:]
            methods[name] = [f"{p.annotation}{'' if p.default is p.empty else '?'}" for p in parameters]
    return methods


ALL_METHODS = _methods()
METHODS: Methods = {name: kinds for name, kinds in ALL_METHODS.items() if name not in JUDGE_ONLY}


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


class RemoteDevice(Releasing):
    """A device in another process; has the methods of `Device`.

    Args:
        connection: a Unix socket whose other end is served by `serve`. It is closed with the device.
        methods: those that the other end answers.
        limits: of one message, the other end's.

    Raises:
        DeviceError: what the device refused, and when its process has ended.
    """

    def __init__(
        self, connection: socket.socket, methods: Methods = METHODS, limits: Limits = INHERITED_LIMITS
    ) -> None:
        super().__init__()
        self._socket = connection
        self._methods = methods
        self._limits = limits

    def _call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        if self._released:
            self._drain()
        try:
            with self._lock, _whole_message():
                send(self._socket, [method, arguments], self._limits)
                _soon(self._socket)
                reply = receive(self._socket, self._limits)
        except ProtocolError as error:  # of `send`: nothing has left this process
            raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"{method}: {error}") from None
        except (OSError, EOFError):
            raise DeviceError("CUDA_ERROR_LAUNCH_FAILED", _CLOSED) from None
        if reply[0] == "error":
            raise DeviceError(reply[1], reply[2])
        return reply[1]

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_") or method not in self._methods:
            raise AttributeError(method)

        def call(*arguments: Any) -> Any:
            return self._call(method, arguments)

        self.__dict__[method] = call  # the next call finds it without __getattr__
        return call

    def host_map(self, ident: int) -> mmap.mmap:
        """This process' mapping of pinned memory."""
        try:
            with self._lock, _whole_message():
                send(self._socket, ["host_fd", [ident]])
                _, fds, _, _ = socket.recv_fds(self._socket, 1, 1)
                reply = receive(self._socket)
        except (OSError, EOFError):
            raise DeviceError("CUDA_ERROR_LAUNCH_FAILED", _CLOSED) from None
        if reply[0] == "error":
            raise DeviceError(reply[1], reply[2])
        try:
            return mmap.mmap(fds[0], reply[1])
        finally:
            os.close(fds[0])

    def close(self) -> None:
        """Leave the device; safe to call twice."""
        self._socket.close()


class ChildDevice(RemoteDevice):
    """A device in a child process of this one, and its own.

    Args: as for `Device`.
    """

    def __init__(self, memory: int = T4_MEMORY, threads: int = 0, compute_capability: int = 0) -> None:
        if sys.platform != "linux":  # pragma: no cover - shared pinned memory is a memfd
            raise OSError("a device in a child process needs Linux; use the in-process device on this system")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        with theirs:
            numbers = (theirs.fileno(), memory, threads, compute_capability)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "helpers.simulator.transport", *map(str, numbers)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in a terminal goes to the whole group: it is not the device's affair
                env={**os.environ, "PYTHONPATH": path},
            )
        super().__init__(ours, ALL_METHODS, LIMITS)  # nobody else uses it: a notebook's checks may ask it everything

    def close(self) -> None:
        """End the child process; safe to call twice."""
        super().close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def inherited() -> RemoteDevice:
    """The device behind the socket whose file descriptor is in TRT_DEVICE_FD.

    Raises:
        OSError: there is no such variable or descriptor.
    """
    variable = os.environ.get("TRT_DEVICE_FD", "")
    if not variable.isdigit():
        raise OSError(f"TRT_DEVICE_FD is {variable!r}; expected the number of an open socket to a device's process")
    return RemoteDevice(socket.socket(fileno=os.dup(int(variable))))  # a second device finds it open too


class InProcessDevice(Device):
    """The device in this process: the same methods, called directly."""

    def host_map(self, ident: int) -> Any:
        return self.host_memory(ident).data

    def memcpy_dtoh_into(self, address: int, into: np.ndarray, stream: int, wait: bool, dtype: str) -> None:
        """Device to pageable memory of this process, an array of uint8: one copy, all of it inside its event."""
        self._memcpy_dtoh(address, into.nbytes, 0, 0, into, stream, wait, dtype)

    def close(self) -> None:
        return None


def serve(connection: socket.socket, device: Device, limits: Limits = LIMITS, methods: Methods = METHODS) -> None:
    """Answer requests for `methods` until the other end closes.

    Raises:
        ProtocolError: at the first malformed message. Whoever sends one is no front end of ours.
    """
    while True:
        try:
            _soon(connection)
            message = receive(connection, limits)
        except (EOFError, ConnectionError):
            return
        if not (isinstance(message, list) and len(message) == 2 and isinstance(message[1], list)):
            raise ProtocolError("expected [method, [arguments]]")
        method, arguments = message
        reply: list[Any]
        try:
            if method == "host_fd":
                memory = device.host_memory(_checked("host_free", arguments, methods)[0])
                socket.send_fds(connection, [b"\0"], [memory.fd])
                reply = ["ok", memory.nbytes]
            else:
                checked = _checked(method, arguments, methods)
                reply = ["ok", getattr(device, method)(*checked)]
        except ProtocolError:
            raise
        except Exception as error:  # the device goes on, whatever an operation does
            if method == "host_fd":
                connection.sendall(b"\0")
            reply = refusal(error)
        try:
            send(connection, reply, limits)
        except ProtocolError as error:  # the reply is larger than the other end takes
            send(connection, refusal(error), limits)
        except ConnectionError:
            return


def _soon(connection: socket.socket) -> None:
    """Look for the next message for a moment before sleeping: to be woken takes longer than most calls do."""
    end = time.perf_counter_ns() + SPIN_NS
    while time.perf_counter_ns() < end:
        try:
            connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            continue
        return


def refusal(error: Exception) -> list[Any]:
    """The reply that says what an operation raised."""
    if isinstance(error, DeviceError):
        return ["error", error.code, error.detail]
    return ["error", "CUDA_ERROR_UNKNOWN", f"{type(error).__name__}: {error}"]


def _checked(method: Any, arguments: list[Any], methods: Methods = METHODS) -> list[Any]:
    kinds = methods.get(method) if isinstance(method, str) else None
    if kinds is None:
        raise ProtocolError(f"no method {str(method)[:50]!r}")
    needed = sum(not kind.endswith("?") for kind in kinds)
    if not needed <= len(arguments) <= len(kinds):
        raise ProtocolError(f"{method} takes {needed} to {len(kinds)} arguments, {len(arguments)} came")
    for kind, argument in zip(kinds, arguments, strict=False):
        if not _CHECKS[kind.removesuffix("?")](argument):
            raise ProtocolError(f"{method}: expected {kind.removesuffix('?')}, got {type(argument).__name__}")
    return arguments


def main() -> None:
    fd, memory, threads, compute_capability = (int(argument) for argument in sys.argv[1:])
    guard.limit_memory()
    with socket.socket(fileno=fd) as connection:
        try:
            serve(connection, Device(memory, threads, True, compute_capability), methods=ALL_METHODS)
        except ProtocolError as error:
            sys.exit(f"simulated device: malformed message, the device ends: {error}")


if __name__ == "__main__":
    main()
