"""TensorRT's small types: dimensions, weights, loggers, and the interfaces that a user's own class derives from.

Names, keyword names, results and errors are those of TensorRT's Python binding.
"""

from __future__ import annotations

import ctypes
import inspect
import operator
import sys
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from .enums import ENUMS, Severity

DataType = ENUMS["DataType"]
_MAX_DIMS = 8
_BITS = {
    "FLOAT": 32, "HALF": 16, "BF16": 16, "INT8": 8, "INT32": 32, "INT64": 64, "BOOL": 8, "UINT8": 8, "FP8": 8,
    "INT4": 4, "FP4": 4, "E8M0": 8,
}  # fmt: skip
_NUMPY = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
    "UINT8": np.uint8,
}


def _itemsize(self: Any) -> float:
    size = _BITS[self.name] / 8
    return int(size) if size == int(size) else size


DataType.itemsize = property(_itemsize)


def incompatible(signature: str, *given: Any, constructor: bool = False) -> TypeError:
    """The binding's error for arguments of a wrong type; `signature` is what it takes."""
    kind = "constructor" if constructor else "function"
    name = "__init__" if constructor else signature.partition("(")[0]
    return TypeError(
        f"{name}(): incompatible {kind} arguments. The following argument types are supported:\n    1. {signature}\n\n"
        f"Invoked with: {', '.join(map(repr, given))}"
    )


def index(value: Any, signature: str) -> int:
    """`value` as the integer that the binding would take."""
    try:
        return operator.index(value)
    except TypeError:
        raise incompatible(signature, value) from None


class Meta(type):
    """A class from Python whose `__init__` forgets the base's: the binding refuses the instance, and so do we."""

    def __call__(cls, *args: Any, **keywords: Any) -> Any:
        made = super().__call__(*args, **keywords)
        if not getattr(made, "_made", False):
            base = next(c for c in cls.__mro__ if c.__module__ == __name__)
            raise TypeError(f"tensorrt.{base.__name__}.__init__() must be called when overriding __init__")
        return made


class Interface(metaclass=Meta):
    """What a user's class derives from. A method that is called and was not overridden says so."""

    _made = False

    def __init__(self) -> None:
        self._made = True


def _pure(name: str, parameters: str = "") -> Any:
    """A method that a user's class must define."""

    def method(self: Any, *args: Any, **keywords: Any) -> Any:
        cls = next(c for c in type(self).__mro__ if name in vars(c))
        raise RuntimeError(f'Tried to call pure virtual function "{cls.__name__}::{name}"')

    method.__name__ = name
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(word, kind) for word in ("self", *parameters.split())]
    )
    return method


