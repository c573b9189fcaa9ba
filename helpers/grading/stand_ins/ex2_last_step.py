"""Stand-in for TODO 8 of Exercise 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def copy_last_step(host: np.ndarray, device: Any, shape: Sequence[int], stream: Any) -> np.ndarray:
    """Enqueue the copy of the last step of logits of `shape` [B, t, V]; the view [B, V] of `host` that will hold it."""
    import pycuda.driver as cuda

    batch, tokens, vocabulary = shape
    rows = host[: batch * vocabulary].reshape(batch, vocabulary)
    for row in range(batch):
        offset = (row * tokens + tokens - 1) * vocabulary * host.itemsize
        cuda.memcpy_dtoh_async(rows[row], int(device) + offset, stream)
    return rows
