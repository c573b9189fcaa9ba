"""The build cases through NVIDIA's builder and the pure-Python one: each agrees as committed, or is listed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.conformance import build_cases, build_more, build_third
from helpers.conformance.runner import select

CASES = select("*", "build")
DIFFERS = {**build_cases.DIFFERS, **build_more.DIFFERS, **build_third.DIFFERS}
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


@pytest.fixture(scope="module")
def nvidia(tmp_path_factory) -> dict:
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("no tensorrt_rtx wheel")
    return conformance(tmp_path_factory.mktemp("nvidia") / "report.json", "--builder", "nvidia", "--half", "build")


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> dict:
    """With the run cases, on its plans."""
    return conformance(tmp_path_factory.mktemp("python") / "report.json", "--builder", "python")


def built(data: dict) -> dict[str, dict]:
    return {row["case"]: row for row in data["cases"] if row["half"] == "build"}


def test_nvidias_builder_gives_the_committed_answers(nvidia):
    assert not problems(nvidia, "nvidia"), "\n".join(problems(nvidia, "nvidia"))
    assert built(nvidia).keys() == {row["case"] for row in nvidia["cases"]} == {case.name for case in CASES}


def test_the_python_builder_gives_the_committed_answers(python):
    assert not problems(python, "python"), "\n".join(problems(python, "python"))
    assert built(python).keys() == {case.name for case in CASES} < {row["case"] for row in python["cases"]}


def test_the_python_builder_gives_nvidias_answers(nvidia, python):
    """What is returned, and whether the phrase is said: the same in 95 of 100 cases, and otherwise listed."""
    mine, real = built(python), built(nvidia)
    other = {
        name
        for name, row in real.items()
        if (row["got"]["returns"], row["agrees"]) != (mine[name]["got"]["returns"], mine[name]["agrees"])
    }
    assert other == {"profile-baked-batch", "config-strip-plan"} and len(other) <= 0.05 * len(CASES)


def test_the_table():
    """Enough cases, each with a name of its own, a sentence and a source; what differs is a case."""
    names = [case.name for case in CASES]
    assert len(names) >= 60 and len(set(names)) == len(names) and set(DIFFERS) <= set(names)
    for case in CASES:
        assert case.half == "build" and case.what and len(case.source) > 10, case.name
