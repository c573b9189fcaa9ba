"""Run cases: cuda.bindings and its error tuples, stream capture and graphs, and what CUDA refuses during a capture."""

from __future__ import annotations

import ctypes
import importlib
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .case import Ground
from .run_kit import CUDA_PYTHON, GUIDE, HEADER, PROMISE, RUNTIME, SIMULATOR, Bench, Table, load, rows, text

case = Table()

TUPLES = "cuda.bindings 13: (error, results...), None for each result where there is an error; "
TYPES = RUNTIME + "cudaError_t; "
WARM = "github.com/NVIDIA/TensorRT issues 2603 and 3011"
GLOBAL, THREAD_LOCAL, RELAXED = 0, 1, 2


def _runtime() -> Any:
    return importlib.import_module("cuda.bindings.runtime")


def _driver() -> Any:
    return importlib.import_module("cuda.bindings.driver")


class Cuda:
    """`cuda.bindings.runtime`, whose functions return what the program needs or raise the error's name.

    `cuda.call(name, ...)` returns the tuple; `cuda(name, ...)` the results of a call that must succeed.
    """

    def __init__(self) -> None:
        self.module = _runtime()
        self.call("cudaGetLastError")  # the thread's, which an earlier case may have left

    def call(self, name: str, *arguments: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the simulator's detail
            return getattr(self.module, name)(*arguments)

    def error(self, name: str, *arguments: Any) -> str:
        """The error's name."""
        return text(self.call(name, *arguments)[0])

    def __call__(self, name: str, *arguments: Any) -> Any:
        error, *results = self.call(name, *arguments)
        if int(error) != 0:
            raise RuntimeError(f"{name}: {text(error)}")
        return results[0] if len(results) == 1 else tuple(results) if results else None

    def stream(self, blocking: bool = False) -> Any:
        return self("cudaStreamCreateWithFlags", 0 if blocking else 1)

    def event(self) -> Any:
        return self("cudaEventCreate")

    def begin(self, stream: Any, mode: int = GLOBAL) -> None:
        self("cudaStreamBeginCapture", stream, self.module.cudaStreamCaptureMode(mode))

    def upload(self, address: int, host: np.ndarray, stream: Any) -> Any:
        return self.call(
            "cudaMemcpyAsync", address, host.ctypes.data, host.nbytes, self.module.cudaMemcpyKind(1), stream
        )

    def download(self, host: np.ndarray, address: int, stream: Any) -> Any:
        return self.call(
            "cudaMemcpyAsync", host.ctypes.data, address, host.nbytes, self.module.cudaMemcpyKind(2), stream
        )

    def pinned(self, array: np.ndarray) -> np.ndarray:
        """A pinned copy of `array`; its memory is the device's, and never freed here."""
        address = self("cudaMallocHost", array.nbytes)
        memory = (ctypes.c_ubyte * array.nbytes).from_address(int(address))
        copy = np.ctypeslib.as_array(memory).view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    def device(self, array: np.ndarray) -> int:
        """Device memory with the bytes of `array`."""
        address = int(self("cudaMalloc", array.nbytes))
        self("cudaMemcpy", address, array.ctypes.data, array.nbytes, self.module.cudaMemcpyKind(1))
        return address

    def read(self, address: int, count: int) -> list[float]:
        """float32 values, after a blocking copy."""
        array = np.zeros(count, np.float32)
        self("cudaMemcpy", array.ctypes.data, address, array.nbytes, self.module.cudaMemcpyKind(2))
        return array.tolist()

    def instantiate(self, graph: Any) -> Any:
        return self("cudaGraphInstantiate", graph, 0)


@contextmanager
def _capturing(cuda: Cuda, stream: Any, mode: int = GLOBAL) -> Iterator[None]:
    """Begin a capture; end it whatever happened."""
    cuda.begin(stream, mode)
    try:
        yield
    finally:
        cuda.call("cudaStreamEndCapture", stream)


def graph_case(name: str, returns: str, says: str = "", *, source: str, needs: frozenset[str] = frozenset()) -> Any:
    """As `case`, for a function that is given the ground and cuda.bindings."""

    def register(run: Callable[[Ground, Cuda], Any]) -> None:
        def with_cuda(g: Ground) -> Any:
            return run(g, Cuda())

        with_cuda.__doc__ = run.__doc__
        case(name, returns, says, source=source, needs=needs | CUDA_PYTHON)(with_cuda)

    return register


# --- error tuples ---


@graph_case("tuple-of-malloc", "(cudaSuccess, True, (cudaSuccess,))", source=TUPLES + "cudaMalloc, cudaFree")
def _(g: Ground, cuda: Cuda) -> Any:
    """cudaMalloc returns (error, address), cudaFree (error,)."""
    error, address = cuda.call("cudaMalloc", 64)
    return text((error, int(address) > 0, cuda.call("cudaFree", address)))


@graph_case(
    "tuple-of-a-failure", "(cudaErrorMemoryAllocation, None)", source=TUPLES + "measured with cuda.bindings 13.3"
)
def _(g: Ground, cuda: Cuda) -> Any:
    """Where cudaMalloc fails, there is no address."""
    _, total = cuda("cudaMemGetInfo")
    return text(cuda.call("cudaMalloc", total + 1))


@graph_case("tuple-of-three", "(cudaSuccess, True)", source=TUPLES + "cudaMemGetInfo")
def _(g: Ground, cuda: Cuda) -> Any:
    """cudaMemGetInfo returns (error, free, total)."""
    error, free, total = cuda.call("cudaMemGetInfo")
    return text((error, 0 < free <= total))


@graph_case(
    "error-names",
    "((cudaSuccess, b'cudaErrorMemoryAllocation'), (cudaSuccess, b'out of memory'))",
    source=TUPLES + "measured",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """An error's name and text are bytes."""
    error = cuda.module.cudaError_t(2)
    return text((cuda.call("cudaGetErrorName", error), cuda.call("cudaGetErrorString", error)))


@graph_case("error-numbers", "[1, 2, 400, 600, 700, 719, 900, 901, 904, 906, 907]", source=TYPES + "numbers")
def _(g: Ground, cuda: Cuda) -> Any:
    """The errors that this course meets have CUDA's numbers."""
    names = (
        "InvalidValue MemoryAllocation InvalidResourceHandle NotReady IllegalAddress LaunchFailure"
        " StreamCaptureUnsupported StreamCaptureInvalidated StreamCaptureUnjoined StreamCaptureImplicit CapturedEvent"
    )
    return text([int(getattr(cuda.module.cudaError_t, f"cudaError{name}")) for name in names.split()])


@graph_case(
    "last-error-is-reset",
    "(cudaErrorMemoryAllocation, cudaErrorMemoryAllocation, cudaErrorMemoryAllocation, cudaSuccess)",
    source=RUNTIME + "cudaGetLastError resets, cudaPeekAtLastError does not",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """The last error stays for cudaPeekAtLastError, and is reset by cudaGetLastError."""
    _, total = cuda("cudaMemGetInfo")
    return text(
        (
            cuda.call("cudaMalloc", total + 1)[0],
            *(cuda.call(name)[0] for name in ("cudaPeekAtLastError", "cudaGetLastError", "cudaGetLastError")),
        )
    )


@graph_case(
    "last-error-outlives-a-success",
    "cudaErrorMemoryAllocation",
    source=RUNTIME + "cudaGetLastError: the last error, not the last result",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A call that succeeds does not reset the last error."""
    _, total = cuda("cudaMemGetInfo")
    cuda.call("cudaMalloc", total + 1)
    cuda.call("cudaFree", cuda("cudaMalloc", 64))
    return text(cuda.call("cudaGetLastError")[0])


@graph_case("free-of-null", "cudaSuccess", source=RUNTIME + "cudaFree: devPtr 0 does nothing")
def _(g: Ground, cuda: Cuda) -> Any:
    """cudaFree(0) is no error."""
    return cuda.error("cudaFree", 0)


@graph_case("free-twice", "(cudaSuccess, cudaErrorInvalidValue)", source=RUNTIME + "cudaFree")
def _(g: Ground, cuda: Cuda) -> Any:
    """The second cudaFree of an address is an error."""
    address = cuda("cudaMalloc", 64)
    return text((cuda.call("cudaFree", address)[0], cuda.call("cudaFree", address)[0]))


@graph_case(
    "memory-shared-with-pycuda",
    "[3.0, 3.0]",
    source="both use the device's primary context: " + RUNTIME + "interoperability",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """Memory of cudaMalloc can be copied to by pycuda (in the primary context)."""
    address = int(cuda("cudaMalloc", 8))
    g.cuda.memcpy_htod(address, np.full(2, 3, np.float32))
    return text(cuda.read(address, 2))


@graph_case("memset-through-the-runtime", "[0.0, 0.0]", source=RUNTIME + "cudaMemset")
def _(g: Ground, cuda: Cuda) -> Any:
    """cudaMemset sets bytes."""
    address = cuda.device(np.ones(2, np.float32))
    cuda("cudaMemset", address, 0, 8)
    return text(cuda.read(address, 2))


@graph_case("copy-in-the-wrong-place", "cudaErrorInvalidValue", source=RUNTIME + "cudaMemcpy", needs=SIMULATOR)
def _(g: Ground, cuda: Cuda) -> Any:
    """A host address as the device side of a cudaMemcpy; docs/simulator.md promises the refusal."""
    one, two = np.ones(2, np.float32), np.zeros(2, np.float32)
    return cuda.error("cudaMemcpy", two.ctypes.data, one.ctypes.data, 8, cuda.module.cudaMemcpyKind(1))


@graph_case(
    "event-query-of-the-runtime", "(cudaSuccess, cudaSuccess)", source=RUNTIME + "cudaEventQuery, cudaStreamQuery"
)
def _(g: Ground, cuda: Cuda) -> Any:
    """An event that was not recorded, and a stream without work."""
    return text((cuda.call("cudaEventQuery", cuda.event())[0], cuda.call("cudaStreamQuery", cuda.stream())[0]))


@graph_case(
    "stream-query-not-ready",
    "cudaErrorNotReady",
    source=RUNTIME + "cudaStreamQuery; " + PROMISE + "work that nobody waited for has not run",
    needs=SIMULATOR,
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A stream with several operations is not ready at the first query."""
    stream, host = cuda.stream(), cuda.pinned(np.ones(2, np.float32))
    address = int(cuda("cudaMalloc", 8))
    for _ in range(3):
        cuda.upload(address, host, stream)
    return cuda.error("cudaStreamQuery", stream)


@graph_case(
    "not-ready-is-no-last-error",
    "cudaSuccess",
    source=RUNTIME + "cudaGetLastError: cudaErrorNotReady is not remembered",
    needs=SIMULATOR,
)
def _(g: Ground, cuda: Cuda) -> Any:
    """cudaErrorNotReady of a query is not what cudaGetLastError tells."""
    stream, host = cuda.stream(), cuda.pinned(np.ones(2, np.float32))
    address = int(cuda("cudaMalloc", 8))
    for _ in range(3):
        cuda.upload(address, host, stream)
    cuda.call("cudaStreamQuery", stream)
    return cuda.error("cudaGetLastError")


@graph_case(
    "elapsed-of-the-runtime",
    "(cudaErrorInvalidResourceHandle, None)",
    source=RUNTIME + "cudaEventElapsedTime: not recorded",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """The time between events that were not recorded."""
    return text(cuda.call("cudaEventElapsedTime", cuda.event(), cuda.event()))


@graph_case(
    "stream-handle-after-destroy",
    "cudaErrorInvalidResourceHandle",
    source=PROMISE + "a destroyed stream's handle is invalid",
    needs=SIMULATOR,
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A stream's handle after cudaStreamDestroy."""
    stream = cuda.stream()
    cuda("cudaStreamDestroy", stream)
    return cuda.error("cudaStreamSynchronize", stream)


@graph_case(
    "execute-through-the-runtime",
    "(True, [1.0, 2.0])",
    source="NVIDIA's Python samples, common.py: allocate, copy, execute",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """TensorRT executes on a stream and buffers of cuda.bindings."""
    context = load(g, "add").create_execution_context()
    stream, source = cuda.stream(), cuda.pinned(rows(2))
    result = cuda.pinned(np.zeros((2, 8), np.float32))
    x, y = (int(cuda("cudaMalloc", 64)) for _ in range(2))
    context.set_input_shape("x", (2, 8))
    context.set_tensor_address("x", x)
    context.set_tensor_address("y", y)
    cuda.upload(x, source, stream)
    done = context.execute_async_v3(int(stream))
    cuda.download(result, y, stream)
    cuda("cudaStreamSynchronize", stream)
    return text((done, result[0, :2].tolist()))


@graph_case("driver-tuples", "(CUDA_SUCCESS, CUDA_SUCCESS, CUDA_SUCCESS, True)", source=TUPLES + "cuda.bindings.driver")
def _(g: Ground, cuda: Cuda) -> Any:
    """The driver's functions have tuples too, and its device memory is a CUdeviceptr."""
    driver = _driver()
    (initialized,) = driver.cuInit(0)
    device_error, _ = driver.cuDeviceGet(0)
    cuda("cudaFree", 0)  # makes the primary context current
    error, address = driver.cuMemAlloc(64)
    return text((initialized, device_error, error, int(address) > 0))


@graph_case(
    "driver-memory-of-nothing", "CUDA_ERROR_INVALID_VALUE", source="CUDA driver API reference, cuMemAlloc: bytesize 0"
)
def _(g: Ground, cuda: Cuda) -> Any:
    """The driver refuses zero bytes."""
    cuda("cudaFree", 0)  # makes the primary context current
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return text(_driver().cuMemAlloc(0)[0])


@graph_case(
    "lost-for-the-runtime",
    "(cudaErrorIllegalAddress, cudaErrorIllegalAddress, cudaErrorIllegalAddress)",
    source=PROMISE
    + "error 700 stays for the runtime API as well; "
    + TYPES
    + "cudaErrorIllegalAddress: any further work returns it",
    needs=SIMULATOR,
)
def _(g: Ground, cuda: Cuda) -> Any:
    """After error 700 every call returns it, and cudaGetLastError does not reset it."""
    lose(g, cuda)
    cuda.call("cudaDeviceSynchronize")
    cuda.call("cudaGetLastError")
    return text(
        (
            cuda.call("cudaMalloc", 8)[0],
            cuda.call("cudaDeviceSynchronize")[0],
            cuda.call("cudaGetLastError")[0],
        )
    )


@graph_case(
    "device-reset-ends-the-loss",
    "(cudaErrorIllegalAddress, cudaSuccess, cudaSuccess)",
    source=RUNTIME + "cudaDeviceReset: destroys the primary context, and with it the error",
    needs=SIMULATOR,
)
def _(g: Ground, cuda: Cuda) -> Any:
    """cudaDeviceReset ends error 700."""
    lose(g, cuda)
    before = cuda.call("cudaMalloc", 8)[0]
    return text((before, cuda.call("cudaDeviceReset")[0], cuda.call("cudaMalloc", 8)[0]))


def lose(g: Ground, cuda: Cuda) -> None:
    """Lose the CUDA context: execute with an address that is none."""
    context = load(g, "static").create_execution_context()
    for name in ("x", "y"):
        context.set_tensor_address(name, 1 << 44)
    context.execute_async_v3(int(cuda.stream()))


# --- capture and graphs ---


@graph_case(
    "capture-runs-nothing",
    "([0.0, 0.0], [1.0, 2.0])",
    source=RUNTIME + "cudaStreamBeginCapture: operations are not executed",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """What is captured runs when the graph is launched, not before."""
    stream, host = cuda.stream(), cuda.pinned(np.array([1, 2], np.float32))
    address = cuda.device(np.zeros(2, np.float32))
    cuda.begin(stream)
    cuda.upload(address, host, stream)
    executable = cuda.instantiate(cuda("cudaStreamEndCapture", stream))
    cuda("cudaStreamSynchronize", stream)
    before = cuda.read(address, 2)
    cuda("cudaGraphLaunch", executable, stream)
    cuda("cudaStreamSynchronize", stream)
    return text((before, cuda.read(address, 2)))


class Captured:
    """Copy in, execute, copy out: captured after one execution, as TensorRT asks for."""

    def __init__(self, g: Ground, cuda: Cuda) -> None:
        self.cuda, self.stream = cuda, cuda.stream()
        self.bench = Bench(g)
        self.source, self.result = (cuda.pinned(np.zeros((2, 8), np.float32)) for _ in range(2))
        self.x, self.y = (int(cuda("cudaMalloc", 64)) for _ in range(2))
        context = self.bench.context
        context.set_input_shape("x", (2, 8))
        context.set_tensor_address("x", self.x)
        context.set_tensor_address("y", self.y)
        assert context.execute_async_v3(int(self.stream))
        cuda("cudaStreamSynchronize", self.stream)
        cuda.begin(self.stream)
        cuda.upload(self.x, self.source, self.stream)
        self.done = context.execute_async_v3(int(self.stream))
        cuda.download(self.result, self.y, self.stream)
        self.graph = cuda("cudaStreamEndCapture", self.stream)
        self.executable = cuda.instantiate(self.graph)

    def launch(self, value: float) -> float:
        """The graph's answer to an input of `value`."""
        self.source[...] = value
        self.cuda("cudaGraphLaunch", self.executable, self.stream)
        self.cuda("cudaStreamSynchronize", self.stream)
        return float(self.result[-1, -1])


@graph_case(
    "graph-of-an-execution",
    "(True, [11.0, 21.0, 31.0])",
    source="developer guide, CUDA graphs: execute once, then capture; " + WARM,
)
def _(g: Ground, cuda: Cuda) -> Any:
    """Copy, execution and copy as one graph, launched with three inputs."""
    captured = Captured(g, cuda)
    return text((captured.done, [captured.launch(value) for value in (10, 20, 30)]))


@graph_case(
    "graph-outlives-its-template", "11.0", source=RUNTIME + "cudaGraphDestroy: an executable graph is another object"
)
def _(g: Ground, cuda: Cuda) -> Any:
    """An executable graph works after the graph that it was made from is destroyed."""
    captured = Captured(g, cuda)
    cuda("cudaGraphDestroy", captured.graph)
    return text(captured.launch(10))


@graph_case(
    "graph-keeps-shapes-and-addresses",
    "11.0",
    source="developer guide, CUDA graphs: shapes and addresses are those of the capture",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """Addresses that are set after the capture do not reach the graph."""
    captured = Captured(g, cuda)
    other = cuda.device(np.full((2, 8), 100, np.float32))
    captured.bench.context.set_tensor_address("x", other)
    return text(captured.launch(10))


@graph_case(
    "graph-twice-in-flight",
    "(11.0, 11.0)",
    source=RUNTIME + "cudaGraphLaunch: launches of one executable graph are ordered",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A graph launched twice before anything waits."""
    captured = Captured(g, cuda)
    captured.source[...] = 10
    for _ in range(2):
        cuda("cudaGraphLaunch", captured.executable, captured.stream)
    cuda("cudaStreamSynchronize", captured.stream)
    return text((float(captured.result[0, 0]), float(captured.result[-1, -1])))


@graph_case(
    "graph-over-two-streams",
    "([1.0, 2.0], [1.0, 2.0])",
    source="CUDA programming guide, cross-stream dependencies and events",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A second stream that joins by an event, and is joined by one, is in the graph."""
    first, second, fork, join = cuda.stream(), cuda.stream(), cuda.event(), cuda.event()
    host = cuda.pinned(np.array([1, 2], np.float32))
    one, two = (cuda.device(np.zeros(2, np.float32)) for _ in range(2))
    cuda.begin(first)
    cuda.upload(one, host, first)
    cuda("cudaEventRecord", fork, first)
    cuda("cudaStreamWaitEvent", second, fork, 0)
    cuda("cudaMemcpyAsync", two, one, 8, cuda.module.cudaMemcpyKind(3), second)
    cuda("cudaEventRecord", join, second)
    cuda("cudaStreamWaitEvent", first, join, 0)
    executable = cuda.instantiate(cuda("cudaStreamEndCapture", first))
    cuda("cudaGraphLaunch", executable, first)
    cuda("cudaStreamSynchronize", first)
    return text((cuda.read(one, 2), cuda.read(two, 2)))


@graph_case(
    "capture-status",
    "[cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive, cudaStreamCaptureStatusNone]",
    source=RUNTIME + "cudaStreamIsCapturing",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """Before, in and after a capture."""
    stream, seen = cuda.stream(), []
    seen.append(cuda("cudaStreamIsCapturing", stream))
    with _capturing(cuda, stream):
        seen.append(cuda("cudaStreamIsCapturing", stream))
    seen.append(cuda("cudaStreamIsCapturing", stream))
    return text(seen)


@graph_case("capture-empty", "cudaSuccess", source=RUNTIME + "cudaStreamEndCapture: an empty graph is a graph")
def _(g: Ground, cuda: Cuda) -> Any:
    """A capture of nothing gives a graph that can be launched."""
    stream = cuda.stream()
    cuda.begin(stream)
    executable = cuda.instantiate(cuda("cudaStreamEndCapture", stream))
    return cuda.error("cudaGraphLaunch", executable, stream)


# --- what CUDA refuses ---


@graph_case(
    "capture-of-the-first-execution",
    "(False, cudaErrorStreamCaptureInvalidated)",
    "operation not permitted when stream is capturing",
    source=WARM + ": TensorRT allocates at the first enqueue after a shape change",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """The first execution after set_input_shape cannot be captured."""
    stream, context = cuda.stream(), load(g, "deep").create_execution_context()
    x, y = (int(cuda("cudaMalloc", 1024)) for _ in range(2))
    context.set_input_shape("x", (1, 256))
    context.set_tensor_address("x", x)
    context.set_tensor_address("y", y)
    cuda.begin(stream)
    done = context.execute_async_v3(int(stream))
    return text((done, cuda.call("cudaStreamEndCapture", stream)[0]))


@graph_case(
    "capture-and-synchronize",
    "(cudaErrorStreamCaptureUnsupported, (cudaErrorStreamCaptureInvalidated, None))",
    source=GUIDE + "invalid to synchronize a capturing stream; an invalidated capture gives no graph",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """Waiting for a capturing stream is refused, and the capture is lost."""
    stream = cuda.stream()
    cuda.begin(stream)
    refused = cuda.call("cudaStreamSynchronize", stream)[0]
    error, graph = cuda.call("cudaStreamEndCapture", stream)
    return text((refused, (error, graph if graph is None or int(graph) else None)))


@graph_case(
    "capture-and-query", "cudaErrorStreamCaptureUnsupported", source=GUIDE + "invalid to query a capturing stream"
)
def _(g: Ground, cuda: Cuda) -> Any:
    """Asking whether a capturing stream is done is refused."""
    stream = cuda.stream()
    with _capturing(cuda, stream):
        return cuda.error("cudaStreamQuery", stream)


@graph_case(
    "capture-and-device-synchronize",
    "cudaErrorStreamCaptureUnsupported",
    source=GUIDE + "a device or context includes capturing streams",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """Waiting for the device is refused while a stream captures."""
    stream = cuda.stream()
    with _capturing(cuda, stream):
        return cuda.error("cudaDeviceSynchronize")


@graph_case("capture-status-invalid", "cudaStreamCaptureStatusInvalidated", source=RUNTIME + "cudaStreamIsCapturing")
def _(g: Ground, cuda: Cuda) -> Any:
    """After a refused call the capture is invalid, until it ends."""
    stream = cuda.stream()
    with _capturing(cuda, stream):
        cuda.call("cudaStreamSynchronize", stream)
        return text(cuda("cudaStreamIsCapturing", stream))


@graph_case(
    "capture-ends-and-the-stream-works",
    "(cudaErrorStreamCaptureInvalidated, [1.0, 2.0])",
    source=GUIDE + "cudaStreamEndCapture ends the capture mode in any case",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """After an invalid capture has ended, the stream works as before."""
    stream, host = cuda.stream(), cuda.pinned(np.array([1, 2], np.float32))
    address = cuda.device(np.zeros(2, np.float32))
    cuda.begin(stream)
    cuda.call("cudaStreamSynchronize", stream)
    error = cuda.call("cudaStreamEndCapture", stream)[0]
    cuda.upload(address, host, stream)
    cuda("cudaStreamSynchronize", stream)
    return text((error, cuda.read(address, 2)))


@graph_case(
    "capture-and-event-query",
    "(cudaErrorCapturedEvent, cudaErrorCapturedEvent)",
    source=TYPES + "907: an event last recorded in a capturing stream",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """An event that was recorded in a capture cannot be asked or waited for."""
    seen = []
    for name in ("cudaEventQuery", "cudaEventSynchronize"):
        stream, event = cuda.stream(), cuda.event()
        with _capturing(cuda, stream):
            cuda("cudaEventRecord", event, stream)
            seen.append(cuda.call(name, event)[0])
    return text(tuple(seen))


@graph_case(
    "capture-and-legacy-stream",
    "cudaErrorStreamCaptureImplicit",
    source=TYPES + "906; " + GUIDE + "the legacy stream while a blocking stream captures",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """Work on the legacy default stream is refused while a blocking stream captures."""
    stream, host = cuda.stream(blocking=True), cuda.pinned(np.ones(2, np.float32))
    address = int(cuda("cudaMalloc", 8))
    with _capturing(cuda, stream):
        return text(cuda.upload(address, host, 0)[0])


@graph_case(
    "capture-and-blocking-copy",
    "cudaErrorStreamCaptureImplicit",
    source=GUIDE + "synchronous calls such as cudaMemcpy use the legacy stream",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A blocking copy is refused while a blocking stream captures."""
    stream, host = cuda.stream(blocking=True), np.ones(2, np.float32)
    address = int(cuda("cudaMalloc", 8))
    with _capturing(cuda, stream):
        return cuda.error("cudaMemcpy", address, host.ctypes.data, 8, cuda.module.cudaMemcpyKind(1))


@graph_case(
    "capture-of-the-legacy-stream",
    "cudaErrorStreamCaptureUnsupported",
    source=RUNTIME + "cudaStreamBeginCapture: not of the legacy stream",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """The legacy default stream cannot be captured."""
    return cuda.error("cudaStreamBeginCapture", 0, cuda.module.cudaStreamCaptureMode(0))


@graph_case(
    "capture-begun-twice",
    "cudaErrorIllegalState",
    source=RUNTIME + "cudaStreamBeginCapture: only if it is not capturing; cudaErrorIllegalState",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A stream that captures cannot begin another capture."""
    stream = cuda.stream()
    with _capturing(cuda, stream):
        return cuda.error("cudaStreamBeginCapture", stream, cuda.module.cudaStreamCaptureMode(0))


@graph_case(
    "capture-not-begun",
    "cudaErrorIllegalState",
    source=RUNTIME + "cudaStreamEndCapture: must have been initiated; cudaErrorIllegalState",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A capture that did not begin cannot end."""
    return cuda.error("cudaStreamEndCapture", cuda.stream())


@graph_case("capture-unjoined", "cudaErrorStreamCaptureUnjoined", source=TYPES + "904: a fork that was not joined")
def _(g: Ground, cuda: Cuda) -> Any:
    """A second stream with work that the first does not wait for."""
    first, second, fork = cuda.stream(), cuda.stream(), cuda.event()
    address, host = int(cuda("cudaMalloc", 8)), cuda.pinned(np.ones(2, np.float32))
    cuda.begin(first)
    cuda("cudaEventRecord", fork, first)
    cuda("cudaStreamWaitEvent", second, fork, 0)
    cuda.upload(address, host, second)
    return cuda.error("cudaStreamEndCapture", first)


@graph_case(
    "capture-ended-in-the-other-stream",
    "cudaErrorStreamCaptureUnmatched",
    source=TYPES + "903: the capture was not initiated in this stream",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A capture ends in the stream in which it began."""
    first, second, fork = cuda.stream(), cuda.stream(), cuda.event()
    with _capturing(cuda, first):
        cuda("cudaEventRecord", fork, first)
        cuda("cudaStreamWaitEvent", second, fork, 0)
        return cuda.error("cudaStreamEndCapture", second)


@graph_case("capture-merge", "cudaErrorStreamCaptureMerge", source=TYPES + "902; " + GUIDE + "merging two captures")
def _(g: Ground, cuda: Cuda) -> Any:
    """One capture cannot wait for an event of another."""
    first, second, event = cuda.stream(), cuda.stream(), cuda.event()
    with _capturing(cuda, first), _capturing(cuda, second):
        cuda("cudaEventRecord", event, first)
        return cuda.error("cudaStreamWaitEvent", second, event, 0)


@graph_case(
    "capture-waits-for-the-outside",
    "cudaErrorStreamCaptureIsolation",
    source=TYPES + "905: a dependency on uncaptured work",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A capture cannot wait for an event that was recorded outside, in another stream."""
    outside, stream, event = cuda.stream(), cuda.stream(), cuda.event()
    cuda("cudaEventRecord", event, outside)
    with _capturing(cuda, stream):
        return cuda.error("cudaStreamWaitEvent", stream, event, 0)


@graph_case(
    "capture-ended-in-another-thread", "cudaErrorStreamCaptureWrongThread", source=TYPES + "908; cudaStreamEndCapture"
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A capture that is not relaxed must end in the thread in which it began."""
    stream, seen = cuda.stream(), list[str]()
    cuda.begin(stream)
    thread = threading.Thread(target=lambda: seen.append(cuda.error("cudaStreamEndCapture", stream)))
    thread.start()
    thread.join()
    cuda.call("cudaStreamEndCapture", stream)
    return seen[0]


@graph_case(
    "capture-and-malloc",
    "(cudaErrorStreamCaptureUnsupported, cudaSuccess)",
    source=RUNTIME + "cudaThreadExchangeStreamCaptureMode: cudaMalloc is potentially unsafe",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """cudaMalloc is refused in a global capture, and allowed in a relaxed one."""
    seen = []
    for mode in (GLOBAL, RELAXED):
        with _capturing(cuda, cuda.stream(), mode):
            seen.append(cuda.call("cudaMalloc", 64)[0])
    return text(tuple(seen))


@graph_case(
    "capture-of-a-pageable-copy",
    "cudaErrorStreamCaptureUnsupported",
    source=PROMISE + "a copy of pageable memory waits, so it cannot be captured",
    needs=SIMULATOR,
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A copy from pageable memory in a capture."""
    stream, host = cuda.stream(), np.ones(2, np.float32)
    address = int(cuda("cudaMalloc", 8))
    with _capturing(cuda, stream):
        return text(cuda.upload(address, host, stream)[0])


@graph_case(
    "graph-of-freed-memory",
    "(cudaErrorIllegalAddress, cudaErrorIllegalAddress)",
    source=PROMISE + "a graph whose memory was freed gives error 700 at its launch or the next wait",
    needs=SIMULATOR,
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A graph launched after a buffer of its execution was freed."""
    captured = Captured(g, cuda)
    cuda("cudaFree", captured.x)
    launched = cuda.call("cudaGraphLaunch", captured.executable, captured.stream)[0]
    waited = cuda.call("cudaStreamSynchronize", captured.stream)[0]
    return text((waited if int(launched) == 0 else launched, waited))


@graph_case(
    "execute-on-the-legacy-stream-in-a-capture",
    "(False, cudaErrorStreamCaptureInvalidated)",
    source=TYPES + "906; " + HEADER + "enqueueV3: default stream",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """An execution on stream 0 while a blocking stream captures fails and spoils the capture."""
    bench, stream = Bench(g), cuda.stream(blocking=True)
    bench.give("x", rows(2))
    bench.room("y", 64)
    bench.run()
    cuda.begin(stream)
    done = bench.context.execute_async_v3(0)
    return text((done, cuda.call("cudaStreamEndCapture", stream)[0]))


# --- more of the runtime API ---


@graph_case(
    "devices-of-the-runtime",
    "(True, 0, cudaErrorInvalidDevice)",
    source=RUNTIME + "cudaGetDeviceCount, cudaGetDevice, cudaSetDevice",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """There is a device, number 0 is current, and 99 does not exist."""
    return text((cuda("cudaGetDeviceCount") >= 1, cuda("cudaGetDevice"), cuda.error("cudaSetDevice", 99)))


@graph_case("device-properties", "(True, True)", source=RUNTIME + "cudaGetDeviceProperties")
def _(g: Ground, cuda: Cuda) -> Any:
    """The device's properties: a name in bytes, and memory."""
    properties = cuda("cudaGetDeviceProperties", 0)
    return text((isinstance(properties.name, bytes), properties.totalGlobalMem > 0))


@graph_case(
    "event-without-timing",
    "cudaErrorInvalidResourceHandle",
    source=RUNTIME + "cudaEventElapsedTime, cudaEventDisableTiming",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """Events made with cudaEventDisableTiming have no time."""
    stream = cuda.stream()
    events = [cuda("cudaEventCreateWithFlags", 2) for _ in range(2)]
    for event in events:
        cuda("cudaEventRecord", event, stream)
    cuda("cudaStreamSynchronize", stream)
    return text(cuda.call("cudaEventElapsedTime", *events)[0])


@graph_case("event-times", "(cudaSuccess, True)", source=RUNTIME + "cudaEventElapsedTime")
def _(g: Ground, cuda: Cuda) -> Any:
    """The time between two events is a float of milliseconds."""
    stream, start, end = cuda.stream(), cuda.event(), cuda.event()
    for event in (start, end):
        cuda("cudaEventRecord", event, stream)
    cuda("cudaStreamSynchronize", stream)
    error, milliseconds = cuda.call("cudaEventElapsedTime", start, end)
    return text((error, isinstance(milliseconds, float) and milliseconds >= 0))


@graph_case("copy-of-the-default-kind", "[1.0, 2.0]", source=RUNTIME + "cudaMemcpyDefault: the direction is inferred")
def _(g: Ground, cuda: Cuda) -> Any:
    """cudaMemcpyDefault finds out which side is the device's."""
    address, host = int(cuda("cudaMalloc", 8)), cuda.pinned(np.array([1, 2], np.float32))
    cuda("cudaMemcpy", address, host.ctypes.data, 8, cuda.module.cudaMemcpyKind(4))
    return text(cuda.read(address, 2))


@graph_case("copy-with-pitch-of-the-runtime", "[0.0, 1.0, 4.0, 5.0]", source=RUNTIME + "cudaMemcpy2D")
def _(g: Ground, cuda: Cuda) -> Any:
    """cudaMemcpy2D takes two columns out of four."""
    address, target = cuda.device(np.arange(8, dtype=np.float32)), np.zeros(4, np.float32)
    cuda("cudaMemcpy2D", target.ctypes.data, 8, address, 16, 8, 2, cuda.module.cudaMemcpyKind(2))
    return text(target.tolist())


@graph_case(
    "stream-ordered-memory",
    "(cudaSuccess, [1.0, 2.0], cudaSuccess)",
    source=RUNTIME + "stream ordered memory allocator",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """cudaMallocAsync and cudaFreeAsync allocate in a stream's order."""
    stream, host = cuda.stream(), cuda.pinned(np.array([1, 2], np.float32))
    error, address = cuda.call("cudaMallocAsync", 8, stream)
    cuda.upload(int(address), host, stream)
    cuda("cudaStreamSynchronize", stream)
    return text((error, cuda.read(int(address), 2), cuda.error("cudaFreeAsync", address, stream)))


@graph_case(
    "pinned-memory-of-the-runtime-freed-twice", "(cudaSuccess, cudaErrorInvalidValue)", source=RUNTIME + "cudaFreeHost"
)
def _(g: Ground, cuda: Cuda) -> Any:
    """The second cudaFreeHost of an address is an error."""
    address = cuda("cudaMallocHost", 64)
    return text((cuda.call("cudaFreeHost", address)[0], cuda.call("cudaFreeHost", address)[0]))


@graph_case(
    "pointer-attributes", "(cudaMemoryTypeDevice, cudaMemoryTypeHost)", source=RUNTIME + "cudaPointerGetAttributes"
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A device address and a pinned one are told apart."""
    places = (cuda("cudaMalloc", 64), cuda("cudaMallocHost", 64))
    return text(tuple(cuda("cudaPointerGetAttributes", place).type for place in places))


@graph_case("reset-frees-everything", "(cudaSuccess, True)", source=RUNTIME + "cudaDeviceReset", needs=SIMULATOR)
def _(g: Ground, cuda: Cuda) -> Any:
    """cudaDeviceReset gives all memory back."""
    free, _ = cuda("cudaMemGetInfo")
    cuda("cudaMalloc", 64 << 20)
    error = cuda.call("cudaDeviceReset")[0]
    return text((error, cuda("cudaMemGetInfo")[0] == free))


@graph_case(
    "memory-of-nothing-of-the-runtime",
    "cudaSuccess",
    source="measured on an NVIDIA H200, CUDA 13: cudaMalloc(0) succeeds with a null pointer",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """Unlike the driver's, the runtime's allocation of zero bytes is no error."""
    return cuda.error("cudaMalloc", 0)


@graph_case(
    "legacy-stream-by-name",
    "[1.0, 2.0]",
    source=RUNTIME + "stream synchronization behavior: cudaStreamLegacy is handle 1",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """The handle cudaStreamLegacy (1) is the legacy default stream."""
    address, host = int(cuda("cudaMalloc", 8)), cuda.pinned(np.array([1, 2], np.float32))
    cuda.upload(address, host, 1)
    cuda("cudaStreamSynchronize", 0)
    return text(cuda.read(address, 2))


@graph_case("graph-nodes", "(True, True)", source=RUNTIME + "cudaGraphGetNodes, cudaGraphNodeGetType")
def _(g: Ground, cuda: Cuda) -> Any:
    """A graph of copy, execution and copy has two copies and at least one kernel."""
    captured = Captured(g, cuda)
    _, count = cuda("cudaGraphGetNodes", captured.graph, 0)
    nodes, _ = cuda("cudaGraphGetNodes", captured.graph, count)
    kinds = [text(cuda("cudaGraphNodeGetType", node)) for node in nodes]
    return text((kinds.count("cudaGraphNodeTypeMemcpy") >= 2, "cudaGraphNodeTypeKernel" in kinds))


@graph_case("graph-on-another-stream", "11.0", source=RUNTIME + "cudaGraphLaunch: in any stream")
def _(g: Ground, cuda: Cuda) -> Any:
    """A graph may be launched in another stream than it was captured in."""
    captured = Captured(g, cuda)
    captured.stream = cuda.stream()
    return text(captured.launch(10))


@graph_case(
    "graph-of-a-graph", "[1.0, 2.0]", source=RUNTIME + "cudaGraphLaunch in a capturing stream becomes a child graph"
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A launch that is captured is part of the outer graph."""
    stream, host = cuda.stream(), cuda.pinned(np.array([1, 2], np.float32))
    address = cuda.device(np.zeros(2, np.float32))
    cuda.begin(stream)
    cuda.upload(address, host, stream)
    inner = cuda.instantiate(cuda("cudaStreamEndCapture", stream))
    cuda.begin(stream)
    cuda("cudaGraphLaunch", inner, stream)
    outer = cuda.instantiate(cuda("cudaStreamEndCapture", stream))
    cuda("cudaGraphLaunch", outer, stream)
    cuda("cudaStreamSynchronize", stream)
    return text(cuda.read(address, 2))


@graph_case("graph-of-a-memset", "[0.0, 0.0]", source=RUNTIME + "cudaMemsetAsync in a capturing stream")
def _(g: Ground, cuda: Cuda) -> Any:
    """A memset is captured as a node."""
    stream, address = cuda.stream(), cuda.device(np.ones(2, np.float32))
    cuda.begin(stream)
    cuda("cudaMemsetAsync", address, 0, 8, stream)
    executable = cuda.instantiate(cuda("cudaStreamEndCapture", stream))
    cuda("cudaGraphLaunch", executable, stream)
    cuda("cudaStreamSynchronize", stream)
    return text(cuda.read(address, 2))


@graph_case("graph-per-shape", "(11.0, 21.0, 12.0)", source="developer guide, CUDA graphs: a graph per shape; " + WARM)
def _(g: Ground, cuda: Cuda) -> Any:
    """Graphs of two contexts with a shape each are launched in turns."""
    one, two = Captured(g, cuda), Captured(g, cuda)
    return text((one.launch(10), two.launch(20), one.launch(11)))


@graph_case(
    "graph-and-a-changed-shape",
    "(True, 11.0)",
    source="developer guide, CUDA graphs: the capture is not affected by later calls",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A shape that is set after the capture leaves the graph as it is."""
    captured = Captured(g, cuda)
    done = captured.bench.context.set_input_shape("x", (1, 8))
    return text((done, captured.launch(10)))


@graph_case("input-consumed-event", "(True, cudaSuccess)", source=HEADER + "setInputConsumedEvent")
def _(g: Ground, cuda: Cuda) -> Any:
    """The event for consumed inputs is recorded by the execution."""
    bench, event = Bench(g), cuda.event()
    bench.give("x", rows(2))
    bench.room("y", 64)
    done = bench.context.set_input_consumed_event(int(event))
    bench.run()
    return text((done, cuda.call("cudaEventQuery", event)[0]))


@graph_case("auxiliary-streams", "True", source=HEADER + "setAuxStreams: more streams than the engine uses are ignored")
def _(g: Ground, cuda: Cuda) -> Any:
    """Auxiliary streams may be given."""
    bench = Bench(g)
    bench.give("x", rows(2))
    bench.room("y", 64)
    bench.context.set_aux_streams([int(cuda.stream())])
    return text(bench.run())


@graph_case(
    "runtime-in-another-thread",
    "cudaSuccess",
    source=RUNTIME + "initialization: each thread uses the device's primary context",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """The runtime API needs no context of the thread's: it takes the primary one."""
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(cuda.error("cudaMalloc", 64)))
    thread.start()
    thread.join()
    return seen[0]


@graph_case(
    "driver-in-another-thread",
    "CUDA_ERROR_INVALID_CONTEXT",
    source="CUDA driver API reference, context management: current per thread",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """The driver API needs a context that is current in the thread."""
    seen: list[str] = []

    def work() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seen.append(text(_driver().cuMemAlloc(64)[0]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return seen[0]


@graph_case(
    "driver-primary-context", "(True, [3.0, 3.0])", source="CUDA driver API reference, primary context management"
)
def _(g: Ground, cuda: Cuda) -> Any:
    """The retained primary context is the one that the runtime API uses: memory of one is the other's."""
    driver = _driver()
    _, device = driver.cuDeviceGet(0)
    error, context = driver.cuDevicePrimaryCtxRetain(device)
    driver.cuCtxPushCurrent(context)
    try:
        address = cuda.device(np.full(2, 3, np.float32))
        host = np.zeros(2, np.float32)
        driver.cuMemcpyDtoH(host.ctypes.data, address, 8)
    finally:
        driver.cuCtxPopCurrent()
        driver.cuDevicePrimaryCtxRelease(device)
    return text((int(error) == 0, host.tolist()))


@graph_case(
    "driver-address-range", "(CUDA_SUCCESS, True, 64)", source="CUDA driver API reference, cuMemGetAddressRange"
)
def _(g: Ground, cuda: Cuda) -> Any:
    """The allocation that an address lies in."""
    base = int(cuda("cudaMalloc", 64))
    error, start, size = _driver().cuMemGetAddressRange(base + 16)
    return text((error, int(start) == base, int(size)))


@graph_case("copy-host-to-host", "[1.0, 2.0]", source=RUNTIME + "cudaMemcpy, cudaMemcpyHostToHost")
def _(g: Ground, cuda: Cuda) -> Any:
    """cudaMemcpy may copy on the host."""
    one, two = np.array([1, 2], np.float32), np.zeros(2, np.float32)
    cuda("cudaMemcpy", two.ctypes.data, one.ctypes.data, 8, cuda.module.cudaMemcpyKind(0))
    return text(two.tolist())


@graph_case("copy-of-no-bytes", "cudaSuccess", source=RUNTIME + "cudaMemcpy: a count of 0 copies nothing")
def _(g: Ground, cuda: Cuda) -> Any:
    """No bytes are no error."""
    address, host = int(cuda("cudaMalloc", 8)), np.zeros(2, np.float32)
    return cuda.error("cudaMemcpy", address, host.ctypes.data, 0, cuda.module.cudaMemcpyKind(1))


@graph_case(
    "graph-after-destroy",
    "cudaErrorInvalidValue",
    source=PROMISE + "an executable graph that was destroyed is refused",
    needs=SIMULATOR,
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A launch of an executable graph that was destroyed."""
    captured = Captured(g, cuda)
    cuda("cudaGraphExecDestroy", captured.executable)
    return cuda.error("cudaGraphLaunch", captured.executable, captured.stream)


@graph_case("graph-replayed-often", "True", source="developer guide, CUDA graphs")
def _(g: Ground, cuda: Cuda) -> Any:
    """Fifty launches with fifty inputs."""
    captured = Captured(g, cuda)
    return text(all(captured.launch(value) == value + 1 for value in range(50)))


@graph_case(
    "graph-of-a-launch-order",
    "(11.0, 5.0)",
    source="CUDA programming guide, streams: a launch is an operation of its stream",
)
def _(g: Ground, cuda: Cuda) -> Any:
    """Work enqueued after a launch comes after the graph."""
    captured = Captured(g, cuda)
    captured.source[...] = 10
    host = cuda.pinned(np.full((2, 8), 5, np.float32))
    cuda("cudaGraphLaunch", captured.executable, captured.stream)
    cuda.upload(captured.y, host, captured.stream)
    cuda("cudaStreamSynchronize", captured.stream)
    return text((float(captured.result[0, 0]), cuda.read(captured.y, 1)[0]))


@graph_case(
    "execution-error-in-a-graph",
    "(cudaSuccess, cudaErrorLaunchFailure)",
    source=PROMISE + "a kernel of a graph that fails is told by the next wait",
    needs=SIMULATOR,
)
def _(g: Ground, cuda: Cuda) -> Any:
    """A graph whose execution reads beyond its table."""
    context, stream = load(g, "gather").create_execution_context(), cuda.stream()
    ids = cuda.pinned(np.array([1, 2]))
    x, y = int(cuda("cudaMalloc", 16)), int(cuda("cudaMalloc", 32))
    context.set_input_shape("x", (2,))
    context.set_tensor_address("x", x)
    context.set_tensor_address("y", y)
    cuda.upload(x, ids, stream)
    context.execute_async_v3(int(stream))
    cuda("cudaStreamSynchronize", stream)
    cuda.begin(stream)
    cuda.upload(x, ids, stream)
    context.execute_async_v3(int(stream))
    executable = cuda.instantiate(cuda("cudaStreamEndCapture", stream))
    ids[:] = 99
    launched = cuda.call("cudaGraphLaunch", executable, stream)[0]
    return text((launched, cuda.call("cudaStreamSynchronize", stream)[0]))


CASES = case.cases
