"""Pinned arrays that say when the host reads and writes them, and the ways in NumPy and ctypes to get at one.

`PinnedArray` behaves as the plain array that a GPU's program has. What goes around it (a memoryview, torch.from_numpy,
ONNX Runtime reading its input) is seen only where it changes bytes: by their content, when the copy runs.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .device import CheckingDevice
from .memory import Shadow
from .places import from_course

_device: CheckingDevice | None = None  # the one that is told; there is one session at a time


def watch(device: CheckingDevice | None) -> None:
    """Whom arrays tell from now on; None: nobody."""
    global _device
    _device = device


class PinnedArray(np.ndarray):
    """An array in pinned memory. Its views are such arrays too, what is computed from it is a plain one."""

    _shadow: Shadow | None

    def __array_finalize__(self, parent: Any) -> None:
        self._shadow = getattr(parent, "_shadow", None)

    @property
    def base(self) -> Any:
        base = super().base
        return base.base if type(base) is np.ndarray else base

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **keywords: Any) -> Any:
        plain = [_read(each) for each in inputs]
        if method == "at":
            _tell(inputs[0], True)
        if out is None:
            return getattr(ufunc, method)(*plain, **keywords)
        for each in out:
            _tell(each, True)
        getattr(ufunc, method)(*plain, out=tuple(_plain(each) for each in out), **keywords)
        return out[0] if len(out) == 1 else out

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        if function in _VIEWS:
            return super().__array_function__(function, types, arguments, keywords)
        written = {id(each) for each in _written(function, arguments, keywords)}
        given: dict[int, tuple[np.ndarray, PinnedArray]] = {}  # id of a plain view -> the view, and whose it is

        def plain(value: Any) -> Any:
            if isinstance(value, PinnedArray):
                _tell(value, id(value) in written)
                view = value.view(np.ndarray)
                given[id(view)] = view, value
                return view
            return type(value)(map(plain, value)) if type(value) in (list, tuple) else value

        result = function(*map(plain, arguments), **{name: plain(value) for name, value in keywords.items()})
        return given[id(result)][1] if id(result) in given else result

    def __getitem__(self, key: Any) -> Any:
        result = super().__getitem__(key)
        if isinstance(result, PinnedArray):
            if _basic(key):
                return result  # a view: nothing is read yet
            result = result.view(np.ndarray)  # advanced indexing copies
            _tell(self, False)
        elif self._shadow is not None and (self._shadow.accesses or self._shadow.gone):
            _tell(super().__getitem__(_as_view(key)), False)  # one element
        return result

    def __setitem__(self, key: Any, value: Any) -> None:
        value = _read(value)
        if self._shadow is not None and not (self._shadow.full and self._shadow.quiet):
            part = super().__getitem__(_as_view(key)) if _basic(key) else self
            _tell(part, True)
        super().__setitem__(key, value)

    def __iter__(self) -> Any:
        return (self[index] for index in range(len(self)))

    def __reduce__(self) -> Any:
        return _read(self).__reduce__()

    def __repr__(self) -> str:
        return repr(_read(self))

    def __str__(self) -> str:
        return str(_read(self))

    def __format__(self, form: str) -> str:
        return format(_read(self), form)

    def sort(self, *arguments: Any, **keywords: Any) -> None:
        _tell(self, True)
        super().sort(*arguments, **keywords)


def _basic(key: Any) -> bool:
    """Whether indexing by `key` gives a view."""
    if isinstance(key, tuple):
        return all(each is None or each is ... or isinstance(each, slice | int | np.integer) for each in key)
    return key is None or key is ... or isinstance(key, slice | int | np.integer)


def _as_view(key: Any) -> Any:
    """The same place, as an array even where it is one element."""
    parts = key if isinstance(key, tuple) else (key,)
    return parts if any(each is ... for each in parts) else (*parts, ...)


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, PinnedArray) else value


def _tell(value: Any, write: bool) -> None:
    """The host reads or writes this array, if it is a pinned one."""
    if _device is None or not isinstance(value, PinnedArray) or value._shadow is None or not value.size:
        return
    shadow = value._shadow
    if shadow.quiet and (shadow.full or not write):
        return
    plain = value.view(np.ndarray)
    address = plain.__array_interface__["data"][0]
    if shadow.start <= address < shadow.start + shadow.nbytes:
        _device.host_access(shadow, plain, address, write)


def _read(value: Any) -> Any:
    """A plain view, and the host has read it."""
    if isinstance(value, PinnedArray):
        _tell(value, False)
        return value.view(np.ndarray)
    return value


def _written(function: Any, arguments: Any, keywords: Any) -> list[Any]:
    """The arrays that a function of NumPy writes."""
    out = keywords.get("out")
    written = list(out) if isinstance(out, tuple) else [out]
    if function in _WRITES_FIRST and arguments:
        written.append(arguments[0])
    return [each for each in written if isinstance(each, np.ndarray)]


_WRITES_FIRST = {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis}

# functions that look at shapes only, or give views
_VIEWS = {
    np.shape,
    np.ndim,
    np.size,
    np.empty_like,
    np.zeros_like,
    np.ones_like,
    np.full_like,
    np.shares_memory,
    np.may_share_memory,
    np.result_type,
    np.can_cast,
    np.min_scalar_type,
    np.iscomplexobj,
    np.isrealobj,
    np.reshape,
    np.ravel,
    np.squeeze,
    np.transpose,
    np.expand_dims,
    np.swapaxes,
    np.moveaxis,
    np.rollaxis,
    np.split,
    np.array_split,
    np.hsplit,
    np.vsplit,
    np.dsplit,
    np.broadcast_to,
    np.broadcast_arrays,
    np.atleast_1d,
    np.atleast_2d,
    np.atleast_3d,
    np.flip,
    np.fliplr,
    np.flipud,
    np.rot90,
    np.diagonal,
    np.real,
    np.imag,
}

_READING = (
    "all",
    "any",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "astype",
    "byteswap",
    "choose",
    "clip",
    "compress",
    "conj",
    "conjugate",
    "copy",
    "cumprod",
    "cumsum",
    "dot",
    "dump",
    "dumps",
    "flatten",
    "item",
    "max",
    "mean",
    "min",
    "nonzero",
    "prod",
    "ptp",
    "repeat",
    "round",
    "searchsorted",
    "std",
    "sum",
    "take",
    "tobytes",
    "tofile",
    "tolist",
    "trace",
    "var",
    "__float__",
    "__int__",
    "__bool__",
    "__index__",
    "__complex__",
    "__contains__",
    "__copy__",
    "__deepcopy__",
)
_WRITING = ("fill", "put", "partition", "itemset", "setfield", "resize")


def _reading(name: str) -> Callable[..., Any]:
    def method(self: PinnedArray, *arguments: Any, **keywords: Any) -> Any:
        for each in (*arguments, *keywords.values()):
            if isinstance(each, PinnedArray):
                _tell(each, each is keywords.get("out"))
        arguments = tuple(_plain(each) for each in arguments)
        return getattr(_read(self), name)(*arguments, **{k: _plain(v) for k, v in keywords.items()})

    method.__name__ = name
    return method


def _writing(name: str) -> Callable[..., Any]:
    def method(self: PinnedArray, *arguments: Any, **keywords: Any) -> Any:
        _tell(self, True)
        return getattr(np.ndarray, name)(self, *(_read(each) for each in arguments), **keywords)

    method.__name__ = name
    return method


for _name in _READING:
    if hasattr(np.ndarray, _name):
        setattr(PinnedArray, _name, _reading(_name))
for _name in _WRITING:
    if hasattr(np.ndarray, _name):
        setattr(PinnedArray, _name, _writing(_name))


def watched(array: Any) -> Any:
    """The array itself, or where it lies in pinned memory of the watched device, a PinnedArray over it."""
    if _device is None or type(array) is not np.ndarray or not array.size:
        return array
    shadow = _device.pinned_map.at(array.__array_interface__["data"][0])
    if shadow is None or shadow.gone:
        return array
    result = array.view(PinnedArray)
    result._shadow = shadow
    return result


# --- functions of NumPy and ctypes that make or read arrays without asking the array --------------------------------


def making(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that makes an array over given memory, as np.frombuffer: in pinned memory it is a PinnedArray."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        return result if from_course() else watched(result)

    return _as(call, function)


def pinning(function: Callable[..., Any]) -> Callable[..., Any]:
    """pycuda's pagelocked_empty, whoever calls it: the other functions that pin memory do."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        return watched(function(*arguments, **keywords))

    return _as(call, function)


