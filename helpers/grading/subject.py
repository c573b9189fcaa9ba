"""The student's objects: in this process (`Here`), or in a process of their own that nobody has to believe (`Far`).

A check is written once against `Subject`. What it gets back is either opaque (a `Ref`) or plain data; an object of the
student's never meets an operator of the check, so that one that claims to be equal to everything is only an object.
"""

from __future__ import annotations

import importlib
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..messages import Handle, Limits, ProtocolError, plain, receive, send

Ref = Any  # opaque to a check: hand it back to the subject that gave it


class Raised(Exception):
    """The student's code raised.

    Attributes:
        kind: name of the exception's class. kinds: names of that class and its bases.
        text: what it said, at most 2,000 characters.
        line: the line of the student's own function in which it happened; empty where that is not known.
    """

    def __init__(self, kind: str, kinds: tuple[str, ...], text: str, line: str = "") -> None:
        super().__init__(f"{kind}: {text}" if text else kind)
        self.kind, self.kinds, self.text, self.line = kind, kinds, text, line


class Gone(Exception):
    """The student's process ended, took too long, or sent what is no message."""


class Spent(Gone):
    """A check used up the time or the calls that it has; the process is there still."""


class Subject(Protocol):
    """What a check can do with the student's objects. Arguments are refs, data, and lists or dicts of them.

    `shared` is for what is too expensive to do twice: a check and its twin find there what one of them put there, and
    "draw", where a graded run has a secret one, for what both of them use.
    """

    shared: dict[str, Any]

    def answer(self) -> Ref:
        """What stands in the check cell: a function, or a class."""

    def new(self, name: str, /, *args: Any, **kwargs: Any) -> Ref:
        """Import `name` ("tensorrt.Builder") and call it."""

    def call(self, function: Ref, /, *args: Any, **kwargs: Any) -> Ref:
        """Call a function. Raises `Raised` where it raises."""

    def method(self, ref: Ref, name: str, /, *args: Any, **kwargs: Any) -> Ref:
        """Call a method by name."""

    def get(self, ref: Ref, name: str) -> Ref:
        """An attribute."""

    def item(self, ref: Ref, key: Any) -> Ref:
        """`ref[key]`."""

    def value(self, ref: Ref) -> Any:
        """Plain data: a number, text, bytes, None, an array, or lists and dicts of them. `Raised` where it is none."""

    def keys(self, ref: Ref) -> list[str]:
        """The keys of a mapping, as text."""

    def array(self, ref: Ref) -> dict[str, Any]:
        """{"dtype", "size", "nbytes", "pinned": [ident, offset] or None} of a numpy array: a claim, not a fact."""

    def path(self, name: str) -> str:
        """Where `name` is, or would be, in a private folder of this check."""

    def write(self, name: str, data: bytes) -> str:
        """Write a file in that folder; its path."""

    def read(self, name: str) -> bytes | None:
        """The content of a file in that folder; None where there is none."""

    def files(self) -> list[str]:
        """The names of the files in that folder."""

    def logger(self) -> Ref:
        """A TensorRT logger that prints nothing; `errors` is the list of its ERROR lines."""

    def runner(self, plan: bytes) -> Ref:
        """run(*arrays, in the plan's order of inputs or by name) -> first output: one whole inference, done when it
        returns."""

    def copier(self, first: int) -> Ref:
        """copy(host, device, shape, stream): enqueue the copy of all logits, `shape` [B, t, V] or [B, V], to the end of
        the flat pinned array `host`, the first so many in a copy of their own; the view [B, V] of the last step."""


class _Box:
    """A student's object as a check may hold it: without its operators."""

    __slots__ = ("inside",)

    def __init__(self, inside: Any) -> None:
        self.inside = inside


