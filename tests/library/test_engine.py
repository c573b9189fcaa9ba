"""Builds by NVIDIA's builder, and every way in which one can go wrong."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers import engine
from helpers.engine import EngineError
from helpers.simulator.plan import open_plan

pytestmark = pytest.mark.usefixtures("simulator")


def both(low, best, high):
    return {"input_ids": (low, best, high), "attention_mask": (low, best, high)}


TYPICAL = both((1, 64), (32, 64), (128, 64))


@pytest.fixture(scope="module")
def report(fp32_onnx, simulator):
    return engine.build(fp32_onnx, fp32_onnx.with_name("fp32.plan"), TYPICAL, progress=False)


@pytest.fixture(scope="module")
def fp16_report(fp16_onnx, simulator):
    return engine.build(fp16_onnx, fp16_onnx.with_name("fp16.plan"), TYPICAL, progress=False)


def write(path, nodes, *, inputs=(("x", ["n", 4]),), weights=None, functions=()):
    proto = helper.make_model(
        helper.make_graph(
            nodes,
            "test",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            initializer=[numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
        ),
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("other", 1)],
        ir_version=10,
    )
    onnx.save(proto, str(path))
    return path


def test_the_report_has_the_builders_own_figures(report, fp32_onnx, classifier):
    weights = sum(parameter.nbytes for parameter in classifier.model.parameters())
    assert 0.8 * weights < report.weight_bytes < 1.3 * weights
    assert report.plan_bytes > report.weight_bytes
    assert report.path.stat().st_size >= report.plan_bytes
    said = [line.text for line in report.log if line.text.startswith("Total Activation Memory")]
    assert said == [f"Total Activation Memory: {report.activation_bytes} bytes"]
    assert report.warnings == ()
    assert str(report.onnx_layers) in str(report)


def test_the_builder_fuses_the_network(report, fp16_report):
    assert report.onnx_layers > 4 * report.engine_layers > 0
    assert report.engine_layers == len(report.layers)
    kinds = {layer.kind for layer in report.layers}
    assert "gemm" in kinds
    # LayerNorm, written out, inside one kernel: a name that lists what was fused.
    assert any("MeanSubMulMean" in layer.name for layer in report.layers)
    assert 0 < fp16_report.engine_layers < fp16_report.onnx_layers


def test_fp16_halves_weights_and_shrinks_activations(report, fp16_report):
    assert fp16_report.weight_bytes < 0.6 * report.weight_bytes
    assert fp16_report.activation_bytes < report.activation_bytes


def test_activation_memory_grows_with_the_maximum_batch(fp32_onnx, tmp_path, report):
    half = engine.build(fp32_onnx, tmp_path / "half", both((1, 64), (32, 64), (64, 64)), progress=False)
    assert half.activation_bytes < 0.9 * report.activation_bytes  # not in proportion: it picks other kernels too


def test_a_second_profile(fp32_onnx, tmp_path, report):
    profiles = [TYPICAL, both((1, 256), (32, 256), (128, 256))]
    two = engine.build(fp32_onnx, tmp_path / "two.plan", profiles, progress=False)
    assert len(two.activation_bytes_by_profile) == 2
    assert two.activation_bytes == max(two.activation_bytes_by_profile)
    assert two.engine_layers > report.engine_layers
    assert engine.load(two.path).num_optimization_profiles == 2


def test_targets(fp16_onnx, tmp_path, report):
    sm86 = engine.build(fp16_onnx, tmp_path / "a.plan", TYPICAL, target="SM86", progress=False)
    assert (sm86.target, report.target) == ("sm86", "portable")
    two = engine.build(fp16_onnx, tmp_path / "b.plan", TYPICAL, target=["7.5", "sm_89"], progress=False)
    assert two.target == "sm75-sm89"
    with pytest.raises(EngineError, match=r"Unknown target 'SM99'. Expected one of SM75, .*SM86"):
        engine.build(fp16_onnx, tmp_path / "c.plan", TYPICAL, target="SM99")


def test_plan_names_carry_version_and_target(report):
    assert engine.plan_name("distilbert_fp16") == f"distilbert_fp16.simulator-{report.version}.portable.plan"
    assert engine.plan_name("m", ["SM75", "SM86"]).endswith(".sm75-sm86.plan")
    for stem in ("", "folder/name"):
        with pytest.raises(EngineError, match="is no file name"):
            engine.plan_name(stem)


def test_load_gives_an_engine_with_both_ends(report):
    loaded = engine.load(report.path)
    names = [loaded.get_tensor_name(index) for index in range(loaded.num_io_tensors)]
    assert names == ["input_ids", "attention_mask", "logits"]
    assert [tuple(shape) for shape in loaded.get_tensor_profile_shape("input_ids", 0)] == [
        (1, 64),
        (32, 64),
        (128, 64),
    ]


# --- what the builder would let pass ---


@pytest.mark.parametrize(
    ("profiles", "said"),
    [
        ({**TYPICAL, "mask": TYPICAL["input_ids"]}, "names mask, which the network does not have"),
        ({"input_ids": TYPICAL["input_ids"]}, "lacks the dynamic input attention_mask"),
        ({}, "lacks the dynamic input input_ids"),
        ([], "No profile was given, but input_ids, attention_mask have dynamic axes"),
        (both((64, 64), (32, 64), (128, 64)), "axis 0: min 64, opt 32, max 128. Expected min <= opt <= max"),
        (both((64,), (64,), (64,)), r"gives input_ids 1, 1 and 1 axes. Expected 2"),
        (both((-1, 64), (32, 64), (128, 64)), "min -1, opt 32, max 128. Expected sizes of 0 or more"),
        (both((0, 64), (32, 64), (128, 64)), "does not work at its minimum"),
        (both((1, 64), (8, 64), (8, 513)), r"does not work at its maximum: .*513 != 512"),
        (
            {"input_ids": TYPICAL["input_ids"], "attention_mask": ((1, 64), (32, 64), (64, 64))},
            "share the axis 'batch'",
        ),
        (both((1, 64), (32, 64), (128.5, 64)), "Expected three shapes of integers"),
        (both((1, 64), (32, 64), 128), "Expected three shapes of integers"),
        ({"input_ids": ((1, 64), (32, 64))}, "Expected three shapes of integers"),
        (128, "profiles is int. Expected a dict"),
        ([TYPICAL, "second"], "Profile 1 is str"),
    ],
)
def test_profiles_that_cannot_be(profiles, said, fp32_onnx, tmp_path):
    target = tmp_path / "model.plan"
    target.write_bytes(b"the old plan")
    with pytest.raises(EngineError, match=said):
        engine.build(fp32_onnx, target, profiles, progress=False)
    assert target.read_bytes() == b"the old plan"
    assert list(tmp_path.iterdir()) == [target]


def test_a_fixed_axis_takes_no_other_size(tmp_path):
    source = write(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])])
    with pytest.raises(EngineError, match="Expected 4, 4, 4: this axis is fixed"):
        engine.build(source, tmp_path / "m.plan", {"x": ((1, 4), (2, 4), (3, 5))})


def test_a_network_without_dynamic_axes_needs_no_profile(tmp_path):
    source = write(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])], inputs=[("x", [2, 4])])
    built = engine.build(source, tmp_path / "m.plan", [], progress=False)
    assert tuple(engine.load(built.path).get_tensor_shape("x")) == (2, 4)


def test_a_static_input_may_stay_out_of_the_profile(tmp_path):
    nodes = [helper.make_node("Add", ["x", "bias"], ["y"])]
    source = write(tmp_path / "m.onnx", nodes, inputs=[("x", ["n", 4]), ("bias", [4])])
    assert engine.build(source, tmp_path / "m.plan", {"x": ((1, 4), (2, 4), (3, 4))}, progress=False).plan_bytes


# --- what the builder and the parser refuse ---


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workspace": 1 << 20}, r"no tactics to implement(.|\n)*raise workspace"),
        ({"workspace": 0}, "workspace is 0. Expected a positive number"),
        ({"workspace": 1e9}, "Expected a positive number of bytes"),
        ({"target": "SM75"}, r"FP32 GEMM is not supported(.|\n)*build this target from an FP16 graph"),
    ],
)
def test_builds_that_are_refused_leave_the_old_plan(options, said, fp32_onnx, tmp_path):
    target = tmp_path / "model.plan"
    target.write_bytes(b"the old plan")
    with pytest.raises(EngineError, match=said):
        engine.build(fp32_onnx, target, TYPICAL, progress=False, **options)
    assert target.read_bytes() == b"the old plan"
    assert list(tmp_path.iterdir()) == [target]


def test_a_refusal_carries_the_log(fp32_onnx, tmp_path):
    with pytest.raises(EngineError) as caught:
        engine.build(fp32_onnx, tmp_path / "m.plan", TYPICAL, workspace=1 << 20, progress=False)
    assert any(line.severity == "ERROR" for line in caught.value.log)
    assert not any("cudaError 35" in line.text for line in caught.value.log)


def test_every_parser_error_is_named_with_its_node(tmp_path):
    nodes = [
        helper.make_node("Unheard", ["x"], ["a"], name="first", domain="other"),
        helper.make_node("Unseen", ["a"], ["y"], name="second", domain="other"),
    ]
    source = write(tmp_path / "m.onnx", nodes)
    with pytest.raises(EngineError) as caught:
        engine.build(source, tmp_path / "m.plan", {"x": ((1, 4), (2, 4), (3, 4))})
    text = str(caught.value)
    assert "node 0 'first' (Unheard)" in text
    assert "node 1 'second' (Unseen)" in text
    assert "Plugin not found" in text


def test_mixed_precision_by_accident(tmp_path):
    nodes = [helper.make_node("Add", ["x", "half"], ["y"], name="mixed")]
    source = write(tmp_path / "m.onnx", nodes, weights={"half": np.ones(4, np.float16)})
    with pytest.raises(EngineError, match=r"'mixed' \(Add\)(.|\n)*Expected one precision on both sides"):
        engine.build(source, tmp_path / "m.plan", {"x": ((1, 4), (2, 4), (3, 4))})


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("empty", r"is empty \(0 bytes\)"),
        ("truncated", "MODEL_DESERIALIZE_FAILED"),
        ("random", "holds no model|MODEL_DESERIALIZE_FAILED"),
        ("text", "holds no model|MODEL_DESERIALIZE_FAILED"),
        ("plan", "holds no model|MODEL_DESERIALIZE_FAILED"),
        ("no weights", r"Failed to open file: .*weights(.|\n)*keep the second file in the same folder"),
        ("missing", "No ONNX file at"),
        ("folder", "is a folder"),
    ],
)
def test_six_kinds_of_broken_onnx(kind, said, fp32_onnx, report, tmp_path):
    source, target = tmp_path / "model.onnx", tmp_path / "model.plan"
    target.write_bytes(b"the old plan")
    whole = fp32_onnx.read_bytes()
    if kind == "no weights":
        onnx.save(onnx.load(str(fp32_onnx)), str(source), save_as_external_data=True, location="weights")
        (tmp_path / "weights").unlink()
    elif kind == "folder":
        source.mkdir()
    elif kind != "missing":
        content = {
            "empty": b"",
            "truncated": whole[: len(whole) // 2],
            "random": np.random.default_rng(1).bytes(5000),
            "text": b"import torch\n" * 50,
            "plan": report.path.read_bytes(),
        }
        source.write_bytes(content[kind])
    with pytest.raises(EngineError, match=said):
        engine.build(source, target, TYPICAL, progress=False)
    assert target.read_bytes() == b"the old plan"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("empty", r"is empty \(0 bytes\)"),
        ("truncated", "is cut short"),
        ("only its head", "is cut short|no plan"),
        ("random", "is no plan of this TensorRT"),
        ("text", r"is a text that begins 'import torch"),
        ("pointer", "Git LFS pointer"),
        ("onnx", "is an ONNX file"),
        ("onnx as plan", "is no plan of this TensorRT"),
        ("other version", r"another version of TensorRT.*build it again with this version(.|\n)*Version tag"),
        ("one bit turned", "is damaged"),
        ("missing", "No plan at"),
        ("folder", "is a folder"),
    ],
)
def test_broken_plans(kind, said, fp32_onnx, report, tmp_path):
    source = tmp_path / ("model.onnx" if kind == "onnx" else "model.plan")
    whole = report.path.read_bytes()
    if kind == "folder":
        source.mkdir()
    elif kind != "missing":
        other = f"{report.version}.1"
        content = {
            "empty": b"",
            "truncated": whole[:-7],
            "only its head": whole[:40],
            "random": np.random.default_rng(1).bytes(5000),
            "text": b"import torch\n" * 50,
            "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "onnx": fp32_onnx.read_bytes(),
            "onnx as plan": fp32_onnx.read_bytes(),
            "other version": bytes(dataclasses.replace(open_plan(whole), version=other).serialize()),
            "one bit turned": whole[:500] + bytes([whole[500] ^ 1]) + whole[501:],
        }
        source.write_bytes(content[kind])
    with pytest.raises(EngineError, match=said):
        engine.load(source)


def test_paths_that_cannot_be_written(fp32_onnx, tmp_path):
    with pytest.raises(EngineError, match="is a folder"):
        engine.build(fp32_onnx, tmp_path, TYPICAL)
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="Cannot write"):
        engine.build(fp32_onnx, tmp_path / "file" / "m.plan", TYPICAL, progress=False)


# --- progress ---


def test_progress_nests_and_never_runs_backwards():
    bar = engine._Progress("Building", enabled=False)
    seen = []
    bar.start("all", None, 2)
    for part in ("first", "second"):
        bar.start(part, "all", 4)
        for step in range(4):
            bar.step(part, step)
            seen.append(bar.share)
        bar.finish(part)
        bar.step("all", 0 if part == "first" else 1)
    assert seen == [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0]
    bar.start("again", "all", 10)
    assert bar.share == 1.0
    bar.step("never started", 3)
    bar.finish("all")
    assert bar.share == 1.0


def test_a_real_build_draws_one_bar_on_a_terminal(fp32_onnx, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    engine.build(fp32_onnx, tmp_path / "small.plan", TYPICAL)
    drawn = capsys.readouterr().err
    assert "Building small.plan" in drawn
    assert "\n" not in drawn.rstrip("\r\n ")  # one line, drawn over and over, and gone in the end
    assert drawn.rstrip(" ").endswith("\r")


def test_nothing_is_drawn_into_a_pipe(fp32_onnx, tmp_path, capfd):
    engine.build(fp32_onnx, tmp_path / "m.plan", TYPICAL)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_a_notebook_keeps_a_single_line(tmp_path):
    """A real kernel builds a tiny graph; what is saved of the bar is one line of text."""
    import nbformat
    from nbclient import NotebookClient

    write(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])])
    source = (
        "from helpers import backend, engine\n"
        "backend.activate('simulator', quiet=True)\n"
        "engine.build('m.onnx', 'm.plan', {'x': ((1, 4), (2, 4), (3, 4))});"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    root = str(Path(engine.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root}
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env=environment)
    (output,) = notebook.cells[0].outputs
    assert output["output_type"] == "display_data"
    assert output["data"]["text/plain"].startswith("Building m.plan: done after")
    assert list(output["data"]) == ["text/plain"]


def test_ctrl_c_stops_a_build_and_keeps_the_old_plan(fp32_onnx, tmp_path, monkeypatch):
    target = tmp_path / "m.plan"
    target.write_bytes(b"the old plan")

    def stop(self, name, step):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine._Progress, "step", stop)
    with pytest.raises(KeyboardInterrupt):
        engine.build(fp32_onnx, target, TYPICAL)
    assert target.read_bytes() == b"the old plan"


def test_a_bar_that_cannot_be_drawn_does_not_stop_a_build(fp32_onnx, tmp_path, monkeypatch):
    def fail(self, name, step):
        raise OSError("the terminal is gone")

    monkeypatch.setattr(engine._Progress, "step", fail)
    assert engine.build(fp32_onnx, tmp_path / "m.plan", TYPICAL).plan_bytes


# --- what is read from the log ---


def test_layers_are_read_in_both_spellings():
    text = "Engine Layer Information:\nLayer(Myelin): {ForeignNode[a...b]}, x -> y\nLayer(Reformat): r, x"
    lines = [engine.LogLine("VERBOSE", "Layers: none of this counts"), engine.LogLine("VERBOSE", text)]
    assert engine._engine_layers(lines) == (
        engine.EngineLayer("{ForeignNode[a...b]}", "Myelin"),
        engine.EngineLayer("r", "Reformat"),
    )


def test_a_logger_of_someone_else_does_not_take_our_lines(fp32_onnx, tmp_path):
    import tensorrt as trt

    mine = trt.Logger(trt.Logger.ERROR)
    other = trt.Builder(mine)
    built = engine.build(fp32_onnx, tmp_path / "m.plan", TYPICAL, progress=False)
    assert built.activation_bytes and built.engine_layers
    assert other is not None


def test_a_refusal_without_a_reason_says_so():
    silent = SimpleNamespace(first_error=lambda: None)
    assert engine._because(silent, "The builder refused m.onnx", "look") == (
        "The builder refused m.onnx, and gave no reason. To do: look."
    )


def test_minimum_optimum_and_maximum_are_run(report, classifier, make_batch):
    import torch

    from helpers.runtime import TensorRTRunner

    with TensorRTRunner(report.path) as runner:
        for low_best_high in TYPICAL["input_ids"]:
            ids, mask = make_batch(*low_best_high)
            with torch.inference_mode():
                reply = classifier.model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
            logits = runner(input_ids=ids, attention_mask=mask)["logits"]
            np.testing.assert_allclose(logits, reply.logits.numpy(), atol=1e-4)
