"""`tensorrt` on the simulator: NVIDIA's `tensorrt_rtx`, with the build half remembered and the run half simulated."""

from __future__ import annotations

import functools
import importlib.machinery
import types
from typing import Any

from .. import builder, runtime
from ..native import nv

_OURS: dict[str, Any] = {
    "Builder": builder.Builder,
    "OnnxParser": builder.OnnxParser,
    "Runtime": runtime.Runtime,
    "ICudaEngine": runtime.ICudaEngine,
    "IExecutionContext": runtime.IExecutionContext,
}


@functools.cache
def module() -> types.ModuleType:
    """The module that `import tensorrt` gives."""
    result = types.ModuleType(
        "tensorrt", "TensorRT on the simulator: NVIDIA's builder, ONNX Runtime behind its runtime API."
    )
    for name in dir(nv):
        if not name.startswith("__"):
            setattr(result, name, getattr(nv, name))
    for name, value in _OURS.items():
        setattr(result, name, value)
    # PyTorch's compiler asks importlib for the spec of every library that it knows, tensorrt among them
    result.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None, origin=__name__)
    result.__version__ = nv.__version__  # type: ignore[attr-defined]
    builder.install_hooks()
    return result
