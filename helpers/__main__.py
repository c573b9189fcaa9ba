"""The course's commands: `python -m helpers <command>`. The Makefile only calls these.

Every command imports what it needs when it is called: `setup` and `doctor` run on the standard library alone, and
this file runs under Pythons older than the course's, so that they get a sentence and not a syntax error.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from helpers import NEWEST_PYTHON, OLDEST_PYTHON

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 is success, 1 a failure that was explained, 2 bad usage."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and not options.passes_on:
        parser.error("unknown arguments for {}: {}".format(options.command, " ".join(rest)))
    options.rest = rest
    outside = not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON
    if outside and options.command not in ("setup", "doctor"):  # these two say it themselves, with more to it
        from helpers.setup import python_range_message

        return _fail(python_range_message())
    try:
        return options.run(options) or 0
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "helpers":
            raise
        return _fail(missing_message(error.name))
    except BrokenPipeError:  # the reader went away, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def missing_message(module: str) -> str:
    """Say that ``module`` is missing from the running Python, and what to do."""
    name = ".venv\\Scripts\\python" if os.name == "nt" else ".venv/bin/python"
    return (
        "the package '{}' is not installed in {}.\n"
        "Set up first: make setup (without make: python -m helpers setup, then use {} -m helpers ...)"
    ).format(module, sys.executable, name)


def _fail(message: str) -> int:
    print("error: " + message, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers", description="The commands of this course.")
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.required = True

    def command(name: str, run: Callable, text: str, passes_on: bool = False) -> argparse.ArgumentParser:
        # A command that passes its arguments on has its own --help.
        added = commands.add_parser(name, help=text, description=text, add_help=not passes_on)
        added.set_defaults(run=run, passes_on=passes_on)
        return added

    setup = command("setup", _setup, "make .venv and install what this machine needs")
    setup.add_argument(
        "--extras",
        default=os.environ.get("EXTRAS") or None,
        help="what to install besides the base, as in cpu,rtx,grade,dev (default: EXTRAS, else by the machine)",
    )
    setup.add_argument(
        "--torch-index",
        default=os.environ.get("TORCH_INDEX") or None,
        metavar="URL",
        help="the index that torch is taken from (default: TORCH_INDEX, else pip's own)",
    )
    setup.add_argument(
        "--here",
        action="store_true",
        help="install into the running Python (conda, Colab) and keep the torch it has",
    )
    doctor = command("doctor", _doctor, "say what this machine has, what fits, and what to do about the rest")
    doctor.add_argument("--json", action="store_true", help="the same as one JSON object")
    walkthrough = command("walkthrough", _walkthrough, "run the solved notebooks, write build/walkthrough/*.html")
    walkthrough.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="as ex1_distilbert (default: all)")
    command("lab", _lab, "open the notebooks in JupyterLab; more arguments go to it", passes_on=True)
    command("test", _test, "run the tests; more arguments go to pytest", passes_on=True)
    command("lint", _lint, "ruff and mypy")
    command("bench", _bench, "measure every engine of this machine side by side", passes_on=True)
    command("overhead", _overhead, "measure what the simulator costs", passes_on=True)
    command("conformance", _conformance, "hold a TensorRT against its documented answers", passes_on=True)
    command("sanitize", _sanitize, "find mistakes in a TensorRT script on the simulated device", passes_on=True)
    command("fuzz", _fuzz, "mutated plans, ONNX files and messages, and what becomes of them", passes_on=True)
    extract = command("extract-plan", _extract_plan, "write NVIDIA's own bytes out of a simulator's plan")
    extract.add_argument("plan", help="a plan file")
    extract.add_argument("out", help="the file to write")
    command("grade", _grade, "release assignments, grade a class (python -m helpers grade --help)", passes_on=True)
    command("troubleshoot", _troubleshoot, "what an error message or a symptom means, and what to do", passes_on=True)
    clean = command("clean", _clean, "delete what the commands made")
    clean.add_argument("--all", action="store_true", help=".venv too")
    return parser


def _setup(options: argparse.Namespace) -> int:
    from helpers import setup

    return setup.main(extras=options.extras, torch_index=options.torch_index, here=options.here)


def _doctor(options: argparse.Namespace) -> int:
    from helpers import environment

    return environment.main(as_json=options.json)


def _share_cores() -> None:
    """Let PyTorch's idle threads sleep in the kernels that we start: spinning, they take the cores from ONNX Runtime.

    OpenMP reads the variable once, when torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _walkthrough(options: argparse.Namespace) -> int:
    from helpers import walkthrough

    _share_cores()
    return walkthrough.main(options.assignments)


