"""The small model as it lies in the repository, the full-size one without a hub, and what bad input says."""

from __future__ import annotations

import http.server
import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from helpers import data, models

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


def test_missing_and_damaged_files_are_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(models.SMALL_FOLDER, copy)
    monkeypatch.setattr(models, "SMALL_FOLDER", copy)
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(models.ModelError, match=r"cannot be read .*git checkout"):
        models.load_classifier("small")
    (copy / "model.safetensors").unlink()
    with pytest.raises(models.ModelError, match=r"lacks model\.safetensors.*git checkout"):
        models.load_classifier("small")


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
