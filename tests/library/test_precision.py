"""FP16: what the graph holds afterwards, and the difference between FP16 storage and FP16 arithmetic."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers import precision
from helpers.precision import PrecisionError


def graph(path, nodes, weights, *, rank=1, dtype=TensorProto.FLOAT):
    """An ONNX file with input x, output y and some weights."""
    axes = [f"axis{index}" for index in range(rank)]
    proto = helper.make_model(
        helper.make_graph(
            nodes,
            "test",
            [helper.make_tensor_value_info("x", dtype, axes)],
            [helper.make_tensor_value_info("y", dtype, axes)],
            initializer=[numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    onnx.save(proto, str(path))
    return path


def add(path, weight):
    return graph(path, [helper.make_node("Add", ["x", "w"], ["y"], name="add")], {"w": np.float32(weight)})


def feeds(batch):
    return dict(zip(("input_ids", "attention_mask"), batch, strict=True))


def test_inputs_keep_their_integers_and_everything_else_is_fp16(fp16_onnx, fp32_onnx):
    proto = onnx.load(str(fp16_onnx))
    assert [value.type.tensor_type.elem_type for value in proto.graph.input] == [TensorProto.INT64] * 2
    assert [value.type.tensor_type.elem_type for value in proto.graph.output] == [TensorProto.FLOAT16]
    assert all(item.data_type != TensorProto.FLOAT for item in proto.graph.initializer)
    assert fp16_onnx.stat().st_size < 0.6 * fp32_onnx.stat().st_size


def test_outputs_stay_fp32_when_asked(fp32_onnx, tmp_path, make_batch):
    path = precision.to_fp16(fp32_onnx, tmp_path / "io32.onnx", fp32_outputs=True)
    batch = feeds(make_batch(4, 16))
    logits = precision.storage_outputs(path, batch)["logits"]
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, precision.storage_outputs(fp32_onnx, batch)["logits"], atol=2e-2)


@pytest.mark.parametrize("run", [precision.storage_outputs, precision.true_fp16_outputs])
def test_fp16_answers_are_close_to_fp32(run, fp16_onnx, fp32_onnx, make_batch):
    batch = feeds(make_batch(8, 32))
    exact = precision.storage_outputs(fp32_onnx, batch)["logits"]
    half = run(fp16_onnx, batch)["logits"]
    assert half.dtype == np.float16
    assert np.abs(half - exact).max() < 2e-2


def test_a_fully_masked_row_stays_finite(fp16_onnx, make_batch):
    ids, mask = make_batch(4, 16)
    mask[2] = 0
    batch = feeds((ids, mask))
    for run in (precision.storage_outputs, precision.true_fp16_outputs):
        assert np.isfinite(run(fp16_onnx, batch)["logits"]).all()
    assert precision.first_non_finite(fp16_onnx, batch) is None


def test_minus_infinity_of_fp32_becomes_a_finite_number_that_still_masks(tmp_path):
    lowest = np.finfo(np.float32).min
    nodes = [
        helper.make_node("Add", ["x", "w"], ["masked"], name="mask"),
        helper.make_node("Softmax", ["masked"], ["y"], name="softmax"),
    ]
    source = graph(tmp_path / "a.onnx", nodes, {"w": np.array([0, lowest], np.float32)})
    half = precision.to_fp16(source, tmp_path / "b.onnx")
    reply = precision.true_fp16_outputs(half, {"x": np.array([-20, 20], np.float16)})["y"]
    np.testing.assert_array_equal(reply, [1, 0])


def test_planted_overflow_passes_storage_and_fails_arithmetic(tmp_path):
    path = precision.planted_overflow(tmp_path / "overflow.onnx")
    x = {"x": np.array([1.0, 0.5, -1.0], np.float16)}
    np.testing.assert_array_equal(precision.storage_outputs(path, x)["y"], x["x"])
    np.testing.assert_array_equal(precision.true_fp16_outputs(path, x)["y"], [np.inf, 0.5, -np.inf])
    found = precision.first_non_finite(path, x)
    assert (found.operator, found.tensor, found.infinities, found.nans) == ("Mul", "times_90000", 2, 0)
    assert "times_90000" in str(found)


def test_constants_that_are_infinite_by_intent_are_not_reported(tmp_path):
    constant = numpy_helper.from_array(np.float16(-np.inf), "c")
    nodes = [
        helper.make_node("Constant", [], ["c"], value=constant),
        helper.make_node("Max", ["x", "c"], ["y"], name="max"),
    ]
    path = graph(tmp_path / "a.onnx", nodes, {}, dtype=TensorProto.FLOAT16)
    assert precision.first_non_finite(path, {"x": np.ones(2, np.float16)}) is None


def test_a_weight_beyond_fp16_is_named(tmp_path):
    with pytest.raises(PrecisionError, match=r"w holds 70000, and FP16 ends at 65504"):
        precision.to_fp16(add(tmp_path / "a.onnx", 7e4), tmp_path / "b.onnx")
    assert not (tmp_path / "b.onnx").exists()


@pytest.mark.parametrize("weight", [65504.0, 12345.0, -65504.0, 6e-8])
def test_weights_at_the_ends_of_fp16_survive(weight, tmp_path):
    half = precision.to_fp16(add(tmp_path / "a.onnx", weight), tmp_path / "b.onnx")
    (initializer,) = onnx.load(str(half)).graph.initializer
    assert numpy_helper.to_array(initializer) == np.float16(weight)


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_a_broken_weight_is_named(weight, tmp_path):
    with pytest.raises(PrecisionError, match="w holds 1 values that are infinite or undefined"):
        precision.to_fp16(add(tmp_path / "a.onnx", weight), tmp_path / "b.onnx")


def test_nothing_is_printed(fp32_onnx, tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        precision.to_fp16(fp32_onnx, tmp_path / "a.onnx")
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_files_that_cannot_be_converted(fp32_onnx, fp16_onnx, tmp_path):
    target = tmp_path / "out.onnx"
    target.write_bytes(b"old")
    broken = tmp_path / "broken.onnx"
    for content, said in (
        (fp32_onnx.read_bytes()[:5000], "no ONNX file, or not all of one"),
        (bytes(range(256)) * 8, "no ONNX file, or not all of one"),
        (b"", "is empty"),
    ):
        broken.write_bytes(content)
        with pytest.raises(PrecisionError, match=said):
            precision.to_fp16(broken, target)
    with pytest.raises(PrecisionError, match="No ONNX file"):
        precision.to_fp16(tmp_path / "none.onnx", target)
    with pytest.raises(PrecisionError, match="may have been converted already"):
        precision.to_fp16(fp16_onnx, target)
    with pytest.raises(PrecisionError, match="Cannot write"):
        precision.to_fp16(fp32_onnx, tmp_path)
    onnx.save(onnx.load(str(fp32_onnx)), str(broken), save_as_external_data=True, location="w", size_threshold=0)
    (tmp_path / "w").unlink()
    with pytest.raises(PrecisionError, match="second file"):
        precision.to_fp16(broken, target)
    assert target.read_bytes() == b"old"


def test_a_graph_that_the_converter_cannot_take(tmp_path):
    nodes = [helper.make_node("NoSuchOperator", ["x", "w"], ["y"], name="odd")]
    source = graph(tmp_path / "a.onnx", nodes, {"w": np.float32(1)})
    with pytest.raises(PrecisionError, match="could not be converted"):
        precision.to_fp16(source, tmp_path / "b.onnx")


def test_inputs_are_checked_by_name_dtype_and_rank(fp16_onnx, make_batch):
    ids, mask = make_batch(2, 4)
    for inputs, said in (
        ({"input_ids": ids}, r"Inputs given: \['input_ids'\]"),
        ({"input_ids": ids.astype(np.int32), "attention_mask": mask}, "input_ids is int32.*array of int64"),
        ({"input_ids": ids[0], "attention_mask": mask}, "with 2 axes"),
        ({"input_ids": ids.tolist(), "attention_mask": mask}, "input_ids is list"),
    ):
        for run in (precision.storage_outputs, precision.true_fp16_outputs):
            with pytest.raises(PrecisionError, match=said):
                run(fp16_onnx, inputs)
