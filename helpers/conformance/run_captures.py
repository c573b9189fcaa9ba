"""Run cases: which CUDA calls a capturing stream forbids, call by call. The expectations were measured on a GPU.

Each case makes one call while a stream captures, in four ways: a global and a relaxed capture, each of a non-blocking
and of a blocking stream. Its result lists the four errors in that order, shortened: Unsupported is error 900, Implicit
906, Isolation 905. An error ends the capture's validity and success does not; where it is otherwise, that is said.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .case import Ground
from .run_graphs import GLOBAL, RELAXED, THREAD_LOCAL, Cuda, lose
from .run_kit import CUDA_PYTHON, SIMULATOR, Table, text

case = Table()

MEASURED = "measured on an NVIDIA H200, driver 580, CUDA 13, cuda.bindings 13.3"
UP, DOWN = 1, 2  # cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost


@dataclass
class Scene:
    """A capturing stream, and what a call may be about."""

    cuda: Cuda
    stream: Any
    other: Any  # a second, non-blocking stream
    recorded: Any  # an event that was recorded there, before the capture
    event: Any  # an event that was never recorded
    memory: int  # 64 bytes of the device
    pinned: int  # 64 bytes, pinned
    pageable: np.ndarray

    def copy(self, target: int, source: int, kind: int, stream: Any) -> Any:
        return self.cuda.call("cudaMemcpyAsync", target, source, 64, self.cuda.module.cudaMemcpyKind(kind), stream)

    def blocking_copy(self, source: int) -> Any:
        return self.cuda.call("cudaMemcpy", self.memory, source, 64, self.cuda.module.cudaMemcpyKind(UP))


def _scene(cuda: Cuda, blocking: bool) -> Scene:
    other, recorded = cuda.stream(), cuda.event()
    cuda("cudaEventRecord", recorded, other)
    cuda("cudaStreamSynchronize", other)
    memory, pinned = int(cuda("cudaMalloc", 64)), int(cuda("cudaMallocHost", 64))
    stream = cuda.stream(blocking)
    return Scene(cuda, stream, other, recorded, cuda.event(), memory, pinned, np.zeros(16, np.float32))


def _tried(cuda: Cuda, call: Callable[[Scene], Any]) -> str:
    seen = []
    for mode in (GLOBAL, RELAXED):
        for blocking in (False, True):
            scene = _scene(cuda, blocking)
            cuda.begin(scene.stream, mode)
            error = call(scene)[0]
            valid = cuda.call("cudaStreamEndCapture", scene.stream)[0] == 0
            short = text(error).removeprefix("cuda").removeprefix("Error").removeprefix("StreamCapture")
            seen.append(
                short if valid == (int(error) == 0) else f"{short} but the capture is {'in' * (not valid)}valid"
            )
    return text(seen)


NEVER = "[Success, Success, Success, Success]"
ALWAYS = "[Unsupported, Unsupported, Unsupported, Unsupported]"
UNSAFE = "[Unsupported, Unsupported, Success, Success]"
LEGACY = "[Success, Implicit, Success, Implicit]"
UNSAFE_LEGACY = "[Unsupported, Implicit, Success, Implicit]"


def _call(name: str, returns: str, what: str, call: Callable[[Scene], Any]) -> None:
    def run(g: Ground) -> Any:
        return _tried(Cuda(), call)

    run.__doc__ = f"While a stream captures: {what}."
    case(f"during-capture-{name}", returns, source=MEASURED, needs=CUDA_PYTHON)(run)


_call(
    "wait-for-another-stream",
    UNSAFE,
    "waiting for a stream that has nothing to do with it",
    lambda s: s.cuda.call("cudaStreamSynchronize", s.other),
)
_call(
    "query-another-stream",
    UNSAFE,
    "asking a stream that has nothing to do with it",
    lambda s: s.cuda.call("cudaStreamQuery", s.other),
)
_call(
    "query-an-outside-event",
    UNSAFE,
    "asking an event that was recorded before",
    lambda s: s.cuda.call("cudaEventQuery", s.recorded),
)
_call(
    "wait-for-an-outside-event",
    UNSAFE,
    "waiting for an event that was recorded before",
    lambda s: s.cuda.call("cudaEventSynchronize", s.recorded),
)
_call("wait-for-the-device", ALWAYS, "waiting for the device", lambda s: s.cuda.call("cudaDeviceSynchronize"))
_call(
    "wait-for-the-legacy-stream",
    UNSAFE_LEGACY,
    "waiting for the legacy default stream",
    lambda s: s.cuda.call("cudaStreamSynchronize", 0),
)
_call(
    "query-the-legacy-stream",
    UNSAFE_LEGACY,
    "asking the legacy default stream",
    lambda s: s.cuda.call("cudaStreamQuery", 0),
)
_call("malloc", UNSAFE, "allocating device memory", lambda s: s.cuda.call("cudaMalloc", 64))
_call("free", UNSAFE, "freeing device memory", lambda s: s.cuda.call("cudaFree", s.memory))
_call("malloc-host", UNSAFE, "allocating pinned memory", lambda s: s.cuda.call("cudaMallocHost", 64))
_call("free-host", UNSAFE, "freeing pinned memory", lambda s: s.cuda.call("cudaFreeHost", s.pinned))
_call(
    "malloc-async",
    NEVER,
    "allocating in the capturing stream's order",
    lambda s: s.cuda.call("cudaMallocAsync", 64, s.stream),
)
_call(
    "malloc-async-elsewhere",
    UNSAFE,
    "allocating in another stream's order",
    lambda s: s.cuda.call("cudaMallocAsync", 64, s.other),
)
_call(
    "blocking-copy-pageable",
    LEGACY,
    "a blocking copy of pageable memory",
    lambda s: s.blocking_copy(s.pageable.ctypes.data),
)
_call("blocking-copy-pinned", LEGACY, "a blocking copy of pinned memory", lambda s: s.blocking_copy(s.pinned))
_call(
    "copy-on-the-legacy-stream",
    LEGACY,
    "a copy in the legacy default stream",
    lambda s: s.copy(s.memory, s.pinned, UP, 0),
)
_call("copy-on-another-stream", NEVER, "a copy in another stream", lambda s: s.copy(s.memory, s.pinned, UP, s.other))
_call(
    "copy-pinned",
    NEVER,
    "a copy of pinned memory in the capturing stream",
    lambda s: s.copy(s.memory, s.pinned, UP, s.stream),
)
_call(
    "copy-pageable-up",
    NEVER,
    "a copy from pageable memory in the capturing stream",
    lambda s: s.copy(s.memory, s.pageable.ctypes.data, UP, s.stream),
)
_call(
    "copy-pageable-down",
    NEVER,
    "a copy to pageable memory in the capturing stream",
    lambda s: s.copy(s.pageable.ctypes.data, s.memory, DOWN, s.stream),
)
_call("blocking-memset", LEGACY, "a blocking memset", lambda s: s.cuda.call("cudaMemset", s.memory, 0, 64))
_call("create-a-stream", NEVER, "creating a stream", lambda s: s.cuda.call("cudaStreamCreateWithFlags", 1))
_call("destroy-another-stream", NEVER, "destroying another stream", lambda s: s.cuda.call("cudaStreamDestroy", s.other))
_call("create-an-event", NEVER, "creating an event", lambda s: s.cuda.call("cudaEventCreate"))
_call("memory-info", NEVER, "asking how much memory is free", lambda s: s.cuda.call("cudaMemGetInfo"))
_call(
    "record-on-the-legacy-stream",
    LEGACY,
    "recording an event in the legacy default stream",
    lambda s: s.cuda.call("cudaEventRecord", s.event, 0),
)
_call(
    "wait-for-an-unrecorded-event",
    NEVER,
    "letting the capturing stream wait for an event never recorded",
    lambda s: s.cuda.call("cudaStreamWaitEvent", s.stream, s.event, 0),
)
_call(
    "stream-waits-for-an-outside-event",
    "[Isolation, Isolation, Isolation, Isolation]",
    "letting the capturing stream wait for an event recorded before",
    lambda s: s.cuda.call("cudaStreamWaitEvent", s.stream, s.recorded, 0),
)


def _legacy_waits(scene: Scene) -> Any:
    scene.cuda("cudaEventRecord", scene.event, scene.stream)
    return scene.cuda.call("cudaStreamWaitEvent", 0, scene.event, 0)


_call(
    "legacy-stream-waits-for-it",
    "[Implicit, Implicit, Implicit, Implicit]",
    "letting the legacy default stream wait for an event of the capture",
    _legacy_waits,
)


def _elapsed(scene: Scene) -> Any:
    scene.cuda("cudaEventRecord", scene.event, scene.stream)
    return scene.cuda.call("cudaEventElapsedTime", scene.recorded, scene.event)


_call(
    "time-of-a-captured-event",
    text(["CapturedEvent but the capture is valid"] * 4),
    "asking the time to an event of the capture",
    _elapsed,
)


# --- from another thread ---


def _from_another_thread(name: str, returns: str, what: str, call: Callable[[Scene], Any]) -> None:
    """A case of one call made by a thread that captures nothing: in a global, thread-local and relaxed capture."""

    def run(g: Ground) -> Any:
        cuda, seen = Cuda(), list[str]()
        for mode in (GLOBAL, THREAD_LOCAL, RELAXED):
            scene, errors = _scene(cuda, False), list[Any]()
            cuda.begin(scene.stream, mode)
            thread = threading.Thread(target=lambda scene=scene, errors=errors: errors.append(call(scene)[0]))
            thread.start()
            thread.join()
            cuda.call("cudaStreamEndCapture", scene.stream)
            seen.append(text(errors[0]).removeprefix("cuda").removeprefix("Error").removeprefix("StreamCapture"))
        return text(seen)

    run.__doc__ = f"While another thread captures: {what}."
    case(f"beside-a-capture-{name}", returns, source=MEASURED, needs=CUDA_PYTHON)(run)


GLOBAL_ONLY = "[Unsupported, Success, Success]"
IN_EVERY_MODE = "[Unsupported, Unsupported, Unsupported]"

_from_another_thread("malloc", GLOBAL_ONLY, "allocating", lambda s: s.cuda.call("cudaMalloc", 64))
_from_another_thread("free", GLOBAL_ONLY, "freeing", lambda s: s.cuda.call("cudaFree", s.memory))
_from_another_thread(
    "wait-for-a-stream",
    GLOBAL_ONLY,
    "waiting for another stream",
    lambda s: s.cuda.call("cudaStreamSynchronize", s.other),
)
_from_another_thread(
    "query-a-stream", GLOBAL_ONLY, "asking another stream", lambda s: s.cuda.call("cudaStreamQuery", s.other)
)
_from_another_thread(
    "wait-for-an-event",
    GLOBAL_ONLY,
    "waiting for an outside event",
    lambda s: s.cuda.call("cudaEventSynchronize", s.recorded),
)
_from_another_thread(
    "wait-for-it",
    IN_EVERY_MODE,
    "waiting for the capturing stream",
    lambda s: s.cuda.call("cudaStreamSynchronize", s.stream),
)
_from_another_thread(
    "wait-for-the-device", IN_EVERY_MODE, "waiting for the device", lambda s: s.cuda.call("cudaDeviceSynchronize")
)
_from_another_thread(
    "copy-into-it",
    "[Success, Success, Success]",
    "a copy in the capturing stream",
    lambda s: s.copy(s.memory, s.pinned, UP, s.stream),
)
_from_another_thread(
    "end-it",
    "[WrongThread, WrongThread, Success]",
    "ending the capture",
    lambda s: s.cuda.call("cudaStreamEndCapture", s.stream),
)


@case(
    "capture-ended-wrongly-is-over",
    "(cudaErrorStreamCaptureWrongThread, cudaErrorIllegalState)",
    source=MEASURED,
    needs=CUDA_PYTHON,
)
def _(g: Ground) -> Any:
    """A capture that another thread tried to end has ended."""
    cuda, errors = Cuda(), list[Any]()
    stream = cuda.stream()
    cuda.begin(stream)
    thread = threading.Thread(target=lambda: errors.append(cuda.call("cudaStreamEndCapture", stream)[0]))
    thread.start()
    thread.join()
    return text((errors[0], cuda.call("cudaStreamEndCapture", stream)[0]))


# --- after a capture, and after error 700 ---


@case(
    "event-after-its-capture",
    "(cudaErrorInvalidValue, cudaErrorInvalidValue, cudaErrorInvalidValue, cudaSuccess)",
    source=MEASURED,
    needs=CUDA_PYTHON,
)
def _(g: Ground) -> Any:
    """An event recorded in a capture that has ended cannot be asked or waited for, until it is recorded again."""
    cuda = Cuda()
    stream, other, event = cuda.stream(), cuda.stream(), cuda.event()
    cuda.begin(stream)
    cuda("cudaEventRecord", event, stream)
    cuda("cudaStreamEndCapture", stream)
    seen = [cuda.call(name, event)[0] for name in ("cudaEventQuery", "cudaEventSynchronize")]
    seen.append(cuda.call("cudaStreamWaitEvent", other, event, 0)[0])
    cuda("cudaEventRecord", event, other)
    seen.append(cuda.call("cudaEventSynchronize", event)[0])
    return text(tuple(seen))


@case("capturing-stream-destroyed", "cudaSuccess", source=MEASURED, needs=CUDA_PYTHON)
def _(g: Ground) -> Any:
    """A stream that captures may be destroyed."""
    cuda = Cuda()
    stream = cuda.stream()
    cuda.begin(stream)
    return cuda.error("cudaStreamDestroy", stream)


@case(
    "lost-last-error-is-reset-each-time",
    "[cudaErrorIllegalAddress, cudaSuccess, cudaErrorIllegalAddress, cudaErrorIllegalAddress, cudaSuccess]",
    source=MEASURED + ", with a kernel that wrote to a bad address",
    needs=CUDA_PYTHON | SIMULATOR,
)
def _(g: Ground) -> Any:
    """After error 700 each failing call sets the last error anew, and cudaGetLastError resets it."""
    cuda = Cuda()
    lose(g, cuda)
    cuda.call("cudaDeviceSynchronize")
    last, malloc = ("cudaGetLastError",), ("cudaMalloc", 8)
    calls: list[tuple[Any, ...]] = [last, last, malloc, last, last]
    return text([cuda.call(*call)[0] for call in calls])


@case(
    "lost-what-still-works",
    "(cudaSuccess, [cudaErrorIllegalAddress])",
    source=MEASURED + ", with a kernel that wrote to a bad address",
    needs=CUDA_PYTHON | SIMULATOR,
)
def _(g: Ground) -> Any:
    """After error 700 cudaGetDevice works; freeing, creating and asking for memory do not."""
    cuda = Cuda()
    memory = cuda("cudaMalloc", 8)
    lose(g, cuda)
    cuda.call("cudaDeviceSynchronize")
    calls: list[tuple[Any, ...]] = [
        ("cudaFree", memory),
        ("cudaStreamCreate",),
        ("cudaEventCreate",),
        ("cudaMemGetInfo",),
    ]
    return text((cuda.call("cudaGetDevice")[0], sorted({text(cuda.call(*call)[0]) for call in calls})))


@case(
    "not-ready-keeps-the-older-error",
    "(cudaErrorNotReady, cudaErrorMemoryAllocation)",
    source=MEASURED + ", with a stream that was busy for long",
    needs=CUDA_PYTHON | SIMULATOR,
)
def _(g: Ground) -> Any:
    """cudaErrorNotReady is not remembered: the last error is the one before."""
    cuda = Cuda()
    stream, host = cuda.stream(), cuda.pinned(np.ones(2, np.float32))
    address = int(cuda("cudaMalloc", 8))
    for _ in range(3):
        cuda.upload(address, host, stream)
    cuda.call("cudaMalloc", 1 << 60)
    return text((cuda.call("cudaStreamQuery", stream)[0], cuda.call("cudaGetLastError")[0]))


# --- copies and frees of the runtime API ---


@case("pageable-copy-in-a-graph", "[3.0, 4.0]", source=MEASURED, needs=CUDA_PYTHON)
def _(g: Ground) -> Any:
    """A pageable copy that was captured reads its source at each launch."""
    cuda = Cuda()
    stream, memory = cuda.stream(), int(cuda("cudaMalloc", 64))
    source, target = (np.ones(16, np.float32) for _ in range(2))
    cuda.begin(stream)
    cuda.upload(memory, source, stream)
    cuda.download(target, memory, stream)
    executable = cuda.instantiate(cuda("cudaStreamEndCapture", stream))
    seen = []
    for value in (3, 4):
        source[:] = value
        cuda("cudaGraphLaunch", executable, stream)
        cuda("cudaStreamSynchronize", stream)
        seen.append(float(target[0]))
    return text(seen)


@case("copy-with-a-small-pitch", "cudaErrorInvalidPitchValue", source=MEASURED, needs=CUDA_PYTHON)
def _(g: Ground) -> Any:
    """cudaMemcpy2D with a pitch below the width."""
    cuda, host = Cuda(), np.zeros(16, np.float32)
    memory = int(cuda("cudaMalloc", 64))
    return cuda.error("cudaMemcpy2D", memory, 4, host.ctypes.data, 8, 8, 2, cuda.module.cudaMemcpyKind(UP))


@case("copy-of-no-rows", "cudaSuccess", source=MEASURED, needs=CUDA_PYTHON)
def _(g: Ground) -> Any:
    """cudaMemcpy2D of no rows."""
    cuda, host = Cuda(), np.zeros(16, np.float32)
    memory = int(cuda("cudaMalloc", 64))
    return cuda.error("cudaMemcpy2D", memory, 8, host.ctypes.data, 8, 8, 0, cuda.module.cudaMemcpyKind(UP))


@case("copy-of-the-wrong-kind", "(cudaErrorInvalidValue, cudaSuccess)", source=MEASURED, needs=CUDA_PYTHON)
def _(g: Ground) -> Any:
    """A host address as the device's side is refused; a device address as the host's side is not."""
    cuda, one, two = Cuda(), np.zeros(16, np.float32), np.zeros(16, np.float32)
    memory, kinds = int(cuda("cudaMalloc", 64)), cuda.module.cudaMemcpyKind
    down = cuda.call("cudaMemcpy", one.ctypes.data, two.ctypes.data, 64, kinds(DOWN))[0]
    return text((down, cuda.call("cudaMemcpy", memory, memory + 32, 32, kinds(UP))[0]))


@case(
    "free-of-what-was-not-allocated",
    "[cudaErrorInvalidValue, cudaErrorInvalidValue, cudaErrorInvalidValue]",
    source=MEASURED,
    needs=CUDA_PYTHON,
)
def _(g: Ground) -> Any:
    """An address within a buffer, a NumPy array's, and a device address given to cudaFreeHost."""
    cuda, host = Cuda(), np.zeros(16, np.float32)
    memory = int(cuda("cudaMalloc", 64))
    calls = (("cudaFree", memory + 16), ("cudaFree", host.ctypes.data), ("cudaFreeHost", memory))
    return text([cuda.call(*call)[0] for call in calls])


