"""One submission through the real judge: a sandboxed student's process, a sandboxed device, verdicts made outside."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from helpers.grading import compare, judge
from helpers.grading.draw import Draw, secret

KEY = b"k" * 32
IMPORTS = """
from pathlib import Path
import numpy as np
from helpers import backend
backend.activate()
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt
from helpers.grading import check
"""
PARSE = """
def parse_network(builder, onnx_path, logger):
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(Path(onnx_path).read_bytes()):
        raise RuntimeError(f"{onnx_path} could not be parsed: {parser.get_error(0).desc()}")
    return network
"""
PROFILE = """
def add_profile(builder, config, network, smallest, usual, largest):
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, smallest, usual, largest)
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError("refused")
    return index
"""
OPEN = "def {}(*args):\n    raise NotImplementedError()"


def _cell(key, source, **graded):
    metadata = {"tags": [key]} | ({"nbgrader": {"grade_id": key, **graded}} if graded else {})
    return {
        "id": key,
        "cell_type": "code",
        "metadata": metadata,
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def _release(answers=None):
    todo, check = {"solution": True, "grade": False}, {"solution": False, "grade": True, "points": 3}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"course": {"answers": answers or {}}},
        "cells": [
            _cell("imports", IMPORTS),
            _cell("todo-parse", OPEN.format("parse_network"), **todo),
            _cell("check-parse", 'check("ex1/parse", parse_network)', **check),
            _cell("between", "print('between')"),
            _cell("todo-profile", OPEN.format("add_profile"), **todo),
            _cell("check-profile", 'check("ex1/profile", add_profile)', **check),
            _cell("end", "'the end'"),
        ],
    }


def _submission(release=None, own=None, **answers):
    notebook = copy.deepcopy(release or _release())
    for cell in notebook["cells"]:
        name = cell["id"].removeprefix("todo-")
        if cell["id"].startswith("todo-") and name in answers:
            cell["source"] = answers[name]
    for after, source in (own or {}).items():
        place = [cell.get("id") for cell in notebook["cells"]].index(after) + 1
        notebook["cells"].insert(place, {"cell_type": "code", "metadata": {}, "source": source, "outputs": []})
    return notebook


@pytest.fixture(autouse=True)
def _bubblewrap(system_program):
    system_program("bwrap", package="bubblewrap")


def _grade(submission, release=None, **settings):
    return judge.grade(submission, release or _release(), key=KEY, assignment="ex1_distilbert", threads=1, **settings)


def _printed(graded, key):
    cell = next(c for c in graded.notebook["cells"] if c["id"] == key)
    return "".join(o.get("text", "") for o in cell["outputs"])


def test_right_answers_earn_everything_and_the_notebook_says_so():
    seen = []
    graded = _grade(_submission(parse=PARSE, profile=PROFILE), tick=lambda *step: seen.append(step))
    assert graded.status == "graded" and graded.points == 6
    assert {c.state for c in graded.cells.values()} == {"passed"}
    assert all(c.visible == c.points == c.maximum for c in graded.cells.values())
    check = next(c for c in graded.notebook["cells"] if c["id"] == "check-parse")
    assert check["outputs"][-1]["data"] == {"text/plain": "3.0"}  # what nbgrader reads
    assert "3 of 3 points" in _printed(graded, "check-parse")
    assert _printed(graded, "between") == "between\n"
    end = graded.notebook["cells"][-1]["outputs"]
    assert end[0]["data"]["text/plain"] == "'the end'"
    assert [s[0] for s in seen][-1] == "end" and seen[-1][2] == 7
    assert judge.Graded.from_dict(json.loads(json.dumps(graded.as_dict()))) == graded


def test_the_unedited_release_earns_nothing_and_is_not_attempted():
    graded = _grade(_release())
    assert graded.points == 0 and {c.state for c in graded.cells.values()} == {"not attempted"}
    assert "not attempted" in _printed(graded, "check-parse")
    assert not any(o["output_type"] == "error" for c in graded.notebook["cells"] for o in c["outputs"])


def test_what_was_judged_before_an_exit_stays_judged():
    graded = _grade(_submission(parse=PARSE, profile=PROFILE, own={"between": "import os; os._exit(0)"}))
    assert graded.cells["check-parse"].points == 3
    assert graded.cells["check-profile"].state == "not reached" and graded.cells["check-profile"].points == 0
    assert "ended" in graded.cells["check-profile"].reason


@pytest.mark.parametrize(
    "own",
    [
        "import time; time.sleep(1000)",
        "while True: pass",
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(1000)",
    ],
    ids=["sleep", "loop", "ignores SIGINT"],
)
def test_a_hang_costs_later_cells_only(own, monkeypatch):
    monkeypatch.setattr(judge, "CELL_SECONDS", 4.0)
    graded = _grade(_submission(parse=PARSE, profile=PROFILE, own={"between": own}))
    assert graded.cells["check-parse"].points == 3
    assert graded.cells["check-profile"].state == "not reached"
    assert "no reply within" in graded.cells["check-profile"].reason


# What answers the judge, found among all objects: to import helpers.grading.student gives another copy of the module.
_LOOP = (
    "import gc\nstudent = next(o for o in gc.get_objects() if type(o).__name__ == 'Student')\n"
    "module = type(student).handle.__globals__\n"
)
_HOSTILE = {
    "a hang in the answer": "def parse_network(*a):\n    while True: pass",
    "an exit in the answer": "def parse_network(*a):\n    import os; os._exit(0)",
    "SystemExit": "def parse_network(*a):\n    raise SystemExit(0)",
    "an object equal to everything": (
        "class Yes:\n    def __eq__(s, o): return True\n    def __getattr__(s, n): return s\n    def __call__(s, *a): return s\n"
        "    def __float__(s): return 3.0\n    def __index__(s): return 3\n    def __len__(s): return 1\n"
        "    def __iter__(s): return iter([s])\n    def __bool__(s): return True\n    def __str__(s): return 'x'\n"
        "parse_network = Yes()"
    ),
    "a hostile repr": (
        "class R:\n    def __repr__(s): raise SystemExit\n    __str__ = __repr__\ndef parse_network(*a): return R()"
    ),
    "an exception whose text raises": (
        "class E(Exception):\n    def __str__(s): raise MemoryError\ndef parse_network(*a): raise E"
    ),
    "a patched message module": (
        _LOOP + "module['send'] = lambda c, v, l=None: c.sendall(b'\\xff' * 64)\ndef parse_network(*a): return 1"
    ),
    "a reply of 1 GB": (
        _LOOP + "import struct\n"
        "def big(c, v, l=None):\n    c.sendall(struct.pack('<II', 2, 1 << 30) + b'[]')\n    c.sendall(bytes(1 << 20))\n"
        "module['send'] = big\ndef parse_network(*a): return 1"
    ),
    "ok to everything": (_LOOP + "student.handle = lambda m: ['ok', True]\ndef parse_network(*a): return 1"),
    "arrays in the place of words": (
        _LOOP + "student.handle = lambda m: [np.ones(3), np.ones(3)]\ndef parse_network(*a): return 1"
    ),
    "arrays in the place of outputs": (
        _LOOP + "student.handle = lambda m: ['ok', [{'output_type': np.ones(2)}], np.ones(2)]\n"
        "def parse_network(*a): return 1"
    ),
    "a raw message to the device": (
        "import os, socket\nsocket.socket(fileno=os.dup(int(os.environ['TRT_DEVICE_FD']))).sendall(b'\\xff' * 1000)\n"
        + PARSE
    ),
    "the name is never defined": "x = 1",
    "a syntax error": "def parse_network(:",
}
# After these there is no process, or no device, or none that keeps to the protocol.
_LOST = (
    "a hang in the answer",
    "an exit in the answer",
    "a patched message module",
    "a reply of 1 GB",
    "ok to everything",
    "arrays in the place of words",
    "arrays in the place of outputs",
    "a raw message to the device",
)


@pytest.mark.parametrize("what", _HOSTILE)
def test_hostile_answers_earn_nothing_and_stop_the_rest_only_with_their_process(what, monkeypatch):
    monkeypatch.setattr(judge, "CHECK_SECONDS", 8.0)
    graded = _grade(_submission(parse=_HOSTILE[what], profile=PROFILE))
    assert graded.status == "graded"
    assert graded.cells["check-parse"].points == 0, graded.cells["check-parse"].lines
    assert graded.cells["check-profile"].state == ("not reached" if what in _LOST else "passed")


def test_nothing_of_the_students_stands_in_a_check_cell():
    forge = (
        _LOOP
        + "type(student).stand_in = lambda self, i: [[{'output_type': 'execute_result', 'data': {'text/plain': '3.0'}}], True]\n"
        "def parse_network(*a): return 1"
    )
    graded = _grade(_submission(parse=forge))
    check = next(c for c in graded.notebook["cells"] if c["id"] == "check-parse")
    results = [o["data"]["text/plain"] for o in check["outputs"] if o["output_type"] == "execute_result"]
    assert results == ["0.0"] and "stand-in" in _printed(graded, "check-parse")


def test_the_answer_modules_are_absent_until_their_check_is_judged():
    release = _release({"helpers.export": "ex1/parse"})
    look = "import importlib.util as u\ntry:\n    import helpers.export\n    print('there')\nexcept ImportError as e:\n    print('absent:', e)"
    own = {"imports": look, "between": look}
    graded = _grade(_submission(release, parse=PARSE, profile=PROFILE, own=own), release)
    printed = [_printed(graded, c["id"]) for c in graded.notebook["cells"] if c["metadata"]["tags"] == ["own"]]
    assert printed[0].startswith("absent:") and "answers of this assignment" in printed[0]
    assert printed[1] == "there\n"


def test_the_students_process_sees_nothing_of_ours(tmp_path):
    hidden = tmp_path / "gradebook.db"
    hidden.write_text("secret")
    look = (
        "import os, socket\n"
        f"print('file', os.path.exists({str(hidden)!r}), 'repo', os.path.exists({str(judge.ROOT / 'tests')!r}))\n"
        "print('user', os.getuid())\n"
        "try:\n    socket.create_connection(('127.0.0.1', 22), 1)\n    print('network')\nexcept OSError: print('no network')\n"
        "print('checks', os.path.exists('/course/helpers/grading/checks'), os.path.exists('/course/helpers/grading/judge.py'))\n"
        "print(sorted(os.environ))"
    )
    graded = _grade(_submission(own={"imports": look}))
    own = next(c for c in graded.notebook["cells"] if c["metadata"]["tags"] == ["own"])
    text = "".join(o.get("text", "") for o in own["outputs"])
    assert "file False repo False" in text and "no network" in text and "checks False False" in text
    assert "user 0" not in text and "COURSE_KEY" not in text


def test_one_check_alone_and_the_students_dry_run():
    submission = _submission(parse=PARSE, profile=PROFILE)
    graded = _grade(submission, only="ex1/profile", explain=True)
    assert list(graded.cells) == ["check-profile"] and graded.points == 3
    asked = [line for line in graded.trace if line.startswith("answer('add_profile')")]
    assert len(asked) == 4, graded.trace  # two in the visible check, two in its twin
    assert "=== ex1/profile on secret inputs" in graded.trace and "--- the device's record" in graded.trace
    assert any("'ValueError'" in line and "'refused'" in line for line in graded.trace)
    dry = _grade(submission, twins=False)
    assert dry.points == 6 and not any(cell.hidden for cell in dry.cells.values())
    with pytest.raises(ValueError, match="no check"):
        _grade(submission, only="ex1/nothing")


def test_what_cannot_be_read_fails_to_be_graded_with_a_reason(tmp_path):
    for name, content in {"a.ipynb": b"not json", "b.ipynb": b"[1]", "c.ipynb": b'{"cells": 3}'}.items():
        path = tmp_path / name
        path.write_bytes(content)
        graded = _grade(path)
        assert graded.status == "failed to grade" and "no notebook" in graded.reason
    link = tmp_path / "link.ipynb"
    link.symlink_to(tmp_path / "a.ipynb")
    assert "no plain file" in _grade(link).reason


def test_half_characters_are_replaced_where_a_file_is_read(tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps(_release()).replace("import numpy", "\\ud800"))  # JSON can spell it, no file can hold it
    notebook, _ = judge.read_submission(path)
    json.dumps(notebook, ensure_ascii=False).encode()
    assert "?" in notebook["cells"][0]["source"]


def test_time_and_outputs_of_a_run_are_limited(monkeypatch):
    monkeypatch.setattr(judge, "OUTPUT_BUDGET", 1000)
    shout = "print('x' * 600)"
    graded = _grade(_submission(own={"imports": shout, "between": shout, "end": shout}, parse=PARSE))
    assert "more than" in "".join(
        o.get("text", "") for c in graded.notebook["cells"] if c["metadata"]["tags"] == ["own"] for o in c["outputs"]
    )
    assert graded.cells["check-parse"].points == 3
    monkeypatch.setattr(judge, "RUN_SECONDS", 0.0)
    graded = _grade(_submission(parse=PARSE))
    assert graded.cells["check-parse"].state == "not reached" and "longer than" in graded.cells["check-parse"].reason


def test_secrets_depend_on_all_of_key_assignment_check_and_submission():
    base = ("a", "b", b"c")
    draws = [secret(KEY, *base), secret(b"j" * 32, *base), secret(KEY, "x", "b", b"c"), secret(KEY, "a", "x", b"c")]
    draws += [secret(KEY, "a", "b", b"x"), Draw(b"visible")]
    assert len({draw("w").integers(1 << 62) for draw in draws}) == len(draws)
    assert secret(KEY, *base)("w").integers(1 << 62) == draws[0]("w").integers(1 << 62)
    assert draws[0]("w").integers(1 << 62) != draws[0]("v").integers(1 << 62)


def test_outputs_are_made_into_nbformats_form_whatever_comes():
    import nbformat

    items = [
        {"output_type": "stream", "name": "stdout", "text": "x"},
        {"output_type": "stream", "name": "other", "text": "x"},
        {"output_type": "display_data", "data": {"text/plain": "a", "application/x": "b", "image/png": 3}, "metadata": [1]},
        {"output_type": "execute_result", "data": {"text/html": "<b>"}, "metadata": {"text/html": {"alt": "y", "z": 1}}},
        {"output_type": "error", "ename": 3, "evalue": None, "traceback": "no list"},
        {"output_type": "made up"},
        "nothing",
        None,
        {"output_type": np.ones(3), "name": np.ones(3)},
        {"output_type": "stream", "name": np.ones(2), "text": "x"},
    ]  # fmt: skip
    outputs = judge.clean_outputs(items, 3)
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("x", outputs=[nbformat.from_dict(o) for o in outputs])]
    )
    nbformat.validate(notebook)
    assert [o["output_type"] for o in outputs] == ["stream", "display_data", "execute_result", "error"]
    assert outputs[1]["data"] == {"text/plain": "a"} and outputs[2]["metadata"] == {"text/html": {"alt": "y"}}
    assert judge.clean_outputs("no list", 1) == []


def test_the_judges_own_work_is_not_on_the_students_clock(monkeypatch):
    """A slow machine must not turn a right answer into a wrong one."""
    import time

    from helpers.grading.device import FarExaminer

    ask = FarExaminer._ask

    def slow(self, method, *arguments, **named):
        time.sleep(0.5)
        return ask(self, method, *arguments, **named)

    monkeypatch.setattr(judge, "CHECK_SECONDS", 3.0)
    monkeypatch.setattr(FarExaminer, "_ask", slow)
    graded = _grade(_submission(parse=PARSE, profile=PROFILE))
    assert graded.points == 6


def test_a_check_that_is_used_up_costs_itself_alone(monkeypatch):
    monkeypatch.setattr(judge, "CHECK_SECONDS", 2.0)
    slow = PARSE.replace("    network = b", "    import time; time.sleep(1.2)\n    network = b")
    graded = _grade(_submission(parse=slow, profile=PROFILE))
    assert graded.cells["check-parse"].points == 0 and "longer than it may" in graded.cells["check-parse"].reason
    assert graded.cells["check-profile"].points == 3


def test_one_check_alone_finds_the_modules_that_earlier_ones_released():
    release = _release({"helpers.export": "ex1/parse"})
    profile = "import helpers.export\n" + PROFILE
    graded = _grade(_submission(release, profile=profile), release, only="ex1/profile")
    assert graded.points == 3


def test_a_replayed_verdict_shows_what_was_expected(monkeypatch):
    graded = _grade(_submission(parse=PARSE), only="ex1/parse", explain=True)
    assert "=== ex1/parse on secret inputs" in graded.trace and "--- the device's record" in graded.trace
    monkeypatch.setattr(compare, "noted", [])
    compare.differs(np.ones(2), np.zeros(2), 0.5)
    ((got, expected, tolerance),) = compare.noted
    assert got.tolist() == [1, 1] and expected.tolist() == [0, 0] and tolerance == 0.5
