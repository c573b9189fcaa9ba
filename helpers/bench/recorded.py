"""What the notebooks show as recorded on a GPU, made from a run of `bench --all`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from helpers.bench.decode.tables import CHANGES, CHANGES_TITLE, TAKES_OFF, takes_off
from helpers.benchmark import fit_steps

Parts = Mapping[str, Mapping[str, Any]]

CLOSED_MS = 0.02  # neighbouring kernels in the saved timelines are one stretch where less lies between them
_TIMES = (
    ("pytorch", "PyTorch, KV cache"),
    ("pytorch-no-cache", "PyTorch, no cache"),
    ("pytorch-compiled", "PyTorch, KV cache, CUDA graph"),
    ("ort", "ONNX Runtime"),
    ("ort-bound", "ONNX Runtime, bound I/O"),
    ("baseline", "baseline"),
    ("o1", "O1"),
    ("o1-2d", "O1 by Memcpy2D"),
    ("graph", "last-step graph"),
)
_FP16 = (
    " TensorRT's API answered in FP16 here, and the loop took the largest of FP16 numbers in NumPy, which is ten times"
    " slower than of FP32 ones: at batch 8 about 3 ms a step of the host's time, in which the GPU is idle."
)
_LANE = ("h2d", "compute", "d2h", "idle")


def files(parts: Parts, recorded: Path) -> dict[Path, dict[str, Any]]:
    """Files to write, with their content.

    Args:
        parts: what `gpu.load` read.
        recorded: the folder `assets/recorded`, whose figures of other GPUs are kept.
    """
    found = {}
    if "classify" in parts:
        path = recorded / "distilbert_gpus.json"
        found[path] = _distilbert(parts["classify"], json.loads(path.read_text(encoding="utf-8")))
    if "decode" in parts:
        found[recorded / "distilgpt2_gpus.json"] = _distilgpt2(parts)
    return found


def software(content: Mapping[str, Any]) -> str:
    """Versions in a line."""
    packages = content["packages"]
    wanted = ("torch", "transformers", "onnxruntime-gpu", "tensorrt-rtx", "pycuda", "numpy")
    named = [f"{name} {packages[name]}" for name in wanted if packages.get(name)]
    driver = (content.get("gpu") or {}).get("driver")
    return ", ".join([*named, *([f"driver {driver}"] if driver else []), f"Python {content['python']}"])


def _head(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "gpu": (content.get("gpu") or {}).get("name", content["machine"]),
        "date": content["date"],
        "software": software(content),
        "command": content["command"],
    }


# --- exercise 1 -------------------------------------------------------------------------------------------------------


def _distilbert(classify: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The GPU's rows replaced by this run's; other GPUs' are kept."""
    head = _head(classify)

    def speeds(items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for item in items:
            row = rows.setdefault(
                (item["label"], item["kind"]),
                {"engine": item["label"], "ran_on": item["engine"], "kind": item["kind"], "samples_per_second": {}},
            )
            row["samples_per_second"][str(item["batch"])] = round(item["samples_per_second"])
            if "correctness" in item:
                seen = row.get("max_abs_diff", 0.0)
                row["max_abs_diff"] = max(seen, item["correctness"]["max_abs_diff"])
        return list(rows.values())

    run = {
        **head,
        "model": classify["model"],
        "tokens": classify["tokens"],
        "rows": speeds(classify["on_device"]),
        "host_to_host": speeds(classify["host_to_host"]),
        "skipped": classify["skipped"],
        "note": classify.get("note", ""),
    }
    kept = [other for other in before["runs"] if other["gpu"] != head["gpu"]]
    what = (
        "DistilBERT at full size, samples per second, recorded on NVIDIA GPUs: the first run by `python -m helpers "
        "bench --all`, the others beforehand; nothing of it is measured by the notebook that shows it"
    )
    return {**before, "what": what, "runs": [run, *kept]}


# --- exercise 2 -------------------------------------------------------------------------------------------------------


def _distilgpt2(parts: Parts) -> dict[str, Any]:
    decode = parts["decode"]
    head = {**_head(decode), "engine": decode["engine"]}
    tables = [
        _whole(decode["rows"], "Whole generations, FP32, ms"),
        _changes(decode["rows"]),
        _lanes(decode["rows"]),
    ]
    if decode["rows_fp16"]:
        tables.append(_whole(decode["rows_fp16"], "Whole generations, FP16, ms", _FP16))
    for name, make in (("copies", _copies), ("timeline", _timelines), ("steps", _steps), ("tokens", _tokens)):
        if name in parts:
            tables.append({**_head(parts[name]), "engine": parts[name]["engine"], **make(parts[name])})
    return {
        "what": "DistilGPT2 at full size, recorded on an NVIDIA GPU; nothing of it is measured by the notebook that "
        "shows it",
        "boundaries": "from arrays in host memory to tokens in host memory, the whole loop of a generation, medians of"
        " interleaved rounds; L is the final length, of which the prompt is "
        f"{decode['prompt']} tokens",
        "weights": decode["source"],
        "caution": "the engine behind TensorRT's API is ONNX Runtime's CUDA provider: no row says anything about"
        " TensorRT's own speed, and only ratios within one run carry over",
        "runs": [{**head, **table} for table in tables],
        "not_yet_run": ["TensorRT 10 or 11 on any GPU", "TensorRT-RTX on any GPU", "anything on a T4"],
    }


def _whole(rows: Iterable[Mapping[str, Any]], title: str, note: str = "") -> dict[str, Any]:
    rows = sorted(rows, key=_order)
    there = [(key, name) for key, name in _TIMES if all(key in row["paths"] for row in rows)]
    engines = dict.fromkeys(row["paths"][key]["engine"] for row in rows for key, _ in there)
    lines = []
    for row in rows:
        paths = row["paths"]
        equal = sum(path["tokens_equal"] for path in paths.values()), sum(path["tokens"] for path in paths.values())
        line = [row["batch"], row["length"], row["steps"]]
        line += [round(paths[key]["median_ms"], 2) for key, _ in there]
        saved = [takes_off(paths, key) for key in ("o1", "o1-2d")]
        line += [None if percent is None else round(percent, 1) for percent in saved]
        lines.append([*line, f"{equal[0]} of {equal[1]}"])
    return {
        "title": title,
        "columns": [
            "batch",
            "L",
            "steps",
            *(name for _, name in there),
            f"O1 {TAKES_OFF}",
            f"O1 by Memcpy2D {TAKES_OFF}",
        ]
        + ["equal tokens, all paths"],
        "rows": lines,
        "note": f"Ran on: {'; '.join(engines)}. Baseline, O1 (preallocated; the last step copied row by row, or by one"
        " Memcpy2D) and last-step graph are through TensorRT's API; PyTorch's cache is of fixed size where it is in a"
        " CUDA graph, and the step is compiled first. Percent are of the baseline's time. Tokens are compared with"
        f" PyTorch's in FP32.{note}",
    }


def _order(row: Mapping[str, Any]) -> tuple[bool, int, int]:
    """As in the original's tables: the rows of 12 tokens by batch, then those of batch 8 by length."""
    return row["length"] != 12, row["batch"], row["length"]


def _changes(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    rows = sorted(rows, key=_order)
    there = [(key, name) for key, name in CHANGES.items() if all(key in row["paths"] for row in rows)]
    lines: list[list[Any]] = []
    for row in rows:
        paths = row["paths"]
        line = [row["batch"], row["length"], round(paths["baseline"]["median_ms"], 2)]
        lines.append([*line, *(round(takes_off(paths, key) or 0.0, 1) for key, _ in there)])
    return {
        "title": CHANGES_TITLE,
        "columns": ["batch", "L", "baseline ms", *(name for _, name in there)],
        "rows": lines,
        "note": "Below 0: it takes longer. The baseline allocates device memory in each step, and ordinary (pageable) "
        "host memory; what is preallocated is pinned too, unless the column says otherwise. At 8 x 32 a part of what "
        "is saved is the host's own memory: an array beyond 32 MiB (from 21 tokens on) is new from the system "
        "in every step, its pages are made while the copy runs, and the copy then reaches 3 GB/s instead of 14.",
    }


def _lanes(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    lines = []
    for row in sorted(rows, key=_order):
        for key, name in (("baseline", "baseline"), ("o1", "O1, rows"), ("graph", "last-step graph")):
            lane = row["paths"].get(key, {}).get("lane")
            if lane:
                total = sum(lane[f"{kind}_ms"] for kind in _LANE)
                line = [row["batch"], row["length"], name, *(round(lane[f"{kind}_ms"], 2) for kind in _LANE)]
                line += [round(lane["wall_ms"], 2), round(total / lane["wall_ms"], 4)]
                line += [round(lane["wall_ms"] / lane[f"{k}_ms"], 2) for k in ("last_execution", "compute")]
                lines.append(line)
    return {
        "title": "The device's lane by CUDA events, ms of one generation",
        "columns": ["batch", "L", "path", "H2D", "compute", "D2H", "idle", "end to end", "lane / end to end"]
        + ["end to end / last execution", "end to end / all executions"],
        "rows": lines,
        "note": "An interval between two events has the host's delay in launching in it; idle is what lies between a "
        "copy down and the next step's copy up. 'All executions' is kernel-only, summed over the steps.",
    }


def _copies(copies: Mapping[str, Any]) -> dict[str, Any]:
    batch, length, vocabulary = copies["shape"]
    costs = {name: us for name, us in copies["allocating_us"].items() if name != "bytes"}
    said = ", ".join(f"{name} {us:,.0f} us" for name, us in costs.items())
    return {
        "title": f"Copying logits of [{batch}, {length}, {vocabulary}] to the host, FP32",
        "engine": "the GPU's driver, through pycuda",
        "columns": ["copy", "host memory", "MB", "us", "us between events", "GB/s"],
        "rows": [
            [
                item["copy"],
                item["memory"],
                round(item["bytes"] / 1e6, 2),
                round(item["us"], 1),
                round(item["us_between_events"], 1),
                round(item["gb_per_s"], 1),
            ]
            for item in copies["copies"]
        ],
        "note": f"Medians of {copies['repeats']} synchronised copies. Allocating "
        f"{copies['allocating_us']['bytes'] / 1e6:.1f} MB: {said}.",
    }


def _timelines(timeline: Mapping[str, Any]) -> dict[str, Any]:
    lines = []
    for name, line in timeline["timelines"].items():
        device, nbytes = line["device_ms"], line["device_bytes"]
        lines.append(
            [name, *(round(device.get(kind, 0.0), 2) for kind in ("h2d", "compute", "d2h"))]
            + [round(line["idle_ms"], 2), round(line["span_ms"], 2), round(line["wall_ms"], 2)]
            + [round(nbytes.get("d2h", 0) / 1e6, 1), round(line["span_ms"] / line["wall_ms"], 4)]
        )
    return {
        "title": f"Timeline of {timeline['batch']} x {timeline['length']} tokens before and after O1, ms",
        "columns": ["timeline", "H2D", "kernels", "D2H", "idle", "span", "end to end", "MB to the host"]
        + ["span / end to end"],
        "rows": lines,
        "note": "By torch.profiler, whose own cost is in it: here compute is the kernels alone, and idle is every gap.",
    }


def picture(folder: Path, content: Mapping[str, Any]) -> Any:
    """The two timelines that a run left in `folder`, as a plot."""
    from helpers import timeline

    lines = {name: timeline.Timeline.load(folder / f"timeline_{name}.json") for name in content["timelines"]}
    title = (
        f"DistilGPT2, {content['batch']} x {content['length']} tokens; gaps below {CLOSED_MS * 1000:.0f} us are closed"
    )
    return timeline.draw(lines, title=title)


def _steps(steps: Mapping[str, Any]) -> dict[str, Any]:
    columns, rows, said = ["batch", "L"], [], []
    for batch, found in steps["batches"].items():
        labels = [path["label"] for path in found["paths"].values()]
        columns = ["batch", "L", *(f"{label}, ms" for label in labels)]
        for at, length in enumerate(found["lengths"]):
            rows.append([int(batch), length, *(round(path["ms"][at], 3) for path in found["paths"].values())])
        for path in found["paths"].values():
            said.append(f"Batch {batch}, {path['label']}: {fit_steps(found['lengths'], path['ms']).sentence}")
    return {"title": "One step over its length", "columns": columns, "rows": rows, "note": " ".join(said)}


def _tokens(tokens: Mapping[str, Any]) -> dict[str, Any]:
    lines = []
    groups = dict.fromkeys((check["model"], check["precision"], check["path"]) for check in tokens["checks"])
    for model, precision, path in groups:
        those = [c for c in tokens["checks"] if (c["model"], c["precision"], c["path"]) == (model, precision, path)]
        margins = [one["margin"] for check in those for one in check["divergences"]]
        equal, total = sum(check["equal"] for check in those), sum(check["tokens"] for check in those)
        lines.append(
            [model, path, len(those), f"{equal} of {total}", float(f"{max(c['max_abs_diff'] for c in those):.2e}")]
            + [round(max(margins), 4) if margins else None]
        )
    return {
        "title": "Tokens against PyTorch's FP32, over batches, prompts and left padding",
        "columns": ["model", "path", "combinations", "equal tokens", "max |diff| of logits, teacher-forced"]
        + ["largest margin at a first divergence"],
        "rows": lines,
        "note": tokens.get("headline", ""),
    }
