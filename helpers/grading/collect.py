"""Whose notebook is which: nbgrader's layout, or what a learning platform lets an instructor download.

Nothing is dropped. Of several submissions the latest counts and all stay on disk; a name that matches nobody, or more
than one, is listed with the reason; a file that is no plain notebook becomes a submission that failed, with the reason,
where its student handed in nothing better.

A notebook that comes with an assignment and is not graded (`ex2_evidence.ipynb`) counts as little as no notebook.
Which one is the latest is told by the source's own order: the time in the name where the pattern finds one; for Canvas
the attempt and then Canvas's number, which grows; only then does the right name count.

| Source | A file |
|---|---|
| nbgrader | `<student>/<assignment>/<assignment>.ipynb`, `timestamp.txt` beside it |
| Canvas | `lastfirst_[LATE_]123_456_name.ipynb`, resubmitted `name-1.ipynb`, `name-2.ipynb` |
| Moodle | `First Last_123_assignsubmission_file_/name.ipynb` (one order for all files: the right name, the attempt) |
| another | `FileNameCollectorPlugin.named_regexp` of nbgrader_config.py, as in nbgrader's zip_collect |
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shutil
import stat
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from helpers.files import replacing, size

from .judge import SUBMISSION_LIMIT as LARGEST  # bytes of one notebook

LARGEST_ZIP = 2 << 30  # bytes of all that a zip unpacks to
MOST_FILES = 20_000

_CANVAS = re.compile(r"(?P<name>[^_/]+)_(?P<late>LATE_)?(?P<user>\d+)_(?P<number>\d+)_(?P<file>.+)", re.I)
_MOODLE = re.compile(
    r"(?P<name>[^/]+)_(?P<number>\d+)_(?P<moodle>assignsubmission)_(file|onlinetext)_?/?(?P<file>.+)", re.I
)
# As Blackboard writes it; a parser of dates takes the time behind it for a zone.
_HYPHENS = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})[-_T ]+(\d{1,2})-(\d{1,2})(?:-(\d{1,2}))?")
_NO_NOTEBOOK = "it is no notebook"
_EMPTY = "it is a zip without files"
_BESIDE = "it is the notebook beside the assignment's own, which is not graded"
_NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "notebooks"
_ATTEMPT = re.compile(r"(?P<stem>.*?)-(?P<attempt>\d{1,3})")


class CollectError(ValueError):
    """The path is nothing that submissions can be taken from; the text says what was expected."""


@dataclass(frozen=True)
class Person:
    """A student of the roster; fields are nbgrader's."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""


@dataclass(frozen=True)
class Submission:
    """What one student handed in.

    Attributes:
        path: the notebook that counts.
        problem: why it cannot be graded; empty where it may be tried.
        earlier: how many other files of the same student are kept on disk.
        late: the platform marked it as late.
        timestamp: when it was handed in, in words that nbgrader can read; empty where that is not known.
        file: its name in the source, where that does not follow from `path`.
    """

    student: str
    path: Path
    problem: str = ""
    earlier: int = 0
    late: bool = False
    timestamp: str = ""
    file: str = ""


@dataclass
class Collection:
    """Submissions by student, and (name, reason) of what belongs to nobody in the roster."""

    submissions: list[Submission] = field(default_factory=list)
    unmatched: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    """A candidate: its name below the source, where it lies, and why it cannot be used (empty: it can)."""

    name: str
    path: Path
    problem: str = ""


