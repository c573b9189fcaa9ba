"""What a check picks: weights, shapes, inputs, names. The visible check draws from a public seed, its twin from a
secret one."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np


class Draw:
    """Random generators that depend on a seed and on what they are for, and on nothing else.

    Args:
        seed: any bytes. Whoever does not know them cannot tell what will be drawn.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def __call__(self, what: str) -> np.random.Generator:
        """A fresh generator; the same for the same seed and `what`, on every machine."""
        digest = hmac.new(self._seed, what.encode(), hashlib.sha256).digest()
        return np.random.default_rng(np.frombuffer(digest, np.uint32))


VISIBLE = Draw(b"visible")


def secret(key: bytes, assignment: str, check: str, submission: bytes) -> Draw:
    """What the hidden twin of a check draws for one submission.

    HMAC (RFC 2104) of the class key: the same in a regrade of the same bytes, unknown to whoever lacks the key.

    Args:
        key: the class key.
        submission: SHA-256 of the submitted file.
    """
    message = b"\0".join((assignment.encode(), check.encode(), submission))
    return Draw(hmac.new(key, message, hashlib.sha256).digest())
