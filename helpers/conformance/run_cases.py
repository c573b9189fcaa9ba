"""The run cases: what TensorRT's runtime and CUDA return and log, and where each expectation comes from.

`returns` and `says` were written from documents, headers, the bindings' source and public logs, and committed before a
case ran anywhere. They are never edited after that: what turned out otherwise stands in `DIFFERS`, with its reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from . import run_buffers, run_cuda, run_engine, run_graphs, run_shapes
from .case import Case

# case -> backend -> why it is otherwise there
DIFFERS: Mapping[str, Mapping[str, str]] = {}

RUN_CASES: tuple[Case, ...] = tuple(
    dataclasses.replace(case, differs=DIFFERS.get(case.name, {}))
    for module in (run_shapes, run_buffers, run_engine, run_cuda, run_graphs)
    for case in module.CASES
)
