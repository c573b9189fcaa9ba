"""Timing that can be trusted, and what stands beside every speed: who really ran it, and whether it was right.

End-to-end is the headline: from arrays in host memory to arrays in host memory, copies and synchronisation included.
Kernel-only is between two CUDA events around the execution alone. The two are never mixed in one row. Candidates are
measured in turn (A B C, B C A, ...), so that a machine that slows down does so for all of them; every shape is warmed
up until its times settle; the reply is a median with its 5th and 95th percentile, over at least five repeats.

A time belongs to the engine that ran. On a machine without a GPU that is ONNX Runtime on the CPU, also behind
TensorRT's API, and no such row says anything about TensorRT's speed.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import gc
import json
import os
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.files import replacing

if TYPE_CHECKING:
    import pandas

END_TO_END = "end-to-end"
KERNEL_ONLY = "kernel-only"

BATCH_SIZES = (16, 32, 64, 128)
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


# --- python -m helpers bench ---


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m helpers bench`: every engine that this machine has, on the same texts; 0, or 1 with a sentence."""
    options = _options(arguments)
    # Threads that spin while they wait take the cores from the engine whose turn it is. Measured on 2 busy cores,
    # small model, batch 32: PyTorch 650 ms spinning, 12 ms sleeping. OpenMP reads this once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        seconds = seconds_per_point(options.seconds)
        with ExitStack() as stack:
            return _bench(options, seconds, stack)
    except _explained() as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _explained() -> tuple[type[Exception], ...]:
    """What carries a sentence for the user; anything else is a fault of ours and keeps its traceback."""
    from helpers import backend, engine, models

    return (ValueError, OSError, backend.BackendUnavailable, engine.EngineError, models.ModelError)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m helpers bench",
        description="Time PyTorch, ONNX Runtime and TensorRT (or the simulator) on the texts of exercise 1, in turn, "
        "and compare their answers. MODEL=full takes the full-size model.",
    )
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCH_SIZES), metavar="N", help="batch sizes")
    parser.add_argument("--tokens", type=int, default=64, metavar="N", help="tokens a text (default 64)")
    parser.add_argument("--seconds", type=float, help="time budget a point (default: BENCH_SECONDS, else 2)")
    parser.add_argument("--texts", type=int, help="texts to compare answers on (default 2500; 256 for MODEL=full)")
    parser.add_argument("--save", action="store_true", help="keep the results in assets/results/<machine>/")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    parser.add_argument("--plots", metavar="FOLDER", help="draw throughput and latency into FOLDER")
    options = parser.parse_args(arguments)
    # for the results; where they were written is of no use to whoever repeats the command
    options.given = ["FILE" if argument == options.json else argument for argument in arguments or []]
    return options


