"""`pycuda.driver` over the simulated device.

Offers what TensorRT programs use: contexts, streams, events, device and pinned memory, copies with and without a pitch.
Errors have pycuda's classes and texts ("cuMemcpyHtoDAsync failed: invalid argument"), followed by what was wrong and
what to do. Names that only a GPU can serve (`SourceModule`, textures) say so.

Arrays that `pagelocked_empty` returns are pinned memory of the device; everything else is pageable, and copying it
waits.
"""

from __future__ import annotations

import builtins
import ctypes
import weakref
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ... import host as _host
from ...errors import ERROR_TEXTS, DeviceError
from .. import contexts


class Error(Exception):
    """Base of all errors of the CUDA driver."""

    is_out_of_memory = False


class LogicError(Error):
    """The program used the driver wrongly."""


class LaunchError(Error):
    """Work on the device failed; reported by a later call."""


class RuntimeError(Error):
    """Something failed that is neither memory nor misuse."""


class MemoryError(Error, builtins.MemoryError):
    """Device memory ran out."""

    is_out_of_memory = True


_CLASSES: dict[str, type[Error]] = {
    "CUDA_ERROR_OUT_OF_MEMORY": MemoryError,
    "CUDA_ERROR_LAUNCH_FAILED": LaunchError,
    "CUDA_ERROR_NOT_READY": RuntimeError,
    "CUDA_ERROR_UNKNOWN": Error,
}


def _call(function: str, method: str, *arguments: Any) -> Any:
    """Call the device; translate its error into pycuda's, with the name of the driver's function."""
    try:
        return getattr(_host.current().device, method)(*arguments)
    except DeviceError as error:
        raise _translate(function, error) from None


def _translate(function: str, error: DeviceError) -> Error:
    cls = _CLASSES.get(error.code, LogicError)
    return cls(f"{function} failed: {ERROR_TEXTS.get(error.code, error.code)} - [simulator] {error.detail}")


# --- contexts -------------------------------------------------------------------------------------------------------


def _need_context(function: str) -> None:
    try:
        contexts.need()
    except DeviceError as error:
        raise _translate(function, error) from None


def _need_active_context() -> None:
    """What pycuda's objects ask for before they call the driver."""
    if not contexts.stack():
        raise LogicError(
            "explicit_context_dependent failed: invalid device context - no currently active context? - [simulator] "
            + contexts.NONE_CURRENT
        )
    _need_context("explicit_context_dependent")


def init(flags: int = 0) -> None:
    contexts.start()


def get_version() -> tuple[int, int, int]:
    """The CUDA version whose behaviour the device follows."""
    return (13, 0, 0)


def _properties() -> dict[str, Any]:
    properties: dict[str, Any] = _call("cuDeviceGetAttribute", "properties")
    return properties


def get_driver_version() -> int:
    return int(_properties()["driver"])


class Context:
    """A CUDA context. The simulated device has one state, which all contexts share; the last one takes it along."""

    def __init__(self, device: Device, handle: int) -> None:
        self._device = device
        self._handle = handle
        self._valid = True
        _objects[handle] = self

    def push(self) -> None:
        if not contexts.alive(self._handle):
            raise LogicError("cuCtxPushCurrent failed: invalid device context - [simulator] this context was detached")
        contexts.stack().append(self._handle)

    @staticmethod
    def pop() -> None:
        if not contexts.stack():
            raise LogicError(
                "context::pop failed: invalid device context - [simulator] no context is current in this thread: cannot"
                " pop non-current context"
            )
        contexts.stack().pop()

    def detach(self) -> None:
        """Give the context up. With the last one all memory, streams, events and engines go."""
        own = contexts.stack()
        if not self._valid:
            raise LogicError(
                "context::detach failed: invalid device context - cannot detach from invalid context - [simulator] it"
                " was detached already"
            )
        self._valid = False
        try:
            contexts.release(self._handle)
        except DeviceError as error:  # cuda.bindings ended it
            raise _translate("cuCtxDestroy", error) from None
        if own and own[-1] == self._handle:
            own.pop()

    @staticmethod
    def synchronize() -> None:
        _need_context("cuCtxSynchronize")
        _call("cuCtxSynchronize", "synchronize")

    @staticmethod
    def get_current() -> Context | None:
        own = contexts.stack()
        if not own:
            return None
        return _objects.get(own[-1]) or Context(Device(0), own[-1])  # where cuda.bindings made it

    @staticmethod
    def get_device() -> Device:
        _need_context("cuCtxGetDevice")
        return Device(0)


