"""The repository as a stranger finds it: files that must agree with each other, commands that must exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import helpers
from helpers.__main__ import main

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {name: [Requirement(text) for text in texts] for name, texts in PROJECT["optional-dependencies"].items()}
BASE = [Requirement(text) for text in PROJECT["dependencies"]]
CONSTRAINTS = {
    canonicalize_name(requirement.name): requirement
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
    for requirement in [Requirement(line)]
}
COMMANDS = ("setup", "doctor", "walkthrough", "lab", "test", "lint", "bench", "overhead", "conformance", "sanitize", "fuzz", "extract-plan", "grade", "troubleshoot", "clean")
GRADE = ("release", "class", "notebook", "explain", "feedback", "export", "demo", "corpus", "time")
# target -> command of `python -m helpers`
GRADING = {
    "release": "grade release",
    "autograde": "grade class",
    "feedback": "grade feedback",
    "export": "grade export",
    "demo-class": "grade demo",
    "corpus": "grade corpus",
}
TARGETS = ("setup", "lab", "walkthrough", "test", "lint", "bench", "doctor", "fuzz", *GRADING, "clean")


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name]


# --- packages ---


def test_the_base_has_neither_onnx_runtime_nor_tensorrt() -> None:
    names = {requirement.name for requirement in BASE}
    assert not {name for name in names if name.startswith(("onnxruntime", "tensorrt", "pycuda", "cuda"))}
    assert set(EXTRAS) == {"cpu", "rtx", "gpu", "grade", "dev"}
    assert {r.name for r in EXTRAS["cpu"]} == {"onnxruntime"} and "onnxruntime" not in {r.name for r in EXTRAS["gpu"]}


def test_rtx_is_asked_for_where_it_has_a_wheel() -> None:
    def wanted(**machine: str) -> bool:
        return any(r.marker is None or r.marker.evaluate(machine) for r in EXTRAS["rtx"])

    assert wanted(sys_platform="linux", platform_machine="x86_64")
    assert wanted(sys_platform="linux", platform_machine="aarch64")
    assert wanted(sys_platform="win32", platform_machine="AMD64")
    assert not wanted(sys_platform="darwin", platform_machine="arm64")
    assert not wanted(sys_platform="win32", platform_machine="ARM64")


@pytest.mark.parametrize("requirement", BASE + [r for extra in EXTRAS.values() for r in extra], ids=lambda r: r.name)
def test_every_pin_lies_in_its_range(requirement: Requirement) -> None:
    pin = CONSTRAINTS[canonicalize_name(requirement.name)]
    (exact,) = pin.specifier
    assert exact.operator == "==" and "+" not in exact.version  # a local version would tie it to one index
    assert requirement.specifier.contains(exact.version)


def test_every_pin_is_of_something_that_is_asked_for() -> None:
    asked = {canonicalize_name(r.name) for r in BASE + [r for extra in EXTRAS.values() for r in extra]}
    assert set(CONSTRAINTS) == asked


def test_the_python_range_is_the_same_everywhere() -> None:
    spans = SpecifierSet(PROJECT["requires-python"])
    supported = [(3, minor) for minor in range(8, 20) if spans.contains(f"3.{minor}")]
    assert supported[0] == helpers.OLDEST_PYTHON and supported[-1] == helpers.NEWEST_PYTHON
    assert sys.version_info[:2] in supported


def test_environment_yml_agrees_with_pyproject() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with transformers")
    found = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = {r.name: r.specifier for r in map(Requirement, found["dependencies"])}
    (torch,) = (r for r in BASE if r.name == "torch")
    assert conda["python"] == SpecifierSet(PROJECT["requires-python"])
    assert conda["pytorch"] == torch.specifier
    assert found["name"] == PROJECT["name"]


# --- commands ---


def makefile() -> dict[str, tuple[list[str], list[str]]]:
    """Target -> (prerequisites, recipe lines)."""
    rules: dict[str, tuple[list[str], list[str]]] = {}
    target = ""
    for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines():
        if line.startswith("\t"):
            rules[target][1].append(line.strip())
        elif found := re.match(r"([a-z-]+):(?!=)([^#]*)", line):
            target = found.group(1)
            rules[target] = (found.group(2).split(), [])
    return rules


def test_make_has_the_targets_and_each_is_one_plain_command() -> None:
    rules = makefile()
    assert tuple(rules) == TARGETS
    for target, (needs, recipe) in rules.items():
        assert len(recipe) == 1, target
        assert re.match(rf"@(python|\$\(PYTHON\)) -m helpers {GRADING.get(target, target)}\b", recipe[0]), recipe
        if target not in ("setup", "clean"):
            assert needs == ["setup"]  # each works alone in a fresh clone


def test_make_takes_the_environments_python_first() -> None:
    done = subprocess.run(
        ["make", "-s", "-f", "-", "show"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
        input="include Makefile\nshow:\n\t@echo $$PATH\n",
        capture_output=True,
        text=True,
    )
    assert done.stdout.split(":")[0] == str(ROOT / ".venv" / "bin")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert re.search(rf"^ +{command}\b", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("command", GRADE)
def test_each_command_of_the_group_is_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["grade", "--help"])
    assert ended.value.code == 0
    assert re.search(rf"^ +{command}\b", capsys.readouterr().out, re.MULTILINE)


def test_make_hands_each_grading_command_its_own_arguments() -> None:
    done = subprocess.run(
        ["make", "-n", "autograde", "feedback", "export", "ASSIGNMENT=ex1", "WORKERS=2", "SUBMITTED=a b.zip", "ARGS=--json"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
        capture_output=True,
        text=True,
    )
    lines = [" ".join(line.split()) for line in done.stdout.splitlines() if " grade " in line]
    assert lines == [
        'python -m helpers grade class ex1 --submitted "a b.zip" --workers 2 --json',
        "python -m helpers grade feedback ex1",
        'python -m helpers grade export ex1 --format "" --file "" --column ""',
    ]


def test_bad_usage_of_grading_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["release", "--nonsense"], "unknown arguments for release: --nonsense"),
        (["export", "ex1", "--format", "moodle"], "invalid choice: 'moodle'"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["grade", *arguments])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err
    for command in ("corpus", "time"):
        with pytest.raises(SystemExit) as ended:
            main(["grade", command, "--help"])
        assert ended.value.code == 0 and "--" in capsys.readouterr().out


def test_bad_usage_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["nonsense"], ["doctor", "--nonsense"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    assert "unknown arguments for doctor: --nonsense" in capsys.readouterr().err


def test_a_missing_package_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    # A Python without site-packages has none of the course's packages.
    for arguments, package in ((["walkthrough"], "jupytext"), (["test"], "pytest")):
        source = tmp_path / "solutions" / "a" / "a.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("# %%\n1\n")
        code = (
            "import sys, pathlib; from helpers import __main__, walkthrough\n"
            f"walkthrough.main.__defaults__ = ((), pathlib.Path({str(tmp_path)!r}))\n"
            f"sys.exit(__main__.main({arguments!r}))"
        )
        done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 1
        assert f"the package '{package}' is not installed" in done.stderr
        assert "make setup" in done.stderr and "Traceback" not in done.stderr


def test_lint_is_content() -> None:
    done = subprocess.run([sys.executable, "-m", "helpers", "lint"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_commands_hand_their_work_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    assert '"backend"' in capsys.readouterr().out
    assert main(["setup", "--extras", "everything"]) == 1
    assert "EXTRAS is 'everything'" in capsys.readouterr().err
    assert main(["walkthrough", "ex99"]) == 1
    assert "there is no notebook for ex99" in capsys.readouterr().err
    assert main(["test", "--version"]) == 0
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    assert "python -m helpers bench" in capsys.readouterr().out


def test_lab_opens_the_notebooks_and_before_they_exist_the_solutions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import helpers.__main__ as commands

    monkeypatch.setattr(commands, "ROOT", tmp_path)
    source = tmp_path / "solutions" / "a" / "a.py"
    source.parent.mkdir(parents=True)
    source.write_text("# %%\n1\n")
    assert main(["lab", "--version"]) == 0
    assert source.with_suffix(".ipynb").exists() and "wrote solutions" in capfd.readouterr().out
    source.with_suffix(".ipynb").unlink()
    (tmp_path / "notebooks").mkdir()
    assert main(["lab", "--version"]) == 0
    assert not source.with_suffix(".ipynb").exists()


def test_clean_deletes_what_the_commands_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import helpers.__main__ as commands

    monkeypatch.setattr(commands, "ROOT", tmp_path)
    kept = [
        "solutions/a/a.py",
        "solutions/a/a.ipynb",
        "solutions/a/a.old.ipynb",
        "helpers/b.py",
        ".venv/bin/python",
        "assets/model.onnx",
        "notebooks/a/a.ipynb",
        "notebooks/a/.progress.json",
    ]
    made = ["build/walkthrough/a.html", "solutions/a/build/m.onnx", "solutions/a/x.plan", "helpers/__pycache__/b.pyc"]
    made += ["notebooks/a/build/m.onnx", "notebooks/a/x.plan", "notebooks/a/.ipynb_checkpoints/a.ipynb"]
    made += [".coverage.host.1", ".pytest_cache/x", ".hypothesis/x"]
    for name in kept + made:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert main(["clean"]) == 0
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    assert [name for name in made if (tmp_path / name).exists()] == []
    assert main(["clean", "--all"]) == 0
    assert not (tmp_path / ".venv").exists() and (tmp_path / "solutions/a/a.py").exists()


def test_extract_plan_says_what_is_wrong_with_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.plan").write_text("this is no plan")
    for name in ("text.plan", "missing.plan"):
        assert main(["extract-plan", str(tmp_path / name), str(tmp_path / "out")]) == 1
        said = capsys.readouterr().err
        assert said.startswith("error: ") and "Traceback" not in said
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("processes", [[], ["-n", "2"]], ids=["one process", "two processes"])
def test_the_marked_tests_are_deselected_and_counted(processes: list[str], tmp_path: Path) -> None:
    marked = "@pytest.mark.gpu\ndef test_b(): assert 0\n@pytest.mark.hub\ndef test_c(): assert 0\n"
    (tmp_path / "test_it.py").write_text(f"import pytest\ndef test_a(): pass\n{marked}")
    (tmp_path / "conftest.py").write_bytes((ROOT / "tests" / "conftest.py").read_bytes())
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", *processes]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    assert re.search(r"1 passed, 2 deselected", done.stdout.strip().splitlines()[-1]), done.stdout


# --- what must not be in any file ---


def test_no_machine_paths_and_no_mirrors() -> None:
    # Written so that this file does not contain them itself.
    private = re.compile(
        rb"/(?:work|tmp|opt|root)" + rb"/[a-z]|file:" + rb"///|[\w.-]*(?:artifactory|nexus|proxy)\.[a-z]+/"
    )
    found = []
    for path in tracked_files():
        if path.suffix in (".png", ".onnx", ".safetensors", ".npz", ".gz") or not path.is_file():
            continue
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if private.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line[:80]!r}")
    assert not found, "\n".join(found)


def test_what_notebooks_write_beside_themselves_is_ignored() -> None:
    tracked_files()
    names = [f"{folder}/a/{name}" for folder in ("notebooks", "solutions") for name in ("build/m.onnx", "x.plan")]
    names += ["notebooks/a/m.onnx", "notebooks/a/.progress.json"]
    done = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == names


def test_generated_notebooks_and_plans_are_not_committed() -> None:
    names = [path.relative_to(ROOT).as_posix() for path in tracked_files()]
    assert not [name for name in names if name.endswith((".plan", ".engine"))]
    assert not [name for name in names if name.startswith("solutions/") and name.endswith(".ipynb")]
    assert not [name for name in names if name.startswith(("build/", ".venv/"))]


# --- what the documents promise ---


def documents() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".md" and path.is_file()]


def test_commands_in_the_documents_exist() -> None:
    for path in documents():
        text = path.read_text(encoding="utf-8")
        code = "\n".join(re.findall(r"```.*?```", text, re.DOTALL) + re.findall(r"`[^`\n]+`", text))
        for target in re.findall(r"\bmake ([a-z][a-z-]*)", code):
            assert target in TARGETS, f"{path.name}: make {target}"
        for command in re.findall(r"-m helpers ([a-z][a-z-]*)", code):
            assert command in COMMANDS, f"{path.name}: python -m helpers {command}"
        for command in re.findall(r"-m helpers grade ([a-z]+)", code):
            assert command in GRADE, f"{path.name}: python -m helpers grade {command}"


def test_no_document_has_a_place_that_is_still_to_be_filled() -> None:
    for path in documents():
        assert not re.findall(r"@[A-Z0-9]+@", path.read_text(encoding="utf-8")), path.name


def test_links_between_documents_lead_somewhere() -> None:
    for path in documents():
        for link in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
            if "://" not in link and not link.startswith("mailto:"):
                assert (path.parent / link).exists(), f"{path.relative_to(ROOT)}: {link}"


def test_the_licence_is_the_one_that_pyproject_names() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
