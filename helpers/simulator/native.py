"""TensorRT's own types: NVIDIA's, where its TensorRT-RTX wheel is, else ours. One choice a process.

Environment:
    TRT_BUILDER: "nvidia" (default where the wheel is) or "python" (`portable/`, which runs on macOS too).
    TRT_API: the API that the simulator follows, "11" (default) or "10".
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

BUILDERS = ("nvidia", "python")
VERSIONS = {"11": "11.4.0.106", "10": "10.16.1.11"}


def _choice(variable: str, allowed: tuple[str, ...], default: str) -> str:
    value = os.environ.get(variable, "") or default
    if value not in allowed:
        raise ValueError(f"{variable} is {value!r}; expected one of {', '.join(allowed)}, or nothing for {default!r}")
    return value


BUILDER = _choice("TRT_BUILDER", BUILDERS, "nvidia" if importlib.util.find_spec("tensorrt_rtx") else "python")
API = _choice("TRT_API", tuple(VERSIONS), "11")
# What `tensorrt.__version__` says: the TensorRT whose API the simulator follows. Clients compare it with 8, 10 and 11;
# the number of NVIDIA's TensorRT-RTX (1.7) would send them to code for TensorRT 1.
VERSION = VERSIONS[API]

nv: Any = importlib.import_module("tensorrt_rtx" if BUILDER == "nvidia" else f"{__package__}.portable")
