"""Enums and handles of `cuda.bindings`, as far as the simulator's functions take or return them.

Names and numbers are those of cuda-bindings 13.4.4; a test compares them where that package is installed.
"""

from __future__ import annotations

import ctypes
import operator
from typing import Any

from .enumeration import make

# --- runtime --------------------------------------------------------------------------------------------------------

cudaMemcpyKind = make(
    "cudaMemcpyKind",
    "runtime",
    {
        "cudaMemcpyHostToHost": 0,
        "cudaMemcpyHostToDevice": 1,
        "cudaMemcpyDeviceToHost": 2,
        "cudaMemcpyDeviceToDevice": 3,
        "cudaMemcpyDefault": 4,
    },
)
cudaMemoryType = make(
    "cudaMemoryType",
    "runtime",
    {
        "cudaMemoryTypeUnregistered": 0,
        "cudaMemoryTypeHost": 1,
        "cudaMemoryTypeDevice": 2,
        "cudaMemoryTypeManaged": 3,
    },
)
cudaStreamCaptureMode = make(
    "cudaStreamCaptureMode",
    "runtime",
    {
        "cudaStreamCaptureModeGlobal": 0,
        "cudaStreamCaptureModeThreadLocal": 1,
        "cudaStreamCaptureModeRelaxed": 2,
    },
)
cudaStreamCaptureStatus = make(
    "cudaStreamCaptureStatus",
    "runtime",
    {
        "cudaStreamCaptureStatusNone": 0,
        "cudaStreamCaptureStatusActive": 1,
        "cudaStreamCaptureStatusInvalidated": 2,
    },
)
cudaGraphNodeType = make(
    "cudaGraphNodeType",
    "runtime",
    {
        "cudaGraphNodeTypeKernel": 0,
        "cudaGraphNodeTypeMemcpy": 1,
        "cudaGraphNodeTypeMemset": 2,
        "cudaGraphNodeTypeHost": 3,
        "cudaGraphNodeTypeGraph": 4,
        "cudaGraphNodeTypeEmpty": 5,
        "cudaGraphNodeTypeWaitEvent": 6,
        "cudaGraphNodeTypeEventRecord": 7,
        "cudaGraphNodeTypeExtSemaphoreSignal": 8,
        "cudaGraphNodeTypeExtSemaphoreWait": 9,
        "cudaGraphNodeTypeMemAlloc": 10,
        "cudaGraphNodeTypeMemFree": 11,
        "cudaGraphNodeTypeConditional": 13,
        "cudaGraphNodeTypeReserved16": 16,
        "cudaGraphNodeTypeCount": 17,
    },
)
# Of the attributes those that hold of the simulated device; the others are a GPU's.
cudaDeviceAttr = make(
    "cudaDeviceAttr",
    "runtime",
    {
        "cudaDevAttrCanMapHostMemory": 19,
        "cudaDevAttrComputeMode": 20,
        "cudaDevAttrAsyncEngineCount": 40,
        "cudaDevAttrUnifiedAddressing": 41,
        "cudaDevAttrComputeCapabilityMajor": 75,
        "cudaDevAttrComputeCapabilityMinor": 76,
        "cudaDevAttrManagedMemory": 83,
        "cudaDevAttrMemoryPoolsSupported": 115,
    },
)

# --- driver ---------------------------------------------------------------------------------------------------------

CUdevice_attribute = make(
    "CUdevice_attribute",
    "driver",
    {
        "CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY": 19,
        "CU_DEVICE_ATTRIBUTE_COMPUTE_MODE": 20,
        "CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT": 40,
        "CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING": 41,
        "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR": 75,
        "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR": 76,
        "CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY": 83,
        "CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED": 115,
    },
)
NODE_KINDS = {"kernel": 0, "memcpy": 1, "memset": 2, "graph": 4}  # the device's words for them
ATTRIBUTES = {19: 1, 20: 0, 40: 2, 41: 1, 83: 0, 115: 1}  # compute capability is the device's to say

