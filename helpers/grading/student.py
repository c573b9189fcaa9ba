"""The student's process of a graded run: an IPython shell that runs cells and does with its objects what it is asked.

`python -m helpers.grading.student FD` serves the judge on one inherited socket. It is the student's territory: cells
may patch anything here, so the judge believes nothing that comes out of it. Requests are [operation, arguments...],
replies ["ok", result, ...] or ["raised", class, its bases, text, line], all of them data (`messages.py`). The judge
calls, this process answers; there is no way back.
"""

from __future__ import annotations

import base64
import importlib
import importlib.abc
import io
import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from ..messages import Handle, Limits, send
from ..messages import receive as receive_message
from .subject import Here, Raised, _raised

# What one cell may show; the judge has a limit of its own.
OUTPUT_LIMIT = 8 << 20
OUTPUT_TYPES = ("text/plain", "text/html", "text/markdown", "text/latex", "image/png", "image/jpeg", "image/svg+xml")


class Outputs:
    """The outputs of the running cell, as plain nbformat dictionaries."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self._left = OUTPUT_LIMIT
        self._shown: dict[str, dict[str, Any]] = {}
        self._clear = False

    def begin(self) -> None:
        self.items, self._left, self._clear = [], OUTPUT_LIMIT, False

    def _fits(self, nbytes: int) -> bool:
        if self._clear:
            self.items, self._clear = [], False
        self._left -= nbytes
        if self._left < 0 <= self._left + nbytes:  # said once
            text = f"\n[the rest of this output is left out: more than {OUTPUT_LIMIT >> 20} MiB]\n"
            self.items.append({"output_type": "stream", "name": "stderr", "text": text})
        return self._left >= 0

    def stream(self, name: str, text: str) -> None:
        text = _text(text)
        if not text or not self._fits(len(text)):
            return
        last = self.items[-1] if self.items else {}
        if last.get("output_type") == "stream" and last["name"] == name:
            last["text"] += text
        else:
            self.items.append({"output_type": "stream", "name": name, "text": text})

    def rich(self, kind: str, data: dict[str, Any], metadata: dict[str, Any], display_id: str = "") -> None:
        shown = {t: _text(data[t]) for t in OUTPUT_TYPES if t in data}
        notes = json.loads(json.dumps({t: metadata[t] for t in shown if t in metadata}, default=str))
        if not self._fits(sum(map(len, shown.values()))):
            return
        item = {"output_type": kind, "data": shown, "metadata": notes}
        if kind == "execute_result":
            item["execution_count"] = None
        if display_id and display_id in self._shown:
            self._shown[display_id].update(item)
            return
        if display_id:
            self._shown[display_id] = item
        self.items.append(item)

    def error(self, kind: str, text: str, lines: list[str]) -> None:
        if self._fits(len(text) + sum(map(len, lines))):
            lines = [_text(line) for line in lines]
            self.items.append({"output_type": "error", "ename": _text(kind), "evalue": _text(text), "traceback": lines})

    def clear(self, wait: bool) -> None:
        self._clear = wait
        if not wait:
            self.items = []


def _text(value: Any) -> str:
    """Text that can be sent: half a character (a lone surrogate) becomes a question mark."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value).encode("utf-8", "replace").decode()


class _Stream(io.TextIOBase):
    """sys.stdout or sys.stderr of the notebook."""

    encoding = "utf-8"

    def __init__(self, outputs: Outputs, name: str) -> None:
        self._outputs, self.name = outputs, name

    def write(self, text: str) -> int:
        self._outputs.stream(self.name, str(text))
        return len(text)

    def writable(self) -> bool:
        return True


def _shell(outputs: Outputs) -> Any:
    """An IPython shell whose displays, results and errors go to `outputs`."""
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets import Type
    from traitlets.config import Config

    class Publisher(DisplayPublisher):
        def publish(self, data: Any, metadata: Any = None, source: Any = None, **named: Any) -> None:
            ident = (named.get("transient") or {}).get("display_id", "")
            outputs.rich("display_data", data, metadata or {}, ident)

        def clear_output(self, wait: bool = False) -> None:
            outputs.clear(wait)

    class Hook(DisplayHook):
        def write_output_prompt(self) -> None:
            return None

        def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
            outputs.rich("execute_result", format_dict, md_dict or {})

    class Shell(InteractiveShell):
        display_pub_class = Type(Publisher)
        displayhook_class = Type(Hook)

        def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
            outputs.error(str(getattr(etype, "__name__", etype)), str(evalue), [str(line) for line in stb])

        def ask_exit(self) -> None:  # `exit` and `quit` end a cell, not the notebook
            return None

    shell = Shell.instance(config=Config({"HistoryManager": {"enabled": False, "hist_file": ":memory:"}}))
    shell.colors = "nocolor"
    return shell


