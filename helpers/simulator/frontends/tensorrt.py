"""`tensorrt` on the simulator: TensorRT's own types, the build half remembered and the run half simulated.

`tensorrt.__version__` is "11.4.0.106": the TensorRT whose API the simulator follows (TRT_API=10: "10.16.1.11"). Clients
compare it with 8, 10 and 11 to choose their calls, and the number of the builder that really works here, NVIDIA's
TensorRT-RTX 1.7, would send them to code for TensorRT 1. Who builds is told by `backend.activate()` and by
`tensorrt.__builder__`. A plan carries the same version: one built as TensorRT 10 does not load as 11.
"""

from __future__ import annotations

import functools
import importlib.machinery
import types
from typing import Any

from .. import names, runtime
from ..native import API, BUILDER, VERSION, nv

_OURS: dict[str, Any] = {name: getattr(runtime, name) for name in runtime.__all__ if name != "contexts"}
# They take NVIDIA's engine, which there is none of
_NOT_SERVED = ("Refitter", "OnnxParserRefitter")


def _missing(name: str) -> Any:
    """The module's `__getattr__`."""
    text = names.explanation("tensorrt", name)
    raise AttributeError((text or "{} has no attribute " + repr(name)).format("module 'tensorrt'"))


@functools.cache
def module() -> types.ModuleType:
    """The module that `import tensorrt` gives."""
    result = types.ModuleType("tensorrt", __doc__)
    for name in dir(nv):
        if not name.startswith("__") and name not in _NOT_SERVED:
            setattr(result, name, getattr(nv, name))
    for name, value in _OURS.items():
        setattr(result, name, value)
    if BUILDER == "nvidia":
        from .. import builder

        builder.install_hooks()
        result.Builder, result.OnnxParser = builder.Builder, builder.OnnxParser  # type: ignore[attr-defined]
    # PyTorch's compiler asks importlib for the spec of every library that it knows, tensorrt among them
    result.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None, origin=__name__)
    result.__getattr__ = _missing  # type: ignore[method-assign]
    result.__version__ = VERSION  # type: ignore[attr-defined]
    result.__builder__ = BUILDER  # type: ignore[attr-defined]
    result.tensorrt = result  # type: ignore[attr-defined]  # the binding's inner module: `trt.tensorrt.ICudaEngine`
    result.Builder.build_engine_with_config = runtime.build_engine_with_config
    if API == "10":
        from .. import personality

        personality.install(result)
    names.install()
    return result
