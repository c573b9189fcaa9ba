"""The command `conformance`: runs the cases, prints a table, writes JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..environment import BackendUnavailable
from ..environment import inspect as inspect_machine
from .case import Result
from .runner import ANSWER, Apart, Nvidia, Simulator, select

WIDTHS = (36, 44, 44, 60)  # of the table's columns: case, expected, got, source


def main(arguments: list[str] | None = None) -> int:
    """Run the cases and report. 0 whether or not they agree, 1 where they could not be run, 2 for bad usage."""
    options = _parser().parse_args(arguments)
    if options.builder:
        if options.backend != "simulator":
            return _fail("--builder chooses between the simulator's builders; leave it out for NVIDIA's own TensorRT")
        os.environ["TRT_BUILDER"] = options.builder
    if options.json and not options.json.parent.is_dir():
        return _fail(f"the folder of {options.json} does not exist; make it, or give --json another file")
    cases = select(options.alone or options.only, options.half)
    if not cases:
        return _fail(f"no case is called {options.alone or options.only!r}; --list tells all names")
    if options.list:
        for case in cases:
            print(f"{case.name:40} {case.what}")
        return 0
    try:
        inner = Simulator(options.transport) if options.backend == "simulator" else Nvidia(options.backend)
    except BackendUnavailable as error:
        return _fail(str(error))
    if options.alone:
        result = inner.alone(cases[0])
        print("\n" + ANSWER + json.dumps({"returned": result.returned, "log": result.log}), flush=True)
        os._exit(0)  # a lost CUDA context must not spoil the end
    runner = inner if isinstance(inner, Simulator) and inner.served.simulated else Apart(inner)
    where = f"{runner.served.name}, API {runner.served.version}, plans built by {runner.served.builder}"
    print(f"{len(cases)} cases: {where}{', device in ' + runner.transport if runner.transport else ''}\n")
    print(_row(("case", "expected", "got", "source")))
    facts = _facts(runner)
    results: list[Result] = []
    try:
        for result in runner.run(cases):
            results.append(result)
            _show(result, (runner.name, runner.builder, runner.transport))
    finally:  # a report that was interrupted is worth having, too
        if options.json:
            options.json.write_text(json.dumps(facts | as_data(results), indent=1) + "\n", encoding="utf-8")
    skipped = sum(1 for result in results if result.missing)
    if skipped:
        print(f"\n{skipped} cases were not run: they need what this backend has not.")
    print("\n" + closing(results))
    return 0


def closing(results: Iterable[Result]) -> str:
    """The last line: how many agree and how many differ, of those that were run."""
    ran = [result for result in results if not result.missing]
    agree = sum(result.agrees for result in ran)
    return f"{agree} agree, {len(ran) - agree} differ"


def as_data(results: Iterable[Result]) -> dict[str, Any]:
    """All results as plain data."""
    rows = [
        {
            "case": result.case.name,
            "half": result.case.half,
            "what": result.case.what,
            "expected": {"returns": result.case.returns, "says": result.case.says},
            "got": None if result.missing else {"returns": result.returned, "log": _worth(result)},
            "agrees": None if result.missing else result.agrees,
            "missing": result.missing,
            "known": dict(result.case.differs),
            "source": result.case.source,
        }
        for result in results
    ]
    return {
        "agree": sum(row["agrees"] is True for row in rows),
        "differ": sum(row["agrees"] is False for row in rows),
        "cases": rows,
    }


def _worth(result: Result) -> list[str]:
    """The log, without the temporary folder's name, and without hundreds of VERBOSE lines where the case agrees."""
    case = result.case
    return [
        line.replace(tempfile.gettempdir(), "TEMP")
        for line in result.log
        if not result.agrees or not line.startswith("VERBOSE: ") or (case.says and case.says in line)
    ]


def _show(result: Result, places: tuple[str, ...]) -> None:
    case = result.case
    got = f"(not run: needs {result.missing})" if result.missing else result.returned
    print(_row((case.name, case.returns, got, case.source)))
    if result.agrees or result.missing:
        return
    print(f"    DIFFERS  expected: {case.returns}\n             got:      {result.returned}")
    if case.says:
        lines = "\n                       ".join(result.log) or "(nothing)"
        print(f"             log with: {case.says}\n             log:      {lines}")
    for place in places:
        if place in case.differs:
            print(f"             known:    {case.differs[place]}")


def _facts(runner: Simulator | Apart) -> dict[str, Any]:
    """What the answers depend on: the machine, its GPU and driver, the versions. No paths, no names of people."""
    machine = inspect_machine()
    return {
        "backend": runner.served.name,
        "api": runner.served.version,
        "builder": runner.served.builder,
        "engine": runner.served.engine,
        "transport": runner.transport,
        "python": machine.python,
        "platform": machine.platform,
        "gpu": machine.gpu and dataclasses.asdict(machine.gpu),
        "gpu_problem": machine.gpu_problem,
        "driver_cuda": machine.driver_cuda,
        "packages": {name: version for name, version in machine.packages.items() if version},
    }


def _row(cells: tuple[str, ...]) -> str:
    short = [
        text if len(text) <= width else text[: width - 3] + "..."
        for text, width in zip((" ".join(cell.split()) for cell in cells), WIDTHS, strict=True)
    ]
    return " | ".join(f"{text:{width}}" for text, width in zip(short, WIDTHS, strict=True)).rstrip()


def _fail(message: str) -> int:
    print("error: " + message, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m helpers conformance",
        description="Run cases with TensorRT's documented answers against a backend, and say where it differs.",
    )
    parser.add_argument("--backend", choices=("simulator", "tensorrt", "tensorrt_rtx"), default="simulator")
    parser.add_argument(
        "--builder", choices=("nvidia", "python"), help="the simulator's builder (default: as TRT_BUILDER)"
    )
    parser.add_argument(
        "--transport", choices=("process", "child", "cuda"), default="process", help="where the device is"
    )
    parser.add_argument("--half", choices=("build", "run"), default="", help="builder and parser, or runtime and CUDA")
    parser.add_argument("--only", metavar="GLOB", default="*", help="cases whose name matches, as 'capture-*'")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write everything, logs too, to a file")
    parser.add_argument("--list", action="store_true", help="only list the cases")
    parser.add_argument("--alone", metavar="CASE", help=argparse.SUPPRESS)
    return parser
