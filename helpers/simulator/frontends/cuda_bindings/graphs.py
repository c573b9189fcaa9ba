"""Capture and graphs, as both APIs need them."""

from __future__ import annotations

import threading
from typing import Any

from ... import host as _host
from ...errors import DeviceError
from .enums import NODE_KINDS

RELAXED = 2
_NODES = 1 << 24  # a node's handle: its graph's, and which of it
_threads: dict[int, int] = {}  # stream -> the thread that alone may end its capture


def begin_capture(stream: int, mode: int) -> None:
    """From now on the stream collects work. A capture that is not relaxed belongs to the thread that began it."""
    _host.current().device.stream_begin_capture(stream, mode)
    _threads.pop(stream, None)
    if mode != RELAXED:
        _threads[stream] = threading.get_ident()


def end_capture(stream: int) -> int:
    """The graph that was captured."""
    device = _host.current().device
    if _threads.get(stream, threading.get_ident()) != threading.get_ident() and device.stream_capture_status(stream):
        raise DeviceError(
            "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD",
            "this capture was begun by another thread. End it there, or begin it with the relaxed mode.",
        )
    _threads.pop(stream, None)
    return int(device.stream_end_capture(stream))


def nodes(graph: int, wanted: int, handle: Any) -> tuple[list[Any], int]:
    """The first `wanted` nodes of a graph as handles, and how many they are; of 0 wanted all are counted."""
    total = len(_host.current().device.graph_nodes(graph))
    count = min(wanted, total)
    return [handle(graph * _NODES + place) for place in range(count)], count if wanted else total


def node_type(node: int) -> int:
    """The number of a node's type, the same in both APIs."""
    graph, place = divmod(node, _NODES)
    kinds = _host.current().device.graph_nodes(graph)
    if place >= len(kinds):
        raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"0x{node:x} is no node of a graph")
    return NODE_KINDS[kinds[place]]