def _bench(options: argparse.Namespace, seconds: float, stack: ExitStack) -> int:
    import numpy as np
    import torch

    from helpers import data, models

    if min(options.batches) < 1 or not 2 <= options.tokens <= 512:
        raise BenchmarkError("Expected batches of 1 or more and 2 to 512 tokens.")
    classifier = models.load_classifier()
    count = options.texts or (2500 if classifier.size == "small" else 256)
    encoded = data.encode(classifier.tokenizer, data.load_texts(max(count, max(options.batches))), options.tokens)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    candidates, skipped = _candidates(classifier, options, folder, stack)

    correctness, reference = {}, None
    checked = data.batches(encoded, max(options.batches))
    for each in candidates:
        if each.kind != END_TO_END:
            continue
        logits = np.concatenate([np.asarray(each.run(*batch)) for batch in checked])
        reference = logits if reference is None else reference
        correctness[each.label] = agreement(reference, logits)

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # before our own work counts
    measurements = []
    for size in options.batches:
        batch = data.batches(encoded, size)[: max(1, len(encoded.input_ids) // size)]
        measurements += compare(candidates, batch, seconds=seconds)
        print(f"batch {size} measured", flush=True)

    facts = {
        "command": f"MODEL={classifier.size} python -m helpers bench {shlex.join(options.given)}".strip(),
        "model": classifier.name,
        "source": classifier.source,
        "tokens": options.tokens,
        "texts_compared": len(encoded.input_ids),
        "seconds_per_point": seconds,
        "torch_threads": torch.get_num_threads(),
        "load_before": load,
        "skipped": skipped,
        "reference": candidates[0].label,
    }
    shown = table(measurements, correctness)
    print()
    print(shown.to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep="-"))
    print(
        f"\nReference for the answers: {candidates[0].label}, {len(encoded.input_ids)} texts of {options.tokens} "
        "tokens."
    )
    print("Times are this machine's, and belong to the engine under 'ran on'.")
    if load is not None and load > (os.cpu_count() or 1):
        print(f"This machine was busy (load {load:.1f} on {os.cpu_count()} cores): times alone would be shorter.")
    for line in skipped:
        print(f"Skipped: {line}")
    for path in ([None] if options.save else []) + ([options.json] if options.json else []):
        print(f"Written: {save(measurements, path, correctness=correctness, facts=facts)}")
    if options.plots:
        from helpers import plots

        for name, plot in (("throughput", plots.throughput(shown)), ("latency", plots.latency(shown))):
            print(f"Drawn: {plot.save(Path(options.plots) / f'{name}.png')}")
    return 0


def _candidates(
    classifier: Any, options: argparse.Namespace, folder: Path, stack: ExitStack
) -> tuple[list[Candidate], list[str]]:
    """Everything that this machine can run, PyTorch FP32 first; and a line for whatever it cannot."""
    from helpers import backend, engine, export, precision, runtime

    active = backend.activate()
    found = _pytorch(classifier)
    skipped: list[str] = []
    fp32 = export.export_onnx(classifier.model.cpu(), folder / "fp32.onnx")
    fp16 = precision.to_fp16(fp32, folder / "fp16.onnx")
    found.append(_onnxruntime(fp32))
    most, length = max(options.batches), options.tokens
    profile = dict.fromkeys(export.INPUTS, ((1, length), (min(32, most), length), (most, length)))
    name = "TensorRT's API" if active.name == "simulator" else "TensorRT"  # NVIDIA's runtime alone is TensorRT
    for label, source in ((f"{name} FP32", fp32), (f"{name} FP16", fp16)):
        try:
            report = engine.build(source, folder / engine.plan_name(source.stem), profile)
        except engine.EngineError as error:  # pragma: no cover - needs a GPU
            skipped.append(f"{label}: {error}")
            continue
        print(report, flush=True)
        runner = stack.enter_context(runtime.TensorRTRunner(report.path))
        who = active.engine if label.endswith("32") or not active.simulated else f"{active.engine}; {precision.STORAGE}"
        found += _tensorrt(label, runner, who)
    _to_device(classifier)
    return found, skipped


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _to_device(classifier: Any) -> None:
    classifier.model.to(_device())


def _pytorch(classifier: Any) -> list[Candidate]:
    import torch

    device = _device()

    def runner(model: Any) -> Callable[..., Any]:
        def run(input_ids: Any, attention_mask: Any) -> Any:
            with torch.inference_mode():
                ids, mask = (torch.from_numpy(array).to(device) for array in (input_ids, attention_mask))
                return model(input_ids=ids, attention_mask=mask).logits.cpu().numpy()

        return run

    where = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    who = f"PyTorch {torch.__version__} on {where}"
    found = [Candidate("PyTorch FP32", runner(classifier.model), who)]
    if device == "cuda":  # pragma: no cover - needs a GPU
        import copy

        # So that precision is not credited to TensorRT.
        found.append(Candidate("PyTorch FP16", runner(copy.deepcopy(classifier.model).half().to(device)), who))
    return found


def _onnxruntime(path: Path) -> Candidate:
    import onnxruntime as ort
    import torch

    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # as many as PyTorch has
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as in main()
    wanted = [
        name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in ort.get_available_providers()
    ]
    settings = [{"use_tf32": "0"} if name.startswith("CUDA") else {} for name in wanted]  # FP32 means FP32
    session = ort.InferenceSession(str(path), options, providers=wanted, provider_options=settings)

    def run(input_ids: Any, attention_mask: Any) -> Any:
        return session.run(None, {"input_ids": input_ids, "attention_mask": attention_mask})[0]

    return Candidate("ONNX Runtime FP32", run, f"ONNX Runtime {ort.__version__}, {session.get_providers()[0]}")


def _tensorrt(label: str, runner: Any, who: str) -> list[Candidate]:
    """End-to-end, and the same execution between two events."""

    def run(input_ids: Any, attention_mask: Any) -> Any:
        return runner(input_ids=input_ids, attention_mask=attention_mask)["logits"]

    def enqueue(input_ids: Any, attention_mask: Any) -> None:
        for name, array in (("input_ids", input_ids), ("attention_mask", attention_mask)):
            runner.context.set_input_shape(name, array.shape)
        if not runner.context.execute_async_v3(stream_handle=runner.stream.handle):
            raise BenchmarkError(f"{label}: TensorRT did not enqueue a batch of {len(input_ids)}.")

    return [Candidate(label, run, who), Candidate(label, enqueue, who, KERNEL_ONLY, runner.stream)]
