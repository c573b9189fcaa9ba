"""Checks that teach: `check("ex1/export", export_onnx)` says what holds, what does not, and gives a hint."""

from __future__ import annotations

from .check import check

__all__ = ["check"]
