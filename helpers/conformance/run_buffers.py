"""Run cases: addresses, output allocators, execute_v2, several contexts, streams and threads, order of destruction."""

from __future__ import annotations

import contextlib
import gc
import io
import threading
from typing import Any

import numpy as np

from .case import Ground
from .run_kit import (
    BINDINGS,
    HEADER,
    PROMISE,
    SIMULATOR,
    Bench,
    Table,
    attempt,
    kind,
    load,
    pinned,
    plan,
    ready,
    rows,
    text,
)

case = Table()

ADDRESS = (
    "Address is not set for input tensor x. Call setInputTensorAddress or setTensorAddress before enqueue/execute."
)
NEITHER = "Neither address or allocator is set for output tensor y."
ORT = "github.com/microsoft/onnxruntime issue 26170, TensorRT 10"
NAME = "github.com/dusty-nv/jetson-containers issue 904, TensorRT 10"
WORKS = "developer guide, How TensorRT Works, "


# --- addresses ---


@case("execute-right", "(True, [1.0, 16.0])", source="developer guide, performing inference in Python")
def _(g: Ground) -> Any:
    """Shapes and addresses set: the execution is enqueued, and runs."""
    bench = ready(g)
    done = bench.run()
    return text((done, bench.result((2, 8)).ravel()[[0, -1]].tolist()))


@case(
    "execute-without-input-address", "False", ADDRESS, source="github.com/hamdiboukamcha/Yolo-V11-cpp-TensorRT issue 6"
)
def _(g: Ground) -> Any:
    """Execution is refused while an input has no address."""
    bench = Bench(g)
    bench.context.set_input_shape("x", (2, 8))
    bench.room("y", 64)
    return text(bench.run())


@case("execute-without-output-address", "False", NEITHER, source=ORT)
def _(g: Ground) -> Any:
    """Execution is refused while an output has neither an address nor an allocator."""
    bench = Bench(g)
    bench.give("x", rows(2))
    return text(bench.run())


@case(
    "output-address-remedy",
    "False",
    "Call setOutputTensorAddress, setTensorAddress or setOutputAllocator before enqueue/execute.",
    source=ORT,
)
def _(g: Ground) -> Any:
    """The log says what to call for an output."""
    bench = Bench(g)
    bench.give("x", rows(2))
    return text(bench.run())


@case(
    "address-taken-back", "(True, 0, False)", ADDRESS, source=HEADER + "setTensorAddress: nullptr resets to the default"
)
def _(g: Ground) -> Any:
    """Address 0 takes an address back."""
    bench = ready(g)
    done = bench.context.set_tensor_address("x", 0)
    return text((done, bench.context.get_tensor_address("x"), bench.run()))


@case("address-is-told", "(0, True)", source=HEADER + "IExecutionContext::getTensorAddress")
def _(g: Ground) -> Any:
    """get_tensor_address: 0 until it is set."""
    bench = Bench(g)
    before = bench.context.get_tensor_address("x")
    bench.give("x", rows(2))
    return text((before, bench.context.get_tensor_address("x") == int(bench.device["x"])))


@case(
    "address-of-a-wrong-name",
    "False",
    "IExecutionContext::setTensorAddress: Error Code 3: Internal Error (Given invalid tensor name: ids.",
    source=NAME,
)
def _(g: Ground) -> Any:
    """set_tensor_address of a name that the engine does not have."""
    return text(Bench(g).context.set_tensor_address("ids", 256))


@case(
    "address-taken-as-pycuda-object",
    "(True, True)",
    source=BINDINGS + "set_tensor_address takes what converts to an int",
)
def _(g: Ground) -> Any:
    """A device allocation may be given as it is: it converts to an int."""
    bench = Bench(g)
    memory = g.cuda.mem_alloc(64)
    done = bench.context.set_tensor_address("x", int(memory))
    return text((done, bench.context.get_tensor_address("x") == int(memory)))


