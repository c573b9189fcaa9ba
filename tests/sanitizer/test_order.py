"""Happens-before against brute force: random programs of streams, events, copies and waits.

Each line of a random program is one call. The oracle draws the graph of all orders that the CUDA documents give
("Stream synchronization behavior", cuStreamWaitEvent, cuEventRecord) and asks of every two calls that touch the same
bytes, one of them writing, whether one can be reached from the other. The sanitizer must report exactly those calls
that clash with an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers.sanitizer.session import run_script

STREAMS = ("None", "a", "b", "n", "m")  # the default stream, two blocking ones, two non-blocking ones
BLOCKING = {"None", "a", "b"}
EVENTS, BUFFERS, ARRAYS = ("e0", "e1"), ("d0", "d1"), ("h0", "h1")
PARTS = ((0, 16), (0, 8), (8, 16), (4, 12))

HEAD = """\
import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
a, b, n, m = cuda.Stream(), cuda.Stream(), cuda.Stream(1), cuda.Stream(1)
e0, e1 = cuda.Event(), cuda.Event()
h0, h1 = cuda.pagelocked_zeros(16, np.uint8), cuda.pagelocked_zeros(16, np.uint8)
d0, d1 = cuda.to_device(h0), cuda.to_device(h1)
cuda.Context.synchronize()
"""
FIRST = HEAD.count("\n") + 1

stream, event = st.sampled_from(STREAMS), st.sampled_from(EVENTS)
own_stream = st.sampled_from(STREAMS[1:])
part, buffer, array = st.sampled_from(PARTS), st.sampled_from(BUFFERS), st.sampled_from(ARRAYS)
calls = st.one_of(
    st.tuples(st.just("memset"), stream, buffer, part),
    st.tuples(st.just("memset"), own_stream, buffer, part),
    st.tuples(st.just("dtod"), stream, part),
    st.tuples(st.just("htod"), stream, buffer, array, part),
    st.tuples(st.just("dtoh"), stream, buffer, array, part),
    st.tuples(st.just("dtoh"), own_stream, buffer, array, part),
    st.tuples(st.just("blocking"), buffer, array, part),
    st.tuples(st.just("record"), event, stream),
    st.tuples(st.just("wait"), stream, event),
    st.tuples(st.just("sync"), own_stream),
    st.tuples(st.just("sync_event"), event),
    st.tuples(st.just("sync_all")),
    st.tuples(st.just("read"), array, part),
    st.tuples(st.just("write"), array, part),
)


def line(call: tuple) -> str:
    """The call as a line of a program."""
    kind = call[0]
    if kind == "memset":
        _, s, d, (low, high) = call
        return f"cuda.memset_d8_async(int({d}) + {low}, 1, {high - low}, {s})"
    if kind == "dtod":
        _, s, (low, high) = call
        return f"cuda.memcpy_dtod_async(int(d1) + {low}, int(d0) + {low}, {high - low}, {s})"
    if kind == "htod":
        _, s, d, h, (low, high) = call
        return f"cuda.memcpy_htod_async(int({d}) + {low}, {h}[{low}:{high}], {s})"
    if kind == "dtoh":
        _, s, d, h, (low, high) = call
        return f"cuda.memcpy_dtoh_async({h}[{low}:{high}], int({d}) + {low}, {s})"
    if kind == "blocking":
        _, d, h, (low, high) = call
        return f"cuda.memcpy_htod(int({d}) + {low}, {h}[{low}:{high}])"
    if kind == "record":
        return f"{call[1]}.record({call[2]})"
    if kind == "wait":  # the default stream has no object in pycuda: the device is asked itself
        if call[1] == "None":
            return f"cuda._call('cuStreamWaitEvent', 'stream_wait_event', 0, {call[2]}.handle)"
        return f"{call[1]}.wait_for_event({call[2]})"
    if kind in ("sync", "sync_event"):
        return f"{call[1]}.synchronize()"
    if kind == "sync_all":
        return "cuda.Context.synchronize()"
    _, h, (low, high) = call
    return f"{h}[{low}:{high}].sum()" if kind == "read" else f"{h}[{low}:{high}] = 3"


@dataclass
class Node:
    """A call in the graph of orders: what comes right before it, and the bytes that it touches: (what, part, write)."""

    before: set[int] = field(default_factory=set)
    touches: list[tuple[str, tuple[int, int], bool]] = field(default_factory=list)
    stream: str = ""


class Oracle:
    """Who can be reached from whom."""

    def __init__(self, program: list[tuple]) -> None:
        self.nodes: list[Node] = []
        self.recorded: dict[str, int] = {}
        host: int | None = None  # the latest call at which the host waited
        for call in program:
            node, index = Node(), len(self.nodes)
            if host is not None:
                node.before.add(host)
            self._add(call, node, index)
            self.nodes.append(node)
            if call[0] in ("sync", "sync_event", "sync_all", "blocking"):
                host = index

    def _add(self, call: tuple, node: Node, index: int) -> None:
        kind = call[0]
        if kind in ("memset", "dtod", "htod", "dtoh", "wait"):
            self._on(call[1], node)
        elif kind == "record":
            self._on(call[2], node)
            self.recorded[call[1]] = index
        elif kind == "blocking":
            self._on("None", node)
        elif kind == "sync":
            node.before |= {i for i, other in enumerate(self.nodes) if other.stream == call[1]}
        elif kind == "sync_all":
            node.before |= {i for i, other in enumerate(self.nodes) if other.stream}
        if kind in ("wait", "sync_event"):
            name = call[2] if kind == "wait" else call[1]
            node.before |= {self.recorded[name]} if name in self.recorded else set()
        if kind == "memset":
            node.touches = [(call[2], call[3], True)]
        elif kind == "dtod":
            node.touches = [("d0", call[2], False), ("d1", call[2], True)]
        elif kind in ("htod", "blocking"):
            d, h, piece = call[-3:]
            node.touches = [(d, piece, True), (h, piece, False)]
        elif kind == "dtoh":
            node.touches = [(call[2], call[4], False), (call[3], call[4], True)]
        elif kind in ("read", "write"):
            node.touches = [(call[1], call[2], kind == "write")]

    def _on(self, name: str, node: Node) -> None:
        node.stream = name
        for index, other in enumerate(self.nodes):
            legacy = {name, other.stream} <= BLOCKING and "None" in (name, other.stream)
            if other.stream and (other.stream == name or legacy):
                node.before.add(index)

    def _all_before(self, index: int) -> set[int]:
        reached: set[int] = set()
        todo = [index]
        while todo:
            for other in self.nodes[todo.pop()].before - reached:
                reached.add(other)
                todo.append(other)
        return reached

    def clashing(self) -> set[int]:
        """Calls that touch what an earlier call touches, one of them writing, and nothing orders the two."""
        found = set()
        for index, node in enumerate(self.nodes):
            before = self._all_before(index)
            for earlier in range(index):
                other = self.nodes[earlier]
                if earlier in before or not other.stream:  # the host's own calls are done when they return
                    continue
                for what, (low, high), write in node.touches:
                    for same, (start, end), wrote in other.touches:
                        if what == same and (write or wrote) and low < end and start < high:
                            found.add(index)
        return found


@given(st.lists(calls, min_size=2, max_size=14))
@example([("dtoh", "a", "d0", "h0", (0, 16)), ("record", "e0", "a"), ("sync_event", "e0"), ("read", "h0", (0, 16))])
@example([("memset", "a", "d0", (0, 8)), ("memset", "None", "d0", (0, 8)), ("memset", "b", "d0", (0, 8))])
@example([("memset", "n", "d0", (0, 8)), ("memset", "None", "d0", (4, 12))])
@example([("record", "e0", "a"), ("memset", "a", "d0", (0, 8)), ("wait", "b", "e0"), ("memset", "b", "d0", (0, 8))])
@example(
    [
        ("memset", "n", "d1", (0, 8)),
        ("record", "e0", "n"),
        ("wait", "None", "e0"),
        ("memset", "a", "d1", (0, 8)),
        ("memset", "m", "d1", (0, 8)),
    ]
)
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_the_verdict_is_that_of_brute_force(program: list[tuple]) -> None:
    path = Path(_folder) / "program.py"
    path.write_text(HEAD + "\n".join(map(line, program)) + "\ncuda.Context.synchronize()\n")
    result = run_script(path)
    assert not result.failure, result.details
    wanted = {FIRST + index for index in Oracle(program).clashing()}
    found = {f.place.line for f in result.findings if f.place and f.level == "error"}
    assert found == wanted, path.read_text()
    for each in result.findings:
        host = program[each.place.line - FIRST][0] in ("read", "write") if each.place else False
        assert each.kind in (("missing-sync", "race-host") if host else ("race-device",))


_folder = ""


def setup_module() -> None:
    import tempfile

    global _folder
    _folder = tempfile.mkdtemp()


def teardown_module() -> None:
    import shutil

    shutil.rmtree(_folder)
