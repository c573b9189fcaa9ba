"""`python -m helpers bench decode`: one generation of text, by every way of decoding, in turn.

A row is a batch and a final length L, as in `8x12`; the prompt has 4 tokens, so a generation has L - 4 steps. All paths
of a row are timed in one run, in turn, each round beginning with another one. Beside each time stands whether the
tokens were PyTorch's, and how many bytes were copied.

Two changes make "O1": buffers allocated once, and the last step's logits copied instead of all. Each is measured
alone, too; the copy of the last step as B copies at offsets, and as one copy with a pitch. A graph that computes the
last step's logits only copies as little, and saves most of the last matrix product besides: what it gains on a CPU is
not the copy.

End to end is the clock around the whole loop. Kernel-only is the sum over the same loop's steps of the time between two
CUDA events around each execution. The device's lane (copies up, computing, copies down, and idle between) is measured
by events as well and adds up to the loop.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from helpers.bench import explained
from helpers.bench.decode.paths import LAST_STEP_ONNX, PATHS, TENSORRT, USUAL_PATHS, Row, api_name, build, make_paths
from helpers.bench.decode.rows import measure_lengths, measure_row
from helpers.bench.decode.tables import report
from helpers.benchmark import BenchmarkError, fit_steps
from helpers.files import replacing

ROWS = ("1x12", "8x12", "16x12", "8x8", "8x16", "8x32")
PROMPT = 4
LENGTHS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768)
VOCABULARY = 50_257  # the small model's own vocabulary is so small that its logits weigh nothing


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m helpers bench decode`; 0, or 1 with a sentence."""
    options = _options(arguments)
    # as in `bench`: threads that spin while they wait take the cores from the engine whose turn it is
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return _bench(options)
    except explained() as error:
        print(f"bench decode: {error}", file=sys.stderr)
        return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m helpers bench decode",
        description="Decode the same prompts by PyTorch, ONNX Runtime and TensorRT (or the simulator), in turn; "
        "compare tokens, times and bytes copied. MODEL=full takes DistilGPT2.",
    )
    parser.add_argument("--rows", default=",".join(ROWS), help=f"batch x final length (default {','.join(ROWS)})")
    parser.add_argument(
        "--prompt", type=int, default=PROMPT, metavar="N", help=f"tokens of a prompt (default {PROMPT})"
    )
    parser.add_argument("--paths", default=",".join(USUAL_PATHS), help=f"all, or some of {', '.join(PATHS)}")
    parser.add_argument(
        "--lengths",
        help="tokens of the steps to fit a + b L + c L^2 to, or none (default: 8 to 768, or to the model's positions)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=180,
        help="what the timed rounds may take together (default 180; at least 5 each)",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="timed rounds of each row, whatever they take")
    parser.add_argument("--save", action="store_true", help="keep the results in assets/results/<machine>/")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    parser.add_argument("--plots", metavar="FOLDER", help="draw the fits into FOLDER")
    options = parser.parse_args(arguments)
    outside = (options.json, options.plots)  # where they were written is of no use to whoever repeats the command
    options.given = ["FILE" if argument in outside else argument for argument in arguments or []]
    return options


