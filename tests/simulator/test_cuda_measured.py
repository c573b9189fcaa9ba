"""What CUDA itself returned, and what the simulated device returns to the same calls.

Measured on an NVIDIA H200 (driver R580, CUDA 13.0, cuda-bindings 13.3.1) on 2026-11-22, each case in a process of its
own, with two device allocations `p` and `q` and a pinned one `h` of 64 bytes, a stream `s` and an array `a`. A row has
the calls, the error of each, and, where the simulator says something else, what and why.
"""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest

from helpers.simulator import host
from helpers.simulator.frontends import contexts

MEASURED = {
    "nothing is allocated": (
        "r.cudaMalloc(0), r.cudaMallocHost(0), r.cudaHostAlloc(0, 0), r.cudaMallocAsync(0, s), d.cuMemAlloc(0),"
        " d.cuMemAllocAsync(0, s), d.cuMemHostAlloc(0, 0)",
        [0, 0, 0, 0, 1, 0, 0],
    ),
    "freed twice, and nothing freed": (
        "r.cudaFree(p), r.cudaFree(p), r.cudaFree(0), r.cudaFreeHost(h), r.cudaFreeHost(h), r.cudaFreeHost(0),"
        " d.cuMemFree(0), d.cuMemFreeHost(0), r.cudaFreeAsync(0, s), r.cudaFreeAsync(p, s), r.cudaGetLastError()",
        [0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1],
    ),
    "freed by another address": (
        "r.cudaFree(p + 8), r.cudaFreeHost(h + 8), r.cudaFree(h), r.cudaFreeHost(p), r.cudaFree(a.ctypes.data),"
        " r.cudaFreeHost(a.ctypes.data)",
        [1, 1, 1, 1, 1, 1],
    ),
    "no kind of copy": (
        "r.cudaMemcpy(p, a, 64, 9), r.cudaMemcpyAsync(p, a, 64, 9, s), r.cudaMemcpy(p, a, 0, 9)",
        [21, 21, 0],
    ),
    "nothing is copied": (
        "r.cudaMemcpy(5, 7, 0, 1), r.cudaMemset(5, 0, 0), d.cuMemcpyHtoD(5, a, 0), d.cuMemsetD8(5, 0, 0),"
        " r.cudaMemcpy2D(p, 4, a, 4, 0, 0, 1)",
        [0, 0, 0, 0, 0],
    ),
    "the kind does not fit": (
        "r.cudaMemcpy(a, p, 64, 1), r.cudaMemcpy(p, a, 64, 2), r.cudaMemcpy(p, a, 64, 3), r.cudaGetLastError()",
        [1, 1, 1, 1],
    ),
    "the kind does not fit, and CUDA goes by the addresses": (
        "r.cudaMemcpy(p, q, 64, 1), r.cudaMemcpy(p, q, 64, 0), r.cudaMemcpy(a, p, 64, 0), r.cudaDeviceSynchronize()",
        [0, 0, 0, 0],
        [1, 1, 1, 0],
        "CUDA's reference calls it undefined; here it is refused",
    ),
    "more than there is": (
        "r.cudaMemcpy(p, np.zeros(1 << 20, np.uint8), 1 << 20, 1), r.cudaMemcpy(p, h, 1 << 22, 1), r.cudaMemcpy(p, a, 96, 1)",
        [1, 1, 1],
    ),
    "bad device addresses": (
        "r.cudaMemcpy(0xDEAD00, a, 64, 1), r.cudaMemset(0xDEAD00, 0, 64), r.cudaMemsetAsync(0xDEAD00, 0, 64, s),"
        " r.cudaStreamSynchronize(s), r.cudaMemcpy(0xDEAD00, p, 64, 3), r.cudaMemcpy(a, 0xDEAD00, 64, 2), r.cudaMemcpy(0, a, 64, 1)",
        [1, 1, 1, 0, 1, 1, 1],
    ),
    "by the addresses": (
        "r.cudaMemcpy(p, a, 64, 4), r.cudaMemcpy(h, p, 64, 4), r.cudaMemcpy(a, h, 64, 4), r.cudaMemcpy(p, q, 64, 4)",
        [0, 0, 0, 0],
    ),
    "pitches": (
        "r.cudaMemcpy2D(p, 2, a, 16, 4, 4, 1), r.cudaMemcpy2D(p, 16, a, 2, 4, 4, 1), r.cudaMemcpy2D(p, 16, a, 16, 8, 1, 1),"
        " r.cudaMemcpy2D(p, 4, a, 4, 8, 1, 1), r.cudaMemcpy2D(p, 16, a, 16, 16, 8, 1)",
        [12, 12, 0, 1, 1],
    ),
    "the default streams": (
        "r.cudaStreamDestroy(0), r.cudaStreamDestroy(None), r.cudaStreamSynchronize(0), r.cudaStreamSynchronize(1)",
        [400, 400, 0, 0],
    ),
    "a thread's default stream": (
        "r.cudaStreamSynchronize(2), r.cudaStreamQuery(2)",
        [0, 0],
        [801, 801],
        "the simulated device has none",
    ),
    "a destroyed event": (
        "r.cudaEventDestroy(e), r.cudaEventRecord(e, s), r.cudaEventQuery(e)",
        [0, 709, 709],
        [0, 400, 400],
        "undefined in CUDA; 400 is what it says of a handle that it knows to be stale",
    ),
    "an event that was never recorded": (
        "r.cudaEventQuery(e), r.cudaEventSynchronize(e), r.cudaStreamWaitEvent(s, e, 0), r.cudaEventElapsedTime(e, f)",
        [0, 0, 0, 400],
    ),
    "flags that do not exist": (
        "r.cudaStreamWaitEvent(s, e, 7), r.cudaEventRecordWithFlags(e, s, 1), r.cudaEventCreateWithFlags(99),"
        " r.cudaStreamCreateWithFlags(99), r.cudaHostAlloc(8, 99)",
        [1, 401, 1, 1, 1],
    ),
    "an event without a clock": (
        "r.cudaEventRecord(n, s), r.cudaEventRecord(f, s), r.cudaStreamSynchronize(s), r.cudaEventElapsedTime(n, f)",
        [0, 0, 0, 400],
    ),
    "another device": (
        "r.cudaSetDevice(7), r.cudaGetDeviceProperties(7), r.cudaDeviceGetAttribute(75, 7), r.cudaDeviceGetAttribute(9999, 0)",
        [101, 101, 101, 1],
    ),
    "what an address is": (
        "[x[1].type for x in map(r.cudaPointerGetAttributes, (p + 8, h + 8, a.ctypes.data, 0))],"
        " [r.cudaPointerGetAttributes(a.ctypes.data)[1].device], r.cudaFree(p), [r.cudaPointerGetAttributes(p)[1].type]",
        [[2, 1, 0, 0], [-2], 0, [0]],
    ),
    "where an allocation is": (
        "d.cuMemGetAddressRange(p + 8), [int(d.cuMemGetAddressRange(p + 8)[1]) - p, d.cuMemGetAddressRange(h + 8)[2]],"
        " d.cuMemGetAddressRange(a.ctypes.data)",
        [0, [0, 64], 500],
    ),
    "names of errors": (
        "r.cudaGetErrorName(12345), d.cuGetErrorName(12345), d.cuGetErrorString(12345), [d.cuGetErrorString(201)[1]],"
        " [d.cuGetErrorString(709)[1]], [d.cuGetErrorString(202)[1]], [d.cuGetErrorString(916)[1]]",
        [
            0,
            1,
            1,
            [b"invalid device context"],
            [b"context is destroyed"],
            [b"context already current"],
            [b"an error happened during the key rotation sequence"],
        ],
    ),
    "the driver's contexts": (
        "d.cuInit(1), d.cuDeviceGet(7), [d.cuDeviceGetName(5, 0)[1][4:]], d.cuCtxPopCurrent(), [int(d.cuCtxGetCurrent()[1])],"
        " d.cuMemAlloc(8), d.cuCtxPopCurrent(), d.cuCtxPushCurrent(0), d.cuCtxSetCurrent(0), d.cuCtxGetDevice(),"
        " r.cudaMalloc(8), [int(d.cuCtxGetCurrent()[1]) > 0], d.cuCtxDestroy(0), d.cuDeviceGetAttribute(9999, 0)",
        [1, 101, [b"\0"], 0, [0], 201, 201, 1, 0, 201, 0, [True], 1, 1],
    ),
    "a context of its own": (
        "d.cuCtxCreate(None, 0, 0), r.cudaMalloc(8), d.cuCtxDestroy(d.cuCtxGetCurrent()[1]), d.cuMemAlloc(8), r.cudaMalloc(8)",
        [0, 0, 0, 0, 0],
    ),
    "a context that was current twice": (
        "c := d.cuCtxCreate(None, 0, 0)[1], d.cuCtxPushCurrent(c), d.cuCtxDestroy(c), d.cuMemAlloc(8), r.cudaMalloc(8), d.cuCtxDestroy(c)",
        [None, 0, 0, 709, 201, 709],
    ),
    "the primary context released": (
        "d.cuDevicePrimaryCtxRelease(0), d.cuDevicePrimaryCtxRelease(0), r.cudaMemcpy(a, p, 64, 2), r.cudaMalloc(8)",
        [0, 201, 1, 0],
    ),
    "the primary context reset": (
        "d.cuDevicePrimaryCtxReset(0), r.cudaMemcpy(a, p, 64, 2), r.cudaMalloc(8), r.cudaStreamSynchronize(s)",
        [0, 1, 0, 400],
    ),
    "the device reset": (
        "r.cudaDeviceReset(), r.cudaMemcpy(a, p, 64, 2), r.cudaFree(p), r.cudaMalloc(8), r.cudaGetLastError()",
        [0, 1, 1, 0, 1],
    ),
    "no graph": (
        "r.cudaGraphLaunch(0, s), r.cudaGraphInstantiate(0, 0), r.cudaGraphDestroy(0), r.cudaGraphExecDestroy(0), r.cudaGraphGetNodes(0)",
        [1, 1, 1, 1, 1],
    ),
    "a capture of two": (
        "r.cudaStreamBeginCapture(s, 0), r.cudaStreamBeginCapture(s, 0), r.cudaMemcpyAsync(p, h, 64, 1, s), r.cudaMemsetAsync(q, 0, 64, s),"
        " r.cudaStreamIsCapturing(0), [r.cudaStreamIsCapturing(s)[1]], g := r.cudaStreamEndCapture(s)[1], [r.cudaGraphGetNodes(g)[2]],"
        " [r.cudaGraphNodeGetType(n)[1] for n in r.cudaGraphGetNodes(g, 2)[1]], [len(r.cudaGraphGetNodes(g, 9)[1])],"
        " r.cudaGraphNodeGetType(r.cudaGraphGetNodes(g, 9)[1][8]), [r.cudaGraphGetNodes(g, 1)[2]]",
        [0, 401, 0, 0, 906, [1], None, [2], [1, 2], [9], 1, [1]],
    ),
    "a graph that was destroyed": (
        "r.cudaStreamBeginCapture(s, 0), r.cudaMemcpyAsync(p, h, 64, 1, s), g := r.cudaStreamEndCapture(s)[1],"
        " x := r.cudaGraphInstantiate(g, 0)[1], r.cudaGraphExecDestroy(x), r.cudaGraphLaunch(x, s), r.cudaGraphDestroy(g),"
        " r.cudaGraphInstantiate(g, 0)",
        [0, 0, None, None, 0, 1, 0, 1],
    ),
    "no capture": (
        "r.cudaStreamEndCapture(s), r.cudaStreamBeginCapture(0, 0), r.cudaStreamBeginCapture(s, 9)",
        [401, 900, 1],
    ),
    "a capture ended by another thread": (
        "r.cudaStreamBeginCapture(s, 0), elsewhere(lambda: r.cudaStreamEndCapture(s)), [r.cudaStreamIsCapturing(s)[1]], r.cudaStreamEndCapture(s)",
        [0, 908, [0], 401],
    ),
    "a relaxed capture ended by another thread": (
        "r.cudaStreamBeginCapture(s, 2), elsewhere(lambda: r.cudaStreamEndCapture(s)), [r.cudaStreamIsCapturing(s)[1]]",
        [0, 0, [0]],
    ),
    "memory runs out": (
        "r.cudaMalloc(1 << 60), d.cuMemAlloc(1 << 60), r.cudaMallocHost(1 << 50), r.cudaGetLastError()",
        [2, 2, 2, 2],
    ),
    "an array that must not be written": (
        "r.cudaMemcpy(a[:].view(), p, 64, 2), a.setflags(write=False), r.cudaMemcpy(a, p, 64, 2)",
        [0, None, 0],
        [0, None, 1],
        "CUDA writes into it",
    ),
    "arrays of one element": (
        "r.cudaMemcpy(p, np.zeros((), np.float32), 4, 1), r.cudaMemcpy(p, np.zeros(1, np.float32), 4, 1)",
        [1, 0],
    ),
    "freed while a copy is pending": (
        "r.cudaMemcpyAsync(p, h, 64, 1, s), r.cudaFree(p), r.cudaFreeHost(h), r.cudaStreamDestroy(s)",
        [0, 0, 0, 0],
    ),
    "pinned memory is set": (
        "r.cudaMemset(h, 0, 64), r.cudaMemset(a.ctypes.data, 0, 64), d.cuMemsetD8(h, 0, 64)",
        [0, 1, 0],
    ),
    "on the default stream": (
        "r.cudaMemcpyAsync(p, a, 64, 1, 0), r.cudaMemcpyAsync(p, h, 64, 1, None), r.cudaDeviceSynchronize(), r.cudaStreamQuery(0)",
        [0, 0, 0, 0],
    ),
    "a host pointer that is none": (
        "r.cudaMemcpy(p, 8, 64, 1), r.cudaMemcpy(8, p, 64, 2), r.cudaMemcpyAsync(p, 8, 64, 1, s)",
        "the process dies of SIGSEGV",
        [1, 1, 1],
        "nobody's kernel must die of a number",
    ),
    "a stream that is none": (
        "r.cudaStreamSynchronize(12345)",
        "the process dies of SIGSEGV",
        [400],
        "nobody's kernel must die of a number",
    ),
}