_objects: dict[int, Context] = {}


class Device:
    """The one device: simulated (the size of a T4, no speed of its own), or a real GPU without pycuda."""

    def __init__(self, number: int) -> None:
        if not contexts.started():
            raise LogicError(
                "cuDeviceGet failed: initialization error - [simulator] call cuda.init() first, or import"
                " pycuda.autoinit"
            )
        if number != 0:
            raise LogicError(
                f"cuDeviceGet failed: invalid device ordinal - [simulator] there is one device, 0; got {number}"
            )

    @staticmethod
    def count() -> int:
        return 1

    def name(self) -> str:
        return str(_properties()["name"])

    def compute_capability(self) -> tuple[int, int]:
        major, minor = _properties()["compute_capability"]
        return major, minor

    def total_memory(self) -> int:
        return int(_properties()["memory"])

    def pci_bus_id(self) -> str:
        return "0000:00:00.0"

    def make_context(self, flags: int = 0) -> Context:
        return Context(self, contexts.create())

    def retain_primary_context(self) -> Context:
        contexts.retain(contexts.PRIMARY)
        return Context(self, contexts.PRIMARY)


# --- streams and events ---------------------------------------------------------------------------------------------


class Stream:
    """A queue of device work. `handle` is an integer, and valid as long as this object is: keep the object."""

    def __init__(self, flags: int = 0) -> None:
        _need_active_context()
        self.handle: int = _call("cuStreamCreate", "stream_create", int(flags))
        # What is queued still runs. At interpreter exit pycuda's objects go with their context.
        weakref.finalize(self, _host.current().device.release, "stream_destroy", self.handle).atexit = False

    def synchronize(self) -> None:
        _call("cuStreamSynchronize", "stream_synchronize", self.handle)

    def is_done(self) -> bool:
        """cuStreamQuery; asking lets work complete."""
        return bool(_call("cuStreamQuery", "stream_query", self.handle))

    def wait_for_event(self, event: Event) -> None:
        _call("cuStreamWaitEvent", "stream_wait_event", self.handle, event.handle)

    def __getattr__(self, name: str) -> Any:
        if "capture" in name or "graph" in name:
            raise AttributeError(
                f"pycuda's Stream has no {name!r}: pycuda does not offer CUDA graphs. Use the same stream's handle with"
                " cuda.bindings: runtime.cudaStreamBeginCapture(stream.handle, mode), cudaStreamEndCapture,"
                " cudaGraphInstantiate, cudaGraphLaunch."
            )
        raise AttributeError(f"'Stream' object has no attribute {name!r}")

    def __hash__(self) -> int:
        return hash(self.handle)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and other.handle == self.handle


def _handle(stream: Stream | None) -> int:
    if stream is None:
        return 0
    if not isinstance(stream, Stream):
        raise TypeError(f"expected a pycuda.driver.Stream or None, got {type(stream).__name__}")
    return stream.handle


class Event:
    """A point in a stream; times between two are this machine's."""

    def __init__(self, flags: int = 0) -> None:
        _need_active_context()
        self.handle: int = _call("cuEventCreate", "event_create", int(flags))
        weakref.finalize(self, _host.current().device.release, "event_destroy", self.handle).atexit = False

    def record(self, stream: Stream | None = None) -> Event:
        _call("cuEventRecord", "event_record", self.handle, _handle(stream))
        return self

    def synchronize(self) -> Event:
        _call("cuEventSynchronize", "event_synchronize", self.handle)
        return self

    def query(self) -> bool:
        return bool(_call("cuEventQuery", "event_query", self.handle))

    def time_till(self, end: Event) -> float:
        """Milliseconds from this event to `end`."""
        return float(_call("cuEventElapsedTime", "event_elapsed", self.handle, end.handle))

    def time_since(self, start: Event) -> float:
        return start.time_till(self)


# --- memory ---------------------------------------------------------------------------------------------------------


class DeviceAllocation:
    """Device memory; `int()` gives its address. Freed by `free()`, or when this object is collected, as in pycuda."""

    def __init__(self, nbytes: int) -> None:
        self._address: int = _call("cuMemAlloc", "mem_alloc", int(nbytes))
        self._free = weakref.finalize(self, _host.current().device.release, "mem_free", self._address)
        # At interpreter exit pycuda's memory goes with its context: no frees are recorded then.
        self._free.atexit = False

    def __int__(self) -> int:
        return self._address

    __index__ = __int__

    def free(self) -> None:
        if self._free.detach() is None:
            raise LogicError(
                "device_allocation::free failed: invalid resource handle - [simulator] this memory was freed already"
            )
        _call("cuMemFree", "mem_free", self._address)