class _Static(property):
    """A property of the class and of its objects alike."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self.fget(instance) if self.fget else None


class ILogger(Interface):
    """Derive from it and define `log(self, severity, msg)`."""

    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING = Severity.INTERNAL_ERROR, Severity.ERROR, Severity.WARNING
    INFO, VERBOSE = Severity.INFO, Severity.VERBOSE
    log = _pure("log", "severity msg")

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Logger(ILogger):
    """Prints lines of `min_severity` and worse: errors to stderr, the rest to stdout."""

    def __init__(self, min_severity: Any = Severity.WARNING) -> None:
        super().__init__()
        if not isinstance(min_severity, Severity):
            raise incompatible(
                "tensorrt.Logger(min_severity: tensorrt.ILogger.Severity = <Severity.WARNING: 2>)",
                min_severity,
                constructor=True,
            )
        self._least = min_severity

    min_severity = property(lambda self: self._least, lambda self, value: setattr(self, "_least", value))

    def log(self, severity: Any, msg: str) -> None:
        if int(severity) > int(self._least):
            return
        letter = {"INTERNAL_ERROR": "F", "ERROR": "E", "WARNING": "W", "INFO": "I"}.get(severity.name, "V")
        stream = sys.stderr if int(severity) <= int(Severity.ERROR) else sys.stdout
        print(time.strftime("[%m/%d/%Y-%H:%M:%S]"), "[TRT]", f"[{letter}]", msg, file=stream)


def check_logger(logger: Any) -> None:
    """TypeError for what is no logger."""
    if not isinstance(logger, ILogger):
        raise TypeError(
            "incompatible function arguments: expected a tensorrt.ILogger (such as trt.Logger()), got"
            f" {type(logger).__name__}"
        )


class IProfiler(Interface):
    report_layer_time = _pure("report_layer_time", "layer_name ms")


class Profiler(IProfiler):
    """Prints the time of each layer."""

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        print(f"{layer_name}: {ms}ms")


class IProgressMonitor(Interface):
    phase_start = _pure("phase_start", "phase_name parent_phase num_steps")
    step_complete = _pure("step_complete", "phase_name step")
    phase_finish = _pure("phase_finish", "phase_name")


class IOutputAllocator(Interface):
    """Derive from it and define `reallocate_output` or `reallocate_output_async`, and `notify_shape`."""


class IDebugListener(Interface):
    process_debug_tensor = _pure("process_debug_tensor", "addr location type shape name stream")


class IStreamWriter(Interface):
    write = _pure("write", "data size")


class IStreamReaderV2(Interface):
    read = _pure("read", "destination num_bytes stream")
    seek = _pure("seek", "offset where")


class IErrorRecorder(Interface):
    MAX_DESC_LENGTH = _Static(lambda _: 127)
    clear = _pure("clear")
    get_error_code = _pure("get_error_code", "arg0")
    get_error_desc = _pure("get_error_desc", "arg0")
    has_overflowed = _pure("has_overflowed")
    num_errors = _pure("num_errors")
    report_error = _pure("report_error", "arg0 arg1")


class IVersionedInterface(Interface):
    api_language = property(lambda self: ENUMS["APILanguage"].PYTHON)
    interface_info = property(lambda self: InterfaceInfo(type(self).__name__, 1, 0))


class IGpuAllocator(IVersionedInterface):
    allocate_async = _pure("allocate_async", "size alignment flags stream")
    deallocate_async = _pure("deallocate_async", "memory stream")
    reallocate = _pure("reallocate", "address alignment new_size")


class IGpuAsyncAllocator(IGpuAllocator):
    pass


class Dims:
    """Up to 8 dimensions; reads as a tuple."""

    MAX_DIMS = _Static(lambda _: _MAX_DIMS)
    __slots__ = ("_dims",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, shape: Any = ()) -> None:
        cls = type(self).__name__
        try:
            dims = [operator.index(d) for d in shape]
        except TypeError:
            signature = f"tensorrt.{cls}(shape: collections.abc.Sequence[int])"
            raise incompatible(signature, shape, constructor=True) from None
        if len(dims) > _MAX_DIMS:
            raise ValueError(f"Input length {len(dims)}. Max expected length is {_MAX_DIMS}")
        self._dims = dims

    def __len__(self) -> int:
        return len(self._dims)

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._dims))

    def __getitem__(self, arg0: Any) -> Any:
        if isinstance(arg0, slice):
            return tuple(self._dims[arg0])
        try:
            return self._dims[operator.index(arg0)]
        except IndexError:
            raise IndexError("Out of bounds") from None

    def __setitem__(self, key: int, value: int) -> None:
        try:
            self._dims[operator.index(key)] = operator.index(value)
        except IndexError:
            raise IndexError("Out of bounds") from None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Dims | tuple | list):
            return list(other) == self._dims
        return NotImplemented

    def __repr__(self) -> str:
        return str(tuple(self._dims))


class _FixedDims(Dims):
    """So many dimensions, given one by one or as a sequence."""

    __slots__ = ()
    _count: ClassVar[int]

    def __init__(self, *shape: Any) -> None:
        given = shape[0] if len(shape) == 1 and not hasattr(shape[0], "__index__") else shape
        super().__init__(given or (0,) * self._count)
        if len(self) != self._count:
            name = f"Dims{self._count}"
            raise ValueError(f"Input length {len(self)} not equal to expected {name} length, which is {self._count}")


def _given(shape: Any, *sizes: Any) -> tuple[Any, ...]:
    """The arguments of a constructor that takes sizes one by one, a sequence in the first's place, or nothing."""
    return (shape,) if shape is not None else tuple(size for size in sizes if size is not None)


