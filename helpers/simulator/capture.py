"""Stream capture: what a capturing stream collects instead of running it, and the graph that comes of it.

After the CUDA programming guide, "Creating a Graph Using Stream Capture", and the driver API reference,
`cuStreamBeginCapture` and `cuStreamEndCapture`; which call is refused how was measured on an NVIDIA H200 (driver 580,
CUDA 13). Copies of pageable memory are refused; CUDA 13 captures them. Behind a device in a child process all threads
of a program are one: a thread-local capture there refuses what a global one does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import DeviceError

THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: they are forbidden in the thread that began the capture
RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED: calls that may wait or allocate are allowed beside the capture


@dataclass(slots=True)
class Node:
    """One piece of work of a graph.

    Attributes:
        kind: "memcpy", "memset", "kernel" (an execution), or "wait": nothing but an order.
        stream: the stream that it was captured in.
        enqueue: enqueues the work on the stream whose handle it is given.
        after: indices of nodes of other streams that come before.
        previous: index of the node before it in its stream, or None.
    """

    kind: str
    stream: int
    enqueue: Callable[[int], None] | None
    after: tuple[int, ...]
    previous: int | None


class Capture:
    """Streams that capture together: the origin, and those that joined it by waiting for one of its events."""

    def __init__(self, origin: int, mode: int) -> None:
        self.origin = origin
        self.mode = mode
        self.thread = threading.get_ident()
        self.valid = True
        self.nodes: list[Node] = []
        self.last: dict[int, int | None] = {origin: None}  # stream -> its latest node

    def forbids_here(self) -> bool:
        """Whether this thread must make no call that may wait or allocate, on whatever stream."""
        if self.mode == THREAD_LOCAL:
            return self.thread == threading.get_ident()
        return self.mode != RELAXED

    def add(self, stream: int, kind: str, enqueue: Callable[[int], None] | None, after: tuple[int, ...] = ()) -> None:
        self.nodes.append(Node(kind, stream, enqueue, after, self.last.get(stream)))
        self.last[stream] = len(self.nodes) - 1

    def unjoined(self) -> list[int]:
        """Streams with work that the origin does not wait for."""
        reached: set[int] = set()
        todo = [self.last[self.origin]]
        while todo:
            index = todo.pop()
            if index is not None and index not in reached:
                reached.add(index)
                todo += [self.nodes[index].previous, *self.nodes[index].after]
        return [stream for stream, index in self.last.items() if index is not None and index not in reached]


@dataclass(slots=True)
class ExecutableGraph:
    """A graph that can be launched: `inner` maps captured streams beside the origin to streams of its own."""

    graph: Capture
    inner: dict[int, int]
    last: Any = None  # the latest operation of the latest launch: launches of one graph do not overlap


def refused(what: str, remedy: str) -> DeviceError:
    """The error of a call that must not be made while a stream captures."""
    return DeviceError(
        "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
        f"{what} while a stream is capturing; the capture is invalid now. {remedy}",
    )


def invalidated() -> DeviceError:
    return DeviceError(
        "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
        "an earlier call was not permitted during this capture. End it (it gives no graph), mend that call, and begin"
        " again.",
    )
