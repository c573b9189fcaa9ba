"""The process in which `guard.py` tries a malformed model: `python -m helpers.simulator.trial READER PATH < DATA`."""

from __future__ import annotations

import functools
import math
import os
import sys
from contextlib import suppress
from typing import Any

import numpy as np

from . import guard
from .executor import Engine
from .plan import DTYPES, open_plan

_MOST_ZEROS = 50_000_000  # elements of an input


def _parse(nv: Any, model: bytes, path: str) -> None:
    """What the kernel would do: parse, and build with the smallest profile. Verdicts do not matter here."""
    logger = nv.Logger(nv.Logger.Severity.INTERNAL_ERROR)
    builder = nv.Builder(logger)
    network = builder.create_network(0)
    parser = nv.OnnxParser(network, logger)
    if not parser.parse(model, path or None):
        return
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for tensor in (network.get_input(i) for i in range(network.num_inputs)):
        if -1 in tensor.shape:
            profile.set_shape(tensor.name, *[[1 if d < 0 else d for d in tensor.shape]] * 3)
    config.add_optimization_profile(profile)
    builder.build_serialized_network(network, config)


def _infer(plan: bytes) -> None:
    """What the device would do: open the plan, and run it on zeros of the smallest shapes of each profile."""
    engine = Engine(open_plan(plan), threads=1, tried=True)
    for profile in engine.plan.profiles:
        shapes = {t.name: profile.get(t.name, (t.shape,))[0] for t in engine.inputs}
        if all(-1 not in shape and math.prod(shape) < _MOST_ZEROS for shape in shapes.values()):
            engine.infer({t.name: np.zeros(shapes[t.name], DTYPES[t.dtype]) for t in engine.inputs})


def main() -> None:
    reader, path = sys.argv[1:]
    guard.limit_memory()
    data = sys.stdin.buffer.read()
    if reader == "session":
        import onnxruntime  # noqa: F401

        read = functools.partial(_infer, data)
    else:
        from .native import nv

        read = functools.partial(_parse, nv, data, path)
    os.write(1, b"ready")
    with suppress(Exception):  # an exception is no end
        read()


if __name__ == "__main__":
    main()
