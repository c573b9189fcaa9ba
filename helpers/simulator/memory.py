"""Memory of the simulated device: what an allocation holds, pinned memory, and copies between the two."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import DeviceError

if TYPE_CHECKING:
    from .device import Operation

POISON = 0xFF
# Fresh device memory holds poison, so that what was never written does not look like zeros. It is laid block by block
# where memory is first touched: filling all of an allocation would cost more time than the work that it is for.
POISON_BLOCK = 64 << 10
POOLED = 128 << 20  # allocations up to this size are made of pages that were freed before, as far as there are any
MANY_ROWS = 1 << 16
POOL_LIMIT = 512 << 20


@dataclass(frozen=True, slots=True)
class Rows:
    """`rows` pieces of `width` bytes, `pitch` bytes from one to the next, the first at `start`."""

    start: int
    width: int
    rows: int = 1
    pitch: int = 0

    @property
    def extent(self) -> int:
        """Bytes from the first to behind the last, those between rows included."""
        return (self.rows - 1) * self.pitch + self.width if self.rows and self.width else 0

    @property
    def whole(self) -> bool:
        """Whether nothing lies between rows."""
        return self.rows == 1 or self.pitch == self.width

    def of(self, data: np.ndarray) -> np.ndarray:
        """A view of these bytes, uint8 [rows, width]."""
        flat = data[self.start : self.start + self.extent]
        if self.whole:
            return flat.reshape(self.rows, -1)
        if len(flat) != self.extent:  # a view with strides would look behind the end
            raise DeviceError("CUDA_ERROR_ILLEGAL_ADDRESS", "the memory of a copy with a pitch is gone")
        return np.lib.stride_tricks.as_strided(flat, (self.rows, self.width), (self.pitch, 1))

    def overlap(self, other: Rows) -> bool:
        """Whether they have a byte in common."""
        if not self.extent or not other.extent:
            return False
        if self.start >= other.start + other.extent or other.start >= self.start + self.extent:
            return False
        if (self.whole and other.whole) or max(self.rows, other.rows) > MANY_ROWS:
            return True  # of very many rows nobody asks which
        mine = self.start + self.pitch * np.arange(self.rows)
        # the rows k of the other that reach behind my row's start, and begin before its end
        pitch = max(other.pitch, 1)
        first = (mine - other.width - other.start) // pitch + 1
        last = -((other.start - mine - self.width) // pitch) - 1
        return bool((np.maximum(first, 0) <= np.minimum(last, other.rows - 1)).any())


class Pages:
    """Memory of this machine that device memory stands in for, kept when it is freed and handed out again.

    A GPU's memory is there: allocating it makes the operating system find no page. Fresh pages for each allocation
    would cost the host more time than a step of a small model, and look like the price of allocating on a device.
    """

    def __init__(self) -> None:
        self._spare: dict[int, list[np.ndarray]] = {}
        self._kept = 0

    def take(self, nbytes: int) -> np.ndarray:
        size = _pool_size(nbytes)
        if self._spare.get(size):
            self._kept -= size
            return self._spare[size].pop()[:nbytes]
        return np.frombuffer(mmap.mmap(-1, size), np.uint8)[:nbytes]

    def give(self, data: np.ndarray) -> None:
        size = _pool_size(len(data))
        assert isinstance(data.base, np.ndarray)
        if POISON_BLOCK <= size <= POOLED and self._kept + size <= POOL_LIMIT:
            self._kept += size
            self._spare.setdefault(size, []).append(data.base)


def _pool_size(nbytes: int) -> int:
    """Powers of two, so that the growing tensors of a decoding loop fit into what was freed before them."""
    return 1 << (nbytes - 1).bit_length() if POISON_BLOCK <= nbytes <= POOLED else nbytes


class Allocation:
    """Device memory. `written` maps an offset to (nbytes, dtype name) of what was last copied or computed there."""

    __slots__ = ("_data", "_fresh", "address", "freed", "nbytes", "tensor", "written")

    def __init__(self, address: int, data: np.ndarray) -> None:
        self.address = address
        self.nbytes = nbytes = len(data)
        self._data = data
        self._fresh = np.ones(-(-nbytes // POISON_BLOCK), np.bool_)  # blocks that nobody has touched
        self.freed = False
        self.written: dict[int, tuple[int, str]] = {}
        self.tensor = ""

    def touch(self, rows: Rows, overwrites: bool = False) -> np.ndarray:
        """The bytes of `rows`, to be read, or to be overwritten as a whole. What was never written holds poison."""
        first, last = rows.start // POISON_BLOCK, (rows.start + max(rows.extent, 1) - 1) // POISON_BLOCK
        fresh = self._fresh[first : last + 1]
        if fresh.any():
            covered = overwrites and rows.whole
            for block in (int(place) + first for place in np.flatnonzero(fresh)):
                begin, end = block * POISON_BLOCK, min((block + 1) * POISON_BLOCK, self.nbytes)
                if not (covered and rows.start <= begin and end <= rows.start + rows.extent):
                    self._data[begin:end] = POISON
            fresh[:] = False
        return rows.of(self._data)

    def take(self) -> np.ndarray:
        """The memory itself, which this stands for no longer."""
        data, self._data, self._fresh = self._data, np.empty(0, np.uint8), np.empty(0, np.bool_)
        return data

    def written_at(self, offset: int) -> str:
        """What is known of the byte at `offset`; "" where nothing is."""
        return next((d for o, (n, d) in self.written.items() if o <= offset < o + n), "")


class HostMemory:
    """Pinned memory, with the pending copies into it (`downloads`) and out of it (`uploads`) by their event's index."""

    __slots__ = ("data", "downloads", "fd", "id", "nbytes", "uploads")

    def __init__(self, ident: int, nbytes: int, shared: bool) -> None:
        self.id = ident
        self.nbytes = nbytes
        self.fd = -1
        if shared:  # another process maps it too
            import fcntl  # Unix has it

            self.fd = os.memfd_create("pinned", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(self.fd, nbytes)
            # its size stays: were it cut off there, an access here would end this process
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self.data = np.frombuffer(mmap.mmap(self.fd, nbytes), np.uint8)
        self.downloads: dict[int, CopyToHost] = {}
        self.uploads: dict[int, Operation] = {}

    def close(self) -> None:
        """Hand the mapping out no more; those who have it keep it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Copy:
    """A copy between device and host, kept as an object so that its host range can be asked for while it is pending."""

    __slots__ = ("allocation", "data", "device_rows", "host", "host_rows", "index")

    def __init__(
        self,
        index: int,
        allocation: Allocation,
        device_rows: Rows,
        host: HostMemory | None,
        host_rows: Rows,
        data: np.ndarray,
    ) -> None:
        self.index = index
        self.allocation = allocation
        self.device_rows = device_rows
        self.host = host  # None: pageable
        self.host_rows = host_rows
        self.data = data  # the host's bytes: all of the pinned memory, or those that travel by value

    def overlaps(self, other: Copy) -> bool:
        """Whether both touch the same bytes of pinned memory."""
        return self.host is not None and self.host is other.host and self.host_rows.overlap(other.host_rows)

    def device_bytes(self, overwrites: bool = False) -> np.ndarray:
        return self.allocation.touch(self.device_rows, overwrites)

    def host_bytes(self) -> np.ndarray:
        return self.host_rows.of(self.data)


class CopyFromHost(Copy):
    __slots__ = ()

    def __call__(self) -> None:
        if self.host is not None:
            del self.host.uploads[self.index]
        self.device_bytes(overwrites=True)[...] = self.host_bytes()


class CopyToHost(Copy):
    __slots__ = ()

    def begin(self) -> None:
        """Poison the pinned bytes, from now until the copy has run."""
        assert self.host is not None
        self.host.downloads[self.index] = self
        self._poison()

    def _poison(self) -> None:
        self.host_bytes()[...] = POISON

    def __call__(self) -> None:
        if self.host is not None:
            del self.host.downloads[self.index]
        self.host_bytes()[...] = self.device_bytes()
        if self.host is not None:
            for later in self.host.downloads.values():  # the bytes still wait for another copy
                if self.overlaps(later):
                    later._poison()


def in_rows(start: int, nbytes: int, rows: int, pitch: int, what: str) -> Rows:
    """`nbytes` in `rows` of equal width. A pitch of 0 stands for rows that lie one behind the other.

    Raises:
        DeviceError: the width is not whole, or the pitch is smaller than it.
    """
    if rows < 1 or nbytes < 0 or nbytes % rows:
        detail = (
            f"{what}: {nbytes:,} bytes in {rows:,} rows; expected 0 bytes or more, in one row or more of equal width"
        )
        raise DeviceError("CUDA_ERROR_INVALID_VALUE", detail)
    if nbytes == 0:
        return Rows(start, 0)  # however many
    width = nbytes // rows
    if pitch and pitch < width:
        detail = f"{what}: the pitch is {pitch:,} bytes, the width {width:,}. Expected rows that do not overlap."
        raise DeviceError("CUDA_ERROR_INVALID_VALUE", detail)
    return Rows(start, width, rows, pitch or width)


def mark(allocation: Allocation, piece: Rows, dtype: str) -> None:
    """Remember that these bytes now hold `dtype`; what lay under them (and between them) is forgotten."""
    whole = piece.whole
    if not whole or allocation.written.get(piece.start, (0, ""))[0] != piece.extent:
        for other, (length, _) in list(allocation.written.items()):
            if other < piece.start + piece.extent and piece.start < other + length:
                del allocation.written[other]
    if whole or piece.rows > MANY_ROWS:
        allocation.written[piece.start] = (piece.extent, dtype if whole else "")
        return
    for row in range(piece.rows):
        allocation.written[piece.start + row * piece.pitch] = (piece.width, dtype)


def is_bytes(dtype: str) -> bool:
    """Dtypes that say nothing of the content: raw bytes may carry any tensor."""
    return dtype in ("", "uint8", "int8", "bytes")


def fits(tensor: str, written: str) -> bool:
    """Whether memory written as numpy dtype `written` may be read as a tensor of numpy dtype `tensor`."""
    if is_bytes(written) or tensor == written:
        return True
    try:
        a, b = np.dtype(tensor), np.dtype(written)
    except TypeError:  # a name that NumPy does not know, of a type that another package made
        return True
    raw = b.kind == "u"  # unsigned integers of the same size carry any bits, as in array.view(np.uint16)
    return a.itemsize == b.itemsize and (raw or (a.kind in "iub") == (b.kind in "iub"))
