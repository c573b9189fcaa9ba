"""The command that measures the simulator: it measures, and what it compares is equal. No time is asserted."""

from __future__ import annotations

import json

from helpers import overhead
from helpers.simulator import host


def test_the_command_measures_and_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MODEL", "small")
    real = overhead.one_add_step
    monkeypatch.setattr(overhead, "one_add_step", lambda transport: real(transport, steps=5, rounds=2))
    overhead.main(["--pairs", "2", "--json", str(tmp_path / "r" / "overhead.json")])
    said = capsys.readouterr().out
    assert "one step of a one-Add plan, process" in said and "child" in said and "2 pairs" in said
    result = json.loads((tmp_path / "r" / "overhead.json").read_text())
    assert result["runner_over_session"]["max_difference"] <= 1e-6
    assert [len(step["us_of_rounds"]) for step in result["one_add_step"]] == [2, 2]
    assert result["packages"]["onnxruntime"] or result["packages"]["onnxruntime-gpu"]
    host.use("process")
