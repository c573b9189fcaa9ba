"""One export of each small model for all tests of the library: it takes seconds, and no test changes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Batch = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="session")
def classifier() -> Any:
    from helpers.models import load_classifier

    return load_classifier("small")


@pytest.fixture(scope="session")
def fp32_onnx(classifier: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from helpers.export import export_onnx

    return export_onnx(classifier.model, tmp_path_factory.mktemp("onnx") / "small_fp32.onnx")


@pytest.fixture(scope="session")
def fp16_onnx(fp32_onnx: Path) -> Path:
    from helpers.precision import to_fp16

    return to_fp16(fp32_onnx, fp32_onnx.with_name("small_fp16.onnx"))


@pytest.fixture(scope="session")
def make_batch(classifier: Any) -> Callable[[int, int], Batch]:
    """`make_batch(rows, length)`: random token ids, with masks that hide a different number of tokens in each row."""
    vocabulary = classifier.model.config.vocab_size

    def make(rows: int, length: int) -> Batch:
        random = np.random.default_rng(rows * 1000 + length)
        ids = random.integers(0, vocabulary, (rows, length), dtype=np.int64)
        kept = random.integers(1, length + 1, (rows, 1))
        return ids, (np.arange(length) < kept).astype(np.int64)

    return make


@pytest.fixture(scope="session")
def generator() -> Any:
    from helpers.models import load_generator

    return load_generator("small")


@pytest.fixture(scope="session")
def decoder_onnx(generator: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small GPT-2, logits of all positions."""
    from helpers.export import export_decoder

    return export_decoder(generator.model, tmp_path_factory.mktemp("onnx") / "decoder.onnx")


@pytest.fixture(scope="session")
def last_step_onnx(generator: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small GPT-2, logits of the last position alone."""
    from helpers.export import export_decoder

    return export_decoder(generator.model, tmp_path_factory.mktemp("onnx") / "last_step.onnx", last_step=True)


@pytest.fixture(scope="session")
def decoder_fp16_onnx(decoder_onnx: Path) -> Path:
    from helpers.precision import to_fp16

    return to_fp16(decoder_onnx, decoder_onnx.with_name("decoder_fp16.onnx"))


@pytest.fixture(scope="session")
def decoder_plans(decoder_onnx: Path, last_step_onnx: Path, simulator: Any) -> dict[str, Path]:
    """Plans of both by name ("full", "last step"): 1 to 16 rows of 1 to 32 tokens."""
    from helpers import engine

    profile = dict.fromkeys(("input_ids", "attention_mask"), ((1, 1), (8, 16), (16, 32)))
    sources = {"full": decoder_onnx, "last step": last_step_onnx}
    return {
        name: engine.build(source, source.with_suffix(".plan"), profile, progress=False).path
        for name, source in sources.items()
    }


@pytest.fixture(scope="session")
def simulator() -> Any:
    """TensorRT's names as the course uses them without a GPU: NVIDIA's builder, a simulated runtime."""
    from helpers import backend

    return backend.activate("simulator", quiet=True)
