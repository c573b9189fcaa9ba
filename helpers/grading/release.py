"""`python -m helpers grade release`: solutions/ -> notebooks/ and helpers/releases/, and a bundle for students.

The text notebook's cell tags say what a cell is. From them come nbgrader's metadata and the cells' ids; nbgrader's own
`generate_assignment` then strips the solutions. The same source always gives the same bytes.

| Tag | Cell |
|---|---|
| `todo-X` (code) | a function that the student writes: nbgrader's solution cell |
| `check-X` (code) | one line `check("ex1/X", name)`: grade cell, locked, its points stand in the table of checks |
| `free-X` (code) | the student's own, without points: solution cell |
| `question-N` | locked text |
| `answer-N` | the student's text, marked by hand; its points stand in the marking guide |
| `guide-N` | marking guide, left out |

Another notebook in the assignment's folder is not graded and comes along as it is (`companion`).
"""

from __future__ import annotations

import ast
import importlib
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers.files import replacing

from .released import checked

ROOT = Path(__file__).resolve().parent.parent.parent
BUNDLE = "tensorrt-course-student"
# Modules that are an assignment's answers, absent from a graded run until the verdict of the check on the right is in.
ANSWERS: dict[str, dict[str, str]] = {
    "ex1_distilbert": {
        "helpers.export": "ex1/export",
        "helpers.engine": "ex1/build",
        "helpers.runtime": "ex1/enqueue",
        **{
            f"helpers.grading.stand_ins.ex1_{name}": f"ex1/{name}"
            for name in ("export", "parse", "profile", "build", "fp16", "buffers", "enqueue", "benchmark")
        },
    },
    "ex2_distilgpt2": {
        "helpers.export": "ex2/export",
        "helpers.decoding": "ex2/last_step",
        **{
            f"helpers.grading.stand_ins.ex2_{name}": f"ex2/{name}"
            for name in ["bytes", "export", "profile", "decode", "kernel_only", "timeline", "preallocate", "last_step"]
        },
    },
}
# What a student's bundle does without: answers, and what only instructors and the course's authors need. The stand-ins
# are in it: a notebook with open TODOs needs them, and they are the reference nearly word for word.
_NOT_FOR_STUDENTS = re.compile(
    r"solutions/|tests/|docs/|\.ci/|CONTRIBUTING\.md$|README\.md$|nbgrader_config\.py$|assets/results/"
    r"|helpers/templates/feedback_page/"
    r"|helpers/grading/(collect|corpus|course|demo|export|feedback|mutants|refuse|release|sanitize|similarity|timing)\.py$"
)
_KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_README = "docs/student.md"  # what the bundle has as its README.md


class ReleaseError(ValueError):
    """The source cannot be released; the text names the cell, what was expected and what to do."""


def main(assignments: Sequence[str] = (), root: Path = ROOT, bundle: bool = True) -> int:
    """Write notebooks/<a>/<a>.ipynb of `assignments` (all when empty), their pristine copies and the bundle.

    0, or 1 after a message.
    """
    from helpers import walkthrough

    try:
        for source in walkthrough.find(root / "solutions", assignments):
            assignment = source.parent.name
            target = root / "notebooks" / assignment / f"{source.stem}.ipynb"
            if source.stem == assignment:
                text = generate(source)
                pristine = root / "helpers" / "releases" / target.name  # what grading reads: see released.py
                before = _text(pristine)
                _write(pristine, text)
            else:
                text, before = companion(source), ""
            there = _text(target)
            state = "unchanged" if there == text else "written"
            if there not in ("", before, text):  # somebody has worked in it
                target.replace(target.with_suffix(".old.ipynb"))
                state = f"written; the one that was there is {target.stem}.old.ipynb now"
            _write(target, text)
            print(f"{target.relative_to(root)}: {state}, {describe(text)}")
        if bundle:
            path = write_bundle(root)
            with zipfile.ZipFile(path) as zipped:
                print(f"{path.relative_to(root)}: {len(zipped.namelist())} files, without solutions and tests")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _write(path: Path, text: str) -> None:
    if _text(path) != text:
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")