@case(
    "address-at-enqueue-counts",
    "[2.0, 2.0]",
    source="developer guide, performing inference: addresses are read by enqueueV3",
)
def _(g: Ground) -> Any:
    """An address that is changed after the enqueue does not reach work that was enqueued."""
    bench = Bench(g)
    bench.give("x", np.full((2, 8), 1, np.float32))
    bench.room("y", 64)
    other = g.cuda.to_device(np.full((2, 8), 10, np.float32))
    bench.context.execute_async_v3(bench.stream.handle)
    bench.context.set_tensor_address("x", int(other))
    bench.stream.synchronize()
    return text(bench.result((2, 8))[:, 0].tolist())


@case("shape-at-enqueue-counts", "[2.0, 0.0]", source="developer guide, dynamic shapes: shapes are read by enqueueV3")
def _(g: Ground) -> Any:
    """A shape that is changed after the enqueue does not reach work that was enqueued."""
    bench = Bench(g)
    bench.give("x", np.full((2, 8), 1, np.float32))
    bench.room("y", 64)
    bench.context.set_input_shape("x", (1, 8))
    bench.context.execute_async_v3(bench.stream.handle)
    bench.context.set_input_shape("x", (2, 8))
    bench.stream.synchronize()
    return text(bench.result((2, 8))[:, 0].tolist())


@case(
    "default-stream-is-warned-of",
    "True",
    "Using default stream in enqueueV3() may lead to performance issues",
    source=NAME + "; " + HEADER + "enqueueV3",
)
def _(g: Ground) -> Any:
    """Execution on stream 0 works, with a warning."""
    bench = ready(g)
    done = bench.context.execute_async_v3(0)
    g.cuda.Context.synchronize()
    return text(done)


# --- execute_v2 ---


@case("execute-v2-order", "(True, [5.0, 5.0])", source=HEADER + "executeV2: indices as in getIOTensorName")
def _(g: Ground) -> Any:
    """The addresses of execute_v2 are in the engine's order; it returns when the result is there."""
    bench = Bench(g, "pair")
    for name, value in (("a", 7), ("b", 2)):
        bench.give(name, np.full((2, 8), value, np.float32))
    bench.room("y", 64)
    done = bench.context.execute_v2([int(bench.device[bench.engine.get_tensor_name(i)]) for i in range(3)])
    return text((done, bench.result((2, 8))[:, 0].tolist()))


@case("execute-v2-by-position", "(True, [-5.0, -5.0])", source=HEADER + "executeV2; stumble: buffers bound by position")
def _(g: Ground) -> Any:
    """Swapped addresses are not noticed: the answer is of swapped inputs."""
    bench = Bench(g, "pair")
    for name, value in (("a", 7), ("b", 2)):
        bench.give(name, np.full((2, 8), value, np.float32))
    bench.room("y", 64)
    done = bench.context.execute_v2([int(bench.device[name]) for name in ("b", "a", "y")])
    return text((done, bench.result((2, 8))[:, 0].tolist()))


@case(
    "execute-v2-null",
    "False",
    'Tensor "y" is bound to nullptr, which is allowed only for an empty input tensor, shape tensor, or an output'
    " tensor",
    source="github.com/NVIDIA/TensorRT issue 4344, TensorRT 10.7",
)
def _(g: Ground) -> Any:
    """execute_v2 refuses address 0 for an output."""
    bench = Bench(g)
    bench.give("x", rows(2))
    return text(bench.context.execute_v2([int(bench.device["x"]), 0]))


@case(
    "execute-v2-without-shape",
    "False",
    "Not all shapes are specified.",
    source=HEADER + "setInputShape before executeV2",
)
def _(g: Ground) -> Any:
    """execute_v2 needs the shapes too."""
    bench = Bench(g)
    for name in ("x", "y"):
        bench.room(name, 64)
    return text(bench.context.execute_v2([int(bench.device[name]) for name in ("x", "y")]))