def roster(path: Path) -> list[Person]:
    """The students of a CSV file with nbgrader's columns: id, first_name, last_name, email, lms_user_id.

    Raises CollectError when it cannot be read, has no column `id`, or has an id that names no folder.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CollectError(f"the roster {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CollectError(f"the roster {path} is no UTF-8 text; in Excel, save it as 'CSV UTF-8'") from None
    rows = csv.DictReader(text.splitlines())
    if "id" not in (rows.fieldnames or []):
        raise CollectError(
            f"{path}: the columns are {rows.fieldnames}, expected id and, as far as known, first_name, last_name, "
            "email, lms_user_id (the file that nbgrader db student import takes)"
        )
    known = Person.__dataclass_fields__
    people = [Person(**{k: (v or "").strip() for k, v in row.items() if k in known}) for row in rows]
    for person in people:
        if not person.id or "/" in person.id or person.id.startswith("."):
            raise CollectError(f"{path}: the id {person.id!r} names no folder; expected one for every student")
    return people


def collect(
    source: Path, assignment: str, course: Path, people: Sequence[Person] = (), pattern: str = "", closed: bool = False
) -> Collection:
    """The submissions in `source`: a folder in nbgrader's layout, or a folder or zip of downloads.

    Args:
        course: the course's folder. Downloads that count are copied to its `submitted/`, zips unpacked to
            `downloaded/<assignment>/`, and a submission that is replaced is kept there.
        people: the roster, needed for downloads.
        pattern: nbgrader's `FileNameCollectorPlugin.named_regexp`.
        closed: in nbgrader's layout, too, folders of nobody in `people` are only listed.

    Raises:
        CollectError: `source` is neither.
    """
    if source.is_dir():
        if any(source.glob(f"*/{assignment}")) or source == course / "submitted":
            return _nbgrader(source, assignment, {person.id for person in people} if closed else None)
        files = _walk(source, course / "downloaded" / assignment)
    elif source.is_file() and zipfile.is_zipfile(source):
        files = unzip(source, course / "downloaded" / assignment / f"{source.stem}-{digest(source)[:8]}")
    else:
        raise CollectError(
            f"{source} is neither a folder nor a zip file, expected submitted/<student>/{assignment}/ or what Canvas "
            "or Moodle lets you download"
        )
    if not files:
        raise CollectError(f"{source}: there is no notebook in it")
    if not people:
        raise CollectError(
            f"{source} holds downloads, and their names can only be matched to a roster: add --roster FILE.csv "
            "(columns id, first_name, last_name, email, lms_user_id), or nbgrader db student import"
        )
    return _downloads(files, assignment, course, people, pattern)


# --- nbgrader's layout ---


def _nbgrader(source: Path, assignment: str, known: set[str] | None) -> Collection:
    found = Collection()
    for folder in sorted(source.glob("*")):
        place = folder / assignment
        if folder.name.startswith(".") or not os.path.lexists(place):
            continue
        if known is not None and folder.name not in known:
            found.unmatched.append((f"{folder.name}/{assignment}", "no student of the roster has this id"))
            continue
        notebook = place / f"{assignment}.ipynb"
        links = [part for part in (folder, place, notebook) if part.is_symlink()]
        problem = ""
        if links:
            problem = f"{links[0].relative_to(source)} is a link, expected a file of its own"
        elif not os.path.lexists(notebook):
            there = sorted(path.name for path in place.glob("*"))[:5] if place.is_dir() else []
            problem = f"there is no {notebook.name}; there is {', '.join(there) or 'nothing'}"
        else:
            problem = problem_of(notebook)
        stamp = place / "timestamp.txt"
        when = stamp.read_text(encoding="utf-8", errors="replace").strip()[:60] if _plain(stamp) and not links else ""
        when = _HYPHENS.sub(_with_colons, when)
        found.submissions.append(Submission(folder.name, notebook, problem, timestamp=when))
    return found


def _plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size < 1000


# --- downloads ---


def _downloads(
    files: Iterable[_File], assignment: str, course: Path, people: Sequence[Person], pattern: str
) -> Collection:
    found = Collection()
    mine: dict[str, list[tuple[tuple[Any, ...], _File, bool, str]]] = {}
    beside = companions(assignment)
    for file in files:
        person, facts = _owner(file, people, pattern)
        if isinstance(person, str):
            found.unmatched.append((file.name, person + (f"; {file.problem}" if file.problem else "")))
            continue
        if not file.problem and _stem(facts)[0] in beside:
            file = replace(file, problem=f"{_BESIDE}; expected {assignment}.ipynb")
        when = _HYPHENS.sub(_with_colons, str(facts.get("timestamp") or ""))
        mine.setdefault(person.id, []).append(
            (_order(file, facts, when, assignment), file, bool(facts.get("late")), when)
        )
    for student in sorted(mine):
        ranked = sorted(mine[student], key=lambda entry: entry[0])
        _, file, late, when = ranked[-1]
        path = file.path
        if not file.problem:
            path = _keep(file.path, student, assignment, course, when)
        found.submissions.append(Submission(student, path, file.problem, len(ranked) - 1, late, when, file.name))
    return found


def _order(file: _File, facts: dict[str, str | None], when: str, assignment: str) -> tuple[Any, ...]:
    """What is latest is largest. A file that is no notebook counts only where there is none."""
    stem, attempt = _stem(facts, assignment)
    digits = facts.get("number") or ""
    number = int(digits) if digits.isdecimal() else 0
    # Moodle's number is the student's, and what stands behind a name is the student's choice
    latest = (stem == assignment, attempt) if facts.get("moodle") else (attempt, number, stem == assignment)
    usable = file.problem != _NO_NOTEBOOK and not file.problem.startswith(_BESIDE)
    return (usable, moment(when) or datetime.min, *latest, file.name)


def _stem(facts: dict[str, str | None], assignment: str = "") -> tuple[str, int]:
    """A file's name without what a platform put behind it, and which attempt that says."""
    stem = PurePosixPath(str(facts["file"])).name
    if (again := _ATTEMPT.fullmatch(stem)) and stem != assignment:
        return again["stem"], int(again["attempt"])
    return stem, 0


