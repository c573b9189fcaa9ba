"""What a clear error is: it was meant to be one, and says what was wrong."""

from __future__ import annotations

import re

# A Python error that nobody expected there, with its own words or its bare name
_ACCIDENT = re.compile(
    r"\b(KeyError|IndexError|AttributeError|TypeError|ValueError|AssertionError|StopIteration|ZeroDivisionError|OverflowError"
    r"|UnboundLocalError|MemoryError|RecursionError|struct\.error|NotImplementedError)\b"
    r"|'NoneType' object|Traceback|unknown error|object has no attribute|positional argument|unpack|zip\(\)|not subscriptable|list index"
    r"|unsupported operand|cannot reshape|cannot broadcast|is out of bounds for|int too large|Python int"
)


def unclear(text: str) -> str:
    """Why `text` is no clear error; "" where it is one."""
    if len(text.strip()) < 12:
        return f"says only {text!r}"
    found = _ACCIDENT.search(text)
    return f"says {text[max(found.start() - 60, 0) : found.end() + 60]!r}" if found else ""


class Fault(Exception):
    """Something that must not happen."""
