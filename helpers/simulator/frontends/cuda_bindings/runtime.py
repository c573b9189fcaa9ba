"""`cuda.bindings.runtime`: the part of the CUDA runtime API that TensorRT programs use, over the simulated device.

Each function returns `(cudaError_t, results ...)`. Names, numbers and arguments are those of cuda-bindings 13.4.4. As
in CUDA the first call of a thread makes the device's primary context current.

Pointers are integers; the host's may also be numpy arrays or other buffers. Memory of `cudaMallocHost` and
`cudaHostAlloc` is pinned; every other host memory is pageable, and copying it waits.
"""

from __future__ import annotations

import types
from typing import Any

from ... import host as _host
from ...errors import DeviceError
from . import entry, graphs, memory
from .codes import TEXTS, cudaError_t
from .entry import runtime_entry
from .enums import (
    ATTRIBUTES,
    cudaDeviceAttr,
    cudaEvent_t,
    cudaGraph_t,
    cudaGraphExec_t,
    cudaGraphNode_t,
    cudaGraphNodeType,
    cudaMemcpyKind,
    cudaMemoryType,
    cudaStream_t,
    cudaStreamCaptureMode,
    cudaStreamCaptureStatus,
)
from .memory import integer, pointer, size
from .memory import stream as _stream

__all__ = [
    "cudaDeviceAttr",
    "cudaError_t",
    "cudaEvent_t",
    "cudaGraphExec_t",
    "cudaGraphNodeType",
    "cudaGraphNode_t",
    "cudaGraph_t",
    "cudaMemcpyKind",
    "cudaMemoryType",
    "cudaStreamCaptureMode",
    "cudaStreamCaptureStatus",
    "cudaStream_t",
]

CUDART_VERSION = 13040
cudaStreamDefault = 0
cudaStreamNonBlocking = 1
cudaStreamLegacy = 1
cudaStreamPerThread = 2
cudaEventDefault = 0
cudaEventBlockingSync = 1
cudaEventDisableTiming = 2
cudaEventInterprocess = 4
cudaEventRecordDefault = 0
cudaEventWaitDefault = 0
cudaHostAllocDefault = 0
cudaHostAllocPortable = 1
cudaHostAllocMapped = 2
cudaHostAllocWriteCombined = 4
cudaDeviceScheduleAuto = 0
cudaDeviceScheduleSpin = 1
cudaDeviceScheduleYield = 2
cudaDeviceScheduleBlockingSync = 4
cudaDeviceMapHost = 8
cudaCpuDeviceId = -1
cudaInvalidDeviceId = -2


def _device() -> Any:
    return _host.current().device


def _ordinal(device: Any) -> None:
    number = integer(device)
    if number != 0:
        raise DeviceError("CUDA_ERROR_INVALID_DEVICE", f"there is one device, 0; got {number}")


# --- errors and versions --------------------------------------------------------------------------------------------


def cudaGetLastError() -> tuple[Any]:
    """The last error of this thread's calls, which it forgets."""
    last = entry.last_error()
    entry.forget_error()
    return (last,)


def cudaPeekAtLastError() -> tuple[Any]:
    """The last error of this thread's calls."""
    return (entry.last_error(),)


def cudaGetErrorName(error: Any) -> tuple[Any, bytes]:
    number = integer(error)
    known = number in cudaError_t
    return cudaError_t.cudaSuccess, cudaError_t(number).name.encode() if known else b"unrecognized error code"


def cudaGetErrorString(error: Any) -> tuple[Any, bytes]:
    number = integer(error)
    return cudaError_t.cudaSuccess, TEXTS.get(number, "unrecognized error code").encode()


def cudaRuntimeGetVersion() -> tuple[Any, int]:
    """1000 times the major version plus 10 times the minor."""
    return cudaError_t.cudaSuccess, CUDART_VERSION


getLocalRuntimeVersion = cudaRuntimeGetVersion