class Dims2(_FixedDims):
    __slots__ = ()
    _count = 2

    def __init__(self, dim0: Any = None, dim1: Any = None, *, shape: Any = None) -> None:
        super().__init__(*_given(shape, dim0, dim1))


class DimsHW(Dims2):
    __slots__ = ()

    def __init__(self, h: Any = None, w: Any = None, *, shape: Any = None) -> None:
        super().__init__(*_given(shape, h, w))

    h = property(lambda self: self[0], lambda self, value: self.__setitem__(0, value))
    w = property(lambda self: self[1], lambda self, value: self.__setitem__(1, value))


class Dims3(_FixedDims):
    __slots__ = ()
    _count = 3

    def __init__(self, dim0: Any = None, dim1: Any = None, dim2: Any = None, *, shape: Any = None) -> None:
        super().__init__(*_given(shape, dim0, dim1, dim2))


class Dims4(_FixedDims):
    __slots__ = ()
    _count = 4

    def __init__(
        self, dim0: Any = None, dim1: Any = None, dim2: Any = None, dim3: Any = None, *, shape: Any = None
    ) -> None:
        super().__init__(*_given(shape, dim0, dim1, dim2, dim3))


class Weights:
    """An array of weights: empty of a type, a copy of an address's bytes, or a NumPy array."""

    __slots__ = ("_array", "_dtype")

    def __init__(self, type: Any = DataType.FLOAT, ptr: Any = None, count: Any = None, *, a: Any = None) -> None:
        given = (type, ptr, count) if count is not None else (type,)
        arguments: tuple[Any, ...] = (
            (a,) if a is not None else given if ptr is None or count is not None else (type, ptr)
        )
        first = arguments[0]
        if isinstance(first, np.ndarray) and len(arguments) == 1:
            found = [name for name, kind in _NUMPY.items() if np.dtype(kind) == first.dtype]
            if not found:
                raise TypeError(f"Weights: no TensorRT type for NumPy's {first.dtype}; expected {', '.join(_NUMPY)}")
            self._dtype, self._array = getattr(DataType, found[0]), np.ascontiguousarray(first).reshape(-1)
        elif isinstance(first, DataType) and len(arguments) in (0, 1, 3):
            count = int(arguments[2]) if len(arguments) == 3 else 0
            data = ctypes.string_at(int(arguments[1]), int(count * first.itemsize)) if count else b""
            self._dtype, self._array = first, np.frombuffer(data, nptype(first))
        else:
            raise incompatible("tensorrt.Weights(a: numpy.ndarray)", *arguments, constructor=True)

    dtype = property(lambda self: self._dtype)
    size = property(lambda self: len(self._array))
    nbytes = property(lambda self: self._array.nbytes)

    def __len__(self) -> int:
        return len(self._array)

    def numpy(self) -> np.ndarray[Any, Any]:
        return self._array


class InterfaceInfo:
    """Kind and version of an interface."""

    def __init__(self, kind: str, major: int, minor: int) -> None:
        self._values = {"kind": kind, "major": major, "minor": minor}

    kind = property(lambda self: self._values["kind"], lambda self, value: self._values.update(kind=value))
    major = property(lambda self: self._values["major"], lambda self, value: self._values.update(major=value))
    minor = property(lambda self: self._values["minor"], lambda self, value: self._values.update(minor=value))


class IHostMemory:
    """Memory of a built plan: the builder returns `plan.SerializedPlan`, which is `bytes` and has all of this."""

    dtype = property(lambda self: DataType.INT8)
    nbytes = property(lambda self: 0)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def volume(iterable: Any) -> int:
    """Product of the sizes; 1 for none."""
    total = 1
    for size in iterable:
        total *= size
    return total


def nptype(trt_type: Any) -> Any:
    """NumPy's type for a `DataType`; TypeError where it has none."""
    found = _NUMPY.get(trt_type.name)
    if found is None:
        raise TypeError("Could not resolve TensorRT datatype to an equivalent numpy datatype.")
    return found
