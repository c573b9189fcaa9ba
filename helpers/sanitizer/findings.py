"""What was found: kinds, remedies, and the report as text and as JSON."""

from __future__ import annotations

import linecache
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

ERROR, NOTE = "error", "note"

REMEDIES = {
    "invalid-address": "Give the address of device memory that is large enough: volume(shape) x itemsize bytes, from"
    " cuda.mem_alloc or cudaMalloc; offsets count bytes.",
    "stale-address": "Keep the memory until the last work that uses it is over: keep pycuda's object in a variable,"
    " free after the synchronisation, and set the new address in every context that had the old one.",
    "uninitialized-read": "Write all of these bytes first (a copy, cuda.memset_d32, or an execution whose output they"
    " are), or read less.",
    "race-device": "Order the two: record an event behind the first and let the other's stream wait for it"
    " (event.record(first); second.wait_for_event(event)), or use one stream, or a buffer for each.",
    "race-host": "Wait for the copy (stream.synchronize(), or an event behind it) before the host touches the array,"
    " or use a second array in turn.",
    "missing-sync": "Wait for the copy first: stream.synchronize(), or synchronise with an event that was recorded"
    " behind it.",
    "shared-context": "One execution context for each stream and thread (engine.create_execution_context() shares the"
    " weights), or wait for the one execution before the next begins, under a lock where there are threads.",
    "graph-changed": "A graph keeps the shapes and addresses that it was captured with. Capture again after a change,"
    " or copy the new input into the captured buffer; keep what was captured alive.",
    "capture-refused": "Do this before the capture begins or after it has ended.",
    "leak": "Free it (cudaFree, cudaFreeHost, cudaStreamDestroy, ...), in a `finally` or a context manager.",
    "destruction-order": "End things in the order opposite to their making: first wait, then execution contexts,"
    " engine, buffers, streams, and the CUDA context last.",
    "pageable-async": "Copy from or to pinned memory (cuda.pagelocked_empty, cudaMallocHost); a copy of pageable"
    " memory makes the caller wait.",
    "stale-handle": "Keep the stream or event until the last call that uses it. pycuda destroys it with its object:"
    " keep the object, not only its handle.",
    "wrong-dtype": "Convert before copying: array.astype(trt.nptype(engine.get_tensor_dtype(name))).",
    "double-free": "Free each thing once, by its one owner.",
    "sticky-error": "Look at every return value. After error 700 or 719 the CUDA context is lost: end the process.",
}
KINDS = tuple(REMEDIES)
_cells: dict[str, str] = {}  # file name of a notebook's cell -> what the reader calls it


def name_cell(file: str, name: str) -> None:
    """Let places in a notebook's cell be shown by the cell's name."""
    _cells[file] = name


@dataclass(frozen=True)
class Place:
    """A line of the program."""

    file: str
    line: int

    @property
    def source(self) -> str:
        return linecache.getline(self.file, self.line).strip()

    def description(self) -> dict[str, Any]:
        return {"file": self.file, "line": self.line, "source": self.source}


