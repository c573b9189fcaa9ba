"""Texts for the classifiers and prompts for the generators, their token ids, and batches of them.

The small models read support inquiries kept in `assets/support_inquiries`; with `MODEL=full` the texts are
film reviews (IMDB) from the Hugging Face hub, or the same inquiries where the hub cannot be reached.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers.models import ModelError, hub_reachable, resolve_size

INQUIRIES = Path(__file__).resolve().parent.parent / "assets" / "support_inquiries"
INTENTS = ("billing", "delivery", "returns", "account", "technical", "cancellation")
BATCH_SIZES = (16, 32, 64, 128)
FULL_DATASET = "stanfordnlp/imdb"
SHUFFLE_SEED = 42
_GREETING = re.compile(r"(\S+ ){0,4}\S*[,:] ")


@dataclass(frozen=True)
class Texts:
    """Texts with their labels.

    Attributes:
        texts: the texts.
        labels: for each text, an index into `label_names`.
        label_names: names of the labels; answers of a classifier compare only if its names are the same.
        source: where the texts came from, in words.
    """

    texts: tuple[str, ...]
    labels: tuple[int, ...]
    label_names: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Encoded:
    """N texts, each padded or cut to L tokens: `input_ids` and `attention_mask`, both int64 [N, L]."""

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True)
class TokenLengths:
    """How long texts are in tokens, with [CLS] and [SEP], before anything is cut off.

    `p5` and `p95` are percentiles; `truncated` holds (limit, share of texts longer than the limit, 0 to 1).
    """

    count: int
    minimum: int
    p5: float
    median: float
    p95: float
    maximum: int
    truncated: tuple[tuple[int, float], ...]
    lengths: tuple[int, ...]


def load_texts(count: int = 2500, size: str | None = None) -> Texts:
    """Load the benchmark's texts for a model of this size (None: the environment variable MODEL, else small).

    Small: the first `count` of 2,500 support inquiries. Full: a seeded shuffle of IMDB's test split, which
    comes sorted by label, so that its first 2,500 texts would all be negative; without the hub, the inquiries.

    Raises:
        ValueError: `count` is less than 1 or more than there are.
        ModelError: the size is unknown, or the file of inquiries is missing or broken.
    """
    if resolve_size(size) == "full":
        reviews = _reviews(count)
        if reviews is not None:
            return reviews
        print("MODEL=full: texts are support inquiries (the Hugging Face hub cannot be reached).")
    return load_inquiries("benchmark", count)


def load_inquiries(split: str = "benchmark", count: int | None = None) -> Texts:
    """Load support inquiries: "benchmark" (2,500) or "held_out" (1,000, only phrasings never trained on).

    Raises:
        ValueError: `count` is less than 1 or more than there are.
        ModelError: there is no such file, or it cannot be read.
    """
    rows = _inquiries(split)
    count = len(rows) if count is None else count
    _check_count(count, len(rows))
    texts, labels, _ = zip(*rows[:count], strict=True)
    return Texts(texts, labels, INTENTS, f"assets/support_inquiries/{split}.jsonl (generated)")


def _inquiries(split: str) -> list[tuple[str, int, str]]:
    """Read the text, the label and the language of every inquiry of a split."""
    path = INQUIRIES / f"{split}.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [(str(row["text"]), INTENTS.index(row["intent"]), str(row["language"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} cannot be read ({type(error).__name__}: {error}): expected one JSON object a line with "
            "'text', 'intent' and 'language'. Restore it with `git checkout -- assets`, or make it with "
            "`python assets/support_inquiries/generate.py`."
        ) from error


def _reviews(count: int) -> Texts | None:
    """Load IMDB reviews from the hub; None when it cannot be reached."""
    if not hub_reachable():
        return None
    import datasets  # pragma: no cover - needs the hub

    try:  # pragma: no cover - needs the hub
        split = datasets.load_dataset(FULL_DATASET, split="test")
    except (OSError, ValueError):  # pragma: no cover - needs the hub
        return None
    return pick_reviews(split["text"], split["label"], count)  # pragma: no cover - needs the hub


def pick_reviews(texts: Sequence[str], labels: Sequence[int], count: int) -> Texts:
    """Take `count` reviews in a seeded random order, with HTML line breaks made spaces.

    Raises:
        ValueError: `count` is less than 1 or more than there are.
    """
    _check_count(count, len(texts))
    order = random.Random(SHUFFLE_SEED).sample(range(len(texts)), count)
    chosen = tuple(str(texts[row]).replace("<br />", " ") for row in order)
    source = f"Hugging Face hub: {FULL_DATASET}, test split, shuffled with seed {SHUFFLE_SEED}"
    return Texts(chosen, tuple(int(labels[row]) for row in order), ("NEGATIVE", "POSITIVE"), source)


def encode(tokenizer: Any, texts: Texts | Sequence[str], max_length: int) -> Encoded:
    """Turn N texts into token ids, each padded or cut to exactly `max_length`: int64 [N, max_length].

    Raises:
        ValueError: there is no text, or `max_length` is outside 2 to the tokenizer's limit.
        TypeError: `texts` is one string instead of several.
    """
    rows = _as_list(texts)
    limit = int(tokenizer.model_max_length)
    if not 2 <= max_length <= limit:
        raise ValueError(
            f"max_length is {max_length}: expected 2 (room for [CLS] and [SEP]) to {limit}, the "
            "tokenizer's limit. The course uses 64 and 256."
        )
    tokens = tokenizer(rows, padding="max_length", truncation=True, max_length=max_length, return_tensors="np")
    return Encoded(tokens["input_ids"].astype(np.int64), tokens["attention_mask"].astype(np.int64))


def load_prompts(count: int) -> list[str]:
    """Load `count` beginnings of English support inquiries, all different, of 2 to 10 words by turns.

    They come from the benchmark's texts, whose phrasings the small generator knows, and are the same in every run.

    Raises:
        ValueError: `count` is less than 1 or more than there are (about 150).
        ModelError: the file of inquiries is missing or broken.
    """
    prompts: list[str] = []
    for text, _, language in _inquiries("benchmark"):
        # A greeting ("Dear support team, ...") would make the prompts alike, and so what follows them.
        if language != "en" or _GREETING.match(text):
            continue
        words = text.split()
        wanted = 2 + (len(prompts) * 5) % 9  # 2, 7, 3, 8, ...: short and long ones in every batch
        prompt = " ".join(words[:wanted])
        if len(words) > wanted and prompt not in prompts:
            prompts.append(prompt)
    _check_count(count, len(prompts))
    return prompts[:count]


def encode_prompts(
    tokenizer: Any, prompts: Sequence[str], length: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Turn B prompts into `(input_ids, attention_mask)`, both int64 [B, P], filled up on the left.

    A decoder goes on behind the last token, so a short prompt has its padding in front.

    Args:
        tokenizer: a generator's tokenizer.
        prompts: the texts.
        length: P; longer prompts lose their last tokens. None: as many tokens as the longest has.

    Raises:
        ValueError: there is no prompt, one has no token, or `length` is outside 1 to the tokenizer's limit.
        TypeError: `prompts` is one string instead of several.
    """
    rows = _as_list(prompts, "prompts")
    limit = int(tokenizer.model_max_length)
    if length is not None and not 1 <= length <= limit:
        raise ValueError(f"length is {length}: expected 1 to {limit}, the tokenizer's limit.")
    tokens = tokenizer(
        rows,
        padding=True if length is None else "max_length",
        padding_side="left",
        truncation=True,
        max_length=length,
        return_tensors="np",
    )
    input_ids, mask = (tokens[name].astype(np.int64) for name in ("input_ids", "attention_mask"))
    if not mask.any(axis=1).all():
        raise ValueError("a prompt is empty: expected at least one token in each, for there is nothing to go on from.")
    return input_ids, mask


