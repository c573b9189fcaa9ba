"""What the device refused, as a finding: which mistake it was, and the other place that belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..simulator.device import BEHIND
from ..simulator.errors import STICKY, ContextLost, DeviceError
from ..simulator.memory import fits
from .memory import Shadow
from .places import Site

if TYPE_CHECKING:
    from .device import CheckingDevice

# method -> where its arguments are the handle of a stream, event or graph
_HANDLES = {
    "memcpy_htod": (5,),
    "memcpy_dtoh": (5,),
    "memcpy_dtoh_into": (2,),
    "memcpy_dtod": (3,),
    "memset": (3,),
    "execute": (1,),
    "mem_free_async": (1,),
    "stream_synchronize": (0,),
    "stream_query": (0,),
    "stream_destroy": (0,),
    "stream_wait_event": (0, 1),
    "stream_begin_capture": (0,),
    "stream_end_capture": (0,),
    "stream_capture_status": (0,),
    "event_record": (0, 1),
    "event_synchronize": (0,),
    "event_query": (0,),
    "event_elapsed": (0, 1),
    "data_shapes": (1,),
    "graph_launch": (0, 1),
    "graph_instantiate": (0,),
    "graph_destroy": (0,),
    "graph_exec_destroy": (0,),
    "graph_nodes": (0,),
}
_CLEANING = ("mem_free", "host_free", "destroy", "context_free", "engine_free", "capture_status", "record", "live")
_FREES = ("mem_free", "mem_free_async")


def noted(error: DeviceError) -> None:
    """This error has its finding; when a later call reports it again, it is no new one."""
    error.noted = True  # type: ignore[attr-defined]


def is_noted(error: DeviceError) -> bool:
    return bool(getattr(error, "noted", False))


def note(
    device: CheckingDevice, method: str, arguments: tuple[Any, ...], error: DeviceError, where: Site | None
) -> None:
    """Note what was wrong about a call that the device refused."""
    if isinstance(error, ContextLost):
        _went_on(device, method, where)
        return
    if error.code in STICKY and method != "execute":
        device.lost_calls = 1  # this call has told the program (TensorRT only says False)
    if is_noted(error):
        return
    noted(error)
    if "CAPTURE" in error.code:
        _in_capture(device, error, where)
    elif method == "execute":
        _execution(device, arguments, error, where)
    elif not _handle(device, method, arguments, where):
        _address(device, method, arguments, error, where)


def _went_on(device: CheckingDevice, method: str, where: Site | None) -> None:
    """The first call after the error reports it; who goes on behind that has not looked."""
    if any(word in method for word in _CLEANING):
        return
    device.lost_calls += 1
    if device.lost_calls > 1:
        message = "the program goes on after the CUDA context was lost: every call fails, and nothing is computed"
        device.find("sticky-error", message, where, device.lost_at, "lost at")


def _in_capture(device: CheckingDevice, error: DeviceError, where: Site | None) -> None:
    origins = list(device.capture_sites)
    current = [capture.origin for capture in device._captures] or origins[-1:]
    origin = current[-1] if current else -1
    if error.code.endswith("INVALIDATED") and origin in device.capture_refused:
        return  # what follows from the refusal that was noted
    device.capture_refused.add(origin)
    device.find("capture-refused", error.detail, where, device.capture_sites.get(origin), "the capture began at")


def _handle(device: CheckingDevice, method: str, arguments: tuple[Any, ...], where: Site | None) -> bool:
    for place in _HANDLES.get(method, ()):
        handle = device.handles.get(arguments[place]) if place < len(arguments) else None
        if handle is None or not handle.gone:
            continue
        kind = "destruction-order" if handle.by_reset else "stale-handle"
        ended = "went with its CUDA context" if handle.by_reset else "was destroyed"
        again = method.endswith("destroy")
        device.find(
            "double-free" if again and not handle.by_reset else kind,
            f"{method} is called with {'an' if handle.kind[0] in 'ae' else 'a'} {handle.kind} that {ended}",
            where,
            handle.ended,
            "ended at",
        )
        return True
    return False


def _execution(device: CheckingDevice, arguments: tuple[Any, ...], error: DeviceError, where: Site | None) -> None:
    context, _, _, _, shapes, addresses = arguments[:6]
    known = device._contexts.get(context)
    if known is None:
        shadow = device.context_shadows.get(context)
        device.find(
            "destruction-order",
            "an execution context is used after its CUDA context ended",
            where,
            shadow.freed if shadow else device.reset_at,
            "ended at",
        )
        return
    if _handle(device, "execute", arguments, where):
        return
    if error.code not in ("CUDA_ERROR_ILLEGAL_ADDRESS", "CUDA_ERROR_INVALID_HANDLE"):
        return  # shapes that the profile does not allow: TensorRT's log says so
    engine = device._engine(known.engine)
    every = {**shapes, **device._shapes(engine, shapes, arguments[6] if len(arguments) > 6 else None)}
    for tensor in (*engine.inputs, *engine.outputs):
        if tensor.shape_tensor and tensor.mode == "INPUT":
            continue
        nbytes = tensor.itemsize
        for extent in every[tensor.name]:
            nbytes *= max(int(extent), 0)
        address = addresses.get(tensor.name, 0)
        set_at = device.address_sites.get((context, tensor.name))
        if wrong_address(device, address, nbytes, f"the execution's {tensor.name!r}", where, tensor.name, set_at):
            return


_ADDRESSES = {  # method -> (place of the address, place of the bytes)
    "memcpy_htod": ((0, 1),),
    "memcpy_dtoh": ((0, 1),),
    "memcpy_dtoh_into": ((0, 1),),
    "memcpy_dtod": ((0, 2), (1, 2)),
    "memset": ((0, 2),),
}


def _address(
    device: CheckingDevice, method: str, arguments: tuple[Any, ...], error: DeviceError, where: Site | None
) -> None:
    if method in _FREES:
        shadow = device.memory_map.at(arguments[0])
        if shadow is not None and shadow.gone:
            kind = "destruction-order" if shadow.by_reset else "double-free"
            message = "device memory is freed " + ("after its CUDA context ended" if shadow.by_reset else "twice")
            device.find(kind, message, where, shadow.freed, "freed at", (shadow.tensor,), nbytes=shadow.nbytes)
        elif error.code == "CUDA_ERROR_INVALID_VALUE":
            device.find("invalid-address", f"a free of an address that no allocation begins at: {error.detail}", where)
        return
    for place, size in _ADDRESSES.get(method, ()):
        nbytes = arguments[size]
        if method == "memset":
            nbytes = len(arguments[1]) * nbytes
        elif method == "memcpy_dtoh_into":
            nbytes = nbytes.nbytes
        extent = _extent(method, place, arguments, nbytes)
        if wrong_address(device, arguments[place], extent, "the copy" if "cpy" in method else "the memset", where):
            return
    if method in ("memcpy_htod", "memcpy_dtoh") and error.code == "CUDA_ERROR_INVALID_VALUE":
        pinned = device._pinned_shadows.get(arguments[2])
        if pinned is not None and arguments[3] + arguments[1] > pinned.nbytes:
            room = pinned.nbytes - arguments[3]
            message = f"the copy has {arguments[1]:,} bytes, the pinned memory {room:,}"
            device.find("invalid-address", message, where, pinned.made, "allocated at", (pinned.tensor,))
            return
    if method in ("memcpy_dtoh", "memcpy_dtoh_into"):
        dtype = arguments[7] if method == "memcpy_dtoh" else arguments[4]
        shadow = device.memory_map.at(arguments[0])
        allocation = device._find(arguments[0])
        if shadow is None or allocation is None:
            return
        written = allocation.written_at(arguments[0] - shadow.start)
        if dtype and written and not fits(written, dtype):
            writer = shadow.writer(arguments[0] - shadow.start)
            device.find("wrong-dtype", error.detail, where, writer, "written at", (shadow.tensor,))


def _extent(method: str, place: int, arguments: tuple[Any, ...], nbytes: int) -> int:
    """Bytes from the first row to behind the last, on the device."""
    first = {"memcpy_htod": 8, "memcpy_dtoh": 8, "memcpy_dtod": 5}.get(method)
    if first is None or len(arguments) <= first + 1:
        return int(nbytes)
    rows = arguments[first]
    pitch = arguments[first + 1 + place] if method == "memcpy_dtod" else arguments[first + 1]
    width = nbytes // max(rows, 1)
    return int((rows - 1) * (pitch or width) + width)


def wrong_address(
    device: CheckingDevice,
    address: int,
    nbytes: int,
    what: str,
    where: Site | None,
    tensor: str = "",
    set_at: Site | None = None,
) -> bool:
    """Note what is wrong about a device range; False where nothing is."""
    shadow = device.memory_map.at(address)
    names: tuple[str, ...] = (tensor,)
    if shadow is None:
        other, other_is = set_at, "set at"
        below = device.memory_map.below(address)
        pinned = device.pinned_map.at(address)
        if below is not None and address - below.start - below.nbytes < BEHIND:
            behind = address - below.start - below.nbytes
            message = f"{what}: the address lies {behind:,} bytes behind the end of a buffer of {below.nbytes:,} bytes"
            names = (tensor, below.tensor)
            if other is None:
                other, other_is = below.made, "allocated at"
        elif pinned is not None:
            message = f"{what}: the address is pinned memory of the host, not device memory"
            if other is None:
                other, other_is = pinned.made, "allocated at"
        else:
            message = f"{what}: 0x{address:x} is no device address; it looks like a host pointer"
        device.find("invalid-address", message, where, other, other_is, names, nbytes=nbytes)
        return True
    names = (tensor or shadow.tensor,)
    offset = address - shadow.start
    if shadow.gone:
        _stale(device, shadow, what, where, names, offset, nbytes)
        return True
    if offset + nbytes > shadow.nbytes:
        room = shadow.nbytes - offset
        message = f"{what} needs {nbytes:,} bytes, the buffer has {room:,}"
        device.find("invalid-address", message, where, shadow.made, "allocated at", names, offset, nbytes)
        return True
    return False


def _stale(
    device: CheckingDevice,
    shadow: Shadow,
    what: str,
    where: Site | None,
    names: tuple[str, ...],
    offset: int,
    nbytes: int,
) -> None:
    if shadow.by_reset:
        message = f"{what} uses device memory that went with its CUDA context"
        device.find("destruction-order", message, where, shadow.freed, "ended at", names, offset, nbytes)
        return
    message = f"{what} uses device memory that was freed"
    if shadow.freed == shadow.made:
        message += " at once, because nothing kept the object that cuda.mem_alloc returned"
    device.find("stale-address", message, where, shadow.freed, "freed at", names, offset, nbytes)
