"""The base of the builder's objects: no attribute that the real class lacks can be set."""

from __future__ import annotations

from typing import Any


class Native:
    """Base of the builder's objects. `with` does nothing, as in TensorRT (every older tutorial writes it)."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name[0] != "_" and not any(name in cls.__dict__ for cls in type(self).__mro__):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        object.__setattr__(self, name, value)

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
