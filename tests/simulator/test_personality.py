"""TensorRT 10's API (TRT_API=10): `api_ten.py` in a process of its own, once with each builder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("builder", ["nvidia", "python"])
def test_api_of_ten(builder):
    if builder == "nvidia":
        pytest.importorskip("tensorrt_rtx")
    environment = os.environ | {"TRT_API": "10", "TRT_BUILDER": builder, "TRT_BACKEND": "simulator"}
    tests = str(Path(__file__).with_name("api_ten.py"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", "-x", tests]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "passed" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(("variable", "value"), [("TRT_API", "9"), ("TRT_BUILDER", "rust")])
def test_an_unknown_choice_is_named(variable, value):
    done = subprocess.run(
        [sys.executable, "-c", "import helpers.simulator.native"],
        env=os.environ | {variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode and f"{variable} is {value!r}; expected one of" in done.stderr