def describe(text: str) -> str:
    """What a released notebook holds, in words: "72 cells, 8 checks with 40 points, 5 questions with 20"."""
    cells = [cell for cell in _read(text).cells if cell.metadata.get("nbgrader", {}).get("grade")]
    checks = [cell.metadata.nbgrader.points for cell in cells if cell.cell_type == "code"]
    questions = [cell.metadata.nbgrader.points for cell in cells if cell.cell_type == "markdown"]
    return (
        f"{len(_read(text).cells)} cells, {len(checks)} checks with {sum(checks):g} points, "
        f"{len(questions)} questions with {sum(questions):g}"
    )


def generate(source: Path, checks: Mapping[str, Any] | None = None) -> str:
    """The released notebook of the text notebook `source`, as the text of an .ipynb file.

    Args:
        source: `solutions/<assignment>/<assignment>.py`.
        checks: the table of checks by id; by default that of the assignment. A value has `points`.

    Raises:
        ReleaseError: the source breaks a rule of the table above; the message names the cell.
    """
    import jupytext
    import nbformat

    assignment = source.parent.name
    notebook = nbformat.v4.upgrade(jupytext.read(source))
    marked = mark(notebook, assignment, table(assignment) if checks is None else checks)
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder)
        place = course / "solutions" / assignment / f"{assignment}.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(marked, place)
        _generate_assignment(course, assignment)
        released = nbformat.read(course / "notebooks" / assignment / f"{assignment}.ipynb", as_version=4)
    for cell in released.cells:
        if "SOLUTION" in cell.source and re.search(r"(BEGIN|END) SOLUTION", cell.source):
            raise ReleaseError(f"{source}: cell {cell.id}: a solution's marker is left after nbgrader's pass")
    return nbformat.writes(released) + "\n"


def companion(source: Path) -> str:
    """The notebook that stands beside an assignment's own and is not graded, as the text of an .ipynb file.

    Raises:
        ReleaseError: a cell has a tag or a solution that only the graded notebook may have; the message names it.
    """
    import jupytext
    import nbformat

    notebook = nbformat.v4.upgrade(jupytext.read(source))
    tags = [_tag(number, cell) for number, cell in enumerate(notebook.cells, 1)]
    cells = []
    for name, cell in zip(tags, notebook.cells, strict=True):
        code = cell.cell_type == "code"
        if tags.count(name) > 1 or _kind(name, code) or name.startswith("guide-"):
            raise ReleaseError(
                f"{source}: cell {name}: {source.stem} is not the graded notebook of {source.parent.name}; expected "
                "tags of its own that begin with none of todo-, check-, free-, question-, answer- and guide-"
            )
        _check_region(name, cell, wanted=False)
        new = (nbformat.v4.new_code_cell if code else nbformat.v4.new_markdown_cell)(cell.source, id=name)
        new.metadata["tags"] = [name]
        cells.append(new)
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=_KERNEL)) + "\n"


def table(assignment: str) -> Mapping[str, Any]:
    """The checks of `assignment` ("ex1_distilbert") by id.

    Raises ReleaseError when it has none.
    """
    try:
        module = importlib.import_module(f"helpers.grading.checks.{assignment}")
    except ModuleNotFoundError as error:
        if error.name and not error.name.startswith("helpers.grading.checks."):
            raise
        expected = f"helpers/grading/checks/{assignment}.py"
        raise ReleaseError(f"there are no checks for {assignment}, expected {expected}") from None
    return {row.id: row for row in module.CHECKS}


# --- tags to nbgrader's metadata ---


