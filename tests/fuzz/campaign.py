"""Runs cases in a process of their own, with a time and a memory limit each, and counts what became of them.

The process tells the number of a case before it begins and its outcome behind it. One that dies or that says nothing
for too long costs that case alone: the next process goes on behind it.
"""

from __future__ import annotations

import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SEED = "2026"
MODULE = "tests.fuzz"  # what a process of cases runs


@dataclass(frozen=True)
class Campaign:
    """One kind of case.

    Attributes:
        cases: how many a full run has.
        start: called once in the process; returns what runs case number n and says its outcome in a few words.
        seconds: a case that takes longer hangs.
        memory: bytes of address space that a case may take beyond what the process has when it is ready.
        environment: of the process, beside this one's.
        fatal: whether a death, a hang or a lack of memory is a fault of ours (and not only reported).
    """

    name: str
    cases: int
    start: Callable[[], Callable[[int], str]]
    seconds: float = 10.0
    memory: int = 2 << 30
    environment: Mapping[str, str] = field(default_factory=dict)
    fatal: bool = True


@dataclass
class Report:
    """What became of the cases: outcome -> count; bad ones -> the numbers of the first of them."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: dict[str, list[int]] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, -1)
    peak: int = 0
    seconds: float = 0.0
    fatal: bool = True

    def add(self, number: int, outcome: str, seconds: float, peak: int) -> None:
        self.counts[outcome] += 1
        self.slowest = max(self.slowest, (seconds, number))
        self.peak = max(self.peak, peak)
        if outcome.startswith("BAD"):
            self.bad.setdefault(outcome, []).append(number)

    def join(self, other: Report) -> None:
        """Add what another process found."""
        self.counts += other.counts
        for outcome, numbers in other.bad.items():
            self.bad[outcome] = sorted([*self.bad.get(outcome, []), *numbers])
        self.slowest, self.peak = max(self.slowest, other.slowest), max(self.peak, other.peak)

    @property
    def faults(self) -> int:
        return sum(map(len, self.bad.values())) if self.fatal else 0

    def plain(self) -> dict[str, Any]:
        """As JSON has it; of each kind of bad outcome the first twenty cases."""
        return {
            "cases": self.counts.total(),
            "outcomes": dict(self.counts.most_common()),
            "faults": self.faults,
            "bad": {outcome: numbers[:20] for outcome, numbers in self.bad.items()},
            "slowest_s": round(self.slowest[0], 3),
            "slowest_case": self.slowest[1],
            "peak_growth_mib": self.peak >> 20,
            "seconds": round(self.seconds, 1),
        }


def run(campaign: Campaign, first: int, last: int) -> Report:
    """Run the cases [first, last), in one process after the other."""
    report, began = Report(fatal=campaign.fatal), time.monotonic()
    while first < last:
        for number, outcome, seconds, peak in _process(campaign, first, last):
            report.add(number, outcome, seconds, peak)
            first = number + 1
    report.seconds = time.monotonic() - began
    return report


def _process(campaign: Campaign, first: int, last: int) -> Iterator[tuple[int, str, float, int]]:
    """The outcomes of one process, up to the case that ended it."""
    command = [sys.executable, "-m", MODULE, "--cases-of", campaign.name, str(first), str(last)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **campaign.environment}
    ours, theirs = os.pipe()
    # What the native libraries print goes nowhere; what the process itself says comes through a pipe of its own.
    with subprocess.Popen(
        [*command, str(theirs)],
        cwd=ROOT,
        env=environment,
        pass_fds=[theirs],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if not os.environ.get("FUZZ_SHOW") else None,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=_read, args=(ours, lines), daemon=True)
        reader.start()
        now: int | None = None
        began = time.monotonic()
        try:
            while True:
                limit = campaign.seconds if now is not None else 60.0  # to start takes its time
                try:
                    line = lines.get(timeout=limit)
                except queue.Empty:
                    line = ""
                if line:
                    if line.startswith("+"):
                        now, began = int(line[1:]), time.monotonic()
                    else:
                        peak, _, outcome = line.partition(" ")
                        assert now is not None
                        yield now, outcome, time.monotonic() - began, int(peak)
                        now = None
                    continue
                if process.poll() is None and reader.is_alive():
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    end = f"BAD: hangs (more than {campaign.seconds:g} s)"
                else:
                    code = process.wait()
                    end = f"BAD: {_name(code)}"
                if now is not None:
                    yield now, end, time.monotonic() - began, 0
                elif process.returncode != 0:
                    raise RuntimeError(f"{campaign.name}: the process ended between cases ({end})")
                return
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _read(descriptor: int, lines: queue.Queue[str]) -> None:
    with os.fdopen(descriptor, encoding="utf-8") as stream:
        for line in stream:
            lines.put(line.rstrip("\n"))
    lines.put("")


def _name(code: int) -> str:
    return f"dies of {signal.Signals(-code).name}" if code < 0 else f"ends with exit code {code}"


def serve_cases(campaign: Campaign, first: int, last: int, descriptor: int) -> None:
    """Run the cases [first, last) in this process, and tell the other side."""
    case = campaign.start()
    space = _address_space()
    most = space + campaign.memory
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
    base = _peak()
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        for number in range(first, last):
            stream.write(f"+{number}\n")
            stream.flush()
            outcome = case(number)
            stream.write(f"{_peak() - base} {' '.join(outcome.split())}\n")
            stream.flush()


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
