"""Timing that can be trusted, and what stands beside every speed: who really ran it, and whether it was right.

End-to-end is the headline: from arrays in host memory to arrays in host memory, copies and synchronisation included.
Kernel-only is between two CUDA events around the execution alone. The two are never mixed in one row. Candidates are
measured in turn (A B C, B C A, ...), so that a machine that slows down does so for all of them; every shape is warmed
up until its times settle; the reply is a median with its 5th and 95th percentile, over at least five repeats.

A time belongs to the engine that ran. On a machine without a GPU that is ONNX Runtime on the CPU, also behind
TensorRT's API, and no such row says anything about TensorRT's speed.
"""

from __future__ import annotations

import dataclasses
import datetime
import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.files import replacing

if TYPE_CHECKING:
    import pandas

END_TO_END = "end-to-end"
KERNEL_ONLY = "kernel-only"

_LEAST_REPEATS = 5
_WARM_UP = (3, 20)  # at least, at most
_SETTLED = 1.10  # three times in a row are settled when the slowest took no more than this times the fastest


class BenchmarkError(ValueError):
    """A measurement that would mean nothing. The text says why and what to do."""


@dataclass(frozen=True)
class Candidate:
    """Something to be timed.

    Attributes:
        label: what it is called in tables, for example "TensorRT FP16".
        run: called with the arrays of one batch. End-to-end, it returns when its results are in host memory;
            kernel-only, it enqueues work on `stream` and returns at once.
        engine: who really computes, for example "ONNX Runtime on CPU behind TensorRT's API".
        kind: `END_TO_END` or `KERNEL_ONLY`.
        stream: the CUDA stream that `run` works on; needed for kernel-only.
    """

    label: str
    run: Callable[..., Any]
    engine: str = ""
    kind: str = END_TO_END
    stream: Any = None


@dataclass(frozen=True)
class Measurement:
    """What one candidate did with batches of one size. Times are milliseconds for one batch.

    Attributes:
        batch: rows of a full batch.
        median_ms, p5_ms, p95_ms: over the full batches alone.
        repeats: batches timed, partial ones included.
        samples: rows in them: a partial batch counts the rows that it has.
        samples_per_second: median over all repeats of rows by seconds.
        warm_ups: runs before the clock started, over all shapes.
        settled: whether the warm-up ended because the times had settled, not because it had run long enough.
    """

    label: str
    batch: int
    median_ms: float
    p5_ms: float
    p95_ms: float
    repeats: int
    samples_per_second: float
    kind: str
    engine: str
    samples: int
    warm_ups: int
    settled: bool


@dataclass(frozen=True)
class Disagreement:
    """A text whose label differs. `margin`: by how much the reference preferred its own first choice to the second."""

    index: int
    expected: int
    actual: int
    margin: float


@dataclass(frozen=True)
class Agreement:
    """How far logits are from reference logits, over `samples` texts."""

    samples: int
    max_abs_diff: float
    differing: tuple[Disagreement, ...]

    @property
    def label_agreement(self) -> float:
        """Share of texts with the same label, 0 to 1."""
        return 1 - len(self.differing) / self.samples


def seconds_per_point(seconds: float | None = None) -> float:
    """The time budget of one measurement: the argument, else BENCH_SECONDS, else 2 seconds."""
    text = os.environ.get("BENCH_SECONDS", "") if seconds is None else seconds
    try:
        value = float(text or 2) if isinstance(text, str) else float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise BenchmarkError(
            f"The time budget is {text!r}. Expected seconds above 0; set BENCH_SECONDS=2, for example."
        )
    return value


def measure(
    label: str,
    run: Callable[..., Any],
    batches: Sequence[Sequence[Any]],
    *,
    engine: str = "",
    kind: str = END_TO_END,
    stream: Any = None,
    seconds: float | None = None,
) -> Measurement:
    """Time one candidate; see `Candidate` for the arguments and `compare` for how."""
    return compare([Candidate(label, run, engine, kind, stream)], batches, seconds=seconds)[0]


