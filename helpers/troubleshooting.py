"""What an error message or a symptom means: `python -m helpers troubleshoot "the message"`.

Everything comes from two files in `assets/troubleshooting`: the nine pitfalls that the original project listed, and
what people stumble on elsewhere. From the same files come docs/troubleshooting.md (`python -m helpers troubleshoot
--write`) and the texts of the notebook's pitfalls, whose messages are made for real and then looked up (`provoked`).

A pasted message is found by the exact pieces of the stored one, in their order; what lies between them (numbers, names,
shapes) may be anything. A piece of a message is found too, and a symptom in words of one's own by the words that it
shares with an entry, of which rare ones count more.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
import sys
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.files import replacing

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "assets" / "troubleshooting"
PAGE = ROOT / "docs" / "troubleshooting.md"
PLACES = {
    "B": "NVIDIA's builder, without a GPU",
    "P": "a plain CPU",
    "S": "the simulated device",
    "G": "a GPU",
}
BY_MESSAGE, BY_PART, BY_NAME, BY_WORDS = "the message", "a part of a message", "a name in it", "its words"
NEAREST = "a word in it: the nearest that is known"


class TroubleshootingError(ValueError):
    """The data or the question cannot be used: what was wrong, what was expected and what to do."""


@dataclass(frozen=True)
class Source:
    """Where a claim comes from. `opened` is False for a thread that nobody read for this entry."""

    name: str
    url: str
    opened: bool

    def markdown(self) -> str:
        text = f"[{self.name}]({self.url})" if self.url else self.name
        return text if self.opened else f"{text} (not opened)"


@dataclass(frozen=True)
class Provoked:
    """The notebook's cell that makes the message, which of the entry's errors it makes, or why it makes none."""

    cell: str
    errors: tuple[int, ...]
    why: str


@dataclass(frozen=True)
class Entry:
    """One thing that goes wrong.

    Attributes:
        kind: "pitfall" (one of the nine), "stumble" or "question" (about notebooks and grading).
        errors: messages as they are printed, with * for what varies.
        names: identifiers, error codes and short terms that lead here by themselves.
        original: what the original project said; `today` what is true now. Pitfalls only.
        places: where it can be provoked, in words.
    """

    id: str
    kind: str
    title: str
    errors: tuple[str, ...]
    symptoms: tuple[str, ...]
    cause: str
    remedy: str
    sources: tuple[Source, ...]
    names: tuple[str, ...] = ()
    original: str = ""
    today: str = ""
    quoted: str = ""
    provoked: Provoked | None = None
    places: tuple[str, ...] = ()

    def matches(self, message: str) -> int:
        """Letters of the longest of the entry's errors that `message` holds; 0 where it holds none."""
        text = _plain(message)
        return max((_weight(error) for error in self.errors if _pattern(error).search(text)), default=0)

    def markdown(self, heading: str = "", where: bool = True) -> str:
        """The entry as Markdown, for the page and for the notebook; `where` says where it can be provoked."""
        lines = [f"{heading} {self.title}", ""] if heading else []
        if self.errors:
            lines += ["*Printed as:*  \n" + "".join(f"`` {error} ``  \n" for error in self.errors).rstrip(), ""]
        if self.symptoms:
            lines += [f"*Seen as:* {'; '.join(self.symptoms)}.", ""]
        lines += [f"**Why.** {self.cause}", ""] if self.cause else []
        lines += [f"**What to do.** {self.remedy}", ""]
        if self.original:
            lines += [f"**Then and now.** The original project {self.original} Today: {self.today}", ""]
        if self.provoked is not None and where:
            made = " and ".join(", ".join(str(n + 1) for n in self.provoked.errors).rsplit(", ", 1))
            what = f"text {made} above" if made else self.provoked.why
            quoted = f" {self.quoted}" if self.quoted else ""
            lines += [f"*Provoked in* cell [{self.provoked.cell}] of `ex2_evidence.py`: {what}.{quoted}", ""]
        if self.places and where:
            lines += [f"*Can be provoked on* {', '.join(self.places)}.", ""]
        if self.sources:
            lines += ["*Sources:* " + ", ".join(source.markdown() for source in self.sources) + ".", ""]
        return "\n".join(lines).rstrip() + "\n"


