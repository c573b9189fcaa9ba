"""Run cases: which CUDA calls a capturing stream forbids, call by call. The expectations were measured on a GPU.

Each case makes one call while a stream captures, in four ways: a global and a relaxed capture, each of a non-blocking
and of a blocking stream. Its result lists the four errors in that order, shortened: Unsupported is error 900, Implicit
906, Isolation 905. An error ends the capture's validity and success does not; where it is otherwise, that is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .case import Ground
from .run_graphs import GLOBAL, RELAXED, Cuda, lose
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
    calls = [
        ("cudaGetLastError",),
        ("cudaGetLastError",),
        ("cudaMalloc", 8),
        ("cudaGetLastError",),
        ("cudaGetLastError",),
    ]
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
    calls = [("cudaFree", memory), ("cudaStreamCreate",), ("cudaEventCreate",), ("cudaMemGetInfo",)]
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


CASES = case.cases
