"""TensorRT's path against PyTorch, both sizes: through export, NVIDIA's builder, the plan and the runner.

The figures are printed: `pytest tests/library/test_parity.py -s`.
"""

from __future__ import annotations

import numpy as np
import pytest

from helpers import data, engine, precision
from helpers.export import INPUTS, export_onnx
from helpers.models import load_classifier
from helpers.runtime import TensorRTRunner

pytestmark = pytest.mark.usefixtures("simulator")
BATCHES = (1, 16, 17, 100, 128)


def pytorch_logits(model, ids, mask, rows=128):
    import torch

    with torch.inference_mode():
        parts = [
            model(torch.tensor(ids[i : i + rows]), attention_mask=torch.tensor(mask[i : i + rows])).logits
            for i in range(0, len(ids), rows)
        ]
    return torch.cat(parts).numpy()


def engine_logits(runner, ids, mask, rows=128):
    return np.concatenate(
        [
            runner(input_ids=ids[i : i + rows], attention_mask=mask[i : i + rows])["logits"]
            for i in range(0, len(ids), rows)
        ]
    )


def build(onnx_path, folder, longest=128):
    shapes = ((1, 64), (min(32, longest), 64), (longest, 64))
    return engine.build(onnx_path, folder / f"{onnx_path.stem}.plan", dict.fromkeys(INPUTS, shapes), progress=False)


@pytest.fixture(scope="module")
def small(classifier):
    encoded = data.encode(classifier.tokenizer, data.load_texts(2500), 64)
    ids, mask = encoded.input_ids, encoded.attention_mask
    return ids, mask, pytorch_logits(classifier.model, ids, mask)


@pytest.fixture(scope="module")
def plans(fp32_onnx, fp16_onnx, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plans")
    return {"fp32": build(fp32_onnx, folder).path, "fp16": build(fp16_onnx, folder).path}


def test_small_fp32(plans, small):
    ids, mask, want = small
    with TensorRTRunner(plans["fp32"]) as runner:
        got = engine_logits(runner, ids, mask)
    print(f"small, FP32: max difference {np.abs(got - want).max():.2e} over {len(ids)} texts")
    assert got.shape == want.shape and np.isfinite(got).all()
    assert np.abs(got - want).max() <= 1e-4


def test_small_fp16_and_its_labels(plans, small):
    ids, mask, want = small
    with TensorRTRunner(plans["fp16"]) as runner:
        got = engine_logits(runner, ids, mask).astype(np.float32)
    ordered = np.sort(want, axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    other = np.flatnonzero(got.argmax(1) != want.argmax(1))
    print(f"small, {precision.STORAGE}: max difference {np.abs(got - want).max():.2e}")
    print(f"labels equal: {len(ids) - len(other)} of {len(ids)}")
    for row in other:
        print(f"  text {row}: margin {margin[row]:.4f} between FP32's two best labels")
    assert np.isfinite(got).all() and np.abs(got - want).max() <= 2e-2
    assert 1 - len(other) / len(ids) >= 0.995


def test_small_true_fp16(fp16_onnx, small):
    ids, mask, want = small
    outputs = precision.true_fp16_outputs(fp16_onnx, {"input_ids": ids[:8], "attention_mask": mask[:8]})
    got = outputs["logits"].astype(np.float32)
    print(f"small, {precision.TRUE_FP16}, batch 8: max difference {np.abs(got - want[:8]).max():.2e}")
    assert np.isfinite(got).all() and np.abs(got - want[:8]).max() <= 2e-2
    assert precision.first_non_finite(fp16_onnx, {"input_ids": ids[:8], "attention_mask": mask[:8]}) is None


def test_planted_overflow_passes_storage_and_fails_true_fp16(tmp_path):
    path = precision.planted_overflow(tmp_path / "overflow.onnx")
    x = {"x": np.ones(4, np.float16)}
    assert (precision.storage_outputs(path, x)["y"] == 1).all()
    assert np.isinf(precision.true_fp16_outputs(path, x)["y"]).all()
    assert "infinite" in str(precision.first_non_finite(path, x))
    print(precision.first_non_finite(path, x))


def test_one_engine_serves_every_batch_and_refuses_the_rest(plans, small, capfd):
    import pycuda.autoprimaryctx  # noqa: F401
    import tensorrt as trt

    ids, mask, want = small
    with TensorRTRunner(plans["fp32"]) as runner:
        for batch in BATCHES:
            got = runner(input_ids=ids[:batch], attention_mask=mask[:batch])["logits"]
            assert got.shape == (batch, want.shape[1]) and np.abs(got - want[:batch]).max() <= 1e-4
    loaded = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(plans["fp32"].read_bytes())
    context = loaded.create_execution_context()
    for batch in (0, 129):
        assert context.set_input_shape("input_ids", (batch, 64)) is False
        said = "".join(capfd.readouterr())
        assert f"Set dimension [{batch},64] for tensor input_ids does not satisfy any optimization profiles" in said
        print(said.strip())


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """The full architecture: 6 layers x 768, with weights from the hub or random ones."""
    classifier = load_classifier("full")
    folder = tmp_path_factory.mktemp("full")
    fp32 = export_onnx(classifier.model, folder / "fp32.onnx")
    rng = np.random.default_rng(0)
    ids = rng.integers(1, classifier.model.config.vocab_size, (32, 64))
    mask = (np.arange(64) < rng.integers(5, 65, (32, 1))).astype(np.int64)
    return folder, fp32, ids, mask, pytorch_logits(classifier.model, ids, mask)


@pytest.mark.parametrize(("kind", "tolerance"), [("fp32", 1e-4), ("fp16", 2e-2)])
def test_full_size(full, kind, tolerance):
    folder, path, ids, mask, want = full
    if kind == "fp16":
        path = precision.to_fp16(path, folder / "fp16.onnx")
    report = build(path, folder, longest=32)
    with TensorRTRunner(report.path) as runner:
        got = engine_logits(runner, ids, mask, rows=32).astype(np.float32)
    print(f"full size, {kind}: max difference {np.abs(got - want).max():.2e} over {len(ids)} texts; {report}")
    assert got.shape == want.shape and np.isfinite(got).all()
    assert np.abs(got - want).max() <= tolerance