def companions(assignment: str, notebooks: Path = _NOTEBOOKS) -> set[str]:
    """The names of the notebooks that come with an assignment's own and are not graded."""
    there = {path.stem for path in (notebooks / assignment).glob("*.ipynb")}
    return {name for name in there if name != assignment and not name.endswith(".old")}


def moment(when: str) -> datetime | None:
    """A time in words (UTC unless it says otherwise), as nbgrader reads it; None where that is not possible."""
    from nbgrader.utils import parse_utc

    try:
        found = parse_utc(when) if when else None
    except (ValueError, OverflowError, TypeError):
        return None
    return found if isinstance(found, datetime) else None


def _with_colons(match: re.Match[str]) -> str:
    year, month, day, hour, minute, second = match.groups()
    return f"{year}-{month:0>2}-{day:0>2} {hour:0>2}:{minute:0>2}:{second or 0:0>2}"


def _owner(file: _File, people: Sequence[Person], pattern: str) -> tuple[Person | str, dict[str, str | None]]:
    """Whose file it is, or why that is not known, and what its name says."""
    facts: dict[str, str | None] = {}
    if pattern:
        match = re.match(pattern, file.name) or re.match(pattern, str(file.path))
        if match is None:
            return "its name does not fit FileNameCollectorPlugin.named_regexp", facts
        facts = match.groupdict()
        facts["file"] = facts.get("file_id") or file.name
        ident, user = facts.get("student_id") or "", ""
        names = [f"{facts.get('last_name') or ''}{facts.get('first_name') or ''}", facts.get("email") or ""]
    else:
        parts = PurePosixPath(file.name).parts
        # From the outside in: what the platform wrote counts before what a student named inside a zip.
        below = ["/".join(parts[i:]) for i in range(len(parts))]
        match = next((m for name in below for form in (_MOODLE, _CANVAS) if (m := form.fullmatch(name))), None)
        if match is None:
            return "its name is neither Canvas's nor Moodle's", facts
        facts = match.groupdict()
        ident, user, names = "", facts.get("user") or "", [facts["name"] or ""]
    facts["file"] = re.sub(r"\.ipynb$", "", facts["file"] or "", flags=re.I)
    if user and len(hits := [person for person in people if person.lms_user_id == user]) == 1:
        return hits[0], facts
    if ident and len(hits := [person for person in people if person.id == ident]) == 1:
        return hits[0], facts
    wanted = {_plain_name(name) for name in names} - {""}
    hits = [person for person in people if wanted & _names(person)]
    if len(hits) == 1:
        return hits[0], facts
    who = ident or names[0]
    if hits:
        return f"{who!r} is {len(hits)} students: {', '.join(person.id for person in hits)}; rename the file", facts
    return f"{who!r} matches nobody in the roster", facts


def _names(person: Person) -> set[str]:
    first, last = person.first_name, person.last_name
    return {_plain_name(text) for text in (last + first, first + last, person.id, person.email)} - {""}


def _plain_name(text: str) -> str:
    """Letters and digits without case and accents: Canvas makes "Noël d'Arc" to "darcnoel"."""
    flat = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c for c in flat.casefold() if c.isalnum())


def _keep(path: Path, student: str, assignment: str, course: Path, timestamp: str) -> Path:
    """Copy a download to submitted/; what it replaces moves to downloaded/<assignment>/replaced/."""
    place = course / "submitted" / student / assignment
    target, stamp = place / f"{assignment}.ipynb", place / "timestamp.txt"
    data = path.read_bytes()
    if target.is_file() and not target.is_symlink():
        if target.read_bytes() == data:
            return target
        kept = course / "downloaded" / assignment / "replaced" / f"{student}-{digest(target)[:8]}.ipynb"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(target, kept)
    with replacing(target) as part:
        part.write_bytes(data)
    stamp.unlink(missing_ok=True)
    if timestamp:
        stamp.write_text(timestamp + "\n", encoding="utf-8")
    return target


