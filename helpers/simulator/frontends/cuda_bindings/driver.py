"""`cuda.bindings.driver`: the part of the CUDA driver API that TensorRT programs use, over the simulated device.

Each function returns `(CUresult, results ...)`. Names, numbers and arguments are those of cuda-bindings 13.4.4. As in
CUDA nothing works before `cuInit(0)` and without a context: take the one that the runtime API and PyTorch use with
`cuDevicePrimaryCtxRetain` and `cuCtxSetCurrent`.
"""

from __future__ import annotations

from typing import Any

from ... import host as _host
from ...errors import DeviceError
from .. import contexts
from . import entry, graphs, memory, runtime
from .codes import TEXTS, CUresult
from .entry import driver_entry
from .enums import (
    CUcontext,
    CUctx_flags,
    CUdevice,
    CUdevice_attribute,
    CUdeviceptr,
    CUevent,
    CUevent_flags,
    CUgraph,
    CUgraphExec,
    CUgraphNode,
    CUgraphNodeType,
    CUstream,
    CUstream_flags,
    CUstreamCaptureMode,
    CUstreamCaptureStatus,
)
from .memory import DEFAULT, DEVICE_TO_DEVICE, DEVICE_TO_HOST, HOST_TO_DEVICE, Shape, integer, pointer, size
from .memory import stream as _stream

__all__ = [
    "CUcontext",
    "CUctx_flags",
    "CUdevice",
    "CUdevice_attribute",
    "CUdeviceptr",
    "CUevent",
    "CUevent_flags",
    "CUgraph",
    "CUgraphExec",
    "CUgraphNode",
    "CUgraphNodeType",
    "CUresult",
    "CUstream",
    "CUstreamCaptureMode",
    "CUstreamCaptureStatus",
    "CUstream_flags",
]

CUDA_VERSION = 13040
CU_STREAM_LEGACY = 1
CU_STREAM_PER_THREAD = 2
CU_MEMHOSTALLOC_PORTABLE = 1
CU_MEMHOSTALLOC_DEVICEMAP = 2
CU_MEMHOSTALLOC_WRITECOMBINED = 4


def _device() -> Any:
    return _host.current().device


def _ordinal(device: Any) -> None:
    if not contexts.started():
        raise DeviceError("CUDA_ERROR_NOT_INITIALIZED", "call cuInit(0) first")
    if integer(device) != 0:
        raise DeviceError("CUDA_ERROR_INVALID_DEVICE", f"there is one device, 0; got {integer(device)}")


# --- errors and versions --------------------------------------------------------------------------------------------


@driver_entry(context=False)
def cuInit(Flags: Any) -> None:
    if integer(Flags):
        raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"the flags of cuInit must be 0; got {integer(Flags)}")
    contexts.start()


@driver_entry(outputs=1, context=False)
def cuDriverGetVersion() -> int:
    """1000 times the major version plus 10 times the minor."""
    return int(_device().properties()["driver"])


@driver_entry(outputs=1, context=False)
def cuGetErrorName(error: Any) -> bytes:
    return _known(error).name.encode()


@driver_entry(outputs=1, context=False)
def cuGetErrorString(error: Any) -> bytes:
    return TEXTS[int(_known(error))].encode()


def _known(error: Any) -> Any:
    number = integer(error)
    if number not in CUresult:
        raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"{number} is no CUresult")
    return CUresult(number)


# --- devices and contexts -------------------------------------------------------------------------------------------


@driver_entry(outputs=1, context=False)
def cuDeviceGetCount() -> int:
    _ordinal(0)
    return 1


@driver_entry(outputs=1, context=False)
def cuDeviceGet(ordinal: Any) -> CUdevice:
    _ordinal(ordinal)
    return CUdevice(0)


@driver_entry(outputs=1, context=False)
def cuDeviceGetName(length: Any, dev: Any) -> bytes:
    """The name, cut to `length` - 1 bytes and filled up with zeros to `length`."""
    _ordinal(dev)
    room = integer(length)
    name: bytes = _device().properties()["name"].encode()
    return name[: max(room - 1, 0)].ljust(room, b"\0")


@driver_entry(outputs=1, context=False)
def cuDeviceGetAttribute(attrib: Any, dev: Any) -> int:
    _ordinal(dev)
    return runtime.attribute(integer(attrib))


@driver_entry(outputs=2, context=False)
def cuDeviceComputeCapability(dev: Any) -> list[int]:
    _ordinal(dev)
    capability: list[int] = _device().properties()["compute_capability"]
    return capability


@driver_entry(outputs=1, context=False)
def cuDeviceTotalMem(dev: Any) -> int:
    _ordinal(dev)
    return int(_device().properties()["memory"])


