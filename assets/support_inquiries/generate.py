"""Write customer support inquiries in four languages, with their intents.

The sentence frames lie in `phrases/<language>.toml`. A message is put together from an opener, one or more
problem clauses of one intent, requests, neutral sentences, urgency, a sign-off and, in long messages, quoted
earlier messages; then a writer's habits (no capitals, no accents, typing errors) are applied. The text is
generated: no person or order in it is real.

Every sixth frame of every list is held out: `train` and `validation` never use such a frame, `held_out` uses
nothing else, and `benchmark` draws from all of them.

    python assets/support_inquiries/generate.py            # writes benchmark.jsonl and held_out.jsonl
    python assets/support_inquiries/generate.py --check    # compares the files with what would be written

Only the standard library is used, and only `random.Random` seeded with a string, whose sequence is the same
on all supported Python versions.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tomllib
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LANGUAGES = ("en", "de", "fr", "es")
INTENTS = ("billing", "delivery", "returns", "account", "technical", "cancellation")
SPLIT_SIZES = {"train": 20_000, "validation": 1_000, "held_out": 1_000, "benchmark": 2_500}
COMMITTED = ("benchmark", "held_out")
SEED = "support inquiries"

# fmt: off
_NAMES = (
    "Ana", "Ben", "Carla", "David", "Elif", "Frank", "Greta", "Hugo", "Ines", "Jonas", "Kim", "Lea", "Marc",
    "Nora", "Oscar", "Paula", "Quentin", "Rosa", "Sam", "Tara", "Uwe", "Vera", "Will", "Xenia", "Yusuf", "Zoe",
)
# fmt: on
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Inquiry:
    """One message: its text, its intent (one of `INTENTS`) and its language (one of `LANGUAGES`)."""

    text: str
    intent: str
    language: str


def is_held_out(index: int) -> bool:
    """Say whether the frame at this place of its list is kept away from training."""
    return index % 6 == 4


@cache
def phrases(language: str) -> dict[str, Any]:
    """Read the sentence frames of one language."""
    return tomllib.loads((HERE / "phrases" / f"{language}.toml").read_text(encoding="utf-8"))


def frames_of(frames: Sequence[str], split: str) -> list[str]:
    """Choose from a list of frames those that a split may use."""
    if split == "benchmark":
        return list(frames)
    wanted = split == "held_out"
    return [frame for index, frame in enumerate(frames) if is_held_out(index) == wanted]


def generate(split: str, count: int | None = None, series: int = 1) -> list[Inquiry]:
    """Write the first `count` inquiries of a split (all of them by default), in shuffled order of intents.

    Another `series` gives other inquiries from the same frames; the files that are kept are of the first.

    Raises:
        ValueError: the split is none of `SPLIT_SIZES`, or it has fewer inquiries than asked for.
    """
    if split not in SPLIT_SIZES:
        raise ValueError(f"unknown split {split!r}: expected one of {', '.join(SPLIT_SIZES)}")
    size = SPLIT_SIZES[split]
    count = size if count is None else count
    if not 0 < count <= size:
        raise ValueError(f"{count} inquiries asked of split {split!r}: expected 1 to {size}")
    rng = random.Random(f"{SEED} {series} {split}")
    return [_inquiry(rng, split) for _ in range(count)]


def _inquiry(rng: random.Random, split: str) -> Inquiry:
    language, intent = rng.choice(LANGUAGES), rng.choice(INTENTS)
    writer = _Writer(rng, language, intent, split)
    kind = rng.choices(("note", "letter", "story", "thread"), weights=(30, 42, 18, 10))[0]
    return Inquiry(_habits(rng, getattr(writer, kind)()), intent, language)


class _Writer:
    """Puts the sentences of one message together."""

    def __init__(self, rng: random.Random, language: str, intent: str, split: str) -> None:
        self._rng = rng
        self._phrases = phrases(language)
        self._intent = self._phrases["intents"][intent]
        self._language = language
        self._split = split
        # One message is about one product, by one person; the rest may vary within it.
        self._fixed = {"product": rng.choice(self._phrases["products"]), "name": rng.choice(_NAMES)}

    def note(self) -> str:
        """Write a message of one clause, often without greeting or full stop."""
        opener = self._one(self._phrases["openers"]) + " " if self._rng.random() < 0.4 else ""
        end = self._rng.choice(("", "", ".", "!", "?", "??"))
        return opener + self._one(self._intent["problems"]) + end

    def letter(self) -> str:
        """Write a few sentences in a usual order."""
        rng = self._rng
        parts = [self._one(self._phrases["openers"])] if rng.random() < 0.75 else []
        if rng.random() < 0.3:
            parts.append(self._one(self._phrases["neutral"]))
        parts.append(self._problem())
        if rng.random() < 0.35:
            parts.append(self._one(self._phrases["neutral"]))
        if rng.random() < 0.6:
            parts.append(self._one(self._intent["requests"]))
        if rng.random() < 0.35:
            parts.append(self._one(self._phrases["urgency"]))
        if rng.random() < 0.6:
            parts.append(self._one(self._phrases["signoffs"]))
        return " ".join(parts)

    def story(self) -> str:
        """Write a message that takes its time: about 70 to 200 tokens."""
        rng = self._rng
        neutral = self._some(self._phrases["neutral"], rng.randint(2, 6))
        before = rng.randint(0, min(3, len(neutral)))
        parts = [self._one(self._phrases["openers"]), *neutral[:before], self._problem()]
        parts += [*neutral[before:], self._one(self._intent["requests"])]
        if rng.random() < 0.6:
            parts.append(self._problem())
        if rng.random() < 0.5:
            parts.append(self._one(self._phrases["urgency"]))
        parts.append(self._one(self._phrases["signoffs"]))
        return " ".join(parts)

    def thread(self) -> str:
        """Write a message with one to three earlier ones quoted below it."""
        parts = [self.letter()]
        for _ in range(self._rng.randint(1, 3)):
            # The earlier-message headings carry no intent; three of them are too few to hold any out.
            parts += [self._fill(self._rng.choice(self._phrases["earlier"])), self.story()]
        return "\n".join(parts)

    def _problem(self) -> str:
        clause = self._one(self._intent["problems"])
        return clause[0].upper() + clause[1:] + self._rng.choice((".", ".", ".", "!", "..."))

    def _one(self, frames: Sequence[str]) -> str:
        return self._fill(self._rng.choice(frames_of(frames, self._split)))

    def _some(self, frames: Sequence[str], count: int) -> list[str]:
        allowed = frames_of(frames, self._split)
        return [self._fill(frame) for frame in self._rng.sample(allowed, min(count, len(allowed)))]

    def _fill(self, frame: str) -> str:
        chosen = _CHOICE.sub(lambda match: self._rng.choice(match.group(1).split("|")), frame)
        return _SLOT.sub(lambda match: self._slot(match.group(1)), chosen)

    def _slot(self, name: str) -> str:
        rng = self._rng
        if name in self._fixed:
            return self._fixed[name]
        if name == "agent":
            return rng.choice(_NAMES)
        if name == "date":
            day, month = rng.randint(1, 28), rng.choice(self._phrases["slots"]["months"])
            pattern = {"en": "{1} {0}", "de": "{0}. {1}", "fr": "{0} {1}", "es": "{0} de {1}"}[self._language]
            return pattern.format(day, month)
        if name == "amount":
            whole, cents = rng.randint(5, 400), rng.choice(("00", "49", "90", "95", "99"))
            return f"£{whole}.{cents}" if self._language == "en" else f"{whole},{cents} €"
        if name in _NUMBERS:
            first, last, prefix = _NUMBERS[name]
            return f"{prefix}{rng.randint(first, last)}"
        return str(rng.choice(self._phrases["slots"][name]))


# Slots that are a number: the smallest, the largest, what stands before it.
_NUMBERS = {
    "days": (3, 30, ""),
    "minutes": (10, 90, ""),
    "percent": (5, 99, ""),
    "year": (2008, 2025, ""),
    "code": (100, 999, "E"),
    "ticket": (10_000, 99_999, "T"),
    "order": (100_000, 999_999, "A-"),
}


def _habits(rng: random.Random, text: str) -> str:
    """Apply one writer's habits: no capitals, shouting, no accents, typing errors."""
    case = rng.random()
    if case < 0.15:
        text = text.lower()
    elif case < 0.17:
        text = text.upper()
    if rng.random() < 0.10:
        text = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    if rng.random() < 0.25:
        rate = rng.choice((0.03, 0.06, 0.12))
        text = re.sub(r"[^\W\d]{4,}", lambda m: _typo(rng, m.group()) if rng.random() < rate else m.group(), text)
    return text


def _typo(rng: random.Random, word: str) -> str:
    """Swap, drop or double one letter inside a word."""
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if kind == 1 else word[:at] + word[at] + word[at:]


def to_jsonl(inquiries: Sequence[Inquiry]) -> str:
    """Write inquiries as JSON lines, one message a line."""
    return "".join(json.dumps(asdict(inquiry), ensure_ascii=False) + "\n" for inquiry in inquiries)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the committed splits beside this file, or check them. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the support inquiries that are kept in the repository.")
    parser.add_argument("--check", action="store_true", help="compare only; exit status 1 when a file differs")
    check = parser.parse_args(arguments).check
    differing = []
    for split in COMMITTED:
        path, text = HERE / f"{split}.jsonl", to_jsonl(generate(split))
        if not check:
            path.write_text(text, encoding="utf-8", newline="\n")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            differing.append(path.name)
    if differing:
        print(f"{', '.join(differing)}: not what generate.py writes; run it without --check", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
