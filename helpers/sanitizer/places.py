"""Where in the program a call came from: cheap to note, and put into words only when it is reported."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from types import CodeType, FrameType

from .findings import Place

Site = tuple[CodeType, int]  # a code object and a line

_HELPERS = str(Path(__file__).resolve().parents[1]) + os.sep
_LIBRARIES = tuple({sysconfig.get_paths()[name] + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_FRONT_ENDS = Path(_HELPERS, "simulator", "frontends")
_PYCUDA = str(_FRONT_ENDS / "pycuda")
_BINDINGS = (str(_FRONT_ENDS / "cuda_bindings"), str(_FRONT_ENDS / "libcudart"))
OURS, LIBRARY, PROGRAM = range(3)
_kinds: dict[CodeType, int] = {}


def _kind(code: CodeType) -> int:
    file = code.co_filename
    if file.startswith(_HELPERS):
        kind = OURS
    else:
        kind = LIBRARY if file.startswith(_LIBRARIES) or file.startswith("<frozen") else PROGRAM
    _kinds[code] = kind
    return kind


def site() -> Site | None:
    """The innermost line of the program itself; where there is none, the innermost of a library that it uses."""
    frame: FrameType | None = sys._getframe(1)
    library: FrameType | None = None
    while frame is not None:
        code = frame.f_code
        kind = _kinds.get(code)
        if kind is None:
            kind = _kind(code)
        if kind == PROGRAM:
            return code, frame.f_lineno
        if kind == LIBRARY and library is None:
            library = frame
        frame = frame.f_back
    return None if library is None else (library.f_code, library.f_lineno)


def from_bindings() -> bool:
    """Whether the call that is going on came through cuda.bindings or ctypes: nobody frees what it makes but itself."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_BINDINGS):
            return True
        if file.startswith(_PYCUDA) or not file.startswith(_HELPERS):
            return False
        frame = frame.f_back
    return False


def from_course() -> bool:
    """Whether our own code called the function that asks, itself or through a library."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        kind = _kinds.get(frame.f_code)
        if kind is None:
            kind = _kind(frame.f_code)
        if kind != LIBRARY:
            return kind == OURS
        frame = frame.f_back
    return False


def from_program() -> bool:
    """Whether the program itself called the function that asks."""
    return _kind(sys._getframe(2).f_code) == PROGRAM


def place(where: Site | None) -> Place | None:
    return None if where is None else Place(where[0].co_filename, where[1])
