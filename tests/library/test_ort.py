"""ONNX Runtime's evidence: real sessions on the CPU, and logs as text, today's wording and that of 2023."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import ort
from helpers.ort import CPU, CUDA, TO_DEVICE, TO_HOST, Copy, Evidence, EvidenceError, Fallback, Placement

# Severity, file and time are as version 1.31 writes them; the middle line is coloured, as on a terminal.
TODAY = """
2026-11-22 17:28:56.1 [I:onnxruntime:, cuda_execution_provider.cc:2900 GetCapability] CUDA kernel not found in registries for Op type: Atan node name: node_Atan_1
2026-11-22 17:28:56.2 [I:onnxruntime:Default, fallback_cpu_capability.cc:178 operator()] ORT optimization- Force fallback to CPU execution for node: node_Range_7 because the CPU execution path is deemed faster than overhead involved with execution on other EPs  capable of executing this node
2026-11-22 17:28:56.3 [I:onnxruntime:, transformer_memcpy.cc:329 AddCopyNode] Add MemcpyToHost before doubled for CUDAExecutionProvider
\x1b[0;93m2026-11-22 17:28:56.4 [W:onnxruntime:, transformer_memcpy.cc:83 ApplyImpl] 2 Memcpy nodes are added to the graph planted for CUDAExecutionProvider. It might have negative impact on performance (including unable to run CUDA graph). Set session_options.log_severity_level=1 to see the detail logs before this message.\x1b[m
2026-11-22 17:28:56.5 [I:onnxruntime:, transformer_memcpy.cc:329 AddCopyNode] Add MemcpyFromHost after angle for CUDAExecutionProvider
2026-11-22 17:28:56.6 [V:onnxruntime:, session_state.cc:1581 VerifyEachNodeIsAssignedToAnEp]  Node(s) placed on [CPUExecutionProvider]. Number of nodes: 2
2026-11-22 17:28:56.7 [V:onnxruntime:, session_state.cc:1581 VerifyEachNodeIsAssignedToAnEp]  Node(s) placed on [CUDAExecutionProvider]. Number of nodes: 9
2026-11-22 17:28:56.8 [I:onnxruntime:, inference_session.cc:2767 operator()] Initializing session.
"""
OF_2023 = """
[W:onnxruntime:, transformer_memcpy.cc:83 ...] 6 Memcpy nodes are added to the graph main_graph for CUDAExecutionProvider. It might have negative impact on performance...
Add Memcpy From Host after <node_name> for CUDAExecutionProvider
Add Memcpy To Host before <node_name> for CUDAExecutionProvider
I: ExecutionFrame ... Using CPUExecutionProvider for <op_name>  (fallback)
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ort.write_planted(tmp_path_factory.mktemp("ort") / "planted.onnx")


@pytest.fixture(scope="module")
def evidence(planted: Path) -> Evidence:
    return ort.inspect(planted, feeds={"x": np.ones((2, 4), np.float32)}, title="planted", runs=3)


# --- real sessions ---


def test_every_node_of_the_graph_is_placed(evidence: Evidence) -> None:
    assert evidence.asked == (CUDA, CPU) and evidence.source == "API"
    assert sorted(row.op for row in evidence.placements) == ["Atan", "Mul", "Mul"]
    assert sum(evidence.counts.values()) == 3
    assert evidence.version.count(".") == 2 and evidence.machine == ""


@pytest.mark.skipif(CUDA in __import__("onnxruntime").get_available_providers(), reason="this ONNX Runtime has CUDA")
def test_on_a_machine_without_a_gpu_all_is_on_the_cpu_and_nothing_fell_back(evidence: Evidence) -> None:
    assert evidence.providers == (CPU,) and evidence.counts == {CPU: 3}
    assert evidence.copies == () and evidence.fallbacks == ()
    table = evidence.table()
    assert table.loc[0].tolist() == [CPU, 3, 1.0, "2 Mul, 1 Atan"]
    assert len(evidence.copies_table()) == 0 and len(evidence.fallback_table()) == 0
    report = ort.parse_log(evidence.log)
    assert report.placed == ((CPU, 3),) and report.memcpy_nodes == 0


def test_the_profile_says_the_same_as_the_api(evidence: Evidence) -> None:
    ran = [row for row in evidence.ran if "Memcpy" not in row.op]
    assert {(row.op, row.provider) for row in ran} == {(row.op, row.provider) for row in evidence.placements}
    assert all(row.runs == 3 and row.median_ms >= 0 for row in ran)


def test_a_session_without_the_entry_is_told_which_one(planted: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(planted), providers=[CPU])
    with pytest.raises(EvidenceError, match=r"record_ep_graph_assignment_info\", \"1\".*before the session"):
        ort.placement(session)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    with_it = onnxruntime.InferenceSession(str(planted), options, providers=[CPU])
    assert {row.provider for row in ort.placement(with_it)} == {CPU}


def test_an_onnx_runtime_without_the_api_is_read_by_its_profile() -> None:
    with pytest.raises(EvidenceError, match=r"does not say where nodes went.*profiled"):
        ort.placement(object())


def test_what_cannot_be_opened_is_said(tmp_path: Path, planted: Path) -> None:
    with pytest.raises(EvidenceError, match="No ONNX file at"):
        ort.inspect(tmp_path / "missing.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(planted.read_bytes()[:40])
    with pytest.raises(EvidenceError, match=r"could not open broken\.onnx.*It says: .+"):
        ort.inspect(broken)
    with pytest.raises(EvidenceError, match="none of NoSuchProvider is in this ONNX Runtime"):
        ort.inspect(planted, ["NoSuchProvider"])
    with pytest.raises(EvidenceError, match="could not open planted"):
        ort.inspect(planted, feeds={"x": np.ones((2, 5), np.float32)})
    with pytest.raises(EvidenceError, match="is no profile of ONNX Runtime"):
        ort.profiled(planted)
    with pytest.raises(EvidenceError, match="cannot be read as an ONNX file"):
        ort.memcpy_nodes(tmp_path / "missing.onnx")


def test_the_command_prints_the_tables(planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ort.main([str(planted)]) == 0
    said = capsys.readouterr().out
    assert "planted.onnx: ONNX Runtime" in said and "Mul" in said and "no direction" in said
    assert ort.main([str(tmp_path / "missing.onnx")]) == 1
    assert capsys.readouterr().err.startswith("error: No ONNX file at")


# --- Memcpy nodes in a graph ---


def test_memcpy_nodes_are_read_with_their_neighbours(tmp_path: Path) -> None:
    import onnx

    # What version 1.31 writes for the planted graph on a GPU.
    graph = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 20]>
        g (float[n] x) => (float[n] y) {
            [a] doubled = Add (x, x)
            [Memcpy] on_host = MemcpyToHost (doubled)
            [b] angle = Atan (on_host)
            [Memcpy_1] on_device = MemcpyFromHost (angle)
            [c] y = Add (on_device, on_device)
        }"""
    )
    onnx.save(graph, str(tmp_path / "g.onnx"))
    down, up = ort.memcpy_nodes(tmp_path / "g.onnx")
    assert down == Copy(TO_HOST, "doubled", CUDA, "a", ("b",))
    assert (up.direction, up.tensor, up.source) == (TO_DEVICE, "angle", "b") and set(up.targets) == {"c"}


# --- logs ---


def test_todays_log_is_read() -> None:
    report = ort.parse_log(TODAY)
    assert report.announced == (("planted", CUDA, 2),) and report.memcpy_nodes == 2
    assert report.copies == (Copy(TO_HOST, "doubled", CUDA), Copy(TO_DEVICE, "angle", CUDA))
    assert report.placed == ((CPU, 2), (CUDA, 9))
    missing, forced = report.fallbacks
    assert missing == Fallback("node_Atan_1", "no CUDA kernel for Atan")
    assert forced.node == "node_Range_7" and forced.reason.startswith("the CPU execution path is deemed faster")
    assert "  " not in forced.reason
    assert len(report.lines) == 7 and not any("\x1b" in line for line in report.lines)


def test_the_wording_of_2023_is_read() -> None:
    report = ort.parse_log(OF_2023)
    assert report.memcpy_nodes == 6 and [copy.direction for copy in report.copies] == [TO_DEVICE, TO_HOST]
    assert report.fallbacks == (Fallback("<op_name>", "placed on CPUExecutionProvider"),)


def test_a_log_of_other_things_gives_an_empty_report() -> None:
    report = ort.parse_log("nothing\n[I:onnxruntime:] Initializing session.\n")
    assert report == ort.LogReport((), (), (), (), ()) and report.memcpy_nodes == 0


def test_reasons_are_found_by_node_and_else_by_operator() -> None:
    placed = [
        Placement("a", "Range", CPU),
        Placement("b", "Atan", CPU),
        Placement("c", "Mod", CPU),
        Placement("d", "Mul", CUDA),
    ]
    said = [Fallback("a", "faster there"), Fallback("Atan", "no kernel")]
    assert ort._reasons(placed, [CUDA, CPU], said) == (
        Fallback("a", "faster there"),
        Fallback("b", "no kernel"),
        Fallback("c", ort.NO_REASON),
    )
    assert ort._reasons(placed, [CPU], said) == ()


def test_fallbacks_are_shown_by_reason_with_their_operators(evidence: Evidence) -> None:
    # The planted graph as a session with CUDA has it: one node on the CPU, between two copies.
    moved = [replace(row, provider=CPU if row.op == "Atan" else CUDA) for row in evidence.placements]
    said = ort.parse_log(TODAY.replace("node_Atan_1", "atan")).fallbacks
    on_gpu = replace(
        evidence,
        placements=tuple(moved),
        providers=(CUDA, CPU),
        copies=(Copy(TO_HOST, "doubled", CUDA, "double", ("atan",)), Copy(TO_DEVICE, "angle", CUDA, "atan", ())),
        fallbacks=ort._reasons(moved, (CUDA, CPU), said),
    )
    assert on_gpu.counts == {CUDA: 2, CPU: 1}
    assert on_gpu.fallback_table().to_numpy().tolist() == [[1, "1 Atan", "atan", "no CUDA kernel for Atan"]]
    assert on_gpu.copies_table().to_numpy().tolist() == [
        [TO_HOST, "doubled", "double", "atan"],
        [TO_DEVICE, "angle", "atan", "(output)"],
    ]


# --- recordings ---


def test_a_recording_comes_back_as_it_was(evidence: Evidence, tmp_path: Path) -> None:
    data, log = ort.save([evidence], tmp_path / "run", "a GPU")
    (again,) = ort.recorded(tmp_path / "run")
    assert again.machine == "a GPU" and again.placements == evidence.placements and again.ran == evidence.ran
    assert ort.parse_log(again.log).placed == ort.parse_log(evidence.log).placed
    assert log.read_text().startswith("# planted (planted.onnx), a GPU\n") and data.suffix == ".json"


def test_a_missing_or_broken_recording_is_said(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"No recording at .*python -m helpers\.ort record"):
        ort.recorded(tmp_path / "none")
    (tmp_path / "bad.json").write_text(json.dumps({"evidence": [{"model": "m"}]}))
    with pytest.raises(EvidenceError, match="is no recording of ONNX Runtime"):
        ort.recorded(tmp_path / "bad")


def test_nothing_is_recorded_without_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from helpers import environment

    class NoGpu:
        gpu: Any = None

    monkeypatch.setattr(environment, "inspect", NoGpu)
    assert ort.main(["record", "--out", str(tmp_path / "x")]) == 1
    assert "no NVIDIA GPU" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.skipif(not ort.RECORDED.with_suffix(".json").is_file(), reason="not recorded yet")
def test_the_recording_in_the_repository_shows_what_the_notebook_says_of_it() -> None:
    planted, *decoders = ort.recorded()
    assert planted.machine and planted.providers[0] == CUDA
    assert [copy.direction for copy in planted.copies] == [TO_HOST, TO_DEVICE]
    assert decoders and all(CUDA in item.counts for item in decoders)
    for item in (planted, *decoders):
        report = ort.parse_log(item.log)
        assert report.memcpy_nodes == len(item.copies)
        assert sum(item.counts.values()) == len(item.placements) > 0
