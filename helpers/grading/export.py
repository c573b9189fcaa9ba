"""Points out of the gradebook: nbgrader's CSV, and the instructor's own CSV of Canvas with one column filled.

Where there are no points there is nothing in the file: a submission that failed to grade and one that awaits manual
grading are blank, whatever stood there (Canvas writes a 0 for missing work by itself). Of one that never came the cell
stays as it was. Only a graded zero is 0.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbgrader.plugins import ExportPlugin

from helpers.files import replacing

from .collect import Person, _names, _plain_name
from .course import GRADED, MISSING, Book, Course, CourseError

COLUMNS = (
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
    "status",
)


def main(assignment: str, course: Course, form: str = "", file: Path | None = None, column: str = "") -> int:
    """`grade export`: write grades.csv, or fill `file`. 0, or 1 after a message."""
    try:
        if form not in ("", "csv", "canvas"):
            raise CourseError(f"FORMAT is {form!r}, expected csv or canvas")
        with Book(course, assignment, course.release(assignment)) as book:
            for person in book.people():
                if book.status(person.id)[1] is not None:
                    book.penalise(person.id)
            if form == "canvas":
                if file is None:
                    raise CourseError("FORMAT=canvas needs FILE=, the CSV that Canvas exported for you")
                print(canvas(book, file, column))
            else:
                target = course.root / "grades.csv"
                rows = nbgrader_rows(book)
                _write(target, [list(COLUMNS), *rows])
                print(f"{target}: {len(rows)} students, {sum(row[9] != '' for row in rows)} with points")
    except (CourseError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


class CourseCsv(ExportPlugin):
    """For `nbgrader export`: nbgrader's columns and one more, `status`; blank where there are no points."""

    def export(self, gradebook: Any) -> None:
        course = Course(root=Path(self.parent.coursedir.root) if self.parent else Path.cwd())
        rows: list[list[str]] = []
        for name in self.assignment or [assignment.name for assignment in gradebook.assignments]:
            with Book(course, name, course.release(name)) as book:
                rows += nbgrader_rows(book, [str(student) for student in self.student])
        _write(Path(self.to or "grades.csv"), [list(COLUMNS), *rows])


def nbgrader_rows(book: Book, students: Sequence[str] = ()) -> list[list[str]]:
    """The lines of nbgrader's CSV for the book's assignment, a status behind each."""
    from nbgrader.api import MissingEntry

    rows = []
    assignment = book.gradebook.find_assignment(book.assignment)
    for student in book.gradebook.students:
        if students and student.id not in students:
            continue
        status, points = book.status(student.id)
        try:
            submission = book.gradebook.find_submission(book.assignment, student.id)
        except MissingEntry:
            submission = None
        known = status == GRADED and submission is not None
        values = [
            assignment.name,
            assignment.duedate,
            submission.timestamp if submission else None,
            student.id,
            student.last_name,
            student.first_name,
            student.email,
            submission.score if known else None,
            (submission.late_submission_penalty or 0.0) if known else None,
            points if known else None,
            assignment.max_score,
            status,
        ]
        rows.append(["" if value is None else _harmless(str(value)) for value in values])
    return rows


def _harmless(text: str) -> str:
    """A spreadsheet runs what begins like a formula; numbers may begin with a sign."""
    return "'" + text if re.match(r"[=@\t\r]|[+-](?![\d.]+$)", text) else text


def canvas(book: Book, file: Path, column: str = "") -> str:
    """Fill the assignment's column of Canvas's CSV, beside it in `<name>-filled.csv`; what was done, in words.

    Raises CourseError when the file or the column is not the one.
    """
    with open(file, newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.reader(lines))
    if not rows or "Student" not in rows[0]:
        raise CourseError(f"{file} has no column Student, expected the CSV that Canvas exports from its gradebook")
    header = rows[0]
    index = _column(header, book.assignment, column, file)
    people = book.people()
    filled, blank, kept, strangers, words = 0, [], [], [], []
    seen: set[str] = set()
    for row in rows[1:]:
        row += [""] * (len(header) - len(row))
        facts = dict(zip(header, row, strict=False))
        name = facts["Student"].strip()
        if name.lower() == "points possible":
            possible = row[index].strip()
            if re.fullmatch(r"[\d.]+", possible) and float(possible) != book.maximum:
                words.append(f"note: Canvas has {possible} points for this column, the assignment {book.maximum:g}")
            continue
        if not name or not any(facts.get(part, "").strip() for part in ("ID", "SIS Login ID", "SIS User ID")):
            continue  # Canvas's lines of settings
        person = _person(facts, people)
        if person is None:
            strangers.append(name)
            continue
        seen.add(person.id)
        status, points = book.status(person.id)
        if status == GRADED and points is not None:
            row[index] = f"{points:g}"
            filled += 1
        elif status == MISSING:
            kept.append(f"{name} ({status})")
        else:
            was = f", was {row[index].strip()}" if row[index].strip() else ""
            blank.append(f"{name} ({status}{was})")
            row[index] = ""
    target = file.with_name(f"{file.stem}-filled.csv")
    _write(target, rows)
    words.insert(
        0,
        f"{target}: {filled} filled in column {header[index]!r}, {len(blank)} blank, {len(kept)} left as they were",
    )
    words += [f"  blank: {line}" for line in blank] + [f"  left: {line}" for line in kept]
    if strangers:
        words.append(f"not found in the gradebook: {'; '.join(strangers)}")
    if absent := [p.id for p in people if p.id not in seen and book.status(p.id)[1] is not None]:
        words.append(f"graded, and not in {file.name}: {', '.join(absent)}")
    return "\n".join(words)


def _column(header: Sequence[str], assignment: str, column: str, file: Path) -> int:
    wanted = _plain_name(column or assignment)
    hits = [i for i, name in enumerate(header) if name == column]
    hits = hits or [i for i, name in enumerate(header) if _plain_name(re.sub(r"\(\d+\)\s*$", "", name)) == wanted]
    if len(hits) != 1:
        raise CourseError(
            f"{file}: {len(hits)} columns are called {column or assignment!r}, expected one; there are "
            f"{', '.join(header)}. Name it: COLUMN='...'"
        )
    return hits[0]


def _person(facts: dict[str, str], people: Sequence[Person]) -> Person | None:
    """By SIS Login ID, SIS User ID, Canvas's ID, and only then by name; None for nobody or more than one."""
    login, sis = facts.get("SIS Login ID", "").strip(), facts.get("SIS User ID", "").strip()
    number, name = facts.get("ID", "").strip(), _plain_name(facts["Student"])
    for hits in (
        [p for p in people if login and login in (p.id, p.email)],
        [p for p in people if sis and sis == p.id],
        [p for p in people if number and number in (p.lms_user_id, p.id)],
        [p for p in people if name and name in _names(p)],
    ):
        if len(hits) == 1:
            return hits[0]
    return None


def _write(target: Path, rows: Sequence[Sequence[str]]) -> None:
    with replacing(target) as part, open(part, "w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows(rows)