class _Absent(importlib.abc.MetaPathFinder):
    """Says why a module of the course is not there, after everybody else has looked."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name in self._names:
            raise ModuleNotFoundError(
                f"{name} holds answers of this assignment and is absent in a graded run. Write the function yourself;"
                " on your own machine the module is there to compare with.",
                name=name,
            )


class Student:
    """Serves one notebook: its namespace, and integers that stand for the objects of the running check."""

    def __init__(self) -> None:
        self.outputs = Outputs()
        self.shell = _shell(self.outputs)
        self._objects: list[Any] = []
        self._here = Here(None, self._box, self._unbox)

    def _box(self, value: Any) -> Handle:
        self._objects.append(value)
        return Handle(len(self._objects) - 1)

    def _unbox(self, value: Any) -> Any:
        return self._objects[value.ident] if isinstance(value, Handle) else value

    # --- operations ---

    def cell(self, source: str) -> list[Any]:
        """Run one cell: [outputs, whether it ended without an error]."""
        return self._captured(lambda: bool(self.shell.run_cell(source, store_history=True).success))

    def stand_in(self, ident: str) -> list[Any]:
        """Bind the course's stand-in for an open TODO: [outputs, whether it could be]."""
        from . import stand_ins

        importlib.invalidate_caches()
        return self._captured(lambda: stand_ins.install(ident, self.shell.user_ns))

    def _captured(self, run: Callable[[], Any]) -> list[Any]:
        self.outputs.begin()
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = _Stream(self.outputs, "stdout"), _Stream(self.outputs, "stderr")
        try:
            good = run()
        finally:
            sys.stdout, sys.stderr = before
        return [self.outputs.items, good is not False]

    def answer(self, name: str) -> Any:
        namespace = self.shell.user_ns
        if name not in namespace:
            raise Raised("NameError", ("NameError", "Exception"), f"name {name!r} is not defined: its cell failed")
        self._here.ask_about(namespace[name])
        return self._here.answer()

    def forget(self) -> None:
        self._here.close()
        self._objects = []

    def handle(self, message: list[Any]) -> list[Any]:
        """The reply to one request."""
        operation, *arguments = message
        if operation in ("cell", "stand_in"):
            return ["ok", *getattr(self, operation)(*arguments)]
        if operation in ("answer", "forget"):
            return ["ok", getattr(self, operation)(*arguments)]
        with_arguments = {"new": 1, "call": 1, "method": 2}
        method = getattr(self._here, operation)
        if operation in with_arguments:
            *fixed, args, kwargs = arguments
            return ["ok", method(*fixed, *args, **kwargs)]
        return ["ok", method(*arguments)]


def serve(connection: socket.socket, student: Student) -> None:
    """Answer the judge until it closes the connection."""
    limits = Limits(nbytes=256 << 20)
    while True:
        try:
            message = receive_message(connection, limits)
        except EOFError:
            return
        try:
            reply = student.handle(message)
        except Raised as error:
            reply = ["raised", error.kind, list(error.kinds), error.text, error.line]
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # a student's object can do anything
            raised = _raised(error, None)
            reply = ["raised", raised.kind, list(raised.kinds), raised.text, ""]
        send(connection, reply, limits)


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    absent = [name for name in os.environ.get("COURSE_ABSENT", "").split(",") if name]
    sys.meta_path.append(_Absent(absent))
    released = os.environ.get("COURSE_RELEASED")
    if released:  # where the judge puts an answer module once all that it answers has been judged
        import helpers

        helpers.__path__.append(released)
    from helpers import backend

    student = Student()
    backend.activate("simulator", quiet=True, transport="inherited")
    serve(connection, student)


if __name__ == "__main__":
    main()
