"""`%load_ext helpers.sanitizer` in a notebook: the device is watched from then on.

`%%sanitize` at the top of a cell runs it and reports what was found while it ran. `%sanitize` reports all that was
found since the extension was loaded, and what would be missing if the program ended now.
"""

from __future__ import annotations

import sys
from typing import Any

from ..simulator import host
from . import findings
from .findings import Finding
from .session import Session

_session: Session | None = None


def load(shell: Any) -> None:
    """Watch the device from now on. Engines, buffers and streams of before are gone with the device of before."""
    global _session
    if _session is not None:
        return
    used = host._current is not None and bool(host._current.device.live())
    _session = Session()
    _session.__enter__()
    if used:
        print(
            "helpers.sanitizer: the notebook has a new device now; run the cells again that make engines, buffers and"
            " streams.",
            file=sys.stderr,
        )
    shell.register_magic_function(_sanitize, "line_cell", "sanitize")


def unload(shell: Any) -> None:
    """Watch no more; the notebook has a plain device again."""
    global _session
    if _session is not None:
        _session.finish(failed=True)
        _session = None
        host.use("process")
        shell.magics_manager.magics["cell"].pop("sanitize", None)
        shell.magics_manager.magics["line"].pop("sanitize", None)


def _sanitize(line: str, cell: str | None = None) -> None:
    """`%%sanitize`: run a cell and report what it does wrong. `%sanitize`: all that was found so far."""
    from IPython import get_ipython

    shell: Any = get_ipython()
    assert _session is not None
    device = _session.device
    if line.strip():
        print(f"%sanitize takes no arguments, got {line.strip()!r}", file=sys.stderr)
        return
    if cell is None:
        found = list(device.findings) + device.unfinished_business()
    else:
        before = device.findings.counts()
        shell.run_cell(cell)
        found = device.findings.since(before)
    print(findings.text(_named(found, shell)), file=sys.stderr)


def _named(found: list[Finding], shell: Any) -> list[Finding]:
    """The same findings; their cells get the names that the reader knows."""
    for each in found:
        for place in (each.place, each.other):
            if place is not None:
                name = shell.compile.format_code_name(place.file)
                if name:
                    findings.name_cell(place.file, " ".join(name))
    return found
