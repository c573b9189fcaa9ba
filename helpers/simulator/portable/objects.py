"""The base of TensorRT's objects: no attribute that the real class lacks can be set, and what this one lacks is named."""

from __future__ import annotations

from typing import Any, ClassVar

_ADD = "a model written as ONNX and read by OnnxParser: this builder takes no layers one by one"
_DLA = "nothing: there is no DLA here"


class Native:
    """Base of the builder's objects."""

    # what real TensorRT has and this package does not -> what to use instead
    _lacks: ClassVar[dict[str, str]] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            self.__getattr__(name)  # raises

    def __getattr__(self, name: str) -> Any:
        cls = type(self).__name__
        instead = self._lacks.get(name)
        if instead is None and name.startswith("add_") and cls == "INetworkDefinition":
            instead = _ADD
        if instead is not None:
            raise AttributeError(
                f"{cls}.{name} exists in TensorRT; the pure-Python builder does not offer it. Use {instead}."
            )
        raise AttributeError(f"{cls!r} object has no attribute {name!r}")

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def variable(name: str, default: Any) -> property:
    """A readable and writable property that is `default` until it is set, and takes values of its type only."""
    slot = f"_{name}"

    def get(self: Any) -> Any:
        return self.__dict__.get(slot, default)

    def put(self: Any, value: Any) -> None:
        if default is not None and not isinstance(value, type(default)):
            raise TypeError(f"{name}: expected {type(default).__name__}, got {type(value).__name__} {value!r}")
        self.__dict__[slot] = value

    return property(get, put)
