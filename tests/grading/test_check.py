"""What `check`, `hint` and `progress` say and refuse, and the stand-ins: outside a notebook, with the real checks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from helpers import backend
from helpers.grading import check, hint, progress, progress_file, reference, stand_ins
from helpers.grading.check import ASSIGNMENTS, judge, overview, row_of, table

# the package's name `check` is the function
checking = sys.modules["helpers.grading.check"]
NOTEBOOK = Path(__file__).parents[2] / "solutions" / "ex1_distilbert" / "ex1_distilbert.py"


@pytest.fixture(scope="module", autouse=True)
def active() -> None:
    backend.activate("simulator", quiet=True)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A kernel that has just started, in a folder of its own."""
    for name in ("_failed", "_asked", "_entries"):
        monkeypatch.setattr(checking, name, {})
    monkeypatch.setattr(checking, "_FOLDER", tmp_path / "ex1_distilbert")
    yield


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """As in a notebook: a namespace, and the cells that were run."""
    (tmp_path / "ex1_distilbert").mkdir()
    found = SimpleNamespace(user_ns={"In": []})
    monkeypatch.setattr(checking, "_shell", lambda: found)
    return found


def _good(ident: str) -> Any:
    """A right answer: what stands in the solved notebook."""
    import pycuda.autoprimaryctx
    import pycuda.driver as cuda
    import tensorrt as trt

    assert pycuda.autoprimaryctx
    space: dict[str, Any] = {"trt": trt, "cuda": cuda, "np": np, "Path": Path, "NETWORK_FLAGS": 1 << 0}
    space["NETWORK_FLAGS"] = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    exec(_cell(ident), space)
    return space[row_of(ident).todo]


def _cell(ident: str) -> str:
    text = NOTEBOOK.read_text(encoding="utf-8")
    start = text.index(f'# %% tags=["todo-{ident.partition("/")[2]}"]')
    return text[start : text.index("\n# %%", start + 1)]


def add_profile(builder: Any, config: Any, network: Any, smallest: Any, usual: Any, largest: Any) -> int:
    """Wrong in one way: what TensorRT refuses goes unnoticed."""
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, smallest, usual, largest)
    return int(config.add_optimization_profile(profile))


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ident", "said"),
    [
        ("ex1/exprot", "there is no check 'ex1/exprot'. Did you mean 'ex1/export'"),
        ("export", "Did you mean 'ex1/export'"),
        ("ex9/build", "Did you mean 'ex1/build'"),
        ("ex1/", "There are ex1/export, ex1/parse"),
        ("nothing", "There are ex1/export, ex1/parse"),
    ],
)
def test_an_unknown_id_names_those_that_are_near(ident: str, said: str) -> None:
    for ask in (lambda: check(ident, print), lambda: hint(ident)):
        with pytest.raises(ValueError) as caught:
            ask()
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (None, "was given NoneType, expected the function add_profile itself: check(\"ex1/profile\", add_profile)"),
        (0, "leave out the brackets behind the name"),
        ("add_profile", "Leave out the quotation marks"),
    ],
)  # fmt: skip
def test_what_is_no_function_is_refused_with_what_to_write(subject: Any, said: str) -> None:
    with pytest.raises(TypeError) as caught:
        check("ex1/profile", subject)
    assert said in str(caught.value)


def test_the_function_of_another_check_is_refused() -> None:
    with pytest.raises(TypeError, match=r"was given parse_network, which ex1/parse is about"):
        check("ex1/profile", _good("ex1/parse"))


def test_a_check_before_a_backend_is_active_says_what_to_run() -> None:
    program = 'from helpers.grading import check\ncheck("ex1/profile", print)'
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "RuntimeError: no TensorRT serves this notebook yet: expected backend.activate()" in done.stderr


