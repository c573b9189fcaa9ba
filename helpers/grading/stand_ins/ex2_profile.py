"""Stand-in for TODO 3 of Exercise 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def add_decode_profile(builder: Any, config: Any, network: Any, rows: Sequence[int], prompt: int, length: int) -> int:
    """Add a profile for every step of a generation; return its index. ValueError if TensorRT refuses it.

    Args:
        rows: smallest, usual and largest batch.
        prompt, length: tokens of the shortest prompt, and of the finished sequence.
    """
    smallest, usual, largest = rows
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        name = network.get_input(i).name
        profile.set_shape(name, (smallest, prompt), (usual, (prompt + length) // 2), (largest, length))
    index = int(config.add_optimization_profile(profile))
    if index < 0:
        raise ValueError(f"profile refused: batch {tuple(rows)}, {prompt} to {length} tokens")
    return index
