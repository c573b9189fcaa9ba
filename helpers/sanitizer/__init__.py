"""Finds mistakes in TensorRT programs on the simulated device: `python -m helpers sanitize script.py`.

Or in a notebook: `%load_ext helpers.sanitizer`, then `%%sanitize` at the top of a cell. See docs/sanitizer.md.
"""

from __future__ import annotations

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext helpers.sanitizer` calls."""
    from . import notebook

    notebook.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """What `%unload_ext helpers.sanitizer` calls."""
    from . import notebook

    notebook.unload(shell)
