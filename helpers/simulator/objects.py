"""What the classes of the run half share: attributes like the binding's, and errors to a recorder or the log."""

from __future__ import annotations

import operator
from typing import Any

from .native import nv

Severity = nv.ILogger.Severity


class Object:
    """A class in the place of one of the binding's.

    As there: an attribute that does not exist cannot be set, and `with` (deprecated, and in every older tutorial) does
    nothing. An error goes to the object's `error_recorder` where it has one, else to the logger as ERROR (measured with
    NVIDIA's builder). A recorder is passed on to what the object creates (NvInferRuntimeBase.h, IErrorRecorder).
    """

    _title: str  # what TensorRT's log calls the class
    _logger: Any
    _error_recorder: Any = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name[0] != "_" and not any(name in cls.__dict__ for cls in type(self).__mro__):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        object.__setattr__(self, name, value)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _say(self, code: int, where: str, text: str) -> None:
        """Report an error; `code` is the number of an `ErrorCodeTRT`."""
        message = f"{self._title}::{where}: Error Code {code}: {text}"
        if self._error_recorder is None:
            self._logger.log(Severity.ERROR, message)
        else:
            self._error_recorder.report_error(nv.ErrorCodeTRT(code), message)

    def _error(self, where: str, text: str) -> None:
        self._say(3, where, f"API Usage Error ({text})")

    def _refuse(self, where: str, text: str) -> None:
        """Report what TensorRT cannot know."""
        message = f"{self._title}::{where}: [simulator] {text}"
        if self._error_recorder is None:
            self._logger.log(Severity.ERROR, message)
        else:
            self._error_recorder.report_error(nv.ErrorCodeTRT(7), message)  # FAILED_EXECUTION


def attribute(name: str, kind: type, default: Any = None) -> Any:
    """A property that keeps what it is given, of a `kind`: int, bool, str, or a class (then None is allowed too)."""
    key = f"_{name}"

    def get(self: Any) -> Any:
        return self.__dict__.get(key, default)

    def put(self: Any, value: Any) -> None:
        try:
            if kind is int:
                value = operator.index(value)
            elif not (isinstance(value, kind) or (value is None and kind not in (bool, str))):
                raise TypeError
        except TypeError:
            raise TypeError(
                f"{type(self).__name__}.{name}: incompatible function arguments: expected {kind.__name__}, got"
                f" {type(value).__name__}"
            ) from None
        object.__setattr__(self, key, value)

    return property(get, put)


def only_none(name: str, instead: str, readable: bool = True) -> Any:
    """A property of an object that TensorRT would call and the simulator never does: only None can be set."""

    def get(self: Any) -> Any:
        return None

    def put(self: Any, value: Any) -> None:
        if value is not None:
            raise AttributeError(
                f"{type(self).__name__}.{name}: TensorRT has it; the simulator does not offer it. {instead}"
            )

    return property(get if readable else None, put)


def dims(shape: Any) -> str:
    """A shape as TensorRT's log writes it."""
    return "[" + ",".join(map(str, shape)) + "]"