@case(
    "execute-v2-too-few-addresses",
    "False",
    "[simulator]",
    source=PROMISE + "a wrong number of addresses is refused (the binding hands TensorRT an array without its length)",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """Fewer addresses than tensors."""
    bench = Bench(g)
    bench.give("x", rows(2))
    return text(bench.context.execute_v2([int(bench.device["x"])]))


# --- output allocators ---


def _allocator(g: Ground, **overrides: Any) -> Any:
    """An output allocator that keeps its memory and writes down its calls."""

    class Allocator(g.trt.IOutputAllocator):  # type: ignore[name-defined]
        def __init__(self) -> None:
            g.trt.IOutputAllocator.__init__(self)
            self.calls: list[str] = []
            self.sizes: list[int] = []
            self.shape: Any = None
            self.memory: Any = None

        def reallocate_output_async(self, name: str, memory: int, size: int, alignment: int, stream: int) -> int:
            self.calls.append("reallocate")
            self.sizes.append(size)
            if self.memory is None:
                self.memory = g.cuda.mem_alloc(size)
            return int(self.memory)

        def notify_shape(self, name: str, shape: Any) -> None:
            self.calls.append("notify")
            self.shape = tuple(shape)

    for name, value in overrides.items():
        setattr(Allocator, name, value)
    return Allocator()


def _sparse(g: Ground, values: Any) -> tuple[Bench, Any]:
    bench, allocator = Bench(g, "nonzero"), _allocator(g)
    bench.give("x", np.array(values, np.float32))
    bench.context.set_output_allocator("y", allocator)
    return bench, allocator


@case("allocator-order", "(True, [reallocate, notify], (2, 8), True)", source=HEADER + "IOutputAllocator::notifyShape")
def _(g: Ground) -> Any:
    """Memory is asked for before the shape is told, and both before execute_async_v3 returns."""
    bench, allocator = Bench(g), _allocator(g)
    bench.give("x", rows(2))
    bench.context.set_output_allocator("y", allocator)
    done = bench.context.execute_async_v3(bench.stream.handle)
    seen = (done, list(allocator.calls), allocator.shape, allocator.sizes[0] >= 64)
    bench.stream.synchronize()
    return text(seen)


@case("allocator-result", "[1.0, 16.0]", source=HEADER + "IOutputAllocator::reallocateOutputAsync")
def _(g: Ground) -> Any:
    """The output lies where the allocator said."""
    bench, allocator = Bench(g), _allocator(g)
    bench.give("x", rows(2))
    bench.context.set_output_allocator("y", allocator)
    bench.run()
    return text(g.cuda.from_device(allocator.memory, (16,), np.float32)[[0, -1]].tolist())


@case(
    "allocator-data-dependent-shape", "((1, -1), (1, 3), [0, 2, 3])", source=HEADER + "getTensorShape, IOutputAllocator"
)
def _(g: Ground) -> Any:
    """A shape that depends on values is unknown before the execution, and told to the allocator."""
    bench, allocator = _sparse(g, [5, 0, 7, 1])
    before = bench.context.get_tensor_shape("y")
    bench.run()
    return text((before, allocator.shape, g.cuda.from_device(allocator.memory, (3,), np.int64).tolist()))


@case(
    "allocator-empty-output",
    "((1, 0), True)",
    source=HEADER + "reallocateOutputAsync: size is positive even when empty",
)
def _(g: Ground) -> Any:
    """An empty output asks for at least one byte."""
    bench, allocator = _sparse(g, [0, 0, 0])
    bench.run()
    return text((allocator.shape, allocator.sizes[-1] > 0))


@case("allocator-of-two-executions", "((1, 1), (1, 4))", source=HEADER + "IOutputAllocator::notifyShape")
def _(g: Ground) -> Any:
    """Each execution tells its own shape."""
    bench, allocator = _sparse(g, [0, 0, 1, 0])
    allocator.memory = g.cuda.mem_alloc(1024)
    bench.run()
    first = allocator.shape
    bench.give("x", np.ones(4, np.float32))
    bench.run()
    return text((first, allocator.shape))


@case("allocator-without-memory", "False", source=HEADER + "reallocateOutputAsync: nullptr makes the execution fail")
def _(g: Ground) -> Any:
    """An allocator that has no memory makes the execution fail."""
    bench = Bench(g)
    bench.give("x", rows(2))
    allocator = _allocator(g, reallocate_output_async=lambda *_: 0)
    bench.context.set_output_allocator("y", allocator)
    return text(bench.context.execute_async_v3(bench.stream.handle))


@case(
    "allocator-that-raises",
    "False",
    source=BINDINGS + "PyOutputAllocator: an exception is printed, the memory is nullptr",
)
def _(g: Ground) -> Any:
    """An exception in an allocator does not come out of execute_async_v3; the execution fails."""

    def fail(*_: Any) -> int:
        raise ValueError("no memory today")

    bench = Bench(g)
    bench.give("x", rows(2))
    allocator = _allocator(g, reallocate_output_async=fail)
    bench.context.set_output_allocator("y", allocator)
    with contextlib.redirect_stderr(io.StringIO()):
        return text(bench.context.execute_async_v3(bench.stream.handle))


@case("allocator-of-older-code", "(True, [1.0, 16.0])", source=BINDINGS + "PyOutputAllocator::reallocateOutputAsync")
def _(g: Ground) -> Any:
    """An allocator that has only the older reallocate_output is asked through that."""

    class Older(g.trt.IOutputAllocator):  # type: ignore[name-defined]
        def __init__(self) -> None:
            g.trt.IOutputAllocator.__init__(self)
            self.memory: Any = None

        def reallocate_output(self, name: str, memory: int, size: int, alignment: int) -> int:
            self.memory = g.cuda.mem_alloc(size)
            return int(self.memory)

        def notify_shape(self, name: str, shape: Any) -> None:
            pass

    bench, allocator = Bench(g), Older()
    bench.give("x", rows(2))
    bench.context.set_output_allocator("y", allocator)
    done = bench.run()
    return text((done, g.cuda.from_device(allocator.memory, (16,), np.float32)[[0, -1]].tolist()))


@case(
    "allocator-keeps-what-is-there",
    "(True, True, [1.0, 16.0])",
    source=HEADER + "setTensorAddress and setOutputAllocator together",
)
def _(g: Ground) -> Any:
    """An allocator is told the address that was set, and may keep it."""
    told: list[int] = []

    def keep(self: Any, name: str, memory: int, size: int, alignment: int, stream: int) -> int:
        told.append(memory)
        return memory

    bench = ready(g)
    allocator = _allocator(g, reallocate_output_async=keep)
    bench.context.set_output_allocator("y", allocator)
    done = bench.run()
    return text((done, told == [int(bench.device["y"])], bench.result((16,))[[0, -1]].tolist()))


@case("allocator-unset", "(True, True, False)", NEITHER, source="Python API, set_output_allocator: pass None to unset")
def _(g: Ground) -> Any:
    """None takes an allocator back."""
    bench = Bench(g)
    bench.give("x", rows(2))
    bench.context.set_output_allocator("y", _allocator(g))
    done = bench.context.set_output_allocator("y", None)
    return text((done, bench.context.get_output_allocator("y") is None, bench.run()))


@case("allocator-of-an-input", "(False, True)", source=HEADER + "setOutputAllocator, getOutputAllocator")
def _(g: Ground) -> Any:
    """An input takes no allocator."""
    context = Bench(g).context
    done = context.set_output_allocator("x", _allocator(g))
    return text((done, context.get_output_allocator("x") is None))


# --- several contexts, streams, threads ---


@case(
    "contexts-on-two-streams",
    "([11.0, 11.0], [21.0, 21.0])",
    source=HEADER + "IExecutionContext: several for one engine",
)
def _(g: Ground) -> Any:
    """Two contexts of one engine, a stream and buffers each, both enqueued before either is waited for."""
    engine = load(g, "add")
    benches = [Bench(g, engine=engine) for _ in range(2)]
    for value, bench in zip((10, 20), benches, strict=True):
        bench.give("x", np.full((2, 8), value, np.float32))
        bench.room("y", 64)
    for bench in benches:
        bench.context.execute_async_v3(bench.stream.handle)
    for bench in benches:
        bench.stream.synchronize()
    return text(tuple(bench.result((2, 8))[:, 0].tolist() for bench in benches))


@case("context-twice-on-one-stream", "[11.0, 21.0]", source="CUDA programming guide, streams: in order")
def _(g: Ground) -> Any:
    """One context enqueued twice on one stream, copies between them, one wait at the end."""
    bench = Bench(g)
    bench.give("x", rows(2))
    bench.room("y", 64)
    sources = [pinned(g, np.full((2, 8), value, np.float32)) for value in (10, 20)]
    results = [pinned(g, np.zeros((2, 8), np.float32)) for _ in sources]
    for source, result in zip(sources, results, strict=True):
        g.cuda.memcpy_htod_async(bench.device["x"], source, bench.stream)
        bench.context.execute_async_v3(bench.stream.handle)
        g.cuda.memcpy_dtoh_async(result, bench.device["y"], bench.stream)
    bench.stream.synchronize()
    return text([result[0, 0].item() for result in results])


@case("context-chain-over-two-streams", "[3.0, 3.0]", source="CUDA driver API reference, cuStreamWaitEvent")
def _(g: Ground) -> Any:
    """One execution reads what another stream's execution writes, ordered by an event."""
    engine = load(g, "add")
    first, second = (Bench(g, engine=engine) for _ in range(2))
    first.give("x", np.full((2, 8), 1, np.float32))
    first.room("y", 64)
    second.context.set_input_shape("x", (2, 8))
    second.context.set_tensor_address("x", int(first.device["y"]))
    second.room("y", 64)
    first.context.execute_async_v3(first.stream.handle)
    second.stream.wait_for_event(g.cuda.Event().record(first.stream))
    second.context.execute_async_v3(second.stream.handle)
    second.stream.synchronize()
    return text(second.result((2, 8))[:, 0].tolist())


def _in_threads(g: Ground, works: list[Any]) -> list[Any]:
    """Run each in a thread of its own with the CUDA context current; return what they return."""
    current, results = g.cuda.Context.get_current(), [None] * len(works)

    def run(i: int) -> None:
        current.push()
        try:
            results[i] = works[i]()
        finally:
            g.cuda.Context.pop()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@case("threads-with-a-context-each", "True", source=WORKS + "thread safety: a context per thread")
def _(g: Ground) -> Any:
    """Four threads, each with its own context, stream and buffers, get their own answers every time."""
    engine = load(g, "add")

    def work(value: int) -> bool:
        bench = Bench(g, engine=engine)
        bench.room("y", 64)
        right = True
        for step in range(5):
            bench.give("x", np.full((2, 8), 100 * value + step, np.float32))
            right = right and bench.run() and bool((bench.result((2, 8)) == 100 * value + step + 1).all())
        return right

    return text(all(_in_threads(g, [lambda value=value: work(value) for value in range(4)])))


@case("threads-share-a-context-in-turn", "True", source=WORKS + "thread safety: not two threads at once")
def _(g: Ground) -> Any:
    """Two threads share one context; a lock around set, execute and wait keeps the answers apart."""
    bench, lock = Bench(g), threading.Lock()
    bench.room("y", 64)

    def work(value: int) -> bool:
        right = True
        for step in range(5):
            with lock:
                bench.give("x", np.full((2, 8), 100 * value + step, np.float32))
                right = right and bench.run() and bool((bench.result((2, 8)) == 100 * value + step + 1).all())
        return right

    return text(all(_in_threads(g, [lambda value=value: work(value) for value in range(2)])))


@case(
    "thread-without-cuda-context",
    "LogicError: explicit_context_dependent failed: invalid device context - no currently active context?",
    source="github.com/jkjung-avt/tensorrt_demos issue 63 (pycuda)",
)
def _(g: Ground) -> Any:
    """A stream made in a thread where no CUDA context is current."""
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(attempt(g.cuda.Stream)))
    thread.start()
    thread.join()
    return said[0]


