"""What `bench decode` measured, as tables and in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.benchmark import fit_steps

if TYPE_CHECKING:
    import pandas

THEIRS = "GTX 1060"
RECORDED = Path(__file__).resolve().parents[3] / "assets" / "recorded" / "distilgpt2_gtx1060.json"
_SIMULATED = (
    "The device is simulated: its copies and allocations are the host's own memory at work. Bytes and tokens carry "
    "over to a GPU, the time that they save does not."
)
# One sign and one base in all tables, here and in what is recorded of a GPU: above 0 is time taken off the baseline's.
TAKES_OFF = "takes off, %"
# O1 is both changes; its headline copies the last step row by row in every table, whichever way was faster in a row.
CHANGES = {
    "preallocated": "preallocation, pinned",
    "preallocated-pageable": "preallocation, pageable",
    "last-step": "last-step copy, rows",
    "last-step-2d": "last-step copy, Memcpy2D",
    "o1": "O1 (both, rows)",
    "o1-2d": "O1 by Memcpy2D",
    "graph": "preallocation, last-step graph",
    "baseline-pinned": "pinned in each step",
}
CHANGES_TITLE = "O1's changes one at a time: what each takes off the baseline's time, %"
RATIO_TITLE = "How many times faster the first is: ratio within a round, median over the rounds"
_LANE = ("h2d", "compute", "d2h", "idle")


def tables(content: Mapping[str, Any]) -> dict[str, pandas.DataFrame]:
    """What was measured, as tables by title. `content` is what the command writes as JSON.

    Milliseconds are medians over whole generations, unless title or column says otherwise. Columns that begin with
    "GTX 1060" are figures that the original project published.
    """
    import pandas as pd

    rows = content["rows"]
    theirs = {(row["batch"], row["length"]): row for row in original()["rows"]}
    pairs = [(row, theirs.get((row["batch"], row["length"]), {})) for row in rows]
    found = {
        "Whole generations, ms": [_times(row, other, content["tensorrt"]) for row, other in pairs],
        CHANGES_TITLE: [_changes(row) for row in rows],
        RATIO_TITLE: [{**_name(row), **row["ratios"]} for row in rows],
        "End to end and kernel-only of one generation, ms": [
            _lane(row, key, other) for row, other in pairs for key, path in row["paths"].items() if "lane" in path
        ],
        "Every path: ms of one generation, tokens against PyTorch's, and bytes": [
            _check(row, key) for row in rows for key in row["paths"]
        ],
    }
    if content.get("steps"):
        steps = content["steps"]
        title = f"One step, ms, batch {steps['batch']}, by the length of the sequence at that step"
        found[title] = [
            {"L": length, **{path["label"]: path["ms"][at] for path in steps["paths"].values()}}
            for at, length in enumerate(steps["lengths"])
        ]
    return {title: pd.DataFrame(lines) for title, lines in found.items() if any(len(line) > 3 for line in lines)}


def original() -> dict[str, Any]:
    """What the original project published of its GTX 1060."""
    content: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return content


def _name(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"batch": row["batch"], "L": row["length"], "steps": row["steps"]}


def _times(row: Mapping[str, Any], other: Mapping[str, Any], api: str) -> dict[str, Any]:
    titles = {
        "pytorch": "PyTorch, KV cache",
        "pytorch-no-cache": "PyTorch, no cache",
        "ort": "ONNX Runtime",
        "baseline": f"{api}, baseline",
        "o1": f"{api}, O1",
        "o1-2d": f"{api}, O1 by Memcpy2D",
    }
    line = _name(row)
    line |= {title: row["paths"][key]["median_ms"] for key, title in titles.items() if key in row["paths"]}
    for key, name in (("o1", "O1"), ("o1-2d", "O1 by Memcpy2D")):
        if (saved := takes_off(row["paths"], key)) is not None:
            line[f"{name} {TAKES_OFF}"] = saved
    titles = {
        "pytorch_ms": "PyTorch",
        "onnx_ms": "ONNX",
        "tensorrt_ms": "TensorRT",
        "o1_ms": "O1",
        "o1_drop_percent": f"O1 {TAKES_OFF}",
    }
    return line | {f"{THEIRS}: {title}": other[key] for key, title in titles.items() if key in other}


def takes_off(paths: Mapping[str, Mapping[str, Any]], key: str) -> float | None:
    """Percent of the baseline's time that a path saves, below 0 where it takes longer; None where one was not run."""
    if key not in paths or "baseline" not in paths:
        return None
    return 100 * (1 - float(paths[key]["median_ms"]) / float(paths["baseline"]["median_ms"]))


