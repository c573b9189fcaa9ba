"""Polygraphy, a client that nobody here wrote: it builds, runs and compares Exercise 1's model on the simulator.

It takes `tensorrt` from the simulator and its CUDA from libcudart by ctypes (`simulator/frontends/libcudart.py`).
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

pytest.importorskip("polygraphy", reason="Polygraphy is not installed (pip install '.[dev]')")

from polygraphy.backend.common import BytesFromPath
from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
from polygraphy.backend.trt import (
    CreateConfig,
    EngineFromBytes,
    EngineFromNetwork,
    NetworkFromOnnxPath,
    Profile,
    SaveEngine,
    TrtRunner,
)
from polygraphy.comparator import Comparator, SimpleCompareFunc
from polygraphy.exception import PolygraphyException

NAMES = ("input_ids", "attention_mask")
SHAPES = ((1, 8), (4, 32), (8, 64))


@pytest.fixture(params=["process", "child"])
def device(request: pytest.FixtureRequest, simulator: Any) -> Any:
    """A fresh device over each transport."""
    from helpers.simulator import host

    yield host.use(request.param).device
    host.use("process")


@pytest.fixture(scope="module")
def feeds(make_batch: Any) -> list[dict[str, np.ndarray]]:
    return [dict(zip(NAMES, make_batch(*shape), strict=True)) for shape in ((1, 8), (3, 20), (8, 64))]


def build(path: Path) -> Any:
    """Polygraphy's loader of an engine for 1 to 8 rows of 8 to 64 tokens."""
    profile = Profile()
    for name in NAMES:
        profile.add(name, *SHAPES)
    return EngineFromNetwork(NetworkFromOnnxPath(str(path)), config=CreateConfig(profiles=[profile]))


def agree(plan: Any, reference: Path, feeds: list[dict[str, np.ndarray]]) -> bool:
    """Whether Polygraphy finds TensorRT and ONNX Runtime equal on all of `feeds`, to 1e-4."""
    runners = [TrtRunner(plan), OnnxrtRunner(SessionFromOnnx(str(reference)))]
    results = Comparator.run(runners, data_loader=feeds)
    assert [len(iterations) for _, iterations in results.items()] == [len(feeds)] * 2
    compare = SimpleCompareFunc(atol=1e-4, rtol=1e-4)
    return bool(Comparator.compare_accuracy(results, compare_func=compare))


def test_it_builds_runs_and_compares(device: Any, fp32_onnx: Path, feeds: list[dict[str, np.ndarray]], tmp_path: Path):
    saved = tmp_path / "model.plan"
    assert agree(SaveEngine(build(fp32_onnx), path=str(saved)), fp32_onnx, feeds)
    assert {"htod", "execute", "dtoh"} <= {event["op"] for event in device.record()}
    with TrtRunner(EngineFromBytes(BytesFromPath(str(saved)))) as runner:
        for feed in feeds:
            outputs = runner.infer(feed)
            assert outputs["logits"].shape == (len(feed["input_ids"]), 6) and np.isfinite(outputs["logits"]).all()
        with pytest.raises(PolygraphyException):
            runner.infer({name: np.ones((9, 64), np.int64) for name in NAMES})  # outside the profile
        assert "logits" in runner.infer(feeds[0])
    # It gave back what it took, but (0.53.6) for its runners' output buffers: 8 rows of 6 logits each.
    gc.collect()
    assert {(row["kind"], row["nbytes"]) for row in device.live()} <= {("device memory", 8 * 6 * 4)}


def test_it_finds_a_plan_of_other_weights(
    simulator: Any, fp32_onnx: Path, feeds: list[dict[str, np.ndarray]], tmp_path: Path
):
    model = onnx.load(fp32_onnx)
    bias = next(i for i in model.graph.initializer if i.name.endswith("classifier.bias"))
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.01), bias.name))
    onnx.save(model, tmp_path / "other.onnx")
    assert not agree(build(tmp_path / "other.onnx"), fp32_onnx, feeds[:1])


def polygraphy(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Polygraphy's command line, in this process."""
    from polygraphy.tools import main

    monkeypatch.setattr(sys, "argv", ["polygraphy", *map(str, arguments)])
    return int(main() or 0)


def test_its_command_line(simulator: Any, fp32_onnx: Path, tmp_path: Path, monkeypatch: Any, capfd: Any):
    plan = tmp_path / "model.plan"
    profile: list[str] = []
    for option, (rows, length) in zip(("min", "opt", "max"), SHAPES, strict=True):
        profile += [f"--trt-{option}-shapes", *(f"{name}:[{rows},{length}]" for name in NAMES)]
    data = ["--input-shapes", *(f"{name}:[2,16]" for name in NAMES)]
    data += ["--val-range", "input_ids:[0,900]", "attention_mask:[1,1]"]
    assert polygraphy(monkeypatch, "convert", fp32_onnx, "-o", plan, *profile) == 0
    assert polygraphy(monkeypatch, "run", fp32_onnx, "--trt", "--onnxrt", *profile, *data, "--atol", "1e-4") == 0
    assert "PASSED | simple | All outputs matched" in capfd.readouterr().out
    assert polygraphy(monkeypatch, "run", plan, "--model-type", "engine", "--trt", *data) == 0
    assert polygraphy(monkeypatch, "inspect", "model", plan) == 0
    assert "opt=(4, 32)" in capfd.readouterr().out
