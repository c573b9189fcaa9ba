"""`python -m tests.fuzz [KIND ...] [--cases FIRST:LAST] [--workers N] [--save]`: the full counts, or some of them."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time

from helpers.environment import circumstances, inspect, results_folder
from helpers.files import replacing
from helpers.simulator.native import BUILDER

from . import campaign, messages, onnx_files, plans
from .campaign import Campaign, Report

CAMPAIGNS = {
    c.name: c
    for c in (plans.PLANS, messages.MESSAGES, onnx_files.NVIDIA, onnx_files.GUARDED, onnx_files.PORTABLE)
    if BUILDER == "nvidia" or c.environment.get("TRT_BUILDER") != "nvidia"
}
_PIECE = 250  # cases that a process gets at once


def run(kind: Campaign, first: int, last: int, workers: int) -> Report:
    """The cases [first, last) in `workers` processes side by side, with a line of progress on a terminal."""
    whole, lock, began = Report(fatal=kind.fatal), threading.Lock(), time.monotonic()
    pieces = [(at, min(at + _PIECE, last)) for at in range(first, last, _PIECE)]
    pieces.reverse()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not errors:
                with lock:
                    if not pieces:
                        return
                    piece = pieces.pop()
                part = campaign.run(kind, *piece)
                with lock:
                    whole.join(part)
                    if sys.stderr.isatty():
                        print(f"\r{kind.name}: {whole.counts.total():,} of {last - first:,}", end="", file=sys.stderr)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if errors:
        raise errors[0]
    whole.seconds = time.monotonic() - began
    return whole


def _show(kind: Campaign, report: Report) -> None:
    note = "" if kind.fatal else ", reported only"
    print(
        f"{kind.name}: {report.counts.total():,} cases in {report.seconds:.0f} s, {report.faults} faults{note};"
        f" at most {report.peak >> 20} MiB more, {report.slowest[0]:.1f} s a case",
        flush=True,
    )
    for outcome, count in report.counts.most_common():
        numbers = f"  (cases {', '.join(map(str, report.bad[outcome][:5]))})" if outcome in report.bad else ""
        print(f"  {count:6,}  {outcome[:140]}{numbers}", flush=True)


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--cases-of"]:  # one of our own processes
        name, first, last, descriptor = arguments[1:]
        campaign.serve_cases(CAMPAIGNS[name], int(first), int(last), int(descriptor))
        return 0
    parser = argparse.ArgumentParser(prog="python -m helpers fuzz", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"some of {', '.join(CAMPAIGNS)} (default: all)")
    parser.add_argument("--cases", metavar="FIRST:LAST", help="other cases than the full count of each kind")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes side by side")
    parser.add_argument("--save", action="store_true", help="write assets/results/<machine>/fuzz.json")
    options = parser.parse_args(arguments)
    if unknown := set(options.kinds) - set(CAMPAIGNS):
        parser.error(f"no kind {', '.join(unknown)}; expected some of {', '.join(CAMPAIGNS)}")
    first, last = map(int, options.cases.split(":")) if options.cases else (0, 0)
    began, found = time.monotonic(), {}
    for name in options.kinds or CAMPAIGNS:
        kind = CAMPAIGNS[name]
        found[name] = run(kind, first, last or kind.cases, options.workers)
        _show(kind, found[name])
    faults = sum(report.faults for report in found.values())
    print(f"{faults} faults in {sum(r.counts.total() for r in found.values()):,} cases")
    if options.save:
        path = results_folder(inspect()) / "fuzz.json"
        whole = circumstances("python -m helpers fuzz --save") | {
            "seed": campaign.SEED,
            "workers": options.workers,
            "seconds": round(time.monotonic() - began, 1),
            "faults": faults,
            "kinds": {name: report.plain() for name, report in found.items()},
        }
        with replacing(path) as part:
            part.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
