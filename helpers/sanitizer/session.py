"""Run a program under the sanitizer: a script, or any code within `with Session():`."""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import backend
from ..simulator import host
from ..simulator.frontends import contexts, imports
from ..simulator.frontends.cuda_bindings import entry
from . import threads
from .device import CheckingDevice
from .findings import Finding
from .hooks import Hooks
from .places import from_program


@dataclass
class Result:
    """What came of a run.

    Attributes:
        findings: all that was found, in the order in which it was found.
        failure: how the program itself failed, in one line; "" where it did not.
        details: the traceback of that failure.
        code: the program's own exit code.
    """

    findings: list[Finding]
    failure: str = ""
    details: str = ""
    code: int = 0


class Session:
    """Within `with Session() as session:` the simulated device is a fresh one that is watched.

    Args:
        settings: of the device, as for `helpers.simulator.host.use`.
    """

    def __init__(self, **settings: int) -> None:
        backend.activate("simulator", quiet=True)
        self.device = CheckingDevice(**(host._from_environment() | settings))
        self._hooks = Hooks(self.device)

    def __enter__(self) -> Session:
        host.adopt(self.device)
        contexts.forget_all()
        entry.forget_error()
        imports.forget_contexts()
        self._hooks.install()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.finish(kind is not None)

    def finish(self, failed: bool = False, release: Callable[[], None] | None = None) -> list[Finding]:
        """End the watch; the findings. See `CheckingDevice.finish`."""
        if self.device.active:
            self.device.finish(failed, release)
            self._hooks.uninstall()
        return list(self.device.findings)


def run_script(script: Path, arguments: Sequence[str] = (), **settings: int) -> Result:
    """Run a Python script as `python script arguments` would, in this process, to the end of its last object.

    Raises:
        OSError: the script cannot be read.
    """
    script = Path(script)
    if script.is_dir():
        raise IsADirectoryError(f"{script} is a folder; expected a Python script")
    source = script.read_bytes()
    with Session(**settings) as session, _as_main(script, arguments) as at_exit:
        result = Result([])
        try:
            exec(compile(source, str(script), "exec"), vars(sys.modules["__main__"]))
            threads.join_all()
            _run_all(at_exit)
        except SystemExit as error:
            result.code, result.failure = _exit_code(error)
            if not result.code:
                threads.join_all()
                _run_all(at_exit)
        except BaseException as error:
            result.code = 1
            result.failure = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
            result.details = _traceback(error)

        def release() -> None:
            """As at the interpreter's end: what the script's variables held goes, and is told so (`__del__`)."""
            del sys.modules["__main__"]
            if session.device.owes():
                gc.collect()

        result.findings = session.finish(result.code != 0, None if result.code else release)
    return result


def _run_all(at_exit: list[Callable[[], Any]]) -> None:
    """What the script gave to atexit, the latest first."""
    while at_exit:
        try:
            at_exit.pop()()
        except Exception:  # the interpreter, too, says so and goes on
            traceback.print_exc()


def _exit_code(error: SystemExit) -> tuple[int, str]:
    """A script's exit code, and the words where it says failure."""
    if error.code is None or error.code == 0:
        return 0, ""
    if isinstance(error.code, int):
        return error.code, f"exit code {error.code}"
    print(error.code, file=sys.stderr)  # as the interpreter does
    return 1, f"exit code 1: {error.code}"


def _traceback(error: BaseException) -> str:
    """As the interpreter prints it, without the frames that ran the script."""
    own = str(Path(__file__).parent)
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(own):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


@contextlib.contextmanager
def _as_main(script: Path, arguments: Sequence[str]) -> Iterator[list[Callable[[], Any]]]:
    """sys.argv, sys.path, __main__ and atexit as the script expects them; gives what it registers with atexit."""
    before = sys.argv, sys.path[:], sys.modules["__main__"], atexit.register, atexit.unregister
    handlers: list[Callable[[], Any]] = []

    def register(function: Any, *arguments: Any, **keywords: Any) -> Any:
        if not from_program():
            return before[3](function, *arguments, **keywords)
        handlers.append(functools.partial(function, *arguments, **keywords))
        return function

    def unregister(function: Any) -> None:
        handlers[:] = [each for each in handlers if each.func != function]  # type: ignore[attr-defined]
        before[4](function)

    sys.argv = [str(script), *arguments]
    sys.path[:1] = [str(script.resolve().parent)]
    rtx = sys.modules.get("tensorrt_rtx")
    sys.modules["tensorrt_rtx"] = sys.modules["tensorrt"]  # a script for TensorRT-RTX runs on the simulator too
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.modules["__main__"].__file__ = str(script)
    atexit.register, atexit.unregister = register, unregister  # type: ignore[assignment]
    try:
        yield handlers
    finally:
        sys.argv, sys.path[:], sys.modules["__main__"], atexit.register, atexit.unregister = before
        if rtx is None:
            del sys.modules["tensorrt_rtx"]
        else:
            sys.modules["tensorrt_rtx"] = rtx
