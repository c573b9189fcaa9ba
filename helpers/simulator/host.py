"""The host's side of the simulated device: which device this process uses, and what host memory an address is.

The front ends share it. Pinned memory is the device's; here stands only where this process has it mapped.
"""

from __future__ import annotations

import atexit
import bisect
import ctypes
import gc
import os
import re
import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from .device import DeviceError
from .transport import ChildDevice, InProcessDevice, RemoteDevice, inherited


@dataclass(frozen=True, slots=True)
class Pinned:
    """A mapping of pinned memory in this process."""

    ident: int
    address: int
    nbytes: int
    data: np.ndarray


class Host:
    """One device and this process' view of its pinned memory."""

    def __init__(self, device: InProcessDevice | RemoteDevice) -> None:
        self.device: Any = device
        self._lock = threading.Lock()
        self._bases: list[int] = []
        self._pinned: dict[int, Pinned] = {}
        self._collected: deque[Pinned] = deque()

    def release_pinned(self, pinned: Pinned) -> None:
        """Free pinned memory whose last array was collected: now, or (inside another call) at the next one."""
        self._collected.append(pinned)
        if not self._lock.locked():
            self._sweep()

    def _sweep(self) -> None:
        while self._collected:
            pinned = self._collected.popleft()
            with self._lock:
                self._pinned.pop(pinned.address, None)
                self._bases.remove(pinned.address)
            self.device.release("host_free", pinned.ident)

    def alloc_pinned(self, nbytes: int) -> Pinned:
        self._sweep()
        ident = self.device.host_alloc(nbytes)
        data = np.frombuffer(self.device.host_map(ident), np.uint8)
        pinned = Pinned(ident, data.ctypes.data, nbytes, data)
        with self._lock:
            bisect.insort(self._bases, pinned.address)
            self._pinned[pinned.address] = pinned
        return pinned

    def free_pinned(self, pinned: Pinned) -> None:
        with self._lock:
            if self._pinned.pop(pinned.address, None) is None:
                raise DeviceError(
                    "CUDA_ERROR_INVALID_VALUE", f"0x{pinned.address:x} is no pinned memory, or was freed already"
                )
            self._bases.remove(pinned.address)
        self.device.host_free(pinned.ident)

    def find_pinned(self, address: int) -> Pinned | None:
        """The pinned memory that a host address lies in; None for pageable memory."""
        with self._lock:
            place = bisect.bisect_right(self._bases, address) - 1
            if place < 0:
                return None
            pinned = self._pinned[self._bases[place]]
        return pinned if address < pinned.address + pinned.nbytes else None

    def pending(self, address: int, nbytes: int) -> list[dict[str, Any]]:
        """Copies into a host range that have not completed."""
        pinned = self.find_pinned(address)
        if pinned is None:
            return []
        pending: list[dict[str, Any]] = self.device.pending(pinned.ident, address - pinned.address, nbytes)
        return pending


class _AfterFork:
    """In place of the device in a forked process: CUDA cannot be used there either."""

    def __getattr__(self, name: str) -> Any:
        raise DeviceError(
            "CUDA_ERROR_NOT_INITIALIZED",
            "this process was forked from one that uses the device. Start workers with the 'spawn' method, and activate"
            " the backend in each of them.",
        )


def _after_fork() -> None:
    if _current is not None:
        connection = getattr(_current.device, "_socket", None)
        if connection is not None:
            connection.close()
        _current.device = _AfterFork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _cuda_device() -> Any:  # pragma: no cover - needs a GPU
    from .cuda_device import CudaDevice

    return CudaDevice()


