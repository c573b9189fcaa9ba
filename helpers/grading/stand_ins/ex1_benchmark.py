"""Stand-in for TODO 8 of Exercise 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from helpers import benchmark


def fair_benchmark(
    run: Callable[..., Any], batches: Sequence[Sequence[Any]], seconds: float | None = None
) -> dict[str, float]:
    """Time `run` on whole batches, host to host, by the library's benchmark."""
    measured = benchmark.measure("stand-in", run, batches, seconds=seconds)
    return {
        "median_ms": measured.median_ms,
        "p5_ms": measured.p5_ms,
        "p95_ms": measured.p95_ms,
        "runs": measured.repeats,
        "samples": measured.samples,
        "samples_per_second": measured.samples_per_second,
    }