def cudaDriverGetVersion() -> tuple[Any, int]:
    return cudaError_t.cudaSuccess, int(_device().properties()["driver"])


# --- the device -----------------------------------------------------------------------------------------------------


@runtime_entry(outputs=1)
def cudaGetDeviceCount() -> int:
    return 1


@runtime_entry(outputs=1)
def cudaGetDevice() -> int:
    return 0


@runtime_entry()
def cudaSetDevice(device: Any) -> None:
    _ordinal(device)


@runtime_entry()
def cudaInitDevice(device: Any, deviceFlags: Any, flags: Any) -> None:
    _ordinal(device)


@runtime_entry()
def cudaSetDeviceFlags(flags: Any) -> None:
    """How the host waits: of no consequence here."""


@runtime_entry()
def cudaDeviceSynchronize() -> None:
    _device().synchronize()


def cudaDeviceReset() -> tuple[Any]:
    """All memory, streams, events and engines go, and an error that ended the context with them."""
    _device().reset()
    entry.forget_error()
    return (cudaError_t.cudaSuccess,)


@runtime_entry(outputs=1)
def cudaDeviceGetAttribute(attr: Any, device: Any) -> int:
    _ordinal(device)
    return attribute(integer(attr))


def attribute(number: int) -> int:
    """A device attribute; the numbers of the runtime's and the driver's enum are the same."""
    major, minor = _device().properties()["compute_capability"]
    known = ATTRIBUTES | {75: major, 76: minor}
    if number not in known:
        raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"the simulated device has no attribute {number}")
    return int(known[number])