@dataclass(frozen=True)
class Hit:
    """An entry that was found; `by` is one of BY_MESSAGE to NEAREST. The larger `score` is the better one."""

    entry: Entry
    by: str
    score: float


# --- the data ---------------------------------------------------------------------------------------------------------


@functools.cache
def load(folder: Path = DATA) -> tuple[Entry, ...]:
    """All entries: the nine pitfalls, then the rest, in the order of the files.

    Raises:
        TroubleshootingError: a file is missing or malformed, an entry lacks something, or an id occurs twice.
    """
    entries = [_entry(row, "pitfall") for row in _rows(folder / "pitfalls.toml", "entry")]
    entries += [_entry(row, "stumble") for row in _rows(folder / "stumbles.toml", "entry")]
    entries += [_entry(row, "question") for row in _rows(folder / "stumbles.toml", "question")]
    twice = [name for name, count in Counter(entry.id for entry in entries).items() if count > 1]
    if twice:
        raise TroubleshootingError(f"The id {twice[0]!r} occurs twice. Expected one entry for each id; rename one.")
    return tuple(entries)


def entry(ident: str) -> Entry:
    """The entry with this id. Raises TroubleshootingError with the ids that there are."""
    found = next((row for row in load() if row.id == ident), None)
    if found is None:
        raise TroubleshootingError(
            f"No entry {ident!r}. Expected one of {', '.join(row.id for row in load())}; or search for the message."
        )
    return found


def _rows(path: Path, table: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))[table]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise TroubleshootingError(
            f"{path} cannot be read: {error!r}. Expected a TOML file with [[{table}]]."
        ) from None
    return rows


def _entry(row: dict[str, Any], kind: str) -> Entry:
    given = dict(row)
    try:
        opened = set(given.pop("opened"))
        sources = tuple(_source(text, text in opened) for text in given.pop("sources"))
        strange = opened - set(row["sources"])
        if strange:
            raise TroubleshootingError(f"{row['id']}: opened names {sorted(strange)}, which sources lacks.")
        provoked = given.pop("provoked", None)
        given.pop("number", None)
        return Entry(
            kind=kind,
            errors=tuple(given.pop("errors", ())),
            symptoms=tuple(given.pop("symptoms")),
            names=tuple(given.pop("names", ())),
            cause=given.pop("cause", ""),
            sources=sources,
            provoked=Provoked(provoked["cell"], tuple(provoked["errors"]), provoked["why"]) if provoked else None,
            places=tuple(PLACES[letter] for letter in given.pop("where", "")),
            **given,
        )
    except (KeyError, TypeError) as error:
        raise TroubleshootingError(
            f"The entry {row.get('id', row)!r} is malformed: {error}. Expected the form that the file's head describes."
        ) from None


def _source(text: str, opened: bool) -> Source:
    thread = re.fullmatch(r"([\w.-]+/[\w.-]+)#(\d+)", text)
    if thread:
        return Source(text, f"https://github.com/{thread[1]}/issues/{thread[2]}", opened)
    if text.startswith("https://"):
        return Source(re.sub(r"^https://(www\.)?|\.html$", "", text), text, True)
    return Source(text, "", True)


# --- the search -------------------------------------------------------------------------------------------------------


def search(text: str, limit: int = 3) -> list[Hit]:
    """Entries for a pasted error message, a piece of one, or a symptom in words; the best first.

    A message that was found is enough, and so is a piece of one; then names and words are tried. Where nothing fits,
    entries that share any word with the question are given as the nearest.

    Raises:
        TroubleshootingError: `text` is empty.
    """
    if not text.strip():
        raise TroubleshootingError("Nothing to look for. Expected an error message, a piece of one, or a symptom.")
    entries = load()
    hits = [Hit(row, BY_MESSAGE, float(found)) for row in entries if (found := row.matches(text))]
    if not hits:
        hits = [Hit(row, BY_PART, share) for row in entries if (share := _part(text, row.errors))]
    if not hits:
        shares = {hit.entry.id: hit for hit in _by_words(text, entries, 0.3)}
        for row in entries:
            named, shared = _named(text, row.names), shares.get(row.id)
            if named:
                hits.append(Hit(row, BY_NAME, named + (shared.score if shared else 0.0)))
            elif shared:
                hits.append(shared)
    if not hits:
        hits = [Hit(hit.entry, NEAREST, hit.score) for hit in _by_words(text, entries, 0.0)]
    order = {"pitfall": 0, "stumble": 1, "question": 2}
    return sorted(hits, key=lambda hit: (-hit.score, order[hit.entry.kind]))[:limit]


