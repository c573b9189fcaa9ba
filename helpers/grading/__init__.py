"""Checks that teach: `check("ex1/export", export_onnx)` says what holds and what does not; `hint` helps."""

from __future__ import annotations

from .check import check, hint, progress

__all__ = ["check", "hint", "progress"]
