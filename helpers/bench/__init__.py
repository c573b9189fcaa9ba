"""`python -m helpers bench`: what is measured from the command line.

`bench` alone is `classify`, exercise 1; `bench decode` is exercise 2; `bench --all` is a GPU machine's whole run;
`bench --tables` makes docs/results.md from the committed results. What is imported belongs to whichever was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the benchmarks; 0, or 1 with a sentence on what was wrong."""
    given = list(arguments or [])
    if "--tables" in given:
        from helpers.bench.page import main as tables

        return tables(given)
    if "--all" in given:
        from helpers.bench.gpu import main as gpu

        return gpu(given)
    if given[:1] == ["decode"]:
        from helpers.bench.decode import main as decode

        return decode(given[1:])
    from helpers.bench.classify import main as classify

    return classify(given[1:] if given[:1] == ["classify"] else given)


def explained() -> tuple[type[Exception], ...]:
    """What carries a sentence for the user; anything else is a fault of ours and keeps its traceback."""
    from helpers import backend, engine, models

    return (ValueError, OSError, backend.BackendUnavailable, engine.EngineError, models.ModelError)
