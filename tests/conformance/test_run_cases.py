"""The run cases over both transports: each agrees as committed, or is listed with its reason, and no more than that."""

from __future__ import annotations

import pytest

from helpers.conformance.case import Result
from helpers.conformance.run_cases import DIFFERS, RUN_CASES
from helpers.conformance.runner import Simulator


def wrong(result: Result, places: tuple[str, ...]) -> str:
    """Why a result is not as committed; "" where it is."""
    case = result.case
    known = [case.differs[place] for place in places if place in case.differs]
    if result.missing:
        return f"{case.name} was not run: it needs {result.missing}"
    if known and result.agrees:
        return f"{case.name} agrees, but is listed as different: {known[0]}"
    if known or result.agrees:
        return ""
    log = "\n  ".join(result.log)
    return (
        f"{case.name}: {case.what}\n expected {case.returns}\n got      {result.returned}\n"
        f" log with {case.says!r}\n  {log}\n source   {case.source}"
    )


@pytest.fixture(scope="module")
def here() -> Simulator:
    runner = Simulator("process")
    yield runner
    from helpers.simulator import host

    host.use("process")


@pytest.mark.parametrize("case", RUN_CASES, ids=lambda case: case.name)
def test_in_this_process(here, case):
    (result,) = here.run([case])
    problem = wrong(result, (here.name, here.builder))
    assert not problem, problem


def test_in_a_child_process():
    runner = Simulator("child")
    problems = [wrong(result, (runner.name, runner.builder, "child")) for result in runner.run(RUN_CASES)]
    from helpers.simulator import host

    host.use("process")
    assert not any(problems), "\n".join(filter(None, problems))


def test_the_table():
    """Enough cases, each with a name of its own, a sentence and a source; what differs is a case."""
    names = [case.name for case in RUN_CASES]
    assert len(names) >= 60 and len(set(names)) == len(names)
    assert set(DIFFERS) <= set(names)
    for case in RUN_CASES:
        assert case.what and not case.what.endswith(".") and len(case.source) > 10, case.name
        assert case.needs <= {"simulator", "cuda.bindings"}, case.name
    anywhere = [case for case in RUN_CASES if "simulator" not in case.needs]
    assert len(anywhere) >= 200, "most cases can be run on a GPU"
