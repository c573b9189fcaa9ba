"""The one way in which checks compare numbers: exact shape, dtype kind, all finite, and only then `<=`."""

from __future__ import annotations

from typing import Any

import numpy as np

# What was compared, where somebody wants to know (a replayed verdict): (actual, expected, tolerance) each.
noted: list[tuple[Any, np.ndarray, float]] | None = None


def differs(actual: Any, expected: np.ndarray, tolerance: float) -> str:
    """Why `actual` is not `expected` within `tolerance` (absolute), in words; empty where it is.

    NaN, empty arrays, scalars and arrays that would only fit by broadcasting are all different.
    """
    if noted is not None:
        noted.append((actual, expected, tolerance))
    try:
        array = np.asarray(actual)
    except Exception as error:  # an object may raise anything when it is asked for its array
        return f"{type(actual).__name__} is no array ({type(error).__name__})"
    if array.dtype.kind not in "fiub":
        return f"{type(actual).__name__} of dtype {array.dtype}, expected numbers like {expected.dtype}"
    if array.shape != expected.shape:
        return f"shape {list(array.shape)}, expected {list(expected.shape)}"
    if array.dtype.kind != expected.dtype.kind:
        return f"dtype {array.dtype}, expected {expected.dtype}"
    if not array.size:
        return "the array is empty"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return f"{int((~np.isfinite(array)).sum())} of {array.size} values are NaN or infinite"
    distance = np.abs(array.astype(np.float64) - expected.astype(np.float64))
    at = np.unravel_index(int(distance.argmax()), distance.shape)
    if distance[at] <= tolerance:
        return ""
    place = f" at {[int(i) for i in at]}" if at else ""
    return (
        f"largest difference {distance[at]:.3g}, allowed {tolerance:g}{place}: got {array[at]:.6g}, expected"
        f" {expected[at]:.6g}"
    )