class cudaDeviceProp(types.SimpleNamespace):
    """What holds of the simulated device. Other fields (multiprocessors, clocks) are a GPU's, and say so."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"cudaDeviceProp.{name}: the simulated device has {', '.join(sorted(vars(self)))}")


cudaDeviceProp.__module__ = "cuda.bindings.runtime"


@runtime_entry(outputs=1)
def cudaGetDeviceProperties(device: Any) -> cudaDeviceProp:
    """Properties by name; `name` is bytes, `totalGlobalMem` is in bytes."""
    _ordinal(device)
    properties = _device().properties()
    major, minor = properties["compute_capability"]
    return cudaDeviceProp(
        name=properties["name"].encode(),
        totalGlobalMem=properties["memory"],
        major=major,
        minor=minor,
        asyncEngineCount=ATTRIBUTES[40],
        canMapHostMemory=ATTRIBUTES[19],
        unifiedAddressing=ATTRIBUTES[41],
        managedMemory=ATTRIBUTES[83],
        memoryPoolsSupported=ATTRIBUTES[115],
        integrated=0,
        pciBusID=0,
        pciDeviceID=0,
        pciDomainID=0,
    )


# --- memory ---------------------------------------------------------------------------------------------------------


@runtime_entry(outputs=2)
def cudaMemGetInfo() -> list[int]:
    """(free, total) bytes of device memory."""
    free: list[int] = _device().mem_get_info()
    return free


@runtime_entry(outputs=1)
def cudaMalloc(size: Any) -> int:
    """Address of `size` bytes of device memory; 0 for none."""
    return malloc(size)


def malloc(nbytes: Any) -> int:
    """As cudaMalloc: nothing is a null pointer, no error."""
    count = size(nbytes)
    return int(_device().mem_alloc(count)) if count else 0


@runtime_entry()
def cudaFree(devPtr: Any) -> None:
    """Waits for the whole device first. Freeing 0 does nothing: programs use it to start CUDA."""
    address = pointer(devPtr).address
    if address:
        _device().mem_free(address)


@runtime_entry(outputs=1)
def cudaMallocAsync(size: Any, hStream: Any) -> int:
    """Device memory in the order of a stream: here it is there at once, and the stream is only looked at."""
    return malloc_async(size, _stream(hStream))


def malloc_async(nbytes: Any, handle: int) -> int:
    if _device().stream_capture_status(handle):
        raise DeviceError(
            "CUDA_ERROR_NOT_SUPPORTED",
            "the simulator does not capture allocations. Allocate before the capture: a graph keeps its addresses.",
        )
    return malloc(nbytes)


@runtime_entry()
def cudaFreeAsync(devPtr: Any, hStream: Any) -> None:
    """Frees when the stream comes to it."""
    free_async(pointer(devPtr).address, _stream(hStream))


def free_async(address: int, handle: int) -> None:
    if address:
        _device().mem_free_async(address, handle)


@runtime_entry(outputs=1)
def cudaMallocHost(size: Any) -> int:
    """Address of `size` bytes of pinned host memory."""
    return malloc_host(size)


@runtime_entry(outputs=1)
def cudaHostAlloc(size: Any, flags: Any) -> int:
    """Address of `size` bytes of pinned host memory. The flags are of no consequence here."""
    need_flags(flags, 7, "cudaHostAlloc")
    return malloc_host(size)


def malloc_host(nbytes: Any) -> int:
    """As cudaMallocHost: nothing is a null pointer, no error."""
    count = size(nbytes)
    return memory.alloc_pinned(count) if count else 0


@runtime_entry()
def cudaFreeHost(ptr: Any) -> None:
    address = pointer(ptr).address
    if address:
        memory.free_pinned(address)


class cudaPointerAttributes(types.SimpleNamespace):
    """`type` (cudaMemoryType), `device`, `devicePointer` and `hostPointer` (0 where there is none)."""


cudaPointerAttributes.__module__ = "cuda.bindings.runtime"


@runtime_entry(outputs=1)
def cudaPointerGetAttributes(ptr: Any) -> cudaPointerAttributes:
    """What an address is: device memory, pinned memory, or nothing that CUDA knows."""
    address = pointer(ptr).address
    if memory.is_device(address):
        kind, device_pointer, host_pointer = cudaMemoryType.cudaMemoryTypeDevice, address, 0
    elif _host.current().find_pinned(address) is not None:
        kind, device_pointer, host_pointer = cudaMemoryType.cudaMemoryTypeHost, address, address
    else:
        kind, device_pointer, host_pointer = cudaMemoryType.cudaMemoryTypeUnregistered, 0, 0
    device = 0 if device_pointer else cudaInvalidDeviceId
    return cudaPointerAttributes(type=kind, device=device, devicePointer=device_pointer, hostPointer=host_pointer)


# --- copies ---------------------------------------------------------------------------------------------------------


@runtime_entry()
def cudaMemcpy(dst: Any, src: Any, count: Any, kind: Any) -> None:
    """Waits, but for a copy within the device."""
    memory.copy(pointer(dst), pointer(src), memory.Shape(size(count)), integer(kind), 0, True)


@runtime_entry()
def cudaMemcpyAsync(dst: Any, src: Any, count: Any, kind: Any, stream: Any) -> None:
    """Asynchronous where the host's memory is pinned; pageable memory waits."""
    memory.copy(pointer(dst), pointer(src), memory.Shape(size(count)), integer(kind), _stream(stream), False)


@runtime_entry()
def cudaMemcpy2D(dst: Any, dpitch: Any, src: Any, spitch: Any, width: Any, height: Any, kind: Any) -> None:
    """`height` rows of `width` bytes; a pitch is the distance from one row to the next."""
    shape = memory.Shape(size(width), size(height), size(dpitch), size(spitch))
    memory.copy(pointer(dst), pointer(src), shape, integer(kind), 0, True)


@runtime_entry()
def cudaMemcpy2DAsync(
    dst: Any, dpitch: Any, src: Any, spitch: Any, width: Any, height: Any, kind: Any, stream: Any
) -> None:
    shape = memory.Shape(size(width), size(height), size(dpitch), size(spitch))
    memory.copy(pointer(dst), pointer(src), shape, integer(kind), _stream(stream), False)


