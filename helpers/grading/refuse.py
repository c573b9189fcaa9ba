"""nbgrader's own autograde runs students' code without a sandbox: here it refuses, and says what to do instead."""

from __future__ import annotations

from typing import Any

from nbconvert.exporters import NotebookExporter
from nbgrader.converters.base import NbGraderException

WORDS = (
    "this course is graded by `make autograde ASSIGNMENT=...` (python -m helpers grade class ...), which runs the "
    "students' code in a sandbox; nbgrader's own autograde does not, and is switched off in nbgrader_config.py. "
    "Nothing was changed"
)


class Refuse(NotebookExporter):
    """In the place of the exporter that autograde makes before it begins."""

    def __init__(self, *_: Any, parent: Any = None, **__: Any) -> None:
        if parent is not None:
            parent.log.error(WORDS)
        raise NbGraderException(WORDS)
