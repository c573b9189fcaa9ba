"""The simulated device, watched: it runs as ever, and each call also goes into the analysis.

Work is looked at where it is enqueued, in the inner methods that a graph's launch uses too (`_htod`, `_execute`, ...);
what the host waits for, and what is made and freed, in the public ones. What the device refuses is put into words by
`refusals.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..simulator import runtime
from ..simulator.device import DEFAULT_STREAM, NON_BLOCKING, Operation
from ..simulator.errors import STICKY, DeviceError
from ..simulator.memory import POISON, Allocation, CopyFromHost, CopyToHost, Rows
from ..simulator.transport import ALL_METHODS, InProcessDevice
from . import refusals
from .clocks import Clocks, join
from .findings import NOTE, Finding, Findings
from .memory import Access, Shadow, each, lay_pattern, still_pattern
from .order import mine
from .places import Site, from_bindings, place, site
from .shadows import Shadows

_SAMPLE = 64 << 10  # bytes at either end of a host buffer whose content is compared
_WORK: Any = 10_000  # what NumPy may try to find a byte that two arrays with gaps share
_POISON = bytes([POISON])
_CONTEXT = Rows(0, 1)  # an execution context's own memory: one byte that every execution writes


@dataclass(slots=True)
class Handle:
    """A stream, event or graph: where it was made and ended."""

    kind: str
    made: Site | None
    raw: bool
    ended: Site | None = None
    gone: bool = False
    by_reset: bool = False


@dataclass(slots=True)
class Captured:
    """What a graph holds: the executions as they were captured, and all memory."""

    executions: list[tuple[int, dict[str, list[int]], dict[str, int]]] = field(default_factory=list)
    memory: set[Shadow] = field(default_factory=set)
    keep: Any = None  # the capture itself, so that its id stays its own

    def add(self, *memory: Shadow | None) -> None:
        self.memory |= {shadow for shadow in memory if shadow is not None}


class CheckingDevice(InProcessDevice):
    """A device in this process that notes what a program does wrong in `findings`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.findings = Findings()
        self.active = True
        self.clocks = Clocks()
        self.memory_map = Shadows()  # device memory
        self.pinned_map = Shadows()  # pinned memory, by host address
        self._pinned_shadows: dict[int, Shadow] = {}
        self.context_shadows: dict[int, Shadow] = {}
        self.handles: dict[int, Handle] = {}
        self.reset_at: Site | None = None
        self.address_sites: dict[tuple[int, str], Site | None] = {}  # (context, tensor) -> set_tensor_address
        self.changed: dict[int, tuple[Site | None, str]] = {}  # context -> what was set since its latest execution
        self.capture_sites: dict[int, Site | None] = {}  # origin stream -> begin of the capture
        self.capture_refused: set[int] = set()
        self._captured: dict[int, Captured] = {}
        self._launching: dict[Operation, dict[int, int]] | None = None
        self._graph_clocks: dict[int, dict[int, int]] = {}
        self._sources: dict[int, tuple[bytes, Site | None, Shadow]] = {}  # index -> what a copy is to read
        self._execution_sites: dict[int, Site | None] = {}
        self._running: Site | None = None
        self.lost_at: Site | None = None
        self.lost_calls = 0
        self._collecting = False
        self._first_thread = 0
        self._threaded = False

    # --- findings ---

    def find(
        self,
        kind: str,
        message: str,
        where: Site | None,
        other: Site | None = None,
        other_is: str = "",
        tensors: tuple[str, ...] = (),
        start: int = 0,
        nbytes: int = 0,
        level: str = "error",
    ) -> None:
        if self.active:
            names = tuple(dict.fromkeys(name for name in tensors if name))
            self.findings.add(Finding(kind, message, place(where), place(other), other_is, names, start, nbytes, level))

    def _race(
        self, shadow: Shadow, rows: Rows, write: bool, handle: int, what: str, where: Site | None, context: int = 0
    ) -> None:
        clash = shadow.touch(rows, write, handle, self.clocks.streams[handle], self.clocks.host, where, what, context)
        if self._threaded or self._another_thread():
            clash = shadow.across_threads(shadow.accesses[-1]) or clash
        if clash is not None and not (context and clash.context == context):  # that is a finding of its own
            self._clash(shadow, rows, write, what, where, clash)

    def _another_thread(self) -> bool:
        """Whether more than one thread of the host has given the device work."""
        number = mine().number
        self._first_thread = self._first_thread or number
        self._threaded = number != self._first_thread
        return self._threaded

    def _clash(self, shadow: Shadow, rows: Rows, write: bool, what: str, where: Site | None, clash: Access) -> None:
        doing = {True: "writes", False: "reads"}
        start, end = max(clash.start, rows.start), min(clash.end, rows.start + rows.extent)
        self.find(
            "race-device",
            f"{what} {doing[write]} {shadow.kind} that {clash.what} on another stream"
            f" {doing[clash.write]}; nothing orders the two",
            where,
            clash.where,
            "nothing orders it with",
            (shadow.tensor,),
            start,
            max(end - start, 0),
        )

    # --- work ---

    def _enqueue(self, stream: Any, event: Any, run: Any, waits: list[Operation] | None = None) -> Operation:
        launching = self._launching
        after = list(waits) if waits and launching is not None else ()
        operation = super()._enqueue(stream, event, run, waits)
        clock = self.clocks.tick(stream.handle)
        if launching is not None:
            for earlier in after:
                join(clock, launching.get(earlier, {}))
            launching[operation] = dict(clock)
        return operation

    def _capturing(self, handle: int) -> Captured | None:
        queue = self._streams.get(handle)
        if queue is None or queue.capture is None:
            return None
        return self._captured.setdefault(id(queue.capture), Captured(keep=queue.capture))

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
        handle = DEFAULT_STREAM if wait else stream
        captured = self._capturing(handle)
        pinned = self._pinned_shadows.get(host) if data is None else None
        here = Rows(offset, nbytes // max(rows, 1), rows, host_pitch or nbytes // max(rows, 1))
        known = pinned is None or captured is not None or pinned.full
        holes = [] if known else self._holes(pinned, host, here)  # type: ignore[arg-type]
        super()._htod(stream, address, nbytes, host, offset, data, wait, dtype, rows, pitch, host_pitch)
        if captured is not None:
            captured.add(self.memory_map.at(address), self._pinned_shadows.get(host))
            return
        where = site()
        there, shadow = self._there(address, nbytes, rows, pitch)
        if data is not None and not wait:
            self.find(
                "pageable-async",
                f"an asynchronous copy of {nbytes:,} bytes from pageable memory: the call waits",
                where,
                tensors=(shadow.tensor,),
                level=NOTE,
            )
        unknown = [(a, b) for a, b in holes if b - a >= nbytes]
        if pinned is not None:
            if unknown:
                self.find(
                    "uninitialized-read",
                    f"the copy reads {nbytes:,} bytes of pinned memory that nobody has written",
                    where,
                    pinned.made,
                    "allocated at",
                    (shadow.tensor,),
                    offset,
                    nbytes,
                )
            self._race(pinned, here, False, handle, "a copy from host to device", where)
            if not wait and not any(a.write and a.rows.overlap(here) for a in pinned.accesses):
                index = self._streams[handle].last.event.index  # type: ignore[union-attr]
                run = self._streams[handle].last.run  # type: ignore[union-attr]
                self._sources[index] = (_sample(run), where, pinned)
        self._race(shadow, there, True, handle, "a copy from host to device", where)
        shadow.fill(there, where)
        if holes and not unknown:
            _spread(shadow, there, here, holes)
        if wait or data is not None:
            self.clocks.host_waits(handle)

    def _holes(self, pinned: Shadow, host: int, here: Rows) -> list[tuple[int, int]]:
        """The parts of pinned memory that a copy reads and nobody has written: they still hold the pattern."""
        holes = []
        if here.start < 0 or here.start + here.extent > pinned.nbytes or host not in self._host:
            return []
        data = self._host[host].data
        for start, end in pinned.unwritten(here):
            found = still_pattern(data, start, end)
            holes += found
            if not found:
                pinned.written.add(start, end)
        return holes

    def _there(self, address: int, nbytes: int, rows: int, pitch: int) -> tuple[Rows, Shadow]:
        shadow = self.memory_map.at(address)
        assert shadow is not None, "the device has checked the address"
        width = nbytes // rows
        return Rows(address - shadow.start, width, rows, pitch or width), shadow

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
        handle = DEFAULT_STREAM if wait else stream
        captured = self._capturing(handle)
        super()._dtoh(stream, address, nbytes, host, offset, into, wait, dtype, rows, pitch, host_pitch)
        if captured is not None:
            captured.add(self.memory_map.at(address), self._pinned_shadows.get(host))
            return
        where = site()
        there, shadow = self._there(address, nbytes, rows, pitch)
        gaps = shadow.unwritten(there)
        # a gap at the end is a buffer made for the largest shape, copied as a whole: what counts has been written
        # and it is told when the host reads the rest
        if gaps and not (gaps[0][0] > there.start and gaps[-1][1] == there.start + there.extent and len(gaps) == 1):
            self._unwritten("the copy", shadow, gaps, where)
            gaps = []
        what = "a copy from device to host"
        self._race(shadow, there, False, handle, what, where)
        if into is None:
            pinned = self._pinned_shadows[host]
            pinned.tensor = shadow.tensor or pinned.tensor
            width = nbytes // rows
            here = Rows(offset, width, rows, host_pitch or width)
            self._race(pinned, here, True, handle, what, where)
            self._taint(pinned, here, there, gaps, where)
        elif not wait:
            self.find(
                "pageable-async",
                f"an asynchronous copy of {nbytes:,} bytes into pageable memory: the call waits",
                where,
                tensors=(shadow.tensor,),
                level=NOTE,
            )
        if into is not None and self.pinned_map.gone:
            self.freed_host(into.__array_interface__["data"][0], "the copy writes into")
        if wait or into is not None:
            self.clocks.host_waits(handle)

    def _taint(self, pinned: Shadow, here: Rows, there: Rows, gaps: list[tuple[int, int]], where: Site | None) -> None:
        """Remember which bytes of pinned memory come from device memory that holds nothing."""
        if pinned.tainted:
            for start, end in each(here):
                pinned.tainted.remove(start, end)
        if gaps and here.whole and there.whole:
            pinned.tainted_at = where
            for start, end in gaps:
                pinned.tainted.add(start - there.start + here.start, end - there.start + here.start)

    def freed_host(self, address: int, doing: str) -> None:
        """Note the use of a host address that lies in pinned memory which was freed."""
        freed = self.pinned_map.freed_at(address)
        if freed is not None:
            self.find(
                "stale-address",
                f"{doing} pinned memory that was freed",
                site(),
                freed.freed,
                "freed at",
                (freed.tensor,),
            )

    def _unwritten(self, what: str, shadow: Shadow, gaps: list[tuple[int, int]], where: Site | None) -> None:
        missing = sum(end - start for start, end in gaps)
        self.find(
            "uninitialized-read",
            f"{what} reads {missing:,} bytes of device memory that nothing has written",
            where,
            shadow.made,
            "allocated at",
            (shadow.tensor,),
            gaps[0][0],
            gaps[-1][1] - gaps[0][0],
        )

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
        handle = DEFAULT_STREAM if wait else stream
        captured = self._capturing(handle)
        super()._dtod(stream, target, source, nbytes, wait, rows, target_pitch, source_pitch)
        if captured is not None:
            captured.add(self.memory_map.at(target), self.memory_map.at(source))
            return
        where, what = site(), "a copy within the device"
        to, target_shadow = self._there(target, nbytes, rows, target_pitch)
        of, source_shadow = self._there(source, nbytes, rows, source_pitch)
        gaps = source_shadow.unwritten(of)
        self._race(source_shadow, of, False, handle, what, where)
        self._race(target_shadow, to, True, handle, what, where)
        target_shadow.fill(to, where)
        if gaps:  # what holds nothing is copied as nothing: whoever reads it there is told
            _spread(target_shadow, to, of, gaps)
        if wait:
            self.clocks.host_waits(handle)

    def _memset(self, stream: int, address: int, pattern: bytes, count: int, wait: bool) -> None:
        handle = DEFAULT_STREAM if wait else stream
        captured = self._capturing(handle)
        super()._memset(stream, address, pattern, count, wait)
        if captured is not None:
            captured.add(self.memory_map.at(address))
            return
        where = site()
        there, shadow = self._there(address, len(pattern) * count, 1, 0)
        self._race(shadow, there, True, handle, "a memset", where)
        shadow.fill(there, where)
        if wait:
            self.clocks.host_waits(handle)

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
        handle = DEFAULT_STREAM if wait else stream
        captured = self._capturing(handle)
        if self._launching is None:
            self.changed.pop(context, None)
        try:
            super()._execute(stream, context, wait, profile, shapes, addresses, values)
        except DeviceError as error:
            if refusals.is_noted(error):  # a GPU would have computed something: its outputs are no second finding
                self._pretend(context, addresses)
            raise
        if captured is not None:
            captured.executions.append((context, {k: list(v) for k, v in shapes.items()}, dict(addresses)))
            captured.add(*(self.memory_map.at(address) for address in addresses.values()))
            return
        where = site()
        event = self._record[-1]
        known = event.shapes or {}
        if not wait:
            self._execution_sites[event.index] = where
        what = "an execution"
        engine = self._engines[event.engine]
        for tensor in (*engine.inputs, *engine.outputs):
            if tensor.shape_tensor and tensor.mode == "INPUT":
                continue
            shape, write = known[tensor.name], tensor.mode == "OUTPUT"
            address = addresses[tensor.name]
            shadow = self.memory_map.at(address)
            if shadow is None:
                continue
            offset = address - shadow.start
            nbytes = shadow.nbytes - offset if -1 in shape else math.prod(shape) * tensor.itemsize
            rows = Rows(offset, nbytes)
            shadow.tensor = tensor.name
            if not write:
                gaps = shadow.written.missing(offset, offset + nbytes)
                if gaps:
                    self._unwritten(f"the execution's input {tensor.name!r}", shadow, gaps, where)
            self._race(shadow, rows, write, handle, what, where, context)
            if write:
                shadow.fill(rows, where)
        own = self.context_shadows.get(context)
        if own is not None:
            clash = own.touch(_CONTEXT, True, handle, self.clocks.streams[handle], self.clocks.host, where, what)
            if clash is not None:
                self.find(
                    "shared-context",
                    "an execution begins while another of the same execution context may be running on another stream:"
                    " both use the context's one activation memory",
                    where,
                    clash.where,
                    "nothing orders it with",
                )
        if wait:
            self.clocks.host_waits(handle)

    def _pretend(self, context: int, addresses: dict[str, int]) -> None:
        for tensor in self._engines[self._contexts[context].engine].outputs:
            shadow = self.memory_map.at(addresses.get(tensor.name, 0))
            if shadow is not None:
                shadow.fill(Rows(0, shadow.nbytes), None)

    def _check_dtype(self, allocation: Allocation, offset: int, nbytes: int, dtype: str, what: str) -> None:
        try:
            super()._check_dtype(allocation, offset, nbytes, dtype, what)
        except DeviceError as error:
            shadow = self.memory_map.at(allocation.address)
            self.find(
                "wrong-dtype",
                error.detail,
                site(),
                shadow.writer(offset) if shadow else None,
                "written at",
                (allocation.tensor,),
                offset,
                nbytes,
            )
            refusals.noted(error)
            raise

    # --- running ---

    def _run(self, operation: Operation) -> None:
        run, index = operation.run, operation.event.index
        if isinstance(run, CopyFromHost):
            source = self._sources.pop(index, None)
            if source is not None and source[0] != _sample(run):
                self.find(
                    "race-host",
                    "pinned memory was changed between the call of an asynchronous copy and the copy itself",
                    source[1],
                    tensors=(run.allocation.tensor,),
                    nbytes=run.host_rows.extent,
                    start=run.host_rows.start,
                )
        elif isinstance(run, CopyToHost) and run.host is not None and run.host.id in self._pinned_shadows:
            shadow = self._pinned_shadows[run.host.id]
            if not shadow.told and _sample(run).strip(_POISON):
                mine = [a for a in shadow.accesses if a.write and a.rows == run.host_rows]
                self.find(
                    "race-host",
                    "pinned memory was written while an asynchronous copy into it was pending",
                    mine[-1].where if mine else shadow.made,
                    tensors=(shadow.tensor,),
                    nbytes=run.host_rows.extent,
                    start=run.host_rows.start,
                )
        self._running = self._execution_sites.pop(index, None)
        try:
            super()._run(operation)
        finally:
            self._running = None

    def _fail(self, error: DeviceError) -> None:
        if error.code in STICKY and self._usable.lost is None:
            self.lost_at = self._running or site()
            self.lost_calls = 0
        super()._fail(error)

    # --- what the host does ---

    def host_access(self, shadow: Shadow, array: np.ndarray, address: int, write: bool) -> None:
        """The host reads or writes an array at an address in pinned memory."""
        if shadow.gone:
            verb = "writes to" if write else "reads"
            message = f"the host {verb} pinned memory that was freed"
            self.find("stale-address", message, site(), shadow.freed, "freed at", (shadow.tensor,))
            return
        whole = array.flags.forc
        if whole:
            rows = Rows(address - shadow.start, array.nbytes)
            if write and not shadow.full:
                shadow.fill(rows, None)
        else:
            low, high = np.lib.array_utils.byte_bounds(array)
            rows = Rows(low - shadow.start, high - low)
        if shadow.tainted:
            self._read_tainted(shadow, rows, whole, write)
        pending = shadow.pending(rows, write, self.clocks.host)
        if pending is not None and not (whole and pending.rows.whole):
            pending = self._exactly(shadow, array, write)
        if pending is not None:
            self._tell_pending(shadow, pending, rows, write, site())

    def _read_tainted(self, shadow: Shadow, rows: Rows, whole: bool, write: bool) -> None:
        start, end = rows.start, rows.start + rows.extent
        if write:
            if whole:
                shadow.tainted.remove(start, end)
            return
        found = [(max(a, start), min(b, end)) for a, b in shadow.tainted if a < end and start < b]
        if found and whole:
            self.find(
                "uninitialized-read",
                f"the host reads {sum(b - a for a, b in found):,} bytes that were copied from device memory which"
                " nothing has written",
                site(),
                shadow.tainted_at,
                "copied at",
                (shadow.tensor,),
                found[0][0],
                found[-1][1] - found[0][0],
            )

    def host_range(self, address: int, nbytes: int, write: bool) -> None:
        """The host reads or writes bytes by their address, as ctypes.memmove does."""
        shadow = self.pinned_map.at(address)
        if shadow is None or nbytes <= 0:
            return
        rows = Rows(address - shadow.start, nbytes)
        pending = shadow.pending(rows, write, self.clocks.host)
        if pending is not None:
            self._tell_pending(shadow, pending, rows, write, site())

    def _exactly(self, shadow: Shadow, array: np.ndarray, write: bool) -> Access | None:
        """The latest pending access that shares a byte with an array that has gaps."""
        data = next((m.data for m in self._host.values() if m.data.ctypes.data == shadow.start), None)
        for access in reversed(shadow.accesses):
            if not (write or access.write) or data is None:
                continue
            try:
                if np.shares_memory(array, access.rows.of(data), max_work=_WORK):
                    return access
            except Exception:  # too hard to tell: no finding rather than a wrong one
                continue
        return None

    def _told(self, shadow: Shadow) -> None:
        """Something was said of this memory: what its bytes show later is no second finding."""
        shadow.told = True
        for index in [i for i, source in self._sources.items() if source[2] is shadow]:
            del self._sources[index]

    def _tell_pending(self, shadow: Shadow, pending: Access, rows: Rows, write: bool, where: Site | None) -> None:
        self._told(shadow)
        start, end = max(pending.start, rows.start), min(pending.end, rows.start + rows.extent)
        early = pending.write and not write
        self.find(
            "missing-sync" if early else "race-host",
            "the host reads pinned memory before anything waited for the copy into it"
            if early
            else f"the host writes to pinned memory that {pending.what} may still be"
            f" {'writing' if pending.write else 'reading'}",
            where,
            pending.where,
            "the copy was enqueued at",
            (shadow.tensor,),
            start,
            end - start,
        )

    def stream_synchronize(self, handle: int) -> None:
        super().stream_synchronize(handle)
        self.clocks.host_waits(handle)

    def synchronize(self) -> None:
        super().synchronize()
        self.clocks.host_waits_for_all()

    def stream_query(self, handle: int) -> bool:
        done = super().stream_query(handle)
        if done:
            self.clocks.host_waits(handle)
        return done

    def event_synchronize(self, handle: int) -> None:
        super().event_synchronize(handle)
        self.clocks.host_waits_for_event(handle)

    def event_query(self, handle: int) -> bool:
        done = super().event_query(handle)
        if done:
            self.clocks.host_waits_for_event(handle)
        return done

    def event_elapsed(self, start: int, end: int) -> float:
        result = super().event_elapsed(start, end)
        self.clocks.host_waits_for_event(start)
        self.clocks.host_waits_for_event(end)
        return result

    def event_record(self, handle: int, stream: int) -> None:
        super().event_record(handle, stream)
        if self._streams[stream].capture is None:
            self.clocks.record(handle, stream)

    def stream_wait_event(self, handle: int, event: int) -> None:
        super().stream_wait_event(handle, event)
        if self._streams[handle].capture is None:
            self.clocks.wait(handle, event)

    def data_shapes(self, context: int, stream: int, *arguments: Any) -> dict[str, list[int]]:
        result = super().data_shapes(context, stream, *arguments)
        self.clocks.host_waits(stream)  # TensorRT waits here
        return result

    # --- what is made and freed ---

    def _made(self, kind: str, ident: int) -> None:
        self.handles[ident] = Handle(kind, site(), from_bindings())

    def _ended(self, ident: int) -> None:
        handle = self.handles.get(ident)
        if handle is not None and not handle.gone:
            handle.ended, handle.gone = site(), True

    def stream_create(self, flags: int) -> int:
        handle = super().stream_create(flags)
        self.clocks.create(handle, not flags & NON_BLOCKING)
        self._made("stream", handle)
        return handle

    def stream_destroy(self, handle: int) -> None:
        super().stream_destroy(handle)
        self.clocks.destroy(handle)
        self._ended(handle)

    def event_create(self, flags: int = 0) -> int:
        handle = super().event_create(flags)
        self._made("event", handle)
        return handle

    def event_destroy(self, handle: int) -> None:
        super().event_destroy(handle)
        self.clocks.events.pop(handle, None)
        self._ended(handle)

    def mem_alloc(self, nbytes: int) -> int:
        address = super().mem_alloc(nbytes)
        self.memory_map.add(Shadow("device memory", address, nbytes, site(), from_bindings()))
        return address

    def mem_free(self, address: int) -> None:
        super().mem_free(address)
        self.memory_map.free(address, site())

    def mem_free_async(self, address: int, stream: int) -> None:
        super().mem_free_async(address, stream)
        shadow, where = self.memory_map.at(address), site()
        if shadow is not None:
            self._race(shadow, Rows(0, shadow.nbytes), True, stream, "a free in the order of its stream", where)
            self.memory_map.free(address, where)

    def host_alloc(self, nbytes: int) -> int:
        ident = super().host_alloc(nbytes)
        data = self._host[ident].data
        lay_pattern(data)
        shadow = Shadow("pinned memory", data.ctypes.data, nbytes, site(), from_bindings())
        self._pinned_shadows[ident] = shadow
        self.pinned_map.add(shadow)
        return ident

    def host_free(self, ident: int) -> None:
        super().host_free(ident)
        shadow = self._pinned_shadows.pop(ident, None)
        if shadow is None:
            return
        where = site()
        pending = shadow.pending(Rows(0, shadow.nbytes), True, self.clocks.host)
        if pending is not None:
            self._told(shadow)
            self.find(
                "missing-sync",
                f"pinned memory is freed while {pending.what} may still be using it",
                where,
                pending.where,
                "the copy was enqueued at",
                (shadow.tensor,),
                nbytes=shadow.nbytes,
            )
        self.pinned_map.free(shadow.start, where)

    def context_create(self, engine: int, memory: int = -1) -> int:
        ident = super().context_create(engine, memory)
        self.context_shadows[ident] = Shadow("execution context", 0, 1, site())
        return ident

    def context_free(self, ident: int) -> None:
        super().context_free(ident)
        shadow = self.context_shadows.get(ident)
        self.changed.pop(ident, None)
        if shadow is None or shadow.gone:
            return
        pending = shadow.pending(_CONTEXT, True, self.clocks.host)
        shadow.gone, shadow.freed = True, site()
        if pending is not None:
            self.find(
                "destruction-order",
                "an execution context is destroyed while an execution of it may still be running",
                shadow.freed,
                pending.where,
                "enqueued at",
            )
        else:
            del self.context_shadows[ident]

    def reset(self) -> None:
        lost = self._usable.lost is not None
        super().reset()
        if not lost:  # what the program made and did not free went with the context, as at the program's end
            self._leaks(self.findings)
        self.reset_at = site()
        self.clocks.reset()
        self.memory_map.reset(self.reset_at)
        self.pinned_map.reset(self.reset_at)
        self._pinned_shadows.clear()
        for shadow in self.context_shadows.values():
            shadow.gone, shadow.freed = True, self.reset_at
        for handle in self.handles.values():
            if not handle.gone:
                handle.gone, handle.ended, handle.by_reset = True, self.reset_at, True
        self._sources.clear()
        self.lost_at = None

    # --- graphs ---

    def stream_begin_capture(self, handle: int, mode: int) -> None:
        super().stream_begin_capture(handle, mode)
        self.capture_sites[handle] = site()
        self.capture_refused.discard(handle)

    def stream_end_capture(self, handle: int) -> int:
        graph = super().stream_end_capture(handle)
        self._made("graph", graph)
        return graph

    def graph_instantiate(self, ident: int) -> int:
        executable = super().graph_instantiate(ident)
        self._made("executable graph", executable)
        return executable

    def graph_destroy(self, ident: int) -> None:
        super().graph_destroy(ident)
        self._ended(ident)

    def graph_exec_destroy(self, ident: int) -> None:
        super().graph_exec_destroy(ident)
        self._ended(ident)

    def _launch(self, executable: Any, queue: Any) -> None:
        captured = self._captured.get(id(executable.graph), Captured())
        told = self._graph_changed(captured)
        outer = self._launching
        self._launching = {} if outer is None else outer
        key = id(executable)
        try:
            if key in self._graph_clocks:  # launches of one graph do not overlap
                self.clocks.take_over(queue.handle, self._graph_clocks[key])
            super()._launch(executable, queue)
            self._graph_clocks[key] = dict(self.clocks.streams[queue.handle])
        except DeviceError as error:
            if told:
                refusals.noted(error)
            raise
        finally:
            self._launching = outer

    def _graph_changed(self, captured: Captured) -> bool:
        """Note what is not as it was when a graph was captured."""
        where, told = site(), False
        for shadow in sorted((s for s in captured.memory if s.gone), key=lambda s: s.start):
            told = True
            kind = "destruction-order" if shadow.by_reset else "graph-changed"
            message = "a graph is launched whose memory was freed after the capture"
            self.find(kind, message, where, shadow.freed, "freed at", (shadow.tensor,), nbytes=shadow.nbytes)
        for ident, shapes, addresses in captured.executions:
            own = self.context_shadows.get(ident)
            if ident not in self._contexts:
                told = True
                message = "a graph is launched whose execution context was destroyed after the capture"
                self.find("destruction-order", message, where, own.freed if own else None, "destroyed at")
                continue
            context = runtime.contexts.get(ident)
            if context is None or ident not in self.changed:
                continue
            names = [n for n, shape in shapes.items() if context._shapes.get(n, shape) != shape]
            names += [n for n, address in addresses.items() if context._addresses.get(n, address) != address]
            if names:
                since, what = self.changed[ident]
                self.find(
                    "graph-changed",
                    f"a graph is launched after {what} of its execution context: it still has the shapes and addresses"
                    " that it was captured with",
                    where,
                    since,
                    "changed at",
                    tuple(names),
                )
        return told

    # --- the end ---

    def _drain(self) -> None:
        self._collecting, before = True, self._collecting
        try:
            super()._drain()
        finally:
            self._collecting = before

    def refuse(self, method: str, arguments: tuple[Any, ...], error: DeviceError) -> None:
        """Put a refused call into words; what the garbage collector frees in vain is nobody's mistake."""
        if self.active and not self._collecting:
            refusals.note(self, method, arguments, error, site())

    def finish(self, failed: bool, release: Callable[[], None] | None = None) -> None:
        """The program has ended. One that failed could not wait for or free what it had.

        Args:
            release: lets the program's objects go, behind its last line; some free what they own then.
        """
        if not failed:
            self._unawaited(self.findings)
        self.active = False
        if release is not None:
            release()
        if not failed and self._usable.lost is None:  # after error 700 nothing can be freed
            self._leaks(self.findings)

    def owes(self) -> bool:
        """Whether something of the program's own is not freed."""
        found = Findings()
        self._leaks(found)
        return bool(found)

    def unfinished_business(self) -> list[Finding]:
        """What would be found if the program ended now."""
        found = Findings()
        self._unawaited(found)
        if self._usable.lost is None:
            self._leaks(found)
        return list(found)

    def _unawaited(self, into: Findings) -> None:
        for shadow in self._pinned_shadows.values():
            pending = shadow.pending(Rows(0, shadow.nbytes), False, self.clocks.host)
            if pending is not None:
                message = "the program ends and nothing has waited for this copy into pinned memory"
                about = (shadow.tensor,) if shadow.tensor else ()
                size = pending.end - pending.start
                into.add(
                    Finding(
                        "missing-sync", message, place(pending.where), tensors=about, start=pending.start, nbytes=size
                    )
                )

    def _leaks(self, into: Findings) -> None:
        for shadow in (*self.memory_map, *self.pinned_map):
            if shadow.raw and not shadow.gone:
                message = f"{shadow.nbytes:,} bytes of {shadow.kind} were never freed"
                about = (shadow.tensor,) if shadow.tensor else ()
                into.add(Finding("leak", message, place(shadow.made), tensors=about, nbytes=shadow.nbytes))
        for handle in self.handles.values():
            if handle.raw and not handle.gone:
                into.add(Finding("leak", f"{_article(handle.kind)} was never destroyed", place(handle.made)))


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _sample(copy: CopyFromHost | CopyToHost) -> bytes:
    """Some of the host's bytes of a copy: all of a small one, else both ends."""
    data = copy.host_bytes()
    if data.size <= 2 * _SAMPLE:
        return data.tobytes()
    rows = max(_SAMPLE // data.shape[1], 1)
    return data[:rows, :_SAMPLE].tobytes() + data[-rows:, -_SAMPLE:].tobytes()


def _spread(shadow: Shadow, there: Rows, here: Rows, gaps: list[tuple[int, int]]) -> None:
    """Bytes that hold nothing were copied: neither does their copy. `gaps` are counted as `here` is."""
    for start, end in gaps:
        if here.whole and there.whole:
            shadow.written.remove(there.start + start - here.start, there.start + end - here.start)
            continue
        for row in range(here.rows):
            first = here.start + row * here.pitch
            low, high = max(start, first), min(end, first + here.width)
            if low < high:
                target = there.start + row * there.pitch - first
                shadow.written.remove(low + target, high + target)


def _watched(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: CheckingDevice, *arguments: Any) -> Any:
        try:
            return method(self, *arguments)
        except DeviceError as error:
            self.refuse(name, arguments, error)
            raise

    call.__name__, call.__doc__ = name, method.__doc__
    return call


for _name in (*ALL_METHODS, "memcpy_dtoh_into"):
    setattr(CheckingDevice, _name, _watched(_name, getattr(CheckingDevice, _name)))