@driver_entry(outputs=1, context=False)
def cuDevicePrimaryCtxRetain(dev: Any) -> CUcontext:
    """The context of the runtime API and of PyTorch. It is not made current: cuCtxSetCurrent does that."""
    _ordinal(dev)
    contexts.retain(contexts.PRIMARY)
    return CUcontext(contexts.PRIMARY)


@driver_entry(context=False)
def cuDevicePrimaryCtxRelease(dev: Any) -> None:
    _ordinal(dev)
    contexts.release(contexts.PRIMARY)


@driver_entry(context=False)
def cuDevicePrimaryCtxReset(dev: Any) -> None:
    """All memory, streams, events and engines go, and an error that ended the context with them."""
    _ordinal(dev)
    _device().reset()


@driver_entry(outputs=1, context=False)
def cuCtxCreate(ctxCreateParams: Any, flags: Any, dev: Any) -> CUcontext:
    """A context of its own, current in this thread. PyTorch and the runtime API do not share it."""
    _ordinal(dev)
    integer(flags)
    if ctxCreateParams is not None:
        raise DeviceError("CUDA_ERROR_NOT_SUPPORTED", "the simulator makes plain contexts; expected None")
    return CUcontext(contexts.create())


@driver_entry(context=False)
def cuCtxDestroy(ctx: Any) -> None:
    """With the last context all memory, streams, events and engines go."""
    contexts.release(_not_null(ctx))


@driver_entry(context=False)
def cuCtxPushCurrent(ctx: Any) -> None:
    contexts.stack().append(_context(_not_null(ctx)))


def _not_null(ctx: Any) -> int:
    number = integer(ctx)
    if not number:
        raise DeviceError("CUDA_ERROR_INVALID_VALUE", "expected a context; 0 is none")
    return number


@driver_entry(outputs=1, context=False)
def cuCtxPopCurrent() -> CUcontext:
    own = contexts.stack()
    if not own:
        raise DeviceError("CUDA_ERROR_INVALID_CONTEXT", "no context is current in this thread")
    return CUcontext(own.pop())


@driver_entry(context=False)
def cuCtxSetCurrent(ctx: Any) -> None:
    own, number = contexts.stack(), integer(ctx)
    if own:
        own.pop()
    if number:
        own.append(_context(number))


def _context(value: Any) -> int:
    number = integer(value)
    if not contexts.alive(number):
        raise DeviceError("CUDA_ERROR_INVALID_CONTEXT", f"0x{number:x} is no context, or was destroyed")
    return number


@driver_entry(outputs=1, context=False)
def cuCtxGetCurrent() -> CUcontext:
    """The handle of this thread's context; 0 for none."""
    own = contexts.stack()
    return CUcontext(own[-1] if own else 0)


@driver_entry(outputs=1)
def cuCtxGetDevice() -> CUdevice:
    return CUdevice(0)


@driver_entry()
def cuCtxSynchronize() -> None:
    _device().synchronize()


# --- memory ---------------------------------------------------------------------------------------------------------


@driver_entry(outputs=2)
def cuMemGetInfo() -> list[int]:
    """(free, total) bytes of device memory."""
    result: list[int] = _device().mem_get_info()
    return result


@driver_entry(outputs=1)
def cuMemAlloc(bytesize: Any) -> CUdeviceptr:
    return CUdeviceptr(_device().mem_alloc(size(bytesize)))


@driver_entry()
def cuMemFree(dptr: Any) -> None:
    """Waits for the whole device first. Freeing 0 does nothing."""
    address = integer(dptr)
    if address:
        _device().mem_free(address)


@driver_entry(outputs=1)
def cuMemAllocAsync(bytesize: Any, hStream: Any) -> CUdeviceptr:
    return CUdeviceptr(runtime.malloc_async(size(bytesize), _stream(hStream)))


@driver_entry()
def cuMemFreeAsync(dptr: Any, hStream: Any) -> None:
    """Frees when the stream comes to it."""
    runtime.free_async(integer(dptr), _stream(hStream))


@driver_entry(outputs=1)
def cuMemAllocHost(bytesize: Any) -> int:
    """Address of pinned host memory."""
    return runtime.malloc_host(bytesize)


@driver_entry(outputs=1)
def cuMemHostAlloc(bytesize: Any, Flags: Any) -> int:
    """Address of pinned host memory. The flags are of no consequence here."""
    runtime.need_flags(Flags, 7, "cuMemHostAlloc")
    return runtime.malloc_host(bytesize)


@driver_entry()
def cuMemFreeHost(p: Any) -> None:
    address = pointer(p).address
    if address:
        memory.free_pinned(address)


