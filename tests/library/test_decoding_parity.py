"""Every way of decoding against PyTorch's own `generate`, token by token, on the small trained model.

The figures are printed: `pytest tests/library/test_decoding_parity.py -s`.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import data, decoding, engine, precision
from helpers.decoding import OrtStep, Step, TensorRTStep

pytestmark = pytest.mark.usefixtures("simulator")

Prompts = tuple[np.ndarray, np.ndarray]
Open = Callable[[str], AbstractContextManager[Step]]


@dataclass(frozen=True)
class Case:
    """Prompts of `prompt` tokens, padding included, that are continued to `length` tokens."""

    batch: int
    prompt: int
    length: int
    padded: bool

    def __str__(self) -> str:
        return f"batch {self.batch}, {self.prompt} to {self.length}, {'left-padded' if self.padded else 'no padding'}"


# The rows of the course's tables (prompts of 4 tokens), and beside them ragged batches, a prompt of one token, and
# prompts that are mostly padding.
CASES = (
    Case(1, 4, 12, padded=False),
    Case(8, 4, 12, padded=False),
    Case(16, 4, 12, padded=False),
    Case(8, 4, 8, padded=False),
    Case(8, 4, 16, padded=False),
    Case(8, 4, 32, padded=False),
    Case(3, 1, 16, padded=False),
    Case(1, 20, 64, padded=True),
    Case(8, 14, 32, padded=True),
    Case(16, 20, 48, padded=True),
    Case(5, 40, 64, padded=True),
)
PATHS = (
    "PyTorch, whole sequences",
    "ONNX Runtime",
    "ONNX Runtime, last-step graph",
    "TensorRT, allocates each step, all logits",
    "TensorRT, preallocated, all logits",
    "TensorRT, allocates each step, last step as rows",
    "TensorRT, preallocated, last step as rows",
    "TensorRT, preallocated, last step as 2d",
    "TensorRT, preallocated, last-step graph",
)


def build(onnx_path: Path, folder: Path) -> Path:
    profile = dict.fromkeys(decoding.INPUTS, ((1, 1), (8, 16), (16, 64)))
    return engine.build(onnx_path, folder / f"{onnx_path.stem}.plan", profile, progress=False).path


@pytest.fixture(scope="module")
def prompts_of(generator: Any) -> Callable[[Case], Prompts]:
    every = [generator.tokenizer(prompt)["input_ids"] for prompt in data.load_prompts(150)]

    @cache
    def make(case: Case) -> Prompts:
        fitting = [tuple(row[: case.prompt]) for row in every if (len(row) < case.prompt) == case.padded]
        different = list(dict.fromkeys(fitting))[: case.batch]
        texts = generator.tokenizer.batch_decode(different)
        return data.encode_prompts(generator.tokenizer, texts, case.prompt)

    return make


@pytest.fixture(scope="module")
def expected(generator: Any, prompts_of: Callable[[Case], Prompts]) -> Callable[[Case], np.ndarray]:
    """What `generate` writes with its KV cache."""
    return cache(lambda case: decoding.generate(generator.model, *prompts_of(case), case.length))


@pytest.fixture(scope="module")
def open_path(
    generator: Any, decoder_onnx: Path, last_step_onnx: Path, tmp_path_factory: pytest.TempPathFactory
) -> Open:
    """`with open_path(name) as step`; plans and sessions are made once."""
    folder = tmp_path_factory.mktemp("plans")
    plan, last_plan = build(decoder_onnx, folder), build(last_step_onnx, folder)
    onnx = {"ONNX Runtime": decoder_onnx, "ONNX Runtime, last-step graph": last_step_onnx}

    @cache
    def session(name: str) -> Step:
        return OrtStep(onnx[name], threads=1)

    def make(name: str) -> AbstractContextManager[Step]:
        if name.startswith("PyTorch"):
            return contextlib.nullcontext(decoding.pytorch_step(generator.model))
        if name.startswith("ONNX Runtime"):
            return contextlib.nullcontext(session(name))
        copies = {"all logits": "full", "last step as rows": "rows", "last step as 2d": "2d", "last-step graph": "full"}
        _, allocation, what = name.split(", ")
        return TensorRTStep(
            last_plan if what == "last-step graph" else plan,
            preallocate=allocation == "preallocated",
            copy=copies[what],
        )

    return make


@pytest.mark.parametrize("path", PATHS)
def test_fp32_tokens_are_those_of_generate(
    path: str,
    open_path: Open,
    prompts_of: Callable[[Case], Prompts],
    expected: Callable[[Case], np.ndarray],
) -> None:
    with open_path(path) as step:
        for case in CASES:
            ids, mask = prompts_of(case)
            assert ids.shape == (case.batch, case.prompt) and mask.all() != case.padded
            tokens = decoding.greedy(step, ids, mask, case.length)
            assert tokens.shape == (case.batch, case.length)
            np.testing.assert_array_equal(tokens, expected(case), err_msg=f"{path}: {case}")
            print(f"{path}: {case}: {tokens[:, case.prompt :].size} tokens equal")


def test_generate_without_its_cache_writes_the_same(
    generator: Any, prompts_of: Callable[[Case], Prompts], expected: Callable[[Case], np.ndarray]
) -> None:
    for case in CASES:
        tokens = decoding.generate(generator.model, *prompts_of(case), case.length, cache=False)
        np.testing.assert_array_equal(tokens, expected(case))


def test_cases_are_worth_comparing(
    generator: Any, prompts_of: Callable[[Case], Prompts], expected: Callable[[Case], np.ndarray]
) -> None:
    assert len(PATHS) * len(CASES) >= 20
    end = generator.tokenizer.eos_token_id
    assert any((expected(case)[:, case.prompt :] == end).any() for case in CASES)  # no row stops at an end of text
    for case in CASES:
        rows = expected(case)
        assert len({tuple(row) for row in rows.tolist()}) == case.batch
        if case.padded and case.batch > 1:
            assert len(set(prompts_of(case)[1].sum(1).tolist())) > 2


def test_padding_that_is_taken_for_text_would_show(
    generator: Any, prompts_of: Callable[[Case], Prompts], expected: Callable[[Case], np.ndarray]
) -> None:
    """Positions that do not come from the mask, the usual mistake, change tokens: the cases above would catch it."""
    import torch

    def wrong(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            tensors = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
            positions = torch.arange(ids.shape[1]).expand(ids.shape)
            logits = generator.model(**tensors, position_ids=positions, use_cache=False).logits
        return np.asarray(logits[:, -1])

    for case in CASES:
        tokens = decoding.greedy(wrong, *prompts_of(case), case.length)
        assert np.array_equal(tokens, expected(case)) != case.padded, case


@pytest.mark.parametrize("path", PATHS[1:])
def test_fp32_logits_are_close_at_every_step(
    path: str, generator: Any, open_path: Open, prompts_of: Callable[[Case], Prompts]
) -> None:
    case = Case(16, 20, 48, padded=True)
    with open_path(path) as step:
        agreement = decoding.verify(step, decoding.pytorch_step(generator.model), *prompts_of(case), case.length)
    print(f"{path}: largest difference of logits {agreement.max_abs_diff:.1e} over {agreement.tokens} tokens")
    assert agreement.exact and not agreement.divergences and agreement.share == 1
    assert agreement.max_abs_diff <= 1e-3


def test_wide_vocabulary_chooses_the_same_tokens_through_an_engine(
    prompts_of: Callable[[Case], Prompts], expected: Callable[[Case], np.ndarray], tmp_path: Path
) -> None:
    from helpers.export import export_decoder
    from helpers.models import load_generator

    wide = load_generator("small", vocabulary=50_257)
    plan = build(export_decoder(wide.model, tmp_path / "wide.onnx"), tmp_path)
    for case in (Case(8, 4, 12, padded=False), Case(8, 14, 32, padded=True)):
        with TensorRTStep(plan) as step:
            np.testing.assert_array_equal(decoding.greedy(step, *prompts_of(case), case.length), expected(case))


# --- FP16 -------------------------------------------------------------------------------------------------------------

# By name, with the number of prompts: FP16 on a CPU is slow in PyTorch, and rounds after every operator there.
FP16 = {
    "PyTorch, .half()": 16,
    f"ONNX Runtime, {precision.STORAGE}": 96,
    f"TensorRT, {precision.STORAGE}": 96,
}


@pytest.fixture(scope="module")
def open_fp16(generator: Any, decoder_fp16_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> Open:
    @contextlib.contextmanager
    def make(name: str) -> Iterator[Step]:
        if name.startswith("PyTorch"):
            yield decoding.pytorch_step(copy.deepcopy(generator.model).half())
        elif name.startswith("ONNX Runtime"):
            yield OrtStep(decoder_fp16_onnx, threads=1)
        else:
            with TensorRTStep(build(decoder_fp16_onnx, tmp_path_factory.mktemp("plans"))) as step:
                yield step

    return make


@pytest.mark.parametrize(("name", "prompts"), FP16.items())
def test_fp16_differs_only_where_fp32_hesitates(name: str, prompts: int, generator: Any, open_fp16: Open) -> None:
    ids, mask = data.encode_prompts(generator.tokenizer, data.load_prompts(prompts))
    reference = decoding.pytorch_step(generator.model)
    length = ids.shape[1] + 24
    tokens = equal = 0
    worst, divergences = 0.0, []
    with open_fp16(name) as step:
        for start in range(0, len(ids), 16):
            rows = slice(start, start + 16)
            agreement = decoding.verify(step, reference, ids[rows], mask[rows], length)
            tokens, equal = tokens + agreement.tokens, equal + agreement.equal
            worst = max(worst, agreement.max_abs_diff)
            divergences += [(start + found.row, found) for found in agreement.divergences]
    print(f"{name}: {equal} of {tokens} tokens equal ({equal / tokens:.2%}), largest difference of logits {worst:.1e}")
    for row, found in divergences:
        texts = [generator.tokenizer.decode([token]) for token in (found.expected, found.actual)]
        print(f"  prompt {row}, position {found.position}: {texts[0]!r}, not {texts[1]!r}; margin {found.margin:.4f}")
    assert tokens == prompts * 24
    assert worst <= 5e-2
    assert all(found.margin < 0.1 for _, found in divergences)
    assert equal / tokens >= 0.95


def test_fp16_rounded_after_every_operator_stays_finite_and_close(generator: Any, decoder_fp16_onnx: Path) -> None:
    prompts = data.encode_prompts(generator.tokenizer, data.load_prompts(4))
    reference = decoding.pytorch_step(generator.model)

    def step(input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        return np.asarray(precision.true_fp16_outputs(decoder_fp16_onnx, inputs)["logits"][:, -1])

    agreement = decoding.verify(step, reference, *prompts, prompts[0].shape[1] + 4)
    print(f"{precision.TRUE_FP16}: largest difference of logits {agreement.max_abs_diff:.1e}")
    assert agreement.max_abs_diff <= 5e-2
    assert all(found.margin < 0.1 for found in agreement.divergences)