def mem_alloc(nbytes: int) -> DeviceAllocation:
    _need_context("cuMemAlloc")
    return DeviceAllocation(nbytes)


def mem_get_info() -> tuple[int, int]:
    """(free, total) bytes of device memory."""
    _need_context("cuMemGetInfo")
    free, total = _call("cuMemGetInfo", "mem_get_info")
    return free, total


class PagelockedHostAllocation:
    """Pinned host memory; the `base` of the arrays that lie in it. Freed when the last of them is collected."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        host = _host.current()
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        try:
            self._pinned = host.alloc_pinned(nbytes)
        except DeviceError as error:
            raise _translate("cuMemHostAlloc", error) from None
        self._free = weakref.finalize(self, host.release_pinned, self._pinned)
        self._free.atexit = False
        self.size = nbytes
        self.__array_interface__ = {
            "data": (self._pinned.address, False),
            "shape": shape,
            "typestr": dtype.str,
            "version": 3,
        }

    def free(self) -> None:
        """Free it now. Arrays that lie in it must not be used any more."""
        if self._free.detach() is None:
            raise LogicError(
                "pagelocked_host_allocation::free failed: invalid resource handle - [simulator] this memory was freed"
                " already"
            )
        _host.current().free_pinned(self._pinned)


def pagelocked_empty(shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
    """A pinned array of `shape` and `dtype` with undefined content."""
    _need_context("cuMemHostAlloc")
    dims = tuple(int(d) for d in shape) if np.iterable(shape) else (int(shape),)
    if any(d < 0 for d in dims):
        raise LogicError(
            f"cuMemHostAlloc failed: invalid argument - [simulator] the shape {dims} has a negative dimension. A -1"
            " comes from the engine's dynamic shape: allocate for the profile's maximum"
            " (engine.get_tensor_profile_shape(name, 0)[2])."
        )
    if order not in ("C", "A"):
        raise ValueError(f"the simulator has C-ordered pinned arrays; got order={order!r}")
    return np.asarray(PagelockedHostAllocation(dims, np.dtype(dtype)))


def pagelocked_zeros(shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
    result = pagelocked_empty(shape, dtype, order, mem_flags)
    result.fill(0)
    return result


def pagelocked_empty_like(array: np.ndarray, mem_flags: int = 0) -> np.ndarray:
    return pagelocked_empty(array.shape, array.dtype, mem_flags=mem_flags)


def pagelocked_zeros_like(array: np.ndarray, mem_flags: int = 0) -> np.ndarray:
    return pagelocked_zeros(array.shape, array.dtype, mem_flags=mem_flags)


# --- copies ---------------------------------------------------------------------------------------------------------


def _address(function: str, pointer: Any) -> int:
    if isinstance(pointer, DeviceAllocation) or (
        isinstance(pointer, builtins.int | np.integer) and not isinstance(pointer, bool)
    ):
        return int(pointer)
    raise TypeError(
        f"{function}: expected a device allocation or an int address, got {type(pointer).__name__}"
        + (" (arguments swapped? pycuda takes the destination first)" if isinstance(pointer, np.ndarray) else "")
    )


def _host_array(function: str, buffer: Any, writable: bool) -> np.ndarray:
    """The contiguous array behind a host buffer; raises as pycuda does."""
    if isinstance(buffer, np.ndarray):
        array = buffer
    else:
        try:
            array = np.frombuffer(memoryview(buffer), np.uint8)
        except TypeError:
            raise TypeError(
                f"{function}: expected a host buffer (a numpy array), got {type(buffer).__name__}"
                + (
                    " (arguments swapped? pycuda takes the destination first)"
                    if isinstance(buffer, DeviceAllocation)
                    else ""
                )
            ) from None
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        raise ValueError(f"{function}: ndarray is not contiguous. Copy np.ascontiguousarray(array) instead.")
    if writable and not array.flags.writeable:
        raise ValueError(f"{function}: the destination array is read-only")
    return array


def _dtype(array: np.ndarray) -> str:
    """What the array holds, for the device to compare with a tensor's dtype; "" where that says nothing."""
    return array.dtype.name if array.dtype.kind in "fiub" else ""


