"""Run a program under the sanitizer: a script, or any code within `with Session():`."""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import backend
from ..simulator import host
from ..simulator.frontends import contexts, imports
from ..simulator.frontends.cuda_bindings import entry
from .device import CheckingDevice
from .findings import Finding
from .hooks import Hooks


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

    def finish(self, failed: bool = False) -> list[Finding]:
        """End the watch; the findings."""
        if self.device.active:
            self.device.finish(failed)
            self._hooks.uninstall()
        return list(self.device.findings)


def run_script(script: Path, arguments: Sequence[str] = (), **settings: int) -> Result:
    """Run a Python script as `python script arguments` would, in this process.

    Raises:
        OSError: the script cannot be read.
    """
    script = Path(script)
    if script.is_dir():
        raise IsADirectoryError(f"{script} is a folder; expected a Python script")
    script.read_bytes()[:1]  # raises what is wrong about it
    with Session(**settings) as session, _as_main(script, arguments):
        result = Result([])
        try:
            namespace = runpy.run_path(str(script), run_name="__main__")
            _join_threads()
        except SystemExit as error:
            _join_threads()
            result.code, result.failure = _exit_code(error)
            namespace = error.__traceback__  # type: ignore[assignment]  # keeps what the program had
        except BaseException as error:
            result.code = 1
            result.failure = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
            result.details = _traceback(error)
            namespace = error.__traceback__  # type: ignore[assignment]
        result.findings = session.finish(failed=result.code != 0)
        del namespace
    return result


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
    own = (str(Path(__file__).parent), "<frozen runpy>")
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(own):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def _join_threads() -> None:
    """As the interpreter does at its end: wait for all threads but daemons."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon and thread is not threading.main_thread():
            thread.join()


@contextlib.contextmanager
def _as_main(script: Path, arguments: Sequence[str]) -> Iterator[None]:
    """sys.argv and sys.path as the script expects them."""
    before = sys.argv, sys.path[:]
    sys.argv = [str(script), *arguments]
    sys.path[:1] = [str(script.resolve().parent)] if os.fspath(script) else sys.path[:1]
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before