def converting(function: Callable[..., Any]) -> Callable[..., Any]:
    """np.array, np.asarray, np.ascontiguousarray: the array itself, or a copy of what was read."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        if from_course() or not arguments:
            return function(*arguments, **keywords)
        value, *arguments = arguments  # type: ignore[assignment]
        if isinstance(value, PinnedArray):
            result = function(value.view(np.ndarray), *arguments, **keywords)
            if np.may_share_memory(result, value):
                return value if result.dtype == value.dtype and result.shape == value.shape else watched(result)
            _tell(value, False)
            return result
        if type(value) in (list, tuple) and any(isinstance(each, PinnedArray) for each in value):
            value = [_read(each) for each in value]
        return watched(function(value, *arguments, **keywords))

    return _as(call, function)


def _as(call: Any, function: Any) -> Any:
    call.__name__, call.__doc__ = getattr(function, "__name__", "call"), function.__doc__
    call.__wrapped__ = function
    return call


def _address(pointer: Any) -> int:
    if isinstance(pointer, int):
        return pointer
    if isinstance(pointer, ctypes.Array | ctypes.Structure | ctypes._SimpleCData) and not isinstance(
        pointer, ctypes.c_void_p
    ):
        return ctypes.addressof(pointer)
    try:
        return ctypes.cast(pointer, ctypes.c_void_p).value or 0
    except (TypeError, ctypes.ArgumentError):
        return 0


@functools.cache
def _pointer(kind: Any) -> Any:
    """The pointer type `kind`, which says when the program reads and writes through it."""

    def get(self: Any, index: Any) -> Any:
        _through(self, kind, index, False)
        return kind.__getitem__(self, index)

    def put(self: Any, index: Any, value: Any) -> None:
        _through(self, kind, index, True)
        kind.__setitem__(self, index, value)

    return type(kind.__name__, (kind,), {"_type_": kind._type_, "__getitem__": get, "__setitem__": put})


def _through(pointer: Any, kind: Any, index: Any, write: bool) -> None:
    if _device is not None:
        size, address = ctypes.sizeof(kind._type_), _address(pointer)
        first, last = (index.start or 0, index.stop) if isinstance(index, slice) else (index, index + 1)
        _device.host_range(address + first * size, (last - first) * size, write)


def casting(function: Callable[..., Any]) -> Callable[..., Any]:
    """ctypes.cast: a pointer to numbers in pinned memory says when it is used."""

    def call(value: Any, kind: Any) -> Any:
        result = function(value, kind)
        simple = isinstance(result, ctypes._Pointer) and issubclass(getattr(kind, "_type_", int), ctypes._SimpleCData)
        if _device is None or not simple or from_course():
            return result
        shadow = _device.pinned_map.at(function(result, ctypes.c_void_p).value or 0)
        return result if shadow is None or shadow.gone else function(value, _pointer(kind))

    return _as(call, function)


def memmove(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(target: Any, source: Any, count: int) -> Any:
        if _device is not None:
            _device.host_range(_address(source), count, False)
            _device.host_range(_address(target), count, True)
        return function(target, source, count)

    return _as(call, function)


def memset(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(target: Any, value: int, count: int) -> Any:
        if _device is not None:
            _device.host_range(_address(target), count, True)
        return function(target, value, count)

    return _as(call, function)


def string_at(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(pointer: Any, size: int = -1) -> Any:
        if _device is not None and size > 0:
            _device.host_range(_address(pointer), size, False)
        return function(pointer, size)

    return _as(call, function)