def test_a_graded_run_needs_no_checks_and_fails_nothing(tmp_path: Path) -> None:
    program = """
import sys
from helpers.grading import check, hint, progress
assert check("ex1/profile", None) == 0.0
hint("ex1/profile"), progress()
print(sorted(name for name in sys.modules if name.startswith("helpers.grading.")))
"""
    root = str(NOTEBOOK.parents[2])
    settings = {"PYTHONPATH": root, "COURSE_GRADED": "1", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, timeout=60, env=settings, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "ex1/profile: judged by the grader"
    assert done.stdout.splitlines()[-1] == "['helpers.grading.check']"
    assert not list(tmp_path.iterdir())


# --- what is said ---------------------------------------------------------------------------------------------------


def test_a_check_says_what_was_expected_and_what_happened_and_gives_no_hint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = row_of("ex1/profile")
    points = check("ex1/profile", add_profile)
    text = capsys.readouterr().out
    assert isinstance(points, float) and 0 < points < row.points
    assert text.startswith(f"ex1/profile  {row.title}: {points:g} of {row.points:g} points\n")
    assert "✗" in text and "happened:" in text and "✓" in text
    assert 'hint("ex1/profile") gives a hint' in text and text.rstrip().endswith(
        "0 of 8 TODOs done; hidden twins count too"
    )
    assert all(line.hint not in text for line in judge(row, add_profile).lines if line.hint)


def test_hints_begin_with_the_failing_line_and_end_with_whom_to_ask(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = row_of("ex1/profile")
    hint("ex1/profile")
    before = capsys.readouterr().out
    assert 'after check("ex1/profile", add_profile) there is one more' in before and row.hints[0] in before
    monkeypatch.setattr(reference, "ROOT", tmp_path)  # a student's bundle, without solutions/
    check("ex1/profile", add_profile)
    own = [line.hint for line in judge(row, add_profile).lines if line.holds is False]
    said = []
    for _ in range(4):
        capsys.readouterr()
        hint("ex1/profile")
        said.append(capsys.readouterr().out)
    assert own and all(text in said[0] for text in own) and "hint 1 of 3" in said[0]
    assert row.hints[0] in said[1] and row.hints[1] in said[2]
    assert all(own[0] in text for text in said)  # a cell that runs again shows the earlier ones too
    assert "again: the next one" in said[1] and "again" not in said[2]
    assert "there are no further hints" in said[3] and "whoever teaches this course" in said[3]
    check("ex1/profile", _good("ex1/profile"))
    capsys.readouterr()
    hint("ex1/profile")
    assert "all lines of the check hold" in capsys.readouterr().out


def test_the_solution_is_compared_with_the_cell_that_was_run(
    capsys: pytest.CaptureFixture[str], shell: SimpleNamespace
) -> None:
    shell.user_ns["In"] += ["def add_profile(earlier):\n    pass", "def add_profile(builder):\n    return 7", "1 + 1"]
    check("ex1/profile", add_profile)
    for _ in range(4):
        hint("ex1/profile")
    text = capsys.readouterr().out
    assert "-    return 7" in text and "+    profile = builder.create_optimization_profile()" in text
    assert "earlier" not in text


def test_every_check_has_three_levels_of_hints_and_a_reference() -> None:
    for row in [row for name in ASSIGNMENTS for row in table(name).values()]:
        assert len(row.hints) == 2 and all(len(text) > 20 for text in row.hints)
        reference = checking._reference(row)
        assert reference is not None and f"def {row.todo}(" in reference and "SOLUTION" not in reference


# --- stand-ins ------------------------------------------------------------------------------------------------------


def test_the_stand_ins_are_those_of_the_table() -> None:
    assert {ident: name for ident, (name, _) in stand_ins.TODOS.items()} == {
        ident: row.todo for name in ASSIGNMENTS for ident, row in table(name).items()
    }
    numbers = [number for _, number in stand_ins.TODOS.values()]
    assert numbers == [number for name in ASSIGNMENTS for number in range(1, len(table(name)) + 1)]


@pytest.mark.parametrize("ident", [ident for ident in stand_ins.TODOS if ident != "ex1/benchmark"])
def test_a_stand_in_is_a_right_answer(ident: str) -> None:
    space: dict[str, Any] = {}
    assert stand_ins.install(ident, space)
    verdict = judge(row_of(ident), space[row_of(ident).todo])
    assert verdict.points == row_of(ident).points, [str(line) for line in verdict.lines]


def test_a_stand_in_stands_until_the_students_own_passes(
    capsys: pytest.CaptureFixture[str], shell: SimpleNamespace
) -> None:
    space = shell.user_ns
    space["add_profile"] = add_profile
    points = check("ex1/profile", space["add_profile"])
    bound = space["add_profile"]
    assert stand_ins.is_stand_in(bound) and bound.own is add_profile and bound.__name__ == "add_profile"
    assert not stand_ins.is_stand_in(add_profile) and not stand_ins.is_stand_in(print)
    # the check again, without the cell: the student's function is judged, and its points are no more than before
    assert check("ex1/profile", bound) == points and space["add_profile"] is bound
    space["add_profile"] = _good("ex1/profile")
    assert check("ex1/profile", space["add_profile"]) == row_of("ex1/profile").points
    assert not stand_ins.is_stand_in(space["add_profile"])
    stand_ins.install("ex1/profile", space)
    stand_ins.restore("ex1/profile", space)
    assert not stand_ins.is_stand_in(space["add_profile"])
    assert "stand-in;" not in capsys.readouterr().out  # none was called


def test_a_stand_in_for_a_name_that_was_never_defined() -> None:
    space: dict[str, Any] = {}
    assert stand_ins.install("ex1/parse", space) and not stand_ins.install("ex1/none", space)
    with pytest.raises(TypeError, match="the cell that defines yours has not run"):
        check("ex1/parse", space["parse_network"])
    stand_ins.restore("ex1/parse", space)
    assert not space


def test_a_stand_in_that_may_not_be_seen_yet_is_not_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_ins, "__path__", [])
    for name in list(sys.modules):
        if name.startswith("helpers.grading.stand_ins.ex1_"):
            monkeypatch.delitem(sys.modules, name)
    space: dict[str, Any] = {}
    assert not stand_ins.install("ex1/enqueue", space) and not space


# --- progress -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": "another", "checks": {}}',
     b'{"format": "course progress, 1"}', b'{"format": "course progress, 1", "checks": {"ex1/parse": {}}}',
     b'{"format": "course progress, 1", "checks": {"ex1/parse": {"points": "3", "attempted": true}}}',
     b"[" * 100_000],
)  # fmt: skip
def test_a_broken_progress_file_is_said_and_replaced(
    content: bytes, capsys: pytest.CaptureFixture[str], shell: SimpleNamespace, tmp_path: Path
) -> None:
    path = tmp_path / "ex1_distilbert" / progress_file.FILE
    path.write_bytes(content)
    assert check("ex1/profile", add_profile) > 0
    text = capsys.readouterr().out
    assert "your progress is counted anew" in text
    assert json.loads(path.read_text())["checks"]["ex1/profile"]["attempted"] is True
    check("ex1/profile", add_profile)
    assert "counted anew" not in capsys.readouterr().out


