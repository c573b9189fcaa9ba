"""The runner and the command: fresh devices, processes of their own, what is not run, the table, the JSON file."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from helpers.conformance import report
from helpers.conformance import runner as conformance_runner
from helpers.conformance.case import Case, Result
from helpers.conformance.run_cases import RUN_CASES
from helpers.conformance.runner import Apart, Simulator, select
from helpers.environment import inspect

BY_NAME = {case.name: case for case in RUN_CASES}


def made(run, returns="None", says="", needs=frozenset(), name="made"):
    return Case(name, "run", "A case of this test", returns, says, "this test", needs, run)


@pytest.fixture(params=["process", "child"])
def runner(request):
    yield Simulator(request.param)
    from helpers.simulator import host

    host.use("process")


def test_each_case_has_a_device_of_its_own(runner):
    """Memory, an error that stays and a small device do not reach the next case."""

    def small(g):
        g.device(memory=1 << 20)
        return g.cuda.mem_get_info()[1]

    def lost(g):
        g.cuda.mem_alloc(1 << 20)
        return BY_NAME["lost-stays"].run(g)

    def clean(g):
        free, total = g.cuda.mem_get_info()
        return free == total == 15 << 30

    results = list(runner.run([made(run) for run in (clean, lost, clean, small, clean)]))
    assert [result.returned for result in results] == [
        "True",
        BY_NAME["lost-stays"].returns,
        "True",
        str(1 << 20),
        "True",
    ]


def test_agreement_needs_the_result_and_the_phrase(runner):
    def speak(g):
        g.logger.log(g.trt.ILogger.ERROR, "Error Code 3: something")
        return (1, 2)

    cases = [made(speak, "(1, 2)", "Code 3"), made(speak, "(1, 2)", "Code 4"), made(speak, "(1, 3)", "Code 3")]
    results = list(runner.run(cases))
    assert [result.agrees for result in results] == [True, False, False]
    assert results[0].log == ("ERROR: Error Code 3: something",)
    assert report.closing(results) == "1 agree, 2 differ"


def test_what_a_case_raises_is_its_result():
    def fail(g):
        raise ValueError("so")

    (result,) = Simulator().run([made(fail, "ValueError: so")])
    assert result.agrees


def test_what_is_missing_is_not_run():
    def never(g):
        raise AssertionError("must not run")

    results = list(Simulator().run([made(never, needs=frozenset({"a plotter"})), made(lambda g: None)]))
    assert results[0].missing == "a plotter" and not results[0].agrees and results[1].agrees
    assert report.closing(results) == "1 agree, 0 differ"
    data = report.as_data(results)
    assert data["agree"] == 1 and data["differ"] == 0 and data["cases"][0]["agrees"] is None


def test_a_process_of_its_own_for_each_case():
    """One that answers, and one that ends without an answer: it does not stop the others."""
    apart = Apart(Simulator())
    good = BY_NAME["shape-above-profile"]
    unknown = made(lambda g: None, name="no-such-case")
    results = list(apart.run([unknown, good]))
    assert "ended with exit code 1 and no answer" in results[0].returned
    assert any("no-such-case" in line for line in results[0].log)
    assert results[1].agrees and results[1].log


def test_a_case_that_hangs_is_stopped(monkeypatch):
    """The time limit ends it, and the next case is run. No process answers within a hundredth of a second."""
    apart = Apart(Simulator())
    with monkeypatch.context() as patch:
        patch.setattr(conformance_runner, "CASE_SECONDS", 0.01)
        (stopped,) = apart.run([BY_NAME["shape-above-profile"]])
    assert stopped.returned == "no answer in 0.01 s" and not stopped.agrees
    (result,) = apart.run([BY_NAME["shape-above-profile"]])
    assert result.agrees


def test_the_command(capsys, tmp_path):
    path = tmp_path / "report.json"
    assert report.main(["--only", "shape-[ab]*", "--json", str(path)]) == 0
    said = capsys.readouterr().out
    lines = said.strip().splitlines()
    assert lines[-1] == "4 agree, 0 differ"
    assert lines[2].split(" | ")[0].strip() == "case" and lines[2].endswith("source")
    assert "shape-above-profile" in said
    facts = json.loads(path.read_text())
    assert facts["backend"] == "simulator" and facts["agree"] == 4 == len(facts["cases"])
    machine = inspect()
    assert facts["gpu"] == (machine.gpu and json.loads(json.dumps(dataclasses.asdict(machine.gpu))))
    assert facts["packages"]["onnxruntime"] == machine.packages["onnxruntime"]
    assert facts["python"] == machine.python and facts["transport"] == "process"
    row = next(row for row in facts["cases"] if row["case"] == "shape-above-profile")
    assert row["expected"]["says"] in "\n".join(row["got"]["log"]) and row["source"]


def test_a_difference_is_shown_and_does_not_stop_the_command(capsys):
    assert report.main(["--only", "graph-of-a-graph"]) == 0
    said = capsys.readouterr().out
    assert "DIFFERS" in said and "known:" in said and said.strip().endswith("0 agree, 1 differ")


def test_an_interrupted_report_is_kept(tmp_path, monkeypatch):
    """What ran before Ctrl-C stands in the file."""
    path = tmp_path / "report.json"
    show, shown = report._show, []

    def interrupt(result, places):
        shown.append(result)
        if len(shown) == 2:
            raise KeyboardInterrupt
        show(result, places)

    monkeypatch.setattr(report, "_show", interrupt)
    with pytest.raises(KeyboardInterrupt):
        report.main(["--only", "shape-[ab]*", "--json", str(path)])
    assert json.loads(path.read_text())["agree"] == 2


def test_bad_usage_is_explained(capsys, tmp_path):
    assert report.main(["--json", str(tmp_path / "nowhere" / "report.json")]) == 1
    assert "does not exist" in capsys.readouterr().err
    assert report.main(["--only", "nothing-like-this"]) == 1
    assert "no case is called 'nothing-like-this'" in capsys.readouterr().err
    assert report.main(["--backend", "tensorrt", "--builder", "python"]) == 1
    assert "leave it out" in capsys.readouterr().err
    assert report.main(["--backend", "tensorrt", "--only", "strides"]) == 1
    assert "error:" in capsys.readouterr().err


def test_all_names_can_be_listed(capsys):
    assert report.main(["--list", "--only", "memory-*"]) == 0
    assert "memory-runs-out" in capsys.readouterr().out


def test_results_of_nothing():
    assert select("no such name") == ()
    assert not Result(made(np.zeros), missing="x").agrees


def test_the_file_has_no_verbose_lines_of_what_agrees():
    def speak(g):
        g.logger.log(g.trt.ILogger.VERBOSE, "layer by layer")
        g.logger.log(g.trt.ILogger.VERBOSE, "the phrase")
        g.logger.log(g.trt.ILogger.INFO, "done")

    cases = [made(speak, says="the phrase"), made(speak, "something else")]
    logs = [row["got"]["log"] for row in report.as_data(Simulator().run(cases))["cases"]]
    assert logs == [
        ["VERBOSE: the phrase", "INFO: done"],
        ["VERBOSE: layer by layer", "VERBOSE: the phrase", "INFO: done"],
    ]
