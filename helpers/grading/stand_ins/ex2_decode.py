"""Stand-in for TODO 4 of Exercise 2."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def greedy_decode(
    step: Callable[[np.ndarray, np.ndarray], np.ndarray],
    input_ids: np.ndarray,
    attention_mask: np.ndarray,
    length: int,
) -> np.ndarray:
    """int64 [batch, length]: the prompts, and behind them the most likely token of each step."""
    ids, mask = input_ids.copy(), attention_mask
    for _ in range(length - ids.shape[1]):
        new = step(ids, mask).argmax(-1).astype(np.int64)[:, None]
        ids = np.concatenate([ids, new], axis=1)
        mask = np.concatenate([mask, np.ones_like(new)], axis=1)
    return ids
