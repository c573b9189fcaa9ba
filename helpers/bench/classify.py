"""`python -m helpers bench`: the classifier of exercise 1 in every engine that this machine has."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from helpers.bench import explained
from helpers.benchmark import (
    END_TO_END,
    KERNEL_ONLY,
    BenchmarkError,
    Candidate,
    agreement,
    compare,
    save,
    seconds_per_point,
    table,
)

BATCH_SIZES = (16, 32, 64, 128)


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
    except explained() as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m helpers bench",
        description="Time PyTorch, ONNX Runtime and TensorRT (or the simulator) on the texts of exercise 1, in turn, "
        "and compare their answers. MODEL=full takes the full-size model.",
        epilog="`bench decode` does it for exercise 2's generation of text; `bench --all --out DIR` is a GPU machine's "
        "whole run; `bench --tables` writes docs/results.md from the committed results. Each has its own --help.",
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
    candidates, skipped = make_candidates(classifier, options, folder, stack)

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


def make_candidates(
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