@driver_entry(outputs=2)
def cuMemGetAddressRange(dptr: Any) -> tuple[CUdeviceptr, int]:
    """(start, bytes) of the allocation, device or pinned memory, that an address lies in."""
    address = integer(dptr)
    pinned = _host.current().find_pinned(address)
    if pinned is not None:
        return CUdeviceptr(pinned.address), pinned.nbytes
    found = _device().mem_range(address)
    if not found:
        raise DeviceError("CUDA_ERROR_NOT_FOUND", f"0x{address:x} lies in no memory of the device")
    return CUdeviceptr(found[0]), found[1]


def _copy(target: Any, source: Any, nbytes: Any, kind: int, stream: Any = None) -> None:
    blocking = stream is None
    memory.copy(
        pointer(target), pointer(source), Shape(size(nbytes)), kind, 0 if blocking else _stream(stream), blocking
    )


@driver_entry()
def cuMemcpyHtoD(dstDevice: Any, srcHost: Any, ByteCount: Any) -> None:
    _copy(dstDevice, srcHost, ByteCount, HOST_TO_DEVICE)


@driver_entry()
def cuMemcpyHtoDAsync(dstDevice: Any, srcHost: Any, ByteCount: Any, hStream: Any) -> None:
    """Asynchronous where the host's memory is pinned; pageable memory waits."""
    _copy(dstDevice, srcHost, ByteCount, HOST_TO_DEVICE, integer(hStream))


@driver_entry()
def cuMemcpyDtoH(dstHost: Any, srcDevice: Any, ByteCount: Any) -> None:
    _copy(dstHost, srcDevice, ByteCount, DEVICE_TO_HOST)


@driver_entry()
def cuMemcpyDtoHAsync(dstHost: Any, srcDevice: Any, ByteCount: Any, hStream: Any) -> None:
    """Asynchronous where the host's memory is pinned; pageable memory waits."""
    _copy(dstHost, srcDevice, ByteCount, DEVICE_TO_HOST, integer(hStream))


@driver_entry()
def cuMemcpyDtoD(dstDevice: Any, srcDevice: Any, ByteCount: Any) -> None:
    """The host does not wait for it."""
    _copy(dstDevice, srcDevice, ByteCount, DEVICE_TO_DEVICE)


@driver_entry()
def cuMemcpyDtoDAsync(dstDevice: Any, srcDevice: Any, ByteCount: Any, hStream: Any) -> None:
    _copy(dstDevice, srcDevice, ByteCount, DEVICE_TO_DEVICE, integer(hStream))


@driver_entry()
def cuMemcpy(dst: Any, src: Any, ByteCount: Any) -> None:
    """The addresses tell the direction."""
    _copy(dst, src, ByteCount, DEFAULT)


@driver_entry()
def cuMemcpyAsync(dst: Any, src: Any, ByteCount: Any, hStream: Any) -> None:
    _copy(dst, src, ByteCount, DEFAULT, integer(hStream))