def _location(array: np.ndarray) -> tuple[int, int] | None:
    """(id, offset) of pinned memory; None for pageable."""
    address = array.__array_interface__["data"][0]
    pinned = _host.current().find_pinned(address)
    return (pinned.ident, address - pinned.address) if pinned else None


def _htod(function: str, dest: Any, src: Any, stream: int, wait: bool) -> None:
    _need_context(function)
    address = _address(function, dest)
    array = _host_array(function, src, writable=False)
    location = _location(array)
    if location is None:
        _call(function, "memcpy_htod", address, array.nbytes, 0, 0, array.tobytes("A"), stream, wait, _dtype(array))
    else:
        _call(function, "memcpy_htod", address, array.nbytes, *location, None, stream, wait, _dtype(array))


def _dtoh(function: str, dest: Any, src: Any, stream: int, wait: bool) -> None:
    _need_context(function)
    address = _address(function, src)
    array = _host_array(function, dest, writable=True)
    location = _location(array)
    if location is None:
        flat = array.reshape(-1, order="A").view(np.uint8)  # a view: the array is contiguous
        if hasattr(_host.current().device, "memcpy_dtoh_into"):
            _call(function, "memcpy_dtoh_into", address, flat, stream, wait, _dtype(array))
            return
        data = _call(function, "memcpy_dtoh", address, array.nbytes, 0, 0, True, stream, wait, _dtype(array))
        flat[:] = np.frombuffer(data, np.uint8)
    else:
        _call(function, "memcpy_dtoh", address, array.nbytes, *location, False, stream, wait, _dtype(array))


def memcpy_htod(dest: Any, src: Any) -> None:
    """Blocking copy of the whole host buffer `src` to device address `dest`."""
    _htod("cuMemcpyHtoD", dest, src, 0, True)


def memcpy_htod_async(dest: Any, src: Any, stream: Stream | None = None) -> None:
    """Copy on a stream. `src` must be pinned to be asynchronous; pageable memory waits."""
    _htod("cuMemcpyHtoDAsync", dest, src, _handle(stream), False)


def memcpy_dtoh(dest: Any, src: Any) -> None:
    """Blocking copy that fills the host array `dest` from device address `src`."""
    _dtoh("cuMemcpyDtoH", dest, src, 0, True)


def memcpy_dtoh_async(dest: Any, src: Any, stream: Stream | None = None) -> None:
    """Copy on a stream. Until it completes, a pinned `dest` holds poison (NaN, or -1)."""
    _dtoh("cuMemcpyDtoHAsync", dest, src, _handle(stream), False)


def memcpy_dtod(dest: Any, src: Any, size: int) -> None:
    """Returns at once, as cuMemcpyDtoD does: the default stream does the work."""
    _need_context("cuMemcpyDtoD")
    _call(
        "cuMemcpyDtoD",
        "memcpy_dtod",
        _address("cuMemcpyDtoD", dest),
        _address("cuMemcpyDtoD", src),
        int(size),
        0,
        False,
    )


def memcpy_dtod_async(dest: Any, src: Any, size: int, stream: Stream | None = None) -> None:
    function = "cuMemcpyDtoDAsync"
    _need_context(function)
    _call(function, "memcpy_dtod", _address(function, dest), _address(function, src), int(size), _handle(stream), False)


