"""The models of the course: a classifier and a text generator, each in a small and in the full size.

`MODEL=small` (the default) reads `assets/distilbert_small` or `assets/gpt2_small`, without any network.
`MODEL=full` takes DistilBERT fine-tuned on SST-2, or DistilGPT2, from the Hugging Face hub; where the hub cannot be
reached it is the same architecture with seeded random weights, and `source` and one printed line say so.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

SIZES = ("small", "full")
FULL_MODEL = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
FULL_GENERATOR = "distilbert/distilgpt2"
_ASSETS = Path(__file__).resolve().parent.parent / "assets"
SMALL_FOLDER = _ASSETS / "distilbert_small"
SMALL_GENERATOR_FOLDER = _ASSETS / "gpt2_small"
HUB_TIMEOUT_SECONDS = 3.0

# With transformers' default of 0.02 a random model answers nearly the same for every text, and a comparison
# of two precisions would compare constants.
_RANDOM_INITIALIZER_RANGE = 0.06
_RANDOM_SEED = 0


class ModelError(Exception):
    """A model or its texts cannot be loaded; the message says what to do."""


class _Weights:
    """What can be said of any model's weights."""

    model: Any

    @property
    def parameters(self) -> int:
        """Number of weights; a tensor that is used twice counts once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights as they are held now (FP32: four each)."""
        return sum(parameter.numel() * parameter.element_size() for parameter in self.model.parameters())


@dataclass(frozen=True)
class Classifier(_Weights):
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


@dataclass(frozen=True)
class Generator(_Weights):
    """A text generator (a causal language model) and what belongs to it.

    Attributes:
        model: transformers `GPT2LMHeadModel` on the CPU, FP32, in eval mode, with eager attention and without
            gradients. It takes `input_ids` and `attention_mask`, both int64 [batch, tokens], and returns `.logits`,
            float32 [batch, tokens, vocabulary].
        tokenizer: the tokenizer that belongs to it. It pads on the left, with the token that ends a text.
        name: what it is, for tables.
        size: "small" or "full".
        source: where the weights came from, in words.
        trained: False when the weights are random; the text then means nothing.
    """

    model: Any
    tokenizer: Any
    name: str
    size: str
    source: str
    trained: bool = True

    @property
    def vocabulary(self) -> int:
        """Number of logits of one position. The tokenizer may know fewer tokens: see `load_generator`."""
        return int(self.model.config.vocab_size)


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
            f"{where} {value!r}: expected 'small' (in the repository, no network) or 'full' (some "
            "300 MB of weights, from the Hugging Face hub). Set it to one of the two, or leave it out for 'small'."
        )
    return chosen


def load_classifier(size: str | None = None) -> Classifier:
    """Load the classifier of this size (None: the environment variable MODEL, else small).

    Raises:
        ModelError: the size is unknown, or the files of the small model are missing or broken.
    """
    chosen = resolve_size(size)
    _import_transformers()
    return _small() if chosen == "small" else _full()


def load_generator(size: str | None = None, *, vocabulary: int | None = None) -> Generator:
    """Load the text generator of this size (None: the environment variable MODEL, else small).

    Args:
        size: "small" (2 layers x 128) or "full" (DistilGPT2).
        vocabulary: how many logits a position shall have, for measurements that depend on their number: the small
            model knows about 1,500 tokens, DistilGPT2 50,257. Rows are added to the embedding that can never win, so
            that the same tokens are chosen as without them; `name` says so. None: as many as the model has.

    Raises:
        ModelError: the size is unknown, the files of the small model are missing or broken, or `vocabulary` is less
            than what the model has.
    """
    chosen = resolve_size(size)
    _import_transformers()
    generator = _small_generator() if chosen == "small" else _full_generator()
    return generator if vocabulary is None else _widened(generator, vocabulary)


def last_logits(model: Any, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
    """The whole sequences through PyTorch, without a cache: logits of the last position, float32 `[B, V]`.

    Positions are counted from the mask, as transformers' `generate` counts them.

    Args:
        model: a `Generator`'s model, on any device.
        input_ids, attention_mask: int64 `[B, t]`, padded on the left.
    """
    import torch

    device = next(model.parameters()).device
    with torch.inference_mode():
        ids, mask = (torch.from_numpy(array).to(device) for array in (input_ids, attention_mask))
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        logits = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False).logits
        found: np.ndarray = logits[:, -1].float().cpu().numpy()
        return found


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


def _import_transformers() -> None:
    with warnings.catch_warnings():
        # tqdm would like ipywidgets for its bars, and says so once in a notebook, with a path of this machine.
        warnings.filterwarnings("ignore", message="IProgress not found")
        import transformers  # noqa: F401


def _small() -> Classifier:
    from transformers import DistilBertForSequenceClassification

    model, tokenizer = _from_folder(SMALL_FOLDER, DistilBertForSequenceClassification)
    return _classifier(model, tokenizer, "DistilBERT, 2 layers x 64", "small", "assets/distilbert_small")


def _small_generator() -> Generator:
    from transformers import GPT2LMHeadModel

    model, tokenizer = _from_folder(SMALL_GENERATOR_FOLDER, GPT2LMHeadModel)
    return _generator(model, tokenizer, "GPT-2, 2 layers x 128", "small", "assets/gpt2_small")


