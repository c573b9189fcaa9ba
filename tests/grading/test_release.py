"""Releases: what a tag makes of a cell, what is refused, that the same source gives the same bytes, and the bundle."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from helpers.grading import merge, release, sandbox
from helpers.grading import released as pristine

ROOT = release.ROOT
CHECKS = {"ex1/twice": SimpleNamespace(points=4)}
SOURCE = '''# %% [markdown] tags=["title"]
# # A course

# %% tags=["imports"]
from helpers.grading import check

# %% [markdown] tags=["todo-twice-text"]
# ### TODO 1: twice

# %% tags=["todo-twice"]
def twice(x):
    """Two times x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

# %% tags=["check-twice"]
check("ex1/twice", twice)

# %% [markdown] tags=["question-1"]
# **1. Why?**

# %% [markdown] tags=["answer-1"]
# Because.

# %% [markdown] tags=["guide-1"]
# *Marking guide, 3 points.* 1: a reason.

# %% tags=["free-last"]
def free():
    ### BEGIN SOLUTION
    print("secret")
    ### END SOLUTION
'''


def write(folder: Path, text: str = SOURCE) -> Path:
    path = folder / "solutions" / "ex0" / "ex0.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> str:
    return release.generate(write(tmp_path_factory.mktemp("course")), CHECKS)


def test_tags_become_ids_and_nbgraders_metadata(released: str) -> None:
    notebook = nbformat.reads(released, as_version=4)
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells] == [
        *("title", "imports", "todo-twice-text", "todo-twice", "check-twice", "question-1", "answer-1", "free-last")
    ]
    facts = {cell.id: cell.metadata.get("nbgrader", {}) for cell in notebook.cells}
    kinds = {name: (f.get("grade"), f.get("solution"), f.get("locked"), f.get("points")) for name, f in facts.items()}
    assert kinds["todo-twice"] == (False, True, False, None)
    assert kinds["check-twice"] == (True, False, True, 4.0)
    assert kinds["question-1"] == (False, False, True, None)
    assert kinds["answer-1"] == (True, True, False, 3.0)
    assert kinds["free-last"] == (False, True, False, None)
    assert kinds["title"] == (None, None, None, None)
    assert all(cell.metadata.tags == [cell.id] for cell in notebook.cells)
    check = next(cell for cell in notebook.cells if cell.id == "check-twice")
    assert check.metadata.editable is False and check.metadata.deletable is False


def test_solutions_guides_and_outputs_are_gone(released: str) -> None:
    for word in ("return 2 * x", "secret", "Because", "Marking guide", "SOLUTION"):
        assert word not in released
    notebook = nbformat.reads(released, as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    assert cells["todo-twice"].source.endswith("    # YOUR CODE HERE\n    raise NotImplementedError()")
    assert cells["answer-1"].source == "YOUR ANSWER HERE"
    assert all(not cell.outputs and cell.execution_count is None for cell in cells.values() if "outputs" in cell)


def test_the_same_source_gives_the_same_bytes(released: str, tmp_path: Path) -> None:
    assert release.generate(write(tmp_path), CHECKS) == released


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('check("ex1/twice", twice)', 'check("ex1/twice", twice); print(1)', "cell check-twice: .* no grade cell"),
        ('check("ex1/twice", twice)', 'x = check("ex1/twice", twice)', "cell check-twice: .* no grade cell"),
        ('check("ex1/twice", twice)', 'check("ex1/twice", lambda x: 2)', "cell check-twice: .* no grade cell"),
        ('check("ex1/twice", twice)', 'check("ex1/twice", subject=twice)', "cell check-twice: .* no grade cell"),
        ('check("ex1/twice", twice)', 'check("ex1/twice", twice)  # 1', "cell check-twice: .* no grade cell"),
        (
            'check("ex1/twice", twice)',
            'check("ex1/thrice", twice)',
            "check-twice: .* no 'ex1/thrice'; it has ex1/twice",
        ),
        ('check("ex1/twice", twice)', 'check("ex1/twice", thrice)', "check-twice: no TODO cell above defines 'thrice'"),
        ('tags=["todo-twice"]', "", "cell 4 .* expected exactly one"),
        ('tags=["todo-twice"]', 'tags=["todo-twice", "more"]', "cell 4 .* expected exactly one"),
        ('tags=["imports"]', 'tags=["Imports!"]', "cell 2: the tag 'Imports!' cannot be an id"),
        ('tags=["imports"]', 'tags=["title"]', "cell title: 2 cells have this tag"),
        ('    ### END SOLUTION\n\n# %% tags=["check', '\n# %% tags=["check', "cell todo-twice: .* not closed"),
        ("    ### BEGIN SOLUTION\n    return", "    # BEGIN SOLUTION\n    return", "cell todo-twice: .* not closed"),
        ("*Marking guide, 3 points.* 1: a", "*Marking guide.* A", "cell guide-1: points missing"),
        ('tags=["guide-1"]', 'tags=["guide-2"]', "cell answer-1: no points, because there is no cell guide-1"),
        ('# %% tags=["todo-twice"]', '# %% tags=["other"]', "cell other: a solution's region outside a todo"),
        ("# Because.", "# ### BEGIN SOLUTION\n# x\n# ### END SOLUTION", "cell answer-1: a solution's region outside"),
        ('# %% [markdown] tags=["question-1"]', '# %% tags=["question-1"]', "cell question-1 is code, expected text"),
        ("def twice(x):", "def twice(x:", "cell todo-twice: line 1 is no Python"),
        ('check("ex1/twice", twice)\n', "", "cell check-twice: '' is no grade cell"),
        ('# %% tags=["check-twice"]\ncheck("ex1/twice", twice)\n', "", "no cell checks ex1/twice"),
    ],
)
def test_what_is_refused_is_named(before: str, after: str, said: str, tmp_path: Path) -> None:
    assert before in SOURCE
    with pytest.raises(release.ReleaseError, match=said):
        release.generate(write(tmp_path, SOURCE.replace(before, after)), CHECKS)


def test_an_id_is_checked_once(tmp_path: Path) -> None:
    again = SOURCE + '\n# %% tags=["check-again"]\ncheck("ex1/twice", twice)\n'
    with pytest.raises(release.ReleaseError, match="cell check-again: 'ex1/twice' is checked twice"):
        release.generate(write(tmp_path, again), CHECKS)


def test_an_assignment_without_checks_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert release.main(root=tmp_path) == 1
    assert "there are no checks for ex0, expected helpers/grading/checks/ex0.py" in capsys.readouterr().err


# --- the course's own release ---


def assignments() -> list[str]:
    return sorted(path.stem for path in (ROOT / "solutions").glob("ex*/ex*.py") if path.stem == path.parent.name)


def test_a_second_notebook_is_released_as_it_is(tmp_path: Path) -> None:
    source = ROOT / "solutions" / "ex2_distilgpt2" / "ex2_evidence.py"
    text = release.companion(source)
    assert (ROOT / "notebooks" / "ex2_distilgpt2" / "ex2_evidence.ipynb").read_text(encoding="utf-8") == text
    notebook = nbformat.reads(text, as_version=4)
    assert not [cell for cell in notebook.cells if "nbgrader" in cell.metadata or cell.get("outputs")]
    for tag, said in (("todo-x", "is not the graded notebook"), ("guide-1", "is not the graded notebook")):
        path = tmp_path / "ex9" / "beside.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'# %% tags=["{tag}"]\nx = 1\n')
        with pytest.raises(release.ReleaseError, match=said):
            release.companion(path)


@pytest.mark.parametrize("assignment", assignments())
def test_both_copies_of_a_release_are_what_solutions_generates(assignment: str) -> None:
    text = release.generate(ROOT / "solutions" / assignment / f"{assignment}.py")
    for name in (f"notebooks/{assignment}/{assignment}.ipynb", f"helpers/releases/{assignment}.ipynb"):
        same = (ROOT / name).is_file() and (ROOT / name).read_text(encoding="utf-8") == text
        assert same, f"{name} is not what solutions/ generates: make release, and commit it"


def test_the_release_that_grading_reads_is_refused_when_a_check_was_changed(tmp_path: Path) -> None:
    assert pristine.assignments() == assignments()
    notebook = pristine.read("ex1_distilbert")
    cell = next(cell for cell in notebook.cells if cell.id == "check-build")
    cell.source += "  # done!"
    nbformat.write(notebook, tmp_path / "ex1_distilbert.ipynb")
    with pytest.raises(pristine.CourseError, match=r"its cell check-build is .*# done!.*expected one statement check"):
        pristine.read("ex1_distilbert", tmp_path)
    (tmp_path / "ex1_distilbert.ipynb").write_text("no notebook")
    with pytest.raises(pristine.CourseError, match="is no notebook"):
        pristine.read("ex1_distilbert", tmp_path)
    with pytest.raises(pristine.CourseError, match=r"there is no release .*; there: ex1_distilbert\. Make it"):
        pristine.read("ex2_lora", tmp_path)


def edited() -> nbformat.NotebookNode:
    """What a student handed in: a check with a comment, a check less, one twice, and no answers to hide."""
    notebook = pristine.read("ex1_distilbert")
    cells = {cell.id: cell for cell in notebook.cells}
    cells["check-export"].source += "  # done!"
    notebook.cells.remove(cells["check-build"])
    notebook.cells.append(nbformat.from_dict({**cells["check-parse"], "id": "copy"}))
    notebook.metadata.course.answers = {}
    return notebook


MENDED = ("[check-export] was changed", "[check-build] was missing", "[check-parse] is there twice")


def test_what_was_edited_is_mended_by_the_pristine_release() -> None:
    merged, mended = merge.merge(pristine.read("ex1_distilbert"), edited())
    for words in MENDED:
        assert [line for line in mended if line.startswith(words)], words
    assert merged["metadata"]["course"]["answers"]


def test_the_release_names_the_modules_that_are_its_answers() -> None:
    for assignment in assignments():
        path = ROOT / "notebooks" / assignment / f"{assignment}.ipynb"
        answers = nbformat.read(path, as_version=4).metadata.course.answers
        assert answers and set(answers.values()) <= set(release.table(assignment))
        for module in answers:
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of what is committed, unpacked."""
    if subprocess.run(["git", "rev-parse"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("not a git checkout")
    folder = tmp_path_factory.mktemp("bundle")
    clone = folder / "clone"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    first = release.write_bundle(clone).read_bytes()
    path = release.write_bundle(clone)
    assert path.read_bytes() == first
    with zipfile.ZipFile(path) as zipped:
        zipped.extractall(folder)
    return folder / release.BUNDLE


def test_the_bundle_has_what_students_need_and_no_solutions(bundle: Path) -> None:
    names = [path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()]
    assert not [name for name in names if name.startswith(("solutions/", "tests/", "docs/", ".ci/", ".git/"))]
    authors = ("demo", "corpus", "mutants", "timing", "course", "collect", "export", "feedback", "similarity")
    assert not [name for name in authors if f"helpers/grading/{name}.py" in names]
    readme = (bundle / "README.md").read_text(encoding="utf-8")
    assert readme == (bundle.parent / "clone" / "docs" / "student.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#\s]+)", readme):
        assert "://" in link or (bundle / link).exists(), link
    for needed in ("Makefile", "helpers/grading/check.py", "notebooks/ex1_distilbert/ex1_distilbert.ipynb", "LICENSE"):
        assert needed in names
    assert any(name.startswith("helpers/grading/stand_ins/") for name in names)


def in_bundle(bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder = bundle / "notebooks" / "ex1_distilbert"
    env = {**os.environ, "PYTHONPATH": str(bundle), "TRT_BACKEND": "simulator"}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True)


def test_check_hint_and_progress_work_in_the_bundle(bundle: Path) -> None:
    code = """
from pathlib import Path
import helpers
from helpers import backend
from helpers.grading import check, hint, progress

backend.activate()
def parse_network(*arguments):
    return 1

assert check("ex1/parse", parse_network) == 0
hint("ex1/parse")
progress()
print(Path(helpers.__file__).parent.parent)
"""
    done = in_bundle(bundle, "-c", code)
    assert done.returncode == 0, done.stderr
    for words in ("a good file gives its network", "ex1/parse, hint 1 of", "0 of 64", str(bundle)):
        assert words in done.stdout, words


def test_a_dry_run_in_the_bundle_grades_against_the_pristine_release(bundle: Path) -> None:
    try:
        sandbox.check()
    except sandbox.SandboxError as error:
        pytest.skip(str(error))
    mine = bundle / "notebooks" / "ex1_distilbert" / "ex1_distilbert.ipynb"
    nbformat.write(edited(), mine)
    done = in_bundle(bundle, "-m", "helpers", "grade", "notebook", str(mine))
    assert done.returncode == 0, done.stderr
    for words in MENDED:
        assert f"mended: {words}" in done.stdout
    assert done.stdout.count("not attempted") == 8 and "0 of 32 points" in done.stdout
    done = in_bundle(bundle, "-m", "helpers", "grade", "notebook", "nothing.ipynb")
    assert done.returncode == 1 and "there is no file nothing.ipynb" in done.stderr
    done = in_bundle(bundle, "-m", "helpers", "grade", "class", "ex1_distilbert")
    assert done.returncode == 2 and "choose from 'notebook'" in done.stderr


def test_a_release_keeps_what_somebody_wrote_in_the_old_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "solutions", tmp_path / "solutions", ignore=shutil.ignore_patterns("build", "*.ipynb"))
    assert release.main([], tmp_path, bundle=False) == 0
    notebook = tmp_path / "notebooks" / "ex1_distilbert" / "ex1_distilbert.ipynb"
    fresh = notebook.read_text("utf-8")
    notebook.write_text(fresh.replace("raise NotImplementedError()", "return 1"), "utf-8")
    capsys.readouterr()
    assert release.main([], tmp_path, bundle=False) == 0
    assert notebook.read_text("utf-8") == fresh
    assert "return 1" in notebook.with_suffix(".old.ipynb").read_text("utf-8")
    assert "ex1_distilbert.old.ipynb now" in capsys.readouterr().out
