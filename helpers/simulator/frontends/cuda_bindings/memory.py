"""Pointers and copies: what an argument of `cuda.bindings` points to, and which of the device's copies that is.

A pointer is an integer, a handle, None, or an object with the buffer protocol, as in cuda-bindings. On the host it is
pinned memory of the device, or pageable: that is reached by its address, and an address that nobody owns is an error
here, not a crash.
"""

from __future__ import annotations

import collections
import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import host as _host
from ...errors import DeviceError
from ...memory import POISON

# cudaMemcpyKind: the first bit says that the target is on the device, the second that the source is
HOST_TO_HOST, HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE, DEFAULT = range(5)
_KEPT = 64 << 20


@dataclass(frozen=True, slots=True)
class Pointer:
    """What an argument points to.

    Attributes:
        address: where.
        room: bytes from there on that are known to be the buffer's; -1 where nobody knows.
        dtype: numpy name of what the buffer holds; "" where nobody knows.
        writable: False for a buffer that must not be written.
    """

    address: int
    room: int = -1
    dtype: str = ""
    writable: bool = True


def pointer(value: Any) -> Pointer:
    """What `value` points to, found as cuda-bindings finds it: an integer first, then a buffer.

    Raises:
        TypeError: it is neither.
        ValueError: it is an array with gaps.
    """
    if type(value) is int:
        return Pointer(value)
    if value is None:
        return Pointer(0)
    if isinstance(value, np.ndarray) and value.ndim:
        if not (value.flags.c_contiguous or value.flags.f_contiguous):
            raise ValueError("ndarray is not contiguous")
        dtype = value.dtype.name if value.dtype.kind in "fiub" else ""
        address = value.__array_interface__["data"][0]
        return Pointer(address, value.nbytes, dtype, bool(value.flags.writeable))
    kind = type(value)
    if hasattr(kind, "__index__") or hasattr(kind, "__int__"):
        return Pointer(int(value))
    try:
        array = np.frombuffer(memoryview(value).cast("B"), np.uint8)
    except TypeError:
        raise TypeError(
            f"Provided argument is of type {kind} but expected Type {type(None)}, {int} or object with Buffer Protocol"
        ) from None
    return Pointer(array.__array_interface__["data"][0], array.nbytes, "", bool(array.flags.writeable))


def integer(value: Any) -> int:
    """A handle or a number, as an int."""
    if type(value) is int:
        return value
    if value is None:
        return 0
    kind = type(value)
    if not (hasattr(kind, "__index__") or hasattr(kind, "__int__")):
        raise TypeError("an integer is required")
    return int(value)


def size(value: Any) -> int:
    """A size_t."""
    result = integer(value)
    if result < 0:
        raise OverflowError("can't convert negative value to size_t")
    return result


def stream(value: Any) -> int:
    """The device's handle of a stream: a CUstream, an int or None."""
    handle = integer(value)
    if handle == 1:  # cudaStreamLegacy
        return 0
    if handle == 2:
        raise DeviceError(
            "CUDA_ERROR_NOT_SUPPORTED",
            "the simulated device has no per-thread default stream (cudaStreamPerThread). Make a stream of your own:"
            " cudaStreamCreate().",
        )
    return handle


# --- pinned memory --------------------------------------------------------------------------------------------------

_freed: collections.deque[_host.Pinned] = collections.deque()


def alloc_pinned(nbytes: int) -> int:
    """Address of new pinned memory."""
    return _host.current().alloc_pinned(nbytes).address


def free_pinned(address: int) -> None:
    """Free pinned memory. What was there stays mapped for a while, as poison: who still reads it sees it at once."""
    host = _host.current()
    pinned = host.find_pinned(address)
    if pinned is None or pinned.address != address:
        raise DeviceError(
            "CUDA_ERROR_INVALID_VALUE",
            f"0x{address:x} is not the start of pinned memory, or was freed already. Expected the address that"
            " cudaMallocHost or cudaHostAlloc returned.",
        )
    host.free_pinned(pinned)
    pinned.data[:] = POISON
    _freed.append(pinned)
    while len(_freed) > 1 and sum(old.nbytes for old in _freed) > _KEPT:
        _freed.popleft()


def fill(address: int, pattern: bytes, count: int, stream: int) -> None:
    """Memset: `count` times `pattern`. The host waits where it is pinned memory."""
    host = _host.current()
    if not count:
        return
    pinned = host.find_pinned(address)
    if pinned is None:
        host.device.memset(address, pattern, count, stream, False)
        return
    offset, nbytes = address - pinned.address, len(pattern) * count
    if offset + nbytes > pinned.nbytes:
        detail = f"{nbytes:,} bytes from byte {offset:,} on run past the end of pinned memory of {pinned.nbytes:,}"
        raise DeviceError("CUDA_ERROR_INVALID_VALUE", detail)
    host.device.stream_synchronize(stream)
    pinned.data[offset : offset + nbytes] = np.tile(np.frombuffer(pattern, np.uint8), count)


# --- copies ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shape:
    """`rows` of `width` bytes. A pitch is the distance of their starts, 0 where one lies behind the other."""

    width: int
    rows: int = 1
    target_pitch: int = 0
    source_pitch: int = 0

    @property
    def nbytes(self) -> int:
        return self.width * self.rows

    def extent(self, pitch: int) -> int:
        """Bytes from the start of the first row to the end of the last."""
        return (self.rows - 1) * pitch + self.width if pitch else self.nbytes


