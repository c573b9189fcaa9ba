"""The device's process of a graded run: a simulated GPU that the student's process uses and the judge may question.

`python -m helpers.grading.device STUDENT_FD JUDGE_FD THREADS` serves two inherited sockets. The student's gets what a
device does (`transport.serve`), with small limits; its first malformed message ends the process. The judge's gets the
methods of an `Examiner` on the same device: [method, [arguments], {named}] -> ["ok", result] or ["raised", class,
text], or at any time ["ended", reason]. All of it is data (`messages.py`).
"""

from __future__ import annotations

import functools
import inspect
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ..messages import Limits, ProtocolError, receive, send
from ..simulator.device import Device
from ..simulator.transport import INHERITED_LIMITS, serve
from .examiner import Examiner

JUDGE_LIMITS = Limits(nbytes=256 << 20, values=4_000_000)
MEMORY = 4 << 30  # bytes of device memory, and of pinned memory: what a graded run may take of the grader's machine


class DeviceGone(Exception):
    """The device's process ended or took too long; the text says why."""


def _methods() -> dict[str, type]:
    """Public methods of `Examiner`, and what each returns."""
    kinds = {"bool": bool, "bytes": bytes, "dict": dict, "float": float, "int": int, "list": list, "str": str}
    found = {}
    for name, function in inspect.getmembers(Examiner, inspect.isfunction):
        if not name.startswith("_"):
            returned = str(inspect.signature(function).return_annotation).split("[")[0]
            found[name] = kinds.get(returned, type(None))
    return found


METHODS = _methods()


# --- in the device's process ----------------------------------------------------------------------------------------


class Server:
    """Serves one device to a student's socket, in a thread, and to a judge's socket."""

    def __init__(self, device: Device, student: socket.socket, judge: socket.socket) -> None:
        self._device, self._student, self._judge = device, student, judge
        self._examiner = Examiner(device)
        self._sending = threading.Lock()

    def run(self) -> None:
        """Until the judge closes its socket."""
        threading.Thread(target=self._serve_student, daemon=True).start()
        try:
            while True:
                self._reply(self._answer(receive(self._judge, JUDGE_LIMITS)))
        except (EOFError, OSError):
            os._exit(0)  # nobody is left whom an orderly end would serve

    def _reply(self, reply: list[Any]) -> None:
        with self._sending:
            try:
                send(self._judge, reply, JUDGE_LIMITS)
            except ProtocolError as error:  # too large, or something that is no data: a model can compute such things
                send(self._judge, ["raised", "ProtocolError", str(error)], JUDGE_LIMITS)

    def _answer(self, request: list[Any]) -> list[Any]:
        method, arguments, named = request
        try:
            if method not in METHODS:
                raise AttributeError(f"an examiner has no method {method!r}")
            return ["ok", getattr(self._examiner, method)(*arguments, **named)]
        except Exception as error:  # whatever a student's bytes make ONNX, ONNX Runtime or TensorRT raise
            kind = "ValueError" if isinstance(error, ValueError) else type(error).__name__
            return ["raised", kind, str(error)[:2000]]

    def _serve_student(self) -> None:
        try:
            serve(self._student, self._device, INHERITED_LIMITS)
        except ProtocolError as error:
            self._end(f"a malformed message of the notebook's process: {error}")
        except ConnectionError:
            return  # it ended; the judge may have questions still
        except Exception as error:
            self._end(f"{type(error).__name__} while the notebook's process was served: {error}")

    def _end(self, reason: str) -> None:
        with self._sending:
            try:
                self._judge.settimeout(5)
                send(self._judge, ["ended", reason], JUDGE_LIMITS)
            except OSError:
                pass
            print(f"simulated device: {reason}", file=sys.stderr, flush=True)
            os._exit(3)


def main() -> None:
    student, judge = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    Server(Device(memory=MEMORY, threads=int(sys.argv[3]), shared=True), student, judge).run()


# --- in the judge's process -----------------------------------------------------------------------------------------


class FarExaminer:
    """An `Examiner` in the device's process: the same methods, and `has_record`, which is True.

    Args:
        connection: the judge's socket to that process.
        seconds: for one call.

    Raises:
        DeviceGone: from every method, when the process ended, a call took too long, or what came is no reply: from then
            on every call raises it. Also where the examiner's method failed otherwise than by a ValueError.
        ValueError: where the examiner's method raised one.
    """

    has_record = True

    def __init__(self, connection: socket.socket, *, seconds: float = 60.0) -> None:
        self._connection, self._seconds = connection, seconds
        self._reason = ""

    @property
    def gone(self) -> str:
        """Why no call will be answered any more; empty where the process is there."""
        return self._reason

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in METHODS:
            raise AttributeError(f"an examiner has no method {name!r}")
        return functools.partial(self._ask, name)

    def _ask(self, method: str, /, *arguments: Any, **named: Any) -> Any:
        if self._reason:
            raise DeviceGone(self._reason)
        until = time.monotonic() + self._seconds
        try:
            reply = self._exchange([method, arguments, named], until)
        except TimeoutError:
            raise self._gone(f"{method} took longer than {self._seconds:g} s") from None
        except (EOFError, OSError):
            raise self._gone("its process ended") from None
        except ProtocolError as error:
            raise self._gone(f"what it sent is no message: {error}") from None
        shape = [type(part) for part in reply] if isinstance(reply, list) else []
        if shape == [str, METHODS[method]] and reply[0] == "ok":
            return reply[1]
        if shape == [str, str] and reply[0] == "ended":
            raise self._gone(reply[1][:500])
        if shape == [str, str, str] and reply[0] == "raised":
            if reply[1] == "ValueError":
                raise ValueError(reply[2])
            raise DeviceGone(f"{method} failed: {reply[1]}: {reply[2]}")  # this call; the next one may do
        raise self._gone("what it sent is no reply")

    def _exchange(self, request: list[Any], until: float) -> Any:
        try:
            self._connection.settimeout(self._seconds)
            send(self._connection, request, JUDGE_LIMITS)
        except TimeoutError:
            raise
        except OSError:
            pass  # it ended; its last message says why
        except ProtocolError as error:
            raise ValueError(f"{request[0]}: {error}") from None
        return receive(self._connection, JUDGE_LIMITS, until=until)

    def _gone(self, reason: str) -> DeviceGone:
        self._reason = reason
        return DeviceGone(reason)


if __name__ == "__main__":
    main()