class Memcpy2D:
    """A copy of `height` rows of `width_in_bytes`, host to device, device to host or within the device.

    Rows lie `src_pitch` bytes apart, the first `src_y * src_pitch + src_x_in_bytes` behind the place that was set; and
    likewise at the destination. Called with a stream it is asynchronous, where the host's memory is pinned; called with
    `aligned` (of no consequence here) it waits, but within the device.
    """

    __slots__ = (
        "_dst",
        "_src",
        "dst_pitch",
        "dst_x_in_bytes",
        "dst_y",
        "height",
        "src_pitch",
        "src_x_in_bytes",
        "src_y",
        "width_in_bytes",
    )

    def __init__(self) -> None:
        self.src_x_in_bytes = self.src_y = self.src_pitch = 0
        self.dst_x_in_bytes = self.dst_y = self.dst_pitch = 0
        self.width_in_bytes = self.height = 0
        self._src: int | _HostRows | None = None
        self._dst: int | _HostRows | None = None

    def set_src_host(self, buffer: Any) -> None:
        self._src = _host_rows("Memcpy2D.set_src_host", buffer, writable=False)

    def set_src_device(self, pointer: Any) -> None:
        self._src = _address("Memcpy2D.set_src_device", pointer)

    def set_dst_host(self, buffer: Any) -> None:
        self._dst = _host_rows("Memcpy2D.set_dst_host", buffer, writable=True)

    def set_dst_device(self, pointer: Any) -> None:
        self._dst = _address("Memcpy2D.set_dst_device", pointer)

    def __call__(self, aligned: Any = False) -> None:
        if isinstance(aligned, Stream):
            self._run("cuMemcpy2DAsync", aligned.handle, False)
        elif isinstance(aligned, builtins.int):  # bool is one
            self._run("cuMemcpy2D" if aligned else "cuMemcpy2DUnaligned", 0, True)
        else:
            raise TypeError(f"expected a pycuda.driver.Stream, or aligned=True or False; got {type(aligned).__name__}")

    def _run(self, function: str, stream: int, wait: bool) -> None:
        _need_context(function)
        width, rows = int(self.width_in_bytes), int(self.height)
        if width < 1 or rows < 1:
            _refuse(function, f"width_in_bytes is {width}, height is {rows}; expected 1 or more. Set both.")
        up, down = int(self.src_pitch), int(self.dst_pitch)
        source = self._begin(function, "src", self._src, int(self.src_x_in_bytes), int(self.src_y), up)
        target = self._begin(function, "dst", self._dst, int(self.dst_x_in_bytes), int(self.dst_y), down)
        nbytes = width * rows
        if isinstance(source, int) and isinstance(target, int):  # nobody waits for it, as for cuMemcpyDtoD
            _call(function, "memcpy_dtod", target, source, nbytes, stream, False, rows, down, up)
        elif isinstance(target, int) and isinstance(source, _HostRows):
            place, data, pitch = source.pinned(), None, up
            if place is None:  # by value, packed
                place, data, pitch = (0, 0), source.view(rows, width, up).tobytes(), 0
            shape = (rows, down, pitch)
            _call(function, "memcpy_htod", target, nbytes, *place, data, stream, wait, source.dtype, *shape)
        elif isinstance(source, int) and isinstance(target, _HostRows):
            place, dtype = target.pinned(), target.dtype
            if place is not None:
                _call(function, "memcpy_dtoh", source, nbytes, *place, False, stream, wait, dtype, rows, up, down)
            else:
                data = _call(function, "memcpy_dtoh", source, nbytes, 0, 0, True, stream, wait, dtype, rows, up, 0)
                target.view(rows, width, down)[...] = np.frombuffer(data, np.uint8).reshape(rows, width)
        else:
            _refuse(function, "source and destination are both host memory; expected a device address for one of them")

    def _begin(
        self, function: str, side: str, place: int | _HostRows | None, x: int, y: int, pitch: int
    ) -> int | _HostRows:
        """Where the first row begins: a device address, or a place in a host array that has room for all rows."""
        width, rows = int(self.width_in_bytes), int(self.height)
        if place is None:
            _refuse(function, f"no {side} was set; call set_{side}_device(...) or set_{side}_host(...)")
        if min(x, y) < 0:
            _refuse(function, f"{side}_x_in_bytes is {x}, {side}_y is {y}; expected 0 or more")
        if pitch < x + width and (rows > 1 or y or pitch):
            _refuse(
                function,
                f"{side}_pitch is {pitch:,}; expected the bytes from one row to the next, {side}_x_in_bytes +"
                f" width_in_bytes = {x + width:,} or more",
            )
        offset, extent = y * pitch + x, (rows - 1) * pitch + width
        if isinstance(place, int):
            return place + offset
        here = place.at(offset)
        if here.room < extent and here.pinned() is None:
            _refuse(
                function,
                f"{rows:,} rows of {width:,} bytes, {pitch:,} apart, need {extent:,} bytes of the host array; it has"
                f" {max(here.room, 0):,} from byte {offset:,} on",
            )
        return here


def _refuse(function: str, detail: str) -> NoReturn:
    raise _translate(function, DeviceError("CUDA_ERROR_INVALID_VALUE", detail))


