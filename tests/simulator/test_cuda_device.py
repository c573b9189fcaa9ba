"""The simulator's API on a real GPU by ONNX Runtime's CUDA provider, with pycuda or without. Run: pytest -m gpu."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from helpers import backend

from .conftest import Log, reference
from .test_run import Classifier, texts

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def gpu(trt):
    """`pycuda.driver`: the real one where it is installed, else our front end over `cuda.bindings`."""
    active = backend.current()
    assert active is not None and "CUDA provider" in active.engine, "no GPU with ONNX Runtime's CUDA provider here"
    import pycuda.autoprimaryctx
    import pycuda.driver

    print("pycuda:", pycuda.__file__, "| engine:", active.engine)
    return pycuda.driver


@pytest.fixture
def classifier(trt, gpu, plans):
    return Classifier(trt, gpu, plans["classifier"], Log(trt))


@pytest.mark.parametrize("batch", [1, 16, 17, 100, 128])
def test_batches(classifier, batch):
    ids, mask = texts(batch, seed=batch)
    np.testing.assert_allclose(classifier(ids, mask), reference(ids, mask), atol=1e-4)


@pytest.mark.parametrize("batch", [0, 129])
def test_refusals(classifier, batch):
    assert classifier.enqueue(*texts(batch)) is False
    assert "condition: satisfyProfile" in classifier.log.said()


def test_a_thousand_times_on_a_users_stream_without_synchronising_between(classifier):
    right = 0
    for seed in range(1000):
        ids, mask = texts(1 + seed % 128, seed)
        right += bool(np.allclose(classifier(ids, mask), reference(ids, mask), atol=1e-4))
    assert right == 1000


def test_two_streams_two_contexts_interleaved(trt, gpu, plans):
    runs = [Classifier(trt, gpu, plans["classifier"], Log(trt)) for _ in range(2)]
    for seed in range(200):
        batches = [texts(64, 2 * seed + i) for i in range(2)]
        assert all(run.enqueue(*batch) for run, batch in zip(runs, batches, strict=True))
        for run, (ids, mask) in zip(runs, batches, strict=True):
            run.stream.synchronize()
            got = run.host["logits"][:128].reshape(64, 2)
            np.testing.assert_allclose(got, reference(ids, mask), atol=1e-4)


def test_events_and_memory(gpu, classifier):
    start, end = gpu.Event(), gpu.Event()
    classifier(*texts(128))
    start.record(classifier.stream)
    assert classifier.enqueue(*texts(128))
    end.record(classifier.stream)
    end.synchronize()
    assert 0 < start.time_till(end) < 1000
    free, total = gpu.mem_get_info()
    assert 0 < free < total
    allocation = gpu.mem_alloc(1 << 28)
    assert free - gpu.mem_get_info()[0] >= 1 << 27
    allocation.free()


def test_pageable_copies_and_memset(gpu):
    device = gpu.to_device(np.arange(4, dtype=np.int32))
    gpu.memset_d32(int(device) + 8, 7, 1)
    assert list(gpu.from_device(device, 4, np.int32)) == [0, 1, 7, 3]
    other = gpu.mem_alloc(16)
    gpu.memcpy_dtod(other, device, 16)
    assert list(gpu.from_device(other, 4, np.int32)) == [0, 1, 7, 3]


def test_the_last_step_of_logits(gpu):
    """Copies at offsets and a copy with a pitch, into pinned and pageable memory, bring the same rows."""
    batch, tokens, vocabulary = 8, 32, 1001
    logits = np.random.default_rng(0).random((batch, tokens, vocabulary), np.float32)
    device, stream = gpu.to_device(logits), gpu.Stream()
    width = vocabulary * 4
    for length in (32, 5):
        want = logits.reshape(-1)[: batch * length * vocabulary].reshape(batch, length, vocabulary)[:, -1]
        at_offsets = gpu.pagelocked_zeros((batch, vocabulary), np.float32)
        for row in range(batch):
            gpu.memcpy_dtoh_async(at_offsets[row], int(device) + (row * length + length - 1) * width, stream)
        found = [at_offsets]
        for target in (gpu.pagelocked_zeros(want.shape, np.float32), np.zeros(want.shape, np.float32)):
            copy = gpu.Memcpy2D()
            copy.set_src_device(device)
            copy.src_x_in_bytes, copy.src_pitch = (length - 1) * width, length * width
            copy.set_dst_host(target)
            copy.dst_pitch = copy.width_in_bytes = width
            copy.height = batch
            copy(stream)
            found.append(target)
        stream.synchronize()
        for got in found:
            np.testing.assert_array_equal(got, want)


def test_execute_v2(classifier, gpu):
    ids, mask = texts(2)
    for name, array in (("input_ids", ids), ("attention_mask", mask)):
        classifier.context.set_input_shape(name, array.shape)
        gpu.memcpy_htod(classifier.device[name], array)
    assert classifier.context.execute_v2([int(classifier.device[n]) for n in classifier.engine])
    got = gpu.from_device(classifier.device["logits"], (2, 2), np.float32)
    np.testing.assert_allclose(got, reference(ids, mask), atol=1e-4)


def test_shared_with_pytorch(classifier):
    torch = pytest.importorskip("torch")
    x = torch.ones(4, device="cuda")
    ids, mask = texts(16)
    np.testing.assert_allclose(classifier(ids, mask), reference(ids, mask), atol=1e-4)
    assert float((x + 1).sum()) == 8


def test_broken_plan(trt, gpu):
    log = Log(trt)
    assert trt.Runtime(log.logger).deserialize_cuda_engine(b"hello, I am a text file, and longer than a header") is None
    assert "kEXPECTED_MAGIC_TAG failed" in log.said()


def test_engines_come_and_go(trt, gpu, plans):
    for _ in range(5):
        run = Classifier(trt, gpu, plans["classifier"], Log(trt))
        run(*texts(4))
        del run
        gc.collect()


def test_full_size_distilbert(trt, gpu, tmp_path):
    torch = pytest.importorskip("torch")
    from helpers.engine import build
    from helpers.export import export_onnx
    from helpers.models import load_classifier
    from helpers.runtime import TensorRTRunner

    classifier = load_classifier("full")
    path = export_onnx(classifier.model, tmp_path / "m.onnx")
    shapes = ((1, 64), (32, 64), (128, 64))
    build(path, tmp_path / "m.plan", {"input_ids": shapes, "attention_mask": shapes})
    rng = np.random.default_rng(0)
    ids = rng.integers(1, classifier.model.config.vocab_size, (32, 64))
    mask = (np.arange(64) < rng.integers(5, 65, (32, 1))).astype(np.int64)
    with TensorRTRunner(tmp_path / "m.plan") as runner, torch.no_grad():
        got = runner(input_ids=ids, attention_mask=mask)["logits"]
        want = classifier.model(torch.tensor(ids), attention_mask=torch.tensor(mask)).logits.numpy()
    print("full size, FP32, max difference to PyTorch on the CPU:", np.abs(got - want).max())
    assert np.abs(got - want).max() < 1e-4
