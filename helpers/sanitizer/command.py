"""`python -m helpers sanitize [--json FILE] script.py [arguments]`."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..simulator import host
from . import findings, session


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a script under the sanitizer; the report goes to stderr.

    Returns:
        0: nothing was found. 1: errors were found. Else the script's own exit code. 2: it could not be started.
    """
    parser = argparse.ArgumentParser(
        prog="python -m helpers sanitize",
        description="Run a TensorRT script (with pycuda or cuda.bindings) on the simulated device, unmodified, and"
        " report its mistakes: wrong and freed addresses, races, missing synchronisation, leaks and more"
        " (docs/sanitizer.md).",
        epilog="Exit code: 0 nothing found, 1 errors found, else the script's own; 2 where it could not be started.",
    )
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON too (- for standard output)")
    parser.add_argument(
        "--memory", metavar="SIZE", help="of the device, as 8GiB (default: TRT_DEVICE_MEMORY, or 15GiB)"
    )
    parser.add_argument("--overhead", action="store_true", help="measure what the sanitizer costs, run no script")
    parser.add_argument("script", nargs="?", type=Path, help="a Python script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    options = parser.parse_args(arguments)
    if options.overhead:
        from . import overhead

        measured = overhead.measure()
        for name, figures in measured.items():
            print(overhead.line(name, figures))
        if options.json:
            _write(options.json, json.dumps(measured, indent=2))
        return 0
    if options.script is None:
        parser.error("expected a script; as in: python -m helpers sanitize infer.py --batch 4")
    settings = {}
    try:
        if options.json and options.json != "-":
            Path(options.json).open("a").close()  # before the script runs, which may take long
        if options.memory:
            settings["memory"] = host.memory_size(options.memory)
        result = session.run_script(options.script, options.arguments, **settings)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    if result.details:
        print(result.details, file=sys.stderr, end="")
    print(findings.text(result.findings, result.failure), file=sys.stderr)
    if options.json:
        try:
            _write(options.json, json.dumps(findings.as_json(result.findings, result.failure), indent=2))
        except OSError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    return 1 if any(each.level == findings.ERROR for each in result.findings) else result.code


def _write(file: str, text: str) -> None:
    if file == "-":
        print(text)
    else:
        Path(file).write_text(text + "\n", encoding="utf-8")
