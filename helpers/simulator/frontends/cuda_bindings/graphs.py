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
    owner = _threads.pop(stream, threading.get_ident())
    graph = int(device.stream_end_capture(stream))
    if owner != threading.get_ident():  # the capture has ended all the same (measured on an H200)
        device.graph_destroy(graph)
        raise DeviceError(
            "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD",
            "another thread began this capture, which is lost now. End it there, or begin it in the relaxed mode.",
        )
    return graph


def nodes(graph: int, wanted: int, handle: Any) -> tuple[list[Any], int]:
    """`wanted` nodes of a graph as handles, null behind the last, and how many they are; of 0 wanted: all."""
    total = len(_host.current().device.graph_nodes(graph))
    handles = [handle(graph * _NODES + place if place < total else 0) for place in range(wanted)]
    return handles, min(wanted, total) if wanted else total


def node_type(node: int) -> int:
    """The number of a node's type, the same in both APIs."""
    graph, place = divmod(node, _NODES)
    kinds = _host.current().device.graph_nodes(graph) if node else []
    if place >= len(kinds):
        raise DeviceError("CUDA_ERROR_INVALID_VALUE", f"0x{node:x} is no node of a graph")
    return NODE_KINDS[kinds[place]]
