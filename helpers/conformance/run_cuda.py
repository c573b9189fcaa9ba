"""Run cases: streams, events, device and pinned memory, copies, and what CUDA says of mistakes, through pycuda."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np

from .case import Ground
from .run_kit import DRIVER, PROMISE, PYCUDA, SIMULATOR, Bench, Table, attempt, kind, pinned, ready, rows, text

case = Table()

SYNC = DRIVER + "API synchronization behavior; "
STREAMS = DRIVER + "stream synchronization behavior; "
ONE, TWO = np.array([1, 2], np.float32), np.array([7, 8], np.float32)


# --- streams and events ---


@case("stream-in-order", "[7.0, 8.0]", source=STREAMS + "operations of one stream run in order")
def _(g: Ground) -> Any:
    """Two copies to one place in one stream: the second one's bytes stay."""
    stream, device = g.cuda.Stream(), g.cuda.mem_alloc(8)
    for source in (pinned(g, ONE), pinned(g, TWO)):
        g.cuda.memcpy_htod_async(device, source, stream)
    stream.synchronize()
    return text(g.cuda.from_device(device, 2, np.float32).tolist())


@case("stream-idle-is-done", "True", source=DRIVER + "cuStreamQuery")
def _(g: Ground) -> Any:
    """A stream without work is done."""
    return text(g.cuda.Stream().is_done())


@case("stream-query-loop", "(True, [1.0, 2.0])", source=DRIVER + "cuStreamQuery")
def _(g: Ground) -> Any:
    """Asking until a stream is done ends, and then the copy is there."""
    stream, device = g.cuda.Stream(), g.cuda.mem_alloc(8)
    result = pinned(g, np.zeros(2, np.float32))
    g.cuda.memcpy_htod_async(device, pinned(g, ONE), stream)
    g.cuda.memcpy_dtoh_async(result, device, stream)
    for _ in range(1_000_000):
        if stream.is_done():
            return text((True, result.tolist()))
    return "never done"


@case("event-query-loop", "(True, [1.0, 2.0])", source=DRIVER + "cuEventQuery")
def _(g: Ground) -> Any:
    """Asking an event until it is complete ends, and what came before it is there."""
    stream, device = g.cuda.Stream(), g.cuda.mem_alloc(8)
    result = pinned(g, np.zeros(2, np.float32))
    g.cuda.memcpy_htod_async(device, pinned(g, ONE), stream)
    g.cuda.memcpy_dtoh_async(result, device, stream)
    event = g.cuda.Event().record(stream)
    for _ in range(1_000_000):
        if event.query():
            return text((True, result.tolist()))
    return "never complete"


@case(
    "event-never-recorded-is-complete",
    "(True, None)",
    source=DRIVER + "cuEventQuery, cuEventSynchronize: not recorded is complete",
)
def _(g: Ground) -> Any:
    """An event that was never recorded is complete; waiting for it returns."""
    event = g.cuda.Event()
    done = event.query()
    return text((done, None if event.synchronize() is event else "no event"))


@case(
    "wait-for-an-event-never-recorded", "True", source=DRIVER + "cuStreamWaitEvent, cuEventRecord: acts as if complete"
)
def _(g: Ground) -> Any:
    """A stream that waits for an event that was never recorded goes on."""
    stream = g.cuda.Stream(flags=1)
    stream.wait_for_event(g.cuda.Event())
    stream.synchronize()
    return text(stream.is_done())


@case("event-orders-streams", "[1.0, 2.0]", source=DRIVER + "cuStreamWaitEvent")
def _(g: Ground) -> Any:
    """A second stream, non-blocking, reads what the first wrote because it waits for its event."""
    first, second = g.cuda.Stream(flags=1), g.cuda.Stream(flags=1)
    middle, target = g.cuda.to_device(TWO), pinned(g, np.zeros(2, np.float32))
    g.cuda.memcpy_htod_async(middle, pinned(g, ONE), first)
    second.wait_for_event(g.cuda.Event().record(first))
    g.cuda.memcpy_dtoh_async(target, middle, second)
    second.synchronize()
    return text(target.tolist())


@case(
    "event-recorded-again",
    "[1.0, 2.0]",
    source=DRIVER + "cuStreamWaitEvent: the most recent record at the time of the call",
)
def _(g: Ground) -> Any:
    """A wait is for the record that was there when it was called, not for a later one."""
    first, second, third = (g.cuda.Stream(flags=1) for _ in range(3))
    middle, target, event = g.cuda.to_device(TWO), pinned(g, np.zeros(2, np.float32)), g.cuda.Event()
    g.cuda.memcpy_htod_async(middle, pinned(g, ONE), first)
    event.record(first)
    second.wait_for_event(event)
    event.record(third)
    g.cuda.memcpy_dtoh_async(target, middle, second)
    second.synchronize()
    return text(target.tolist())