def compare(
    candidates: Sequence[Candidate],
    batches: Sequence[Sequence[Any]],
    *,
    seconds: float | None = None,
    on_round: Callable[[float], None] | None = None,
) -> list[Measurement]:
    """Time candidates on the same batches, in turn.

    Each round hands the next batch to every candidate, and each round begins with another one. Rounds go on until
    every candidate has used its budget, and for five rounds at least; after the last batch comes the first again.

    Args:
        candidates: with different labels.
        batches: tuples of arrays with equal numbers of rows within a tuple, such as `data.batches(..)` gives. All of
            one size, but for a smaller last one.
        seconds: budget for each candidate, warm-up not counted; None reads BENCH_SECONDS (2 by default).
        on_round: called with the share that is done, 0 to 1, for a progress bar.

    Returns:
        One measurement a candidate, in their order.

    Raises:
        BenchmarkError: nothing to measure, two candidates of one label, rows that differ within a batch, or a
            kernel-only candidate without its stream.
    """
    _check(candidates, batches)
    budget = seconds_per_point(seconds)
    full = max(_rows(batch) for batch in batches)
    clocks = [_events(each.stream) if each.kind == KERNEL_ONLY else _wall for each in candidates]
    warmed = [_warm_up(each, clock, batches, budget) for each, clock in zip(candidates, clocks, strict=True)]

    times: list[list[tuple[int, float]]] = [[] for _ in candidates]
    spent = [0.0] * len(candidates)
    with _no_collection():
        round_ = 0
        while round_ < _LEAST_REPEATS or min(spent) < budget:
            batch = batches[round_ % len(batches)]
            for turn in range(len(candidates)):
                at = (turn + round_) % len(candidates)
                took = clocks[at](candidates[at].run, batch)
                times[at].append((_rows(batch), took))
                spent[at] += took
            round_ += 1
            if on_round is not None:
                on_round(min(1.0, min(spent) / budget, round_ / _LEAST_REPEATS))
    return [
        _summary(each, full, done, runs, settled)
        for each, done, (runs, settled) in zip(candidates, times, warmed, strict=True)
    ]


def agreement(expected: Any, actual: Any) -> Agreement:
    """Compare logits `[N, labels]` with reference logits of the same shape, in any floating dtype.

    Raises:
        BenchmarkError: shapes that differ, or no rows.
    """
    import numpy as np

    reference, given = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if reference.shape != given.shape or reference.ndim != 2 or not reference.size:
        raise BenchmarkError(
            f"Logits are {list(given.shape)}, the reference {list(reference.shape)}. Expected the same [texts, "
            "labels]; compare replies to the same texts."
        )
    ordered = np.sort(reference, axis=1)
    margins = ordered[:, -1] - ordered[:, -2] if reference.shape[1] > 1 else np.zeros(len(reference))
    wanted, got = reference.argmax(1), given.argmax(1)
    differing = tuple(
        Disagreement(int(at), int(wanted[at]), int(got[at]), float(margins[at])) for at in np.flatnonzero(wanted != got)
    )
    return Agreement(len(reference), float(np.abs(reference - given).max()), differing)


def pytorch_peak_bytes(run: Callable[..., Any], *inputs: Any) -> int:
    """The most memory that PyTorch's tensors took at one time while `run(*inputs)` ran, beyond what was there before.

    On the CPU the storages of all tensors are followed as operators make and drop them: exact, the same on every
    machine, and what the allocator sees. On a GPU it is the allocator's own peak. The result of `run` counts.
    """
    import torch

    if torch.cuda.is_available():  # pragma: no cover - needs a GPU
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run(*inputs)
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated() - before)

    import weakref

    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Live(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.live = self.peak = 0
            self.held: dict[int, int] = {}

        def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            given = {id_ for id_, _ in map(self._storage, self._tensors((args, kwargs)))}
            result = operator(*args, **(kwargs or {}))
            for tensor in self._tensors(result):
                key, storage = self._storage(tensor)
                if key not in self.held and key not in given:  # else it is a view, or changed in place
                    self.held[key] = storage.nbytes()
                    self.live += self.held[key]
                    self.peak = max(self.peak, self.live)
                    weakref.finalize(storage, self._drop, key)
            return result

        @staticmethod
        def _tensors(tree: Any) -> list[Any]:
            return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]

        @staticmethod
        def _storage(tensor: Any) -> tuple[int, Any]:
            storage = tensor.untyped_storage()
            return storage._cdata, storage

        def _drop(self, key: int) -> None:
            self.live -= self.held.pop(key)

    with Live() as watch:
        run(*inputs)
    return int(watch.peak)


def table(measurements: Sequence[Measurement], correctness: Mapping[str, Agreement] | None = None) -> pandas.DataFrame:
    """Measurements as a table, with the largest difference and the label agreement beside each speed where known.

    Args:
        measurements: from `measure` or `compare`.
        correctness: agreement with the reference, by label.
    """
    import pandas as pd

    rows = []
    for item in measurements:
        right = (correctness or {}).get(item.label)
        rows.append(
            {
                "configuration": item.label,
                "batch": item.batch,
                "kind": item.kind,
                "samples/s": item.samples_per_second,
                "median ms": item.median_ms,
                "p5 ms": item.p5_ms,
                "p95 ms": item.p95_ms,
                "repeats": item.repeats,
                "max |diff|": right.max_abs_diff if right else float("nan"),
                "labels agree": right.label_agreement if right else float("nan"),
                "ran on": item.engine,
            }
        )
    return pd.DataFrame(rows)