def token_lengths(tokenizer: Any, texts: Texts | Sequence[str], limits: Sequence[int] = (64, 256)) -> TokenLengths:
    """Count the tokens of each text before truncation, with [CLS] and [SEP].

    Raises:
        ValueError: there is no text.
        TypeError: `texts` is one string instead of several.
    """
    # verbose=False: a text above the model's 512 positions is wanted here, and no reason for a warning.
    tokens = tokenizer(_as_list(texts), truncation=False, verbose=False)["input_ids"]
    lengths = np.array([len(row) for row in tokens])
    p5, median, p95 = (float(value) for value in np.percentile(lengths, [5, 50, 95]))
    truncated = tuple((limit, float(np.mean(lengths > limit))) for limit in limits)
    every = tuple(int(length) for length in lengths)
    return TokenLengths(len(every), min(every), p5, median, p95, max(every), truncated, every)


class Batches(Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]):
    """Batches in order, each (input_ids, attention_mask), int64 [rows, L], contiguous views of the whole.

    All have `batch_size` rows but the last, which has what is left: it is handed out as it is, so that a
    benchmark can count the texts that were processed.
    """

    def __init__(self, encoded: Encoded, batch_size: int) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}: expected at least 1. The course uses 16, 32, 64 and 128.")
        self.encoded = encoded
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.encoded) // self.batch_size)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index] * self.batch_size
        rows = slice(at, at + self.batch_size)
        return self.encoded.input_ids[rows], self.encoded.attention_mask[rows]

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        return (self[index] for index in range(len(self)))


def batches(encoded: Encoded, batch_size: int) -> Batches:
    """Cut encoded texts into batches in order; the last may be smaller.

    Raises:
        ValueError: `batch_size` is less than 1.
    """
    return Batches(encoded, batch_size)


def loaders(encoded: Encoded, batch_sizes: Sequence[int] = BATCH_SIZES) -> dict[int, Batches]:
    """Make the batches of each size, by size: 16, 32, 64 and 128 unless told otherwise."""
    return {batch_size: Batches(encoded, batch_size) for batch_size in batch_sizes}


def accuracy(predicted: Sequence[int] | NDArray[Any], texts: Texts, label_names: Sequence[str]) -> float | None:
    """Return the share of right answers, 0 to 1, or None when these are not the labels of the texts.

    Raises:
        ValueError: there is not exactly one answer for each text.
    """
    answers = np.asarray(predicted)
    if answers.shape != (len(texts),):
        raise ValueError(f"{answers.shape} answers for {len(texts)} texts: expected one label index for each text")
    if tuple(label_names) != texts.label_names:
        return None
    return float(np.mean(answers == np.asarray(texts.labels)))


def _as_list(texts: Texts | Sequence[str], name: str = "texts") -> list[str]:
    if isinstance(texts, str):
        raise TypeError(f"{name} is one string: expected a sequence of strings. Write [{name[:-1]}] for a single one.")
    rows = list(texts.texts if isinstance(texts, Texts) else texts)
    if not rows:
        raise ValueError(f"{name} is empty: expected at least one {name[:-1]}")
    return rows


def _check_count(count: int, available: int) -> None:
    if not 1 <= count <= available:
        raise ValueError(f"count is {count}: expected 1 to {available}, as many texts as there are")