def mark(notebook: Any, assignment: str, checks: Mapping[str, Any]) -> Any:
    """A copy of the solved `notebook` with ids and nbgrader's metadata, without marking guides and outputs.

    Raises:
        ReleaseError: see `generate`.
    """
    import nbformat

    tags = [_tag(number, cell) for number, cell in enumerate(notebook.cells, 1)]
    for name in {name for name in tags if tags.count(name) > 1}:
        raise ReleaseError(f"cell {name}: {tags.count(name)} cells have this tag, expected one; ids come from tags")
    named = list(zip(tags, notebook.cells, strict=True))
    points = {name: _guide_points(name, cell) for name, cell in named if name.startswith("guide-")}
    defined: set[str] = set()
    seen: set[str] = set()
    cells = []
    for name, cell in named:
        if name.startswith("guide-"):
            continue
        code = cell.cell_type == "code"
        kind = _kind(name, code)
        if not code and kind in ("todo", "check", "free"):
            kind = ""  # the text above such a cell
        _check_region(name, cell, wanted=kind in ("todo", "free"))
        if kind == "todo":
            defined |= _names(name, cell.source)
        new = (nbformat.v4.new_code_cell if code else nbformat.v4.new_markdown_cell)(cell.source, id=name)
        new.metadata["tags"] = [name]
        if kind == "check":
            ident = _checked(name, cell.source, defined, checks)
            if ident in seen:
                raise ReleaseError(f"cell {name}: {ident!r} is checked twice, expected one cell for each check")
            seen.add(ident)
            new.metadata["nbgrader"] = _metadata(name, grade=True, locked=True, points=float(checks[ident].points))
        elif kind == "answer":
            guide = name.replace("answer-", "guide-")
            if guide not in points:
                raise ReleaseError(f"cell {name}: no points, because there is no cell {guide} with a marking guide")
            new.metadata["nbgrader"] = _metadata(name, grade=True, solution=True, points=points[guide])
        elif kind in ("todo", "free"):
            new.metadata["nbgrader"] = _metadata(name, solution=True)
        elif kind == "question":
            new.metadata["nbgrader"] = _metadata(name, locked=True)
        cells.append(new)
    if missing := [ident for ident in checks if ident not in seen]:
        raise ReleaseError(f"{assignment}: no cell checks {', '.join(missing)}, which the table of checks has")
    return nbformat.v4.new_notebook(
        cells=cells,
        metadata={
            **_KERNEL,
            "course": {"assignment": assignment, "answers": ANSWERS.get(assignment, {})},
        },
    )


def _tag(number: int, cell: Any) -> str:
    tags = cell.metadata.get("tags", [])
    start = cell.source.strip().splitlines()[:1]
    if len(tags) != 1:
        raise ReleaseError(f"cell {number} ({start}) has the tags {list(tags)}, expected exactly one, which is its id")
    if not re.fullmatch(r"[a-z0-9-]{1,64}", tags[0]):
        raise ReleaseError(f"cell {number}: the tag {tags[0]!r} cannot be an id, expected a-z, 0-9 and hyphens")
    return tags[0]


def _kind(name: str, code: bool) -> str:
    kind = name.partition("-")[0]
    wants = {"todo": True, "check": True, "free": True, "question": False, "answer": False}
    if kind not in wants:
        return ""
    if code and not wants[kind]:
        raise ReleaseError(f"cell {name} is code, expected text: its tag makes it a {kind}")
    if not code and kind == "check":
        raise ReleaseError(f"cell {name} is text, expected code: its tag makes it a check")
    return kind


def _metadata(
    name: str, *, grade: bool = False, solution: bool = False, locked: bool = False, points: float = 0.0
) -> dict[str, Any]:
    made = {"grade": grade, "grade_id": name, "locked": locked, "schema_version": 3}
    return made | {"solution": solution, "task": False} | ({"points": points} if grade else {})


def _guide_points(name: str, cell: Any) -> float:
    found = re.search(r"(\d+(?:\.\d+)?) points?\b", cell.source)
    if not found:
        raise ReleaseError(f"cell {name}: points missing, expected words like '4 points' in the marking guide")
    return float(found[1])