def _bench(options: argparse.Namespace) -> int:
    import torch

    from helpers import backend, data, environment, export, models

    if options.prompt < 1 or not options.seconds > 0 or (options.rounds is not None and options.rounds < 1):
        raise BenchmarkError("Expected a prompt of 1 token or more, and seconds and rounds above 0.")
    began = time.perf_counter()
    rows, keys = parse_rows(options.rows, options.prompt), _parse_paths(options.paths)
    generator = models.load_generator(vocabulary=VOCABULARY)
    model, positions = generator.model, generator.model.config.max_position_embeddings
    lengths = _parse_lengths(options.lengths, positions)
    longest = max([*lengths, *(row.length for row in rows)])
    if longest > positions:
        raise BenchmarkError(
            f"{longest} tokens are asked for, {generator.name} has {positions} positions. Expected shorter ones; see "
            "--rows and --lengths."
        )
    prompts = data.load_prompts(max(row.batch for row in rows))
    input_ids, mask = data.encode_prompts(generator.tokenizer, prompts, length=options.prompt)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # before our own work counts
    given = " ".join(["bench decode", shlex.join(options.given)]).strip()
    content: dict[str, Any] = {
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **environment.circumstances(f"MODEL={generator.size} python -m helpers {given}"),
        "model": generator.name,
        "source": generator.source,
        "precision": "FP32",
        "vocabulary": generator.vocabulary,
        "prompt": options.prompt,
        "torch_threads": torch.get_num_threads(),
        "load_before": load,
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with ExitStack() as opened:
            paths, content["skipped"] = make_paths(model, keys, rows, folder, opened)
            content["tensorrt"], content["runs"] = api_name(), getattr(backend.current(), "engine", "")
            content["simulated"] = bool(getattr(backend.current(), "simulated", False))
            content["rows"] = []
            for row in rows:
                pair = input_ids[: row.batch], mask[: row.batch]
                seconds = options.seconds / len(rows)
                found = measure_row(row, paths, model, *pair, seconds=seconds, rounds=options.rounds)
                content["rows"].append(found)
                took = f"after {time.perf_counter() - began:.0f} s"
                print(f"{row.name}: {found['steps']} steps, {found['rounds']} rounds measured {took}", flush=True)
        if lengths:
            plan = None
            if set(keys) & set(TENSORRT):
                path = folder / LAST_STEP_ONNX
                if not path.is_file():
                    export.export_decoder(model, path, last_step=True)
                plan = build(path, path.with_name("steps.plan"), [Row(1, max(lengths))])
            content["steps"] = measure_lengths(
                model, lengths, plan, seconds=options.seconds / len(rows), rounds=options.rounds
            )
    content["load_after"] = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    content["took_seconds"] = round(time.perf_counter() - began)
    report(content)
    for target in ([None] if options.save else []) + ([options.json] if options.json else []):
        print(f"Written: {save(content, target)}")
    if options.plots and lengths:
        _draw(content, Path(options.plots))
    return 0


def save(content: Mapping[str, Any], path: str | os.PathLike[str] | None = None) -> Path:
    """Write what was measured as JSON; None takes `assets/results/<machine>/decode_<size>.json`."""
    from helpers import environment

    size = "full" if "MODEL=full" in content["command"] else "small"
    target = Path(path) if path else environment.results_folder(environment.inspect()) / f"decode_{size}.json"
    with replacing(target) as part:
        part.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
    return target


def _draw(content: Mapping[str, Any], folder: Path) -> None:
    from helpers import plots

    steps = content["steps"]
    fits = {path["label"]: fit_steps(steps["lengths"], path["ms"]) for path in steps["paths"].values()}
    print(f"Drawn: {plots.steps_fit(fits).save(folder / 'steps.png')}")


# --- what is asked for ------------------------------------------------------------------------------------------------


def parse_rows(text: str, prompt: int = PROMPT) -> list[Row]:
    """`"1x12,8x12"` as rows: batch x final length.

    Raises:
        BenchmarkError: anything else, a length that leaves nothing to decode, or a row that is there twice.
    """
    rows = []
    for part in filter(None, re.split(r"[,\s]+", text)):
        found = re.fullmatch(r"(\d+)x(\d+)", part)
        row = Row(int(found[1]), int(found[2])) if found else None
        if row is None or row.batch < 1 or row.length <= prompt:
            raise BenchmarkError(
                f"The row {part!r} cannot be measured. Expected BATCHxLENGTH, as in 8x12, with a final length above "
                f"the prompt's {prompt} tokens."
            )
        if row in rows:
            raise BenchmarkError(f"The row {row.name} is asked for twice. Expected different rows.")
        rows.append(row)
    if not rows:
        raise BenchmarkError("No rows. Expected BATCHxLENGTH, comma-separated, as in 1x12,8x12.")
    return rows


def _parse_paths(text: str) -> list[str]:
    if text.strip() == "all":
        return list(PATHS)
    asked = [part for part in re.split(r"[,\s]+", text) if part]
    for part in asked:
        if part not in PATHS:
            raise BenchmarkError(f"There is no decoding path {part!r}. Expected some of {', '.join(PATHS)}.")
    if not asked:
        raise BenchmarkError(f"No decoding paths. Expected some of {', '.join(PATHS)}.")
    return [path for path in PATHS if path in asked]


def _parse_lengths(text: str | None, positions: int) -> list[int]:
    if text is None:
        return [length for length in LENGTHS if length <= positions]
    if text.strip() in ("", "none"):
        return []
    parts = [part for part in re.split(r"[,\s]+", text) if part]
    if not all(part.isdigit() and int(part) >= 2 for part in parts) or len(set(parts)) < 4:
        raise BenchmarkError(
            f"The lengths {text!r} cannot be fitted. Expected at least four different numbers of tokens from 2 on, as "
            "in 8,16,32,64, or none."
        )
    return sorted({int(part) for part in parts})
