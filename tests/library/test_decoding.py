"""Decoding loops, steps and what they cost: properties of the loop, bytes against the device's record, FLOP against
PyTorch's own counter. Whether the engines' tokens are PyTorch's is in test_decoding_parity.py."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import backend, decoding, engine
from helpers.decoding import DecodingError, TensorRTStep


class Recorded:
    """A step with a known rule (the next token is a function of the row's last one) that keeps what it was given."""

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        self.seen.append((input_ids.copy(), attention_mask.copy()))
        logits = np.zeros((len(input_ids), self.vocabulary), np.float32)
        logits[np.arange(len(input_ids)), (3 * input_ids[:, -1] + 1) % self.vocabulary] = 1
        return logits


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_the_loop_feeds_the_whole_sequence_and_extends_the_mask_by_ones(data: st.DataObject) -> None:
    rows, prompt, new = (data.draw(st.integers(1, most)) for most in (4, 6, 5))
    vocabulary = data.draw(st.integers(2, 40))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    ids = random.integers(0, vocabulary, (rows, prompt))
    mask = (np.arange(prompt) >= random.integers(0, prompt, (rows, 1))).astype(np.int64)
    before = ids.copy(), mask.copy()
    step = Recorded(vocabulary)
    tokens = decoding.greedy(step, ids, mask, prompt + new)
    assert tokens.shape == (rows, prompt + new) and tokens.dtype == np.int64
    assert np.array_equal(ids, before[0]) and np.array_equal(mask, before[1])
    assert np.array_equal(tokens[:, :prompt], ids)
    for at in range(prompt, prompt + new):
        assert np.array_equal(tokens[:, at], (3 * tokens[:, at - 1] + 1) % vocabulary)
    assert [given[0].shape[1] for given in step.seen] == list(range(prompt, prompt + new))
    for given_ids, given_mask in step.seen:
        assert np.array_equal(given_ids, tokens[:, : given_ids.shape[1]])
        assert np.array_equal(given_mask[:, :prompt], mask) and given_mask[:, prompt:].all()


@pytest.mark.parametrize(
    ("ids", "mask", "length", "said"),
    [
        (np.ones((2, 3), np.int32), np.ones((2, 3), np.int64), 4, "input_ids is int32"),
        (np.ones(3, np.int64), np.ones(3, np.int64), 4, "Expected int64 [batch, tokens]"),
        (np.ones((2, 0), np.int64), np.ones((2, 0), np.int64), 4, "Expected int64 [batch, tokens]"),
        (np.ones((2, 3), np.int64), np.ones((2, 4), np.int64), 4, "Expected the same shape"),
        (np.ones((2, 3), np.int64), np.array([[1, 1, 1], [1, 1, 0]]), 4, "last position of row 1 is padding"),
        (np.ones((2, 3), np.int64), np.ones((2, 3), np.int64), 2, "length is 2, the prompt has 3"),
    ],
)
def test_prompts_that_cannot_be_decoded_are_named(ids: Any, mask: Any, length: int, said: str) -> None:
    step = Recorded(9)
    with pytest.raises(DecodingError) as raised:
        decoding.greedy(step, ids, mask, length)
    assert said in str(raised.value) and not step.seen


def test_the_first_difference_of_a_row_is_named_with_its_margin() -> None:
    def changed(input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        logits = Recorded(9)(input_ids, attention_mask)
        if input_ids.shape[1] == 5:
            logits[1] = np.arange(9)
        return logits

    ids = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 0]])
    found = decoding.verify(changed, Recorded(9), ids, np.ones_like(ids), 7)
    (one,) = found.divergences
    assert (one.row, one.position, one.actual, one.margin) == (1, 5, 8, 1.0)
    assert found.tokens == 12 and found.equal < 12 and not found.exact and found.share == found.equal / 12
    assert found.max_abs_diff == 8
    same = decoding.verify(Recorded(9), Recorded(9), ids, np.ones_like(ids), 7)
    assert same.exact and same.divergences == () and same.max_abs_diff == 0


# --- steps ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prompts(generator: Any) -> tuple[np.ndarray, np.ndarray]:
    from helpers import data

    ids, mask = data.encode_prompts(generator.tokenizer, data.load_prompts(3), 4)
    return ids, mask


