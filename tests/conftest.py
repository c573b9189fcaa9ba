"""What all tests share.

A missing system program skips a test for a user, and fails it in CI, which installs it. Tests that are deselected are
counted in pytest's last line also when pytest-xdist spreads the tests over processes, which alone would not say.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

# hypothesis' own plugin imports it in the very last hook otherwise, and there compiling it has once met CPython 3.11's
# "AST constructor recursion depth mismatch" (gh-106905), which costs pytest its closing line.
import hypothesis  # noqa: F401
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


_deselected = 0


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    global _deselected
    _deselected += len(items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["deselected"] = _deselected


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: Any) -> None:
    # Every worker collects everything and deselects the same, so one worker's count is the count.
    reporter = node.config.pluginmanager.get_plugin("terminalreporter")
    count = getattr(node, "workeroutput", {}).get("deselected", 0)
    if "deselected" not in reporter.stats:
        reporter.stats["deselected"] = [SimpleNamespace() for _ in range(count)]