def _memset(address: Any, value: Any, width: int, count: Any, stream: int) -> None:
    pattern = (integer(value) & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    memory.fill(integer(address), pattern, size(count), stream)


@driver_entry()
def cuMemsetD8(dstDevice: Any, uc: Any, N: Any) -> None:
    """Sets `N` values; the host does not wait."""
    _memset(dstDevice, uc, 1, N, 0)


@driver_entry()
def cuMemsetD16(dstDevice: Any, us: Any, N: Any) -> None:
    _memset(dstDevice, us, 2, N, 0)


@driver_entry()
def cuMemsetD32(dstDevice: Any, ui: Any, N: Any) -> None:
    _memset(dstDevice, ui, 4, N, 0)


@driver_entry()
def cuMemsetD8Async(dstDevice: Any, uc: Any, N: Any, hStream: Any) -> None:
    _memset(dstDevice, uc, 1, N, _stream(hStream))


@driver_entry()
def cuMemsetD16Async(dstDevice: Any, us: Any, N: Any, hStream: Any) -> None:
    _memset(dstDevice, us, 2, N, _stream(hStream))


@driver_entry()
def cuMemsetD32Async(dstDevice: Any, ui: Any, N: Any, hStream: Any) -> None:
    _memset(dstDevice, ui, 4, N, _stream(hStream))


# --- streams and events ---------------------------------------------------------------------------------------------


@driver_entry(outputs=1)
def cuStreamCreate(Flags: Any) -> CUstream:
    return CUstream(_device().stream_create(runtime.need_flags(Flags, 1, "cuStreamCreate")))


@driver_entry(outputs=1)
def cuStreamCreateWithPriority(flags: Any, priority: Any) -> CUstream:
    """Priorities are of no consequence here."""
    integer(priority)
    return CUstream(_device().stream_create(runtime.need_flags(flags, 1, "cuStreamCreateWithPriority")))


@driver_entry()
def cuStreamDestroy(hStream: Any) -> None:
    """Its work goes on to the end."""
    _device().stream_destroy(_stream(hStream))


@driver_entry()
def cuStreamSynchronize(hStream: Any) -> None:
    _device().stream_synchronize(_stream(hStream))


@driver_entry()
def cuStreamQuery(hStream: Any) -> None:
    """CUDA_ERROR_NOT_READY while there is work left; asking lets work complete."""
    if not _device().stream_query(_stream(hStream)):
        raise DeviceError("CUDA_ERROR_NOT_READY", "the stream has work left")


@driver_entry()
def cuStreamWaitEvent(hStream: Any, hEvent: Any, Flags: Any) -> None:
    runtime.need_no_flags(Flags, "cuStreamWaitEvent")
    _device().stream_wait_event(_stream(hStream), integer(hEvent))


@driver_entry(outputs=1)
def cuEventCreate(Flags: Any) -> CUevent:
    return CUevent(_device().event_create(runtime.need_flags(Flags, 7, "cuEventCreate")))


@driver_entry()
def cuEventDestroy(hEvent: Any) -> None:
    _device().event_destroy(integer(hEvent))


@driver_entry()
def cuEventRecord(hEvent: Any, hStream: Any) -> None:
    _device().event_record(integer(hEvent), _stream(hStream))


@driver_entry()
def cuEventSynchronize(hEvent: Any) -> None:
    _device().event_synchronize(integer(hEvent))


@driver_entry()
def cuEventQuery(hEvent: Any) -> None:
    """CUDA_ERROR_NOT_READY until the event has come; asking lets work complete."""
    if not _device().event_query(integer(hEvent)):
        raise DeviceError("CUDA_ERROR_NOT_READY", "the event has not come yet")


@driver_entry(outputs=1)
def cuEventElapsedTime(hStart: Any, hEnd: Any) -> float:
    """Milliseconds between two events: this machine's, not a GPU's."""
    return float(_device().event_elapsed(integer(hStart), integer(hEnd)))


# --- capture and graphs ---------------------------------------------------------------------------------------------


@driver_entry()
def cuStreamBeginCapture(hStream: Any, mode: Any) -> None:
    """From now on the stream collects work for a graph instead of doing it."""
    graphs.begin_capture(_stream(hStream), integer(mode))


@driver_entry(outputs=1)
def cuStreamEndCapture(hStream: Any) -> CUgraph:
    return CUgraph(graphs.end_capture(_stream(hStream)))


@driver_entry(outputs=1)
def cuStreamIsCapturing(hStream: Any) -> Any:
    return CUstreamCaptureStatus(_device().stream_capture_status(_stream(hStream)))


@driver_entry(outputs=1)
def cuGraphInstantiate(hGraph: Any, flags: Any) -> CUgraphExec:
    """What can be launched. The flags are of no consequence here."""
    integer(flags)
    return CUgraphExec(_device().graph_instantiate(integer(hGraph)))


@driver_entry()
def cuGraphLaunch(hGraphExec: Any, hStream: Any) -> None:
    _device().graph_launch(integer(hGraphExec), _stream(hStream))


@driver_entry()
def cuGraphDestroy(hGraph: Any) -> None:
    _device().graph_destroy(integer(hGraph))


@driver_entry()
def cuGraphExecDestroy(hGraphExec: Any) -> None:
    _device().graph_exec_destroy(integer(hGraphExec))


@driver_entry(outputs=2)
def cuGraphGetNodes(hGraph: Any, numNodes: Any = 0) -> tuple[list[CUgraphNode], int]:
    """(nodes, how many): with the default no nodes, only how many there are."""
    return graphs.nodes(integer(hGraph), size(numNodes), CUgraphNode)


@driver_entry(outputs=1)
def cuGraphNodeGetType(hNode: Any) -> Any:
    return CUgraphNodeType(graphs.node_type(integer(hNode)))


__getattr__ = entry.not_offered(
    "driver",
    {
        "cuMemAllocManaged": "Use cuMemAlloc and cuMemcpyHtoDAsync.",
        "cuMemAllocPitch": "Use cuMemAlloc, with a pitch of your own.",
        "cuMemHostRegister": "Use cuMemHostAlloc: its memory is pinned from the start.",
        "cuMemcpyPeer": "There is one device: use cuMemcpyDtoDAsync.",
        "cuMemcpy2D": "Use cuda.bindings.runtime.cudaMemcpy2DAsync.",
        "cuLaunchHostFunc": "Record an event, and wait for it with cuEventSynchronize.",
        "cuStreamAddCallback": "Record an event, and wait for it with cuEventSynchronize.",
        "cuGraphAdd": "Capture a stream: cuStreamBeginCapture and cuStreamEndCapture.",
        "cuGraphExecUpdate": "Instantiate the new graph: cuGraphInstantiate.",
        "cuLaunchKernel": "It runs TensorRT engines, and no kernels.",
        "cuModule": "It runs TensorRT engines, and no kernels.",
    },
)
