"""The simulated device: memory, streams, executions and their record.

Everything that crosses this interface is plain data (integers, strings, bytes, lists, dicts), never a Python object, so
that the same device serves in process or from a child process (`transport.py`). The front ends (`frontends/`,
`runtime.py`) only translate; what is right and wrong is decided here.

How it behaves, after the CUDA Driver API reference ("API synchronization behavior", "Stream synchronization behavior"):

* A stream is a queue. Work that was enqueued runs when something waits for it: a synchronisation, a blocking copy, a
  free, a `query` (one operation a call). Until then nothing has run, so that reading too early fails every time.
* Pinned memory is allocated here. It is read when a copy runs, and holds poison (0xFF: NaN for floats, -1 for integers)
  from the moment a copy into it is enqueued until that copy completes.
* Pageable memory travels by value in a call that waits, and is recorded as "pageable, synchronous".
* A copy has `rows` of equal width, `pitch` bytes apart (cuMemcpy2D); a plain copy is one row. Bytes between the rows
  are neither read, written nor poisoned.
* The legacy default stream (handle 0) waits for all blocking streams, and they wait for it. Freeing memory waits for
  the whole device.
"""

from __future__ import annotations

import bisect
import hashlib
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from .capture import RELAXED, THREAD_LOCAL, Capture, ExecutableGraph, invalidated, refused
from .errors import STICKY, ContextLost, DeviceError
from .executor import Engine, ExecutionError
from .memory import (
    POISON,
    Allocation,
    Copy,
    CopyFromHost,
    CopyToHost,
    HostMemory,
    Pages,
    Rows,
    fits,
    in_rows,
    is_bytes,
    mark,
)
from .plan import DTYPES, PlanError, Shape, TensorSpec, open_plan

BASE_ADDRESS = 0x3_0200_0000  # as CUDA hands them out; far below any host mapping of a 64-bit process
ALIGNMENT = 256
BEHIND = 1 << 30  # so far behind a buffer, an address was computed from the buffer's; elsewhere it is somebody else's
T4_MEMORY = 15 << 30
LARGEST_VOLUME = 1 << 40  # elements of a tensor
# The record keeps the latest events; indices go on counting. Freed buffers are remembered to name a stale pointer.
RECORD_LIMIT = 50_000
FREED_LIMIT = 1_000

# What a grader asks of a device beside what a program does. A student's process is never served these.
JUDGE_ONLY = ("keep_digests", "allocation", "pinned", "fill_pinned", "settle")

NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
DISABLE_TIMING = 2  # CU_EVENT_DISABLE_TIMING
DEFAULT_STREAM = 0


@dataclass(slots=True)
class Event:
    """One line of the record. Times are `time.perf_counter_ns()`; 0 where it has not happened yet.

    `op` is one of alloc, free, host_alloc, host_free, htod, dtoh, dtod, memset, execute, event_record, wait_event,
    synchronize, stream_create, engine_load, context_create, inference, graph_launch (what the graph holds follows as
    events of their own), reset. `memory` says what the host side of a copy was:
    "pinned", or "pageable, synchronous".

    `digests` is None but while `Device.keep_digests(True)`. Then it holds SHA-256 in hex, taken when the work runs:

    * a copy: {"data": of the bytes copied}; from pinned memory to the device also {"enqueued": of the bytes that were
      there when it was enqueued}. Where the two differ, a GPU might have copied either.
    * an execution or inference: {"plan": of the bytes given to `engine_load`, "input:NAME": of the bytes read,
      "output:NAME": of the bytes written}; an engine_load: {"plan"}.
    """

    index: int
    op: str
    stream: int
    nbytes: int = 0
    address: int = 0
    source: int = 0
    memory: str = ""
    tensor: str = ""
    engine: int = 0
    context: int = 0
    profile: int = 0
    shapes: dict[str, list[int]] | None = None
    waited_for: str = ""
    enqueued_ns: int = 0
    started_ns: int = 0
    finished_ns: int = 0
    digests: dict[str, str] | None = None


_FIELDS = tuple(Event.__dataclass_fields__)


def _plain(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in _FIELDS}


_PLACE = {"enqueued_ns", "started_ns", "finished_ns", "address", "source"}