# --- order of destruction ---


@case("runtime-before-engine", "(True, 1.0)", source=BINDINGS + "keep_alive; " + WORKS + "object lifetimes")
def _(g: Ground) -> Any:
    """The runtime's Python object may go first: the engine keeps it."""
    runtime = g.trt.Runtime(g.logger)
    engine = runtime.deserialize_cuda_engine(plan(g.trt, "add"))
    del runtime
    gc.collect()
    bench = Bench(g, engine=engine)
    bench.give("x", rows(2))
    bench.room("y", 64)
    return text((bench.run(), bench.result((2, 8))[0, 0].item()))


@case("engine-before-context", "(True, 1.0)", source=BINDINGS + "create_execution_context: keep_alive<0, 1>")
def _(g: Ground) -> Any:
    """The engine's Python object may go before its context: the context keeps it."""
    bench = ready(g)
    del bench.engine
    gc.collect()
    return text((bench.run(), bench.result((2, 8))[0, 0].item()))


@case(
    "stream-object-before-its-work", "[2.0, 2.0]", source="CUDA driver API reference, cuStreamDestroy: work completes"
)
def _(g: Ground) -> Any:
    """A stream whose object is collected with work in it: the work completes."""
    bench = Bench(g)
    bench.give("x", np.full((2, 8), 1, np.float32))
    bench.room("y", 64)
    bench.context.execute_async_v3(bench.stream.handle)
    del bench.stream
    gc.collect()
    g.cuda.Context.synchronize()
    return text(bench.result((2, 8))[:, 0].tolist())