@dataclass
class Finding:
    """One mistake.

    Attributes:
        kind: one of KINDS.
        message: what happened.
        place: where; of two operations the later one. None where no line of the program was running.
        other: where the other operation was: the write, the free, the allocation, the begin of the capture.
        tensors: names of the tensors whose memory it is, as far as they are known.
        start, nbytes: the bytes, counted from the start of the allocation; 0 and 0 where it is not about bytes.
        level: "error", or "note" for what is slow and not wrong.
        count: how often it was seen at these places.
    """

    kind: str
    message: str
    place: Place | None
    other: Place | None = None
    other_is: str = ""
    tensors: tuple[str, ...] = ()
    start: int = 0
    nbytes: int = 0
    level: str = ERROR
    count: int = field(default=1, compare=False)

    @property
    def remedy(self) -> str:
        return REMEDIES[self.kind]

    def description(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        plain = asdict(self)
        for name in ("place", "other"):
            place: Place | None = getattr(self, name)
            plain[name] = None if place is None else place.description()
        plain["tensors"] = list(self.tensors)
        return plain | {"remedy": self.remedy}


class Findings:
    """All that was found in one run; the same kind at the same places is one finding with a count."""

    def __init__(self) -> None:
        self._found: dict[tuple[Any, ...], Finding] = {}
        self._lock = threading.Lock()

    def add(self, finding: Finding) -> None:
        key = (finding.kind, finding.place, finding.other)
        with self._lock:
            known = self._found.get(key)
            if known is None:
                self._found[key] = finding
            else:
                known.count += finding.count

    def __iter__(self) -> Iterator[Finding]:
        return iter(list(self._found.values()))

    def counts(self) -> dict[tuple[Any, ...], int]:
        """How often each was seen: for `since`."""
        with self._lock:
            return {key: finding.count for key, finding in self._found.items()}

    def since(self, counts: dict[tuple[Any, ...], int]) -> list[Finding]:
        """What was found, or found again, since `counts()`."""
        with self._lock:
            new = {key: f.count - counts.get(key, 0) for key, f in self._found.items()}
            return [replace(self._found[key], count=count) for key, count in new.items() if count]

    def __len__(self) -> int:
        return len(self._found)

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self if finding.level == ERROR]


def summary(findings: Iterable[Finding]) -> str:
    """The last line of the report."""
    found = list(findings)
    errors, notes = ([f for f in found if f.level == level] for level in (ERROR, NOTE))
    kinds = ", ".join(dict.fromkeys(f.kind for f in errors))
    text = f"ERROR SUMMARY: {len(errors)} finding{'' if len(errors) == 1 else 's'}" + (f" ({kinds})" if kinds else "")
    return text + (f", {len(notes)} note{'' if len(notes) == 1 else 's'}" if notes else "")


def _shown(place: Place, base: Path) -> str:
    cell = _cells.get(place.file)
    if cell:
        return f"{cell}, line {place.line}: {place.source}"
    try:
        name = str(Path(place.file).relative_to(base))
    except ValueError:
        name = place.file
    return f"{name}:{place.line}: {place.source}"


def text(findings: Iterable[Finding], failure: str = "") -> str:
    """The report, in the manner of compute-sanitizer. `failure`: how the program itself failed, in one line."""
    lines: list[str] = []
    base = Path.cwd()
    for finding in findings:
        lines.append(f"{finding.kind}{' (note)' if finding.level == NOTE else ''}: {finding.message}")
        lines.append(f"    at {_shown(finding.place, base) if finding.place else 'no line of the program'}")
        if finding.other is not None:
            lines.append(f"    {finding.other_is or 'and'} {_shown(finding.other, base)}")
        if finding.tensors or finding.nbytes:
            names = ", ".join(map(repr, finding.tensors))
            about = [f"tensor{'s' if len(finding.tensors) > 1 else ''} {names}"] if names else []
            about += [f"bytes {finding.start:,} to {finding.start + finding.nbytes:,}"] if finding.nbytes else []
            lines.append(f"    {', '.join(about)}")
        if finding.count > 1:
            lines.append(f"    seen {finding.count:,} times")
        lines += [f"    remedy: {finding.remedy}", ""]
    if failure:
        lines += [f"the program itself failed: {failure}", ""]
    lines.append(summary(findings))
    return "\n".join(f"========= {line}".rstrip() for line in lines)


def as_json(findings: Iterable[Finding], failure: str = "") -> dict[str, Any]:
    """The report as plain data."""
    found = list(findings)
    return {
        "summary": summary(found),
        "errors": sum(f.level == ERROR for f in found),
        "notes": sum(f.level == NOTE for f in found),
        "failure": failure,
        "findings": [f.description() for f in found],
    }