def _full() -> Classifier:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    if (found := _from_hub(FULL_MODEL, DistilBertForSequenceClassification)) is not None:
        return _classifier(*found, "DistilBERT, 6 layers x 768", "full", f"Hugging Face hub: {FULL_MODEL}")
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
    model, source = _random(DistilBertForSequenceClassification, config, "labels mean nothing")
    name = "DistilBERT, 6 layers x 768, random weights"
    # Every id of the small vocabulary is also an id of the large one.
    return _classifier(model, _small().tokenizer, name, "full", source, trained=False)


def _full_generator() -> Generator:
    from transformers import GPT2Config, GPT2LMHeadModel

    if (found := _from_hub(FULL_GENERATOR, GPT2LMHeadModel)) is not None:
        return _generator(*found, "DistilGPT2, 6 layers x 768", "full", f"Hugging Face hub: {FULL_GENERATOR}")
    config = GPT2Config(
        vocab_size=50_257,
        n_positions=1_024,
        n_layer=6,
        n_head=12,
        n_embd=768,
        initializer_range=_RANDOM_INITIALIZER_RANGE,
        bos_token_id=50_256,
        eos_token_id=50_256,
    )
    model, source = _random(GPT2LMHeadModel, config, "the text means nothing")
    # As above. What the model writes may be ids that this tokenizer lacks; it decodes them to nothing.
    tokenizer = _small_generator().tokenizer
    return _generator(model, tokenizer, "DistilGPT2, 6 layers x 768, random weights", "full", source, trained=False)


def _from_folder(folder: Path, architecture: Any) -> tuple[Any, Any]:
    """Read model and tokenizer from a folder of the repository."""
    needed = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{folder} lacks {', '.join(missing)}: expected the small model that the repository holds. "
            "Restore it with `git checkout -- assets`, or make it again with "
            f"`python assets/{folder.name}/train.py`."
        )
    try:
        return _read(str(folder), architecture, local_files_only=True)
    except Exception as error:  # whatever the reader of a damaged file raises: the remedy is the same
        raise ModelError(
            f"the small model in {folder} cannot be read ({type(error).__name__}: {error}): "
            "expected the files that the repository holds. Restore them with `git checkout -- assets`."
        ) from error


def _from_hub(name: str, architecture: Any) -> tuple[Any, Any] | None:
    """Read model and tokenizer from the Hugging Face hub or its cache; None when they are in neither."""
    reachable = hub_reachable()
    try:
        # Without the network it may still lie in the hub's cache from an earlier run.
        return _read(name, architecture, local_files_only=not reachable)
    except (OSError, ValueError):
        return None


def _read(name: str, architecture: Any, local_files_only: bool) -> tuple[Any, Any]:
    from transformers import AutoTokenizer

    with _no_progress_bars(keep=not local_files_only):
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local_files_only)
        model = architecture.from_pretrained(
            name, local_files_only=local_files_only, attn_implementation="eager", dtype="float32"
        )
    return model, tokenizer


def _random(architecture: Any, config: Any, consequence: str) -> tuple[Any, str]:
    """Build an architecture with seeded random weights, say so, and return it with its source in words."""
    import torch

    config._attn_implementation = "eager"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_SEED)
        model = architecture(config)
    source = f"random weights (the Hugging Face hub cannot be reached); sizes and times hold, {consequence}"
    print(f"MODEL=full: {source}.")
    return model, source


def _classifier(model: Any, tokenizer: Any, name: str, size: str, source: str, trained: bool = True) -> Classifier:
    labels = tuple(model.config.id2label[index] for index in range(model.config.num_labels))
    return Classifier(_frozen(model), tokenizer, name, size, source, labels, trained)


def _generator(model: Any, tokenizer: Any, name: str, size: str, source: str, trained: bool = True) -> Generator:
    tokenizer.pad_token = tokenizer.eos_token
    # The next token is chosen behind the last one, so a shorter prompt is filled up in front.
    tokenizer.padding_side = "left"
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return Generator(_frozen(model), tokenizer, name, size, source, trained)


def _frozen(model: Any) -> Any:
    model.eval()
    model.requires_grad_(False)
    return model


def _widened(generator: Generator, vocabulary: int) -> Generator:
    """Fill the embedding up to `vocabulary` rows, each the mean of 32 rows that are there.

    GPT-2's logits are products with these rows and have no bias, so the logit of such a row is the mean of 32 real
    logits: never above the largest, and as far below it as the mean of any 32 is.
    """
    import torch

    model, own = generator.model, generator.vocabulary
    if vocabulary < own:
        raise ModelError(
            f"vocabulary is {vocabulary:,}: expected at least {own:,}, as many as {generator.name} has. Leave it out "
            "to have just these."
        )
    if vocabulary == own:
        return generator
    random = torch.Generator().manual_seed(_RANDOM_SEED)
    rows = model.get_input_embeddings().weight
    chosen = torch.randint(own, (vocabulary - own, 32), generator=random)
    added = torch.nn.functional.embedding_bag(chosen, rows, mode="mean")
    embedding = torch.nn.Embedding.from_pretrained(torch.cat([rows, added]))
    model.set_input_embeddings(embedding)
    model.lm_head.weight, model.lm_head.out_features = embedding.weight, vocabulary
    model.config.vocab_size = vocabulary
    name = f"{generator.name}, vocabulary filled up from {own:,} to {vocabulary:,}"
    return replace(generator, model=_frozen(model), name=name)


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