@case(
    "plan-outlives-nothing",
    "(True, 1.0)",
    source=HEADER + "IRuntime::deserializeCudaEngine: the blob may be freed afterwards",
)
def _(g: Ground) -> Any:
    """The plan's bytes may be overwritten and freed once the engine is there."""
    blob = bytearray(plan(g.trt, "add"))
    engine = g.trt.Runtime(g.logger).deserialize_cuda_engine(blob)
    blob[:] = bytes(len(blob))
    del blob
    bench = Bench(g, engine=engine)
    bench.give("x", rows(2))
    bench.room("y", 64)
    return text((bench.run(), bench.result((2, 8))[0, 0].item()))


# --- sizes and addresses that TensorRT does not check ---


def _fault(g: Ground, bench: Bench) -> str:
    """What the execution returns, and what the next wait says."""
    done = bench.context.execute_async_v3(bench.stream.handle)
    return text((done, kind(bench.stream.synchronize)))


@case(
    "output-buffer-too-small",
    "(False, LogicError)",
    "'y'",
    source=PROMISE + "an execution with a bad address is refused and logged; error 700 follows",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """An output's buffer is smaller than its shape needs."""
    bench = ready(g, batch=4)
    bench.room("y", 64)
    return _fault(g, bench)


@case(
    "input-buffer-too-small",
    "(False, LogicError)",
    "[simulator]",
    source=PROMISE + "the line is marked as the simulator's",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """An input's buffer is smaller than its shape needs."""
    bench = ready(g)
    bench.context.set_input_shape("x", (4, 8))
    bench.room("y", 128)
    return _fault(g, bench)


@case("host-pointer-as-address", "(False, LogicError)", "host pointer", source=PROMISE + "named", needs=SIMULATOR)
def _(g: Ground) -> Any:
    """A NumPy array's pointer where a device address belongs."""
    bench, array = ready(g), rows(2)
    bench.context.set_tensor_address("x", array.ctypes.data)
    return _fault(g, bench)


@case("freed-buffer", "(False, LogicError)", "was freed", source=PROMISE + "freed memory is named", needs=SIMULATOR)
def _(g: Ground) -> Any:
    """A buffer that was freed before the execution."""
    bench = ready(g)
    bench.device["x"].free()
    return _fault(g, bench)


@case(
    "collected-buffer",
    "(False, LogicError)",
    "was freed",
    source=PROMISE + "collected memory is named",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A buffer that nobody keeps."""
    bench = ready(g)
    bench.context.set_tensor_address("y", int(g.cuda.mem_alloc(64)))
    gc.collect()
    return _fault(g, bench)


@case(
    "wrong-dtype-in-buffer",
    "(False, LogicError, None)",
    "float32",
    source=PROMISE + "bytes of another dtype are refused, without losing the CUDA context",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """float16 values in a float32 tensor's buffer of the right size: refused, said once more at the wait, then over."""
    bench = ready(g)
    g.cuda.memcpy_htod(bench.device["x"], np.zeros((4, 8), np.float16))
    done = bench.context.execute_async_v3(bench.stream.handle)
    return text((done, kind(bench.stream.synchronize), kind(bench.stream.synchronize)))


@case(
    "indices-beyond-the-table",
    "(True, LaunchError: cuStreamSynchronize failed: unspecified launch failure, LaunchError)",
    source=PROMISE + "a kernel that reads beyond its table fails at the next wait with error 719, which stays",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A token id beyond the embedding: enqueued, failed at the wait, and the CUDA context is lost."""
    bench = Bench(g, "gather")
    bench.give("x", np.array([0, 99]))
    bench.room("y", 32)
    done = bench.context.execute_async_v3(bench.stream.handle)
    return text((done, attempt(bench.stream.synchronize), kind(g.cuda.mem_alloc, 8)))


@case("indices-in-the-table", "[0.0, 12.0]", source="ONNX, Gather")
def _(g: Ground) -> Any:
    """Token ids select rows of the table."""
    bench = Bench(g, "gather")
    bench.give("x", np.array([0, 3]))
    bench.room("y", 32)
    bench.run()
    return text(bench.result((2, 4))[:, 0].tolist())


@case(
    "int32-in-an-int64-tensor",
    "False",
    "int64",
    source=PROMISE + "bytes of another dtype are refused; on a GPU the numbers are nonsense (ORT issue 21219)",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """int32 ids in an int64 tensor's buffer, which has room for both."""
    bench = Bench(g, "gather")
    bench.give("x", np.array([0, 3]))
    bench.room("y", 32)
    g.cuda.memcpy_htod(bench.device["x"], np.array([1, 2, 3, 1], np.int32))
    return text(bench.context.execute_async_v3(bench.stream.handle))


@case(
    "output-read-as-another-dtype",
    "LogicError: cuMemcpyDtoH failed: invalid argument",
    source=PROMISE + "named",
    needs=SIMULATOR,
)
def _(g: Ground) -> Any:
    """A float32 output copied into a float16 array."""
    bench = ready(g)
    bench.run()
    return attempt(g.cuda.memcpy_dtoh, np.zeros(16, np.float16), bench.device["y"])


@case("one-buffer-for-two-outputs-in-turn", "[2.0, 11.0]", source="CUDA programming guide, streams: in order")
def _(g: Ground) -> Any:
    """Two contexts on one stream may use one output buffer in turn, each copied out before the next."""
    engine, stream = load(g, "add"), g.cuda.Stream()
    results, kept = [], []
    shared = g.cuda.mem_alloc(64)
    for value in (1, 10):
        bench = Bench(g, engine=engine)
        bench.give("x", np.full((2, 8), value, np.float32))
        bench.context.set_tensor_address("y", int(shared))
        result = pinned(g, np.zeros((2, 8), np.float32))
        bench.context.execute_async_v3(stream.handle)
        g.cuda.memcpy_dtoh_async(result, shared, stream)
        results.append(result)
        kept.append(bench)
    stream.synchronize()
    return text([result[0, 0].item() for result in results])


@case(
    "output-as-the-next-input",
    "[4.0, 4.0]",
    source="developer guide: device addresses are the application's; a decoding loop",
)
def _(g: Ground) -> Any:
    """Three executions, each of which reads what the last one wrote, without a copy in between."""
    bench = ready(g)
    buffers = [g.cuda.to_device(np.full((2, 8), 1, np.float32)), g.cuda.mem_alloc(64)]
    for step in range(3):
        bench.context.set_tensor_address("x", int(buffers[step % 2]))
        bench.context.set_tensor_address("y", int(buffers[(step + 1) % 2]))
        bench.context.execute_async_v3(bench.stream.handle)
    bench.stream.synchronize()
    return text(g.cuda.from_device(buffers[1], (2, 8), np.float32)[:, 0].tolist())


@case(
    "address-within-a-buffer",
    "[1.0, 16.0]",
    source=HEADER + "setTensorAddress: any device address of 256-byte alignment",
)
def _(g: Ground) -> Any:
    """A tensor may lie in the middle of a larger allocation."""
    bench, arena = ready(g), g.cuda.mem_alloc(1024)
    g.cuda.memcpy_htod(int(arena) + 512, rows(2))
    bench.context.set_tensor_address("x", int(arena) + 512)
    bench.run()
    return text(bench.result((16,))[[0, -1]].tolist())


CASES = case.cases
