"""A class: workers that judge, one coordinator that writes. nbgrader's gradebook, folders and formats.

Workers are plain processes, each with its share of threads; they get a path and give back a `Graded` as JSON. Only the
coordinator opens the gradebook. A submission that cannot be read, or whose worker dies, is one that failed to grade,
with the reason; the class goes on.

Three words, everywhere: *failed to grade* (no points, not even 0), *awaiting manual grading*, *graded*.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import multiprocessing
import os
import secrets
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast

from helpers.files import replacing

from . import collect, released, sanitize, similarity
from .judge import Graded
from .merge import source_of
from .released import CourseError
from .sandbox import THREAD_VARIABLES

ROOT = Path(__file__).resolve().parent.parent.parent
FAILED, AWAITING, GRADED, MISSING = "failed to grade", "awaiting manual grading", "graded", "not submitted"


@dataclass(frozen=True)
class Course:
    """The folders of a course in nbgrader's layout; `releases` is where the releases are that grading reads."""

    root: Path = ROOT
    releases: Path = released.FOLDER

    @property
    def config(self) -> Any:
        """nbgrader's configuration out of `nbgrader_config.py`, where the course has one."""
        from traitlets.config import Config
        from traitlets.config.loader import PyFileConfigLoader

        config = Config()
        if (self.root / "nbgrader_config.py").is_file():
            config = PyFileConfigLoader("nbgrader_config.py", path=str(self.root)).load_config()
        config.CourseDirectory.root = str(self.root)
        return config

    @property
    def db_url(self) -> str:
        from nbgrader.coursedir import CourseDirectory

        return str(CourseDirectory(config=self.config).db_url)

    def release(self, assignment: str) -> Any:
        """The released notebook. Raises CourseError when there is none, or one whose check cells were changed."""
        return released.read(assignment, self.releases)

    def autograded(self, student: str, assignment: str) -> Path:
        return self.root / "autograded" / student / assignment / f"{assignment}.ipynb"

    def record(self, student: str, assignment: str) -> Path:
        """The instructor's record of a verdict: JSON, never handed to students."""
        return self.root / "graded" / assignment / f"{student}.json"


@dataclass
class Row:
    """A line of the class table. Points are None where there are none, which is not 0."""

    student: str
    status: str
    points: float | None
    maximum: float
    seconds: float = 0.0
    reason: str = ""
    late: bool = False
    mended: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checks: dict[str, float] = field(default_factory=dict)
    similar: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        points = "      " if self.points is None else f"{self.points:6.2f}"
        line = f"{self.student:<22.22} {points} of {self.maximum:g}  {self.seconds:5.0f} s  {self.status}"
        if self.reason:
            line += f": {self.reason}"
        notes = ["late"] * self.late + [f"{len(self.mended)} mended"] * bool(self.mended) + self.notes
        if self.similar:
            notes.append(similarity.words(self.similar))
        return line + (f"  ({'; '.join(notes)})" if notes else "")


# --- the class key ---


def key(path: Path | None = None) -> bytes:
    """The class key: `path`, else COURSE_KEY, else the user's configuration folder; made at first use, mode 600.

    Hidden twins draw their inputs with it. Raises CourseError for a key inside the repository, where it would be
    released or committed, and for one that others may read.
    """
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    place = path or Path(os.environ.get("COURSE_KEY") or Path(home, "tensorrt-course", "class.key"))
    place = place.expanduser().absolute()
    if place.resolve().is_relative_to(ROOT):
        raise CourseError(f"the class key {place} lies in the repository, expected a place outside (COURSE_KEY=FILE)")
    if place.is_dir():
        raise CourseError(f"the class key {place} is a folder, expected a file in it (COURSE_KEY=FILE)")
    if not place.exists():
        _make_key(place)
    if os.name != "nt" and stat.S_IMODE(place.stat().st_mode) & 0o077:
        raise CourseError(f"others may read the class key {place}; do: chmod 600 {place}")
    found = place.read_bytes().strip()
    if len(found) < 16:
        raise CourseError(f"the class key {place} has {len(found)} bytes, expected 16 or more; delete it for a new one")
    return found


def _make_key(place: Path) -> None:
    """A new key that is there as a whole or not at all: of two first uses at once, one makes it and both read it."""
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, part = tempfile.mkstemp(dir=place.parent)  # mode 600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        os.link(part, place)
    except FileExistsError:
        return
    finally:
        os.unlink(part)
    print(f"made the class key {place}; keep it: one class, one key", file=sys.stderr)


