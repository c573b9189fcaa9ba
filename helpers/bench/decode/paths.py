"""The ways of decoding that `bench decode` compares, and the opening of each."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from helpers.decoding import Step, TensorRTStep, generate, greedy

Decode = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Way:
    """How a TensorRT path allocates and copies; see `decoding.TensorRTStep`. `{}` in the label is TensorRT's name."""

    label: str
    preallocate: bool
    copy: str
    last_step_graph: bool = False
    pinned: bool | None = None

    @property
    def last_step(self) -> bool:
        """Whether only the last step's logits are copied."""
        return self.last_step_graph or self.copy != "full"


TENSORRT = {
    "baseline": Way("{}: allocates each step, copies all logits", False, "full"),
    "preallocated": Way("{}: preallocated, copies all logits", True, "full"),
    "last-step": Way("{}: allocates each step, copies the last step", False, "rows"),
    "o1": Way("{} O1: preallocated, last step by rows", True, "rows"),
    "o1-2d": Way("{} O1: preallocated, last step by Memcpy2D", True, "2d"),
    "graph": Way("{}: preallocated, last-step graph", True, "full", last_step_graph=True),
    # what is preallocated is pinned too: these two tell one from the other
    "baseline-pinned": Way("{}: allocates and pins each step, copies all logits", False, "full", pinned=True),
    "preallocated-pageable": Way("{}: preallocated, not pinned, copies all logits", True, "full", pinned=False),
}
LABELS = {
    "pytorch": "PyTorch generate, KV cache",
    "pytorch-no-cache": "PyTorch generate, no cache",
    "ort": "ONNX Runtime",
    "ort-graph": "ONNX Runtime, last-step graph",
    **{key: way.label for key, way in TENSORRT.items()},
}
PATHS = tuple(LABELS)
# Pinning is of no matter on the simulator: to be asked for.
USUAL_PATHS = tuple(path for path in PATHS if path not in ("baseline-pinned", "preallocated-pageable"))
LAST_STEP_ONNX = "last_step.onnx"
WITH_LANE = ("baseline", "o1", "graph")


@dataclass(frozen=True)
class Row:
    """One line of the tables: sequences decoded together, and tokens of each at the end."""

    batch: int
    length: int

    @property
    def name(self) -> str:
        return f"{self.batch}x{self.length}"


@dataclass(frozen=True)
class DecodingPath:
    """One way of decoding.

    Attributes:
        key: of `PATHS`.
        label: its name in tables.
        engine: who really computes.
        decode: `(input_ids, attention_mask, length)` to tokens, int64 `[batch, length]`.
        step: what `decode` calls for each token; None where the loop is transformers' own.
        timed: the same step with events, where the device's lane is measured.
    """

    key: str
    label: str
    engine: str
    decode: Decode
    step: Step | None = None
    timed: TimedStep | None = None


class TimedStep(TensorRTStep):
    """A step with CUDA events around its copies up, its execution, and its copies down."""

    def __init__(self, engine: Any, **settings: Any) -> None:
        super().__init__(engine, **settings)
        self._events: list[Any] = []

    def _mark(self) -> Any:
        event = self._cuda.Event()
        event.record(self.stream)
        self._events.append(event)
        return event

    def _upload(self, inputs: dict[str, np.ndarray]) -> None:
        self._mark()
        super()._upload(inputs)
        self._mark()

    def _download(self, shape: tuple[int, ...]) -> np.ndarray:
        self._mark()
        logits = super()._download(shape)
        self._mark()
        return logits

    def lane(self, input_ids: np.ndarray, attention_mask: np.ndarray, length: int) -> dict[str, float]:
        """Decode once; milliseconds of the device's lane, which add up to `span_ms`, beside the host's `wall_ms`.

        `compute_ms` is kernel-only, summed over the steps; `last_execution_ms` is that of the last step alone, whose
        sequence is the longest.
        """
        self._events = []
        started = time.perf_counter()
        # synchronised, so that these two lie where they are called: the device has nothing else to do there
        self._mark().synchronize()
        greedy(self, input_ids, attention_mask, length)
        self._mark().synchronize()
        wall = 1000 * (time.perf_counter() - started)
        events, self._events = self._events, []
        between = [float(one.time_till(other)) for one, other in itertools.pairwise(events)]
        # between: idle, then for each step h2d, compute, d2h, idle
        lane = {f"{kind}_ms": sum(between[at::4]) for at, kind in ((1, "h2d"), (2, "compute"), (3, "d2h"), (0, "idle"))}
        span = float(events[0].time_till(events[-1]))
        return {**lane, "span_ms": span, "wall_ms": wall, "last_execution_ms": between[-3]}