@case("free-in-stream-order-twice", "(cudaSuccess, cudaErrorInvalidValue)", source=MEASURED, needs=CUDA_PYTHON)
def _(g: Ground) -> Any:
    """The second cudaFreeAsync of an address is an error."""
    cuda = Cuda()
    stream = cuda.stream()
    memory = cuda("cudaMallocAsync", 64, stream)
    return text(tuple(cuda.call("cudaFreeAsync", memory, stream)[0] for _ in range(2)))


@case("free-the-other-way", "(cudaSuccess, cudaSuccess)", source=MEASURED, needs=CUDA_PYTHON)
def _(g: Ground) -> Any:
    """cudaFree of cudaMallocAsync's memory, and cudaFreeAsync of cudaMalloc's."""
    cuda = Cuda()
    stream = cuda.stream()
    one, two = cuda("cudaMallocAsync", 64, stream), cuda("cudaMalloc", 64)
    return text((cuda.call("cudaFree", one)[0], cuda.call("cudaFreeAsync", two, stream)[0]))


@case("memory-of-nothing-is-null", "(cudaSuccess, 0, cudaSuccess)", source=MEASURED, needs=CUDA_PYTHON)
def _(g: Ground) -> Any:
    """cudaMalloc(0) gives a null pointer; cudaMallocHost(0) is no error either."""
    cuda = Cuda()
    error, address = cuda.call("cudaMalloc", 0)
    return text((error, int(address), cuda.call("cudaMallocHost", 0)[0]))


CASES = case.cases
