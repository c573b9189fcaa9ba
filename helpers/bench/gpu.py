"""`python -m helpers bench --all --out DIR`: what is measured on a machine with a GPU, in one run.

The work is in `parts.py`. Each part is a process of its own with its own limit of time, and writes `DIR/<part>.json`
as it goes: one that fails, or is stopped, takes nothing of the others with it, and what it had measured is kept.
Without a GPU `--quick` runs the same code at small sizes, so that a mistake costs no time on the GPU; nothing of that
is a result.

`python -m helpers bench --all --record DIR` makes the committed results from such a folder: `assets/results/<machine>/`
what the notebooks show as recorded, and docs/results.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers.bench import explained
from helpers.files import replacing

ROOT = Path(__file__).resolve().parent.parent.parent
RECORDED = ROOT / "assets" / "recorded"
MODEL = {"full": "full size", "small": "small size"}

# name -> (what it shows, seconds that it may take)
PARTS = {
    "stream": ("copies and executions on a user's stream, unsynchronised, are right every time", 180),
    "copies": ("microseconds of copying all logits and the last step's", 90),
    "decode": ("exercise 2: every way of decoding, FP32 and FP16", 480),
    "timeline": ("the device's lane before and after O1", 120),
    "tokens": ("exercise 2: tokens against PyTorch's, padding and prompts of several lengths", 240),
    "classify": ("exercise 1: every engine, and PyTorch's own ways of being fast", 420),
    "steps": ("time of a step over its length", 120),
    "placement": ("ONNX Runtime's placement of nodes, its copies and its log", 180),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 where a part failed, or with a sentence on what was wrong."""
    options = _options(arguments)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in `bench`
    try:
        if options.record:
            return _record(Path(options.record))
        if options.part:
            return _part(options)
        return _all(options)
    except explained() as error:
        print(f"bench --all: {error}", file=sys.stderr)
        return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m helpers bench --all",
        description="Measure everything on a machine with a GPU: exercises 1 and 2 at full size, correctness first, "
        "PyTorch's own ways beside them. Each part writes DIR/<part>.json.",
        epilog="Parts: " + "; ".join(f"{name}: {what}" for name, (what, _) in PARTS.items()),
    )
    parser.add_argument("--all", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", metavar="DIR", help="where the results go")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them, in this order (default: all)")
    parser.add_argument("--seconds", type=float, default=1.0, help="time budget of a measurement (default 1)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the code; no results")
    parser.add_argument("--record", metavar="DIR", help="make the committed results from DIR")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.record and not options.out:
        parser.error("--out DIR is needed (or --record DIR)")
    unknown = [name for name in options.parts.split(",") if name not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; expected some of {', '.join(PARTS)}")
    return options


# --- running ----------------------------------------------------------------------------------------------------------


def _all(options: argparse.Namespace) -> int:
    from helpers import environment

    found = environment.inspect()
    if found.gpu is None and not options.quick:
        print(
            "bench --all: there is no GPU here, and nothing of this is worth recording without one. Expected a machine "
            "with a GPU; --quick tries the code at small sizes.",
            file=sys.stderr,
        )
        return 1
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in options.parts.split(","):
        what, limit = PARTS[name]
        print(f"--- {name}: {what}", flush=True)
        command = [sys.executable, "-m", "helpers", "bench", "--all", "--part", name, "--out", str(out)]
        command += ["--seconds", str(options.seconds), *(["--quick"] if options.quick else [])]
        began = time.perf_counter()
        with (out / f"{name}.log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
            code: int | str
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = f"stopped after {limit} s"
        print(f"    {'done' if code == 0 else code} in {time.perf_counter() - began:.0f} s", flush=True)
        if code != 0:
            failed.append(name)
            print(
                "    " + "\n    ".join((out / f"{name}.log").read_text(errors="replace").splitlines()[-12:]), flush=True
            )
    print(summary(out))
    return 1 if failed else 0


def _part(options: argparse.Namespace) -> int:
    from helpers.bench import parts

    keeper = Keeper(Path(options.out) / f"{options.part}.json", options.part, options.seconds, options.quick)
    parts.run(options.part, keeper)
    keeper.content["finished"] = True
    keeper.write()
    return 0


class Keeper:
    """What a part has found so far, and the file that has it.

    Attributes:
        content: plain JSON values; `write` puts them on disk.
        seconds: the time budget of a measurement.
        quick: whether this is a try at small sizes.
        folder: where other files of the part go.
    """

    def __init__(self, path: Path, part: str, seconds: float, quick: bool) -> None:
        from helpers import environment

        found = environment.inspect()
        command = f"python -m helpers bench --all --out DIR --parts {part} --seconds {seconds:g}"
        self.path, self.seconds, self.quick, self.folder = path, seconds, quick, path.parent
        self.content: dict[str, Any] = {
            "part": part,
            "what": PARTS[part][0],
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            **environment.circumstances(command + (" --quick" if quick else "")),
            "gpu": None if found.gpu is None else dataclasses.asdict(found.gpu),
            "skipped": [],
            "finished": False,
        }

    def skip(self, what: str, why: object) -> None:
        """Name something that was not measured, and why."""
        line = f"{what}: {str(why).strip().splitlines()[0] if str(why).strip() else type(why).__name__}"
        if line not in self.content["skipped"]:
            self.content["skipped"].append(line)
        print("skipped", line, flush=True)

    def write(self) -> None:
        with replacing(self.path) as part:
            part.write_text(json.dumps(self.content, indent=1, default=str) + "\n", encoding="utf-8")


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """The parts' results in a folder, by name."""
    found = {name: folder / f"{name}.json" for name in PARTS}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in found.items() if path.is_file()}


def summary(folder: Path) -> str:
    """A few lines on what a folder holds."""
    lines = []
    for name, content in load(folder).items():
        state = "whole" if content["finished"] else "NOT FINISHED"
        lines.append(f"{name}: {state}; {len(content['skipped'])} skipped. " + str(content.get("headline", "")))
        lines += [f"    skipped {line}" for line in content["skipped"]]
    return "\n".join(lines)


# --- recording --------------------------------------------------------------------------------------------------------


def _record(folder: Path) -> int:
    from helpers.bench import page, recorded

    found = load(folder)
    if not found:
        print(f"bench --all: {folder} holds no results. Expected what --out wrote there.", file=sys.stderr)
        return 1
    if any("--quick" in content["command"] for content in found.values()):
        print(f"bench --all: {folder} is from a --quick run, which is no result.", file=sys.stderr)
        return 1
    target = ROOT / "assets" / "results" / str(next(iter(found.values()))["machine"])
    target.mkdir(parents=True, exist_ok=True)
    if folder.resolve() != target.resolve():  # else the results are the committed ones, and only what they make is new
        for name, content in found.items():
            write(target / f"{name}.json", content)
        for path in folder.glob("timeline_*.json"):
            shutil.copyfile(path, target / path.name)
    for path in folder.glob("ort_gpu*.*"):  # what `helpers.ort` shows where there is no GPU
        shutil.copyfile(path, RECORDED / path.name)
    for path, content in recorded.files(found, RECORDED).items():
        write(path, content)
        print(f"Written: {path}")
    if "timeline" in found:
        recorded.picture(target, found["timeline"]).save(target / "timeline.png")
    for path in page.write():
        print(f"Written: {path}")
    return 0


def write(path: Path, content: Mapping[str, Any]) -> None:
    """As JSON, rows of figures on one line each."""
    with replacing(path) as part:
        part.write_text(_compact(json.dumps(content, indent=1, default=str)) + "\n", encoding="utf-8")


def _compact(text: str) -> str:
    """Innermost lists and objects on one line, where they fit into it."""
    import re

    def joined(match: re.Match[str]) -> str:
        line = re.sub(r"\s*\n\s*", " ", match.group(0)).replace("[ ", "[").replace(" ]", "]")
        return line.replace("{ ", "{").replace(" }", "}") if len(line) < 400 else match.group(0)

    return re.sub(r"[\[{][^\[\]{}\"]*(?:\"[^\"\n]*\"[^\[\]{}\"]*)*[\]}]", joined, text)
