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
# Student's t, 97.5 %, by degrees of freedom; beyond 12 a short formula is as good
_T_QUANTILES = dict(
    enumerate((12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179), start=1)
)
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


@dataclass(frozen=True)
class Fit:
    """Milliseconds of one step over its length L in tokens, as a + b L + c L^2.

    Attributes:
        a, b, c: in ms, ms a token, and ms a token squared; none below 0.
        errors: standard errors of a, b and c, in their units, given the terms that the fit keeps; None for a term that
            is held at 0, of which this fit knows no error.
        determined: for a, b and c, whether the times need it: without it the best fit of the other terms, none below
            0, is worse beyond what chance explains (F-test of one degree of freedom, 5 %). So a quadratic term that
            merely stands in for a linear one is not determined.
        lengths, ms: what was fitted.
        residuals: measured minus fitted, in ms, one for each length.
        r2: share of the variance that the fit explains, with the fit's weights: 1 where it is exact, 0 at worst.
    """

    a: float
    b: float
    c: float
    errors: tuple[float | None, float | None, float | None]
    determined: tuple[bool, bool, bool]
    lengths: tuple[float, ...]
    ms: tuple[float, ...]
    residuals: tuple[float, ...]
    r2: float

    def at(self, length: float) -> float:
        """Milliseconds that the fit expects for a step with `length` tokens."""
        return self.a + self.b * length + self.c * length**2

    def shares(self, length: float) -> tuple[float, float, float]:
        """What the constant, the linear and the quadratic term are of `at(length)`; they add up to 1."""
        whole = self.at(length)
        if whole <= 0:
            return (0.0, 0.0, 0.0)
        return (self.a / whole, self.b * length / whole, self.c * length**2 / whole)

    @property
    def crossing(self) -> float:
        """The length at which the quadratic term would be as large as the linear one; infinite where c is 0."""
        return self.b / self.c if self.c > 0 else float("inf")

    @property
    def confused(self) -> bool:
        """Whether of the linear and the quadratic term one is held at 0, and would do as well as the other."""
        held = self.errors[1] is None, self.errors[2] is None
        return held[0] != held[1] and not any(self.determined[1:])

    @property
    def sentence(self) -> str:
        """The fit in words: the terms, how well each is known, and what they are of the longest step."""
        longest = max(self.lengths)
        parts = []
        names = ("constant", "linear", "quadratic")
        terms = zip(
            names, (self.a, self.b, self.c), self.errors, ("ms", "ms a token", "ms a token^2"), self.determined,
            self.shares(longest), strict=True,
        )  # fmt: skip
        for name, value, error, unit, known, share in terms:
            if error is None:
                parts.append(f"{name} held at 0")
                continue
            doubt = "" if known or (self.confused and value > 2 * error) else " (not told apart from 0)"
            parts.append(f"{name} {value:.3g} ± {error:.2g} {unit}, {100 * share:.0f} % at {longest:g} tokens{doubt}")
        text = (
            f"a + b L + c L^2 from {min(self.lengths):g} to {longest:g} tokens: {'; '.join(parts)}; R2 {self.r2:.4f}."
        )
        if self.confused:
            text += " Linear and quadratic cannot be told apart here: one fits as well as the other, within chance."
        if self.determined[2] and longest < self.crossing < float("inf"):
            text += f" The quadratic term would reach the linear one at {self.crossing:,.0f} tokens."
        return text


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
    with no_collection():
        round_ = 0
        while round_ < _LEAST_REPEATS or min(spent) < budget:
            batch = batches[round_ % len(batches)]
            for at in in_turn(len(candidates), round_):
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


def in_turn(count: int, round_: int) -> Iterator[int]:
    """The order of `count` candidates in a round: each round begins with another one, so that none is always first."""
    return ((turn + round_) % count for turn in range(count))