@pytest.mark.parametrize("copy", decoding.COPIES)
@pytest.mark.parametrize("preallocate", [False, True])
@pytest.mark.parametrize("graph", ["full", "last step"])
def test_bytes_of_a_generation_are_those_on_paper(
    decoder_plans: dict[str, Path],
    generator: Any,
    prompts: tuple[np.ndarray, np.ndarray],
    graph: str,
    preallocate: bool,
    copy: str,
) -> None:
    rows, prompt = prompts[0].shape
    with TensorRTStep(decoder_plans[graph], preallocate=preallocate, copy=copy) as step:
        before = backend.record_length()
        decoding.greedy(step, *prompts, 9)
        events = backend.record(before)
    sums = {op: sum(e["nbytes"] for e in events if e["op"] == op) for op in ("htod", "dtoh")}
    last = graph == "last step" or copy != "full"
    assert sums["dtoh"] == decoding.copied_bytes(rows, prompt, 9, generator.vocabulary, last)
    assert sums["htod"] == sum(2 * 8 * rows * t for t in range(prompt, 9))
    count = {op: sum(e["op"] == op for e in events) for op in ("alloc", "free", "execute", "synchronize", "dtoh")}
    steps = 9 - prompt
    assert count["execute"] == count["synchronize"] == steps
    assert count["dtoh"] == steps * (rows if graph == "full" and copy == "rows" else 1)
    allocated = 0 if preallocate else 3 * steps
    assert count["alloc"] == count["free"] == allocated


def test_a_step_leaves_nothing_behind(decoder_plans: dict[str, Path], prompts: tuple[np.ndarray, np.ndarray]) -> None:
    import gc

    import pycuda.autoprimaryctx  # noqa: F401
    import pycuda.driver as cuda

    gc.collect()
    free = cuda.mem_get_info()[0]
    for options in ({"preallocate": False, "copy": "full"}, {}):
        with TensorRTStep(decoder_plans["full"], **options) as step:
            decoding.greedy(step, *prompts, 6)
            with pytest.raises(DecodingError, match="outside the profile"):
                step(np.ones((17, 3), np.int64), np.ones((17, 3), np.int64))
        gc.collect()
        assert cuda.mem_get_info()[0] == free


def test_results_belong_to_the_caller(decoder_plans: dict[str, Path], prompts: tuple[np.ndarray, np.ndarray]) -> None:
    with TensorRTStep(decoder_plans["full"]) as step:
        first = step(*prompts)
        kept = first.copy()
        step(prompts[0][:, 1:], prompts[1][:, 1:])
        assert np.array_equal(first, kept)


def test_wrong_use_is_named(decoder_plans: dict[str, Path], fp32_onnx: Path) -> None:
    with pytest.raises(DecodingError, match="copy is 'all'"):
        TensorRTStep(decoder_plans["full"], copy="all")
    with pytest.raises(DecodingError, match="is not open"):
        TensorRTStep(decoder_plans["full"])(np.ones((1, 1), np.int64), np.ones((1, 1), np.int64))
    with TensorRTStep(decoder_plans["full"]) as step:
        for ids, mask in (
            (np.ones((1, 3), np.int32), np.ones((1, 3), np.int32)),
            (np.ones((1, 3), np.int64), np.ones((1, 2), np.int64)),
        ):
            with pytest.raises(DecodingError, match="Expected the same shape, and int64"):
                step(ids, mask)


def test_flop_on_paper_are_those_that_pytorch_counts(generator: Any) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    for batch, tokens in ((1, 5), (3, 17)):
        ids = torch.ones((batch, tokens), dtype=torch.int64)
        for last_step in (False, True):
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                generator.model(input_ids=ids, use_cache=False, logits_to_keep=1 if last_step else 0)
            assert decoding.step_flop(generator.model.config, batch, tokens, last_step) == counter.get_total_flops()


def test_the_trtexec_line_says_what_build_does() -> None:
    profile = {"input_ids": ((1, 1), (8, 16), (16, 32)), "attention_mask": ((1, 1), (8, 16), (16, 32))}
    words = shlex.split(engine.trtexec_command("a b.onnx", "c.plan", profile, workspace=1 << 30))
    assert words[:3] == ["trtexec", "--onnx=a b.onnx", "--saveEngine=c.plan"]
    assert "--minShapes=input_ids:1x1,attention_mask:1x1" in words
    assert "--optShapes=input_ids:8x16,attention_mask:8x16" in words
    assert "--maxShapes=input_ids:16x32,attention_mask:16x32" in words
    assert "--memPoolSize=workspace:1024M" in words and "--noTF32" in words
    two = shlex.split(engine.trtexec_command("a.onnx", "c.plan", [profile, profile]))
    assert [word for word in two if word.startswith("--profile=")] == ["--profile=0", "--profile=1"]
    with pytest.raises(engine.EngineError):
        engine.trtexec_command("a.onnx", "c.plan", {"input_ids": ((1, 1),)})
