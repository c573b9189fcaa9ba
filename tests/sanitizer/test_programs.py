"""Programs with a planted fault, and right ones: what the sanitizer says of each, against the marks in their text.

`# expect: kind|kind, kind` in the first line: one of the kinds must be found (`,`: each of these); no kind: no error.
`# <- kind` marks lines that may be a finding's place, `# <- other` those that may be its other place.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helpers.sanitizer.findings import ERROR, KINDS, Finding
from helpers.sanitizer.session import run_script

PROGRAMS = Path(__file__).parent / "programs"
FAULTS = sorted((PROGRAMS / "faults").glob("*.py"))
RIGHT = sorted((PROGRAMS / "right").glob("*.py"))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    patch = pytest.MonkeyPatch()
    patch.setenv("SANITIZER_PROGRAMS_CACHE", str(tmp_path_factory.getbasetemp().parent / "sanitizer-plans"))


def planted(program: Path) -> list[set[str]]:
    """For each planted fault, the names that are fair for it."""
    first = program.read_text(encoding="utf-8").splitlines()[0]
    found = re.fullmatch(r"# expect:(.*)", first)
    assert found, f"{program.name} does not begin with `# expect:`"
    faults = [{kind.strip() for kind in names.split("|")} for names in found[1].split(",") if names.strip()]
    assert set().union(*faults) <= set(KINDS)
    return faults


def marked(program: Path) -> dict[str, set[int]]:
    """What stands behind `# <-` -> the lines where it does."""
    lines: dict[str, set[int]] = {}
    for number, line in enumerate(program.read_text(encoding="utf-8").splitlines(), 1):
        if "# <- " in line:
            for kind in line.split("# <- ")[1].split(","):
                lines.setdefault(kind.strip(), set()).add(number)
    return lines


def hits(finding: Finding, program: Path, marks: dict[str, set[int]]) -> bool:
    """Whether one of the finding's places is a line that is marked with its kind, and the other one, too, a mark."""
    places = [p for p in (finding.place, finding.other) if p is not None and Path(p.file).samefile(program)]
    here = marks[finding.kind]
    return any(p.line in here for p in places)


def test_there_are_enough_of_them() -> None:
    assert len(FAULTS) >= 30 and len(RIGHT) >= 15
    assert set().union(*(kinds for program in FAULTS for kinds in planted(program))) == set(KINDS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("program", FAULTS, ids=lambda path: path.stem)
def test_a_planted_fault_is_found_and_named(program: Path) -> None:
    marks = marked(program)
    found = run_script(program).findings
    for kinds in planted(program):
        said = [(f.kind, f.place and f.place.line, f.other and f.other.line) for f in found]
        assert any(f.kind in kinds and hits(f, program, marks) for f in found), (kinds, marks, said)
    others = {f.kind for f in found if f.level == ERROR} - set().union(*planted(program))
    assert not others, [f.description() for f in found if f.kind in others]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("program", RIGHT, ids=lambda path: path.stem)
def test_a_right_program_has_no_finding(program: Path) -> None:
    result = run_script(program)
    assert not result.failure, result.details
    assert [f.description() for f in result.findings if f.level == ERROR] == []
