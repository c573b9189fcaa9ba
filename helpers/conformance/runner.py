"""Runs the cases against a backend: the simulator in this process, a real GPU with a process for each case.

On a GPU a case may lose the CUDA context, crash or hang; the next one must not notice. On the simulator a fresh device
for each case does the same.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from .case import Case, Ground, Result, perform

CASE_SECONDS = 300  # on a real GPU the first case of a process loads CUDA's kernels
ANSWER = "conformance answer: "  # begins the line that a case's process ends with


def all_cases() -> tuple[Case, ...]:
    """The cases of both halves, build cases first."""
    from . import build_cases, build_more, build_third
    from .run_cases import RUN_CASES

    return (*build_cases.CASES, *build_more.CASES, *build_third.CASES, *RUN_CASES)


def select(pattern: str, half: str = "") -> tuple[Case, ...]:
    """The cases whose name matches a pattern as of file names ("*" for all), of one half or both ("")."""
    return tuple(case for case in all_cases() if fnmatch(case.name, pattern) and half in ("", case.half))


class Simulator:
    """Runs cases on the simulator, in this process.

    Args:
        transport: where the device is: "process" or "child" (simulated), or "cuda" (a GPU without TensorRT).
    """

    name = "simulator"

    def __init__(self, transport: str = "process") -> None:
        from .. import backend
        from ..simulator import native

        self.transport = transport
        self.served = backend.activate("simulator", quiet=True, transport=transport)
        self.builder = native.BUILDER
        self._trt, self._cuda = _modules()
        self._context: Any = None
        self._own: Any = None  # the device that this class made, as long as no case has asked for another

    def run(self, cases: Iterable[Case]) -> Iterator[Result]:
        """Each case's result, on a device that knows nothing of the case before."""
        for case in cases:
            missing = _missing(case, self.served.simulated, self.builder)
            if missing:
                yield Result(case, missing=missing)
                continue
            yield self.alone(case)
            gc.collect(1)  # what the case held goes with its device; older objects are not its own

    def alone(self, case: Case) -> Result:
        """Run one case on a new device."""
        self._fresh()
        return perform(case, Ground(self._trt, self._cuda, self.name, self._renew))

    def _renew(self, **settings: int) -> None:
        from ..simulator import host

        self._own = None
        host.use(self.transport, **settings)

    def _fresh(self) -> None:
        from ..simulator import host
        from ..simulator.frontends import contexts

        device = host.current().device
        if self.transport == "child" and device is self._own:  # a process for each case would take most of the time
            device.reset()
        else:
            self._own = host.use(self.transport).device
        if self.transport != "cuda":  # what was pushed before in this thread is not the case's
            contexts.forget_all()
            self._cuda.init()
            self._context = self._cuda.Device(0).retain_primary_context()
            self._context.push()


class Nvidia:
    """Runs cases on NVIDIA's own TensorRT, in this process: one of them, see `Apart`.

    Args:
        name: "tensorrt" or "tensorrt_rtx".
    """

    transport = ""
    builder = "nvidia"

    def __init__(self, name: str) -> None:
        from .. import backend

        self.name = name
        self.served = backend.activate(name, quiet=True)

    def alone(self, case: Case) -> Result:
        """Run one case."""

        def renew(**_: int) -> None:
            raise RuntimeError("only a simulated device can be made anew")

        return perform(case, Ground(*_modules(), self.name, renew))


class Apart:
    """Runs each case in a process of its own, on a real GPU.

    Args:
        inner: what the process of a case uses.
    """

    def __init__(self, inner: Nvidia | Simulator) -> None:
        self.name, self.transport, self.builder, self.served = inner.name, inner.transport, inner.builder, inner.served

    def run(self, cases: Iterable[Case]) -> Iterator[Result]:
        """Each case's result; also of one that crashes or hangs."""
        for case in cases:
            missing = _missing(case, self.served.simulated, self.builder)
            yield Result(case, missing=missing) if missing else self._in_a_process(case)

    def _in_a_process(self, case: Case) -> Result:
        command = [sys.executable, "-m", "helpers", "conformance", "--backend", self.name, "--alone", case.name]
        command += ["--transport", self.transport] if self.transport else []
        root = Path(__file__).resolve().parents[2]
        try:
            done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=CASE_SECONDS)
        except subprocess.TimeoutExpired:
            return Result(case, f"no answer in {CASE_SECONDS} s")
        answers = [line for line in done.stdout.splitlines() if line.startswith(ANSWER)]
        if not answers:
            lines = tuple(done.stderr.splitlines()[-20:])
            return Result(case, f"the process ended with exit code {done.returncode} and no answer", lines)
        answer = json.loads(answers[-1].removeprefix(ANSWER))
        return Result(case, answer["returned"], tuple(answer["log"]))


def _modules() -> tuple[Any, Any]:
    importlib.import_module("pycuda.autoprimaryctx")
    return importlib.import_module("tensorrt"), importlib.import_module("pycuda.driver")


def _missing(case: Case, simulated: bool, builder: str) -> str:
    has: dict[str, Callable[[], bool]] = {
        "simulator": lambda: simulated,
        "cuda.bindings": lambda: simulated or importlib.util.find_spec("cuda.bindings") is not None,
        "nvidia-builder": lambda: builder == "nvidia",
        "python-builder": lambda: builder == "python",
        "rtx": lambda: hasattr(importlib.import_module("tensorrt"), "ComputeCapability"),
    }
    return ", ".join(sorted(need for need in case.needs if need not in has or not has[need]()))