def test_progress_outlives_a_kernel_and_is_shown_before_jupyterlab(
    capsys: pytest.CaptureFixture[str],
    shell: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check("ex1/profile", _good("ex1/profile"))
    monkeypatch.setattr(checking, "_entries", {})  # a new kernel
    check("ex1/parse", lambda *_: 1 / 0)
    assert "1 of 8 TODOs done" in capsys.readouterr().out
    progress()
    text = capsys.readouterr().out
    assert "1 of 8 done" in text
    before = overview(tmp_path)
    assert before.splitlines()[3].split()[-1] == "done" and "not passed" in before and "not checked yet" in before
    assert "hidden twin" in before
    (tmp_path / "ex1_distilbert" / progress_file.FILE).write_text("?")
    assert overview(tmp_path).startswith("ex1_distilbert: .progress.json is no progress file of this course")
    assert overview(tmp_path / "nowhere") == ""


def test_a_folder_that_cannot_be_written_costs_no_check(
    capsys: pytest.CaptureFixture[str], shell: SimpleNamespace, tmp_path: Path
) -> None:
    (tmp_path / "ex1_distilbert" / progress_file.FILE).mkdir()
    assert check("ex1/profile", add_profile) > 0
    assert "cannot be" in capsys.readouterr().out


def test_without_a_notebook_nothing_is_written(tmp_path: Path) -> None:
    check("ex1/profile", add_profile)
    assert not list(tmp_path.rglob(progress_file.FILE))


def test_the_html_table_escapes_what_it_shows() -> None:
    rows = progress_file.rows({row.id: row for row in table("ex1").values()}, {}, "<script>")
    assert "<script>" not in progress_file.as_html(rows) and "&lt;script&gt;" in progress_file.as_html(rows)
