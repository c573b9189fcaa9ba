"""Makes `import pycuda`, `import cuda.bindings` and ctypes' libcudart reach the front ends."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from typing import Any

_ALIASES = {name: f"{__package__}.{name}" for name in ("pycuda.autoinit", "pycuda.autoprimaryctx")}
_MOVED = {
    "cuda.cudart": "cuda-python 13 moved it: from cuda.bindings import runtime as cudart",
    "cuda.cuda": "cuda-python 13 moved it: from cuda.bindings import driver as cuda",
    "cuda.nvrtc": "cuda-python 13 moved it to cuda.bindings, and compiling kernels needs a GPU",
    "cuda.core": "the simulator offers cuda.bindings.runtime and cuda.bindings.driver; cuda.core needs a GPU",
}


_bindings_served = False


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules that do something when they are imported, and says why others cannot be."""

    def find_spec(self, name: str, path: Any = None, target: types.ModuleType | None = None) -> Any:
        if name in _ALIASES:  # importing these makes a context, so not before it is asked for
            return importlib.machinery.ModuleSpec(name, _Alias(_ALIASES[name]))
        if not _bindings_served:  # a GPU's own packages
            return None
        reason = _MOVED.get(name)
        if name.startswith("cuda.bindings."):
            reason = "the simulator offers cuda.bindings.runtime and cuda.bindings.driver; it needs a GPU"
        if reason is not None:
            # no ModuleNotFoundError: `from cuda import cudart` would swallow it and say something of its own
            raise ImportError(f"no module {name!r}: {reason}", name=name)
        return None


class _Alias(importlib.abc.Loader):
    def __init__(self, real: str) -> None:
        self._real = real

    def create_module(self, spec: Any) -> types.ModuleType:
        return importlib.import_module(self._real)

    def exec_module(self, module: types.ModuleType) -> None:
        return None


def _install_finder() -> None:
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def forget_contexts() -> None:
    """The next `import pycuda.autoinit` (or autoprimaryctx) makes a context again."""
    for name in (*_ALIASES, *_ALIASES.values()):
        sys.modules.pop(name, None)


def serve_pycuda() -> None:
    """`import pycuda.driver` gives our front end: of the simulated device, or of a GPU without pycuda."""
    from . import pycuda
    from .pycuda import driver

    sys.modules["pycuda"] = pycuda
    sys.modules["pycuda.driver"] = driver
    _install_finder()


def serve_cuda_bindings() -> None:
    """`cuda.bindings.runtime`, `.driver` and ctypes' libcudart are the simulated device's, whatever is installed."""
    global _bindings_served
    from . import cuda_bindings, libcudart
    from .cuda_bindings import driver, runtime

    try:
        namespace = importlib.import_module("cuda")  # other packages live in it too
    except ImportError:
        namespace = sys.modules["cuda"] = _package("cuda")
    bindings = _package("cuda.bindings", cuda_bindings.__doc__)
    bindings.__version__ = cuda_bindings.__version__
    bindings.runtime, bindings.driver = runtime, driver
    sys.modules["cuda.bindings"] = namespace.bindings = bindings  # type: ignore[attr-defined]
    sys.modules["cuda.bindings.runtime"], sys.modules["cuda.bindings.driver"] = runtime, driver
    _bindings_served = True
    _install_finder()
    libcudart.install()


def _package(name: str, text: str | None = None) -> Any:
    package: Any = types.ModuleType(name, text)
    package.__path__ = []
    package.__spec__ = importlib.machinery.ModuleSpec(name, None, origin=__name__, is_package=True)
    return package
