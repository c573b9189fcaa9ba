"""libcudart for programs that load it with ctypes, as Polygraphy does.

Such a program asks the operating system for a library that a machine without CUDA does not have; and where it is there,
it finds no GPU. The smallest way to serve it: while a simulated device is in use, `ctypes.CDLL("libcudart.so...")` (or
`cudart64_*.dll`, `libcudart.dylib`) gives an object whose functions are those of `cuda_bindings/runtime.py`, with C's
convention: results are written through the pointers that come first, the error is what the function returns. Every
other library is loaded as ever. Where a real libcudart is found it is loaded too, for those who want no more of it than
that its symbols are in the process (PyTorch does), but nothing calls it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

from .cuda_bindings import runtime

# results of a function that do not come first in C: name -> their places among the arguments
_RESULTS = {
    "cudaStreamEndCapture": (1,),
    "cudaStreamIsCapturing": (1,),
    "cudaGraphNodeGetType": (1,),
}
_COUNTS = {"cudaMemGetInfo": 2, "cudaDeviceGetStreamPriorityRange": 2}
_WRITES = (
    "cudaDeviceGetAttribute",
    "cudaDriverGetVersion",
    "cudaEventCreate",
    "cudaEventCreateWithFlags",
    "cudaEventElapsedTime",
    "cudaGetDevice",
    "cudaGetDeviceCount",
    "cudaGraphInstantiate",
    "cudaGraphInstantiateWithFlags",
    "cudaHostAlloc",
    "cudaMalloc",
    "cudaMallocAsync",
    "cudaMallocHost",
    "cudaRuntimeGetVersion",
    "cudaStreamCreate",
    "cudaStreamCreateWithFlags",
    "cudaStreamCreateWithPriority",
)
_TEXTS = ("cudaGetErrorName", "cudaGetErrorString")
_STRUCTURES = ("cudaGetDeviceProperties", "cudaGraphGetNodes", "cudaPointerGetAttributes")


def is_cudart(name: Any) -> bool:
    """Whether a library of this name is the CUDA runtime."""
    if not isinstance(name, str | os.PathLike):
        return False
    base = os.path.basename(os.fspath(name))
    return isinstance(base, str) and base.startswith(("libcudart.", "cudart64_"))


class CudaRuntime(ctypes.CDLL):
    """What `ctypes.CDLL("libcudart.so")` gives."""

    def __init__(self, name: Any, *arguments: Any, **keywords: Any) -> None:
        try:
            super().__init__(name, *arguments, **keywords)
        except OSError:  # there is none, and none is needed
            self._name, self._handle = os.fspath(name), 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in _STRUCTURES:
            raise AttributeError(f"{name}: the simulator offers it as cuda.bindings.runtime.{name}, not to C's callers")
        function = _CFunction(name, getattr(runtime, name))
        setattr(self, name, function)
        return function

    __getitem__ = __getattr__


class _CFunction:
    """One function; `argtypes` and `restype` may be set and change nothing but, for texts, how they come back."""

    argtypes: Any = None
    restype: Any = ctypes.c_int

    def __init__(self, name: str, function: Callable[..., tuple[Any, ...]]) -> None:
        self.__name__ = name
        self._function = function
        self._results = _RESULTS.get(name) or tuple(range(_COUNTS.get(name, int(name in _WRITES))))

    def __call__(self, *arguments: Any) -> Any:
        plain = [_value(argument) for place, argument in enumerate(arguments) if place not in self._results]
        error, *results = self._function(*plain)
        if self.__name__ in _TEXTS:
            return results[0]
        for place, result in zip(self._results, results, strict=True):
            if result is not None:
                _target(self.__name__, arguments[place]).value = result if isinstance(result, float) else int(result)
        return int(error)


def _value(argument: Any) -> Any:
    """What C would be handed: the number in a ctypes object, or the address of a buffer."""
    if isinstance(argument, ctypes._SimpleCData):
        return argument.value
    if isinstance(argument, ctypes.Array):
        return ctypes.addressof(argument)
    inner = getattr(argument, "_obj", None)  # byref(x)
    return ctypes.addressof(inner) if inner is not None else argument


def _target(name: str, argument: Any) -> Any:
    """The ctypes object that a result is written to."""
    inner = getattr(argument, "_obj", None)
    if inner is None and isinstance(argument, ctypes._Pointer):
        inner = argument.contents
    if not isinstance(inner, ctypes._SimpleCData):
        raise ctypes.ArgumentError(f"{name}: expected ctypes.byref(...) of the variable for the result")
    return inner


def install() -> None:
    """Serve libcudart to ctypes in this process, from now on."""
    plain = ctypes.CDLL

    def new(cls: Any, name: Any = None, *arguments: Any, **keywords: Any) -> Any:
        return object.__new__(CudaRuntime if cls is plain and is_cudart(name) else cls)

    plain.__new__ = new  # type: ignore[method-assign]