class Here:
    """The student's objects in this process.

    Args:
        answer: what the student hands to `check`.
        box: how an object is handed out; a graded run puts integers there.
        unbox: the way back.
    """

    def __init__(
        self, answer: Any, box: Callable[[Any], Ref] = _Box, unbox: Callable[[Any], Any] | None = None
    ) -> None:
        self.shared: dict[str, Any] = {}
        self._answer = answer
        self._box, self._unbox = box, unbox or _inside
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def ask_about(self, answer: Any) -> None:
        """Put another object in the check cell's place."""
        self._answer = answer

    def answer(self) -> Ref:
        return self._box(self._answer)

    def new(self, name: str, /, *args: Any, **kwargs: Any) -> Ref:
        return self._called(_named(name), args, kwargs)

    def call(self, function: Ref, /, *args: Any, **kwargs: Any) -> Ref:
        return self._called(self._unbox(function), args, kwargs)

    def method(self, ref: Ref, name: str, /, *args: Any, **kwargs: Any) -> Ref:
        return self._called(lambda *a, **k: getattr(self._unbox(ref), name)(*a, **k), args, kwargs)

    def get(self, ref: Ref, name: str) -> Ref:
        return self._called(getattr, (ref, name), {})

    def item(self, ref: Ref, key: Any) -> Ref:
        return self._called(lambda of, k: of[k], (ref, key), {})

    def _called(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Ref:
        arguments = [self._resolved(a) for a in args]
        named = {k: self._resolved(a) for k, a in kwargs.items()}
        try:
            return self._box(function(*arguments, **named))
        except (Exception, SystemExit) as error:  # whatever a student's code raises; Ctrl-C is the user's
            raise _raised(error, self._answer) from None

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(self._resolved(v) for v in value)
        if isinstance(value, dict):
            return {k: self._resolved(v) for k, v in value.items()}
        return self._unbox(value)

    def value(self, ref: Ref) -> Any:
        try:
            return plain(self._unbox(ref))
        except (Exception, SystemExit) as error:
            raise _raised(error, None) from None

    def keys(self, ref: Ref) -> list[str]:
        value = self._unbox(ref)
        try:
            if not isinstance(value, Mapping):
                raise TypeError(f"{type(value).__name__} is no dictionary")
            found = []
            for key in value:
                found.append(str(key)[:200])
                if len(found) > 1000:
                    raise TypeError("a dictionary with more than 1,000 keys")
            return found
        except (Exception, SystemExit) as error:
            raise _raised(error, None) from None

    def array(self, ref: Ref) -> dict[str, Any]:
        value = self._unbox(ref)
        try:
            if not isinstance(value, np.ndarray):
                raise TypeError(f"{type(value).__name__} is no numpy array")
            described = {"dtype": str(value.dtype), "size": int(value.size), "nbytes": int(value.nbytes)}
            return described | {"pinned": _pinned(value)}
        except (Exception, SystemExit) as error:
            raise _raised(error, None) from None

    def _inside(self, name: str) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="check-", ignore_cleanup_errors=True)
        if "/" in name or "\\" in name or name in ("", ".", ".."):
            raise ValueError(f"{name!r} is no plain file name")
        return Path(self._folder.name) / name

    def path(self, name: str) -> str:
        return str(self._inside(name))

    def write(self, name: str, data: bytes) -> str:
        path = self._inside(name)
        path.write_bytes(data)
        return str(path)

    def read(self, name: str) -> bytes | None:
        path = self._inside(name)
        return path.read_bytes() if path.is_file() else None

    def files(self) -> list[str]:
        return sorted(p.name for p in self._inside("x").parent.iterdir())

    def logger(self) -> Ref:
        import tensorrt as trt

        return self._box(quiet_logger(trt))

    def runner(self, plan: bytes) -> Ref:
        return self._box(_runner(plan))

    def copier(self, first: int) -> Ref:
        return self._box(_copier(first))

    def close(self) -> None:
        """Delete the folder of the check."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _inside(value: Any) -> Any:
    return value.inside if isinstance(value, _Box) else value


def _named(name: str) -> Any:
    module, _, attributes = name.partition(".")
    found = importlib.import_module(module)
    for part in attributes.split("."):
        if not hasattr(found, part):
            found = importlib.import_module(f"{found.__name__}.{part}")
        else:
            found = getattr(found, part)
    return found


def _pinned(array: np.ndarray) -> list[int] | None:
    from ..simulator import host

    address = array.__array_interface__["data"][0]
    pinned = host.current().find_pinned(address)
    return [pinned.ident, address - pinned.address] if pinned else None


def quiet_logger(trt: Any) -> Any:
    """A logger of this TensorRT that prints nothing; `errors` is the list of its ERROR lines."""

    class Quiet(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            if "ERROR" in severity.name:
                self.errors.append(text)

    return Quiet()


def _runner(plan: bytes) -> Callable[..., np.ndarray]:
    from .. import backend

    active = backend.current()
    if active is not None and active.simulated:
        from ..simulator import host

        device = host.current().device
        loaded = device.engine_load(plan)
        tensors = loaded["description"]["tensors"]
        inputs = [t[0] for t in tensors if t[2] == "INPUT"]
        output = next(t[0] for t in tensors if t[2] == "OUTPUT")

        def run(*arrays: np.ndarray, **named: np.ndarray) -> np.ndarray:
            given = dict(zip(inputs, arrays, strict=not named)) | named
            fed = {name: np.ascontiguousarray(array) for name, array in given.items()}
            result: np.ndarray = device.infer(loaded["engine"], fed)[output]
            return result

        return run
    import tensorrt as trt  # pragma: no cover - needs a GPU

    from ..runtime import TensorRTRunner  # pragma: no cover - needs a GPU

    engine = trt.Runtime(quiet_logger(trt)).deserialize_cuda_engine(plan)  # pragma: no cover - needs a GPU
    runner = TensorRTRunner(engine).__enter__()  # pragma: no cover - needs a GPU
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]  # pragma: no cover - needs a GPU

    def on_gpu(*arrays: np.ndarray) -> np.ndarray:  # pragma: no cover - needs a GPU
        result: np.ndarray = runner(**dict(zip(names, arrays, strict=False)))[names[len(arrays)]]
        return result

    return on_gpu  # pragma: no cover - needs a GPU


def _copier(first: int) -> Callable[..., np.ndarray]:
    def copy(host: np.ndarray, device: Any, shape: Any, stream: Any) -> np.ndarray:
        import pycuda.driver as cuda

        axes = tuple(int(axis) for axis in shape)
        count = int(np.prod(axes))
        if host.ndim != 1 or len(axes) not in (2, 3) or not 0 < count <= host.size:
            raise TypeError(f"copy_logits was given a host array {list(host.shape)} for logits {list(axes)}")
        whole = host[host.size - count :]
        cuda.memcpy_dtoh_async(whole[:first], device, stream)
        cuda.memcpy_dtoh_async(whole[first:], int(device) + whole[:first].nbytes, stream)
        logits = whole.reshape(axes)
        return logits if len(axes) == 2 else logits[:, -1]

    return copy


def _raised(error: BaseException, function: Any) -> Raised:
    kinds = tuple(cls.__name__ for cls in type(error).__mro__)
    try:
        text = " ".join(str(error).encode("utf-8", "replace").decode().split())
    except Exception:  # an exception's own __str__ is a student's code too
        text = "(its text cannot be read)"
    return Raised(kinds[0], kinds, text[:2000], _line_of(error, function))


def _line_of(error: BaseException, function: Any) -> str:
    """The line of the student's own function that raised."""
    code = getattr(function, "__code__", None)
    own = [f for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
    return (own[-1].line or "")[:300] if own else ""


# --- far away -------------------------------------------------------------------------------------------------------


class Far:
    """The student's objects in the student's process, behind data-only messages. Nothing that it says is believed.

    Args:
        connection: socket to `student.py` in that process.
        name: of the student's object in the notebook's namespace.
        seconds: of waiting for replies: no call may take longer, and none is made when all calls together took as long.
            The judge's own work is not on this clock.
        calls: how many calls one check may make.
        explain: keep a line about each call in `trace`.

    Raises:
        Gone: from every method, when the process ended, the time is up, or something came that is no message.
        Spent: the time or the calls were used up before this call.
    """

    limits = Limits(nbytes=64 << 20)

    def __init__(
        self, connection: socket.socket, name: str, *, seconds: float = 180, calls: int = 20_000, explain: bool = False
    ) -> None:
        self.shared: dict[str, Any] = {}
        self.trace: list[str] = []
        self._connection, self._name = connection, name
        self._calls, self._explain = calls, explain
        self._seconds = self._left = seconds

    def _ask(self, operation: str, *arguments: Any) -> Any:
        self._calls -= 1
        if self._left <= 0 or self._calls < 0:
            raise Spent(f"it took longer than it may{'' if self._left <= 0 else ', in calls'}")
        began = time.monotonic()
        try:
            reply = ask(self._connection, [operation, *arguments], self._seconds, self.limits)
        finally:
            self._left -= time.monotonic() - began
        if self._explain:
            self._note(operation, arguments, reply)
        if reply[0] == "raised":
            kind, kinds, text, line = reply[1:]
            raise Raised(_text(kind), tuple(_text(k) for k in kinds[:20]), _text(text), _text(line))
        return reply[1]

    def _note(self, operation: str, arguments: tuple[Any, ...], reply: list[Any]) -> None:
        if operation in ("answer", "new", "method", "call", "value", "get", "item", "write"):
            self.trace.append(f"{operation}({', '.join(map(shown, arguments))}) -> {shown(reply[1:])}")

    def _ask_for_ref(self, operation: str, *arguments: Any) -> Ref:
        ref = self._ask(operation, *arguments)
        if not isinstance(ref, Handle):
            raise Gone(f"the reply to `{operation}` was no handle")
        return ref

    def answer(self) -> Ref:
        return self._ask_for_ref("answer", self._name)

    def new(self, name: str, /, *args: Any, **kwargs: Any) -> Ref:
        return self._ask_for_ref("new", name, list(args), kwargs)

    def call(self, function: Ref, /, *args: Any, **kwargs: Any) -> Ref:
        return self._ask_for_ref("call", function, list(args), kwargs)

    def method(self, ref: Ref, name: str, /, *args: Any, **kwargs: Any) -> Ref:
        return self._ask_for_ref("method", ref, name, list(args), kwargs)

    def get(self, ref: Ref, name: str) -> Ref:
        return self._ask_for_ref("get", ref, name)

    def item(self, ref: Ref, key: Any) -> Ref:
        return self._ask_for_ref("item", ref, key)

    def value(self, ref: Ref) -> Any:
        return self._ask("value", ref)

    def keys(self, ref: Ref) -> list[str]:
        keys = self._ask("keys", ref)
        if not isinstance(keys, list) or not all(isinstance(k, str) for k in keys):
            raise Gone("the reply to `keys` was no list of names")
        return keys

    def array(self, ref: Ref) -> dict[str, Any]:
        claim = self._ask("array", ref)
        pinned = claim.get("pinned", 0) if isinstance(claim, dict) else 0
        whole = isinstance(claim, dict) and all(isinstance(claim.get(k), int) for k in ("size", "nbytes"))
        place = pinned is None or (
            isinstance(pinned, list) and len(pinned) == 2 and all(isinstance(p, int) for p in pinned)
        )
        if not (whole and place and isinstance(claim.get("dtype"), str)):
            raise Gone("the reply to `array` was no description of an array")
        return claim

    def path(self, name: str) -> str:
        return _text(self._ask("path", name))

    def write(self, name: str, data: bytes) -> str:
        return _text(self._ask("write", name, data))

    def read(self, name: str) -> bytes | None:
        data = self._ask("read", name)
        if data is not None and not isinstance(data, bytes):
            raise Gone("the reply to `read` was no content of a file")
        return data

    def files(self) -> list[str]:
        names = self._ask("files")
        return [_text(name) for name in names] if isinstance(names, list) else []

    def logger(self) -> Ref:
        return self._ask_for_ref("logger")

    def runner(self, plan: bytes) -> Ref:
        return self._ask_for_ref("runner", plan)

    def copier(self, first: int) -> Ref:
        return self._ask_for_ref("copier", first)

    def close(self) -> None:
        """Let go of all handles and of the check's folder."""
        try:
            self._ask("forget")
        except (Gone, Raised):
            pass


def ask(connection: socket.socket, message: list[Any], seconds: float, limits: Limits) -> list[Any]:
    """Send one message to the student's process and return its reply, ["ok", result, ...] or ["raised", ...].

    Raises:
        Gone: it ended, `seconds` passed, or what came is no such reply.
    """
    try:
        until = time.monotonic() + seconds
        connection.settimeout(seconds)
        send(connection, message, limits)
        reply = receive(connection, limits, until=until)  # all of it, however slowly it trickles in
    except TimeoutError:
        raise Gone(f"no reply within {seconds:.0f} s") from None
    except (EOFError, OSError):
        raise Gone("the process ended") from None
    except ProtocolError as error:
        raise Gone(f"what it sent is no message: {error}") from None
    kind = reply[0] if isinstance(reply, list) and len(reply) >= 2 and isinstance(reply[0], str) else ""
    if kind == "ok" or (kind == "raised" and len(reply) == 5 and isinstance(reply[2], list)):
        return reply
    raise Gone("what it sent is no reply")


def _text(value: Any) -> str:
    return value[:2000] if isinstance(value, str) else ""


def shown(value: Any, depth: int = 4) -> str:
    """An argument or reply in a few words, for the instructor."""
    if isinstance(value, np.ndarray):
        flat = np.array2string(value.ravel()[:8], precision=5, separator=", ")
        return f"{value.dtype}{list(value.shape)} {flat}{' ...' if value.size > 8 else ''}"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, Handle):
        return f"#{value.ident}"
    if isinstance(value, list | dict) and depth == 0:
        return "..."
    if isinstance(value, list):
        return "[" + ", ".join(shown(v, depth - 1) for v in value[:12]) + (", ..." if len(value) > 12 else "") + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k[:100]!r}: {shown(v, depth - 1)}" for k, v in list(value.items())[:12]) + "}"
    return repr(value[:300] if isinstance(value, str) else value)
