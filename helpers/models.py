"""The classifiers of the course: a small one kept in the repository, and the full-size one.

`MODEL=small` (the default) reads `assets/distilbert_small`, without any network. `MODEL=full` takes
DistilBERT fine-tuned on SST-2 from the Hugging Face hub; where the hub cannot be reached it is the same
architecture with seeded random weights, and `Classifier.source` and one printed line say so.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIZES = ("small", "full")
FULL_MODEL = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
SMALL_FOLDER = Path(__file__).resolve().parent.parent / "assets" / "distilbert_small"
HUB_TIMEOUT_SECONDS = 3.0

# With transformers' default of 0.02 the random model answers nearly the same for every text, and a comparison
# of two precisions would compare constants.
_RANDOM_INITIALIZER_RANGE = 0.06
_RANDOM_SEED = 0


class ModelError(Exception):
    """A model or its texts cannot be loaded; the message says what to do."""


@dataclass(frozen=True)
class Classifier:
    """A sequence classifier and what belongs to it.

    Attributes:
        model: transformers model on the CPU, FP32, in eval mode, with eager attention. It takes `input_ids`
            and `attention_mask`, both int64 [batch, tokens], and returns `.logits`, float32 [batch, labels].
        tokenizer: the tokenizer that belongs to it.
        name: what it is, for tables.
        size: "small" or "full".
        source: where the weights came from, in words.
        label_names: name of each column of the logits.
        trained: False when the weights are random; the labels then mean nothing.
    """

    model: Any
    tokenizer: Any
    name: str
    size: str
    source: str
    label_names: tuple[str, ...]
    trained: bool = True

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights as they are held now (FP32: four each)."""
        return sum(parameter.numel() * parameter.element_size() for parameter in self.model.parameters())


def resolve_size(size: str | None = None) -> str:
    """Return "small" or "full": the argument, else the environment variable MODEL, else "small".

    Raises:
        ModelError: it is anything else.
    """
    value = os.environ.get("MODEL", "") if size is None else size
    chosen = value.strip().lower() or "small"
    if chosen not in SIZES:
        where = "the environment variable MODEL is" if size is None else "size is"
        raise ModelError(
            f"{where} {value!r}: expected 'small' (in the repository, no network) or 'full' (67 million "
            "weights, from the Hugging Face hub). Set it to one of the two, or leave it out for 'small'."
        )
    return chosen


def load_classifier(size: str | None = None) -> Classifier:
    """Load the classifier of this size (None: the environment variable MODEL, else small).

    Raises:
        ModelError: the size is unknown, or the files of the small model are missing or broken.
    """
    chosen = resolve_size(size)
    with warnings.catch_warnings():
        # tqdm would like ipywidgets for its bars, and says so once in a notebook, with a path of this machine.
        warnings.filterwarnings("ignore", message="IProgress not found")
        import transformers  # noqa: F401
    return _small() if chosen == "small" else _full()


def hub_reachable(timeout: float = HUB_TIMEOUT_SECONDS) -> bool:
    """Say whether the Hugging Face hub answers within this many seconds; False at once with HF_HUB_OFFLINE=1.

    Asked before any download, because the hub's own client repeats failing requests for a long time.
    """
    from huggingface_hub import constants

    if constants.is_offline_mode():
        return False
    import httpx

    try:
        # Whatever the hub answers, it is there; proxies are taken from the environment.
        answer = httpx.head(constants.ENDPOINT, timeout=timeout, follow_redirects=False)
    except (httpx.HTTPError, OSError):
        return False
    return answer.status_code < 500 and answer.status_code not in (403, 407)


def _small() -> Classifier:
    from transformers import AutoTokenizer, DistilBertForSequenceClassification

    needed = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    missing = [name for name in needed if not (SMALL_FOLDER / name).is_file()]
    if missing:
        raise ModelError(
            f"{SMALL_FOLDER} lacks {', '.join(missing)}: expected the small model that the repository holds. "
            "Restore it with `git checkout -- assets`, or make it again with "
            "`python assets/distilbert_small/train.py`."
        )
    try:
        with _no_progress_bars():
            tokenizer = AutoTokenizer.from_pretrained(str(SMALL_FOLDER), local_files_only=True)
            model = DistilBertForSequenceClassification.from_pretrained(
                str(SMALL_FOLDER), local_files_only=True, attn_implementation="eager", dtype="float32"
            )
    except Exception as error:  # whatever the reader of a damaged file raises: the remedy is the same
        raise ModelError(
            f"the small model in {SMALL_FOLDER} cannot be read ({type(error).__name__}: {error}): "
            "expected the files that the repository holds. Restore them with `git checkout -- assets`."
        ) from error
    return _classifier(model, tokenizer, "DistilBERT, 2 layers x 64", "small", "assets/distilbert_small")


def _full() -> Classifier:
    from transformers import AutoTokenizer, DistilBertForSequenceClassification

    reachable = hub_reachable()
    try:
        with _no_progress_bars(keep=reachable):
            # Without the network it may still lie in the hub's cache from an earlier run.
            tokenizer = AutoTokenizer.from_pretrained(FULL_MODEL, local_files_only=not reachable)
            model = DistilBertForSequenceClassification.from_pretrained(
                FULL_MODEL, local_files_only=not reachable, attn_implementation="eager", dtype="float32"
            )
    except (OSError, ValueError):
        return _random_full()
    return _classifier(model, tokenizer, "DistilBERT, 6 layers x 768", "full", f"Hugging Face hub: {FULL_MODEL}")


def _random_full() -> Classifier:
    """Build the architecture of `FULL_MODEL` with seeded random weights, and the small model's tokenizer."""
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(
        vocab_size=30_522,
        max_position_embeddings=512,
        n_layers=6,
        n_heads=12,
        dim=768,
        hidden_dim=3_072,
        initializer_range=_RANDOM_INITIALIZER_RANGE,
        pad_token_id=0,
        id2label={0: "NEGATIVE", 1: "POSITIVE"},
        label2id={"NEGATIVE": 0, "POSITIVE": 1},
    )
    config._attn_implementation = "eager"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_SEED)
        model = DistilBertForSequenceClassification(config)
    source = "random weights (the Hugging Face hub cannot be reached); sizes and times hold, labels mean nothing"
    print(f"MODEL=full: {source}.")
    name = "DistilBERT, 6 layers x 768, random weights"
    # Every id of the small vocabulary is also an id of the large one.
    return _classifier(model, _small().tokenizer, name, "full", source, trained=False)


def _classifier(model: Any, tokenizer: Any, name: str, size: str, source: str, trained: bool = True) -> Classifier:
    model.eval()
    model.requires_grad_(False)
    labels = tuple(model.config.id2label[index] for index in range(model.config.num_labels))
    return Classifier(model, tokenizer, name, size, source, labels, trained)


@contextlib.contextmanager
def _no_progress_bars(keep: bool = False) -> Iterator[None]:
    """Silence transformers' bar over the weights of a file on this disk; downloads keep theirs."""
    from transformers.utils import logging

    was_on = logging.is_progress_bar_enabled()
    if was_on and not keep:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_on:
            logging.enable_progress_bar()