# --- workers ---


@dataclass(frozen=True)
class Job:
    """One submission for a worker."""

    student: str
    path: str
    release: str  # the released notebook as JSON text
    key: bytes
    assignment: str
    threads: int


def judge_all(
    jobs: Sequence[Job], workers: int, work: Callable[[Job], str] | None = None
) -> Iterator[tuple[Job, Graded]]:
    """Judge `jobs` in `workers` processes; yields each as it is done. A worker that dies costs its own submission.

    Args:
        work: what a worker does with a job; a `Graded` as JSON text. A function at the top of a module.
    """
    context = multiprocessing.get_context("spawn")
    todo = list(reversed(jobs))
    busy: dict[Connection, tuple[Any, Job]] = {}
    idle: list[tuple[Connection, Any]] = []
    try:
        while todo or busy:
            while todo and len(busy) < workers:
                if not idle:
                    idle.append(_start(context, todo[-1].threads, work or judge_one))
                line, process = idle.pop()
                job = todo.pop()
                line.send(job)
                busy[line] = (process, job)
            for ready in wait(list(busy)):
                line = cast(Connection, ready)
                process, job = busy.pop(line)
                try:
                    answer = line.recv()
                except (EOFError, OSError):
                    process.join(10)
                    answer = json.dumps({"status": FAILED, "reason": _death(process.exitcode)})
                    line.close()
                else:
                    idle.append((line, process))
                yield job, graded_of(json.loads(answer))
    finally:
        for line, process in [*idle, *((line, process) for line, (process, _) in busy.items())]:
            line.close()
            process.join(5)
            if process.is_alive():
                process.kill()


def _start(context: Any, threads: int, work: Callable[[Job], str]) -> tuple[Connection, Any]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=False)
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update({name: str(threads) for name in THREAD_VARIABLES})  # read when the libraries are imported
    try:
        process.start()
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
    theirs.close()
    return ours, process


def _serve(line: Connection, work: Callable[[Job], str]) -> None:
    while True:
        try:
            job = line.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            answer = work(job)
        except KeyboardInterrupt:
            return
        except BaseException as error:  # whatever a hostile file provokes costs one submission
            words = " ".join(f"{type(error).__name__}: {error}".split())[:500]
            answer = json.dumps({"status": FAILED, "reason": f"the grader stopped: {words}"})
        line.send(answer)


def judge_one(job: Job) -> str:
    """Judge one submission; a `Graded` as JSON text."""
    from . import judge

    graded = judge.grade(
        Path(job.path), json.loads(job.release), key=job.key, assignment=job.assignment, threads=job.threads
    )
    return json.dumps(dataclasses.asdict(graded))


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the grader's process was ended by signal {-code} (out of memory is the usual cause)"
    return f"the grader's process ended with code {code}"


def graded_of(data: dict[str, Any]) -> Graded:
    """A `Graded` out of its JSON form; fields that are not there keep their defaults."""
    return Graded.from_dict({"cells": {}, **data})


# --- the class ---


def grade_class(
    assignment: str,
    course: Course,
    submitted: Path | None = None,
    *,
    workers: int = 0,
    class_key: bytes,
    roster: Path | None = None,
    say: Callable[[str], None] = print,
    progress: bool = True,
    work: Callable[[Job], str] | None = None,
) -> tuple[list[Row], list[tuple[str, str]]]:
    """Grade all submissions of `assignment`, write nbgrader's gradebook and `autograded/`.

    Returns the rows of the table by student, and (name, reason) of what matches nobody.

    Raises:
        CourseError, collect.CollectError: nothing can be graded.
    """
    release = course.release(assignment)
    if work is None:
        from . import sandbox

        sandbox.check()  # without a sandbox nothing is run, and that is said once
    with Book(course, assignment, release, prepare=True) as book:
        people = book.people(roster)
        pattern = str(course.config.FileNameCollectorPlugin.get("named_regexp", "") or "")
        source = submitted or course.root / "submitted"
        if not source.exists():
            raise CourseError(f"there is no {source}, expected {source}/<student>/{assignment}/{assignment}.ipynb")
        found = collect.collect(source, assignment, course.root, people, pattern, closed=roster is not None)
        if not found.submissions and not found.unmatched:
            raise CourseError(f"there is no submission of {assignment} in {source}")
        alike = similarity.compare(
            {s.student: s.path for s in found.submissions if not s.problem}, release, _reference(assignment), progress
        )
        by_student = {s.student: s for s in found.submissions}
        rows = {}
        results = _judged(found.submissions, assignment, release, workers, class_key, work)
        for student, graded in _with_progress(results, len(by_student), progress):
            submission = by_student[student]
            try:
                book.record(submission, graded, alike.get(student, {}))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                # a notebook that nbgrader or nbformat cannot write costs its own submission, not the class
                book.gradebook.db.rollback()
                words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                graded = Graded(FAILED, f"its verdict could not be written: {words}", seconds=graded.seconds)
                book.record(submission, graded, {})
            row = rows[student] = book.row(student, graded)
            say(str(row))
        return [rows[student] for student in sorted(rows)], found.unmatched


