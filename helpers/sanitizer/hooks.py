"""What is put in the place of parts of the front ends, NumPy and ctypes while a program runs, and taken back after."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from ..simulator import host
from ..simulator.context import IExecutionContext
from ..simulator.errors import DeviceError
from ..simulator.frontends.cuda_bindings import memory as bindings_memory
from ..simulator.frontends.pycuda import driver
from . import arrays, threads
from .device import CheckingDevice
from .places import site


class Hooks:
    """Everything that watches a program beside the device itself."""

    def __init__(self, device: CheckingDevice) -> None:
        self._device = device
        self._before: list[tuple[Any, str, Any]] = []

    def _put(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        if name not in vars(owner):
            return
        before = vars(owner)[name]
        self._before.append((owner, name, before))
        setattr(owner, name, wrap(before))

    def install(self) -> None:
        device = self._device
        arrays.watch(device)
        for name in ("array", "asarray", "asanyarray", "ascontiguousarray"):
            self._put(np, name, arrays.converting)
        self._put(np, "frombuffer", arrays.making)
        self._put(np.ctypeslib, "as_array", arrays.making)
        self._put(ctypes, "cast", arrays.casting)
        self._put(ctypes, "memmove", arrays.memmove)
        self._put(ctypes, "memset", arrays.memset)
        self._put(ctypes, "string_at", arrays.string_at)
        self._put(driver, "pagelocked_empty", arrays.pinning)
        for owner in (driver.DeviceAllocation, driver.PagelockedHostAllocation):
            self._put(owner, "free", self._freed_once)
        self._put(bindings_memory, "free_pinned", self._free_pinned)
        self._put(bindings_memory, "copy", self._copy)
        threads.install(self._put, device)
        self._put(host, "use", lambda _: lambda *_, **__: host.current())  # a program keeps the watched device
        for name in ("set_tensor_address", "set_input_shape", "set_optimization_profile_async"):
            self._put(IExecutionContext, name, self._setting)
        for name in ("execute_async_v3", "execute_v2"):
            self._put(IExecutionContext, name, self._executing)

    def uninstall(self) -> None:
        arrays.watch(None)
        for owner, name, before in reversed(self._before):
            setattr(owner, name, before)
        self._before.clear()

    # --- front ends ---

    def _freed_once(self, free: Any) -> Any:
        """pycuda's own objects: a second free() does not reach the device."""
        device = self._device

        def call(allocation: Any) -> None:
            if not allocation._free.alive and device.active:
                pinned = getattr(allocation, "_pinned", None)
                shadow = device.pinned_map.at(pinned.address) if pinned else device.memory_map.at(int(allocation))
                device.find(
                    "double-free",
                    f"{'pinned' if pinned else 'device'} memory is freed twice",
                    site(),
                    shadow.freed if shadow else None,
                    "freed at",
                    (shadow.tensor,) if shadow else (),
                    nbytes=shadow.nbytes if shadow else 0,
                )
            free(allocation)

        return call

    def _free_pinned(self, free: Any) -> Any:
        device = self._device

        def call(address: int) -> None:
            shadow = device.pinned_map.freed_at(address)
            try:
                free(address)
            except DeviceError:
                if shadow is not None and shadow.start == address:
                    kind = "destruction-order" if shadow.by_reset else "double-free"
                    message = "pinned memory is freed " + (
                        "after its CUDA context ended" if shadow.by_reset else "twice"
                    )
                    device.find(kind, message, site(), shadow.freed, "freed at", (shadow.tensor,), nbytes=shadow.nbytes)
                elif device.memory_map.at(address) is not None:
                    device.find("invalid-address", "cudaFreeHost is given an address of device memory", site())
                raise

        return call

    def _copy(self, copy: Any) -> Any:
        device = self._device

        def call(target: Any, source: Any, shape: Any, kind: int, stream: int, wait: bool) -> None:
            for pointer, doing in ((source, "the copy reads"), (target, "the copy writes into")):
                if device.pinned_map.gone:
                    device.freed_host(pointer.address, doing)
            try:
                copy(target, source, shape, kind, stream, wait)
            except DeviceError as error:
                self._wrong_side(target, source, kind, error)
                raise

        return call

    def _wrong_side(self, target: Any, source: Any, kind: int, error: DeviceError) -> None:
        """A copy whose host side is no host memory: the front end itself refuses it."""
        if getattr(error, "noted", False) or error.code != "CUDA_ERROR_INVALID_VALUE":
            return
        device = self._device
        host = {1: source, 2: target}.get(kind)
        if host is not None:
            shadow = device.memory_map.at(host.address)
            device.find(
                "invalid-address",
                error.detail,
                site(),
                shadow.made if shadow else None,
                "allocated at",
                (shadow.tensor,) if shadow else (),
            )

    # --- execution contexts ---

    def _executing(self, method: Any) -> Any:
        device = self._device

        def call(context: Any, *arguments: Any, **keywords: Any) -> bool:
            if device.active:
                threads.used(device, context._ident)
            return bool(method(context, *arguments, **keywords))

        call.__name__, call.__doc__ = method.__name__, method.__doc__
        return call

    def _setting(self, method: Any) -> Any:
        device, name = self._device, method.__name__

        def call(context: Any, *arguments: Any, **keywords: Any) -> Any:
            before = _state(context, name, arguments)
            result = method(context, *arguments, **keywords)
            if device.active:
                where, ident = site(), context._ident
                threads.used(device, ident)
                if name == "set_tensor_address" and arguments:
                    device.address_sites[ident, arguments[0]] = where
                if before != _state(context, name, arguments):
                    what = "a change of " + ("an address" if name == "set_tensor_address" else "a shape")
                    device.changed[ident] = (where, what)
            return result

        call.__name__, call.__doc__ = name, method.__doc__
        return call


def _state(context: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    if name == "set_optimization_profile_async":
        return context._profile
    known = context._addresses if name == "set_tensor_address" else context._shapes
    return known.get(arguments[0]) if arguments and isinstance(arguments[0], str) else None