def _check_region(name: str, cell: Any, *, wanted: bool) -> None:
    """One region BEGIN SOLUTION ... END SOLUTION where it is wanted, and none elsewhere."""
    marks = re.findall(r"^\s*### (BEGIN|END) SOLUTION\s*$", cell.source, re.MULTILINE)
    loose = len(re.findall(r"(?:BEGIN|END) SOLUTION", cell.source)) != len(marks)
    if loose or marks != ["BEGIN", "END"] * (len(marks) // 2):
        raise ReleaseError(
            f"cell {name}: a solution's region is not closed or not well formed, expected a line '### BEGIN SOLUTION' "
            "and below it a line '### END SOLUTION'"
        )
    if wanted and not marks:
        raise ReleaseError(f"cell {name}: no solution's region, and without one nbgrader would empty the whole cell")
    if marks and not wanted:
        raise ReleaseError(f"cell {name}: a solution's region outside a todo or free cell, which would be released")


def _names(name: str, source: str) -> set[str]:
    """The names that a cell defines at its top level."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ReleaseError(f"cell {name}: line {error.lineno} is no Python: {error.msg}") from None
    found = set()
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(statement.name)
        elif isinstance(statement, ast.Assign):
            found |= {target.id for target in statement.targets if isinstance(target, ast.Name)}
    return found


def _checked(name: str, source: str, defined: set[str], checks: Mapping[str, Any]) -> str:
    """The check's id in a grade cell, which is exactly `check("ex1/build", build_plan)`."""
    ident, subject = checked(source)
    if not ident:
        raise ReleaseError(
            f'cell {name}: {source.strip()[:80]!r} is no grade cell, expected one statement check("id", name)'
        )
    if ident not in checks:
        raise ReleaseError(f"cell {name}: the table of checks has no {ident!r}; it has {', '.join(checks)}")
    if subject not in defined:
        raise ReleaseError(f"cell {name}: no TODO cell above defines {subject!r}")
    return ident


# --- nbgrader's own pass ---


def _generate_assignment(course: Path, assignment: str) -> None:
    """nbgrader's generate_assignment: course/solutions -> course/notebooks, no gradebook."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    config = Config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.source_directory = "solutions"
    config.CourseDirectory.release_directory = "notebooks"
    config.CourseDirectory.assignment_id = assignment
    config.GenerateAssignment.no_database = True
    config.SaveCells.enabled = False
    log = logging.getLogger("helpers.grading.release")
    log.propagate = False
    words = _Lines()
    log.addHandler(words)
    try:
        GenerateAssignment(coursedir=CourseDirectory(config=config), config=config, log=log).start()
    except NbGraderException as error:
        raise ReleaseError(f"nbgrader refused {assignment}: {error}\n" + "\n".join(words.lines)) from None
    finally:
        log.removeHandler(words)


class _Lines(logging.Handler):
    """Keeps the errors that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


# --- the bundle ---


def write_bundle(root: Path = ROOT) -> Path:
    """Write build/release/<name>.zip: what git tracks and notebooks/, without solutions. Always the same bytes.

    Raises ReleaseError outside a git checkout.
    """
    target = root / "build" / "release" / f"{BUNDLE}.zip"
    with replacing(target) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for name in bundled(root):
            place = "README.md" if name == _README else name
            info = zipfile.ZipInfo(f"{BUNDLE}/{place}", date_time=(2020, 1, 1, 0, 0, 0))
            info.external_attr = (0o755 if (root / name).stat().st_mode & 0o100 else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(info, (root / name).read_bytes())
    return target


def bundled(root: Path = ROOT) -> list[str]:
    """Names of the files that a student gets, relative to `root`, in order; docs/student.md is the bundle's README."""
    git = shutil.which("git")
    listing = git and subprocess.run([git, "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    if not listing or listing.returncode:
        raise ReleaseError(f"{root} is no git checkout; the bundle is made of the files that git tracks")
    names = set(listing.stdout.split("\0")) - {""}
    names |= {path.relative_to(root).as_posix() for path in _notebooks(root)}
    return sorted(n for n in names if (n == _README or not _NOT_FOR_STUDENTS.match(n)) and (root / n).is_file())


def _notebooks(root: Path) -> Iterator[Path]:
    for source in sorted((root / "solutions").glob("*/*.py")):
        if (notebook := root / "notebooks" / source.parent.name / f"{source.stem}.ipynb").is_file():
            yield notebook


def _read(text: str) -> Any:
    import nbformat

    return nbformat.reads(text, as_version=4)
