"""`check(id, function)` judges, prints and returns points; `hint(id)` helps in steps; `progress()` is the table.

In a graded run (COURSE_GRADED=1) the checks are in another process: these three then only say so, and import nothing.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .examiner import Examiner
    from .progress_file import Entry, Row
    from .report import Check, Verdict

# assignment of an id's first part -> folder of its notebook, module of its table
ASSIGNMENTS = {"ex1": "ex1_distilbert", "ex2": "ex2_distilgpt2"}

_FOLDER = Path.cwd()  # of the notebook: a kernel starts there, and imports this before anybody changes folders
_failed: dict[str, list[str]] = {}  # hints of the lines that failed in the last check, by check
_asked: dict[str, int] = {}  # hints that were given, by check
_entries: dict[str, Entry] = {}


def table(assignment: str) -> Mapping[str, Check]:
    """The checks of an assignment ("ex1") by id.

    Raises:
        ValueError: there is no such assignment.
    """
    if assignment not in ASSIGNMENTS:
        raise ValueError(f"there are no checks for {assignment!r}; there are some for {', '.join(ASSIGNMENTS)}")
    module = importlib.import_module(f"{__package__}.checks.{ASSIGNMENTS[assignment]}")
    return {row.id: row for row in module.CHECKS}


def row_of(ident: str) -> Check:
    """The check with this id.

    Raises:
        ValueError: there is none; the text names those that are meant most likely.
    """
    ident = str(ident)
    part, _, rest = ident.partition("/")
    rows = {row.id: row for name in ([part] if part in ASSIGNMENTS else ASSIGNMENTS) for row in table(name).values()}
    if ident in rows:
        return rows[ident]
    near = [i for i in rows if i.endswith(f"/{rest or part}")]  # the other half is wrong or missing
    near = near or difflib.get_close_matches(ident if rest else "", rows, n=3)
    meant = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are {', '.join(rows)}."
    raise ValueError(f"there is no check {ident!r}. {meant}")


def check(ident: str, subject: Any = None) -> float:
    """Judge a function by what it does, print a line for each point, and return the points.

    Args:
        ident: id of the check, such as "ex1/export".
        subject: the function, itself and not its name.

    An exception in the function is one line, never a traceback of the check's own. Where a line fails, or nothing was
    attempted, a stand-in of the course is bound to the function's name, so that later cells run.

    Raises:
        ValueError: there is no such check.
        TypeError: `subject` is no function, or the function of another check.
        RuntimeError: helpers.backend.activate() has not been called.
    """
    if _graded():
        print(f"{ident}: judged by the grader")
        return 0.0
    from . import progress_file as state
    from . import stand_ins
    from .report import heading

    row = row_of(ident)
    stands_in = stand_ins.is_stand_in(subject)
    own = subject.own if stands_in else subject
    if stands_in and own is None:
        raise TypeError(f"{row.todo} is the course's stand-in: the cell that defines yours has not run yet")
    _refuse(row, own)
    if row.slow:
        print(f"{row.id}: {row.slow} ...", flush=True)
    verdict = judge(row, own)
    attempted = verdict.status != "not attempted"
    print(heading(row, verdict.points))
    for line in verdict.lines if attempted else [f"  –  not attempted: {row.todo} still raises NotImplementedError"]:
        print(line)
    failing = [line.hint for line in verdict.lines if line.holds is False]
    if not failing or failing != _failed.get(row.id):
        _asked.pop(row.id, None)  # another mistake: begin with its own hint
    _failed[row.id] = failing
    passed = verdict.points >= row.points and not failing
    _bind(row, passed)
    if attempted and not passed:
        print(f'  hint("{row.id}") gives a hint. Until this passes, later cells run with a stand-in for {row.todo}.')
    print(f"  {state.summary(_note(row, verdict.points, attempted))}")
    return verdict.points


def judge(row: Check, subject: Callable[..., Any]) -> Verdict:
    """The verdict of one visible check on a function in this process."""
    from .draw import VISIBLE
    from .report import run
    from .subject import Here

    here = Here(subject)
    try:
        return run(row, here, _examiner(), VISIBLE)
    finally:
        here.close()


@functools.cache
def _examiner() -> Examiner:
    """The examiner of this process: one for all checks, because it remembers what it has built."""
    from .examiner import Examiner

    return Examiner()


def hint(ident: str) -> None:
    """Give the next hint: those of the lines that failed, then two of the task's own, then what the reference does.

    Args:
        ident: id of the check, such as "ex1/export".

    Raises:
        ValueError: there is no such check.
    """
    if _graded():
        print(f"{ident}: there are no hints in a graded run")
        return
    row = row_of(ident)
    if ident not in _failed:
        print(f'{ident}: after check("{ident}", {row.todo}) there is one more, about the line that fails.')
    if not _failed.get(ident) and _entry_of(row, "done"):
        print(f"{ident}: all lines of the check hold. Nothing to add.")
        return
    first = [text for text in dict.fromkeys(_failed.get(ident, ())) if text]
    steps = ["\n".join(f"  - {text}" for text in first)] if first else []
    steps += [f"  {text}" for text in row.hints if text]
    at = _asked.get(ident, 0)
    _asked[ident] = at + 1
    for number, step in enumerate(steps[: at + 1], 1):  # the earlier ones too: a cell that runs again shows only this
        print(f"{ident}, hint {number} of {len(steps)}:\n{step}")
    if at < len(steps):
        if at + 1 < len(steps) or _reference(row):
            print(f'  (hint("{ident}") again: the next one)')
        return
    reference = _reference(row)
    if reference is None:
        print(
            f"{ident}: there are no further hints. Show the lines of the check and your function to whoever teaches"
            " this course, or to somebody who takes it with you."
        )
        return
    mine = _written(row.todo)
    print(f"{ident}: the solution. Close it again, and write it from what you remember.")
    if not mine:
        print(reference)
        return
    names = {"fromfile": "yours", "tofile": "solution", "lineterm": ""}
    print("\n".join(difflib.unified_diff(mine.splitlines(), reference.splitlines(), n=20, **names)) or "the same text")


def progress() -> None:
    """Show which TODOs are done, with the points of the visible checks, for all assignments that are there."""
    if _graded():
        print("progress: the grader keeps the points of this run")
        return
    from . import progress_file as state

    _load()
    found: list[Row] = []
    for name, folder in ASSIGNMENTS.items():
        entries, problem = _entries, ""
        if folder != _FOLDER.name and not any(ident.startswith(f"{name}/") for ident in _entries):
            if not (_FOLDER.parent / folder).is_dir() and _entries:
                continue  # a notebook that stands alone
            entries, problem = state.load(_FOLDER.parent / folder / state.FILE)
        if problem:
            print(problem)
        found += state.rows(table(name), entries, folder)
    shell = _shell()
    if shell is None:
        print(state.as_text(found))
        return
    from IPython.display import display

    display({"text/plain": state.as_text(found), "text/html": state.as_html(found)}, raw=True)


def overview(notebooks: Path) -> str:
    """The same table for a folder of notebooks, as text: what `make lab` says before it starts."""
    from . import progress_file as state

    found, problems = [], []
    for name, folder in ASSIGNMENTS.items():
        entries, problem = state.load(notebooks / folder / state.FILE)
        problems += [f"{folder}: {problem}"] if problem else []
        if (notebooks / folder).is_dir():
            found += state.rows(table(name), entries, folder)
    return "\n".join([*problems, state.as_text(found)]) if found else ""


# --- what a check needs and leaves behind ---------------------------------------------------------------------------


def _graded() -> bool:
    return os.environ.get("COURSE_GRADED") == "1"


def _refuse(row: Check, subject: Any) -> None:
    """Raise for what is no answer to this check at all."""
    from .. import backend

    wanted = f'check("{row.id}", {row.todo})'
    if not callable(subject):
        called = (
            f" It looks as if {row.todo} was called: leave out the brackets behind the name."
            if not isinstance(subject, str)
            else " Leave out the quotation marks."
        )
        raise TypeError(
            f"{row.id} was given {type(subject).__name__}, expected the function {row.todo} itself: {wanted}.{called}"
        )
    name = getattr(subject, "__name__", "")
    if name != row.todo and isinstance(name, str):
        other = [r for r in table(row.id.partition("/")[0]).values() if r.todo == name]
        if other:
            raise TypeError(f"{row.id} was given {name}, which {other[0].id} is about; expected {wanted}")
    if backend.current() is None:
        raise RuntimeError(
            "no TensorRT serves this notebook yet: expected backend.activate() before the first check. Run the cell"
            " with the imports, then this one again."
        )


def _shell() -> Any:
    """IPython's shell where this is a notebook, else None."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _bind(row: Check, passed: bool) -> None:
    """In a notebook: the student's function for later cells where it passed, else the stand-in."""
    from . import stand_ins

    shell = _shell()
    if shell is not None:
        (stand_ins.restore if passed else stand_ins.install)(row.id, shell.user_ns)