def elsewhere(call):
    """What `call` returns in another thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


@pytest.fixture
def names(trt, monkeypatch):
    """What the calls are written with, on a fresh device and as in a fresh process."""
    from cuda.bindings import driver, runtime

    for name, value in {"_users": {}, "_thread": threading.local(), "_runtime_uses_primary": False}.items():
        monkeypatch.setattr(contexts, name, value)
    host.use("process")
    runtime.cudaGetLastError()
    yield {
        "r": runtime,
        "d": driver,
        "np": np,
        "elsewhere": elsewhere,
        "p": runtime.cudaMalloc(64)[1],
        "q": runtime.cudaMalloc(64)[1],
        "h": runtime.cudaMallocHost(64)[1],
        "s": runtime.cudaStreamCreate()[1],
        "a": np.zeros(16, np.float32),
        "e": runtime.cudaEventCreate()[1],
        "f": runtime.cudaEventCreate()[1],
        "n": runtime.cudaEventCreateWithFlags(runtime.cudaEventDisableTiming)[1],
    }
    runtime.cudaDeviceReset()
    host.use("process")


@pytest.mark.parametrize("what", MEASURED)
def test_it_returns_what_cuda_returned(names, what):
    calls, measured, *ours = MEASURED[what]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = eval(f"[{calls}]", names)
    got = [
        result[0] if isinstance(result, tuple) else result if isinstance(result, list) else None for result in results
    ]
    assert got == (ours[0] if ours else measured)
    assert not ours or (ours[0] != measured and ours[1]), "a difference that is none"
