"""What `bench decode` measures: a row of its tables, and the time of a step over its length. Plain JSON values."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from helpers.bench.decode.paths import TENSORRT, DecodingPath, Row, api_name
from helpers.benchmark import fit_steps, in_turn, no_collection, percentile
from helpers.decoding import (
    Step,
    TensorRTStep,
    copied_bytes,
    divergences,
    generate,
    greedy,
    pytorch_step,
    teacher_forced,
)

# name -> (slower, faster): how many times faster, as the median over rounds of the ratio within a round
RATIOS = {
    "O1 over baseline": ("baseline", "o1"),
    "preallocation alone over baseline": ("baseline", "preallocated"),
    "last-step copy alone over baseline": ("baseline", "last-step"),
    "Memcpy2D over rows": ("o1", "o1-2d"),
    "last-step graph over full logits": ("preallocated", "graph"),
    "last-step graph over O1": ("o1", "graph"),
    "ONNX Runtime: last-step graph over full logits": ("ort", "ort-graph"),
    "PyTorch's KV cache over none": ("pytorch-no-cache", "pytorch"),
    "PyTorch with KV cache over TensorRT O1": ("o1", "pytorch"),
}
_ROUNDS = (5, 40)  # at least, at most
_LANE_ROUNDS = 3
_QUICK = 1.0  # seconds: where a round takes less, one more goes unmeasured first


def measure_row(
    row: Row,
    paths: Sequence[DecodingPath],
    model: Any,
    input_ids: np.ndarray,
    attention_mask: np.ndarray,
    *,
    seconds: float,
    rounds: int | None = None,
) -> dict[str, Any]:
    """Verify and time all paths on one row; plain JSON values.

    Args:
        model: what the answers are compared with, by transformers' `generate` with its cache.
        input_ids, attention_mask: int64 `[row.batch, prompt]`.
        seconds: what the timed rounds may take together; there are at least 5.
        rounds: how many, whatever they take.
    """
    prompt = input_ids.shape[1]
    expected = generate(model, input_ids, attention_mask, row.length)
    logits = teacher_forced(pytorch_step(model), expected, attention_mask, prompt)
    entries: dict[str, dict[str, Any]] = {}
    first = 0.0
    for path in paths:  # the first run of each is its warm-up, too: every shape of the generation comes up once
        started = time.perf_counter()
        entries[path.key] = {
            "label": path.label,
            "engine": path.engine,
            **_verified(path, expected, logits, attention_mask),
        }
        first += time.perf_counter() - started

    warm_ups = 1
    if first < _QUICK:
        started = time.perf_counter()
        for path in paths:
            path.decode(input_ids, attention_mask, row.length)
        first = time.perf_counter() - started
        warm_ups += 1
    least, most = _ROUNDS
    count = rounds or max(least, min(most, int(seconds / first)))
    times: dict[str, list[float]] = {path.key: [] for path in paths}
    lanes: dict[str, list[dict[str, float]]] = {path.key: [] for path in paths if path.timed is not None}
    with no_collection():
        for round_ in range(count):
            for at in in_turn(len(paths), round_):
                started = time.perf_counter()
                paths[at].decode(input_ids, attention_mask, row.length)
                times[paths[at].key].append(1000 * (time.perf_counter() - started))
        timed = [path for path in paths if path.timed is not None]
        for round_ in range(min(count, _LANE_ROUNDS)):
            for at in in_turn(len(timed), round_):
                lane = timed[at].timed.lane(input_ids, attention_mask, row.length)  # type: ignore[union-attr]
                lanes[timed[at].key].append(lane)

    steps = row.length - prompt
    for key, entry in entries.items():
        ordered = sorted(times[key])
        entry["median_ms"] = statistics.median(ordered)
        entry["p5_ms"], entry["p95_ms"] = percentile(ordered, 0.05), percentile(ordered, 0.95)
        entry["ms_per_step"] = entry["median_ms"] / steps
        if key in TENSORRT and "baseline" in entries:
            entry["drop_percent"] = 100 * (1 - entry["median_ms"] / statistics.median(times["baseline"]))
        if key in lanes:
            entry["lane"] = sorted(lanes[key], key=lambda lane: lane["wall_ms"])[len(lanes[key]) // 2]
    ratios = {
        name: statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))
        for name, (slow, fast) in RATIOS.items()
        if slow in times and fast in times
    }
    return {
        "batch": row.batch,
        "length": row.length,
        "prompt": prompt,
        "steps": steps,
        "rounds": count,
        "warm_ups": warm_ups,
        "paths": entries,
        "ratios": ratios,
    }


def _verified(path: DecodingPath, expected: np.ndarray, logits: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """Whether one generation's tokens are the expected ones; the largest difference of logits; the bytes copied."""
    from helpers import backend

    prompt, length = mask.shape[1], expected.shape[1]
    seen: list[np.ndarray] = []
    active = backend.current()
    since = backend.record_length() if active is not None and active.simulated else None
    if path.step is None:
        tokens = path.decode(expected[:, :prompt], mask, length)
    else:
        step = path.step

        def kept(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
            seen.append(np.array(step(ids, mask), np.float32))
            return seen[-1]

        tokens = greedy(kept, expected[:, :prompt], mask, length)
    copied = _copied(backend.record(since)) if since is not None and path.key in TENSORRT else None

    same = tokens[:, prompt:] == expected[:, prompt:]
    result: dict[str, Any] = {"tokens": int(same.size), "tokens_equal": int(same.sum()), "max_abs_diff": None}
    if path.step is not None:
        # other tokens lead to other logits: then those of the expected tokens are asked for
        given = np.stack(seen) if same.all() else teacher_forced(path.step, expected, mask, prompt)
        result["max_abs_diff"] = float(np.abs(given - logits).max())
    if not same.all():
        found = divergences(expected, tokens, logits, prompt)
        result["divergences"] = [dataclasses.asdict(one) for one in found]
    if path.key in TENSORRT:
        wanted = copied_bytes(len(mask), prompt, length, logits.shape[-1], TENSORRT[path.key].last_step)
        result["bytes"] = {"logits_expected": wanted, **(copied or {})}
    return result


def _copied(events: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Bytes and calls in the device's record."""

    def total(op: str) -> tuple[int, int]:
        found = [event["nbytes"] for event in events if event["op"] == op]
        return len(found), sum(found)

    names = {"htod": "h2d", "dtoh": "d2h", "alloc": "allocated", "host_alloc": "pinned"}
    result: dict[str, int] = {}
    for op, name in names.items():
        result[f"{name}_calls"], result[name] = total(op)
    return result


# --- time over length -------------------------------------------------------------------------------------------------


def measure_lengths(
    model: Any,
    lengths: Sequence[int],
    plan: Path | None,
    *,
    batch: int = 1,
    seconds: float,
    rounds: int | None = None,
) -> dict[str, Any]:
    """Milliseconds of one step against its length in tokens, with and without a KV cache, and the fits.

    All compute the logits of the last position alone, so that what grows with the length is the layers' work.

    Args:
        lengths: tokens of the whole sequence at that step, the new one included.
        plan: of the last-step graph; None leaves TensorRT out.
        batch: sequences decoded together.
    """
    vocabulary = model.config.vocab_size
    ids = np.random.default_rng(0).integers(0, min(vocabulary, 1000), (batch, max(lengths)), dtype=np.int64)
    mask = np.ones_like(ids)
    with ExitStack() as stack:
        steps: dict[str, tuple[str, Callable[[int], Any]]] = {
            "cache": ("PyTorch, with a KV cache", _cached_step(model, ids, lengths)),
            "no-cache": ("PyTorch, without a cache", _whole_step(_last_logits(model), ids, mask)),
        }
        if plan is not None:
            opened = stack.enter_context(TensorRTStep(plan))
            steps["graph"] = (f"{api_name()}, last-step graph, without a cache", _whole_step(opened, ids, mask))

        def timed(key: str, length: int) -> float:
            started = time.perf_counter()
            steps[key][1](length)
            return 1000 * (time.perf_counter() - started)

        points = [(key, length) for key in steps for length in lengths]
        first = sum(timed(key, length) for key, length in points)  # warm-up
        count = rounds or max(_ROUNDS[0], min(_ROUNDS[1], int(1000 * seconds / first)))
        times: dict[tuple[str, int], list[float]] = {point: [] for point in points}
        with no_collection():
            for round_ in range(count):
                for length in lengths:
                    for at in in_turn(len(steps), round_):
                        key = tuple(steps)[at]
                        times[key, length].append(timed(key, length))
    result: dict[str, Any] = {"batch": batch, "rounds": count, "lengths": list(lengths), "paths": {}}
    for key, (label, _) in steps.items():
        medians = [statistics.median(times[key, length]) for length in lengths]
        fit = fit_steps(lengths, medians)
        result["paths"][key] = {
            "label": label,
            "ms": medians,
            "p5_ms": [percentile(sorted(times[key, length]), 0.05) for length in lengths],
            "p95_ms": [percentile(sorted(times[key, length]), 0.95) for length in lengths],
            "fit": dataclasses.asdict(fit),
            "sentence": fit.sentence,
        }
    return result


def _whole_step(step: Step, ids: np.ndarray, mask: np.ndarray) -> Callable[[int], Any]:
    return lambda length: step(ids[:, :length], mask[:, :length])


def _last_logits(model: Any) -> Step:
    """The whole sequence through PyTorch, logits of the last position alone, as `generate` asks for them."""
    import torch

    device = next(model.parameters()).device

    def step(input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            ids, mask = (torch.from_numpy(array).to(device) for array in (input_ids, attention_mask))
            reply = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1)
            return np.asarray(reply.logits[:, -1].cpu().numpy())

    return step


def _cached_step(model: Any, ids: np.ndarray, lengths: Sequence[int]) -> Callable[[int], Any]:
    """One new token behind `length - 1` that are in the cache."""
    import torch

    device = next(model.parameters()).device
    tokens = torch.from_numpy(ids).to(device)
    mask = torch.ones_like(tokens)
    with torch.inference_mode():
        caches = {
            length: model(input_ids=tokens[:, : length - 1], use_cache=True, logits_to_keep=1).past_key_values
            for length in lengths
        }

    def step(length: int) -> Any:
        with torch.inference_mode():
            reply = model(
                input_ids=tokens[:, length - 1 : length],
                attention_mask=mask[:, :length],
                past_key_values=caches[length],
                use_cache=True,
            )
            caches[length].crop(-1)  # views: the next round finds the cache as it was
            return reply.logits[:, -1].cpu().numpy()

    return step
