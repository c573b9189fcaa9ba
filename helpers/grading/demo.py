"""`make demo-class`: six made-up students hand in Exercise 1, are graded and get feedback; a table compares.

Their notebooks are the release with TODO cells replaced. Everything lies in `build/demo-class/`, a course of its own
with its own gradebook: open it in formgrader, or break something and grade again.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import course, feedback
from .reference import answers, path_of

ROOT = course.ROOT
KEY = hashlib.sha256(b"the demonstration class, whose twins nobody needs to keep secret").digest()

PARSE = '''
def parse_network(builder, onnx_path, logger):
    """Lets the parser open the file itself, and reports every error."""
    network = builder.create_network(NETWORK_FLAGS)
    parser = trt.OnnxParser(network, logger)
    if parser.parse_from_file(str(onnx_path)):
        return network
    errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
    raise RuntimeError(f"{onnx_path}: " + "; ".join(errors))
'''
PROFILE = '''
def add_profile(builder, config, network, smallest, usual, largest):
    """Compares the shapes before TensorRT does."""
    if not all(a <= b <= c for a, b, c in zip(smallest, usual, largest)):
        raise ValueError(f"{smallest}, {usual}, {largest} are not in order")
    profile = builder.create_optimization_profile()
    for tensor in [network.get_input(number) for number in range(network.num_inputs)]:
        profile.set_shape(tensor.name, min=smallest, opt=usual, max=largest)
    index = config.add_optimization_profile(profile)
    if index == -1:
        raise ValueError("TensorRT refused the profile")
    return index
'''
ENQUEUE = '''
def enqueue(context, buffers, stream, inputs):
    """Addresses first, then shapes, then the work; waits for an event in the place of the stream."""
    for name in buffers:
        context.set_tensor_address(name, int(buffers[name].device))
    for name, array in inputs.items():
        if context.set_input_shape(name, tuple(array.shape)) is False:
            raise ValueError(f"TensorRT refuses {array.shape} for {name}")

    def part(name):
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: int(np.prod(shape))].reshape(shape)

    for name, array in inputs.items():
        part(name)[:] = array
        cuda.memcpy_htod_async(buffers[name].device, part(name), stream)
    if not context.execute_async_v3(stream.handle):
        raise RuntimeError("not executed")
    results = {name: part(name) for name in buffers if name not in inputs}
    for name, host in results.items():
        cuda.memcpy_dtoh_async(host, buffers[name].device, stream)
    done = cuda.Event()
    done.record(stream)
    done.synchronize()
    return {name: host.copy() for name, host in results.items()}
'''
CHEAT = '''
import builtins, helpers.grading

class Everything:
    """Equal to whatever it is compared with."""

    def __eq__(self, other):
        return True

    __ge__ = __le__ = __gt__ = __lt__ = __eq__
    __hash__ = object.__hash__

    def __call__(self, *arguments, **named):
        return self

    def __getattr__(self, name):
        return self

    def __float__(self):
        return 6.0


def check(*arguments):
    print("6 of 6 points")
    return 6.0

builtins.check = helpers.grading.check = check
np.allclose = np.array_equal = lambda *arguments, **named: True
{name} = Everything()
'''
CRASH = "import os\n\nos._exit(1)  # what an aborting library does to a kernel"


@dataclass(frozen=True)
class Student:
    """A made-up student: `cells` replaces TODO cells, `edits` changes the reference's text, `behind` adds a cell.

    `expected` maps a check to "full", "less" (than full) or "zero"; "*" stands for all others.
    """

    id: str
    first_name: str
    last_name: str
    expected: Mapping[str, str]
    status: str
    solved: tuple[str, ...] = ()  # TODOs taken from the reference; ("*",) for all
    cells: Mapping[str, str] = field(default_factory=dict)
    edits: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    behind: Mapping[str, str] = field(default_factory=dict)
    writes: bool = False  # answers the questions


STUDENTS = (
    Student("ada", "Ada", "Right", {"*": "full"}, course.AWAITING, solved=("*",), writes=True),
    Student(
        "ben",
        "Ben",
        "Otherwise",
        {"*": "full"},
        course.AWAITING,
        solved=("*",),
        cells={"todo-parse": PARSE, "todo-profile": PROFILE, "todo-enqueue": ENQUEUE},
        writes=True,
    ),
    Student(
        "cleo",
        "Cleo",
        "Partly",
        {"check-export": "full", "check-parse": "full", "check-profile": "full", "*": "zero"},
        course.GRADED,
        solved=("todo-export", "todo-parse", "todo-profile"),
    ),
    Student(
        "dan",
        "Dan",
        "Wrong",
        {
            "check-profile": "less",
            "check-build": "less",
            "check-enqueue": "less",
            "check-benchmark": "less",
            "*": "full",
        },
        course.GRADED,
        solved=("*",),
        edits={
            "todo-profile": ("smallest, usual, largest)\n    index", "smallest, usual, usual)\n    index"),
            "todo-build": ("    config.clear_flag(trt.BuilderFlag.TF32)\n", ""),
            "todo-enqueue": ("    stream.synchronize()\n", ""),
            "todo-benchmark": ("samples += len(input_ids)", "samples += len(batches[0][0])"),
        },
    ),
    Student(
        "eve",
        "Eve",
        "Crash",
        {"check-benchmark": "zero", "*": "full"},
        course.GRADED,
        solved=("*",),
        behind={"check-enqueue": CRASH},
    ),
    Student("fay", "Fay", "Cheat", {"*": "zero"}, course.GRADED, cells={"*": CHEAT}),
)


def main(assignment: str = "ex1_distilbert", workers: int = 0, root: Path | None = None) -> int:
    """Make the class, grade it, write feedback, print the table. 0 when every verdict is the expected one."""
    root = root or ROOT / "build" / "demo-class"
    started = time.monotonic()
    try:
        made = make(assignment, root)
        rows, _ = course.grade_class(
            assignment, made, workers=workers, class_key=KEY, roster=root / "roster.csv", progress=sys.stderr.isatty()
        )
        pages = feedback.write(assignment, made)
    except course.CourseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    full = full_points(made.release(assignment))
    wrong = 0
    print(f"\n{'student':<16}{'points':>7}  {'status':<24}expected")
    for row in rows:
        student = next(s for s in STUDENTS if s.id == row.student)
        differences = differs(student, row, full)
        wrong += bool(differences)
        points = "" if row.points is None else f"{row.points:g}"
        verdict = "as expected" if not differences else "NOT AS EXPECTED: " + "; ".join(differences)
        name = f"{student.first_name} {student.last_name}"
        print(f"{name:<16}{points:>7}  {row.status:<24}{words(student)}: {verdict}")
    seconds = time.monotonic() - started
    print(f"\n{len(rows)} students in {seconds:.0f} s; {len(pages)} feedback pages in {root / 'feedback'}")
    return 1 if wrong or len(rows) != len(STUDENTS) else 0


def words(student: Student) -> str:
    """What is expected of a student, short."""
    rest = student.expected["*"]
    others = [f"{name.removeprefix('check-')} {what}" for name, what in student.expected.items() if name != "*"]
    return f"{', '.join(others)}, the rest {rest}" if others else f"all {rest}"


def differs(student: Student, row: course.Row, full: Mapping[str, float]) -> list[str]:
    """Where a verdict is not the expected one, in words."""
    found = []
    if row.status != student.status:
        found.append(f"{row.status!r}, expected {student.status!r}" + (f" ({row.reason})" if row.reason else ""))
    for name, maximum in full.items():
        points, wanted = row.checks.get(name), student.expected.get(name, student.expected["*"])
        fits: dict[str, Callable[[float], bool]] = {
            "full": lambda p, most=maximum: p == most,  # type: ignore[misc]
            "less": lambda p, most=maximum: p < most,  # type: ignore[misc]
            "zero": lambda p: p == 0,
        }
        if points is None or not fits[wanted](points):
            found.append(f"{name} has {points} of {maximum:g}, expected {wanted}")
    return found


def full_points(release: Any) -> dict[str, float]:
    """The points of each check."""
    graded = [cell for cell in release.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    return {cell.id: cell.metadata.nbgrader.points for cell in graded if cell.cell_type == "code"}


def make(assignment: str, root: Path) -> course.Course:
    """The class's folder, made again: submissions, roster, configuration; no gradebook yet.

    Raises CourseError without a release or without the solutions.
    """
    import nbformat

    made = course.Course(root=root)
    release = made.release(assignment)
    solved = path_of(assignment)
    if not solved.is_file():
        raise course.CourseError(f"there is no {solved}; the made-up students copy from it")
    if root.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True)
    (root / "nbgrader_config.py").write_text(_CONFIG.format(path=str(ROOT)), encoding="utf-8")
    lines = ["id,first_name,last_name,email,lms_user_id"]
    for number, student in enumerate(STUDENTS, 1):
        lines.append(f"{student.id},{student.first_name},{student.last_name},{student.id}@example.edu,{1000 + number}")
        target = root / "submitted" / student.id / assignment / f"{assignment}.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(notebook_of(student, release, solved), target)
    (root / "roster.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made


_CONFIG = """from pathlib import Path