@dataclass(frozen=True)
class _HostRows:
    """A place in a host array: its address, and how many bytes of the array lie from there on."""

    array: np.ndarray  # keeps the memory
    address: int
    room: int

    @property
    def dtype(self) -> str:
        return _dtype(self.array)

    def at(self, offset: int) -> _HostRows:
        return _HostRows(self.array, self.address + offset, self.room - offset)

    def pinned(self) -> tuple[int, int] | None:
        """(id, offset) of pinned memory, whose bounds are the device's to check; None for pageable."""
        found = _host.current().find_pinned(self.array.__array_interface__["data"][0])
        return (found.ident, self.address - found.address) if found else None

    def view(self, rows: int, width: int, pitch: int) -> np.ndarray:
        """uint8 `[rows, width]` over the array's own memory; the caller has compared it with `room`."""
        memory = (ctypes.c_ubyte * ((rows - 1) * pitch + width)).from_address(self.address)
        return np.lib.stride_tricks.as_strided(np.ctypeslib.as_array(memory), (rows, width), (pitch, 1))


def _host_rows(function: str, buffer: Any, writable: bool) -> _HostRows:
    """The array behind a host buffer; one with strides too, as in pycuda."""
    array = buffer if isinstance(buffer, np.ndarray) else _host_array(function, buffer, writable)
    if writable and not array.flags.writeable:
        raise ValueError(f"{function}: the destination array is read-only")
    address = array.__array_interface__["data"][0]
    return _HostRows(array, address, byte_bounds(array)[1] - address)


def _memset(function: str, dest: Any, data: int, width: int, count: int, stream: int) -> None:
    _need_context(function)
    pattern = int(data).to_bytes(width, "little")
    _call(function, "memset", _address(function, dest), pattern, int(count), stream, False)


def memset_d8(dest: Any, data: int, count: int) -> None:
    """Returns at once, as cuMemsetD8 does: the default stream does the work."""
    _memset("cuMemsetD8", dest, data, 1, count, 0)


def memset_d16(dest: Any, data: int, count: int) -> None:
    _memset("cuMemsetD16", dest, data, 2, count, 0)


def memset_d32(dest: Any, data: int, count: int) -> None:
    _memset("cuMemsetD32", dest, data, 4, count, 0)


def memset_d8_async(dest: Any, data: int, count: int, stream: Stream | None = None) -> None:
    _memset("cuMemsetD8Async", dest, data, 1, count, _handle(stream))


def memset_d32_async(dest: Any, data: int, count: int, stream: Stream | None = None) -> None:
    _memset("cuMemsetD32Async", dest, data, 4, count, _handle(stream))


def to_device(array: np.ndarray) -> DeviceAllocation:
    """Allocate device memory and copy `array` into it (blocking)."""
    allocation = mem_alloc(array.nbytes)
    memcpy_htod(allocation, np.ascontiguousarray(array))
    return allocation


def from_device(pointer: Any, shape: Any, dtype: Any, order: str = "C") -> np.ndarray:
    """A new array filled from the device (blocking)."""
    result = np.empty(shape, dtype, order)  # type: ignore[call-overload]
    memcpy_dtoh(result, pointer)
    return result


def from_device_like(pointer: Any, other: np.ndarray) -> np.ndarray:
    return from_device(pointer, other.shape, other.dtype)


class event_flags:
    DEFAULT = 0
    BLOCKING_SYNC = 1
    DISABLE_TIMING = 2
    INTERPROCESS = 4


class host_alloc_flags:
    PORTABLE = 1
    DEVICEMAP = 2
    WRITECOMBINED = 4


class ctx_flags:
    SCHED_AUTO = 0
    SCHED_SPIN = 1
    SCHED_YIELD = 2
    SCHED_BLOCKING_SYNC = 4


_REAL_ONLY = frozenset(
    [
        "SourceModule",
        "Module",
        "module_from_file",
        "module_from_buffer",
        "Function",
        "In",
        "Out",
        "InOut",
        "Array",
        "TextureReference",
        "Memcpy3D",
        "mem_alloc_pitch",
        "managed_empty",
        "register_host_memory",
        "memcpy_peer",
        "IPCMemoryHandle",
        "aligned_empty",
        "aligned_zeros",
        "matrix_to_array",
        "start_profiler",
        "stop_profiler",
        "device_attribute",
    ]
)


def __getattr__(name: str) -> Any:
    if name in _REAL_ONLY:
        raise AttributeError(
            f"pycuda.driver.{name} exists in pycuda; the simulator does not offer it. It needs a GPU and pycuda itself."
        )
    raise AttributeError(f"module 'pycuda.driver' has no attribute {name!r}")