def _lab(options: argparse.Namespace) -> int:
    folder = ROOT / "notebooks"
    if not folder.is_dir():
        from helpers import walkthrough

        folder = ROOT / "solutions"
        for form in walkthrough.write_notebooks(folder):
            print("wrote {}".format(form.relative_to(ROOT)))
        print("the notebooks here are the solved ones: a release for students does not exist yet")
    from helpers.grading.check import overview

    print(overview(folder))
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in options.rest:
        print("JupyterLab does not start as root. If you mean it: make lab ARGS=--allow-root")
    _share_cores()
    first = next(iter(sorted(folder.glob("*/ex*.ipynb"))), None)
    start = ["--LabApp.default_url=/lab/tree/{}".format(first.relative_to(folder).as_posix())] if first else []
    return _module("jupyterlab", [str(folder), *start, *options.rest])


def _test(options: argparse.Namespace) -> int:
    if options.rest:
        return _module("pytest", options.rest)
    # All of them: spread over the cores, one thread each, and with the coverage of the whole.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return _module("pytest", ["-n", "auto", "--maxprocesses=8", "--cov", "--cov-report=term"])


def _lint(options: argparse.Namespace) -> int:
    return max(_module("ruff", ["check", "."]), _module("mypy", []))  # both, whatever the first says


def _module(name: str, arguments: list[str]) -> int:
    for needed in (name, "pytest_cov", "xdist") if name == "pytest" else (name,):
        if importlib.util.find_spec(needed) is None:
            raise ModuleNotFoundError(name=needed)
    return subprocess.call([sys.executable, "-m", name, *arguments], cwd=str(ROOT))


def _bench(options: argparse.Namespace) -> int:
    from helpers import bench

    return bench.main(options.rest)


def _overhead(options: argparse.Namespace) -> int:
    from helpers import overhead

    overhead.main(options.rest)
    return 0


def _conformance(options: argparse.Namespace) -> int:
    try:
        from helpers.conformance import report
    except ValueError as error:  # a TRT_ variable says what it cannot
        return _unusable(error)
    return report.main(options.rest)


def _sanitize(options: argparse.Namespace) -> int:
    try:
        from helpers.sanitizer import command
    except ValueError as error:  # a TRT_ variable says what it cannot
        return _unusable(error)
    return command.main(options.rest)


def _unusable(error: ValueError) -> int:
    print("error: {}".format(error), file=sys.stderr)
    return 2


def _fuzz(options: argparse.Namespace) -> int:
    return subprocess.call([sys.executable, "-m", "tests.fuzz", *options.rest], cwd=str(ROOT))


def _extract_plan(options: argparse.Namespace) -> int:
    from helpers.simulator import plan

    try:
        plan.extract(Path(options.plan), Path(options.out))
    except (OSError, ValueError) as error:
        return _fail(str(error))
    print("{}: {:,} bytes".format(options.out, Path(options.out).stat().st_size))
    return 0


def _grade(options: argparse.Namespace) -> int:
    from helpers.grading import commands

    _share_cores()
    return commands.main(options.rest)


def _troubleshoot(options: argparse.Namespace) -> int:
    from helpers import troubleshooting

    return troubleshooting.main(options.rest)


def _clean(options: argparse.Namespace) -> int:
    made = [ROOT / "build", *ROOT.glob(".*_cache"), ROOT / ".hypothesis", *ROOT.glob(".coverage*")]
    for part in ("helpers", "tests", "solutions", "notebooks"):
        for pattern in ("__pycache__", ".ipynb_checkpoints"):
            made += (ROOT / part).rglob(pattern)
    for part in ("solutions", "notebooks"):
        made += [*(ROOT / part).rglob("*.plan"), *(ROOT / part).glob("*/build")]
    # not the notebooks' .ipynb form: somebody may have worked in it
    if options.all:
        made += [ROOT / ".venv", *ROOT.glob("*.egg-info")]
    for path in made:
        if path.exists():
            print("deleted {}".format(path.relative_to(ROOT)))
        if path.is_dir():
            shutil.rmtree(str(path), ignore_errors=True)
        elif path.exists():
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