CUstream_flags = make("CUstream_flags", "driver", {"CU_STREAM_DEFAULT": 0, "CU_STREAM_NON_BLOCKING": 1})
CUevent_flags = make(
    "CUevent_flags",
    "driver",
    {
        "CU_EVENT_DEFAULT": 0,
        "CU_EVENT_BLOCKING_SYNC": 1,
        "CU_EVENT_DISABLE_TIMING": 2,
        "CU_EVENT_INTERPROCESS": 4,
    },
)
CUctx_flags = make(
    "CUctx_flags",
    "driver",
    {
        "CU_CTX_SCHED_AUTO": 0,
        "CU_CTX_SCHED_SPIN": 1,
        "CU_CTX_SCHED_YIELD": 2,
        "CU_CTX_SCHED_BLOCKING_SYNC": 4,
        "CU_CTX_SCHED_MASK": 7,
        "CU_CTX_MAP_HOST": 8,
    },
)
CUstreamCaptureMode = make(
    "CUstreamCaptureMode",
    "driver",
    {
        "CU_STREAM_CAPTURE_MODE_GLOBAL": 0,
        "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL": 1,
        "CU_STREAM_CAPTURE_MODE_RELAXED": 2,
    },
)
CUstreamCaptureStatus = make(
    "CUstreamCaptureStatus",
    "driver",
    {
        "CU_STREAM_CAPTURE_STATUS_NONE": 0,
        "CU_STREAM_CAPTURE_STATUS_ACTIVE": 1,
        "CU_STREAM_CAPTURE_STATUS_INVALIDATED": 2,
    },
)
CUgraphNodeType = make(
    "CUgraphNodeType",
    "driver",
    {
        "CU_GRAPH_NODE_TYPE_KERNEL": 0,
        "CU_GRAPH_NODE_TYPE_MEMCPY": 1,
        "CU_GRAPH_NODE_TYPE_MEMSET": 2,
        "CU_GRAPH_NODE_TYPE_HOST": 3,
        "CU_GRAPH_NODE_TYPE_GRAPH": 4,
        "CU_GRAPH_NODE_TYPE_EMPTY": 5,
        "CU_GRAPH_NODE_TYPE_WAIT_EVENT": 6,
        "CU_GRAPH_NODE_TYPE_EVENT_RECORD": 7,
        "CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL": 8,
        "CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT": 9,
        "CU_GRAPH_NODE_TYPE_MEM_ALLOC": 10,
        "CU_GRAPH_NODE_TYPE_MEM_FREE": 11,
        "CU_GRAPH_NODE_TYPE_BATCH_MEM_OP": 12,
        "CU_GRAPH_NODE_TYPE_CONDITIONAL": 13,
        "CU_GRAPH_NODE_TYPE_RESERVED_16": 16,
    },
)

# --- handles --------------------------------------------------------------------------------------------------------


class _Handle:
    """A pointer of the driver's, kept in memory of its own whose address is `getPtr()`."""

    __slots__ = ("_storage",)
    _shown = ""

    def __init__(self, init_value: Any = 0, _ptr: int = 0) -> None:
        if isinstance(init_value, _Handle):
            init_value = int(init_value)
        elif not hasattr(type(init_value), "__index__"):
            raise TypeError("an integer is required")
        self._storage = ctypes.c_uint64(operator.index(init_value))

    def getPtr(self) -> int:
        """Address of the handle itself, for C functions that write one."""
        return ctypes.addressof(self._storage)

    def __int__(self) -> int:
        return int(self._storage.value)

    def __repr__(self) -> str:
        return f"<{self._shown or type(self).__name__} {hex(int(self))}>"


class _Pointer(_Handle):
    __slots__ = ()

    def __index__(self) -> int:
        return int(self)

    def __eq__(self, other: object) -> bool:
        mine, its = type(self), type(other)  # a cudaStream_t is a CUstream
        return (issubclass(mine, its) or issubclass(its, mine)) and int(self) == int(other)  # type: ignore[call-overload]

    def __hash__(self) -> int:
        return hash(int(self))


class CUstream(_Pointer):
    __slots__ = ()
    _shown = "CUstream"


class CUevent(_Pointer):
    __slots__ = ()
    _shown = "CUevent"


class CUgraph(_Pointer):
    __slots__ = ()
    _shown = "CUgraph"


class CUgraphExec(_Pointer):
    __slots__ = ()
    _shown = "CUgraphExec"


class CUgraphNode(_Pointer):
    __slots__ = ()
    _shown = "CUgraphNode"


class CUcontext(_Pointer):
    __slots__ = ()
    _shown = "CUcontext"


class CUdevice(_Handle):
    """Two of one number are not equal, as in cuda-bindings: compare int(device)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<CUdevice {int(self)}>"


class CUdeviceptr(_Handle):
    """Two of one address are not equal, as in cuda-bindings: compare int(pointer)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<CUdeviceptr {int(self)}>"


class cudaStream_t(CUstream):
    __slots__ = ()


class cudaEvent_t(CUevent):
    __slots__ = ()


class cudaGraph_t(CUgraph):
    __slots__ = ()


class cudaGraphExec_t(CUgraphExec):
    __slots__ = ()


class cudaGraphNode_t(CUgraphNode):
    __slots__ = ()


for _name, _value in list(globals().items()):
    if isinstance(_value, type) and _name.startswith("cu"):
        _value.__module__ = "cuda.bindings.runtime"
    elif isinstance(_value, type) and _name.startswith("CU"):
        _value.__module__ = "cuda.bindings.driver"