def comparable(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A record without times and addresses: equal for equal programs, whichever transport ran them."""
    return [{k: v for k, v in event.items() if k not in _PLACE} for event in events]


class Operation:
    """Queued work: an event of the record, what it waits for, and how to run it."""

    __slots__ = ("done", "event", "run", "stream", "waits")

    def __init__(self, event: Event, stream: int, waits: list[Operation], run: Any) -> None:
        self.event = event
        self.stream = stream
        self.waits = waits
        self.run = run
        self.done = False


class _Stream:
    __slots__ = ("capture", "destroyed", "flags", "handle", "last", "queue")

    def __init__(self, handle: int, flags: int) -> None:
        self.handle = handle
        self.flags = flags
        self.queue: deque[Operation] = deque()
        self.last: Operation | None = None
        self.capture: Capture | None = None
        self.destroyed = False  # what is queued still runs; nobody can enqueue more


class _CudaEvent:
    __slots__ = ("captured", "flags", "recorded", "time_ns")

    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.recorded: Operation | None = None
        self.captured: tuple[Capture, int | None] | None = None  # recorded in a capturing stream, behind which node
        self.time_ns = 0


class _Context:
    __slots__ = ("engine", "id", "nbytes", "prepared")

    def __init__(self, ident: int, engine: int, nbytes: int) -> None:
        self.id = ident
        self.engine = engine
        self.nbytes = nbytes
        self.prepared: tuple[Any, ...] | None = None  # profile and shapes of the latest execution outside a capture


class Releasing:
    """A device that can be told by the garbage collector to free what a collected Python object stood for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._released: deque[tuple[str, int]] = deque()
        self._pid = os.getpid()

    def release(self, method: str, ident: int) -> None:
        """Call `method(ident)`; errors are nobody's any more.

        The collector may run in the middle of another call: then the release waits for the next one.
        """
        if os.getpid() != self._pid:
            return  # a forked process owns nothing of the device
        self._released.append((method, ident))
        if not self._lock.locked():
            self._drain()

    def _drain(self) -> None:
        while self._released and not self._postponed():
            method, ident = self._released.popleft()
            try:
                getattr(self, method)(ident)
            except DeviceError:
                pass

    def _postponed(self) -> bool:
        """Whether freeing must wait: what the collector frees must neither fail nor spoil what others are doing."""
        return False


class _Entry:
    """The device's lock. Whoever enters is told of an error that stays."""

    __slots__ = ("lock", "lost")

    def __init__(self, lock: threading.Lock) -> None:
        self.lock = lock
        self.lost: DeviceError | None = None

    def __enter__(self) -> None:
        self.lock.acquire()
        if self.lost is not None:
            self.lock.release()
            raise ContextLost(self.lost.code, self.lost.detail)  # another each time: one would keep every traceback

    def __exit__(self, *_: object) -> None:
        self.lock.release()


class Device(Releasing):
    """One simulated GPU.

    Args:
        memory: device memory in bytes (default: a T4's 15 GiB).
        threads: ONNX Runtime's intra-op threads; 0 leaves the choice to it.
        shared: whether another process maps the pinned memory.
        compute_capability: 86 for 8.6. 0: a T4's 7.5, and plans built for any target run.

    Every method takes and returns plain data and raises `DeviceError`. Sizes are bytes, times milliseconds.
    """

    def __init__(
        self, memory: int = T4_MEMORY, threads: int = 0, shared: bool = False, compute_capability: int = 0
    ) -> None:
        self.memory = memory
        self.compute_capability = compute_capability
        self.threads = threads
        self.shared = shared
        super().__init__()
        self._used = 0
        self._next_address = BASE_ADDRESS
        self._bases: list[int] = []
        self._allocations: dict[int, Allocation] = {}
        self._pages = Pages()
        self._host: dict[int, HostMemory] = {}
        self._streams = {DEFAULT_STREAM: _Stream(DEFAULT_STREAM, 0)}
        self._events: dict[int, _CudaEvent] = {}
        self._engines: dict[int, Engine] = {}
        self._contexts: dict[int, _Context] = {}
        self._ids = iter(range(16, 1 << 62))  # 1 and 2 are CUDA's own handles of the default stream
        self._record: deque[Event] = deque(maxlen=RECORD_LIMIT)
        self._noted = 0
        self._freed: deque[int] = deque()
        self._fault: DeviceError | None = None
        self._usable = _Entry(self._lock)
        self._captures: list[Capture] = []
        self._graphs: dict[int, Capture] = {}
        self._executable: dict[int, ExecutableGraph] = {}
        self._evidence = False
        self._plans: dict[int, str] = {}  # engine -> SHA-256 of its plan

    def _postponed(self) -> bool:
        return bool(self._captures) or self._usable.lost is not None

    # --- record ---------------------------------------------------------------------------------------------------

    def _note(self, op: str, stream: int = DEFAULT_STREAM, **fields: Any) -> Event:
        event = Event(self._noted, op, stream, enqueued_ns=time.perf_counter_ns(), **fields)
        self._noted += 1
        self._record.append(event)
        return event

    def record_length(self) -> int:
        """How many events there were so far: the index of the next one."""
        self._drain()
        with self._lock:
            return self._noted

    def record(self, since: int = 0) -> list[dict[str, Any]]:
        """The events from index `since` on, oldest first; of a long run the latest RECORD_LIMIT."""
        self._drain()
        with self._lock:
            first = self._noted - len(self._record)
            return [_plain(event) for event in islice(self._record, max(since - first, 0), None)]

    def pending(self, host: int, offset: int, nbytes: int) -> list[dict[str, Any]]:
        """Copies that were enqueued into a pinned range and have not completed."""
        with self._lock:
            memory, asked = self._host.get(host), Rows(offset, nbytes)
            waiting = [
                copy.index for copy in (memory.downloads.values() if memory else ()) if copy.host_rows.overlap(asked)
            ]
            return [_plain(op.event) for op in self._queued() if op.event.index in waiting]

    def unfinished(self) -> list[dict[str, Any]]:
        """All work that was enqueued and has not run, oldest first."""
        with self._lock:
            return [_plain(op.event) for op in sorted(self._queued(), key=lambda op: op.event.index)]

    def _queued(self) -> Iterator[Operation]:
        for stream in self._streams.values():
            yield from stream.queue

    # --- for a grader ---------------------------------------------------------------------------------------------

    def keep_digests(self, keep: bool) -> None:
        """Whether events get `digests` from now on: evidence of which bytes were read, computed and copied."""
        with self._lock:
            self._evidence = keep

    def allocation(self, address: int) -> int:
        """Bytes of the live allocation that begins at `address`; 0 if none does."""
        with self._lock:
            allocation = self._allocations.get(address)
            return 0 if allocation is None or allocation.freed else allocation.nbytes

    def pinned(self, ident: int) -> int:
        """Bytes of the pinned memory `ident`; 0 if there is none."""
        with self._lock:
            memory = self._host.get(ident)
            return memory.nbytes if memory else 0

    def fill_pinned(self, ident: int, offset: int, data: bytes) -> None:
        """Write into pinned memory what a program's own process would write there."""
        with self._lock:
            memory = self._pinned(ident, offset, len(data))
            memory.data[offset : offset + len(data)] = np.frombuffer(data, np.uint8)

    def settle(self) -> None:
        """Run all that is queued, without an event of its own; faults are forgotten."""
        self._drain()
        with self._lock:
            self._usable.lost = None
            for capture in list(self._captures):
                self._end(capture)
            self._complete([s.last for s in self._streams.values() if s.last])
            self._fault = self._usable.lost = None

    def properties(self) -> dict[str, Any]:
        """Name, compute capability, memory in bytes and driver version (CUDA's number) of the device.

        "any_target": whether plans built for other compute capabilities run too.
        """
        return {
            "name": "Simulated GPU (ONNX Runtime on CPU)",
            "compute_capability": list(divmod(self.compute_capability or 75, 10)),  # a T4's, whose size the device has
            "any_target": not self.compute_capability,
            "memory": self.memory,
            "driver": 13000,
        }

    # --- streams and events ---------------------------------------------------------------------------------------

    def stream_create(self, flags: int) -> int:
        with self._usable:
            handle = next(self._ids)
            self._streams[handle] = _Stream(handle, flags)
            self._note("stream_create", handle)
            return handle

    def _stream(self, handle: int) -> _Stream:
        stream = self._streams.get(handle)
        if stream is None or stream.destroyed:
            raise DeviceError(
                "CUDA_ERROR_INVALID_HANDLE",
                f"{handle!r} is no stream of this device. Expected the `handle` of a stream, or 0 for the default"
                " stream.",
            )
        return stream

    def stream_destroy(self, handle: int) -> None:
        """What is queued still runs; the handle is invalid from now on."""
        with self._usable:
            stream = self._stream(handle)
            if handle == DEFAULT_STREAM:
                raise DeviceError("CUDA_ERROR_INVALID_HANDLE", "the default stream cannot be destroyed")
            if stream.capture is not None:
                self._end(stream.capture)
            stream.destroyed = True
            if not stream.queue:
                del self._streams[handle]

    def _target(self, handle: int, wait: bool) -> _Stream:
        """The stream that work goes to; `wait` stands for the blocking calls, which take the default stream."""
        stream = self._stream(DEFAULT_STREAM if wait else handle)
        if self._captures:
            if stream.capture is not None and not stream.capture.valid:
                raise invalidated()
            if stream.handle == DEFAULT_STREAM:
                self._refuse_legacy("work on the default stream")
        return stream

    def _refuse_legacy(self, what: str, spoils: bool = True) -> None:
        """The legacy default stream would depend on every blocking stream: on one that captures it cannot."""
        for capture in self._captures:
            if any(not self._streams[s].flags & NON_BLOCKING for s in capture.last if s in self._streams):
                capture.valid = capture.valid and not spoils
                spoiled = "; the capture is invalid now" if spoils else ""
                raise DeviceError(
                    "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
                    f"{what} while a blocking stream is capturing{spoiled}. Expected: a stream of its own for this"
                    " work, or a capturing stream made with CU_STREAM_NON_BLOCKING.",
                )

    def _refuse_capture(self, what: str, remedy: str, capture: Capture | None = None) -> None:
        """Refuse a call that may wait or allocate while `capture` (default: any whose mode forbids it) goes on."""
        for each in [capture] if capture else [c for c in self._captures if c.forbids_here()]:
            was_valid, each.valid = each.valid, False
            raise refused(what, remedy) if was_valid else invalidated()

    def _enqueue(self, stream: _Stream, event: Event, run: Any, waits: list[Operation] | None = None) -> Operation:
        waits = waits or []
        if stream.handle == DEFAULT_STREAM:  # the legacy default stream waits for every blocking stream ...
            waits += [
                other.last
                for other in self._streams.values()
                if other is not stream
                and other.last is not None
                and not other.flags & NON_BLOCKING
                and not other.last.done
            ]
        elif not stream.flags & NON_BLOCKING:  # ... and they for it
            last = self._streams[DEFAULT_STREAM].last
            if last is not None and not last.done:
                waits.append(last)
        operation = Operation(event, stream.handle, waits, run)
        stream.queue.append(operation)
        stream.last = operation
        return operation

    def _complete(self, operations: list[Operation]) -> None:
        """Run what `operations` need and then them, in the order in which it was enqueued."""
        needed: list[Operation] = []
        reached: dict[int, int] = {}  # stream -> index up to which its queue is needed already
        queues: dict[int, Iterator[Operation]] = {}
        todo = [op for op in operations if not op.done]
        while todo:
            operation = todo.pop()
            stream, index = operation.stream, operation.event.index
            if operation.done or reached.get(stream, -1) >= index:
                continue
            reached[stream] = index
            if stream not in queues:
                queues[stream] = iter(list(self._streams[stream].queue))
            for earlier in queues[stream]:  # a stream is in order; this goes on where the last look stopped
                needed.append(earlier)
                todo.extend(earlier.waits)
                if earlier.event.index >= index:
                    break
        for operation in sorted(needed, key=lambda op: op.event.index):
            self._run(operation)

    def _run(self, operation: Operation) -> None:
        queue = self._streams[operation.stream].queue
        assert queue[0] is operation, "a stream runs in order"
        event = operation.event
        event.started_ns = time.perf_counter_ns()
        try:
            operation.run()
            if self._evidence and isinstance(operation.run, Copy):
                event.digests = (event.digests or {}) | {"data": _digest(operation.run.device_bytes())}
        except DeviceError as error:
            self._fail(error)
        except Exception as error:  # a device that fails must say so at the next synchronisation, and go on
            self._fail(DeviceError("CUDA_ERROR_UNKNOWN", f"{type(error).__name__}: {error}"))
        finally:  # also when Ctrl-C comes in the middle: the work is lost, the stream is not
            queue.popleft()
            event.finished_ns = time.perf_counter_ns()
            operation.done = True
            operation.waits = []
            stream = self._streams[operation.stream]
            if stream.destroyed and not queue:
                del self._streams[operation.stream]

    def _fail(self, error: DeviceError) -> None:
        """Remember what failed, for the next synchronisation; what loses the context, for every later call."""
        self._fault = self._fault or error
        if error.code in STICKY:
            self._usable.lost = self._usable.lost or DeviceError(
                error.code,
                f"{error.detail} The CUDA context is lost since then: every call gives this error until it ends."
                " Restart the kernel or the program.",
            )

    def _raise_fault(self) -> None:
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def _wait(self, operations: list[Operation], stream: int, waited_for: str) -> None:
        event = self._note("synchronize", stream, waited_for=waited_for)
        event.started_ns = event.enqueued_ns
        self._complete(operations)
        event.finished_ns = time.perf_counter_ns()
        self._raise_fault()

    def _refuse_waiting(self, stream: _Stream) -> None:
        if not self._captures:
            return
        if stream.capture is not None:
            self._refuse_capture("waiting for a stream", "Wait after the capture has ended.", stream.capture)
        if stream.handle == DEFAULT_STREAM:
            self._refuse_legacy("waiting for the default stream")
        self._refuse_capture("waiting for a stream", "Wait after the capture has ended, or capture in relaxed mode.")

    def stream_synchronize(self, handle: int) -> None:
        with self._usable:
            stream = self._stream(handle)
            self._refuse_waiting(stream)
            operations = [stream.last] if stream.last else []
            if handle == DEFAULT_STREAM:  # waiting for the default stream is waiting for the blocking ones too
                operations += [s.last for s in self._streams.values() if s.last and not s.flags & NON_BLOCKING]
            self._wait(operations, handle, "stream")

    def synchronize(self) -> None:
        """cuCtxSynchronize: wait for the whole device."""
        with self._usable:
            for capture in self._captures:
                self._refuse_capture("waiting for the device", "Wait after the capture has ended.", capture)
            self._wait([s.last for s in self._streams.values() if s.last], DEFAULT_STREAM, "device")

    def stream_query(self, handle: int) -> bool:
        """True where the stream has no work left. Each call lets one operation of it complete."""
        with self._usable:
            stream = self._stream(handle)
            self._refuse_waiting(stream)
            if stream.queue:
                self._complete([stream.queue[0]])
            self._raise_fault()
            return not stream.queue

    def stream_wait_event(self, handle: int, event: int) -> None:
        with self._usable:
            stream, cuda_event = self._target(handle, False), self._event(event)
            if stream.capture is not None or cuda_event.captured is not None:
                self._wait_in_capture(stream, cuda_event)
                return
            recorded = cuda_event.recorded
            waits = [recorded] if recorded is not None and not recorded.done else []
            self._enqueue(stream, self._note("wait_event", handle), _nothing, waits)

    def _wait_in_capture(self, stream: _Stream, event: _CudaEvent) -> None:
        if event.captured is None:
            if event.recorded is not None:
                assert stream.capture is not None
                stream.capture.valid = False
                raise DeviceError(
                    "CUDA_ERROR_STREAM_CAPTURE_ISOLATION",
                    "a capturing stream cannot wait for an event that was recorded outside the capture; the capture is"
                    " invalid now. Record the event in the capture, or wait for it before the capture begins.",
                )
            return  # an event that was never recorded: nothing to wait for
        capture, node = event.captured
        if capture not in self._captures:
            raise _event_of_a_graph()
        if not capture.valid:
            raise invalidated()
        if stream.capture is not capture and stream.capture is not None:
            capture.valid = stream.capture.valid = False
            raise DeviceError(
                "CUDA_ERROR_STREAM_CAPTURE_MERGE",
                "the event belongs to another capture than the stream; both are invalid now. Capture what belongs"
                " together in one.",
            )
        if stream.handle == DEFAULT_STREAM:
            capture.valid = False
            raise DeviceError(
                "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
                "the default stream cannot wait for a captured event; the capture is invalid now. Use a stream of its"
                " own.",
            )
        stream.capture = capture
        capture.add(stream.handle, "wait", None, () if node is None else (node,))

    def event_create(self, flags: int = 0) -> int:
        with self._usable:
            handle = next(self._ids)
            self._events[handle] = _CudaEvent(flags)
            return handle

    def event_destroy(self, handle: int) -> None:
        """Forget an event. Waits for it that are queued keep what they wait for."""
        with self._lock:
            self._events.pop(handle, None)

    def _event(self, handle: int) -> _CudaEvent:
        event = self._events.get(handle)
        if event is None:
            raise DeviceError("CUDA_ERROR_INVALID_HANDLE", f"{handle!r} is no event of this device")
        return event

    def _completed_event(self, handle: int, doing: str) -> _CudaEvent:
        """An event that can complete: one that was not recorded in a capture."""
        event = self._event(handle)
        if event.captured is not None and event.captured[0] not in self._captures:
            raise _event_of_a_graph()
        if event.captured is not None:
            event.captured[0].valid = event.captured[0].valid and doing == "timing"
            raise _captured_event(doing)
        if self._captures and doing != "timing":
            self._refuse_capture(f"{doing} an event", "Do it after the capture has ended, or capture in relaxed mode.")
        return event

    def event_record(self, handle: int, stream: int) -> None:
        with self._usable:
            event, queue = self._event(handle), self._target(stream, False)
            if queue.capture is not None:
                event.captured = queue.capture, queue.capture.last[queue.handle]
                return
            event.captured = None

            def run() -> None:
                event.time_ns = time.perf_counter_ns()

            event.recorded = self._enqueue(queue, self._note("event_record", stream), run)

    def event_synchronize(self, handle: int) -> None:
        with self._usable:
            event = self._completed_event(handle, "waiting for")
            stream = event.recorded.stream if event.recorded else DEFAULT_STREAM
            self._wait([event.recorded] if event.recorded else [], stream, "event")

    def event_query(self, handle: int) -> bool:
        with self._usable:
            recorded = self._completed_event(handle, "asking").recorded
            if recorded is None or recorded.done:
                return True
            self._complete([self._streams[recorded.stream].queue[0]])
            self._raise_fault()
            return recorded.done

    def event_elapsed(self, start: int, end: int) -> float:
        """Milliseconds between two events: this machine's time, not a GPU's."""
        with self._usable:
            first, last = (self._completed_event(handle, "timing") for handle in (start, end))
            for name, event in (("start", first), ("end", last)):
                if event.flags & DISABLE_TIMING:
                    raise DeviceError(
                        "CUDA_ERROR_INVALID_HANDLE",
                        f"the {name} event was made without timing (CU_EVENT_DISABLE_TIMING); make it with the default"
                        " flags",
                    )
                if event.recorded is None:
                    raise DeviceError(
                        "CUDA_ERROR_INVALID_HANDLE", f"the {name} event was never recorded; call record() first"
                    )
                if not event.recorded.done:
                    raise DeviceError(
                        "CUDA_ERROR_NOT_READY",
                        f"the {name} event has not completed; synchronise with it before asking the time",
                    )
            return (last.time_ns - first.time_ns) / 1e6

    # --- capture and graphs ---------------------------------------------------------------------------------------

    def stream_begin_capture(self, handle: int, mode: int) -> None:
        """From now on the stream collects work instead of running it. `mode`: 0 global, 1 thread-local, 2 relaxed."""
        with self._usable:
            stream = self._stream(handle)
            if handle == DEFAULT_STREAM:
                raise DeviceError(
                    "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
                    "the default stream cannot be captured. Create a stream, and give it to all of the work.",
                )
            if mode not in (0, THREAD_LOCAL, RELAXED):
                raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"capture mode {mode}; expected 0, 1 or 2")
            if stream.capture is not None:
                raise DeviceError(
                    "CUDA_ERROR_ILLEGAL_STATE", "this stream is capturing already. End that capture first."
                )
            stream.capture = Capture(handle, mode)
            self._captures.append(stream.capture)

    def stream_capture_status(self, handle: int) -> int:
        """0: not capturing, 1: capturing, 2: capturing, and the capture is invalid."""
        with self._usable:
            capture = self._stream(handle).capture
            if handle == DEFAULT_STREAM:
                self._refuse_legacy("asking for the default stream's capture", spoils=False)
            return 0 if capture is None else 1 if capture.valid else 2

    def stream_end_capture(self, handle: int) -> int:
        """End the capture that began in this stream; return the graph. An invalid one ends too, and gives an error."""
        with self._usable:
            capture = self._stream(handle).capture
            if capture is None:
                raise DeviceError("CUDA_ERROR_ILLEGAL_STATE", "this stream is not capturing. Begin a capture first.")
            if capture.origin != handle:
                capture.valid = False
                raise DeviceError(
                    "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
                    f"the capture began in stream {capture.origin}. End it there.",
                )
            self._end(capture)
            if not capture.valid:
                raise invalidated()
            unjoined = capture.unjoined()
            if unjoined:
                raise DeviceError(
                    "CUDA_ERROR_STREAM_CAPTURE_UNJOINED",
                    f"the capturing stream does not wait for stream {', '.join(map(str, unjoined))}. Record an event"
                    " there and let the capturing stream wait for it, then end the capture.",
                )
            ident = next(self._ids)
            self._graphs[ident] = capture
            return ident

    def _end(self, capture: Capture) -> None:
        self._captures.remove(capture)
        for handle in capture.last:
            if handle in self._streams:
                self._streams[handle].capture = None

    def _graph(self, ident: int, kind: str, known: dict[int, Any]) -> Any:
        graph = known.get(ident)
        if graph is None:
            raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"{kind} {ident!r} does not exist, or was destroyed")
        return graph

    def graph_nodes(self, ident: int) -> list[str]:
        """What a graph does, in the order of capture: "memcpy", "memset", "kernel" (an execution)."""
        with self._usable:
            return [node.kind for node in self._graph(ident, "graph", self._graphs).nodes if node.kind != "wait"]

    def graph_instantiate(self, ident: int) -> int:
        """A graph that can be launched."""
        with self._usable:
            graph = self._graph(ident, "graph", self._graphs)
            inner = {}
            for captured in graph.last:
                if captured != graph.origin:
                    handle = inner[captured] = next(self._ids)
                    self._streams[handle] = _Stream(handle, NON_BLOCKING)
            ident = next(self._ids)
            self._executable[ident] = ExecutableGraph(graph, inner)
            return ident

    def graph_launch(self, ident: int, stream: int) -> None:
        """Enqueue all that the graph holds, with the addresses and shapes that it was captured with.

        Raises:
            DeviceError: an operand is gone (error 700 from now on), or the stream's own capture is invalid.
        """
        with self._usable:
            queue, executable = self._target(stream, False), self._graph(ident, "executable graph", self._executable)
            if queue.capture is not None:
                self._refuse_capture("launching a graph in it", "Launch it after the capture.", queue.capture)
            self._launch(executable, queue)

    def _launch(self, executable: ExecutableGraph, queue: _Stream) -> None:
        earlier = executable.last
        waits = [earlier] if earlier is not None and not earlier.done else []
        begun = self._enqueue(queue, self._note("graph_launch", queue.handle), _nothing, waits)
        started, done = {queue.handle}, list[Operation]()
        for node in executable.graph.nodes:
            handle = executable.inner.get(node.stream, queue.handle)
            after = [done[index] for index in node.after]
            if handle not in started:
                started.add(handle)
                after.append(begun)
            target = self._streams[handle]
            if after:
                self._enqueue(target, self._note("wait_event", handle), _nothing, after)
            if node.enqueue is not None:
                try:
                    node.enqueue(handle)
                except DeviceError as error:  # its operands were right when they were captured
                    detail = f"launch of a graph whose operands have changed since it was captured: {error.detail}"
                    lost = DeviceError("CUDA_ERROR_ILLEGAL_ADDRESS", detail)
                    self._fail(lost)
                    raise lost from None
            assert target.last is not None
            done.append(target.last)
        executable.last = queue.last

    def graph_destroy(self, ident: int) -> None:
        """Forget a graph. What was instantiated from it stays."""
        with self._usable:
            self._graph(ident, "graph", self._graphs)
            del self._graphs[ident]

    def graph_exec_destroy(self, ident: int) -> None:
        with self._usable:
            executable = self._graph(ident, "executable graph", self._executable)
            for handle in executable.inner.values():
                self._streams[handle].destroyed = True
                if not self._streams[handle].queue:
                    del self._streams[handle]
            del self._executable[ident]

    # --- the context ----------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """End the CUDA context: all memory, streams, events, engines and graphs are gone, an error that stays too."""
        self._drain()
        with self._lock:
            self._note("reset")
            for allocation in list(self._allocations.values()):
                if not allocation.freed:
                    allocation.freed = True
                    self._forget(allocation)
            for memory in self._host.values():
                memory.close()
            for known in (self._host, self._events, self._engines, self._plans, self._contexts, self._graphs):
                known.clear()
            self._executable.clear()
            self._captures.clear()
            self._streams = {DEFAULT_STREAM: _Stream(DEFAULT_STREAM, 0)}
            self._used = 0
            self._fault = self._usable.lost = None

    def live(self) -> list[dict[str, Any]]:
        """What was made and is not freed: dicts of kind, id (an address or a handle), nbytes and tensor."""
        self._drain()
        with self._lock:
            rows: list[tuple[str, int, int, str]] = [
                ("device memory", a.address, a.nbytes, a.tensor) for a in self._allocations.values() if not a.freed
            ]
            rows += [("pinned memory", ident, memory.nbytes, "") for ident, memory in self._host.items()]
            rows += [("engine", ident, engine.plan.weight_bytes, "") for ident, engine in self._engines.items()]
            rows += [("execution context", ident, context.nbytes, "") for ident, context in self._contexts.items()]
            own = {handle for each in self._executable.values() for handle in each.inner.values()}
            streams = [s for s in self._streams.values() if s.handle not in own and s.handle and not s.destroyed]
            rows += [("stream", stream.handle, 0, "") for stream in streams]
            rows += [("event", ident, 0, "") for ident in self._events]
            rows += [("graph", ident, 0, "") for ident in self._graphs]
            rows += [("executable graph", ident, 0, "") for ident in self._executable]
            return [dict(zip(("kind", "id", "nbytes", "tensor"), row, strict=True)) for row in rows]

    # --- memory ---------------------------------------------------------------------------------------------------

    def mem_get_info(self) -> list[int]:
        """[free, total] bytes of device memory."""
        self._drain()
        with self._usable:
            return [self.memory - self._used, self.memory]

    def _take(self, nbytes: int, what: str) -> None:
        if self._used + nbytes > self.memory:
            raise DeviceError(
                "CUDA_ERROR_OUT_OF_MEMORY",
                f"{what} of {nbytes:,} bytes; {self.memory - self._used:,} of {self.memory:,} bytes are free on the"
                " simulated device",
            )
        self._used += nbytes

    def mem_alloc(self, nbytes: int) -> int:
        self._drain()
        with self._usable:
            began = time.perf_counter_ns()
            self._refuse_capture("allocating memory", "Allocate before the capture begins.")
            if nbytes <= 0:
                raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"an allocation of {nbytes} bytes; expected at least 1")
            address = self._next_address
            self._take(nbytes, "an allocation")
            try:
                allocation = Allocation(address, self._pages.take(nbytes))
            except (OSError, ValueError, OverflowError) as error:
                self._used -= nbytes
                detail = f"this machine cannot give {nbytes:,} bytes ({error})"
                raise DeviceError("CUDA_ERROR_OUT_OF_MEMORY", detail) from None
            # addresses are never used twice, and never adjacent: a stale or overrun pointer cannot hit a neighbour
            self._next_address += (nbytes // ALIGNMENT + 2) * ALIGNMENT
            self._bases.append(address)
            self._allocations[address] = allocation
            event = self._note("alloc", nbytes=nbytes, address=address)
            event.started_ns, event.finished_ns = began, event.enqueued_ns  # the host's time: nobody else works
            return address

    def mem_free(self, address: int) -> None:
        """Waits for the whole device first, as cuMemFree does."""
        with self._usable:
            self._refuse_capture("freeing memory", "Free after the capture has ended.")
            allocation = self._allocations.get(address)
            if allocation is None or allocation.freed:
                what = "was freed already" if allocation else "is not the start of an allocation"
                raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"0x{address:x} {what}")
            event = self._note("free", nbytes=allocation.nbytes, address=address)
            event.started_ns = event.enqueued_ns
            self._complete([s.last for s in self._streams.values() if s.last])
            event.finished_ns = time.perf_counter_ns()
            allocation.freed = True
            self._forget(allocation)

    def mem_free_async(self, address: int, stream: int) -> None:
        """Frees when the stream comes to it, as cuMemFreeAsync; for what is enqueued later the memory is gone."""
        with self._usable:
            queue, allocation = self._target(stream, False), self._allocations.get(address)
            if queue.capture is not None:
                self._refuse_capture("freeing memory", "Free after the capture has ended.", queue.capture)
            if allocation is None or allocation.freed:
                what = "was freed already" if allocation else "is not the start of an allocation"
                raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"0x{address:x} {what}")
            allocation.freed = True
            event = self._note("free", queue.handle, nbytes=allocation.nbytes, address=address)
            self._enqueue(queue, event, lambda: self._forget(allocation))

    def _forget(self, allocation: Allocation) -> None:
        """Take the memory back; remember for a while where it was."""
        self._pages.give(allocation.take())
        self._used -= allocation.nbytes
        self._freed.append(allocation.address)
        if len(self._freed) > FREED_LIMIT:
            oldest = self._freed.popleft()
            del self._allocations[oldest]
            del self._bases[bisect.bisect_left(self._bases, oldest)]

    def mem_range(self, address: int) -> list[int]:
        """[start, bytes] of the live allocation that an address lies in (cuMemGetAddressRange); [] where none does."""
        with self._usable:
            allocation = self._find(address)
            return [] if allocation is None or allocation.freed else [allocation.address, allocation.nbytes]

    def _find(self, address: int) -> Allocation | None:
        """The allocation that `address` lies in, freed ones too (their addresses are not used again)."""
        place = bisect.bisect_right(self._bases, address) - 1
        if place < 0:
            return None
        allocation = self._allocations[self._bases[place]]
        inside = address < allocation.address + max(allocation.nbytes, 1)
        return allocation if inside else None

    def _range(
        self, address: int, nbytes: int, what: str, piece: Rows | None = None, code: str = "CUDA_ERROR_INVALID_VALUE"
    ) -> tuple[Allocation, int]:
        """The allocation and offset of a device range; raises with what is wrong about it and the remedy.

        `piece`: the rows that make up the range, for the text. `code`: a copy is refused at once as an invalid value;
        what an execution reads and writes nobody checks, and a GPU reports it as an illegal access.
        """
        if nbytes < 0:
            raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"{what}: {nbytes} bytes; expected 0 or more")
        allocation = self._find(address)
        if allocation is None:
            place = bisect.bisect_right(self._bases, address) - 1
            below = self._allocations[self._bases[place]] if place >= 0 else None
            behind = address - below.address - below.nbytes if below else 0
            if below is not None and behind < BEHIND:
                detail = (
                    f"{what}: 0x{address:x} lies {behind:,} bytes behind the end of the buffer of {below.nbytes:,}"
                    f" bytes at 0x{below.address:x}. Expected an address inside it: offsets are bytes, elements times"
                    " itemsize."
                )
            else:
                detail = (
                    f"{what}: 0x{address:x} is no device address. It looks like a host pointer (such as"
                    " array.ctypes.data): the GPU cannot reach it. Expected the address of cuda.mem_alloc(...), as"
                    " int(allocation)."
                )
            raise DeviceError(code, detail)
        offset = address - allocation.address
        if allocation.freed:
            raise DeviceError(
                code,
                f"{what}: 0x{address:x} lies in a buffer of {allocation.nbytes:,} bytes that was freed. Keep the object"
                " that cuda.mem_alloc returned alive as long as its address is in use (pycuda frees it when it is"
                " collected).",
            )
        if offset + nbytes > allocation.nbytes:
            room = allocation.nbytes - offset
            if piece is not None and piece.rows > 1:
                raise DeviceError(
                    code,
                    f"{what}: {piece.rows:,} rows of {piece.width:,} bytes, {piece.pitch:,} apart, reach over"
                    f" {nbytes:,} bytes, but the buffer at 0x{address:x} has {room:,}. Expected the pitch and the"
                    " offset of the shape that the device holds now: for the last of t steps in [B, t, V], a pitch of t"
                    " rows of V and an offset of t - 1.",
                )
            raise DeviceError(
                code,
                f"{what}: needs {nbytes:,} bytes, but the buffer at 0x{address:x} has {room:,}. Allocate volume(shape)"
                " x itemsize for the largest shape of the profile, with the dtype that the engine reports.",
            )
        return allocation, offset

    def host_alloc(self, nbytes: int) -> int:
        """Pinned memory, as a mapping that host and device share. `host_fd` hands out its file descriptor."""
        self._drain()
        with self._usable:
            began = time.perf_counter_ns()
            self._refuse_capture("pinning memory", "Allocate before the capture begins.")
            if nbytes <= 0:
                raise DeviceError(
                    "CUDA_ERROR_INVALID_VALUE", f"a pinned allocation of {nbytes} bytes; expected at least 1"
                )
            in_use = sum(memory.nbytes for memory in self._host.values())
            if in_use + nbytes > self.memory:  # some limit must be, or another process could take all of a machine
                detail = f"cannot pin {nbytes:,} bytes; {in_use:,} of at most {self.memory:,} are in use"
                raise DeviceError("CUDA_ERROR_OUT_OF_MEMORY", detail)
            ident = next(self._ids)
            try:
                self._host[ident] = HostMemory(ident, nbytes, self.shared)
            except (OSError, ValueError, OverflowError) as error:
                detail = f"this machine cannot pin {nbytes:,} bytes ({error})"
                raise DeviceError("CUDA_ERROR_OUT_OF_MEMORY", detail) from None
            event = self._note("host_alloc", nbytes=nbytes)
            event.started_ns, event.finished_ns = began, event.enqueued_ns
            return ident

    def host_memory(self, ident: int) -> HostMemory:
        memory = self._host.get(ident)
        if memory is None:
            raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"pinned memory {ident!r} does not exist or was freed")
        return memory

    def host_free(self, ident: int) -> None:
        """Frees pinned memory. Copies that are pending keep the mapping until they are done."""
        with self._usable:
            self._refuse_capture("freeing pinned memory", "Free after the capture has ended.")
            memory = self.host_memory(ident)
            del self._host[ident]
            event = self._note("host_free", nbytes=memory.nbytes)
            event.started_ns = event.finished_ns = event.enqueued_ns
            memory.close()

    def _pinned(self, ident: int, offset: int, nbytes: int) -> HostMemory:
        memory = self.host_memory(ident)
        if offset < 0 or nbytes < 0 or offset + nbytes > memory.nbytes:
            raise DeviceError(
                "CUDA_ERROR_INVALID_VALUE",
                f"bytes {offset:,} to {offset + nbytes:,} run past the end of a pinned buffer of {memory.nbytes:,}"
                " bytes",
            )
        return memory

    # --- copies ---------------------------------------------------------------------------------------------------

    def memcpy_htod(
        self,
        address: int,
        nbytes: int,
        host: int,
        offset: int,
        data: bytes | None,
        stream: int,
        wait: bool,
        dtype: str,
        rows: int = 1,
        pitch: int = 0,
        host_pitch: int = 0,
    ) -> None:
        """Host to device.

        The source is `nbytes` at `offset` of pinned memory `host`, or `data` by value (pageable: the call waits).
        `wait` is true for the blocking calls, which go through the default stream. `dtype` is the numpy name of what
        the host array holds ("" where nobody knows): an execution compares it with the tensor's.

        `nbytes` are `rows` of equal width; on the device their starts are `pitch` bytes apart, in pinned memory
        `host_pitch`. Rows by value come packed.
        """
        with self._usable:
            self._htod(stream, address, nbytes, host, offset, data, wait, dtype, rows, pitch, host_pitch)

    def _htod(
        self,
        stream: int,
        address: int,
        nbytes: int,
        host: int,
        offset: int,
        data: bytes | None,
        wait: bool,
        dtype: str,
        rows: int,
        pitch: int,
        host_pitch: int,
    ) -> None:
        queue = self._target(stream, wait)
        allocation, there = self._device_rows(address, nbytes, rows, pitch, "copy host to device")
        if data is not None:
            if len(data) != nbytes:
                raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"{len(data)} bytes came with a copy of {nbytes}")
            memory = "pageable, synchronous"
            pinned, here = None, in_rows(0, nbytes, rows, 0, "copy host to device")
            source = np.frombuffer(data, np.uint8)
        else:
            pinned, here = self._host_rows(host, offset, nbytes, rows, host_pitch, "copy host to device")
            memory = "pinned, synchronous" if wait else "pinned"
            source = pinned.data
        if queue.capture is not None:
            again = (address, nbytes, host, offset, None, False, dtype, rows, pitch, host_pitch)
            self._capture_copy(queue.capture, queue, pinned, lambda handle: self._htod(handle, *again))
            return
        event = self._note(
            "htod", queue.handle, nbytes=nbytes, address=address, memory=memory, tensor=allocation.tensor
        )
        if pinned is not None and self._evidence:
            event.digests = {"enqueued": _digest(here.of(source))}
        mark(allocation, there, dtype)
        run = CopyFromHost(event.index, allocation, there, pinned, here, source)
        operation = self._enqueue(queue, event, run)
        if pinned is not None:
            pinned.uploads[event.index] = operation
        if wait or data is not None:
            self._complete([operation])
            self._raise_fault()

    def _capture_copy(
        self, capture: Capture, queue: _Stream, pinned: HostMemory | None, enqueue: Callable[[int], None]
    ) -> None:
        if pinned is None:
            self._refuse_capture("a copy of pageable memory", "Use pinned memory.", capture)
        capture.add(queue.handle, "memcpy", enqueue)

    def memcpy_dtoh(
        self,
        address: int,
        nbytes: int,
        host: int,
        offset: int,
        pageable: bool,
        stream: int,
        wait: bool,
        dtype: str,
        rows: int = 1,
        pitch: int = 0,
        host_pitch: int = 0,
    ) -> bytes | None:
        """Device to host: into pinned memory, which holds poison until the copy completes, or by value (pageable).

        `rows` and pitches are as in `memcpy_htod`; by value the rows come packed.
        """
        into = None
        if pageable:
            with self._usable:  # before memory is taken for it
                self._device_rows(address, nbytes, rows, pitch, "copy device to host")
            into = np.empty(nbytes, np.uint8)
        self._memcpy_dtoh(address, nbytes, host, offset, into, stream, wait, dtype, rows, pitch, host_pitch)
        return None if into is None else into.tobytes()

    def _memcpy_dtoh(
        self,
        address: int,
        nbytes: int,
        host: int,
        offset: int,
        into: np.ndarray | None,
        stream: int,
        wait: bool,
        dtype: str,
        rows: int = 1,
        pitch: int = 0,
        host_pitch: int = 0,
    ) -> None:
        """The same; pageable bytes are put `into` an array of uint8."""
        with self._usable:
            self._dtoh(stream, address, nbytes, host, offset, into, wait, dtype, rows, pitch, host_pitch)

    def _dtoh(
        self,
        stream: int,
        address: int,
        nbytes: int,
        host: int,
        offset: int,
        into: np.ndarray | None,
        wait: bool,
        dtype: str,
        rows: int,
        pitch: int,
        host_pitch: int,
    ) -> None:
        what = "copy device to host"
        queue = self._target(stream, wait)
        allocation, there = self._device_rows(address, nbytes, rows, pitch, what)
        written = allocation.written_at(there.start)
        if dtype and written and not is_bytes(dtype) and not fits(written, dtype):
            raise DeviceError(
                "CUDA_ERROR_INVALID_VALUE",
                f"{what}{_called(allocation)}: the device holds {written}, the host array is {dtype}."
                f" The bytes would be read as something else. Expected a host array of {written}.",
            )
        target: np.ndarray
        if into is not None:
            pinned, here = None, in_rows(0, nbytes, rows, 0, what)
            memory, target = "pageable, synchronous", into
        else:
            pinned, here = self._host_rows(host, offset, nbytes, rows, host_pitch, what)
            memory, target = "pinned, synchronous" if wait else "pinned", pinned.data
        if queue.capture is not None:
            again = (address, nbytes, host, offset, None, False, dtype, rows, pitch, host_pitch)
            self._capture_copy(queue.capture, queue, pinned, lambda handle: self._dtoh(handle, *again))
            return
        event = self._note("dtoh", queue.handle, nbytes=nbytes, source=address, memory=memory, tensor=allocation.tensor)
        run = CopyToHost(event.index, allocation, there, pinned, here, target)
        if pinned is not None:
            # What a pending copy to the device will still read there must leave before the poison comes.
            self._complete([op for op in pinned.uploads.values() if run.overlaps(op.run)])
            run.begin()
        operation = self._enqueue(queue, event, run)
        if wait or into is not None:
            self._complete([operation])
            self._raise_fault()

    def memcpy_dtod(
        self,
        target: int,
        source: int,
        nbytes: int,
        stream: int,
        wait: bool,
        rows: int = 1,
        target_pitch: int = 0,
        source_pitch: int = 0,
    ) -> None:
        """Device to device; `rows` and pitches are as in `memcpy_htod`."""
        with self._usable:
            self._dtod(stream, target, source, nbytes, wait, rows, target_pitch, source_pitch)

    def _dtod(
        self,
        stream: int,
        target: int,
        source: int,
        nbytes: int,
        wait: bool,
        rows: int,
        target_pitch: int,
        source_pitch: int,
    ) -> None:
        queue = self._target(stream, wait)
        to, to_rows = self._device_rows(target, nbytes, rows, target_pitch, "copy device to device, target")
        of, of_rows = self._device_rows(source, nbytes, rows, source_pitch, "copy device to device, source")
        if queue.capture is not None:
            again = (target, source, nbytes, False, rows, target_pitch, source_pitch)
            queue.capture.add(queue.handle, "memcpy", lambda handle: self._dtod(handle, *again))
            return
        event = self._note("dtod", queue.handle, nbytes=nbytes, address=target, source=source)
        mark(to, to_rows, of.written_at(of_rows.start))

        def run() -> None:
            source_bytes = of.touch(of_rows).copy()
            to.touch(to_rows, overwrites=True)[...] = source_bytes

        operation = self._enqueue(queue, event, run)
        if wait:
            self._complete([operation])
            self._raise_fault()

    def _device_rows(self, address: int, nbytes: int, rows: int, pitch: int, what: str) -> tuple[Allocation, Rows]:
        """The allocation that all rows lie in, and where; raises with what is wrong about them."""
        piece = in_rows(0, nbytes, rows, pitch, what)
        allocation, start = self._range(address, piece.extent, what, piece)
        return allocation, replace(piece, start=start)

    def _host_rows(
        self, host: int, offset: int, nbytes: int, rows: int, pitch: int, what: str
    ) -> tuple[HostMemory, Rows]:
        piece = in_rows(offset, nbytes, rows, pitch, what)
        return self._pinned(host, offset, piece.extent), piece

    def memset(self, address: int, pattern: bytes, count: int, stream: int, wait: bool) -> None:
        """`count` times the 1, 2 or 4 bytes of `pattern`."""
        with self._usable:
            self._memset(stream, address, pattern, count, wait)

    def _memset(self, stream: int, address: int, pattern: bytes, count: int, wait: bool) -> None:
        queue = self._target(stream, wait)
        if len(pattern) not in (1, 2, 4):
            detail = f"memset: a pattern of {len(pattern)} bytes; expected 1, 2 or 4"
            raise DeviceError("CUDA_ERROR_INVALID_VALUE", detail)
        nbytes = len(pattern) * count
        allocation, start = self._range(address, nbytes, "memset")
        if queue.capture is not None:
            again = (address, pattern, count, False)
            queue.capture.add(queue.handle, "memset", lambda handle: self._memset(handle, *again))
            return
        event = self._note("memset", queue.handle, nbytes=nbytes, address=address, tensor=allocation.tensor)
        mark(allocation, Rows(start, nbytes), "")

        def run() -> None:
            filled = allocation.touch(Rows(start, nbytes), overwrites=True)
            filled.reshape(-1, len(pattern))[...] = np.frombuffer(pattern, np.uint8)

        operation = self._enqueue(queue, event, run)
        if wait:
            self._complete([operation])
            self._raise_fault()

    # --- engines --------------------------------------------------------------------------------------------------

    def engine_load(self, plan: bytes) -> dict[str, Any]:
        """Open a plan and prepare to run it.

        Returns `{"engine": id, "description": ...}`, or `{"engine": 0, "error": text}` in the words of
        TensorRT's log.
        """
        self._drain()
        with self._usable:
            began = time.perf_counter_ns()
            try:
                opened = open_plan(plan)
                engine = Engine(opened, self.threads)
            except (PlanError, ExecutionError) as error:
                return {"engine": 0, "error": str(error)}
            try:
                self._take(opened.weight_bytes, "the weights of an engine")
            except DeviceError as error:
                requested = f"OutOfMemory (Requested size was {opened.weight_bytes} bytes.)"
                return {"engine": 0, "error": f"{requested} [simulator] {error.detail}", "code": 2}
            ident = next(self._ids)
            self._engines[ident] = engine
            # always, because evidence may be asked for when the engine is loaded already
            self._plans[ident] = _digest(plan)
            event = self._note("engine_load", nbytes=len(plan), engine=ident)
            event.started_ns, event.finished_ns = began, time.perf_counter_ns()
            if self._evidence:
                event.digests = {"plan": self._plans[ident]}
            return {"engine": ident, "description": opened.description()}

    def engine_free(self, ident: int) -> None:
        with self._lock:
            engine = self._engines.pop(ident, None)
            if engine is not None:
                del self._plans[ident]
                self._used -= engine.plan.weight_bytes

    def _engine(self, ident: int) -> Engine:
        engine = self._engines.get(ident)
        if engine is None:
            raise DeviceError("CUDA_ERROR_INVALID_HANDLE", f"engine {ident!r} does not exist on this device")
        return engine

    def infer_shapes(
        self, engine: int, shapes: dict[str, list[int]], values: dict[str, bytes] | None = None
    ) -> dict[str, list[int]]:
        """Shapes of all outputs for the given shapes of all inputs; -1 where only running can tell.

        `values` has the bytes of the inputs that are shape tensors.
        """
        with self._usable:
            return {name: list(shape) for name, shape in self._shapes(self._engine(engine), shapes, values).items()}

    @staticmethod
    def _shapes(
        engine: Engine, shapes: dict[str, list[int]], values: dict[str, bytes] | None = None
    ) -> dict[str, Shape]:
        """Shapes of all outputs; raises where those of the inputs are missing or do not fit together."""
        for tensor in engine.inputs:
            shape = shapes.get(tensor.name)
            if shape is None or len(shape) != len(tensor.shape):
                raise DeviceError(
                    "CUDA_ERROR_INVALID_VALUE",
                    f"input tensor {tensor.name!r} has {len(tensor.shape)} dimensions, the shape given is {shape}",
                )
            if math.prod(max(d, 1) for d in shape) > LARGEST_VOLUME:  # sums and products of it must stay integers
                detail = f"input tensor {tensor.name!r}: no tensor of shape {shape} can be"
                raise DeviceError("CUDA_ERROR_INVALID_VALUE", detail)
            if values and tensor.name in values:
                Device._host_values(tensor, tuple(shapes[tensor.name]), values)
        try:
            return engine.output_shapes({name: tuple(shape) for name, shape in shapes.items()}, values or {})
        except ExecutionError as error:
            raise DeviceError("CUDA_ERROR_INVALID_VALUE", str(error)) from None

    def context_create(self, engine: int, memory: int = -1) -> int:
        """An execution context: takes the engine's activation memory, or `memory` bytes where that is 0 or more."""
        self._drain()
        with self._usable:
            self._refuse_capture("creating an execution context", "Create it before the capture begins.")
            nbytes = max(self._engine(engine).plan.activation_bytes) if memory < 0 else memory
            self._take(nbytes, "the activation memory of an execution context")
            ident = next(self._ids)
            self._contexts[ident] = _Context(ident, engine, nbytes)
            event = self._note("context_create", nbytes=nbytes, engine=engine, context=ident)
            event.started_ns = event.finished_ns = event.enqueued_ns
            return ident

    def context_memory(self, ident: int, nbytes: int) -> None:
        """Give a context `nbytes` of activation memory in the place of what it has. Waits for the whole device."""
        with self._usable:
            context = self._contexts.get(ident)
            if context is None or nbytes < 0:
                raise DeviceError(
                    "CUDA_ERROR_INVALID_VALUE", f"context {ident!r}, {nbytes} bytes: no such context or size"
                )
            self._refuse_capture("a new size of activation memory", "Choose the profile before the capture begins.")
            self._complete([s.last for s in self._streams.values() if s.last])
            self._take(max(nbytes - context.nbytes, 0), "more activation memory of an execution context")
            self._used -= max(context.nbytes - nbytes, 0)
            context.nbytes = nbytes

    def context_free(self, ident: int) -> None:
        with self._lock:
            context = self._contexts.pop(ident, None)
            if context is not None:
                self._used -= context.nbytes
                engine = self._engines.get(context.engine)
                if engine is not None:
                    engine.forget(ident)

    def execute(
        self,
        context: int,
        stream: int,
        wait: bool,
        profile: int,
        shapes: dict[str, list[int]],
        addresses: dict[str, int],
        values: dict[str, bytes] | None = None,
    ) -> None:
        """Enqueue an execution with profile, shapes and addresses as they are now.

        `values` has the bytes of the inputs that are shape tensors: they lie on the host and come with the call. Each
        other operand is checked here: shapes against the profile, addresses against the allocations (host pointers,
        freed and too small buffers), the dtype of what was copied into an input against the tensor's.

        Raises:
            DeviceError: the execution was refused. The same error is raised by the next synchronisation, as a GPU
                would report an illegal access, so that nobody overlooks it.
        """
        with self._usable:
            try:
                self._execute(stream, context, wait, profile, shapes, addresses, values or {})
            except DeviceError as error:
                if "CAPTURE" not in error.code:
                    self._fail(error)
                raise

    def _execute(
        self,
        stream: int,
        context: int,
        wait: bool,
        profile: int,
        shapes: dict[str, list[int]],
        addresses: dict[str, int],
        values: dict[str, bytes],
    ) -> None:
        known = self._contexts.get(context)
        if known is None:
            raise DeviceError(
                "CUDA_ERROR_INVALID_HANDLE", f"execution context {context!r} does not exist on this device"
            )
        queue = self._target(stream, wait)
        engine = self._engine(known.engine)
        given: dict[str, Shape] = {}
        for tensor in engine.inputs:
            shape = tuple(shapes.get(tensor.name, ()))
            problem = engine.outside_profile(tensor, shape, profile)
            if problem:
                raise DeviceError("CUDA_ERROR_INVALID_VALUE", problem)
            given[tensor.name] = shape
        all_shapes = {**given, **self._shapes(engine, {n: list(s) for n, s in given.items()}, values)}
        on_host = {t.name: self._host_values(t, given[t.name], values) for t in engine.inputs if t.shape_tensor}
        places: dict[str, tuple[Allocation, int, int]] = {}
        for tensor in (*engine.inputs, *engine.outputs):
            if tensor.name in on_host:
                continue
            shape = all_shapes[tensor.name]
            nbytes = math.prod(d for d in shape if d >= 0) * tensor.itemsize
            dtype = DTYPES[tensor.dtype]
            what = f"{tensor.mode.lower()} tensor {tensor.name!r} of shape {list(shape)} and dtype {dtype}"
            allocation, offset = self._range(
                addresses.get(tensor.name, 0), nbytes, what, code="CUDA_ERROR_ILLEGAL_ADDRESS"
            )
            if tensor.mode == "INPUT":
                self._check_dtype(allocation, offset, nbytes, dtype, what)
            allocation.tensor = tensor.name
            if -1 in shape:  # only running can tell: all that is left of the buffer may be filled
                nbytes = allocation.nbytes - offset
            places[tensor.name] = (allocation, offset, nbytes)
        prepared = (profile, tuple(given.items()))
        if queue.capture is not None:
            if known.prepared != prepared:
                self._refuse_capture(
                    "the first execution with this profile and these shapes, for which TensorRT allocates",
                    "Execute once with them and synchronise, then capture.",
                    queue.capture,
                )
            again = (context, False, profile, dict(shapes), dict(addresses), values)
            queue.capture.add(queue.handle, "kernel", lambda handle: self._execute(handle, *again))
            return
        known.prepared = prepared
        for tensor in engine.outputs:
            allocation, offset, nbytes = places[tensor.name]
            mark(allocation, Rows(offset, nbytes), DTYPES[tensor.dtype])
        event = self._note(
            "execute",
            queue.handle,
            context=context,
            engine=known.engine,
            profile=profile,
            shapes={name: list(shape) for name, shape in all_shapes.items()},
        )

        plan = self._plans[known.engine]
        certain = {t.name for t in engine.outputs if -1 not in all_shapes[t.name]}  # all of their bytes will be written

        def run() -> None:
            # looked up when the work runs: addresses are the device's, and memory may have been freed meanwhile
            views = {
                name: held.touch(Rows(offset, nbytes), overwrites=name in certain).reshape(-1)
                for name, (held, offset, nbytes) in places.items()
            } | on_host
            keep = self._evidence
            digests = {f"input:{t.name}": _digest(views[t.name]) for t in engine.inputs} if keep else {}
            try:
                written = engine.run(context, all_shapes, views)
            except ExecutionError as error:
                for name in certain:
                    views[name][...] = POISON
                raise DeviceError("CUDA_ERROR_LAUNCH_FAILED", str(error)) from None
            if keep:
                outputs = {f"output:{name}": _digest(views[name][:nbytes]) for name, nbytes in written.items()}
                event.digests = {"plan": plan} | digests | outputs

        operation = self._enqueue(queue, event, run)
        if wait:
            self._complete([operation])
            self._raise_fault()

    @staticmethod
    def _host_values(tensor: TensorSpec, shape: Shape, values: dict[str, bytes]) -> np.ndarray:
        """The values of a shape tensor, as bytes; raises where they are missing or of another size."""
        given = np.frombuffer(values.get(tensor.name, b""), np.uint8)
        needed = math.prod(shape) * tensor.itemsize
        if len(given) != needed:
            raise DeviceError(
                "CUDA_ERROR_INVALID_VALUE", f"shape tensor {tensor.name!r} has {needed} bytes, {len(given)} came"
            )
        return given

    def data_shapes(
        self,
        context: int,
        stream: int,
        profile: int,
        shapes: dict[str, list[int]],
        addresses: dict[str, int],
        values: dict[str, bytes] | None = None,
    ) -> dict[str, list[int]]:
        """Shapes of all outputs, those that depend on values too: waits for the stream and computes them once."""
        with self._usable:
            known = self._contexts.get(context)
            if known is None:
                raise DeviceError("CUDA_ERROR_INVALID_HANDLE", f"execution context {context!r} does not exist")
            queue, engine = self._target(stream, False), self._engine(known.engine)
            if queue.capture is not None:
                self._refuse_capture("an output whose size depends on values", "Execute it outside.", queue.capture)
            self._complete([queue.last] if queue.last else [])
            self._raise_fault()
            arrays = {}
            for tensor in engine.inputs:
                shape, dtype = tuple(shapes.get(tensor.name, ())), DTYPES[tensor.dtype]
                problem = engine.outside_profile(tensor, shape, profile)
                if problem:
                    raise DeviceError("CUDA_ERROR_INVALID_VALUE", problem)
                if tensor.shape_tensor:
                    view = self._host_values(tensor, shape, values or {})
                else:
                    nbytes = math.prod(shape) * tensor.itemsize
                    allocation, offset = self._range(
                        addresses.get(tensor.name, 0),
                        nbytes,
                        f"input tensor {tensor.name!r} of shape {list(shape)} and dtype {dtype}",
                        code="CUDA_ERROR_ILLEGAL_ADDRESS",
                    )
                    view = allocation.touch(Rows(offset, nbytes)).reshape(-1)
                arrays[tensor.name] = view.view(dtype).reshape(shape)
            try:
                return {name: list(array.shape) for name, array in engine.infer(arrays).items()}
            except ExecutionError as error:
                raise DeviceError("CUDA_ERROR_LAUNCH_FAILED", str(error)) from None

    def infer(self, engine: int, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A whole inference from host arrays to host arrays, done when it returns: one event, no device memory.

        TensorRT has nothing like it. A grader uses it where a program's own copies are not the question.

        Raises:
            DeviceError: an input is missing or has another dtype than the engine's, or no profile allows the shapes.
        """
        with self._lock:
            known = self._engine(engine)
            profile = self._profile_for(known, inputs)
            began = time.perf_counter_ns()
            read = {t.name: inputs[t.name] for t in known.inputs}
            digests = {f"input:{name}": _digest(array) for name, array in read.items()} if self._evidence else {}
            try:
                outputs = known.infer(read)
            except ExecutionError as error:
                raise DeviceError("CUDA_ERROR_LAUNCH_FAILED", str(error)) from None
            shapes = {name: list(array.shape) for name, array in (read | outputs).items()}
            event = self._note("inference", engine=engine, profile=profile, shapes=shapes)
            event.started_ns, event.finished_ns = began, event.enqueued_ns
            if self._evidence:
                written = {f"output:{name}": _digest(array) for name, array in outputs.items()}
                event.digests = {"plan": self._plans[engine]} | digests | written
            return outputs

    @staticmethod
    def _profile_for(engine: Engine, inputs: dict[str, np.ndarray]) -> int:
        """The first profile that allows these inputs."""
        expected = {t.name: DTYPES[t.dtype] for t in engine.inputs}
        given = {name: array.dtype.name for name, array in inputs.items()}
        if given != expected:
            raise DeviceError(
                "CUDA_ERROR_INVALID_VALUE", f"inference: the inputs are {given}; expected {expected} (name: dtype)"
            )
        problem: str | None = ""
        for profile in range(len(engine.plan.profiles)):
            found = (engine.outside_profile(t, inputs[t.name].shape, profile) for t in engine.inputs)
            problem = next((words for words in found if words), None)
            if problem is None:
                return profile
        raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"inference: {problem or 'the plan has no profile'}")

    def _check_dtype(self, allocation: Allocation, offset: int, nbytes: int, dtype: str, what: str) -> None:
        for start, (length, written) in allocation.written.items():
            if start < offset + nbytes and offset < start + length and not fits(dtype, written):
                raise DeviceError(
                    "CUDA_ERROR_INVALID_VALUE",
                    f"{what}: its buffer was filled from an array of {written}. TensorRT would read those bytes as"
                    f" {dtype} and compute nonsense. Convert the array: array.astype(np.{dtype}), or take the dtype"
                    " from trt.nptype(engine.get_tensor_dtype(name)).",
                )


def _digest(data: bytes | np.ndarray) -> str:
    """SHA-256 of bytes, or of an array's in C order."""
    flat: Any = np.ascontiguousarray(data).reshape(-1).view(np.uint8) if isinstance(data, np.ndarray) else data
    return hashlib.sha256(flat).hexdigest()


def _captured_event(doing: str) -> DeviceError:
    return DeviceError(
        "CUDA_ERROR_CAPTURED_EVENT",
        f"{doing} an event that was recorded in a capture: it is a place in a graph and no point in time. Record it"
        " again outside, or use another event.",
    )


def _event_of_a_graph() -> DeviceError:
    return DeviceError(
        "CUDA_ERROR_INVALID_VALUE", "this event was last recorded in a capture that has ended. Record it again first."
    )


def _nothing() -> None:
    return None


def _called(allocation: Allocation) -> str:
    return f" ({allocation.tensor!r})" if allocation.tensor else ""
