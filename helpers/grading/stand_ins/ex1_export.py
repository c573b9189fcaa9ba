"""Stand-in for TODO 1 of Exercise 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers import export


def export_onnx(model: Any, path: str | Path) -> None:
    """Write `model` to the ONNX file `path`: batches of 1 to 256, 2 to 512 tokens."""
    export.export_onnx(model, path, max_batch=256)
