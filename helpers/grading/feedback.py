"""nbgrader's feedback pages, safe to open: what a student typed or printed is text and pixels, never live.

`feedback/<student>/<assignment>/<assignment>.html`, where nbgrader looks for them, and one zip of all. A page shows the
checks' lines and hints on the visible inputs; of the hidden twins it says which line did not hold, and nothing of what
they were asked or what was expected. No page has a script; each also forbids them (Content-Security-Policy).
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

from helpers.files import replacing

from . import sanitize
from .course import AWAITING, FAILED, MISSING, Book, Course, CourseError, quiet, read_record

_TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


def main(assignment: str, course: Course) -> int:
    """Write the pages of all who handed in, and `feedback/<assignment>.zip`. 0, or 1 after a message."""
    try:
        pages = write(assignment, course)
    except CourseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not pages:
        print(
            f"error: nobody's {assignment} has been graded; do: make autograde ASSIGNMENT={assignment}", file=sys.stderr
        )
        return 1
    print(f"{len(pages)} pages in {course.root / 'feedback'}; all of them: {_zip(assignment, course)}")
    return 0


def write(assignment: str, course: Course) -> list[Path]:
    """Write every page and the zip; the pages' paths.

    Raises CourseError when there is no release, or when it does not fit the gradebook.
    """
    release = course.release(assignment)
    pages = []
    with Book(course, assignment, release) as book:
        for person in book.people():
            if book.status(person.id)[0] == MISSING or not course.autograded(person.id, assignment).is_file():
                continue
            book.penalise(person.id)
            path = course.root / "feedback" / person.id / assignment / f"{assignment}.html"
            text = page(book, person.id)
            with replacing(path) as part:
                part.write_text(text, encoding="utf-8")
            pages.append(path)
    if pages:
        with replacing(_zip(assignment, course)) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path in pages:
                student = path.parent.parent.name
                zipped.write(path, f"{assignment}/{student}.html")
    return pages


def _zip(assignment: str, course: Course) -> Path:
    return course.root / "feedback" / f"{assignment}.zip"


def page(book: Book, student: str) -> str:
    """The HTML of one student's feedback."""
    import nbformat
    import nbgrader
    from nbgrader.preprocessors import GetGrades
    from traitlets.config import Config

    assignment = book.assignment
    found = nbformat.read(book.course.autograded(student, assignment), as_version=4)
    notebook = sanitize.notebook(found, book.release)
    record = read_record(book.course.record(student, assignment))
    resources: dict[str, Any] = book._resources(student)
    with quiet():
        notebook, resources = GetGrades(config=book.config).preprocess(notebook, resources)
    status, points = book.status(student)
    resources["feedback"] = {
        "title": assignment,
        "style": _style(),
        "status": status,
        "failed": status == FAILED,
        "waiting": status == AWAITING,
        "points": points or 0.0,
        "maximum": book.maximum,
        "penalty": resources["nbgrader"]["late_penalty"],
        "reason": record.get("reason", "") if status == FAILED else "",
        "mended": record.get("mended", []),
        "rows": [] if status == FAILED else _rows(book, student, record),
    }
    config = Config()
    config.HTMLExporter.template_name = "feedback_page"
    config.HTMLExporter.exclude_anchor_links = True
    config.HTMLExporter.extra_template_basedirs = [str(_TEMPLATES)]
    theirs = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"
    config.HTMLExporter.extra_template_paths = [str(theirs)]
    text, _ = _exporter()(config=config).from_notebook_node(notebook, resources=resources)
    return str(text)


def _rows(book: Book, student: str, record: dict[str, Any]) -> list[dict[str, Any]]:
    """The table at the top: each check and question with its points."""
    rows = []
    for name in [*book.checks, *book.answers]:
        grade = book._grade(student, name)
        state = record.get("cells", {}).get(name, {}).get("state", "").replace("failed", "not passed")
        if grade.needs_manual_grade:
            state = AWAITING
        elif name in book.answers:
            state = "no response" if grade.auto_score == 0 and grade.manual_score is None else "marked"
        elif grade.manual_score is not None:
            state = "marked"
        unknown = grade.needs_manual_grade and grade.manual_score is None and grade.auto_score is None
        points = "–" if unknown else f"{grade.score:g}"
        title = name.replace("check-", "TODO ").replace("answer-", "question ")
        rows.append({"id": name, "title": title, "points": points, "maximum": grade.max_score, "state": state})
    return rows


def _style() -> str:
    from pygments.formatters import HtmlFormatter

    colours = HtmlFormatter(style="default").get_style_defs(".highlight")
    return str(colours) + (_TEMPLATES / "feedback_page" / "style.css").read_text(encoding="utf-8")


def _exporter() -> Any:
    from jinja2 import pass_context
    from nbconvert.exporters import HTMLExporter

    class Page(HTMLExporter):
        """Markdown comes out as sanitized HTML, whoever wrote it."""

        @pass_context
        def markdown2html(self, context: Any, source: str) -> str:
            return sanitize.html(super().markdown2html(context, source))

    return Page