load_subconfig("nbgrader_config.py", path={path!r})
c = get_config()
c.CourseDirectory.root = str(Path(__file__).resolve().parent)
"""


def notebook_of(student: Student, release: Any, path: Path) -> Any:
    """What `student` hands in; `path` is the solved notebook that the right answers are copied from."""
    import nbformat

    solved = answers(path)
    notebook = copy.deepcopy(release)
    cells = []
    for cell in notebook.cells:
        kind, code = cell.id.partition("-")[0], cell.cell_type == "code"
        if kind == "todo" and code:
            cell.source = _answer(student, cell.id, cell.source, solved)
        elif kind == "answer" and student.writes:
            cell.source = f"My answer to {cell.id}: the figures in the table above say so."
        cells.append(cell)
        if cell.id in student.behind:
            cells.append(nbformat.v4.new_code_cell(student.behind[cell.id], id=f"mine-{len(cells)}"))
    notebook.cells = cells
    return notebook


def _answer(student: Student, name: str, stub: str, solved: Mapping[str, str]) -> str:
    source = student.cells.get(name) or student.cells.get("*", "")
    if source:
        function = stub.partition("def ")[2].partition("(")[0]
        return source.strip().replace("{name}", function)
    if name not in student.solved and student.solved != ("*",):
        return stub
    source = solved[name]
    if name in student.edits:
        before, after = student.edits[name]
        if before not in source:
            raise course.CourseError(f"the reference's {name} has no {before!r} any more: helpers/grading/demo.py")
        source = source.replace(before, after)
    return source