@runtime_entry()
def cudaMemset(devPtr: Any, value: Any, count: Any) -> None:
    """Sets bytes; the host does not wait."""
    memory.fill(pointer(devPtr).address, bytes([integer(value) & 0xFF]), size(count), 0)


@runtime_entry()
def cudaMemsetAsync(devPtr: Any, value: Any, count: Any, stream: Any) -> None:
    memory.fill(pointer(devPtr).address, bytes([integer(value) & 0xFF]), size(count), _stream(stream))


# --- streams --------------------------------------------------------------------------------------------------------


@runtime_entry(outputs=1)
def cudaStreamCreate() -> cudaStream_t:
    """A blocking stream: it waits for the default stream, and that for it."""
    return cudaStream_t(_device().stream_create(cudaStreamDefault))


@runtime_entry(outputs=1)
def cudaStreamCreateWithFlags(flags: Any) -> cudaStream_t:
    return cudaStream_t(_device().stream_create(need_flags(flags, 1, "cudaStreamCreateWithFlags")))


@runtime_entry(outputs=1)
def cudaStreamCreateWithPriority(flags: Any, priority: Any) -> cudaStream_t:
    """Priorities are of no consequence here."""
    integer(priority)
    return cudaStream_t(_device().stream_create(need_flags(flags, 1, "cudaStreamCreateWithPriority")))


@runtime_entry(outputs=2)
def cudaDeviceGetStreamPriorityRange() -> tuple[int, int]:
    """(least, greatest): the simulated device has one priority."""
    return 0, 0


@runtime_entry()
def cudaStreamDestroy(stream: Any) -> None:
    """Its work goes on to the end."""
    _device().stream_destroy(_stream(stream))


@runtime_entry()
def cudaStreamSynchronize(stream: Any) -> None:
    _device().stream_synchronize(_stream(stream))


@runtime_entry()
def cudaStreamQuery(stream: Any) -> None:
    """cudaErrorNotReady while there is work left; asking lets work complete."""
    if not _device().stream_query(_stream(stream)):
        raise DeviceError("CUDA_ERROR_NOT_READY", "the stream has work left")


@runtime_entry()
def cudaStreamWaitEvent(stream: Any, event: Any, flags: Any) -> None:
    need_no_flags(flags, "cudaStreamWaitEvent")
    _device().stream_wait_event(_stream(stream), integer(event))


def need_no_flags(flags: Any, name: str) -> None:
    if integer(flags) == 1:
        raise DeviceError(
            "CUDA_ERROR_ILLEGAL_STATE", f"{name}: an external event belongs to a capture; expected flags of 0"
        )
    need_flags(flags, 0, name)


def need_flags(flags: Any, known: int, name: str) -> int:
    """`flags` as an int; raises where bits are set that `known` does not have."""
    number = integer(flags)
    if number & ~known:
        raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"{name}: there are no flags {number}")
    return number


# --- events ---------------------------------------------------------------------------------------------------------


@runtime_entry(outputs=1)
def cudaEventCreate() -> cudaEvent_t:
    return cudaEvent_t(_device().event_create(cudaEventDefault))


@runtime_entry(outputs=1)
def cudaEventCreateWithFlags(flags: Any) -> cudaEvent_t:
    return cudaEvent_t(_device().event_create(need_flags(flags, 7, "cudaEventCreateWithFlags")))


@runtime_entry()
def cudaEventRecord(event: Any, stream: Any) -> None:
    _device().event_record(integer(event), _stream(stream))


@runtime_entry()
def cudaEventRecordWithFlags(event: Any, stream: Any, flags: Any) -> None:
    need_no_flags(flags, "cudaEventRecordWithFlags")
    _device().event_record(integer(event), _stream(stream))


@runtime_entry()
def cudaEventSynchronize(event: Any) -> None:
    _device().event_synchronize(integer(event))


@runtime_entry()
def cudaEventQuery(event: Any) -> None:
    """cudaErrorNotReady until the event has come; asking lets work complete."""
    if not _device().event_query(integer(event)):
        raise DeviceError("CUDA_ERROR_NOT_READY", "the event has not come yet")