def make_paths(
    model: Any, keys: Sequence[str], rows: Sequence[Row], folder: Path, stack: ExitStack
) -> tuple[list[DecodingPath], list[str]]:
    """Export, build and open what `keys` need; also a line for whatever cannot run here.

    Args:
        model: a GPT-2 with a language model's head, on the CPU; it is on the GPU afterwards where there is one.
        keys: of `PATHS`.
        rows: what will be decoded: the plan's profile reaches from 1x1 to the largest of them.
        folder: for the ONNX files and plans.
        stack: closes what was opened.
    """
    import torch

    from helpers import backend, engine, export
    from helpers.decoding import OrtStep

    active = backend.activate()
    name = api_name()
    files: dict[bool, Path] = {}

    def exported(last_step: bool) -> Path:
        if last_step not in files:
            path = folder / (LAST_STEP_ONNX if last_step else "full.onnx")
            files[last_step] = export.export_decoder(model, path, last_step=last_step)
        return files[last_step]

    found: dict[str, DecodingPath] = {}
    skipped: list[str] = []
    engines: dict[bool, Any] = {}
    for key in keys:
        if key in ("ort", "ort-graph"):
            step = OrtStep(exported(key == "ort-graph"), threads=torch.get_num_threads())
            found[key] = DecodingPath(key, LABELS[key], _ort_name(step), _looped(step), step)
        elif key in TENSORRT:
            way = TENSORRT[key]
            label, last_step = way.label.format(name), way.last_step_graph
            settings: dict[str, Any] = {"preallocate": way.preallocate, "copy": way.copy, "pinned": way.pinned}
            try:
                source = engines.get(last_step)
                if source is None:
                    path = exported(last_step)
                    source = build(path, path.with_name(engine.plan_name(path.stem)), rows)
                opened = stack.enter_context(TensorRTStep(source, **settings))
                engines[last_step] = opened.engine
                timed: TimedStep | None = None
                if key in WITH_LANE:
                    timed = TimedStep(opened.engine, **settings)
                    stack.enter_context(timed)
            except engine.EngineError as error:  # pragma: no cover - needs a GPU
                skipped.append(f"{label}: {error}")
                continue
            found[key] = DecodingPath(key, label, active.engine, _looped(opened), opened, timed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    where = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    model.to(device)
    for key, cache in (("pytorch", True), ("pytorch-no-cache", False)):
        if key in keys:
            who = f"PyTorch {torch.__version__} on {where}"
            found[key] = DecodingPath(key, LABELS[key], who, _generated(model, cache))
    return [found[key] for key in PATHS if key in found], skipped


def api_name() -> str:
    """What to call the TensorRT paths: NVIDIA's runtime alone is TensorRT."""
    from helpers import backend

    active = backend.current()
    return "TensorRT's API" if active is not None and active.name == "simulator" else "TensorRT"


def build(path: Path, plan: Path, rows: Sequence[Row]) -> Path:
    """Build a plan of an exported decoder, from 1x1 to the largest row; the optimum is 8x16, or less."""
    from helpers import engine

    most = (max(row.batch for row in rows), max(row.length for row in rows))
    usual = (min(8, most[0]), min(16, most[1]))
    report = engine.build(path, plan, dict.fromkeys(("input_ids", "attention_mask"), ((1, 1), usual, most)))
    print(report, flush=True)
    return Path(report.path)


def _ort_name(step: Any) -> str:
    import onnxruntime as ort

    return f"ONNX Runtime {ort.__version__}, {step.session.get_providers()[0]}"


def _looped(step: Step) -> Decode:
    return lambda ids, mask, length: greedy(step, ids, mask, length)


def _generated(model: Any, cache: bool) -> Decode:
    return lambda ids, mask, length: generate(model, ids, mask, length, cache=cache)