def _kept() -> bool:
    """Whether progress is kept in a file: in a notebook that a person works in."""
    return _shell() is not None and os.environ.get("COURSE_PROGRESS") != "off"


def _load() -> None:
    """Read the notebook's file once; say what is wrong with it."""
    from . import progress_file as state

    if not _entries and _kept():
        entries, problem = state.load(_FOLDER / state.FILE)
        _entries.update(entries)
        if problem:
            print(f"  {problem}")


def _note(row: Check, points: float, attempted: bool) -> list[Row]:
    """Keep what a check said, and return the table of its assignment."""
    from . import progress_file as state

    _load()
    _entries[row.id] = state.Entry(points, attempted)
    problem = state.save(_FOLDER / state.FILE, _entries) if _kept() else ""
    if problem:
        print(f"  {problem}")
    name = row.id.partition("/")[0]
    return state.rows(table(name), _entries, ASSIGNMENTS[name])


def _entry_of(row: Check, wanted: str) -> bool:
    from . import progress_file as state

    return any(r.todo == row.todo and r.state == wanted for r in state.rows({row.id: row}, _entries, ""))


# --- the solution, where it is there --------------------------------------------------------------------------------


def _reference(row: Check) -> str | None:
    """The solved notebook's cell for this check; None in a student's bundle, which has no solutions."""
    name, _, short = row.id.partition("/")
    from . import reference

    path = reference.path_of(ASSIGNMENTS[name])
    return reference.answers(path).get(f"todo-{short.replace('_', '-')}") if path.is_file() else None


def _written(todo: str) -> str:
    """The source of the cell that last defined this function; empty where that is not known."""
    shell = _shell()
    cells = shell.user_ns.get("In", []) if shell is not None else []
    return next((str(cell).strip() for cell in reversed(cells) if f"def {todo}(" in str(cell)), "")
