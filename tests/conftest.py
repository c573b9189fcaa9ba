"""What all tests share: a missing system program skips a test for a user, and fails it in CI, which installs it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest


@pytest.fixture
def system_program() -> Callable[..., str]:
    """`system_program("chromium", "google-chrome", package="chromium")` is the path of the first found."""

    def find(*names: str, package: str) -> str:
        for name in names:
            if path := shutil.which(name):
                return path
        reason = f"none of {', '.join(names)} is on PATH (Debian package: {package})"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; .ci/run should have installed it")
        pytest.skip(reason)

    return find