@runtime_entry(outputs=1)
def cudaEventElapsedTime(start: Any, end: Any) -> float:
    """Milliseconds between two events: this machine's, not a GPU's."""
    return float(_device().event_elapsed(integer(start), integer(end)))


@runtime_entry()
def cudaEventDestroy(event: Any) -> None:
    _device().event_destroy(integer(event))


# --- capture and graphs ---------------------------------------------------------------------------------------------


@runtime_entry()
def cudaStreamBeginCapture(stream: Any, mode: Any) -> None:
    """From now on the stream collects work for a graph instead of doing it."""
    graphs.begin_capture(_stream(stream), integer(mode))


@runtime_entry(outputs=1)
def cudaStreamEndCapture(stream: Any) -> cudaGraph_t:
    return cudaGraph_t(graphs.end_capture(_stream(stream)))


@runtime_entry(outputs=1)
def cudaStreamIsCapturing(stream: Any) -> Any:
    return cudaStreamCaptureStatus(_device().stream_capture_status(_stream(stream)))


@runtime_entry(outputs=1)
def cudaGraphInstantiate(graph: Any, flags: Any) -> cudaGraphExec_t:
    """What can be launched. The flags are of no consequence here."""
    integer(flags)
    return cudaGraphExec_t(_device().graph_instantiate(integer(graph)))


@runtime_entry(outputs=1)
def cudaGraphInstantiateWithFlags(graph: Any, flags: Any) -> cudaGraphExec_t:
    integer(flags)
    return cudaGraphExec_t(_device().graph_instantiate(integer(graph)))


@runtime_entry()
def cudaGraphLaunch(graphExec: Any, stream: Any) -> None:
    _device().graph_launch(integer(graphExec), _stream(stream))


@runtime_entry()
def cudaGraphUpload(graphExec: Any, stream: Any) -> None:
    """On a GPU it prepares the first launch; here there is nothing to prepare."""
    _stream(stream), integer(graphExec)


@runtime_entry()
def cudaGraphDestroy(graph: Any) -> None:
    _device().graph_destroy(integer(graph))


@runtime_entry()
def cudaGraphExecDestroy(graphExec: Any) -> None:
    _device().graph_exec_destroy(integer(graphExec))


@runtime_entry(outputs=2)
def cudaGraphGetNodes(graph: Any, numNodes: Any = 0) -> tuple[list[cudaGraphNode_t], int]:
    """(nodes, how many): with the default no nodes, only how many there are."""
    return graphs.nodes(integer(graph), size(numNodes), cudaGraphNode_t)


@runtime_entry(outputs=1)
def cudaGraphNodeGetType(node: Any) -> Any:
    return cudaGraphNodeType(graphs.node_type(integer(node)))


__getattr__ = entry.not_offered(
    "runtime",
    {
        "cudaMallocManaged": "Use cudaMalloc and cudaMemcpyAsync.",
        "cudaMallocPitch": "Use cudaMalloc, with a pitch of your own.",
        "cudaHostRegister": "Use cudaMallocHost: its memory is pinned from the start.",
        "cudaHostUnregister": "Use cudaMallocHost and cudaFreeHost.",
        "cudaMemcpyPeer": "There is one device: use cudaMemcpyAsync.",
        "cudaMemcpy3D": "Use cudaMemcpy2DAsync.",
        "cudaLaunchHostFunc": "Record an event, and wait for it with cudaEventSynchronize.",
        "cudaStreamAddCallback": "Record an event, and wait for it with cudaEventSynchronize.",
        "cudaGraphAdd": "Capture a stream: cudaStreamBeginCapture and cudaStreamEndCapture.",
        "cudaGraphExecUpdate": "Instantiate the new graph: cudaGraphInstantiate.",
        "cudaLaunchKernel": "It runs TensorRT engines, and no kernels.",
    },
)
