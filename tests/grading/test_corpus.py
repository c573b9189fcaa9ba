"""A dozen known answers through the judge, two of them as whole notebooks; the runner's own reading and reckoning."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.grading import corpus, mutants, sandbox
from helpers.grading.check import ASSIGNMENTS, table

ONE_TODO = (
    "right/export_inputs_by_name",
    "right/fp16_own_converter",
    "right/buffers_dict_subclass",
    "right/profile_special_first",
    "wrong/enqueue_no_sync",
    "wrong/build_tf32_on",
    "wrong/benchmark_no_warm_up",
    "cheat/pytorch_answers",
    "cheat/exit_at_once",
    "malformed/enqueue_infinite_dict",
)
WHOLE = ("right/enqueue_streams_and_events", "wrong/profile_last_input_missing")


@pytest.fixture
def sandboxed(system_program: Callable[..., str]) -> None:
    system_program("bwrap", package="bubblewrap")
    try:
        sandbox.check()
    except sandbox.SandboxError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cases() -> dict[str, corpus.Case]:
    return {case.name: case for case in corpus.read_cases("ex1_distilbert")}


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("name", ONE_TODO)
def test_the_verdict_is_the_one_expected(name: str, cases: dict[str, corpus.Case]) -> None:
    outcome = corpus.run_case(cases[name], range(1), whole=False, threads=1)
    assert not outcome.false, (outcome.error, outcome.final, outcome.failing, outcome.happened)
    assert outcome.named is not False, outcome.failing
    assert name.startswith(("wrong", "cheat", "malformed")) or not outcome.unequal


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("name", WHOLE)
def test_in_a_whole_notebook_one_mistake_costs_one_check(name: str, cases: dict[str, corpus.Case]) -> None:
    outcome = corpus.run_case(cases[name], range(1), whole=True, threads=1)
    assert not outcome.false, (outcome.error, outcome.final, outcome.failing, outcome.others_lost)


def test_every_case_names_a_check_and_every_wrong_one_its_line(cases: dict[str, corpus.Case]) -> None:
    assert {case.check for case in cases.values()} == set(table("ex1"))
    kinds = [case.kind for case in cases.values()]
    assert kinds.count("right") >= 18 and kinds.count("wrong") >= 45 and kinds.count("cheat") >= 14
    assert not [case.name for case in cases.values() if case.kind == "wrong" and not case.lines]
    for case in cases.values():
        ast.parse(case.source)


def test_a_header_that_lacks_something_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "right" / "x.py"
    path.parent.mkdir()
    path.write_text("# check: ex1/build\n# expect: full\nx = 1\n")
    with pytest.raises(ValueError, match="one line each of"):
        corpus.read_case(path)
    path.write_text("# check: ex1/build\n# expect: perhaps\n# why: no\nx = 1\n")
    with pytest.raises(ValueError, match="expect is 'perhaps'"):
        corpus.read_case(path)
    path.write_text("# check: ex1/build\n# expect: full\n# line: a: b\n# keys: 3\n# why: yes\n# a comment\nx = 1\n")
    case = corpus.read_case(path)
    assert (case.name, case.lines, case.keys, case.source) == ("right/x", ("a: b",), 3, "# a comment\nx = 1")
    assert case.points is None


def _outcome(
    case: str,
    expected: str,
    visible: list[float],
    final: list[float],
    named: bool | None = None,
    points: float | None = None,
) -> corpus.Outcome:
    return corpus.Outcome(case, "ex1/build", expected, points, 4.0, visible, final, named=named)


def test_the_summary_counts_what_is_wanted() -> None:
    good = [
        _outcome("right/a", "full", [4.0], [4.0]),
        _outcome("wrong/a", "partly", [3.0, 3.0], [3.0, 2.0], named=True),
        _outcome("cheat/a", "zero", [0.0], [0.0]),
        _outcome("blind/a", "wrong", [0.0], [0.0]),
    ]
    figures = corpus.summary(good)
    assert corpus.as_wanted(figures) and figures["verdicts"] == 5
    for bad in (
        _outcome("right/b", "full", [4.0], [3.0]),
        _outcome("right/b", "full", [3.0], [4.0]),
        _outcome("wrong/b", "partly", [4.0, 3.0], [4.0, 3.0], named=True),
        _outcome("wrong/b", "partly", [0.0], [0.0], named=True),
        _outcome("wrong/b", "partly", [4.0], [3.0], named=True),
        _outcome("wrong/b", "partly", [3.0], [3.0], named=False),
        _outcome("wrong/b", "partly", [3.0], [3.0]),
        _outcome("wrong/b", "partly", [3.0], [3.0], named=True, points=2.5),
        _outcome("cheat/b", "zero", [0.0], [0.5]),
        _outcome("blind/b", "wrong", [4.0], [4.0]),
        _outcome("blind/b", "right", [], []),
    ):
        assert not corpus.as_wanted(corpus.summary([*good, bad])), bad
    assert not corpus.as_wanted(figures | {"mutants": {"alive": ["one"]}})
    assert "FALSE" in corpus.table([_outcome("cheat/b", "zero", [0.0], [0.5])])


def test_mutants_follow_the_rules() -> None:
    source = "def f(a, b):\n    '''Words.'''\n    x = g(a, b, True)\n    if not x < 2 or b:\n        return x\n    return a\n"
    names = [mutant.name for mutant in mutants.mutants("ex1/x", source)]
    assert len(names) == len(set(names))
    for part in (
        "without `x = g(a, b, True)`",
        "without `return x`",
        "`g(a, b, True)` becomes `g(b, a, True)`",
        "`g(a, b, True)` becomes `g(a, True, b)`",
        "True becomes False",
        "2 becomes 3",
        "2 becomes 1",
        "`x < 2` becomes `x >= 2`",
        "`not x < 2` loses its not",
        "`not x < 2 or b` becomes `not x < 2 and b`",
    ):
        assert any(name.startswith(part) for name in names), (part, names)
    assert not any("Words" in name for name in names)
    for mutant in mutants.mutants("ex1/x", source):
        assert ast.unparse(ast.parse(mutant.source)) != ast.unparse(ast.parse(source))


@pytest.mark.parametrize("assignment", ASSIGNMENTS.values())
def test_what_is_listed_as_equivalent_is_made_and_has_a_reason(assignment: str) -> None:
    listed = mutants.equivalent(assignment)
    folder = corpus.SUBMISSIONS / assignment
    others = listed.pop("cases", {})
    assert all((folder / f"{name}.py").is_file() and len(why) > 20 for name, why in others.items())
    made = {(mutant.check, mutant.name) for mutant in mutants.all_mutants(assignment)}
    assert all((check, name) in made and len(why) > 20 for check, of in listed.items() for name, why in of.items())


def test_the_corpus_runs_for_one_assignment_or_for_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good = _outcome("right/a", "full", [4.0], [4.0])
    seen: list[str] = []

    def run_cases(cases: list[corpus.Case], workers: int, keys: int) -> list[corpus.Outcome]:
        seen.extend({case.assignment for case in cases})
        return [good]

    monkeypatch.setattr(corpus, "run_cases", run_cases)
    arguments = ["--only", "right/*", "--no-mutants", "--json", str(tmp_path / "corpus.json")]
    assert corpus.main(arguments) == 0 and seen == list(ASSIGNMENTS.values())
    assert corpus.main([*arguments, "--assignment", "ex2_distilgpt2"]) == 0 and seen[2:] == ["ex2_distilgpt2"]
    assert {path.name for path in tmp_path.iterdir()} == {"corpus_ex1.json", "corpus_ex2.json", "corpus.json"}
    assert "--assignment ex2_distilgpt2" in (tmp_path / "corpus.json").read_text(encoding="utf-8")
    assert capsys.readouterr().out.count("=== ex2_distilgpt2") == 2
