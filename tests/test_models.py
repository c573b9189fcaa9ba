"""The small models as they lie in the repository, the full-size ones without a hub, and what bad input says."""

from __future__ import annotations

import http.server
import json
import math
import re
import runpy
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import data, decoding, models

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def small() -> models.Classifier:
    return models.load_classifier("small")


@pytest.fixture(scope="module")
def unreachable_hub() -> Iterator[None]:
    """Point the hub's client at a port where nobody listens, and ask for a model that no cache holds."""
    from huggingface_hub import constants

    with socket.socket() as closed, pytest.MonkeyPatch.context() as patch:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        patch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        patch.setattr(models, "FULL_MODEL", "nobody/has-this-model")
        patch.setattr(models, "FULL_GENERATOR", "nobody/has-this-model")
        yield


@pytest.fixture(scope="module")
def full(unreachable_hub: None) -> models.Classifier:
    return models.load_classifier("full")


def logits_of(classifier: models.Classifier, encoded: data.Encoded) -> torch.Tensor:
    with torch.inference_mode():
        parts = [
            classifier.model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits
            for ids, mask in data.batches(encoded, 100)
        ]
    return torch.cat(parts)


def decoded(generator: models.Generator, prompts: list[str], new_tokens: int, length: int | None = None) -> np.ndarray:
    """Continue prompts greedily by exactly so many tokens: int64 [prompts, new_tokens]."""
    ids, mask = data.encode_prompts(generator.tokenizer, prompts, length)
    return decoding.generate(generator.model, ids, mask, ids.shape[1] + new_tokens)[:, ids.shape[1] :]


def test_small_model_is_ready_for_export(small: models.Classifier) -> None:
    assert not small.model.training
    assert small.model.config._attn_implementation == "eager"
    assert {parameter.dtype for parameter in small.model.parameters()} == {torch.float32}
    assert {parameter.device.type for parameter in small.model.parameters()} == {"cpu"}
    assert small.model.config.max_position_embeddings == 512
    assert small.weight_bytes == 4 * small.parameters
    assert (small.size, small.trained) == ("small", True)
    assert small.label_names == data.INTENTS
    ids, mask = torch.ones(3, 512, dtype=torch.int64), torch.ones(3, 512, dtype=torch.int64)
    assert small.model(input_ids=ids, attention_mask=mask).logits.shape == (3, 6)


def test_small_model_needs_no_network_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    classifier = models.load_classifier("small")
    data.token_lengths(classifier.tokenizer, ["word " * 2000])
    generator = models.load_generator("small")
    decoded(generator, ["word " * 2000], 8, length=16)
    decoded(generator, ["My parcel has not", "I cannot log in"], 48, length=4)  # long enough to end a text
    said = capfd.readouterr()
    assert (said.out, said.err, [str(warning.message) for warning in recwarn]) == ("", "", [])


@pytest.mark.parametrize("max_length", [64, 256])
def test_recorded_held_out_accuracy_is_what_the_model_reaches(small: models.Classifier, max_length: int) -> None:
    recorded = json.loads((ROOT / "assets" / "distilbert_small" / "metrics.json").read_text(encoding="utf-8"))
    texts = data.load_inquiries("held_out")
    predicted = logits_of(small, data.encode(small.tokenizer, texts, max_length)).argmax(1).numpy()
    reached = data.accuracy(predicted, texts, small.label_names)
    # Another processor may round a rare tie differently: two texts in a thousand.
    assert reached == pytest.approx(recorded["accuracy"]["held_out"][f"accuracy_{max_length}_tokens"], abs=0.002)
    assert reached is not None and reached > 0.75
    assert recorded["parameters"] == small.parameters


def test_padding_does_not_change_the_answer(small: models.Classifier) -> None:
    texts = ["Where is my parcel?", "Ich möchte mein Abo kündigen"]
    short, long = (logits_of(small, data.encode(small.tokenizer, texts, length)) for length in (32, 256))
    torch.testing.assert_close(short, long, atol=1e-5, rtol=0)
    assert [small.label_names[row] for row in short.argmax(1)] == ["delivery", "cancellation"]


def test_size_comes_from_the_argument_then_the_environment_then_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL", raising=False)
    assert models.resolve_size() == "small"
    monkeypatch.setenv("MODEL", " Full ")
    assert models.resolve_size() == "full"
    assert models.resolve_size("small") == "small"
    monkeypatch.setenv("MODEL", "")
    assert models.resolve_size() == "small"


def test_an_unknown_size_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL", "large")
    with pytest.raises(models.ModelError, match=r"environment variable MODEL is 'large': expected 'small'.*'full'"):
        models.load_classifier()
    with pytest.raises(models.ModelError, match=r"size is 'tiny'"):
        models.load_classifier("tiny")


