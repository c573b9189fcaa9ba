"""A case: one thing done with TensorRT or CUDA, the answer that is expected, and where the expectation comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: unique among all cases.
        half: "build" or "run".
        what: what is done, as one sentence.
        returns: the expected result as text.
        says: a phrase that the log must hold; "" for none.
        source: where the expectation comes from.
        needs: without any of these it is not run: "simulator", "cuda.bindings", "nvidia-builder", "python-builder",
            "rtx" (targets can be chosen, as in TensorRT-RTX).
        run: does it. What it raises counts as its result, as "TypeOfError: message".
        differs: backend ("simulator", "tensorrt" ...), builder ("nvidia", "python") or transport ("child", "cuda") ->
            why the answer is known to be another one there.
    """

    name: str
    half: str
    what: str
    returns: str
    says: str
    source: str
    needs: frozenset[str]
    run: Callable[[Ground], Any]
    differs: Mapping[str, str] = field(default_factory=dict)


class Ground:
    """What a case stands on: TensorRT and pycuda as the backend serves them, a log of its own, a fresh device.

    Attributes:
        trt: the module `tensorrt`.
        cuda: the module `pycuda.driver`, with a current context.
        backend: "simulator", "tensorrt" or "tensorrt_rtx".
        logger: a `tensorrt.ILogger` that writes to `log`.
        log: (severity's name, text) of every line.
    """

    def __init__(self, trt: Any, cuda: Any, backend: str, renew: Callable[..., None]) -> None:
        self.trt, self.cuda, self.backend, self._renew = trt, cuda, backend, renew
        self.log: list[tuple[str, str]] = []
        self.logger = _logger(trt, self.log)

    def device(self, **settings: int) -> None:
        """Go on with a new simulated device: `memory` in bytes, `compute_capability` as 86. Simulator only."""
        self._renew(**settings)


def _logger(trt: Any, log: list[tuple[str, str]]) -> Any:
    class Logger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            log.append((severity.name, message))

    return Logger()


@dataclass(frozen=True)
class Result:
    """What a case gave.

    Attributes:
        returned: its result as text.
        log: all lines of its log, "SEVERITY: text".
        missing: what the case needs and this machine has not; then it was not run.
    """

    case: Case
    returned: str = ""
    log: tuple[str, ...] = ()
    missing: str = ""

    @property
    def agrees(self) -> bool:
        return not self.missing and self.returned == self.case.returns and self.case.says in "\n".join(self.log)


def listed(cases: Iterable[Case], differs: Mapping[str, Mapping[str, str]]) -> tuple[Case, ...]:
    """The cases, each with what is known to be otherwise: by name, then by backend, builder or transport."""
    return tuple(replace(case, differs=differs.get(case.name, {})) for case in cases)


def perform(case: Case, ground: Ground) -> Result:
    """Run a case on its ground."""
    try:
        returned = str(case.run(ground))
    except Exception as error:
        returned = f"{type(error).__name__}: {error}"
    return Result(case, returned, tuple(f"{severity}: {line}" for severity, line in ground.log))