def _changes(row: Mapping[str, Any]) -> dict[str, Any]:
    paths = row["paths"]
    line = _name(row)
    if "baseline" in paths:
        line["baseline ms"] = paths["baseline"]["median_ms"]
    saved = {title: takes_off(paths, key) for key, title in CHANGES.items()}
    return line | {title: percent for title, percent in saved.items() if percent is not None}


def _lane(row: Mapping[str, Any], key: str, other: Mapping[str, Any]) -> dict[str, Any]:
    lane = row["paths"][key]["lane"]
    line = {
        **_name(row),
        "path": key,
        "end to end": lane["wall_ms"],
        "kernel-only, all steps": lane["compute_ms"],
        "kernel-only, last step": lane["last_execution_ms"],
        "end to end / all steps": lane["wall_ms"] / lane["compute_ms"],
        "end to end / last step": lane["wall_ms"] / lane["last_execution_ms"],
        **{kind: lane[f"{kind}_ms"] for kind in _LANE if kind != "compute"},
        "lane / end to end": sum(lane[f"{kind}_ms"] for kind in _LANE) / lane["wall_ms"],
    }
    if key == "baseline" and "tensorrt_over_kernel_only" in other:
        line[f"{THEIRS}: their ratio"] = other["tensorrt_over_kernel_only"]
    return line


def _check(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    path = row["paths"][key]
    sizes = path.get("bytes", {})
    unknown = float("nan")
    return {
        **_name(row),
        "path": key,
        "median": path["median_ms"],
        "p5": path["p5_ms"],
        "p95": path["p95_ms"],
        "a step": path["ms_per_step"],
        "equal tokens": f"{path['tokens_equal']} of {path['tokens']}",
        "max |diff| of logits": unknown if path["max_abs_diff"] is None else path["max_abs_diff"],
        "MB of logits, by arithmetic": sizes.get("logits_expected", unknown) / 1e6,
        "MB copied to the host": sizes.get("d2h", unknown) / 1e6,
        "MB copied to the device": sizes.get("h2d", unknown) / 1e6,
        "MB allocated on the device": sizes.get("allocated", unknown) / 1e6,
    }


def report(content: Mapping[str, Any]) -> None:
    """Print the tables, with what has to be said beside them."""
    print(
        f"\n{content['model']}, {content['precision']}, vocabulary of {content['vocabulary']:,}. L is the final "
        f"length: the prompt's {content['prompt']} tokens, and one for each step."
    )
    for title, frame in tables(content).items():
        print(f"\n{title}")
        print(frame.to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep="-"))
    for line in sentences(content):
        print(f"\n{line}")


def sentences(content: Mapping[str, Any]) -> list[str]:
    """What the tables come to, and what limits them."""
    found = []
    lanes = [row["paths"]["baseline"]["lane"] for row in content["rows"] if "lane" in row["paths"].get("baseline", {})]
    theirs = original()
    if lanes:
        one = [lane["wall_ms"] / lane["last_execution_ms"] for lane in lanes]
        every = [lane["wall_ms"] / lane["compute_ms"] for lane in lanes]
        text = (
            f"A whole generation of the baseline takes {_range(one)} times its last execution, which does not compare "
            f"the same work; it takes {_range(every)} times the sum of its executions."
        )
        text += f" The original's figure is {_range(theirs['claims']['end_to_end_over_kernel_only'])}."
        found.append(text)
    steps = content.get("steps") or {"paths": {}}
    for path in steps["paths"].values():  # from the times: the words may be older than the fit's rules
        found.append(f"{path['label']}: {fit_steps(steps['lengths'], path['ms']).sentence}")
    wrong = [
        f"{key} at {row['batch']}x{row['length']}"
        for row in content["rows"]
        for key, path in row["paths"].items()
        if path["tokens_equal"] < path["tokens"]
    ]
    found.append(
        f"Not PyTorch's tokens: {', '.join(wrong)}." if wrong else "Every path gives PyTorch's tokens in every row."
    )
    engines = {path["engine"] for row in content["rows"] for path in row["paths"].values()}
    found.append(f"Measured here: {'; '.join(sorted(engines))}. Times belong to these, and to this machine.")
    if content["simulated"]:
        found.append(_SIMULATED)
    found.append(f"{THEIRS}: {theirs['what']} ({theirs['source']}).")
    load, cores = content["load_before"], content["cores"]
    if load is not None and load > 0.5 * (cores or 1):
        found.append(f"This machine was busy (load {load:.1f} on {cores} cores): times alone would be shorter.")
    return found + [f"Skipped: {line}" for line in content["skipped"]]


def _range(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"