@pytest.mark.parametrize(
    ("folder", "load"),
    [("SMALL_FOLDER", models.load_classifier), ("SMALL_GENERATOR_FOLDER", models.load_generator)],
)
def test_missing_and_damaged_files_are_named_with_the_remedy(
    folder: str, load: Callable[[str], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = getattr(models, folder)
    copy = tmp_path / original.name
    shutil.copytree(original, copy)
    monkeypatch.setattr(models, folder, copy)
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(models.ModelError, match=r"cannot be read .*git checkout"):
        load("small")
    (copy / "model.safetensors").unlink()
    with pytest.raises(
        models.ModelError, match=rf"lacks model\.safetensors.*git checkout.*assets/{original.name}/train\.py"
    ):
        load("small")


def test_full_size_without_a_hub_is_the_architecture_with_random_weights(full: models.Classifier) -> None:
    config = full.model.config
    assert (config.n_layers, config.dim, config.n_heads, config.hidden_dim) == (6, 768, 12, 3072)
    assert (config.vocab_size, config.max_position_embeddings, config._attn_implementation) == (30522, 512, "eager")
    # 66,955,010 is the count that the fine-tuned model has too.
    assert full.parameters == 66_955_010
    assert not full.trained and not full.model.training
    assert full.label_names == ("NEGATIVE", "POSITIVE")
    assert "random weights" in full.source


def test_random_full_model_answers_differently_for_different_texts(full: models.Classifier) -> None:
    texts = data.load_inquiries("benchmark", 6)
    logits = logits_of(full, data.encode(full.tokenizer, texts, 16))
    assert logits.shape == (6, 2)
    assert logits.std(dim=0).min() > 0.05


def test_full_size_fallback_is_seeded_says_so_and_leaves_the_callers_seed_alone(
    full: models.Classifier, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = models.load_classifier("full")
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(again.model.classifier.weight, full.model.classifier.weight)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and "random weights" in lines[0] and "cannot be reached" in lines[0]


def test_full_size_texts_without_a_hub_are_the_inquiries(
    unreachable_hub: None, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = data.load_texts(40, "full")
    assert texts.texts == data.load_texts(40, "small").texts
    assert "support_inquiries" in texts.source
    assert "support inquiries" in capsys.readouterr().out


@pytest.fixture(scope="module")
def generator() -> models.Generator:
    return models.load_generator("small")


@pytest.fixture(scope="module")
def wide() -> models.Generator:
    return models.load_generator("small", vocabulary=50_257)


@pytest.fixture(scope="module")
def full_generator(unreachable_hub: None) -> models.Generator:
    return models.load_generator("full")


def test_small_generator_is_ready_for_export(generator: models.Generator) -> None:
    model, tokenizer = generator.model, generator.tokenizer
    assert type(model).__name__ == "GPT2LMHeadModel" and not model.training
    assert model.config._attn_implementation == "eager"
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert (model.config.n_layer, model.config.n_embd, model.config.n_head) == (2, 128, 4)
    assert generator.weight_bytes == 4 * generator.parameters < 5_000_000
    assert generator.vocabulary == len(tokenizer) < 2_001
    assert (tokenizer.pad_token, tokenizer.padding_side) == ("<|endoftext|>", "left")
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == model.config.eos_token_id
    assert (generator.size, generator.trained) == ("small", True)
    ids = torch.ones(3, 160, dtype=torch.int64)
    assert model(input_ids=ids, attention_mask=ids).logits.shape == (3, 160, generator.vocabulary)


def test_small_generator_reaches_its_recorded_perplexity(generator: models.Generator) -> None:
    folder = models.SMALL_GENERATOR_FOLDER
    recorded = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    trainer = runpy.run_path(str(folder / "train.py"))
    loss = trainer["mean_loss"](generator.model, generator.tokenizer, trainer["load_texts"]("validation"))
    assert loss == pytest.approx(recorded["validation"]["loss"], abs=0.001)
    assert math.exp(loss) < 4 and recorded["validation"]["perplexity"] == pytest.approx(math.exp(loss), abs=0.01)
    assert recorded["parameters"] == generator.parameters
    assert len(set(recorded["greedy_continuations"].values())) == len(recorded["greedy_continuations"]) >= 5


def test_small_generator_writes_words_and_each_prompt_goes_on_its_own_way(generator: models.Generator) -> None:
    prompts = data.load_prompts(60)
    texts = generator.tokenizer.batch_decode(decoded(generator, prompts, 24), skip_special_tokens=True)
    assert len(set(texts)) > 0.9 * len(texts)
    known = set(re.findall(r"[a-z]+", " ".join(data.load_inquiries("benchmark").texts).lower()))
    # The first piece may end a word of the prompt, and the last may be cut off.
    words = [word for text in texts for word in re.findall(r"[a-z]+", text.lower())[1:-1]]
    assert len(words) > 500
    assert sum(word in known for word in words) > 0.98 * len(words)


def test_padding_on_the_left_does_not_change_what_is_written(generator: models.Generator) -> None:
    prompts = data.load_prompts(12)
    together = decoded(generator, prompts, 16, length=40)
    alone = np.concatenate([decoded(generator, [prompt], 16) for prompt in prompts])
    np.testing.assert_array_equal(together, alone)


def test_widened_vocabulary_chooses_the_same_tokens(generator: models.Generator, wide: models.Generator) -> None:
    prompts = data.load_prompts(100)
    np.testing.assert_array_equal(decoded(wide, prompts, 24), decoded(generator, prompts, 24))
    assert wide.vocabulary == wide.model.config.vocab_size == 50_257
    assert wide.model.lm_head.weight is wide.model.transformer.wte.weight
    assert "from 1,536 to 50,257" in wide.name and wide.source == generator.source


def test_added_rows_never_win_and_never_come_second(generator: models.Generator, wide: models.Generator) -> None:
    own = generator.vocabulary
    # Far from any text, too: random tokens at all lengths, and single tokens.
    random = torch.Generator().manual_seed(3)
    cases = [torch.randint(own, (8, length), generator=random) for length in (2, 16, 64, 256)]
    for ids in [*cases, torch.arange(own)[:, None]]:
        with torch.inference_mode():
            logits = wide.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -64:]
            narrow = generator.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -64:]
        torch.testing.assert_close(logits[..., :own], narrow, atol=1e-5, rtol=1e-5)
        first, second = logits[..., :own].topk(2).values.unbind(-1)
        added = logits[..., own:].amax(-1)
        assert (first - added).min() > 1 and (second - added).min() > 0


def test_widened_vocabulary_is_seeded(wide: models.Generator) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = models.load_generator("small", vocabulary=50_257)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(again.model.lm_head.weight, wide.model.lm_head.weight)


def test_vocabulary_cannot_shrink_and_may_stay(generator: models.Generator) -> None:
    with pytest.raises(models.ModelError, match=r"vocabulary is 1,000: expected at least 1,536"):
        models.load_generator("small", vocabulary=1000)
    assert models.load_generator("small", vocabulary=generator.vocabulary).name == generator.name


def test_full_generator_without_a_hub_is_the_architecture_with_random_weights(
    full_generator: models.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    config = full_generator.model.config
    assert (config.n_layer, config.n_embd, config.n_head, config.n_positions) == (6, 768, 12, 1024)
    assert full_generator.parameters == 81_912_576  # DistilGPT2's own count
    assert full_generator.vocabulary == 50_257
    assert not full_generator.trained and "random weights" in full_generator.source
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = models.load_generator("full", vocabulary=50_257)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(again.model.lm_head.weight, full_generator.model.lm_head.weight)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and "random weights" in lines[0] and "cannot be reached" in lines[0]


def test_random_full_generator_writes_varied_tokens(full_generator: models.Generator) -> None:
    tokens = decoded(full_generator, data.load_prompts(4), 8)
    assert len({tuple(row) for row in tokens.tolist()}) == 4
    assert len(set(tokens.flatten().tolist())) > 16


class _Answer(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_HEAD(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _Forbidden(_Answer):
    status = 403


@pytest.mark.parametrize(("handler", "expected"), [(_Answer, True), (_Forbidden, False)])
def test_hub_is_reachable_when_it_answers(
    handler: type[_Answer], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert models.hub_reachable() is expected
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert models.hub_reachable() is False
        server.shutdown()
        thread.join()


def test_a_hub_that_never_answers_counts_as_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # connections are taken by the system and never served
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert models.hub_reachable(timeout=0.2) is False


def test_importing_is_light_and_leaves_the_modules_of_the_exercise_alone() -> None:
    program = (
        "import sys, helpers.models, helpers.data\n"
        "helpers.data.load_texts(3, 'small')\n"
        "heavy = ['torch', 'transformers', 'onnxruntime', 'tensorrt', 'tensorrt_rtx', 'datasets']\n"
        "taken_away = ['helpers.export', 'helpers.engine', 'helpers.runtime']\n"
        "print([name for name in heavy + taken_away if name in sys.modules])\n"
        "helpers.models.load_classifier('small')\n"
        "print([name for name in taken_away if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]


@pytest.mark.hub
def test_full_size_from_the_hub() -> None:
    classifier = models.load_classifier("full")
    assert classifier.trained and classifier.parameters == 66_955_010
    texts = data.load_texts(100, "full")
    assert texts.label_names == classifier.label_names
    assert set(texts.labels) == {0, 1}
    predicted = logits_of(classifier, data.encode(classifier.tokenizer, texts, 256)).argmax(1).numpy()
    reached = data.accuracy(predicted, texts, classifier.label_names)
    assert reached is not None and reached > 0.75


@pytest.mark.hub
def test_full_generator_from_the_hub() -> None:
    generator = models.load_generator("full")
    assert generator.trained and generator.parameters == 81_912_576 and generator.vocabulary == 50_257
    assert generator.tokenizer.padding_side == "left"
    assert generator.tokenizer.pad_token_id == generator.tokenizer.eos_token_id == 50_256
    prompts = ["The capital of France is", "Once upon a time there"]
    assert len(set(generator.tokenizer.batch_decode(decoded(generator, prompts, 12)))) == 2