def fit_steps(lengths: Sequence[float], ms: Sequence[float]) -> Fit:
    """Fit a + b L + c L^2 to the times of single steps, by least squares over relative errors.

    Each point is weighted by the inverse of its time, because long steps scatter more. A cost cannot be negative:
    of the fits with some terms held at 0 and none below it, the best is taken.

    Args:
        lengths: tokens of a step, at least four different ones: three fix the curve, from the fourth on errors show.
        ms: milliseconds of each, above 0.

    Raises:
        BenchmarkError: too few lengths, arrays of different sizes, or values that are no times or lengths.
    """
    import itertools

    import numpy as np

    at, times = (np.asarray(values, dtype=np.float64) for values in (lengths, ms))
    if at.ndim != 1 or at.shape != times.shape:
        raise BenchmarkError(
            f"There are lengths of shape {list(at.shape)} and times of shape {list(times.shape)}. Expected two lists "
            "of the same size: one time a length."
        )
    if not (np.isfinite(at).all() and np.isfinite(times).all() and (at > 0).all() and (times > 0).all()):
        raise BenchmarkError("A length or a time is not above 0, or not finite. Expected tokens and milliseconds.")
    different = len(np.unique(at))
    if different < 4:
        raise BenchmarkError(
            f"There are {different} different lengths. Expected at least 4: three fix a + b L + c L^2, so that nothing "
            "would be left to say how well it fits. Measure more lengths."
        )
    # In units of the longest length all columns are of one size, and the system is well conditioned.
    scale = at.max()
    columns = np.stack([np.ones_like(at), at / scale, (at / scale) ** 2], axis=1) / times[:, None]
    wanted = np.ones_like(times)

    def bounded(terms: Sequence[int]) -> tuple[float, np.ndarray, list[int]]:
        """The best fit by some of these terms, none below 0: relative squared error, coefficients, terms kept."""
        best = float("inf"), np.zeros(3), [0]
        for count in range(len(terms), 0, -1):
            for kept in map(list, itertools.combinations(terms, count)):
                found = np.zeros(3)
                found[kept] = np.linalg.lstsq(columns[:, kept], wanted, rcond=None)[0]
                error = float(((columns @ found - wanted) ** 2).sum())
                if (found >= 0).all() and error < best[0]:
                    best = error, found, kept
        return best

    best, coefficients, kept = bounded((0, 1, 2))
    rounding = 1e-20 * len(at)  # what is left of exact times
    covariance = np.linalg.pinv(columns[:, kept].T @ columns[:, kept]) * best / (len(at) - len(kept))
    errors = dict(zip(kept, np.sqrt(np.clip(np.diag(covariance), 0, None)), strict=True))
    spare = len(at) - 3
    chance = _T_QUANTILES.get(spare, 1.96 + 2.6 / spare) ** 2 * max(best, rounding) / spare
    determined = [bounded([other for other in range(3) if other != term])[0] - best > chance for term in range(3)]
    units = np.array([1, scale, scale**2])
    fitted = columns @ coefficients * times
    weights = times**-2
    spread = float((weights * (times - np.average(times, weights=weights)) ** 2).sum())
    a, b, c = (float(value) for value in coefficients / units)
    return Fit(
        a,
        b,
        c,
        errors=tuple(float(errors[term] / units[term]) if term in errors else None for term in range(3)),  # type: ignore[arg-type]
        determined=tuple(bool(value) for value in determined),  # type: ignore[arg-type]
        lengths=tuple(float(value) for value in at),
        ms=tuple(float(value) for value in times),
        residuals=tuple(float(value) for value in times - fitted),
        r2=1.0 if best < rounding else (max(0.0, 1 - best / spread) if spread > 0 else 0.0),
    )


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
def no_collection() -> Iterator[None]:
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
        p5_ms=percentile(whole, 0.05),
        p95_ms=percentile(whole, 0.95),
        repeats=len(times),
        samples_per_second=statistics.median(rows / took for rows, took in times if took > 0),
        kind=each.kind,
        engine=each.engine,
        samples=sum(rows for rows, _ in times),
        warm_ups=warm_ups,
        settled=settled,
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Between the two nearest values, as `numpy.percentile` does by default."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])