def _plain(text: str) -> str:
    """Lower case, one space between words, and the quotes that shells and editors make of ' undone."""
    return re.sub(r"\s+", " ", re.sub(r"[‘’`\"]", "'", text)).strip().lower()


@functools.cache
def _pattern(error: str) -> re.Pattern[str]:
    # At most 300 characters stand for a star, so that a long log does not match across unrelated lines.
    return re.compile(".{0,300}?".join(re.escape(piece) for piece in _plain(error).split("*")))


def _weight(error: str) -> int:
    return sum(character.isalnum() for character in error)


def _part(text: str, errors: Sequence[str]) -> float:
    """How much of a stored message `text` is a piece of, 0 to 1; a piece has at least eight letters."""
    wanted = _plain(text)
    if _weight(wanted) < 8:
        return 0.0
    # a star may stand for anything, also for what was left out in the question
    return max((_weight(wanted) / _weight(error) for error in errors if wanted in _plain(error)), default=0.0)


_COMMON = frozenset(
    re.findall(r"\w+", "the a an and or of to in is are was it its for on at with that this not no my by")
)


@functools.cache
def _words(text: str) -> frozenset[str]:
    """The words of a text, without endings, so that "padded" meets "padding"."""
    found = re.findall(r"[a-z0-9_]+", _plain(text).replace("*", " "))
    return frozenset(re.sub(r"(ings?|ed|es|s)$", "", word) for word in found if word not in _COMMON and len(word) > 1)