_current: Host | None = None
_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def memory_size(text: str) -> int:
    """Bytes from "16106127360", "15GiB" or "1.5 GB".

    Raises:
        ValueError: it is no size.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", text.strip())
    if found is None or found[2].upper() not in _UNITS or not float(found[1]):
        raise ValueError(f"{text!r} is no size of memory; expected bytes, or as in 15GiB or 800MiB")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def _from_environment() -> dict[str, int]:
    """What TRT_DEVICE_MEMORY (as 15GiB) and TRT_DEVICE_CC (as 8.6) say of the simulated device.

    Raises:
        ValueError: one of them says something else.
    """
    settings = {}
    size, capability = os.environ.get("TRT_DEVICE_MEMORY", ""), os.environ.get("TRT_DEVICE_CC", "")
    if size:
        try:
            settings["memory"] = memory_size(size)
        except ValueError as error:
            raise ValueError(f"TRT_DEVICE_MEMORY: {error}") from None
    if capability:
        if not re.fullmatch(r"[0-9]{1,2}\.[0-9]", capability):
            raise ValueError(f"TRT_DEVICE_CC is {capability!r}; expected a compute capability, as 8.6")
        settings["compute_capability"] = int(capability.replace(".", ""))
    return settings


def leaks() -> str:
    """What of the device's memory, streams, events and engines was not freed, as text, a line each; "" for nothing."""
    return "\n".join(
        f"  {each['kind']} {each['id']:#x}"
        + (f", {each['nbytes']:,} bytes" if each["nbytes"] else "")
        + (f", {each['tensor']!r}" if each["tensor"] else "")
        for each in current().device.live()
    )


def _tell_leaks() -> None:
    if _current is None or not hasattr(_current.device, "live"):
        return
    gc.collect()
    try:
        lines = leaks()
    except DeviceError:
        return
    if lines:
        print(f"[simulator] not freed when the program ended:\n{lines}", file=sys.stderr)


if os.environ.get("TRT_LEAKS", "0") not in ("", "0"):
    atexit.register(_tell_leaks)


def use(transport: str = "process", **settings: int) -> Host:
    """Make a new device and close the old one.

    Args:
        transport: "process" (simulated, here), "child" (simulated, in a child process), "inherited" (simulated, behind
            the socket in the environment variable TRT_DEVICE_FD: a graded run), or "cuda": the real GPU, with ONNX
            Runtime's CUDA provider in the place of a TensorRT that cannot run there.
        settings: of the simulated device: `memory` in bytes (default: TRT_DEVICE_MEMORY, else a T4's 15 GiB),
            `compute_capability` as 86 (default: TRT_DEVICE_CC, else 0: see `Device`), `threads` of ONNX Runtime.

    Raises:
        ValueError: there is no such transport, or an environment variable is wrong.
    """
    kinds: dict[str, Any] = {
        "process": InProcessDevice,
        "child": ChildDevice,
        "inherited": inherited,
        "cuda": _cuda_device,
    }
    if transport not in kinds:
        raise ValueError(f"no transport {transport!r}; expected one of {', '.join(kinds)}")
    if transport in ("process", "child"):
        settings = _from_environment() | settings
    return adopt(kinds[transport](**settings))


def adopt(device: Any) -> Host:
    """Use `device` from now on, and close the one before."""
    global _current
    if _current is not None and not isinstance(_current.device, _AfterFork):
        _current.device.close()
    _current = Host(device)
    return _current


def current() -> Host:
    """The host of the device in use; makes one in this process where there is none."""
    return _current or use()


# --- bare host pointers ---------------------------------------------------------------------------------------------


class _IoVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def _vector_copy(name: str, address: int, buffer: Any, nbytes: int) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    function.restype = ctypes.c_ssize_t
    local = _IoVec(ctypes.addressof(buffer), nbytes)
    remote = _IoVec(address, nbytes)
    copied = function(os.getpid(), ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    if copied != nbytes:
        raise DeviceError(
            "CUDA_ERROR_INVALID_VALUE",
            f"host pointer 0x{address:x}: {nbytes:,} bytes cannot be reached there ({os.strerror(ctypes.get_errno())})."
            " Expected the address of a host buffer of at least that size that is still alive.",
        )


def read_pointer(address: int, nbytes: int) -> bytes:
    """`nbytes` at a bare host pointer. A bad pointer is a DeviceError on Linux, not a crash."""
    buffer = (ctypes.c_char * nbytes)()
    if sys.platform == "linux":
        _vector_copy("process_vm_readv", address, buffer, nbytes)
    else:  # pragma: no cover - only Linux can check a pointer without using it
        ctypes.memmove(buffer, address, nbytes)
    return buffer.raw


def write_pointer(address: int, data: bytes) -> None:
    """Write `data` at a bare host pointer; see `read_pointer`."""
    if sys.platform == "linux":
        _vector_copy("process_vm_writev", address, ctypes.create_string_buffer(data, len(data)), len(data))
    else:  # pragma: no cover
        ctypes.memmove(address, data, len(data))