def is_device(address: int) -> bool:
    """Whether it lies in memory of the device."""
    return bool(_host.current().device.mem_range(address))


def copy(target: Pointer, source: Pointer, shape: Shape, kind: int, stream: int, wait: bool) -> None:
    """A copy of any kind. `wait`: the blocking form, through the default stream."""
    if not shape.nbytes:
        return
    if kind not in range(DEFAULT + 1):
        detail = f"{kind} is no kind of copy; list(cudaMemcpyKind) has them"
        raise DeviceError("cudaErrorInvalidMemcpyDirection", detail)
    for side, pitch in (("destination", shape.target_pitch), ("source", shape.source_pitch)):
        if shape.rows > 1 and pitch < shape.width:
            detail = f"the {side}'s pitch is {pitch:,}; expected the width of {shape.width:,} bytes or more"
            raise DeviceError("cudaErrorInvalidPitchValue", detail)
    if kind == DEFAULT:  # unified addressing: the addresses tell
        kind = DEVICE_TO_HOST * is_device(source.address) + HOST_TO_DEVICE * is_device(target.address)
    if kind == HOST_TO_DEVICE:
        _to_device(target, source, shape, stream, wait)
    elif kind == DEVICE_TO_HOST:
        _to_host(target, source, shape, stream, wait)
    elif kind == DEVICE_TO_DEVICE:  # the host does not wait for it
        pitches = (shape.target_pitch, shape.source_pitch)
        _host.current().device.memcpy_dtod(
            target.address, source.address, shape.nbytes, stream, False, shape.rows, *pitches
        )
    else:
        _check_room(source, shape.extent(shape.source_pitch), "source")
        _check_target(target, shape)
        _host.current().device.stream_synchronize(stream)  # CUDA copies between host memories in the stream's turn
        _write(target, shape, _read(source, shape))


def _to_device(target: Pointer, source: Pointer, shape: Shape, stream: int, wait: bool) -> None:
    _check_room(source, shape.extent(shape.source_pitch), "source")
    host = _host.current()
    pinned = host.find_pinned(source.address)
    if pinned is not None:
        place, data, pitch = (pinned.ident, source.address - pinned.address), None, shape.source_pitch
    else:
        place, data, pitch = (0, 0), _read(source, shape), 0
    rows = (shape.rows, shape.target_pitch, pitch)
    host.device.memcpy_htod(target.address, shape.nbytes, *place, data, stream, wait, source.dtype, *rows)


def _to_host(target: Pointer, source: Pointer, shape: Shape, stream: int, wait: bool) -> None:
    _check_target(target, shape)
    host = _host.current()
    pinned = host.find_pinned(target.address)
    if pinned is not None:
        place, rows = (
            (pinned.ident, target.address - pinned.address),
            (shape.rows, shape.source_pitch, shape.target_pitch),
        )
        host.device.memcpy_dtoh(source.address, shape.nbytes, *place, False, stream, wait, target.dtype, *rows)
    elif target.room >= 0 and shape.rows == 1 and hasattr(host.device, "memcpy_dtoh_into"):
        flat = np.ctypeslib.as_array((ctypes.c_ubyte * shape.nbytes).from_address(target.address))
        host.device.memcpy_dtoh_into(source.address, flat, stream, wait, target.dtype)
    else:
        rows = (shape.rows, shape.source_pitch, 0)
        data = host.device.memcpy_dtoh(source.address, shape.nbytes, 0, 0, True, stream, wait, target.dtype, *rows)
        _write(target, shape, data)


def _check_room(place: Pointer, nbytes: int, side: str) -> None:
    if 0 <= place.room < nbytes:
        detail = f"the copy has {nbytes:,} bytes, the {side} array {place.room:,}. Expected a count of array.nbytes"
        raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"{detail} or less.")


def _check_target(target: Pointer, shape: Shape) -> None:
    _check_room(target, shape.extent(shape.target_pitch), "destination")
    if not target.writable:
        raise DeviceError(
            "CUDA_ERROR_INVALID_VALUE", "the destination is read-only. Expected an array that owns its data"
        )


def _read(source: Pointer, shape: Shape) -> bytes:
    """The rows at a host pointer, packed."""
    extent = shape.extent(shape.source_pitch)
    try:
        data = (
            ctypes.string_at(source.address, extent) if source.room >= 0 else _host.read_pointer(source.address, extent)
        )
    except DeviceError as error:
        raise _wrong_side(source, "source", error) from None
    if shape.source_pitch in (0, shape.width):
        return data
    steps = (shape.source_pitch, 1)
    return np.lib.stride_tricks.as_strided(np.frombuffer(data, np.uint8), (shape.rows, shape.width), steps).tobytes()


def _write(target: Pointer, shape: Shape, data: bytes) -> None:
    """Packed rows to a host pointer."""
    whole = shape.target_pitch in (0, shape.width)
    width, rows = (shape.nbytes, 1) if whole else (shape.width, shape.rows)
    try:
        for row in range(rows):
            _host.write_pointer(target.address + row * shape.target_pitch, data[row * width : (row + 1) * width])
    except DeviceError as error:
        raise _wrong_side(target, "destination", error) from None


def _wrong_side(place: Pointer, side: str, error: DeviceError) -> DeviceError:
    if not is_device(place.address):
        return error
    return DeviceError(
        "CUDA_ERROR_INVALID_VALUE",
        f"the {side} 0x{place.address:x} is memory of the device, and the kind of the copy says host memory. CUDA takes"
        " the destination first; cudaMemcpyDefault finds the direction by the addresses.",
    )
