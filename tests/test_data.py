"""Texts, their generator, token ids, lengths and batches."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from helpers import data, models

ASSETS = Path(__file__).resolve().parent.parent / "assets"


def load_by_path(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return load_by_path("inquiries_under_test", ASSETS / "support_inquiries" / "generate.py")


@pytest.fixture(scope="module")
def trainer() -> ModuleType:
    return load_by_path("training_under_test", ASSETS / "distilbert_small" / "train.py")


@pytest.fixture(scope="module")
def classifier() -> models.Classifier:
    return models.load_classifier("small")


@pytest.fixture(scope="module")
def encoded(classifier: models.Classifier) -> data.Encoded:
    return data.encode(classifier.tokenizer, data.load_texts(2500, "small"), 64)


# The generator and what is kept of it


def test_committed_files_are_what_the_generator_writes(generator: ModuleType, tmp_path: Path) -> None:
    assert generator.main(["--check"]) == 0
    assert generator.main(["--check"]) == 0  # a second time in one process: no state is left behind
    copy = tmp_path / "support_inquiries"
    shutil.copytree(ASSETS / "support_inquiries", copy)
    elsewhere = load_by_path("inquiries_elsewhere", copy / "generate.py")
    (copy / "benchmark.jsonl").write_text("{}\n", encoding="utf-8")
    assert elsewhere.main(["--check"]) == 1
    assert elsewhere.main([]) == 0
    for name in ("benchmark.jsonl", "held_out.jsonl"):
        assert (copy / name).read_bytes() == (ASSETS / "support_inquiries" / name).read_bytes()


def test_training_never_sees_a_held_out_frame(generator: ModuleType) -> None:
    training = "\n".join(inquiry.text.lower() for inquiry in generator.generate("train", 6000))
    held_out, used = 0, 0
    for language in generator.LANGUAGES:
        for intent in generator.INTENTS:
            for index, frame in enumerate(generator.phrases(language)["intents"][intent]["problems"]):
                if "{" in frame or "[" in frame or len(frame) < 25:
                    continue  # what is filled in varies, and a short frame may be part of another
                if generator.is_held_out(index):
                    held_out += 1
                    assert frame.lower() not in training
                else:
                    used += frame.lower() in training
    assert held_out >= 40 and used >= 200


def test_held_out_messages_use_only_held_out_frames(generator: ModuleType) -> None:
    frames = [str(number) for number in range(48)]
    seen, unseen = (generator.frames_of(frames, split) for split in ("train", "held_out"))
    assert len(unseen) == 8 and not set(seen) & set(unseen)
    assert sorted(seen + unseen, key=int) == frames == generator.frames_of(frames, "benchmark")
    assert generator.frames_of(frames, "validation") == seen


def test_every_intent_and_language_has_its_share(generator: ModuleType) -> None:
    rows = [json.loads(line) for line in (data.INQUIRIES / "benchmark.jsonl").read_text("utf-8").splitlines()]
    pairs = Counter((row["intent"], row["language"]) for row in rows)
    assert len(pairs) == len(generator.INTENTS) * len(generator.LANGUAGES)
    assert min(pairs.values()) > 0.6 * len(rows) / len(pairs)
    assert len({row["text"] for row in rows}) > 0.95 * len(rows)
    assert generator.INTENTS == data.INTENTS
    # Shuffled: every stretch of a batch holds several intents.
    assert min(len({row["intent"] for row in rows[at : at + 16]}) for at in range(0, len(rows), 16)) >= 3


def test_another_series_is_other_messages_of_the_same_frames(generator: ModuleType) -> None:
    first, second = ({inquiry.text for inquiry in generator.generate("validation", series=number)} for number in (1, 2))
    assert len(first & second) < 0.1 * len(first)
    assert generator.generate("validation", 9) == generator.generate("validation", 9, series=1)


def test_every_frame_can_be_filled(generator: ModuleType) -> None:
    for inquiry in generator.generate("benchmark"):
        assert not set("{}[]") & set(inquiry.text), inquiry.text


@pytest.mark.parametrize(("split", "count", "message"), [
    ("test", 1, "unknown split 'test'"),
    ("train", 0, "0 inquiries asked"),
    ("held_out", 1001, "expected 1 to 1000"),
])  # fmt: skip
def test_generator_refuses_by_name(generator: ModuleType, split: str, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generator.generate(split, count)


def test_assets_stay_small() -> None:
    for folder in ASSETS.iterdir():
        sizes = [path.stat().st_size for path in folder.rglob("*") if "__pycache__" not in path.parts]
        assert sum(sizes) < 5_000_000, folder
    assert (ASSETS / "support_inquiries" / "benchmark.jsonl").stat().st_size < 1_000_000


def test_committed_tokenizer_is_what_the_training_script_makes(
    generator: ModuleType, trainer: ModuleType, classifier: models.Classifier
) -> None:
    made = trainer.train_tokenizer([inquiry.text for inquiry in generator.generate("train")])
    kept = classifier.tokenizer
    # The trainer orders word pieces of equal frequency by chance, so the last few may differ from run to run.
    assert len(made) == len(kept) == trainer.VOCABULARY
    assert len(set(made.get_vocab()) & set(kept.get_vocab())) > 0.97 * trainer.VOCABULARY
    for tokenizer in (made, kept):
        tokens = tokenizer.tokenize("Où est mon colis ? Ich WARTE!", add_special_tokens=True)
        assert tokens == ["[CLS]", "ou", "est", "mon", "colis", "?", "ich", "warte", "!", "[SEP]"]


def test_training_script_learns(
    generator: ModuleType, trainer: ModuleType, classifier: models.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(trainer, "STEPS", 60)
    monkeypatch.setattr(trainer, "BATCH", 8)
    inquiries = [inquiry for inquiry in generator.generate("train", 60) if len(inquiry.text) < 120]
    texts = [inquiry.text for inquiry in inquiries]
    labels = torch.tensor([generator.INTENTS.index(inquiry.intent) for inquiry in inquiries])
    model = trainer.new_model(classifier.tokenizer, generator.INTENTS)

    def loss() -> float:
        logits = trainer.predict(model, classifier.tokenizer, texts, 64)
        return float(torch.nn.functional.cross_entropy(logits, labels))

    before = loss()
    trainer.train(model, classifier.tokenizer, texts, labels)
    assert loss() < before - 0.1


# Loading


def test_benchmark_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL", raising=False)
    texts = data.load_texts()
    assert len(texts) == len(texts.labels) == 2500
    assert data.load_texts(10).texts == texts.texts[:10]
    assert set(texts.labels) == set(range(6))
    assert texts.label_names == data.INTENTS


@pytest.mark.parametrize("count", [0, -1, 2501])
def test_count_outside_what_there_is(count: int) -> None:
    with pytest.raises(ValueError, match=f"count is {count}: expected 1 to 2500"):
        data.load_texts(count, "small")


def test_missing_and_broken_text_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data, "INQUIRIES", tmp_path)
    with pytest.raises(models.ModelError, match=r"benchmark\.jsonl cannot be read .*git checkout"):
        data.load_texts(1, "small")
    for broken in ("not json\n", '{"text": "no intent"}\n', '{"text": "x", "intent": "weather"}\n', "[1]\n"):
        (tmp_path / "benchmark.jsonl").write_text(broken, encoding="utf-8")
        with pytest.raises(models.ModelError, match="cannot be read"):
            data.load_texts(1, "small")


def test_reviews_are_shuffled_with_their_labels() -> None:
    # Sorted by label, as IMDB's test split is.
    reviews = [f"review {row}<br /><br />end" for row in range(1000)]
    labels = [0] * 500 + [1] * 500
    picked = data.pick_reviews(reviews, labels, 100)
    assert 25 < sum(picked.labels) < 75
    assert picked == data.pick_reviews(reviews, labels, 100)
    for text, label in zip(picked.texts, picked.labels, strict=True):
        row = int(text.split()[1])
        assert label == labels[row] and text == f"review {row}  end"
    with pytest.raises(ValueError, match="count is 1001"):
        data.pick_reviews(reviews, labels, 1001)


# Token ids


def test_encoding_pads_and_cuts(classifier: models.Classifier) -> None:
    tokenizer = classifier.tokenizer
    encoded = data.encode(tokenizer, ["Hi", "word " * 100], 16)
    assert encoded.input_ids.shape == encoded.attention_mask.shape == (2, 16)
    assert encoded.input_ids.dtype == encoded.attention_mask.dtype == np.int64
    assert encoded.attention_mask[1].all()
    filled = encoded.attention_mask[0].sum()
    assert 3 <= filled < 16
    assert (encoded.input_ids[0, filled:] == tokenizer.pad_token_id).all()
    assert (encoded.input_ids[:, 0] == tokenizer.cls_token_id).all()
    assert encoded.input_ids[1, -1] == tokenizer.sep_token_id


@pytest.mark.parametrize("max_length", [-1, 1, 513])
def test_encoding_refuses_lengths_the_model_cannot_take(classifier: models.Classifier, max_length: int) -> None:
    with pytest.raises(ValueError, match=f"max_length is {max_length}: expected 2 .* to 512"):
        data.encode(classifier.tokenizer, ["Hi"], max_length)


def test_encoding_refuses_no_text_and_a_single_string(classifier: models.Classifier) -> None:
    with pytest.raises(ValueError, match="texts is empty"):
        data.encode(classifier.tokenizer, [], 64)
    with pytest.raises(TypeError, match=r"texts is one string.*\[text\]"):
        data.token_lengths(classifier.tokenizer, "Hi")


def test_token_lengths_are_counted_before_truncation(classifier: models.Classifier, encoded: data.Encoded) -> None:
    lengths = data.token_lengths(classifier.tokenizer, data.load_texts(2500, "small"))
    assert lengths.count == len(lengths.lengths) == 2500
    assert lengths.minimum <= lengths.p5 <= lengths.median <= lengths.p95 <= lengths.maximum
    # The spread that the course needs: short notes, texts that 64 cuts, texts that 256 cuts.
    assert lengths.minimum < 8 and lengths.p95 > 64 and lengths.maximum > 256
    shares = dict(lengths.truncated)
    assert shares[64] == np.mean(np.array(lengths.lengths) > 64)
    assert 0 < shares[256] < shares[64] < 1
    np.testing.assert_array_equal(encoded.attention_mask.sum(1), np.minimum(lengths.lengths, 64))


# Prompts


@pytest.fixture(scope="module")
def generator_tokenizer() -> Any:
    return models.load_generator("small").tokenizer


def test_prompts_are_different_beginnings_of_messages(generator_tokenizer: Any) -> None:
    prompts = data.load_prompts(128)
    assert len(set(prompts)) == 128 and prompts[:10] == data.load_prompts(10)
    texts = [" ".join(text.split()) for text in data.load_inquiries("benchmark").texts]
    assert all(any(text.startswith(prompt) for text in texts) for prompt in prompts)
    # Every batch has short and long ones, so that padding is in use.
    for start in range(0, 128, 8):
        _, mask = data.encode_prompts(generator_tokenizer, prompts[start : start + 8])
        assert len(set(mask.sum(1).tolist())) >= 4
    with pytest.raises(ValueError, match="count is 2500: expected 1 to 1"):
        data.load_prompts(2500)


def test_prompts_are_padded_on_the_left(generator_tokenizer: Any) -> None:
    prompts = ["My parcel", "I was charged twice for the same invoice"]
    ids, mask = data.encode_prompts(generator_tokenizer, prompts)
    assert ids.dtype == mask.dtype == np.int64 and ids.shape == mask.shape
    own = [generator_tokenizer(prompt)["input_ids"] for prompt in prompts]
    assert ids.shape[1] == len(own[1]) and mask[1].all()
    assert mask[0].tolist() == [0] * (len(own[1]) - len(own[0])) + [1] * len(own[0])
    assert ids[0][mask[0] == 1].tolist() == own[0]
    assert set(ids[0][mask[0] == 0].tolist()) == {generator_tokenizer.pad_token_id}


@pytest.mark.parametrize("length", [1, 4, 40])
def test_prompts_are_cut_or_padded_to_a_length(generator_tokenizer: Any, length: int) -> None:
    prompts = data.load_prompts(8)
    ids, mask = data.encode_prompts(generator_tokenizer, prompts, length)
    assert ids.shape == (8, length)
    for prompt, row, kept in zip(prompts, ids, mask, strict=True):
        own = generator_tokenizer(prompt)["input_ids"][:length]
        assert row[length - len(own) :].tolist() == own and kept.sum() == len(own) and kept[-1] == 1


def test_prompts_refuse_by_name(generator_tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="prompts is empty"):
        data.encode_prompts(generator_tokenizer, [])
    with pytest.raises(TypeError, match=r"prompts is one string.*\[prompt\]"):
        data.encode_prompts(generator_tokenizer, "My parcel")
    for length in (0, -1, 257):
        with pytest.raises(ValueError, match=f"length is {length}: expected 1 to 256"):
            data.encode_prompts(generator_tokenizer, ["My parcel"], length)
    for prompts in ([""], ["My parcel", ""]):
        with pytest.raises(ValueError, match="a prompt is empty"):
            data.encode_prompts(generator_tokenizer, prompts, 4)


# The small GPT-2's training


@pytest.fixture(scope="module")
def gpt2_trainer() -> ModuleType:
    return load_by_path("gpt2_training_under_test", ASSETS / "gpt2_small" / "train.py")


def test_committed_bpe_is_what_the_training_script_makes(gpt2_trainer: ModuleType, generator_tokenizer: Any) -> None:
    made = gpt2_trainer.train_tokenizer(gpt2_trainer.load_texts("train"))
    assert made.get_vocab() == generator_tokenizer.get_vocab()
    for text in ("Where is my parcel?", "Ça coûte 12,50 €\n", "  two  spaces"):
        assert made(text)["input_ids"] == generator_tokenizer(text)["input_ids"]
        assert generator_tokenizer.decode(generator_tokenizer(text)["input_ids"]) == text


def test_blocks_begin_with_a_message(gpt2_trainer: ModuleType) -> None:
    tokens = [[10 + row] * (row + 1) for row in range(30)]
    rows = gpt2_trainer.blocks(tokens, 0, 50, random.Random(1))
    assert rows.shape == (50, gpt2_trainer.BLOCK)
    for row in rows.tolist():
        first = row[0] - 10
        assert row[: first + 2] == [row[0]] * (first + 1) + [0]


def test_gpt2_training_learns(
    gpt2_trainer: ModuleType, generator_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("STEPS", 30), ("BATCH", 4), ("BLOCK", 48)):
        monkeypatch.setattr(gpt2_trainer, name, value)
    texts = gpt2_trainer.load_texts("validation")[:20]
    model = gpt2_trainer.new_model(generator_tokenizer)
    before = gpt2_trainer.mean_loss(model, generator_tokenizer, texts)
    gpt2_trainer.train(model, generator_tokenizer, texts)
    assert gpt2_trainer.mean_loss(model, generator_tokenizer, texts) < before - 1


# Batches


@pytest.mark.parametrize("batch_size", data.BATCH_SIZES)
def test_batches_hand_out_every_row_once(encoded: data.Encoded, batch_size: int) -> None:
    cut = data.loaders(encoded)[batch_size]
    rows = [len(ids) for ids, _ in cut]
    assert set(rows[:-1]) == {batch_size}
    assert len(cut) == len(rows) == -(-2500 // batch_size)
    assert rows[-1] == (2500 % batch_size or batch_size)
    np.testing.assert_array_equal(np.concatenate([ids for ids, _ in cut]), encoded.input_ids)
    np.testing.assert_array_equal(np.concatenate([mask for _, mask in cut]), encoded.attention_mask)


def test_batches_are_a_sequence_of_contiguous_views(encoded: data.Encoded) -> None:
    cut = data.batches(encoded, 128)
    last_ids, last_mask = cut[-1]
    assert last_ids.shape == last_mask.shape == (68, 64)  # the twentieth batch of 128 is no batch of 128
    assert cut[0][0].flags.c_contiguous and np.shares_memory(cut[0][0], encoded.input_ids)
    assert [len(ids) for ids, _ in cut[18:]] == [128, 68]
    with pytest.raises(IndexError):
        cut[20]


def test_batch_size_must_be_positive(encoded: data.Encoded) -> None:
    with pytest.raises(ValueError, match="batch_size is 0: expected at least 1"):
        data.batches(encoded, 0)


def test_accuracy_needs_the_same_labels_and_one_answer_each() -> None:
    texts = data.Texts(("a", "b", "c", "d"), (0, 1, 1, 0), ("no", "yes"), "test")
    assert data.accuracy([0, 1, 0, 0], texts, ("no", "yes")) == 0.75
    assert data.accuracy([0, 1, 0, 0], texts, ("NEGATIVE", "POSITIVE")) is None
    with pytest.raises(ValueError, match="expected one label index for each text"):
        data.accuracy([0, 1], texts, ("no", "yes"))
