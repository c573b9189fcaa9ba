"""Train the small GPT-2 of the offline default, and its byte-level BPE tokenizer, on English support inquiries.

    python assets/gpt2_small/train.py

takes minutes on one CPU core and writes, beside this file, `model.safetensors`, `config.json`,
`generation_config.json`, `tokenizer.json`, `tokenizer_config.json` and `metrics.json`. The seed is fixed, and the
tokenizer comes out the same each time; the weights are equal bit by bit only on the same kind of processor. Model and
tokenizer belong together; keep or replace both.

English alone, because two layers of 128 write one language well and four of them badly. Every block that the model
sees begins with a message, so that its first position is the beginning of a text, as it is when it is asked to
continue a prompt; further messages follow behind <|endoftext|>, so that all positions are trained alike.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import platform
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = Path(__file__).resolve().parent
SEED = 21
LANGUAGE = "en"
SERIES = 4  # 20,000 messages each, a quarter of them English; with one alone it learns them by heart
VOCABULARY = 1_536
POSITIONS = 256
BLOCK = 160  # tokens of one row of a batch while training
BATCH = 16
STEPS = 1_600
PEAK_LEARNING_RATE = 4e-3
END = "<|endoftext|>"
SAMPLES = ("My parcel", "I was charged", "Hello, the app", "Please cancel", "I cannot log in", "Where is the refund")


def load_texts(split: str, series: int = 1) -> list[str]:
    """Return the English messages of a split of `assets/support_inquiries/generate.py`, in so many series."""
    folder = str(HERE.parent / "support_inquiries")
    sys.path.insert(0, folder)
    try:
        generator = importlib.import_module("generate")
    finally:
        sys.path.remove(folder)
    inquiries = [inquiry for number in range(series) for inquiry in generator.generate(split, series=number + 1)]
    return [inquiry.text for inquiry in inquiries if inquiry.language == LANGUAGE]


def train_tokenizer(texts: Sequence[str]) -> transformers.PreTrainedTokenizerFast:
    """Learn a byte-level BPE vocabulary of `VOCABULARY` entries; it pads on the left, with `END`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=POSITIONS,
        model_input_names=["input_ids", "attention_mask"],
        bos_token=END,
        eos_token=END,
        pad_token=END,
        padding_side="left",
    )


def new_model(tokenizer: Any) -> transformers.GPT2LMHeadModel:
    """Make a GPT-2 of 2 layers, 128 wide, 4 heads, with seeded random weights."""
    torch.manual_seed(SEED)
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=POSITIONS,
        n_layer=2,
        n_head=4,
        n_embd=128,
        # There is more text than so small a model can learn by heart.
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        resid_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = transformers.GPT2LMHeadModel(config)
    # Not in the configuration, as with GPT-2 itself: padding is the mask's matter, and the token also ends texts.
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def blocks(tokens: Sequence[Sequence[int]], end: int, count: int, choose: random.Random) -> torch.Tensor:
    """Draw messages into `count` rows, each beginning with a message's first token: int64 [count, BLOCK]."""
    rows = []
    for _ in range(count):
        row: list[int] = []
        while len(row) < BLOCK:
            row += [*choose.choice(tokens), end]
        rows.append(row[:BLOCK])
    return torch.tensor(rows)


def next_token_loss(model: transformers.GPT2LMHeadModel, ids: torch.Tensor) -> torch.Tensor:
    """Return the mean loss, in nats, of all tokens but the first of rows without padding, int64 [rows, tokens]."""
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def train(model: transformers.GPT2LMHeadModel, tokenizer: Any, texts: Sequence[str]) -> float:
    """Train in place for `STEPS` steps of `BATCH` blocks. Returns the mean loss of the last 100 steps."""
    tokens = tokenizer(list(texts), verbose=False)["input_ids"]
    choose = random.Random(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=STEPS, pct_start=0.1)
    model.train()
    losses = []
    for step in range(STEPS):
        ids = blocks(tokens, tokenizer.eos_token_id, BATCH, choose)
        loss = next_token_loss(model, ids)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 0 or step == STEPS - 1:
            print(f"step {step:5d}  loss {losses[-1]:.4f}", flush=True)
    return sum(losses[-100:]) / len(losses[-100:])


@torch.inference_mode()
def mean_loss(model: transformers.GPT2LMHeadModel, tokenizer: Any, texts: Sequence[str]) -> float:
    """Return the mean loss of one token in nats; each text stands alone, with its end, cut at `POSITIONS`."""
    model.eval()
    total, count = 0.0, 0
    for row in tokenizer(list(texts), verbose=False)["input_ids"]:
        ids = torch.tensor([[*row, tokenizer.eos_token_id][:POSITIONS]])
        if ids.shape[1] > 1:
            total += next_token_loss(model, ids).item() * (ids.shape[1] - 1)
            count += ids.shape[1] - 1
    return total / count


@torch.inference_mode()
def continuations(model: transformers.GPT2LMHeadModel, tokenizer: Any, prompts: Sequence[str]) -> dict[str, str]:
    """Continue each prompt greedily by up to 32 tokens."""
    result = {}
    for prompt in prompts:
        tokens = tokenizer(prompt, return_tensors="pt")
        ids = model.generate(**tokens, max_new_tokens=32, do_sample=False)
        result[prompt] = tokenizer.decode(ids[0, tokens.input_ids.shape[1] :], skip_special_tokens=True)
    return result


def main() -> int:
    """Train, measure and write everything. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Train the small GPT-2.")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to (default: beside this file)")
    output: Path = parser.parse_args().output
    torch.set_num_threads(1)  # the same sums on any number of cores, and no waiting where others work
    texts = load_texts("train", SERIES)
    started = time.perf_counter()
    tokenizer = train_tokenizer(load_texts("train"))  # one series has every word
    model = new_model(tokenizer)
    loss = train(model, tokenizer, texts)
    seconds = time.perf_counter() - started

    transformers.utils.logging.disable_progress_bar()
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    (output / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(output)
    metrics: dict[str, Any] = {
        "command": "python assets/gpt2_small/train.py",
        "seconds": round(seconds),
        "machine": f"{platform.system()} {platform.machine()}, CPU",
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__,
        },
        "seed": SEED,
        "steps": STEPS,
        "tokens": STEPS * BATCH * BLOCK,
        "training_texts": len(texts),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "training_loss": round(loss, 4),
    }
    for split in ("validation", "held_out"):
        measured = load_texts(split)
        loss = mean_loss(model, tokenizer, measured)
        metrics[split] = {"texts": len(measured), "loss": round(loss, 4), "perplexity": round(math.exp(loss), 2)}
    metrics["greedy_continuations"] = continuations(model, tokenizer, SAMPLES)
    (output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(metrics, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