def _walk(source: Path, unpacked: Path) -> list[_File]:
    """All files of a folder of downloads; its zips are unpacked below `unpacked`."""
    files: list[_File] = []
    left = [LARGEST_ZIP]
    for folder, _, names in os.walk(source):
        for name in names:
            path = Path(folder, name)
            below = path.relative_to(source).as_posix()
            if _litter(below):
                continue
            problem = problem_of(path, LARGEST_ZIP if below.lower().endswith(".zip") else LARGEST)
            if below.lower().endswith(".zip") and not problem:
                files += _unzip(path, unpacked / f"{path.stem}-{digest(path)[:8]}", below, left)
            elif below.lower().endswith(".ipynb") or (problem and below.lower().endswith(".zip")):
                files.append(_File(below, path, problem))
            else:
                files.append(_File(below, path, _NO_NOTEBOOK))
    return sorted(files, key=lambda file: file.name)


def _litter(name: str) -> bool:
    """What systems and editors leave behind, and nobody hands in."""
    parts = PurePosixPath(name).parts
    hidden = any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in parts)
    return hidden or not parts or parts[-1] in ("Thumbs.db", "desktop.ini")


def _unzip(path: Path, target: Path, name: str, left: list[int]) -> list[_File]:
    """The files of one zip among downloads, which is called `name` there."""
    files: list[_File] = []
    try:
        with zipfile.ZipFile(path) as zipped:
            _unpack(zipped, target, name[:-4] + "/", files, left, nested=True)
    except zipfile.BadZipFile as error:
        return [_File(name, path, f"it is no zip: {error}")]
    return files or [_File(name, path, _EMPTY)]


def problem_of(path: Path, largest: int = 0) -> str:
    """Why a path is no file of up to `largest` bytes (LARGEST) that may be read; empty where it may."""
    largest = largest or LARGEST
    try:
        found = path.lstat()
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if stat.S_ISLNK(found.st_mode):
        return "it is a link, expected a file of its own"
    if not stat.S_ISREG(found.st_mode):
        return "it is no plain file"
    if found.st_size > largest:
        return f"it is too large: {size(found.st_size)}, allowed {size(largest)}"
    return ""


# --- zips ---


def unzip(archive: Path, target: Path) -> list[_File]:
    """Unpack the notebooks of a zip, and of zips inside it, below `target`; what is not unpacked has a reason."""
    files: list[_File] = []
    with zipfile.ZipFile(archive) as zipped:
        _unpack(zipped, target, "", files, [LARGEST_ZIP], nested=True)
    return files


def _unpack(
    zipped: zipfile.ZipFile, target: Path, prefix: str, files: list[_File], left: list[int], nested: bool
) -> None:
    for number, info in enumerate(zipped.infolist()):
        name = prefix + info.filename
        inner = nested and name.lower().endswith(".zip")
        if info.is_dir() or _litter(info.filename):
            continue
        problem = _refused(info, number)
        if not problem and not inner and not name.lower().endswith(".ipynb"):
            problem = _NO_NOTEBOOK
        data = b""
        if not problem:
            try:
                with zipped.open(info) as member:  # the size that the header claims is not believed
                    data = member.read(min(LARGEST, left[0]) + 1)
            except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
                problem = f"it cannot be unpacked: {error}"
            if len(data) > LARGEST:
                problem = f"it is too large: more than {size(LARGEST)}"
            elif len(data) > left[0]:
                problem = f"all files together are too large: more than {size(LARGEST_ZIP)}"
            left[0] = max(0, left[0] - len(data))
        if inner and not problem:
            try:
                before = len(files)
                with zipfile.ZipFile(io.BytesIO(data)) as inside:
                    _unpack(inside, target, name[:-4] + "/", files, left, nested=False)
                if len(files) > before:
                    continue
                problem = _EMPTY
            except zipfile.BadZipFile as error:
                problem = f"it is no zip: {error}"
        path = target
        if not problem:
            path = target / PurePosixPath(name)
            if path.exists() and path.read_bytes() != data:  # the same name twice in one zip: both stay
                path = target / f"again-{number}" / PurePosixPath(name)
            with replacing(path) as part:
                part.write_bytes(data)
        files.append(_File(name, path, problem))


def _refused(info: zipfile.ZipInfo, number: int) -> str:
    parts = PurePosixPath(info.filename).parts
    if number >= MOST_FILES:
        return f"the zip has more than {MOST_FILES:,} files"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link, expected a file of its own"
    outside = info.filename.startswith("/") or ".." in parts or re.search(r"^\w:|[\\\0]", info.filename)
    if outside or len(info.filename) > 400:
        return "its name leads out of the folder"
    if info.flag_bits & 1:
        return "it is encrypted"
    return ""


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
