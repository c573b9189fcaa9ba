"""TensorRTRunner on the simulator, over both transports."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import backend
from helpers.engine import EngineError
from helpers.runtime import InputError, TensorRTRunner

from .simulator import conftest as simulator
from .simulator.conftest import BATCHES, TEXTS, Log, build, classifier_model, linear_model, reference

trt, cuda = simulator.trt, simulator.cuda  # the fixtures


@pytest.fixture(scope="module")
def plan_path(trt, tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "classifier.plan"
    path.write_bytes(build(trt, Log(trt), classifier_model(), TEXTS))
    return path


def texts(batch: int):
    rng = np.random.default_rng(batch)
    return {"input_ids": rng.integers(0, 100, (batch, 64)), "attention_mask": np.ones((batch, 64), np.int64)}


def test_batches_in_turn(cuda, plan_path):
    with TensorRTRunner(plan_path) as runner:
        for batch in (1, 128, 17, 100, 16):
            inputs = texts(batch)
            logits = runner(**inputs)["logits"]
            assert logits.shape == (batch, 2) and logits.dtype == np.float32
            np.testing.assert_allclose(logits, reference(**_ids(inputs)), atol=1e-4)


def _ids(inputs):
    return {"ids": inputs["input_ids"], "mask": inputs["attention_mask"]}


def test_copies_only_what_the_batch_uses_and_synchronises_once(cuda, plan_path):
    with TensorRTRunner(plan_path) as runner:
        runner(**texts(128))
        before = backend.record_length()
        runner(**texts(16))
        events = backend.record(before)
    assert [e["op"] for e in events] == ["htod", "htod", "execute", "dtoh", "synchronize"]
    assert [e["nbytes"] for e in events if e["op"] in ("htod", "dtoh")] == [8192, 8192, 128]
    assert {e["memory"] for e in events if e["op"] in ("htod", "dtoh")} == {"pinned"}


def test_outputs_are_copies_or_documented_views(cuda, plan_path):
    with TensorRTRunner(plan_path) as runner:
        first = runner(**texts(2))["logits"]
        kept = first.copy()
        runner(**texts(3))
        np.testing.assert_array_equal(first, kept)
    with TensorRTRunner(plan_path, view=True) as runner:
        first = runner(**texts(2))["logits"]
        kept = first.copy()
        runner(**texts(3))
        assert not np.array_equal(first, kept)


def test_memory_comes_back(cuda, plan_path):
    free = cuda.mem_get_info()[0]
    with TensorRTRunner(plan_path) as runner:
        assert cuda.mem_get_info()[0] < free
        assert runner.context is not None
    runner.close()
    assert cuda.mem_get_info()[0] == free


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda i: {"input_ids": i["input_ids"]}, "has the inputs input_ids, attention_mask; got input_ids"),
        (lambda i: {**i, "token_type_ids": i["input_ids"]}, "got input_ids, attention_mask, token_type_ids"),
        (lambda i: {**i, "input_ids": i["input_ids"].astype(np.int32)}, r"is int32, the engine expects int64.*astype"),
        (lambda i: {**i, "input_ids": i["input_ids"].astype(float)}, "is float64"),
        (lambda i: {k: v[0] for k, v in i.items()}, r"has shape \[64\], profile 0 allows \[1, 64\] to \[128, 64\]"),
        (lambda i: {k: np.tile(v, (65, 1)) for k, v in i.items()}, r"has shape \[130, 64\]"),
        (lambda i: {k: v[:0] for k, v in i.items()}, r"has shape \[0, 64\]"),
        (lambda i: {k: v[:, :63] for k, v in i.items()}, r"has shape \[2, 63\]"),
    ],
)
def test_wrong_inputs_are_one_clear_error_and_lose_nothing(cuda, plan_path, change, words):
    with TensorRTRunner(plan_path) as runner:
        with pytest.raises(InputError, match=words):
            runner(**change(texts(2)))
        assert runner(**texts(2))["logits"].shape == (2, 2)


def test_two_profiles(cuda, trt, log_plan):
    x = np.ones((16, 8), np.float32)
    with TensorRTRunner(log_plan, profile=1) as runner:
        assert runner(x=x)["y"].shape == (16, 4)
    with TensorRTRunner(log_plan) as runner, pytest.raises(InputError, match=r"profile 0 allows \[1, 8\] to \[4, 8\]"):
        runner(x=x)
    with pytest.raises(InputError, match="profile 2 does not exist"):
        TensorRTRunner(log_plan, profile=2).__enter__()


@pytest.fixture
def log_plan(trt, cuda):
    log = Log(trt)
    plan = build(trt, log, linear_model(), BATCHES, {"x": ((8, 8), (16, 8), (32, 8))})
    return trt.Runtime(log.logger).deserialize_cuda_engine(plan)


def test_broken_plans_and_missing_files(cuda, tmp_path):
    with pytest.raises(EngineError), TensorRTRunner(tmp_path / "missing.plan"):
        pass
    (tmp_path / "empty.plan").write_bytes(b"")
    with pytest.raises(EngineError), TensorRTRunner(tmp_path / "empty.plan"):
        pass


def test_not_entered(plan_path):
    with pytest.raises(InputError, match="with TensorRTRunner"):
        TensorRTRunner(plan_path)(input_ids=1)


def test_a_device_that_is_full(trt, tmp_path):
    from helpers.simulator import host

    plan_path = tmp_path / "linear.plan"
    plan_path.write_bytes(build(trt, Log(trt), linear_model(), BATCHES))
    host.use("process", memory=1 << 20)
    try:
        with pytest.raises(EngineError, match="device memory is out"), TensorRTRunner(plan_path):
            pass
    finally:
        host.use("process")


def test_the_context_is_made_where_none_is_current(trt, plan_path):
    import threading

    shapes = []

    def work() -> None:
        with TensorRTRunner(plan_path) as runner:
            shapes.append(runner(**texts(2))["logits"].shape)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert shapes == [(2, 2)]