@case(
    "event-object-before-its-wait",
    "[1.0, 2.0]",
    source=DRIVER + "cuEventDestroy: may be destroyed before it is complete",
)
def _(g: Ground) -> Any:
    """An event that is collected after the wait was enqueued still orders."""
    first, second = g.cuda.Stream(flags=1), g.cuda.Stream(flags=1)
    middle, target = g.cuda.to_device(TWO), pinned(g, np.zeros(2, np.float32))
    g.cuda.memcpy_htod_async(middle, pinned(g, ONE), first)
    event = g.cuda.Event().record(first)
    second.wait_for_event(event)
    del event
    gc.collect()
    g.cuda.memcpy_dtoh_async(target, middle, second)
    second.synchronize()
    return text(target.tolist())


@case(
    "streams-without-order",
    "[7.0, 8.0]",
    source=PROMISE + "a non-blocking stream that waits for nothing has not seen the other's work",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """Without the event the second stream reads what was there before."""
    first, second = g.cuda.Stream(flags=1), g.cuda.Stream(flags=1)
    middle, target = g.cuda.to_device(TWO), pinned(g, np.zeros(2, np.float32))
    g.cuda.memcpy_htod_async(middle, pinned(g, ONE), first)
    g.cuda.memcpy_dtoh_async(target, middle, second)
    second.synchronize()
    return text(target.tolist())


@case("default-stream-waits-for-blocking", "[1.0, 2.0]", source=STREAMS + "legacy default stream")
def _(g: Ground) -> Any:
    """Work of the legacy default stream comes after what a blocking stream has."""
    stream, device, target = g.cuda.Stream(), g.cuda.to_device(TWO), pinned(g, np.zeros(2, np.float32))
    g.cuda.memcpy_htod_async(device, pinned(g, ONE), stream)
    g.cuda.memcpy_dtoh_async(target, device)
    g.cuda.Event().record().synchronize()
    return text(target.tolist())


@case("blocking-waits-for-default-stream", "[1.0, 2.0]", source=STREAMS + "legacy default stream")
def _(g: Ground) -> Any:
    """A blocking stream's work comes after what the legacy default stream has."""
    stream, device, target = g.cuda.Stream(), g.cuda.to_device(TWO), pinned(g, np.zeros(2, np.float32))
    g.cuda.memcpy_htod_async(device, pinned(g, ONE))
    g.cuda.memcpy_dtoh_async(target, device, stream)
    stream.synchronize()
    return text(target.tolist())


@case(
    "non-blocking-ignores-default-stream",
    "[7.0, 8.0]",
    source=PROMISE + "CU_STREAM_NON_BLOCKING has no order with the legacy default stream",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A non-blocking stream does not wait for the legacy default stream."""
    stream, device, target = g.cuda.Stream(flags=1), g.cuda.to_device(TWO), pinned(g, np.zeros(2, np.float32))
    g.cuda.memcpy_htod_async(device, pinned(g, ONE))
    g.cuda.memcpy_dtoh_async(target, device, stream)
    stream.synchronize()
    return text(target.tolist())


@case("context-synchronize-waits-for-all", "([1.0, 2.0], [7.0, 8.0])", source=DRIVER + "cuCtxSynchronize")
def _(g: Ground) -> Any:
    """Context.synchronize waits for every stream."""
    targets = [pinned(g, np.zeros(2, np.float32)) for _ in range(2)]
    kept = [g.cuda.to_device(array) for array in (ONE, TWO)]
    for flags, device, target in zip((0, 1), kept, targets, strict=True):
        g.cuda.memcpy_dtoh_async(target, device, g.cuda.Stream(flags=flags))
    g.cuda.Context.synchronize()
    return text(tuple(target.tolist() for target in targets))


# --- times ---


@case("elapsed-time", "(True, True)", source=DRIVER + "cuEventElapsedTime")
def _(g: Ground) -> Any:
    """Between two events lies no negative time; time_since is time_till from the other side."""
    stream, start, end = g.cuda.Stream(), g.cuda.Event(), g.cuda.Event()
    device = g.cuda.mem_alloc(1 << 20)
    start.record(stream)
    g.cuda.memcpy_htod_async(device, pinned(g, np.zeros(1 << 20, np.uint8)), stream)
    end.record(stream)
    end.synchronize()
    return text((start.time_till(end) >= 0, start.time_till(end) == end.time_since(start)))


@case(
    "elapsed-time-not-recorded",
    "LogicError: cuEventElapsedTime failed: invalid resource handle",
    source=DRIVER + "cuEventElapsedTime",
)
def _(g: Ground) -> Any:
    """The time between events that were not recorded."""
    return attempt(g.cuda.Event().time_till, g.cuda.Event())


@case(
    "elapsed-time-not-ready",
    "RuntimeError: cuEventElapsedTime failed: device not ready",
    source=DRIVER + "cuEventElapsedTime; when it is not ready on a GPU is a matter of time, on the simulator always",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """The time to an event that was recorded and has not completed."""
    stream, device = g.cuda.Stream(), g.cuda.mem_alloc(8)
    start = g.cuda.Event().record(stream)
    g.cuda.memcpy_htod_async(device, pinned(g, ONE), stream)
    return attempt(start.time_till, g.cuda.Event().record(stream))


@case(
    "elapsed-time-disabled",
    "LogicError: cuEventElapsedTime failed: invalid resource handle",
    source=DRIVER + "cuEventElapsedTime: an event made with CU_EVENT_DISABLE_TIMING",
)
def _(g: Ground) -> Any:
    """Events that were made without timing have none."""
    start, end = (g.cuda.Event(g.cuda.event_flags.DISABLE_TIMING).record() for _ in range(2))
    end.synchronize()
    return attempt(start.time_till, end)


# --- copies ---


@case("copy-round-trip", "[True, True, True, True, True]", source=DRIVER + "cuMemcpyHtoD, cuMemcpyDtoH")
def _(g: Ground) -> Any:
    """What is copied to the device comes back, in every dtype."""
    seen = []
    for dtype in (np.float16, np.float32, np.int32, np.int64, np.uint8):
        array = np.arange(12).astype(dtype)
        seen.append(bool((g.cuda.from_device(g.cuda.to_device(array), 12, dtype) == array).all()))
    return text(seen)


@case("copy-within-the-device", "[1.0, 2.0]", source=DRIVER + "cuMemcpyDtoD; a blocking copy after it sees its result")
def _(g: Ground) -> Any:
    """A copy from device to device."""
    source, target = g.cuda.to_device(ONE), g.cuda.to_device(TWO)
    g.cuda.memcpy_dtod(target, source, 8)
    return text(g.cuda.from_device(target, 2, np.float32).tolist())


@case("copy-of-a-part", "[1.0, 2.0, 7.0, 8.0]", source=DRIVER + "cuMemcpyHtoD: an address within an allocation")
def _(g: Ground) -> Any:
    """An address plus an offset is an address."""
    device = g.cuda.to_device(np.zeros(4, np.float32))
    g.cuda.memcpy_htod(int(device), ONE)
    g.cuda.memcpy_htod(int(device) + 8, TWO)
    return text(g.cuda.from_device(device, 4, np.float32).tolist())


@case("copy-with-pitch", "[0, 1, 4, 5, 8, 9]", source=DRIVER + "cuMemcpy2D; pycuda, Memcpy2D")
def _(g: Ground) -> Any:
    """Memcpy2D takes two columns out of four of a device array."""
    device, target = g.cuda.to_device(np.arange(12, dtype=np.int32)), np.zeros((3, 2), np.int32)
    copy = g.cuda.Memcpy2D()
    copy.set_src_device(int(device))
    copy.set_dst_host(target)
    copy.src_pitch, copy.dst_pitch, copy.width_in_bytes, copy.height = 16, 8, 8, 3
    copy(aligned=True)
    return text(target.ravel().tolist())


@case("copy-with-pitch-to-the-device", "[0, 0, 9, 9, 0, 0, 9, 9]", source=DRIVER + "cuMemcpy2DAsync; pycuda, Memcpy2D")
def _(g: Ground) -> Any:
    """Memcpy2D on a stream writes two columns out of four and leaves the others."""
    device, stream = g.cuda.to_device(np.zeros(8, np.int32)), g.cuda.Stream()
    source = pinned(g, np.full(4, 9, np.int32))
    copy = g.cuda.Memcpy2D()
    copy.set_src_host(source)
    copy.set_dst_device(int(device))
    copy.src_pitch, copy.dst_pitch, copy.dst_x_in_bytes, copy.width_in_bytes, copy.height = 8, 16, 8, 8, 2
    copy(stream)
    stream.synchronize()
    return text(g.cuda.from_device(device, 8, np.int32).tolist())


@case("memset", "[9, 9, 5, 0]", source=DRIVER + "cuMemsetD32, cuMemsetD8Async")
def _(g: Ground) -> Any:
    """Memory is set in units of 32 and of 8 bits."""
    device, stream = g.cuda.to_device(np.zeros(4, np.int32)), g.cuda.Stream()
    g.cuda.memset_d32(device, 9, 2)
    g.cuda.memset_d8_async(int(device) + 8, 5, 1, stream)
    stream.synchronize()
    g.cuda.memset_d16(int(device) + 12, 0, 2)
    return text(g.cuda.from_device(device, 4, np.int32).tolist())


@case(
    "pageable-source-is-free-at-once", "[1.0, 2.0]", source=SYNC + "pageable memory is staged before the call returns"
)
def _(g: Ground) -> Any:
    """A pageable source may be overwritten when memcpy_htod_async has returned."""
    stream, device, source = g.cuda.Stream(), g.cuda.mem_alloc(8), ONE.copy()
    g.cuda.memcpy_htod_async(device, source, stream)
    source[:] = 0
    stream.synchronize()
    return text(g.cuda.from_device(device, 2, np.float32).tolist())


@case(
    "pageable-target-is-there-at-once",
    "[1.0, 2.0]",
    source=SYNC + "device to pageable: returns when the copy has completed",
)
def _(g: Ground) -> Any:
    """A copy to pageable memory is complete when memcpy_dtoh_async returns."""
    stream, device, target = g.cuda.Stream(), g.cuda.to_device(ONE), np.zeros(2, np.float32)
    g.cuda.memcpy_dtoh_async(target, device, stream)
    return text(target.tolist())


@case(
    "pinned-target-read-too-early",
    "([True, True], [1.0, 2.0])",
    source=PROMISE + "pinned memory holds poison until the copy has run",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A pinned target that is read before anything waited holds NaN, and after the wait the result."""
    stream, device, target = g.cuda.Stream(), g.cuda.to_device(ONE), pinned(g, np.zeros(2, np.float32))
    g.cuda.memcpy_dtoh_async(target, device, stream)
    early = np.isnan(target).tolist()
    stream.synchronize()
    return text((early, target.tolist()))


@case(
    "pinned-source-changed-too-early",
    "[7.0, 8.0]",
    source=PROMISE + "pinned memory is read when the copy runs",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A pinned source that is overwritten before anything waited is copied as it is then."""
    stream, device, source = g.cuda.Stream(), g.cuda.mem_alloc(8), pinned(g, ONE)
    g.cuda.memcpy_htod_async(device, source, stream)
    source[:] = TWO
    stream.synchronize()
    return text(g.cuda.from_device(device, 2, np.float32).tolist())


@case(
    "fresh-memory",
    "[True, True]",
    source=PROMISE + "device memory that was never written holds poison",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """Device memory that nobody wrote."""
    return text(np.isnan(g.cuda.from_device(g.cuda.mem_alloc(8), 2, np.float32)).tolist())


@case(
    "copy-of-strides",
    "ValueError: ndarray is not contiguous",
    source="NumPy's buffer protocol, which pycuda asks for a contiguous buffer",
)
def _(g: Ground) -> Any:
    """A copy of an array with strides."""
    device = g.cuda.mem_alloc(64)
    said = attempt(g.cuda.memcpy_htod, device, np.zeros((4, 4), np.float32)[:, 1])
    return "ValueError: ndarray is not contiguous" if "ndarray is not contiguous" in said else said


@case(
    "copy-to-a-host-pointer",
    "LogicError: cuMemcpyHtoD failed: invalid argument",
    source=DRIVER + "cuMemcpyHtoD: CUDA_ERROR_INVALID_VALUE; github.com/NVIDIA/TensorRT issue 1875",
)
def _(g: Ground) -> Any:
    """A NumPy pointer as a device address of a copy."""
    target = np.zeros(2, np.float32)
    return attempt(g.cuda.memcpy_htod, target.ctypes.data, ONE)


@case(
    "copy-error-does-not-stay",
    "(LogicError, [1.0, 2.0])",
    source=DRIVER + "CUresult: CUDA_ERROR_INVALID_VALUE leaves the context usable",
)
def _(g: Ground) -> Any:
    """After a copy that was refused, others work."""
    target = np.zeros(2, np.float32)
    said = kind(g.cuda.memcpy_htod, target.ctypes.data, ONE)
    return text((said, g.cuda.from_device(g.cuda.to_device(ONE), 2, np.float32).tolist()))


@case(
    "copy-beyond-the-end",
    "LogicError: cuMemcpyHtoD failed: invalid argument",
    source=PROMISE + "a copy must end within its allocation (a GPU knows pages only)",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A copy of more bytes than the buffer has."""
    return attempt(g.cuda.memcpy_htod, g.cuda.mem_alloc(8), np.zeros(4, np.float32))


# --- memory ---


@case("memory-comes-back", "(True, True, True)", source=DRIVER + "cuMemGetInfo, cuMemFree")
def _(g: Ground) -> Any:
    """Freed memory is free again; the total does not change."""
    free, total = g.cuda.mem_get_info()
    device = g.cuda.mem_alloc(64 << 20)
    taken = g.cuda.mem_get_info()[0] <= free - (64 << 20)
    device.free()
    again, same = g.cuda.mem_get_info()
    return text((taken, again == free, same == total))


@case("collected-memory-comes-back", "True", source="pycuda, DeviceAllocation: freed when it is collected")
def _(g: Ground) -> Any:
    """Memory whose object is collected is free again."""
    free = g.cuda.mem_get_info()[0]
    device = g.cuda.mem_alloc(64 << 20)
    del device
    gc.collect()
    return text(g.cuda.mem_get_info()[0] == free)


@case(
    "memory-runs-out",
    "MemoryError: cuMemAlloc failed: out of memory",
    source=DRIVER + "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY",
)
def _(g: Ground) -> Any:
    """More memory than the device has."""
    return attempt(g.cuda.mem_alloc, g.cuda.mem_get_info()[1] + 1)


@case(
    "memory-out-is-not-the-end",
    "(MemoryError, [1.0, 2.0])",
    source=DRIVER + "CUresult: out of memory leaves the context usable",
)
def _(g: Ground) -> Any:
    """After running out of memory, smaller requests work."""
    said = kind(g.cuda.mem_alloc, g.cuda.mem_get_info()[1] + 1)
    return text((said, g.cuda.from_device(g.cuda.to_device(ONE), 2, np.float32).tolist()))


@case(
    "memory-of-a-small-device",
    "(1073741824, MemoryError: cuMemAlloc failed: out of memory, True)",
    source="issue's memory item: a configurable device size runs out with CUDA's own error; docs/simulator.md",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A device of 1 GiB holds two thirds of it once; when that is freed it fits again."""
    g.device(memory=1 << 30)
    total = g.cuda.mem_get_info()[1]
    kept = g.cuda.mem_alloc(700 << 20)
    said = attempt(g.cuda.mem_alloc, 700 << 20)
    kept.free()
    return text((total, said, int(g.cuda.mem_alloc(700 << 20)) > 0))


@case(
    "memory-of-nothing",
    "LogicError: cuMemAlloc failed: invalid argument",
    source=DRIVER + "cuMemAlloc: bytesize 0 is CUDA_ERROR_INVALID_VALUE",
)
def _(g: Ground) -> Any:
    """Zero bytes of device memory."""
    return attempt(g.cuda.mem_alloc, 0)


@case("memory-is-aligned", "True", source="CUDA programming guide: at least 256 bytes")
def _(g: Ground) -> Any:
    """Allocations begin at multiples of 256."""
    return text(all(int(each) % 256 == 0 for each in [g.cuda.mem_alloc(n) for n in (1, 100, 1000)]))


@case(
    "memory-freed-twice",
    "LogicError: device_allocation::free failed: invalid resource handle",
    source=PYCUDA + "device_allocation::free",
)
def _(g: Ground) -> Any:
    """free() twice on one allocation."""
    device = g.cuda.mem_alloc(8)
    device.free()
    return attempt(device.free)


@case(
    "pinned-memory-freed-twice",
    "LogicError: pagelocked_host_allocation::free failed: invalid resource handle",
    source=PYCUDA + "pagelocked_host_allocation::free",
)
def _(g: Ground) -> Any:
    """free() twice on one pinned allocation."""
    array = g.cuda.pagelocked_empty(8, np.float32)
    base = array.base
    del array
    base.free()
    return attempt(base.free)


@case("pinned-memory-is-an-array", "((3, 4), float16, True)", source="pycuda, pagelocked_empty")
def _(g: Ground) -> Any:
    """Pinned memory is a NumPy array of the shape and dtype that was asked for."""
    array = g.cuda.pagelocked_empty((3, 4), np.float16)
    return text((array.shape, str(array.dtype), bool((g.cuda.pagelocked_zeros(4, np.int64) == 0).all())))


@case(
    "free-waits",
    "[1.0, 2.0]",
    source="CUDA programming guide, implicit synchronisation; cuMemFree in practice",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """Freeing device memory waits for the device; docs/simulator.md promises it."""
    stream, device, other = g.cuda.Stream(), g.cuda.to_device(ONE), g.cuda.mem_alloc(8)
    target = pinned(g, np.zeros(2, np.float32))
    g.cuda.memcpy_dtoh_async(target, device, stream)
    other.free()
    return text(target.tolist())


# --- error 700 ---


LOST = PROMISE + "an execution with a bad address gives error 700, which stays; CUresult: CUDA_ERROR_ILLEGAL_ADDRESS"


def _lose(g: Ground) -> Bench:
    """A bench whose CUDA context is lost."""
    bench = ready(g)
    kept = bench.device["x"]
    bench.context.set_tensor_address("x", int(kept) + (1 << 40))
    bench.context.execute_async_v3(bench.stream.handle)
    return bench


@case(
    "lost-at-the-next-wait",
    "LogicError: cuStreamSynchronize failed: an illegal memory access was encountered",
    source=LOST + "; github.com/NVIDIA/TensorRT issue 1469",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """An execution that reads a bad address is reported by the next wait, in CUDA's words."""
    bench = _lose(g)
    return attempt(bench.stream.synchronize)


@case("lost-stays", "[LogicError, LogicError, LogicError, LogicError]", source=LOST, needs=SIMULATOR)
def _(g: Ground) -> Any:
    """After that every call fails: allocating, copying, creating, and waiting again."""
    bench = _lose(g)
    return text(
        [
            kind(g.cuda.mem_alloc, 8),
            kind(g.cuda.memcpy_htod, bench.device["y"], rows(2)),
            kind(g.cuda.Stream),
            kind(g.cuda.Context.synchronize),
        ]
    )


@case(
    "lost-text-of-later-calls",
    "LogicError: cuMemAlloc failed: an illegal memory access was encountered",
    source=LOST,
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A later call that is right in itself has the same error in its own name."""
    _lose(g)
    return attempt(g.cuda.mem_alloc, 8)


@case("lost-for-tensorrt-too", "False", "illegal memory access", source=LOST + "; TensorRT issue 1875", needs=SIMULATOR)
def _(g: Ground) -> Any:
    """A right execution fails too once the CUDA context is lost."""
    bench = _lose(g)
    bench.context.set_tensor_address("x", int(bench.device["x"]))
    return text(bench.context.execute_async_v3(bench.stream.handle))


@case("lost-until-a-new-device", "[1.0, 16.0]", source=PROMISE + "a new device knows nothing of it", needs=SIMULATOR)
def _(g: Ground) -> Any:
    """A new device works."""
    _lose(g)
    g.device()
    bench = ready(g)
    bench.run()
    return text(bench.result((16,))[[0, -1]].tolist())


@case(
    "frees-after-the-loss-are-silent",
    "None",
    source=PROMISE + "what the collector frees raises nothing",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """Objects that are collected after the loss raise nothing."""
    bench = _lose(g)
    del bench
    gc.collect()
    return text(None)


# --- contexts ---


@case(
    "context-in-another-thread",
    "(LogicError: cuMemAlloc failed: invalid device context, True)",
    source=DRIVER + "cuCtxGetCurrent: a stack per thread",
)
def _(g: Ground) -> Any:
    """Another thread has no CUDA context until it pushes one."""
    current, seen = g.cuda.Context.get_current(), list[Any]()

    def work() -> None:
        seen.append(attempt(g.cuda.mem_alloc, 8))
        current.push()
        seen.append(int(g.cuda.mem_alloc(8)) > 0)
        g.cuda.Context.pop()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return text(tuple(seen))


@case(
    "context-popped",
    "(LogicError: cuMemAlloc failed: invalid device context, True)",
    source="github.com/NVIDIA/TensorRT issues 475 and 4335; " + DRIVER + "cuCtxPopCurrent",
)
def _(g: Ground) -> Any:
    """After pop() there is no context; after push() there is."""
    current = g.cuda.Context.get_current()
    g.cuda.Context.pop()
    try:
        said = attempt(g.cuda.mem_alloc, 8)
    finally:
        current.push()
    return text((said, int(g.cuda.mem_alloc(8)) > 0))


@case("context-popped-too-often", "True", source=DRIVER + "cuCtxPopCurrent: CUDA_ERROR_INVALID_CONTEXT")
def _(g: Ground) -> Any:
    """pop() in a thread without a context is an error."""
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(kind(g.cuda.Context.pop)))
    thread.start()
    thread.join()
    return text(seen == ["LogicError"])


# --- devices ---


@case("device-told", "(True, True, True)", source=DRIVER + "device management; pycuda, Device")
def _(g: Ground) -> Any:
    """There is a device; it has a name, and as much memory as mem_get_info says."""
    device = g.cuda.Device(0)
    near = abs(device.total_memory() - g.cuda.mem_get_info()[1]) <= device.total_memory() // 10
    return text((g.cuda.Device.count() >= 1, bool(device.name()), near))


@case("device-beyond", "LogicError: cuDeviceGet failed: invalid device ordinal", source=DRIVER + "cuDeviceGet")
def _(g: Ground) -> Any:
    """A device number that does not exist."""
    return attempt(g.cuda.Device, 99)


@case(
    "device-of-another-capability",
    "(8, 6)",
    source="docs/simulator.md: the compute capability can be chosen",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A simulated device of compute capability 8.6 says so."""
    g.device(compute_capability=86)
    return text(g.cuda.Device(0).compute_capability())


@case("pinned-memory-takes-no-device-memory", "True", source=DRIVER + "cuMemHostAlloc: host memory")
def _(g: Ground) -> Any:
    """Pinned memory does not count as device memory."""
    free = g.cuda.mem_get_info()[0]
    kept = g.cuda.pagelocked_zeros(1 << 20, np.float32)
    return text(g.cuda.mem_get_info()[0] == free and kept.size == 1 << 20)


@case(
    "pinned-view-is-pinned", "(True, [1.0, 2.0])", source=PROMISE + "a part of pinned memory is pinned", needs=SIMULATOR
)
def _(g: Ground) -> Any:
    """A slice of a pinned array is copied asynchronously, as the whole is."""
    stream, device, array = g.cuda.Stream(), g.cuda.mem_alloc(8), pinned(g, np.zeros(8, np.float32))
    g.cuda.memcpy_htod_async(device, array[2:4], stream)
    queued = not stream.is_done() or bool((array[2:4] == 0).all())
    g.cuda.memcpy_htod(device, ONE)
    g.cuda.memcpy_dtoh_async(array[4:6], device, stream)
    stream.synchronize()
    return text((queued, array[4:6].tolist()))


@case(
    "what-is-alive-is-listed",
    "[context, device, engine, event, pinned, stream]",
    source="issue's memory item: leaks are listed when asked; docs/simulator.md",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """The device lists what was made and not freed, by kind."""
    from ..simulator import host

    bench, event, array = ready(g), g.cuda.Event(), g.cuda.pagelocked_empty(8, np.float32)
    kinds = sorted({each["kind"] for each in host.current().device.live()})
    return text(kinds if bench and event and array.size else [])


@case("what-was-freed-is-not-listed", "[]", source="issue's memory item; docs/simulator.md", needs=SIMULATOR)
def _(g: Ground) -> Any:
    """What was freed or collected is not listed (streams have no owner that is collected)."""
    from ..simulator import host

    bench, array = ready(g), g.cuda.pagelocked_empty(8, np.float32)
    del bench, array
    gc.collect()
    return text(sorted({each["kind"] for each in host.current().device.live()} - {"stream"}))


@case("threads-with-streams-of-their-own", "True", source=DRIVER + "streams may be used from several threads")
def _(g: Ground) -> Any:
    """Four threads copy on streams of their own, many times, and get their own bytes."""
    current, right = g.cuda.Context.get_current(), [False] * 4

    def work(which: int) -> None:
        current.push()
        try:
            stream, device = g.cuda.Stream(flags=1), g.cuda.mem_alloc(64)
            source, target = (pinned(g, np.zeros(16, np.float32)) for _ in range(2))
            good = True
            for step in range(20):
                source[:] = 100 * which + step
                g.cuda.memcpy_htod_async(device, source, stream)
                g.cuda.memcpy_dtoh_async(target, device, stream)
                stream.synchronize()
                good = good and bool((target == 100 * which + step).all())
            right[which] = good
        finally:
            g.cuda.Context.pop()

    threads = [threading.Thread(target=work, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return text(all(right))


@case(
    "double-buffering", "True", source="CUDA programming guide, overlap of data transfer and kernel execution; events"
)
def _(g: Ground) -> Any:
    """Copy stream and compute stream with two buffers and events: every answer is its own input's."""
    copy, bench = g.cuda.Stream(flags=1), Bench(g)
    bench.context.set_input_shape("x", (2, 8))
    inputs, outputs = ([g.cuda.mem_alloc(64) for _ in range(2)] for _ in range(2))
    sources, results = ([pinned(g, np.zeros((2, 8), np.float32)) for _ in range(6)] for _ in range(2))
    free = [g.cuda.Event().record(bench.stream) for _ in range(2)]
    for step in range(6):
        slot, ready_event = step % 2, g.cuda.Event()
        sources[step][...] = step
        copy.wait_for_event(free[slot])
        g.cuda.memcpy_htod_async(inputs[slot], sources[step], copy)
        bench.stream.wait_for_event(ready_event.record(copy))
        bench.context.set_tensor_address("x", int(inputs[slot]))
        bench.context.set_tensor_address("y", int(outputs[slot]))
        bench.context.execute_async_v3(bench.stream.handle)
        g.cuda.memcpy_dtoh_async(results[step], outputs[slot], bench.stream)
        free[slot] = g.cuda.Event().record(bench.stream)
    bench.stream.synchronize()
    return text(all(bool((results[step] == step + 1).all()) for step in range(6)))


@case(
    "pinned-memory-runs-out",
    "MemoryError: cuMemHostAlloc failed: out of memory",
    source=DRIVER + "cuMemHostAlloc; docs/simulator.md: a limit",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """More pinned memory than the simulator's limit."""
    g.device(memory=1 << 20)
    return attempt(g.cuda.pagelocked_empty, 1 << 20, np.float32)


@case("copy-of-nothing", "[1.0, 2.0]", source=DRIVER + "cuMemcpyHtoD: a ByteCount of 0 copies nothing")
def _(g: Ground) -> Any:
    """A copy of an empty array leaves everything as it is."""
    device = g.cuda.to_device(ONE)
    g.cuda.memcpy_htod(device, np.zeros(0, np.float32))
    return text(g.cuda.from_device(device, 2, np.float32).tolist())


@case("copies-both-ways-in-one-stream", "[1.0, 2.0]", source=STREAMS + "operations of one stream run in order")
def _(g: Ground) -> Any:
    """Up, within and down, one wait."""
    stream, one, two = g.cuda.Stream(), g.cuda.mem_alloc(8), g.cuda.mem_alloc(8)
    result = pinned(g, np.zeros(2, np.float32))
    g.cuda.memcpy_htod_async(one, pinned(g, ONE), stream)
    g.cuda.memcpy_dtod_async(two, one, 8, stream)
    g.cuda.memcpy_dtoh_async(result, two, stream)
    stream.synchronize()
    return text(result.tolist())


@case(
    "pinned-array-before-its-copy",
    "[1.0, 2.0]",
    source=PROMISE + "a pending copy keeps pinned memory alive",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A pinned source that is collected while its copy is pending is still copied."""
    stream, device = g.cuda.Stream(), g.cuda.mem_alloc(8)
    g.cuda.memcpy_htod_async(device, pinned(g, ONE), stream)
    gc.collect()
    stream.synchronize()
    return text(g.cuda.from_device(device, 2, np.float32).tolist())


@case(
    "address-behind-a-buffer",
    "LogicError: cuMemcpyHtoD failed: invalid argument",
    source=PROMISE + "allocations are never adjacent, so that an overrun hits nobody",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """An address computed behind the end of a buffer."""
    device, other = g.cuda.mem_alloc(8), g.cuda.mem_alloc(8)
    return attempt(g.cuda.memcpy_htod, int(device) + 256, ONE) if int(other) else ""


@case(
    "wait-for-a-copy-before-a-blocking-one",
    "[1.0, 2.0]",
    source=SYNC + "a synchronous copy is in the legacy default stream",
)
def _(g: Ground) -> Any:
    """A blocking copy sees what a blocking stream has enqueued before it."""
    stream, device = g.cuda.Stream(), g.cuda.to_device(TWO)
    g.cuda.memcpy_htod_async(device, pinned(g, ONE), stream)
    return text(g.cuda.from_device(device, 2, np.float32).tolist())


CASES = case.cases