def _named(text: str, names: Sequence[str]) -> float:
    """How much of `text` are names of an entry, as whole words. "error code: 700" is read as "error 700"."""
    plain = re.sub(r"error( code)?[ :=#(]+(?=\d)", "error ", _plain(text))
    found = [name for name in names if re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", plain)]
    return float(sum(map(_weight, found))) / max(1, _weight(plain))


def _by_words(text: str, entries: Sequence[Entry], enough: float) -> list[Hit]:
    """Entries that share words with `text`, of which `enough` (a share of their rarity, 0 to 1) is known to them."""
    headline = {row.id: _words(" ".join((row.title, *row.errors, *row.symptoms, *row.names))) for row in entries}
    whole_text = {row.id: headline[row.id] | _words(f"{row.cause} {row.remedy} {row.today}") for row in entries}
    count = Counter(word for words in whole_text.values() for word in words)
    rarity = {word: math.log(1 + len(entries) / count[word]) for word in count}
    asked = _words(text)
    known = asked & rarity.keys()
    # A word that no entry knows counts as the rarest one: a question about something else finds nothing.
    whole = sum(rarity[word] for word in known) + math.log(1 + len(entries)) * len(asked - known)
    hits = []
    for row in entries:
        shared = known & whole_text[row.id]
        # What an entry is called and looks like says more of it than its explanations, which name neighbours too.
        found = sum(rarity[word] * (1.0 if word in headline[row.id] else 0.4) for word in shared)
        several = len(shared) >= min(2, len(asked)) or not enough
        if found and found / whole >= enough and several:
            hits.append(Hit(row, BY_WORDS, found / whole))
    return hits


# --- the notebook -----------------------------------------------------------------------------------------------------


@dataclass
class Messages:
    """What a block of `provoked` collects: exceptions by themselves, everything else by `say`."""

    texts: list[str] = field(default_factory=list)

    def say(self, text: object) -> None:
        """Add a message that was not raised: a line of a log, what a process wrote."""
        if str(text).strip():
            self.texts.append(str(text).strip())


@contextlib.contextmanager
def provoked(ident: str, here: bool = True) -> Iterator[Messages]:
    """Catch what a block provokes, print it, and look it up: it has to lead to the entry `ident`.

    Args:
        ident: of the entry.
        here: False where this machine has what the mistake lacks (a driver, a library); then silence is fine.

    Raises:
        TroubleshootingError: nothing was provoked, or what was does not lead to the entry.
    """
    wanted = entry(ident)
    messages = Messages()
    try:
        yield messages
    except Exception as error:  # the mistake may raise anything
        messages.say(f"{type(error).__name__}: {error}")
    if not messages.texts:
        if here:
            raise TroubleshootingError(
                f"Nothing went wrong. Expected one of the messages of {ident!r}: {wanted.errors}"
            )
        print("This machine has what is missing elsewhere, so there is no message here.")
        return
    for text in messages.texts:
        print(
            textwrap.fill(
                text, 116, initial_indent="> ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
            )
        )
    found = next((text for text in messages.texts if wanted.matches(text)), None)
    if found is None:
        raise TroubleshootingError(
            f"None of these messages leads to {ident!r}. Expected one of {list(wanted.errors)}; the data in"
            " assets/troubleshooting needs today's text."
        )


# --- the page and the command -----------------------------------------------------------------------------------------


def page() -> str:
    """docs/troubleshooting.md."""
    entries = load()
    kinds = {kind: [row for row in entries if row.kind == kind] for kind in ("pitfall", "stumble", "question")}
    parts = [
        "# Troubleshooting\n",
        "Made by `python -m helpers troubleshoot --write` from `assets/troubleshooting/`; change the data, not this"
        " page. To search it:\n",
        '```\npython -m helpers troubleshoot "Set dimension [8,33] for tensor input_ids does not satisfy any"\n'
        'python -m helpers troubleshoot "batched text differs from single"\n'
        "python my_program.py 2>&1 | python -m helpers troubleshoot -\n```\n",
        "A message is found by its exact pieces: numbers, names and shapes may differ. In the texts below, * stands for"
        ' them. Threads marked "not opened" were found and not read for this page; open one before you rely on it.'
        " Collected on 2026-11-22.\n",
        "## The nine pitfalls of the original project\n",
        "Each of them is provoked, as far as a machine without a GPU can, in the second notebook of Exercise 2,"
        " `solutions/ex2_distilgpt2/ex2_evidence.py`, and mended there.\n",
        *(row.markdown("###") for row in kinds["pitfall"]),
        "## What people stumble on\n",
        "By how many threads there are, times the damage.\n",
        *(row.markdown("###") for row in kinds["stumble"]),
        "## Notebooks and grading\n",
        *(row.markdown("###") for row in kinds["question"]),
    ]
    return "\n".join(parts)


def main(arguments: Sequence[str]) -> int:
    """`python -m helpers troubleshoot TEXT ...`: print what was found.

    `-` reads the question from a pipe, `--write` writes the page. Returns 0, or 1 where nothing was found or asked.
    """
    words = list(arguments)
    if words == ["--write"]:
        with replacing(PAGE) as part:
            part.write_text(page(), encoding="utf-8")
        print(f"{PAGE.relative_to(ROOT)}: {len(load())} entries")
        return 0
    if words in (["-h"], ["--help"]):
        print('python -m helpers troubleshoot "error message or symptom" | - | --write\n\n' + str(__doc__))
        return 0
    text = sys.stdin.read() if words == ["-"] else " ".join(words)
    try:
        hits = search(text)
    except TroubleshootingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not hits:
        print(
            "Nothing is known of that. Try the first error in the log (later ones often follow from it), or fewer"
            " words; all entries stand in docs/troubleshooting.md."
        )
        return 1
    if hits[0].by == NEAREST:
        print("No message or symptom fits. The nearest that are known:\n")
    for number, hit in enumerate(hits, 1):
        print(f"{number}. {hit.entry.title} [{hit.entry.id}], found by {hit.by}")
        lines = [
            ("why", hit.entry.cause),
            ("to do", hit.entry.remedy),
            ("today", hit.entry.today),
            ("sources", ", ".join(s.url or s.name for s in hit.entry.sources if s.opened)),
        ]
        for label, content in lines:
            if content:
                print(textwrap.fill(content, 112, initial_indent=f"   {label + ':':<9}", subsequent_indent=" " * 12,
                                    break_long_words=False, break_on_hyphens=False))  # fmt: skip
        print()
    return 0
