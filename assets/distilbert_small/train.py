"""Train the small DistilBERT of the offline default, and its WordPiece tokenizer, on support inquiries.

    python assets/distilbert_small/train.py

takes minutes on one CPU core and writes, beside this file, `model.safetensors`, `config.json`,
`tokenizer.json`, `tokenizer_config.json` and `metrics.json`. The seed is fixed, but a second run
does not give the same bytes: the trainer of the tokenizers library walks through a hash table, so that word
pieces of equal frequency come in another order. Model and tokenizer belong together; keep or replace both.

Nothing of the held-out phrasings is used in training, neither for the vocabulary nor to choose a stopping
point: the number of steps is fixed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn

HERE = Path(__file__).resolve().parent
SEED = 20
VOCABULARY = 3_000
BATCH = 64
STEPS = 1_000
PEAK_LEARNING_RATE = 4e-3
HIDDEN_TOKENS = 0.15  # the share of tokens replaced by [MASK], so that no single word decides


def load_generator() -> ModuleType:
    """Import `assets/support_inquiries/generate.py` by its path."""
    path = HERE.parent / "support_inquiries" / "generate.py"
    spec = importlib.util.spec_from_file_location("support_inquiries_generate", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def train_tokenizer(texts: Sequence[str]) -> transformers.PreTrainedTokenizerFast:
    """Learn a lower-case WordPiece vocabulary of `VOCABULARY` entries, with BERT's special tokens."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def new_model(tokenizer: Any, intents: Sequence[str]) -> transformers.DistilBertForSequenceClassification:
    """Make a DistilBERT of 2 layers, 64 wide, 4 heads, with seeded random weights."""
    torch.manual_seed(SEED)
    config = transformers.DistilBertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=512,
        n_layers=2,
        n_heads=4,
        dim=64,
        hidden_dim=256,
        pad_token_id=tokenizer.pad_token_id,
        seq_classif_dropout=0.1,
        id2label=dict(enumerate(intents)),
        label2id={intent: index for index, intent in enumerate(intents)},
    )
    config._attn_implementation = "eager"
    return transformers.DistilBertForSequenceClassification(config)


def collate(tokens: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad rows of token ids to the longest: ids and mask, both int64 [rows, longest]."""
    ids = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in tokens], batch_first=True, padding_value=pad)
    mask = torch.arange(ids.shape[1])[None, :] < torch.tensor([len(row) for row in tokens])[:, None]
    return ids, mask.long()


def similar_lengths(tokens: Sequence[Sequence[int]], choose: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield row numbers, int64 [BATCH], without end: 32 random batches at a time, of little padding each."""
    lengths = torch.tensor([len(row) for row in tokens])
    while True:
        rows = torch.randint(len(tokens), (32 * BATCH,), generator=choose)
        batches = rows[lengths[rows].argsort(stable=True)].view(32, BATCH)
        yield from batches[torch.randperm(32, generator=choose)]


def train(model: nn.Module, tokenizer: Any, texts: Sequence[str], labels: torch.Tensor) -> None:
    """Train in place for `STEPS` steps of `BATCH` messages, three batches of four cut at 64 tokens."""
    tokens = tokenizer(list(texts))["input_ids"]
    choose = torch.Generator().manual_seed(SEED)
    batches = similar_lengths(tokens, choose)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=STEPS, pct_start=0.1)
    model.train()
    for step in range(STEPS):
        rows = next(batches)
        longest = (64, 64, 64, 512)[step % 4]
        ids, mask = collate([tokens[row][:longest] for row in rows], tokenizer.pad_token_id)
        hidden = (torch.rand(ids.shape, generator=choose) < HIDDEN_TOKENS) & (mask == 1)
        hidden[:, 0] = False
        ids = ids.masked_fill(hidden, tokenizer.mask_token_id)
        loss = nn.functional.cross_entropy(model(input_ids=ids, attention_mask=mask).logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == STEPS - 1:
            print(f"step {step:5d}  loss {loss.item():.4f}", flush=True)


@torch.inference_mode()
def predict(model: nn.Module, tokenizer: Any, texts: Sequence[str], max_length: int) -> torch.Tensor:
    """Return the logits, float32 [len(texts), intents], of texts cut at `max_length` tokens."""
    model.eval()
    tokens = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]
    logits = []
    for start in range(0, len(tokens), 100):
        ids, mask = collate(tokens[start : start + 100], tokenizer.pad_token_id)
        logits.append(model(input_ids=ids, attention_mask=mask).logits)
    return torch.cat(logits)


def measure(model: nn.Module, tokenizer: Any, generator: ModuleType) -> dict[str, Any]:
    """Measure accuracy at 64 and 256 tokens: new messages, held-out phrasings, and the benchmark's texts."""
    result: dict[str, Any] = {}
    for split in ("validation", "held_out", "benchmark"):
        inquiries = generator.generate(split)
        wanted = torch.tensor([generator.INTENTS.index(inquiry.intent) for inquiry in inquiries])
        entry: dict[str, Any] = {"texts": len(inquiries)}
        for max_length in (64, 256):
            logits = predict(model, tokenizer, [inquiry.text for inquiry in inquiries], max_length)
            right = logits.argmax(1) == wanted
            entry[f"accuracy_{max_length}_tokens"] = round(right.float().mean().item(), 4)
            for language in generator.LANGUAGES:
                own = torch.tensor([inquiry.language == language for inquiry in inquiries])
                entry.setdefault(f"by_language_{max_length}_tokens", {})[language] = round(
                    right[own].float().mean().item(), 4
                )
        result[split] = entry
    return result


def main() -> int:
    """Train, measure and write everything. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Train the small DistilBERT classifier.")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to (default: beside this file)")
    output: Path = parser.parse_args().output
    torch.set_num_threads(1)  # the same sums on any number of cores, and no waiting where others work
    generator = load_generator()
    started = time.perf_counter()
    inquiries = generator.generate("train")
    texts = [inquiry.text for inquiry in inquiries]
    labels = torch.tensor([generator.INTENTS.index(inquiry.intent) for inquiry in inquiries])
    tokenizer = train_tokenizer(texts)
    model = new_model(tokenizer, generator.INTENTS)
    train(model, tokenizer, texts, labels)
    seconds = time.perf_counter() - started

    transformers.utils.logging.disable_progress_bar()
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    (output / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(output)
    metrics = {
        "command": "python assets/distilbert_small/train.py",
        "seconds": round(seconds),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__,
        },
        "seed": SEED,
        "steps": STEPS,
        "training_texts": len(texts),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "accuracy": measure(model, tokenizer, generator),
    }
    (output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(metrics, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