def save(
    measurements: Sequence[Measurement],
    path: str | os.PathLike[str] | None = None,
    *,
    correctness: Mapping[str, Agreement] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Write measurements as JSON with the environment that they belong to, and return the path.

    Args:
        path: file to write; None takes `assets/results/<machine>/benchmark.json` in this repository.
        correctness: agreement with the reference, by label.
        facts: whatever else should be kept, such as model, tokens and threads; plain JSON values.
    """
    from helpers import environment

    found = environment.inspect()
    target = Path(path) if path is not None else environment.results_folder(found) / "benchmark.json"
    content = {
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "facts": dict(facts or {}),
        "environment": dataclasses.asdict(found),
        "measurements": [dataclasses.asdict(item) for item in measurements],
        "correctness": {
            label: {
                "samples": item.samples,
                "max_abs_diff": item.max_abs_diff,
                "label_agreement": item.label_agreement,
                "differing": [dataclasses.asdict(one) for one in item.differing],
            }
            for label, item in (correctness or {}).items()
        },
    }
    with replacing(target) as part:
        part.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
    return target


# --- clocks ---


def _wall(run: Callable[..., Any], batch: Sequence[Any]) -> float:
    started = time.perf_counter()
    run(*batch)
    return time.perf_counter() - started


def _events(stream: Any) -> Callable[[Callable[..., Any], Sequence[Any]], float]:
    """A clock of CUDA events on `stream`: it starts and stops on the device, whatever Python does meanwhile."""
    import pycuda.driver as cuda

    before, after = cuda.Event(), cuda.Event()

    def clock(run: Callable[..., Any], batch: Sequence[Any]) -> float:
        before.record(stream)
        run(*batch)
        after.record(stream)
        after.synchronize()
        return float(before.time_till(after)) / 1000  # CUDA's unit is milliseconds

    return clock


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's garbage collector out of the timed part: its pauses belong to nobody."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


# --- steps of a measurement ---


def _rows(batch: Sequence[Any]) -> int:
    return len(batch[0])


def _check(candidates: Sequence[Candidate], batches: Sequence[Sequence[Any]]) -> None:
    if not candidates:
        raise BenchmarkError("No candidates. Expected at least one Candidate(label, run).")
    labels = [(each.label, each.kind) for each in candidates]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise BenchmarkError(f"Two candidates are called {twice[0][0]!r}. Expected different labels; rename one.")
    for each in candidates:
        if each.kind not in (END_TO_END, KERNEL_ONLY):
            raise BenchmarkError(f"{each.label} has kind {each.kind!r}. Expected {END_TO_END!r} or {KERNEL_ONLY!r}.")
        if each.kind == KERNEL_ONLY and each.stream is None:
            raise BenchmarkError(
                f"{each.label} is kernel-only without a stream. Expected the CUDA stream that it works on, so that "
                "events can be recorded there; pass stream=."
            )
    if not len(batches):
        raise BenchmarkError("No batches. Expected a sequence of tuples of arrays, such as data.batches(encoded, 32).")
    for at, batch in enumerate(batches):
        if not isinstance(batch, tuple | list) or not batch or any(not hasattr(array, "shape") for array in batch):
            raise BenchmarkError(
                f"Batch {at} is {type(batch).__name__}. Expected a tuple of arrays, such as (input_ids, "
                "attention_mask)."
            )
        rows = {len(array) for array in batch}
        if len(rows) > 1 or rows == {0}:
            raise BenchmarkError(f"Batch {at} has arrays of {sorted(rows)} rows. Expected one number above 0 for all.")


def _warm_up(
    each: Candidate, clock: Callable[..., float], batches: Sequence[Sequence[Any]], budget: float
) -> tuple[int, bool]:
    """Run each different shape until three times in a row agree; return the number of runs, and whether all settled."""
    shapes = {tuple(tuple(array.shape) for array in batch): batch for batch in batches}
    least, most = _WARM_UP
    runs, settled = 0, True
    for batch in shapes.values():
        recent: list[float] = []
        while len(recent) < least or (
            max(recent[-3:]) > _SETTLED * min(recent[-3:]) and len(recent) < most and sum(recent) < budget
        ):
            recent.append(clock(each.run, batch))
        runs += len(recent)
        settled = settled and max(recent[-3:]) <= _SETTLED * min(recent[-3:])
    return runs, settled


def _summary(
    each: Candidate, full: int, times: Sequence[tuple[int, float]], warm_ups: int, settled: bool
) -> Measurement:
    whole = sorted(1000 * took for rows, took in times if rows == full)
    return Measurement(
        label=each.label,
        batch=full,
        median_ms=statistics.median(whole),
        p5_ms=_percentile(whole, 0.05),
        p95_ms=_percentile(whole, 0.95),
        repeats=len(times),
        samples_per_second=statistics.median(rows / took for rows, took in times if took > 0),
        kind=each.kind,
        engine=each.engine,
        samples=sum(rows for rows, _ in times),
        warm_ups=warm_ups,
        settled=settled,
    )


def _percentile(ordered: Sequence[float], share: float) -> float:
    """Between the two nearest values, as `numpy.percentile` does by default."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])
