"""The build cases through NVIDIA's builder and the pure-Python one: each agrees as committed, or is listed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.conformance.build_cases import CASES, DIFFERS

ROOT = Path(__file__).resolve().parents[2]


def conformance(path: Path, *options: str) -> dict:
    """The command's JSON, from a process of its own: a process has one builder."""
    command = [sys.executable, "-m", "helpers", "conformance", "--json", str(path), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    data = json.loads(path.read_text(encoding="utf-8"))
    assert done.stdout.splitlines()[-1] == f"{data['agree']} agree, {data['differ']} differ"
    return data


def problems(data: dict, builder: str) -> list[str]:
    """Cases that are neither as committed nor listed for this builder, and those that are listed and agree."""
    wrong = []
    for row in data["cases"]:
        listed = {"simulator", builder} & row["known"].keys()
        if row["missing"] or row["agrees"] is bool(listed):
            wrong.append(f"{row['case']}: expected {row['expected']}, got {row['got']}, known {row['known']}")
    return wrong


@pytest.mark.parametrize(
    ("builder", "options"),
    [
        pytest.param(
            "nvidia",
            ("--half", "build"),
            marks=pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="no tensorrt_rtx wheel"),
        ),
        ("python", ()),  # and the run cases on its plans
    ],
)
def test_each_builder_gives_the_committed_answers(builder, options, tmp_path):
    data = conformance(tmp_path / "report.json", "--builder", builder, *options)
    assert not problems(data, builder), "\n".join(problems(data, builder))
    built = [row for row in data["cases"] if row["half"] == "build"]
    assert len(built) == len(CASES) and sum(row["agrees"] for row in built) >= 0.95 * len(built)
    assert builder == "python" or {row["half"] for row in data["cases"]} == {"build"}


def test_the_table():
    """Enough cases, each with a name of its own, a sentence and a source; what differs is a case."""
    names = [case.name for case in CASES]
    assert len(names) >= 60 and len(set(names)) == len(names) and set(DIFFERS) <= set(names)
    for case in CASES:
        assert case.half == "build" and case.what and len(case.source) > 10, case.name