def _judged(
    submissions: Sequence[collect.Submission],
    assignment: str,
    release: Any,
    workers: int,
    class_key: bytes,
    work: Callable[[Job], str] | None,
) -> Iterator[tuple[str, Graded]]:
    cores = os.cpu_count() or 1
    workers = workers or max(1, cores // 2)  # a submission keeps a student's, a device's and the judge's process busy
    text = json.dumps(release)
    jobs = []
    for submission in submissions:
        if submission.problem:
            yield submission.student, Graded(FAILED, submission.problem)
            continue
        jobs.append(
            Job(submission.student, str(submission.path), text, class_key, assignment, max(1, cores // workers))
        )
    for job, graded in judge_all(jobs, workers, work):
        yield job.student, graded


def _with_progress(results: Iterator[tuple[str, Graded]], total: int, shown: bool) -> Iterator[tuple[str, Graded]]:
    from tqdm import tqdm

    bar = tqdm(results, total=total, unit="submission", disable=None if shown else True, file=sys.stderr)
    yield from bar


def _reference(assignment: str) -> Path | None:
    path = ROOT / "solutions" / assignment / f"{assignment}.py"
    return path if path.is_file() else None


# --- the gradebook ---


class Book:
    """nbgrader's gradebook for one assignment; nothing else writes it. A context manager.

    With `prepare` the assignment is entered first, as nbgrader's generate_assignment would.

    Raises:
        CourseError: the release has other cells than the one that submissions in the gradebook belong to, or, without
            `prepare`, the gradebook does not know the assignment.
    """

    def __init__(self, course: Course, assignment: str, release: Any, prepare: bool = False) -> None:
        self.course, self.assignment, self.release, self.prepare = course, assignment, release, prepare
        self.stubs = {cell.id: cell.source for cell in release.cells}
        graded = [cell for cell in release.cells if cell.metadata.get("nbgrader", {}).get("grade")]
        self.checks = [cell.id for cell in graded if cell.cell_type == "code"]
        self.answers = [cell.id for cell in graded if cell.cell_type == "markdown"]
        self.solutions = [cell.id for cell in release.cells if cell.metadata.get("nbgrader", {}).get("solution")]
        self.maximum = sum(cell.metadata.nbgrader.points for cell in graded)
        self.config = course.config
        self.db_url = course.db_url

    def __enter__(self) -> Book:
        from nbgrader.api import Gradebook

        path_of_alembic()
        self.course.root.mkdir(parents=True, exist_ok=True)
        with quiet():
            self.gradebook = Gradebook(self.db_url)
            if self.prepare:
                self._prepare()
            else:
                self._find()
        return self

    def __exit__(self, *_: object) -> None:
        self.gradebook.close()

    def _find(self) -> None:
        from nbgrader.api import MissingEntry

        try:
            self.gradebook.find_assignment(self.assignment)
        except MissingEntry:
            self.gradebook.close()
            raise CourseError(
                f"the gradebook of {self.course.root} has no {self.assignment}; first: make autograde "
                f"ASSIGNMENT={self.assignment}"
            ) from None

    def _prepare(self) -> None:
        """What nbgrader's generate_assignment writes: the assignment, its notebook, its cells."""
        import copy

        from nbgrader.preprocessors import SaveCells

        self.gradebook.update_or_create_assignment(self.assignment)
        try:
            SaveCells(config=self.config).preprocess(copy.deepcopy(self.release), self._resources(""))
        except RuntimeError as error:
            raise CourseError(
                f"{error}. The release has other cells than the one that was graded: put the old release back, or "
                f"grade into another folder (--course), or nbgrader db assignment remove {self.assignment}"
            ) from None
        self.gradebook.db.expire_all()

    def _resources(self, student: str) -> dict[str, Any]:
        return {
            "nbgrader": {
                "student": student,
                "assignment": self.assignment,
                "notebook": self.assignment,
                "db_url": self.db_url,
            }
        }

    def people(self, roster: Path | None = None) -> list[collect.Person]:
        """The students of the gradebook, after those of the CSV file `roster` were added."""
        for person in collect.roster(roster) if roster else ():
            facts = {k: v or None for k, v in dataclasses.asdict(person).items() if k != "id"}
            self.gradebook.update_or_create_student(person.id, **facts)
        return [
            collect.Person(s.id, s.first_name or "", s.last_name or "", s.email or "", s.lms_user_id or "")
            for s in self.gradebook.students
        ]

    def record(self, submission: collect.Submission, graded: Graded, similar: dict[str, Any]) -> None:
        """Write one verdict: autograded notebook, gradebook, the instructor's record.

        A manual score and its comment stay. They await review again where the answer or the automatic points changed.
        """
        student, path = submission.student, self.course.record(submission.student, self.assignment)
        before = read_record(path)
        book = self.gradebook
        with quiet():
            book.update_or_create_student(student)
            # said in any case: what a resubmission replaces had a time of its own
            when = collect.moment(submission.timestamp)
            book.update_or_create_submission(self.assignment, student, timestamp=when)
        notes = []
        if submission.timestamp and when is None:
            notes.append(f"its time {submission.timestamp!r} cannot be read: no late penalty")
        if submission.earlier:
            notes.append(f"{submission.file or submission.path.name} counts, of {submission.earlier + 1} files")
        answers = dict(before.get("answers", {}))
        if graded.status == FAILED:
            self._no_points(student)
            notebook = self._failed_notebook(graded)
        else:
            notebook = sanitize.notebook(_node(graded.notebook), self.release)
            sources = {str(cell.get("id")): source_of(cell) for cell in _node(graded.notebook).cells}
            for name in self.checks:
                self._score(student, name, graded.cells[name].points if name in graded.cells else None)
            for name in self.answers:
                source = sources.get(name, self.stubs[name])
                digest = hashlib.sha256(source.strip().encode("utf-8", "replace")).hexdigest()
                self._answer(student, name, source, changed=answers.get(name) != digest)
                answers[name] = digest
            for name in self.solutions:
                comment = book.find_comment(name, self.assignment, self.assignment, student)
                comment.auto_comment = "No response." if sources.get(name, "") == self.stubs[name] else None
        book.db.commit()
        self._write(self.course.autograded(student, self.assignment), notebook, submission.timestamp)
        self.penalise(student)
        data = dataclasses.asdict(graded)
        del data["notebook"]
        facts = {
            "student": student,
            **self._file(submission),
            "late": submission.late,
            "earlier": submission.earlier,
            "notes": notes,
            "answers": answers,
            "similar": similar,
        }
        with replacing(path) as part:
            text = json.dumps(data | facts, indent=1, ensure_ascii=False)
            part.write_text(text + "\n", encoding="utf-8")

    def _file(self, submission: collect.Submission) -> dict[str, str]:
        """Which file the verdict is about: its path (below the course's folder, where it lies there) and SHA-256."""
        path = submission.path.absolute()
        readable = not submission.problem and not collect.problem_of(path)
        return {
            "path": str(path.relative_to(self.course.root) if path.is_relative_to(self.course.root) else path),
            "sha256": collect.digest(path) if readable else "",
        }

    def _write(self, path: Path, notebook: Any, timestamp: str) -> None:
        import nbformat

        with replacing(path) as part:
            part.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        stamp = path.with_name("timestamp.txt")
        stamp.unlink(missing_ok=True)
        if timestamp:
            stamp.write_text(timestamp + "\n", encoding="utf-8")

    def _failed_notebook(self, graded: Graded) -> Any:
        import copy

        import nbformat

        notebook = copy.deepcopy(self.release)
        words = (
            f"**{FAILED.capitalize()}.** {sanitize.text(graded.reason)}\n\nBelow is the release, not the submission."
        )
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(words, id="failed-to-grade"))
        return notebook

    def _grade(self, student: str, name: str) -> Any:
        return self.gradebook.find_grade(name, self.assignment, self.assignment, student)

    def _no_points(self, student: str) -> None:
        """No automatic points, not 0: what an earlier run found is not what was handed in now."""
        for name in self.checks:
            grade = self._grade(student, name)
            grade.auto_score = None
            grade.needs_manual_grade = True

    def _score(self, student: str, name: str, points: float | None) -> None:
        grade = self._grade(student, name)
        # A score that an instructor set by hand stands while the automatic one is what it was.
        changed = grade.auto_score != points
        waits = grade.needs_manual_grade and grade.manual_score is not None
        grade.auto_score = points
        grade.needs_manual_grade = points is None or (grade.manual_score is not None and (changed or waits))

    def _answer(self, student: str, name: str, source: str, changed: bool) -> None:
        grade = self._grade(student, name)
        empty = source == self.stubs[name]
        grade.auto_score = 0.0 if empty else None
        if changed or grade.manual_score is None:
            grade.needs_manual_grade = not empty or grade.manual_score is not None
        else:
            grade.needs_manual_grade = bool(grade.needs_manual_grade)

    def penalise(self, student: str) -> None:
        """nbgrader's own late penalty, by its configuration."""
        from nbgrader.preprocessors import AssignLatePenalties

        with quiet():
            AssignLatePenalties(config=self.config).preprocess(self.release, self._resources(student))
        self.gradebook.db.expire_all()

    def status(self, student: str) -> tuple[str, float | None]:
        """One of the words, and the points so far, penalty off; None where there are none."""
        from nbgrader.api import MissingEntry

        try:
            submission = self.gradebook.find_submission(self.assignment, student)
        except MissingEntry:
            return MISSING, None
        checks = [self._grade(student, name) for name in self.checks]
        if any(grade.auto_score is None and grade.manual_score is None for grade in checks):
            return FAILED, None
        points = max(0.0, float(submission.score) - float(submission.late_submission_penalty or 0.0))
        return AWAITING if submission.needs_manual_grade else GRADED, round(points, 2)

    def row(self, student: str, graded: Graded) -> Row:
        status, points = self.status(student)
        record = read_record(self.course.record(student, self.assignment))
        return Row(
            student=student,
            status=status,
            points=points,
            maximum=self.maximum,
            seconds=graded.seconds,
            reason=graded.reason if status == FAILED else "",
            late=bool(record.get("late")),
            mended=list(graded.mended),
            notes=list(record.get("notes", [])),
            checks={name: cell.points for name, cell in graded.cells.items()},
            similar=record.get("similar", {}),
        )


def read_record(path: Path) -> dict[str, Any]:
    """An instructor's record; empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _node(notebook: Any) -> Any:
    import nbformat

    return nbformat.from_dict(notebook)


def path_of_alembic() -> None:
    """nbgrader starts `alembic` by name: the folder of this Python comes first on PATH."""
    here = str(Path(sys.executable).parent)
    if here not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = here + os.pathsep + os.environ.get("PATH", "")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without nbgrader's and alembic's running commentary, and SQLAlchemy's on nbgrader's way of adding rows."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(nbgrader|sqlalchemy|alembic)\b")
            yield
    finally:
        logging.disable(before)


def table(rows: Sequence[Row], unmatched: Sequence[tuple[str, str]], seconds: float) -> str:
    """The end of a class: how many of each word, and what matches nobody."""
    counts = {word: sum(row.status == word for row in rows) for word in (GRADED, AWAITING, FAILED)}
    lines = [f"{len(rows)} submissions in {seconds:.0f} s: " + ", ".join(f"{n} {word}" for word, n in counts.items())]
    if unmatched:
        lines.append(f"{len(unmatched)} belong to nobody; they are kept and were not graded:")
        lines += [f"  {name}: {why}" for name, why in unmatched]
    return "\n".join(lines)


def main(
    assignment: str,
    course: Course,
    submitted: Path | None,
    workers: int,
    as_json: bool,
    key_file: Path | None,
    roster: Path | None,
) -> int:
    """`grade class`: 0 when the class was graded, failed submissions included; 1 after a message."""
    started = time.monotonic()
    try:
        rows, unmatched = grade_class(
            assignment,
            course,
            submitted,
            workers=workers,
            class_key=key(key_file),
            roster=roster,
            say=_write_line if not as_json else lambda line: None,
            progress=sys.stderr.isatty(),
        )
    except (CourseError, collect.CollectError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        text = "stopped. Whoever has a line above is in the gradebook; the same command grades all again"
        print(text, file=sys.stderr)
        return 130
    if as_json:
        found = {"rows": [dataclasses.asdict(row) for row in rows], "unmatched": unmatched}
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print(table(rows, unmatched, time.monotonic() - started))
    return 0


def _write_line(line: str) -> None:
    from tqdm import tqdm

    tqdm.write(line)
