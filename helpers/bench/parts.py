"""The parts of `python -m helpers bench --all`: what each measures. See `gpu.py` for how they are run.

Correctness stands before times: a part that times something has compared its answers first, and keeps both together.
FP32 means FP32: TF32 is off, in PyTorch and in ONNX Runtime's CUDA provider.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.bench.peers import BoundStep, StaticDecoder, on_gpu, resident, where
from helpers.benchmark import agreement, compare, no_collection

if TYPE_CHECKING:
    from helpers.bench.gpu import Keeper

TOKENS = 64  # of exercise 1's texts
ROWS = ("8x32", "8x12", "1x12", "16x12", "8x8", "8x16")  # the widest first: it is what a run that is stopped must have
VOCABULARY = 50_257


def run(part: str, keeper: Keeper) -> None:
    """Measure one part; `keeper` holds and writes what is found."""
    import torch

    from helpers import backend

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    active = backend.activate()
    keeper.content["engine"] = active.engine
    keeper.content["simulated"] = active.simulated
    import pycuda

    keeper.content["pycuda"] = _pycuda_name(pycuda)
    import pycuda.autoprimaryctx  # PyTorch's context, which the engines work in

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        keeper.content["torch"] = {
            "gpu": properties.name,
            "memory": properties.total_memory,
            "cuda": torch.version.cuda,
        }
    keeper.write()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        _MEASURES[part](keeper, Path(folder), stack)


def _pycuda_name(module: Any) -> str:
    version = getattr(module, "VERSION_TEXT", "")
    return f"pycuda {version}" if "site-packages" in (module.__file__ or "") or "simulator" not in version else version


# --- stream: is it right? ---------------------------------------------------------------------------------------------


def _stream(keeper: Keeper, folder: Path, stack: ExitStack) -> None:
    """Up, execute, down on a user's stream, and only then one wait; other shapes and other data every time."""
    import torch

    from helpers import engine, export, models
    from helpers.decoding import OrtStep, TensorRTStep
    from helpers.runtime import TensorRTRunner

    count = 20 if keeper.quick else 1000
    rng = np.random.default_rng(0)
    classifier = models.load_classifier("small")
    onnx = export.export_onnx(classifier.model, folder / "classifier.onnx")
    engine.build(onnx, folder / "classifier.plan", dict.fromkeys(export.INPUTS, ((1, 2), (32, 64), (128, 64))))
    runner = stack.enter_context(TensorRTRunner(folder / "classifier.plan"))
    right, worst = 0, 0.0
    for _ in range(count):
        rows, tokens = int(rng.integers(1, 129)), int(rng.integers(2, 65))
        ids = rng.integers(1, classifier.model.config.vocab_size, (rows, tokens))
        mask = (np.arange(tokens) < rng.integers(1, tokens + 1, (rows, 1))).astype(np.int64)
        got = runner(input_ids=ids, attention_mask=mask)["logits"]
        with torch.inference_mode():
            want = classifier.model(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()
        difference = float(np.abs(got - want).max())
        right, worst = right + (difference <= 1e-4), max(worst, difference)
    keeper.content["classifier"] = {"model": classifier.name, "of": count, "right": right, "max_abs_diff": worst}
    keeper.write()

    generator = models.load_generator("small")
    full = export.export_decoder(generator.model, folder / "full.onnx")
    profile = dict.fromkeys(export.INPUTS, ((1, 1), (8, 16), (16, 32)))
    engine.build(full, folder / "full.plan", profile)
    reference = OrtStep(full, providers=["CPUExecutionProvider"])
    for way in ("full", "rows", "2d"):
        step = stack.enter_context(TensorRTStep(folder / "full.plan", copy=way))
        right, worst = 0, 0.0
        for _ in range(count):
            rows, tokens = int(rng.integers(1, 17)), int(rng.integers(1, 33))
            ids = rng.integers(1, generator.vocabulary, (rows, tokens))
            mask = (np.arange(tokens) >= rng.integers(0, tokens, (rows, 1))).astype(np.int64)  # padded on the left
            difference = float(np.abs(step(ids, mask) - reference(ids, mask)).max())
            right, worst = right + (difference <= 1e-3), max(worst, difference)
        found = {"model": generator.name, "of": count, "right": right, "max_abs_diff": worst}
        keeper.content[f"decoder, copy {way}"] = found
        keeper.write()
    parts = [value for value in keeper.content.values() if isinstance(value, dict) and "right" in value]
    keeper.content["headline"] = ", ".join(f"{part['right']} of {part['of']}" for part in parts)
    if any(part["right"] < part["of"] for part in parts):
        raise AssertionError(f"not right every time: {keeper.content['headline']}")


# --- copies: what moving logits costs ---------------------------------------------------------------------------------


def _copies(keeper: Keeper, folder: Path, stack: ExitStack) -> None:
    """All logits `[8, 32, V]` against the last step's `[8, V]`, pinned and pageable; and what allocating costs."""
    import pycuda.driver as cuda

    from helpers.decoding import enqueue_last_step

    batch, length, vocabulary = (8, 32, 1000) if keeper.quick else (8, 32, VOCABULARY)
    repeats = 5 if keeper.quick else 100
    logits = np.random.default_rng(0).standard_normal((batch, length, vocabulary), np.float32)
    device, stream = cuda.to_device(logits), cuda.Stream()
    last = np.ascontiguousarray(logits[:, -1])
    packed = cuda.to_device(last)

    def last_step(way: str) -> Callable[[np.ndarray], None]:
        return lambda host: enqueue_last_step(way, host, int(device), logits.shape, stream)

    ways: dict[str, tuple[Callable[[np.ndarray], None], np.ndarray]] = {
        "all logits": (lambda host: cuda.memcpy_dtoh_async(host, device, stream), logits),
        "last step, B copies at offsets": (last_step("rows"), last),
        "last step, one Memcpy2D": (last_step("2d"), last),
        "last step, one copy of [B, V]": (lambda host: cuda.memcpy_dtoh_async(host, packed, stream), last),
    }
    found = []
    start, end = cuda.Event(), cuda.Event()
    for memory in ("pinned", "pageable"):
        for name, (enqueue, want) in ways.items():
            host = cuda.pagelocked_empty(want.shape, np.float32) if memory == "pinned" else np.empty_like(want)
            host[:] = 0  # its pages are there before the clock starts
            wall, events = [], []
            for _ in range(repeats + 3):
                stream.synchronize()
                began = time.perf_counter()
                start.record(stream)
                enqueue(host)
                end.record(stream)
                stream.synchronize()
                wall.append(1e6 * (time.perf_counter() - began))
                events.append(1e3 * start.time_till(end))
            np.testing.assert_array_equal(host, want)
            us = statistics.median(wall[3:])
            entry: dict[str, Any] = {"copy": name, "memory": memory, "bytes": want.nbytes, "us": us}
            entry |= {"us_between_events": statistics.median(events[3:]), "gb_per_s": want.nbytes / us / 1e3}
            found.append(entry)
    keeper.content |= {"shape": [batch, length, vocabulary], "repeats": repeats, "copies": found}
    keeper.write()

    def fresh() -> None:
        np.empty(logits.nbytes, np.uint8)[::4096] = 0

    costs = {}
    for name, allocate in {
        "mem_alloc and free": lambda: cuda.mem_alloc(logits.nbytes).free(),
        "pagelocked_empty and free": lambda: cuda.pagelocked_empty(logits.nbytes, np.uint8).base.free(),
        "np.empty, first touch, free": fresh,
    }.items():
        times = []
        for _ in range(max(5, repeats // 5)):
            began = time.perf_counter()
            allocate()
            times.append(1e6 * (time.perf_counter() - began))
        costs[name] = statistics.median(times)
    keeper.content["allocating_us"] = {"bytes": logits.nbytes, **costs}
    took = {(entry["memory"], entry["copy"]): entry["us"] for entry in found}
    keeper.content["headline"] = "; ".join(
        f"{memory}: all logits {took[memory, 'all logits']:,.0f} us, last step by Memcpy2D"
        f" {took[memory, 'last step, one Memcpy2D']:,.0f} us"
        for memory in ("pinned", "pageable")
    )


# --- decode: exercise 2 -----------------------------------------------------------------------------------------------


def _decode(keeper: Keeper, folder: Path, stack: ExitStack) -> None:
    """Six rows, each path verified and then timed in turn; FP32, then FP16."""
    from helpers import data, models
    from helpers.bench import decode
    from helpers.bench.decode import paths as decode_paths
    from helpers.bench.decode import rows as decode_rows

    generator = models.load_generator("small" if keeper.quick else "full", vocabulary=VOCABULARY)
    rows = decode.parse_rows("2x6,1x6" if keeper.quick else ",".join(ROWS))
    prompts = data.load_prompts(max(row.batch for row in rows))
    ids, mask = data.encode_prompts(generator.tokenizer, prompts, length=decode.PROMPT)
    keeper.content |= {"model": generator.name, "source": generator.source, "vocabulary": generator.vocabulary}
    keeper.content |= {"prompt": decode.PROMPT, "rows": [], "rows_fp16": []}
    keys = [
        key for key in decode_paths.PATHS if not keeper.quick or key in ("pytorch", "ort", "baseline", "o1", "graph")
    ]
    paths, skipped = decode_paths.make_paths(generator.model, keys, rows, folder, stack)
    keeper.content["skipped"] += skipped
    paths += _more_paths(keeper, generator, paths, rows, folder, stack)
    for row in rows:
        pair = ids[: row.batch], mask[: row.batch]
        found = decode_rows.measure_row(row, paths, generator.model, *pair, seconds=_budget(keeper, len(paths)))
        keeper.content["rows"].append(_with_drops(found))
        keeper.write()
        print(_line(found), flush=True)
    widest = keeper.content["rows"][0]["paths"]
    keeper.content["headline"] = ", ".join(
        f"{key} {entry['median_ms']:.1f} ms ({entry['tokens_equal']} of {entry['tokens']})"
        for key, entry in widest.items()
    )
    with ExitStack() as opened:
        halves = _fp16_paths(keeper, generator, rows, folder, opened)
        for row in rows:
            pair = ids[: row.batch], mask[: row.batch]
            found = decode_rows.measure_row(row, halves, generator.model, *pair, seconds=_budget(keeper, len(halves)))
            keeper.content["rows_fp16"].append(_with_drops(found))
            keeper.write()
            print(_line(found), flush=True)


def _budget(keeper: Keeper, paths: int) -> float:
    return 0.1 if keeper.quick else keeper.seconds * paths


def _line(found: dict[str, Any]) -> str:
    paths = ", ".join(f"{key} {entry['median_ms']:.2f}" for key, entry in found["paths"].items())
    return f"{found['batch']}x{found['length']}, {found['rounds']} rounds: {paths}"


def _with_drops(found: dict[str, Any]) -> dict[str, Any]:
    """Each path's drop against both baselines, in percent of theirs."""
    paths = found["paths"]
    for key in ("baseline", "baseline-pinned"):
        if key in paths:
            for entry in paths.values():
                entry[f"drop_percent_{key}"] = 100 * (1 - entry["median_ms"] / paths[key]["median_ms"])
    return found


def _more_paths(
    keeper: Keeper, generator: Any, paths: Sequence[Any], rows: Sequence[Any], folder: Path, stack: ExitStack
) -> list[Any]:
    """What a GPU needs beside `bench decode`'s paths: bound I/O, and a copy with a pitch without the rest of O1."""
    from helpers.bench.decode.paths import DecodingPath, api_name
    from helpers.decoding import TensorRTStep, greedy

    def path(key: str, label: str, engine: str, step: Any) -> Any:
        return DecodingPath(key, label, engine, lambda ids, mask, length: greedy(step, ids, mask, length), step)

    known = {one.key: one for one in paths}
    most = max(row.batch for row in rows), max(row.length for row in rows)
    more = _graph_paths(keeper, generator.model, most[1], "FP32")
    full = folder / "full.onnx"
    if "ort" in known and full.is_file():
        bound = BoundStep(full, *most, generator.vocabulary)
        more.append(path("ort-bound", "ONNX Runtime, I/O binding, last step copied", known["ort"].engine, bound))
    for key, label, settings in (
        ("last-step-2d", "allocates each step, copies the last step by Memcpy2D", (False, "2d", False)),
        ("o1-pageable", "preallocated, pageable host memory, last step by Memcpy2D", (True, "2d", False)),
    ):
        if "baseline" not in known or keeper.quick:
            continue
        preallocate, way, pinned = settings
        source = known["baseline"].step.engine
        step = TensorRTStep(source, preallocate=preallocate, copy=way, pinned=pinned)
        more.append(path(key, f"{api_name()}: {label}", known["baseline"].engine, stack.enter_context(step)))
    return more


def _graph_paths(keeper: Keeper, model: Any, length: int, precision: str) -> list[Any]:
    """PyTorch with a cache of fixed size in a CUDA graph; compiled first, too, where that works."""
    from helpers.bench.decode.paths import DecodingPath

    found = []
    for key, label, compiled in (
        ("pytorch-graph", "static KV cache, CUDA graph", False),
        ("pytorch-compiled", "static KV cache, torch.compile, CUDA graph", True),
    ):
        if compiled and not on_gpu():
            keeper.skip(f"PyTorch {precision}, {label}", "no GPU")
            continue
        decoder = StaticDecoder(model, length, compiled=compiled)
        try:
            for rows in (1, 8, 16) if on_gpu() else (1,):
                decoder(np.ones((rows, 2), np.int64), np.ones((rows, 2), np.int64), length)
        except Exception as error:  # one way that fails must not cost the others
            keeper.skip(f"PyTorch {precision}, {label}", f"{type(error).__name__}: {error}")
            continue
        found.append(DecodingPath(key, f"PyTorch {precision}, {label}", where(), decoder))
    return found


def _fp16_paths(keeper: Keeper, generator: Any, rows: Sequence[Any], folder: Path, stack: ExitStack) -> list[Any]:
    """FP16 in the graph, and PyTorch's FP16 beside it."""
    from helpers import backend, precision
    from helpers.bench.decode.paths import DecodingPath, TimedStep, build
    from helpers.decoding import TensorRTStep, generate, greedy

    active = backend.current()
    assert active is not None
    who = active.engine if active.gpu else f"{active.engine}; {precision.STORAGE}"
    found = []
    if on_gpu():
        half = copy.deepcopy(generator.model).half()
        found.append(
            DecodingPath(
                "pytorch",
                "PyTorch FP16 generate, KV cache",
                where(),
                lambda ids, mask, length: generate(half, ids, mask, length),
            )
        )
        found += _graph_paths(keeper, half, max(row.length for row in rows), "FP16")
    else:
        keeper.skip("PyTorch FP16", "no GPU")
    plans = {}
    for graph in ("full", "last_step"):
        onnx = precision.to_fp16(folder / f"{graph}.onnx", folder / f"{graph}_fp16.onnx")
        plans[graph] = build(onnx, folder / f"{graph}_fp16.plan", rows)
    ways: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("baseline", "allocates each step, copies all logits", "full", {"preallocate": False, "copy": "full"}),
        ("preallocated", "preallocated, copies all logits", "full", {"copy": "full"}),
        ("o1", "O1, last step by rows", "full", {"copy": "rows"}),
        ("o1-2d", "O1, last step by Memcpy2D", "full", {"copy": "2d"}),
        ("graph", "preallocated, last-step graph", "last_step", {}),
    )
    for key, label, graph, settings in ways:
        if keeper.quick and key not in ("baseline", "o1-2d"):
            continue
        step = stack.enter_context(TensorRTStep(plans[graph], **settings))
        timed: TimedStep | None = None
        if key in ("baseline", "o1-2d"):
            timed = TimedStep(step.engine, **settings)
            stack.enter_context(timed)

        def loop(ids: np.ndarray, mask: np.ndarray, length: int, step: Any = step) -> np.ndarray:
            return greedy(step, ids, mask, length)

        found.append(DecodingPath(key, f"TensorRT's API FP16: {label}", who, loop, step, timed))
    return found


# --- tokens: verification ---------------------------------------------------------------------------------------------


def _tokens(keeper: Keeper, folder: Path, stack: ExitStack) -> None:
    """Paths x batch x prompt x padding, against PyTorch: the trained small model, then the full size."""
    from helpers import data, engine, export, models, precision
    from helpers.decoding import OrtStep, TensorRTStep, pytorch_step, verify

    keeper.content["checks"] = []
    for size in ("small",) if keeper.quick else ("small", "full"):
        generator = models.load_generator(size)
        place = folder / size
        place.mkdir()
        files = {"full": export.export_decoder(generator.model, place / "full.onnx")}
        files["last"] = export.export_decoder(generator.model, place / "last.onnx", last_step=True)
        for graph in ("full", "last"):
            files[f"{graph}16"] = precision.to_fp16(files[graph], place / f"{graph}16.onnx")
        length = 16 if keeper.quick else 32
        profile = dict.fromkeys(export.INPUTS, ((1, 1), (8, 16), (16, length)))
        with ExitStack() as opened:
            steps: dict[str, Any] = {"ONNX Runtime": OrtStep(files["full"])}
            ways: tuple[tuple[str, str, dict[str, Any]], ...] = (
                ("baseline", "full", {"preallocate": False, "copy": "full"}),
                ("O1, rows", "full", {"copy": "rows"}),
                ("O1, Memcpy2D", "full", {"copy": "2d"}),
                ("last-step graph", "last", {}),
                ("FP16, baseline", "full16", {"preallocate": False, "copy": "full"}),
                ("FP16, O1, Memcpy2D", "full16", {"copy": "2d"}),
                ("FP16, last-step graph", "last16", {}),
            )
            for name, graph, settings in ways:
                plan = engine.build(files[graph], place / f"{graph}.plan", profile).path
                steps[name] = opened.enter_context(TensorRTStep(plan, **settings))
            generator.model.to("cuda" if on_gpu() else "cpu")
            reference = pytorch_step(generator.model)
            for batch, prompt, padded in ((1, 4, False), (8, 4, False), (8, 12, True), (16, 12, True), (16, 5, True)):
                if keeper.quick and batch > 8:
                    continue
                prompts = data.load_prompts(batch)
                ids, mask = data.encode_prompts(generator.tokenizer, prompts, length=prompt)
                if padded:  # rows of different lengths
                    mask = mask & (np.arange(prompt) >= (np.arange(batch) % (prompt - 1))[:, None]).astype(np.int64)
                for name, step in steps.items():
                    found = verify(step, reference, ids, mask, length)
                    keeper.content["checks"].append(
                        {
                            "model": generator.name,
                            "trained": generator.trained,
                            "path": name,
                            "precision": "FP16" if name.startswith("FP16") else "FP32",
                            "batch": batch,
                            "prompt": prompt,
                            "left_padding": int(mask.size - mask.sum()),
                            "length": length,
                            **{k: v for k, v in asdict(found).items() if k != "divergences"},
                            "divergences": [asdict(one) for one in found.divergences],
                        }
                    )
                keeper.write()
    checks = keeper.content["checks"]
    single = [check for check in checks if check["precision"] == "FP32"]
    half = [check for check in checks if check["precision"] == "FP16"]
    exact = sum(check["equal"] == check["tokens"] for check in single)
    trained = [check for check in half if check["trained"]]
    margins = [one["margin"] for check in half for one in check["divergences"]]
    keeper.content["headline"] = (
        f"FP32: {exact} of {len(single)} combinations token for token, logits within "
        f"{max(check['max_abs_diff'] for check in single):.1e}; FP16: logits within "
        f"{max(check['max_abs_diff'] for check in half):.1e}, "
        f"{sum(c['equal'] for c in trained) / sum(c['tokens'] for c in trained):.1%} equal tokens on the trained one, "
        f"first divergences at margins up to {max(margins, default=0):.3f}"
    )


# --- timeline ---------------------------------------------------------------------------------------------------------


def _timeline(keeper: Keeper, folder: Path, stack: ExitStack) -> None:
    """One generation, batch 8 to 32 tokens, before O1 and after it: intervals, sums, a picture."""
    from helpers import data, engine, export, models, timeline
    from helpers.bench import recorded
    from helpers.decoding import TensorRTStep, greedy

    generator = models.load_generator("small" if keeper.quick else "full", vocabulary=VOCABULARY)
    batch, length = (2, 6) if keeper.quick else (8, 32)
    full = export.export_decoder(generator.model, folder / "full.onnx")
    profile = dict.fromkeys(export.INPUTS, ((1, 1), (batch, length), (batch, length)))
    plan = engine.build(full, folder / "full.plan", profile).path
    ids, mask = data.encode_prompts(generator.tokenizer, data.load_prompts(batch), length=4)
    lines = {}
    keeper.content |= {"model": generator.name, "batch": batch, "length": length, "prompt": 4, "timelines": {}}
    ways: dict[str, dict[str, Any]] = {
        "before": {"preallocate": False, "copy": "full"},
        "after": {"preallocate": True, "copy": "2d"},
    }
    for name, settings in ways.items():
        step = stack.enter_context(TensorRTStep(plan, **settings))
        for _ in range(2):
            greedy(step, ids, mask, length)
        count = iter(range(1, 1000))

        def spanned(
            given: np.ndarray, its_mask: np.ndarray, step: Any = step, count: Iterator[int] = count
        ) -> np.ndarray:
            with timeline.span(f"step {next(count)}"):
                return np.asarray(step(given, its_mask))

        with timeline.capture() as captured:
            greedy(spanned, ids, mask, length)
        line = captured.timeline
        lines[name] = line
        keeper.content["timelines"][name] = {
            "wall_ms": line.wall_ms,
            "span_ms": line.span_ms,
            "idle_ms": line.idle_ms,
            "device_ms": line.device_ms,
            "device_bytes": line.device_bytes,
            "host_ms": line.host_ms,
            "adds_up": bool(line.adds_up),
            "outside": line.adds_up.outside,
            "intervals": len(line.intervals),
            "source": line.source,
        }
        line.compact(recorded.CLOSED_MS).save(keeper.folder / f"timeline_{name}.json")
        keeper.write()
    recorded.picture(keeper.folder, keeper.content).save(keeper.folder / "timeline.png")
    keeper.content["headline"] = "; ".join(f"{name}: {line!r}" for name, line in lines.items())


# --- classify: exercise 1 ---------------------------------------------------------------------------------------------


def _classify(keeper: Keeper, folder: Path, stack: ExitStack) -> None:
    """From host to host, as in `bench`; then with inputs on the device, where PyTorch's own ways are the peers."""
    from helpers import data, models
    from helpers.bench import classify

    sizes = (2, 4) if keeper.quick else classify.BATCH_SIZES
    tokens = 16 if keeper.quick else TOKENS
    classifier = models.load_classifier("small" if keeper.quick else "full")
    encoded = data.encode(classifier.tokenizer, data.load_texts(256), tokens)
    options = argparse.Namespace(batches=list(sizes), tokens=tokens)
    candidates, skipped = classify.make_candidates(classifier, options, folder, stack)
    keeper.content["skipped"] += skipped
    keeper.content |= {"model": classifier.name, "source": classifier.source, "tokens": tokens}
    keeper.content |= {"host_to_host": [], "on_device": [], "correctness": {}}
    checked = data.batches(encoded, max(sizes))
    reference = None
    for each in candidates:
        if each.kind == "end-to-end":
            logits = np.concatenate([np.asarray(each.run(*batch)) for batch in checked])
            reference = logits if reference is None else reference
            keeper.content["correctness"][each.label] = _agreement(reference, logits)
    seconds = 0.05 if keeper.quick else keeper.seconds
    for size in sizes:
        found = compare(candidates, data.batches(encoded, size)[: len(encoded.input_ids) // size], seconds=seconds)
        keeper.content["host_to_host"] += [asdict(item) for item in found]
        keeper.write()
        print(f"host to host, batch {size}", flush=True)
    for size in sizes:
        ids, mask = encoded.input_ids[:size], encoded.attention_mask[:size]
        with ExitStack() as opened:
            there = list(resident(keeper.skip, classifier, ids, mask, folder, opened))
            right = {label: _agreement(there[0][2](), read()) for label, _, read in there}
            timed = [candidate for _, candidate, _ in there]
            found = compare(timed, [(ids, mask)], seconds=seconds)
        for item in found:
            keeper.content["on_device"].append({**asdict(item), "correctness": right[item.label]})
        keeper.write()
        print(
            f"on the device, batch {size}: " + ", ".join(f"{i.label} {i.samples_per_second:,.0f}" for i in found),
            flush=True,
        )
    best = [item for item in keeper.content["on_device"] if item["batch"] == max(sizes)]
    keeper.content["headline"] = ", ".join(f"{item['label']} {item['samples_per_second']:,.0f}" for item in best)


def _agreement(expected: np.ndarray, actual: np.ndarray) -> dict[str, Any]:
    found = agreement(expected, actual)
    return {
        "samples": found.samples,
        "max_abs_diff": found.max_abs_diff,
        "label_agreement": found.label_agreement,
        "differing_margins": [one.margin for one in found.differing],
    }


# --- steps, placement -------------------------------------------------------------------------------------------------


def _steps(keeper: Keeper, folder: Path, stack: ExitStack) -> None:
    """Time of one step over its length, with and without a cache, and the fits; batch 1 and 8."""
    from helpers import export, models
    from helpers.bench.decode.paths import Row, build
    from helpers.bench.decode.rows import measure_lengths

    generator = models.load_generator("small" if keeper.quick else "full", vocabulary=VOCABULARY)
    lengths = (4, 8, 12, 16) if keeper.quick else (8, 16, 32, 64, 128, 256, 512, 1000)
    onnx = export.export_decoder(generator.model, folder / "steps.onnx", last_step=True)
    keeper.content |= {"model": generator.name, "batches": {}}
    for batch in (1, 2) if keeper.quick else (1, 8):
        plan = build(onnx, folder / f"steps_{batch}.plan", [Row(max(2, batch), max(lengths))])
        generator.model.to("cuda" if on_gpu() else "cpu")
        with no_collection():
            found = measure_lengths(
                generator.model, lengths, plan, batch=batch, seconds=keeper.seconds * (0.1 if keeper.quick else 8)
            )
        keeper.content["batches"][str(batch)] = found
        keeper.write()
    keeper.content["headline"] = "; ".join(
        f"batch {batch}, {path['label']}: {path['ms'][0]:.2f} to {path['ms'][-1]:.2f} ms"
        for batch, found in keeper.content["batches"].items()
        for path in found["paths"].values()
    )


def _placement(keeper: Keeper, folder: Path, stack: ExitStack) -> None:
    """Which provider got which node, and ONNX Runtime's own log of it."""
    import os

    for size in ("small",) if keeper.quick else ("small", "full"):
        stem = keeper.folder / ("ort_gpu" if size == "small" else f"ort_gpu_{size}")
        command = [sys.executable, "-m", "helpers.ort", "record", "--out", str(stem)]
        done = subprocess.run(command, env={**os.environ, "MODEL": size}, capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr, flush=True)
        if done.returncode:
            keeper.skip(f"placement, {size} size", "".join((done.stderr + done.stdout).strip().splitlines()[-1:]))
        else:
            keeper.content[size] = stem.with_suffix(".json").name
    keeper.content["headline"] = ", ".join(str(keeper.content.get(size)) for size in ("small", "full"))


_MEASURES: dict[str, Callable[[Keeper, Path, ExitStack], None]] = {
    "stream": _stream,
    "copies": _copies,
    "decode": _decode,
    "timeline": _timeline,
    "tokens": _tokens,
    "classify": _classify,
    "steps": _steps,
    "placement": _placement,
}
