"""The calling convention: a tuple of the error and the results, nothing raised."""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import DeviceError
from .. import contexts
from .codes import TEXTS, CUresult, cudaError_t


class CudaWarning(RuntimeWarning):
    """Why the simulated device refused a call."""


_thread = threading.local()
_FRONT_ENDS = str(Path(__file__).resolve().parents[1])
_QUIET = {"CUDA_ERROR_NOT_READY"}  # an answer to a query: neither remembered (measured on an H200) nor explained

Function = Callable[..., tuple[Any, ...]]


def last_error() -> Any:
    """cudaPeekAtLastError: the error of this thread's latest runtime call that failed."""
    return getattr(_thread, "last", cudaError_t.cudaSuccess)


def forget_error() -> None:
    """What cudaGetLastError does after it has looked. An error that has ended the context comes back with any call."""
    _thread.last = cudaError_t.cudaSuccess


def code(error: DeviceError) -> int:
    """CUDA's number of what the device said."""
    known = CUresult.__members__.get(error.code) or cudaError_t.__members__.get(error.code)
    return int(CUresult.CUDA_ERROR_UNKNOWN if known is None else known)


def _warn(name: str, error: DeviceError) -> None:
    if error.code not in _QUIET:
        text = f"{name} failed: {TEXTS[code(error)]} - [simulator] {error.detail}"
        warnings.warn(CudaWarning(text), stacklevel=_depth())


def _depth() -> int:
    """The stack level of whoever called a front end, seen from `_warn`."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_FRONT_ENDS):
        level, frame = level + 1, frame.f_back
    return level


def _runtime_failure(name: str, error: DeviceError) -> Any:
    number = cudaError_t(code(error))
    if error.code not in _QUIET:
        _thread.last = number
    _warn(name, error)
    return number


def _driver_failure(name: str, error: DeviceError) -> Any:
    _warn(name, error)
    return CUresult(code(error))


def _convention(
    success: Any, failed: Callable[[str, DeviceError], Any], before: Callable[[], None], outputs: int
) -> Any:
    done, missing = (success,), (None,) * outputs

    def decorate(function: Callable[..., Any]) -> Function:
        name = function.__name__

        @functools.wraps(function)
        def call(*arguments: Any, **keywords: Any) -> tuple[Any, ...]:
            try:
                before()
                result = function(*arguments, **keywords)
            except DeviceError as error:
                return (failed(name, error), *missing)
            if outputs == 0:
                return done
            return (success, result) if outputs == 1 else (success, *result)

        return call

    return decorate


def runtime_entry(outputs: int = 0) -> Any:
    """Decorates a function of the runtime API; it returns what follows the error, or raises DeviceError."""
    return _convention(cudaError_t.cudaSuccess, _runtime_failure, contexts.use_primary, outputs)


def driver_entry(outputs: int = 0, context: bool = True) -> Any:
    """Decorates a function of the driver API. `context`: whether it needs one that is current."""
    return _convention(CUresult.CUDA_SUCCESS, _driver_failure, contexts.need if context else _nothing, outputs)


def _nothing() -> None:
    return None


def not_offered(module: str, instead: dict[str, str]) -> Callable[[str], Any]:
    """The module's `__getattr__`: says what to use in the place of a name that only a GPU can serve.

    Args:
        module: "runtime" or "driver".
        instead: beginning of a name -> what to do.
    """

    def get(name: str) -> Any:
        if name.startswith("__") or not name.startswith(("cu", "CU", "get")):
            raise AttributeError(f"module 'cuda.bindings.{module}' has no attribute {name!r}")
        advice = next((words for start, words in instead.items() if name.startswith(start)), "")
        advice = advice or "It needs a GPU and the package cuda-bindings itself."
        raise AttributeError(f"cuda.bindings.{module}.{name}: the simulator does not offer it. {advice}")

    return get
