"""`python -m helpers grade ...`: release, class, notebook, explain, feedback, export, demo, corpus, time.

A student's bundle has `notebook` alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


def main(arguments: Sequence[str]) -> int:
    """Run one command of the group; 0 is success, 1 a failure that was explained, 2 bad usage."""
    parser = _parser()
    options, rest = parser.parse_known_args(list(arguments))
    if rest and not options.passes_on:
        parser.error(f"unknown arguments for {options.command}: {' '.join(rest)}")
    options.rest = rest
    return int(options.run(options) or 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers grade", description="Release assignments, grade a class.")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)

    def command(
        name: str, run: Any, text: str, course: bool = False, passes_on: bool = False
    ) -> argparse.ArgumentParser:
        # A command that passes its arguments on has its own --help.
        added = commands.add_parser(name, help=text, description=text, add_help=not passes_on)
        added.set_defaults(run=run, passes_on=passes_on)
        if course:
            added.add_argument("--course", type=Path, default=ROOT, metavar="DIR", help="the course's folder")
        return added

    one = command("notebook", _notebook, "run a notebook as the grader does, with the visible checks only")
    one.add_argument("file", type=Path, metavar="FILE")
    if importlib.util.find_spec("helpers.grading.course") is None:  # a student's bundle
        return parser

    release = command("release", _release, "solutions/ -> notebooks/, and a bundle for students")
    release.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="as ex1_distilbert (default: all)")

    many = command("class", _class, "grade all submissions of an assignment", course=True)
    many.add_argument("assignment", metavar="ASSIGNMENT")
    many.add_argument("--submitted", type=Path, metavar="PATH", help="submitted/, or a folder or zip of downloads")
    many.add_argument("--roster", type=Path, metavar="FILE", help="CSV: id, first_name, last_name, email, lms_user_id")
    many.add_argument("--workers", type=int, default=0, metavar="N", help="processes (default: half the cores)")
    many.add_argument("--json", action="store_true", help="the table as JSON")
    many.add_argument("--key", type=Path, metavar="FILE", help="the class key (default: COURSE_KEY)")

    explain = command("explain", _explain, "replay one verdict: input, expected, got, the device's record", course=True)
    explain.add_argument("student", metavar="STUDENT", help="an id of submitted/, or a notebook file")
    explain.add_argument("check", metavar="CHECK", help="as ex1/enqueue")
    explain.add_argument("--assignment", metavar="ASSIGNMENT", help="default: the one that has this check")
    explain.add_argument("--key", type=Path, metavar="FILE", help="the class key (default: COURSE_KEY)")

    pages = command("feedback", _feedback, "write the feedback pages, and a zip of them", course=True)
    pages.add_argument("assignment", metavar="ASSIGNMENT")

    export = command("export", _export, "write grades.csv, or fill the CSV that Canvas exported", course=True)
    export.add_argument("assignment", metavar="ASSIGNMENT")
    export.add_argument("--format", default="", choices=("", "csv", "canvas"), help="default: csv")
    export.add_argument("--file", type=_path, metavar="FILE", help="the CSV that Canvas exported")
    export.add_argument("--column", default="", metavar="NAME", help="its column (default: the assignment's name)")

    demo = command("demo", _demo, "grade a class of six made up students, and compare with what is expected")
    demo.add_argument("assignment", nargs="?", default="ex1_distilbert", metavar="ASSIGNMENT")
    demo.add_argument("--workers", type=int, default=0, metavar="N")
    command("corpus", _corpus, "judge the corpus of right and wrong answers", passes_on=True)
    command("time", _time, "how long the checks and a submission take here", passes_on=True)
    return parser


def _path(text: str) -> Path | None:
    """make hands over an empty string for what was not given."""
    return Path(text) if text else None


def _release(options: argparse.Namespace) -> int:
    from . import release

    return release.main(options.assignments)


def _course(options: argparse.Namespace) -> Any:
    from .course import Course

    return Course(root=options.course.resolve())


def _class(options: argparse.Namespace) -> int:
    from . import course, sandbox

    try:
        return course.main(
            options.assignment,
            _course(options),
            options.submitted,
            options.workers,
            options.json,
            options.key,
            options.roster,
        )
    except sandbox.SandboxError as error:
        return _fail(error)


def _notebook(options: argparse.Namespace) -> int:
    """The lines of each check as they come, and the sum; 0 also when points are missing."""
    from tqdm import tqdm

    from . import judge, released, sandbox

    problem = "" if options.file.is_file() else f"there is no file {options.file}"
    if problem:
        return _fail(problem)
    try:
        assignment = _assignment_of(options.file)
        release = released.read(assignment)
        bar = tqdm(unit="cell", file=sys.stderr, disable=None)

        def tick(name: str, index: int, count: int) -> None:
            bar.total, bar.n = count, index
            bar.set_description_str(name, refresh=True)

        graded = judge.grade(
            options.file,
            release,
            key=b"dry run",
            assignment=assignment,
            twins=False,
            threads=os.cpu_count() or 1,
            tick=tick,
        )
        bar.close()
    except (released.CourseError, sandbox.SandboxError) as error:
        return _fail(error)
    if graded.status != "graded":
        return _fail(f"{graded.status}: {graded.reason}")
    for line in graded.mended:
        print(f"mended: {line}")
    for name, cell in graded.cells.items():
        print(
            f"{name}: {cell.points:g} of {cell.maximum:g} points, {cell.state}"
            + (f" ({cell.reason})" * bool(cell.reason))
        )
        for mark, what, happened, hint in cell.lines:
            print(f"  {mark}  {what}")
            print(f"       happened: {happened}\n" * bool(happened) + f"       hint: {hint}\n" * bool(hint), end="")
    maximum = sum(cell.maximum for cell in graded.cells.values())
    print(
        f"{graded.points:g} of {maximum:g} points for code in {graded.seconds:.0f} s. Visible checks only; a graded run"
    )
    print("also asks each on inputs that are not shown. The questions are marked by people.")
    return 0


def _assignment_of(file: Path) -> str:
    """The assignment that a notebook file says it is, else its own name; CourseError where neither is released."""
    from .released import CourseError, assignments

    try:
        found = json.loads(file.read_bytes())["metadata"]["course"]["assignment"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        found = ""
    known = assignments()
    if isinstance(found, str) and found in known:
        return found
    if file.stem in known:
        return file.stem
    raise CourseError(
        f"{file} does not say which assignment it is. Expected a notebook that began as one of {', '.join(known)}, or a"
        " file of that name"
    )


def _explain(options: argparse.Namespace) -> int:
    from . import judge, release, sandbox
    from .collect import digest
    from .course import CourseError, key, read_record

    course = _course(options)
    try:
        assignment = options.assignment or _with_check(course, options.check)
        if not assignment:
            return _fail(f"no released assignment has a check {options.check!r}")
        record = read_record(course.record(options.student, assignment))
        path = course.root / "submitted" / options.student / assignment / f"{assignment}.ipynb"
        if options.student.endswith(".ipynb"):
            path, record = Path(options.student), {}
        elif record.get("path"):
            path = course.root / str(record["path"])  # an absolute path stays what it is
        if not path.is_file():
            there = ", ".join(sorted(p.name for p in (course.root / "submitted").glob("*/"))) or "nobody"
            graded_there = " (the class was graded from there)" if record.get("path") else ""
            return _fail(f"there is no {path}{graded_there}; submitted: {there}")
        if record.get("sha256", "") and digest(path) != record["sha256"]:
            print(f"note: {path} is not what was graded: the file has changed since, and so may the verdict")
        if options.check not in release.table(assignment):
            return _fail(f"{assignment} has no check {options.check!r}; it has {', '.join(release.table(assignment))}")
        graded = judge.grade(
            path,
            course.release(assignment),
            key=key(options.key),
            assignment=assignment,
            only=options.check,
            explain=True,
            threads=os.cpu_count() or 1,
        )
    except (CourseError, release.ReleaseError, sandbox.SandboxError) as error:
        return _fail(error)
    print(f"{graded.status}{': ' + graded.reason if graded.reason else ''}, {graded.seconds:.0f} s")
    for name, cell in graded.cells.items():
        print(f"{name}: {cell.points:g} of {cell.maximum:g} points, {cell.state}")
        for mark, what, happened, _ in cell.lines:
            print(f"  {mark}  {what}" + (f"\n       happened: {happened}" if happened else ""))
        for what in cell.hidden:
            print(f"  ✗  only on the hidden inputs: {what}")
    print("\n".join(graded.trace))
    return 0


def _with_check(course: Any, check: str) -> str:
    from . import release, released

    for name in released.assignments(course.releases):
        try:
            if check in release.table(name):
                return name
        except release.ReleaseError:
            continue
    return ""


def _feedback(options: argparse.Namespace) -> int:
    from . import feedback

    return feedback.main(options.assignment, _course(options))


def _export(options: argparse.Namespace) -> int:
    from . import export

    return export.main(options.assignment, _course(options), options.format, options.file, options.column)


def _demo(options: argparse.Namespace) -> int:
    from . import demo, sandbox

    try:
        return demo.main(options.assignment, options.workers)
    except sandbox.SandboxError as error:
        return _fail(error)


def _corpus(options: argparse.Namespace) -> int:
    from . import corpus

    return int(corpus.main(options.rest) or 0)


def _time(options: argparse.Namespace) -> int:
    from . import timing

    return timing.main(options.rest)


def _fail(words: object) -> int:
    print(f"error: {words}", file=sys.stderr)
    return 1
