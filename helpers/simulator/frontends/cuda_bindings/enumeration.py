"""Enums as cuda-bindings has them: integers whose `str` is their `repr`."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any


class _Names(enum.EnumType):
    def __getattr__(cls, name: str) -> Any:
        if not name.startswith("_"):
            try:
                return super().__getattr__(name)  # type: ignore[misc]  # Python 3.11 finds members here
            except AttributeError:
                detail = (
                    f"{cls.__name__}.{name}: the simulator does not have it. list({cls.__name__}) shows what it has."
                )
                raise AttributeError(detail) from None
        raise AttributeError(name)

    def __contains__(cls, item: Any) -> bool:
        return item in cls._value2member_map_


class Enumeration(int, enum.ReprEnum, metaclass=_Names):
    """Base of the enums."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}.{self.name}: {self.value}>"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:
        return format(repr(self) if not spec else int(self), spec)


def make(name: str, module: str, members: Mapping[str, int]) -> Any:
    """The enum `name` of `cuda.bindings.<module>`."""
    functional: Any = Enumeration
    return functional(name, dict(members), module=f"cuda.bindings.{module}", qualname=name)
