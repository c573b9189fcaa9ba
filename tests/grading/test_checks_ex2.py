"""The checks of Exercise 2: right answers earn all under any draw, each wrong one loses the point of the line that says
why, and odd values break nothing.

The right answers are the course's stand-ins; wrong ones are made from them by changing a piece. One answer also goes
through the judge.
"""

from __future__ import annotations

import importlib
import inspect
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from helpers import backend
from helpers.grading import corpus, sandbox, stand_ins
from helpers.grading.check import row_of, table
from helpers.grading.draw import VISIBLE, Draw
from helpers.grading.examiner import Examiner
from helpers.grading.report import Verdict, run
from helpers.grading.subject import Here

Change = tuple[str, str]
IDS = tuple(
    f"ex2/{name}"
    for name in ("bytes", "export", "profile", "decode", "kernel_only", "timeline", "preallocate", "last_step")
)
QUICK = tuple(ident for ident in IDS if ident != "ex2/export")
EXAMINER = Examiner()


@pytest.fixture(scope="module", autouse=True)
def _simulator() -> None:
    backend.activate("simulator", quiet=True)


def answer(ident: str, *changes: Change) -> Callable[..., Any]:
    """The stand-in for a TODO, with pieces of its text changed."""
    module = importlib.import_module(stand_ins.module_name(ident))
    if not changes:
        function: Callable[..., Any] = getattr(module, table("ex2")[ident].todo)
        return function
    source = inspect.getsource(module)
    for old, new in changes:
        assert old in source, f"{old!r} is not in the stand-in for {ident}"
        source = source.replace(old, new)
    space: dict[str, Any] = {"__name__": __name__}
    exec(compile(source, ident, "exec"), space)
    changed: Callable[..., Any] = space[table("ex2")[ident].todo]
    return changed


def verdict(ident: str, function: Any, draw: Draw = VISIBLE) -> Verdict:
    subject = Here(function)
    try:
        return run(table("ex2")[ident], subject, EXAMINER, draw)
    finally:
        subject.close()


def failing(found: Verdict) -> list[str]:
    return [str(line) for line in found.lines if line.holds is False]


# --- right answers --------------------------------------------------------------------------------------------------


def test_the_table_has_eight_todos_with_32_points_stand_ins_and_hints() -> None:
    rows = table("ex2")
    assert tuple(rows) == IDS and sum(row.points for row in rows.values()) == 32
    for number, row in enumerate(rows.values(), 1):
        assert row.title and len(row.hints) == 2 and all(len(hint) > 20 for hint in row.hints)
        assert stand_ins.TODOS[row.id] == (row.todo, number)
        assert row_of(row.id) is not None


@pytest.mark.parametrize("ident", QUICK)
def test_right_answers_earn_all_points_under_any_draw(ident: str) -> None:
    row, titles = table("ex2")[ident], set()
    for seed in range(4):
        found = verdict(ident, answer(ident), Draw(b"any" + bytes([seed])) if seed else VISIBLE)
        assert found.points == row.points and not failing(found), failing(found)
        assert math.isclose(sum(line.weight for line in found.lines), row.points)
        titles.add(tuple(line.what for line in found.lines))
        assert all(line.hint for line in found.lines)
    assert len(titles) == 1, "a title holds something drawn"


@pytest.fixture(scope="module")
def exported() -> Iterator[tuple[dict[str, bytes], list[Verdict]]]:
    """The files of one check and its twin, and their verdicts."""
    files: dict[str, bytes] = {}
    right = answer("ex2/export")

    def export_decoder(model: Any, path: Any, last_step: bool = False) -> None:
        assert path.name not in files, "a check and its twin export once"
        right(model, path, last_step=last_step)
        files[path.name] = path.read_bytes()

    subject = Here(export_decoder)
    row = table("ex2")["ex2/export"]
    yield files, [run(row, subject, EXAMINER, draw) for draw in (VISIBLE, Draw(b"other"))]
    subject.close()


def test_a_check_and_its_twin_export_once_and_compare_on_prompts_of_their_own(exported: Any) -> None:
    files, verdicts = exported
    assert [found.points for found in verdicts] == [5.0, 5.0], failing(verdicts[0])
    assert [line.what for line in verdicts[0].lines] == [line.what for line in verdicts[1].lines]
    assert len(files) == 2 and math.isclose(sum(line.weight for line in verdicts[0].lines), 5)


def test_a_wrong_export_keeps_the_points_of_what_is_right(exported: Any) -> None:
    import onnx

    files, _ = exported

    def written(change: Callable[[Any], None]) -> Verdict:
        def export_decoder(model: Any, path: Any, last_step: bool = False) -> None:
            proto = onnx.load_model_from_string(files[path.name])  # the visible check's model is always the same
            if not last_step:
                change(proto)
            path.write_bytes(proto.SerializeToString())

        return verdict("ex2/export", export_decoder)

    def fixed(proto: Any) -> None:
        proto.graph.input[1].type.tensor_type.shape.dim[1].dim_value = 8

    def one_too_small(proto: Any) -> None:
        """Positions that are one too small, from the second token on."""
        sums = next(node for node in proto.graph.node if node.op_type == "CumSum")
        kept = [attribute for attribute in sums.attribute if attribute.name != "exclusive"]
        del sums.attribute[:]
        sums.attribute.extend([*kept, onnx.helper.make_attribute("exclusive", 1)])

    found = written(fixed)
    assert "attention_mask axis 1 is 8" in failing(found)[0] and 0 < found.points < 5
    found = written(one_too_small)
    assert any("the graph computes" in line for line in failing(found)) and 0 < found.points < 4

    def whole_twice(model: Any, path: Any, last_step: bool = False) -> None:
        path.write_bytes(files["whole.onnx"])

    found = verdict("ex2/export", whole_twice)
    assert found.points == 4.25 and "logits are ['batch'" in failing(found)[0]

    def raises_then(model: Any, path: Any, last_step: bool = False) -> None:
        if last_step:
            raise KeyError("last_step")
        path.write_bytes(files["whole.onnx"])

    found = verdict("ex2/export", raises_then)
    assert found.points == 4.25 and "KeyError" in failing(found)[0]


# --- wrong answers --------------------------------------------------------------------------------------------------

# id, changes of the right answer, what the failing line says, what it says happened
WRONG: list[tuple[str, list[Change], str, str]] = [
    ("ex2/bytes", [("range(prompt, length)", "range(1, length + 1)")], "logits of all tokens so far", "expected"),
    ("ex2/bytes", [("length - prompt if", "length if")], "one step for each new token", "steps copy"),
    ("ex2/bytes", [("4 * batch", "4")], "one FP32 value for each word", "for batch 1"),
    ("ex2/profile", [("(largest, length)", "(largest, prompt)"), ("(prompt + length) // 2", "prompt")],
     "every step up to the last is served", "is not allowed"),
    ("ex2/profile", [("(smallest, prompt)", "(smallest, prompt + 1)")], "the first step is served", "is not allowed"),
    ("ex2/profile", [("(smallest, prompt)", "(usual, prompt)")], "every batch from the smallest", "is not allowed"),
    ("ex2/profile", [("range(network.num_inputs)", "range(1)")], "every input of the network", "missing dimensions"),
    ("ex2/profile", [("return index", "return 0")], "and the index is returned", "0 where there was one already"),
    ("ex2/profile", [("index < 0", "index is None")], "that TensorRT refuses", "no exception"),
    ("ex2/decode", [("np.ones_like", "np.zeros_like")], "the mask grows by ones", "other values in attention_mask"),
    ("ex2/decode", [("argmax", "argmin")], "the most likely one", "was more likely"),
    ("ex2/decode", [("length - ids.shape[1]", "length - ids.shape[1] + 1"), ("return ids", "return ids[:, :length]")],
     "step is called once", "calls for"),
    ("ex2/decode", [("input_ids.copy()", "input_ids")], "an array of its own", "changes the result"),
    ("ex2/decode", [("return ids", "return ids.astype(np.int32)")], "it returns int64", "int32"),
    ("ex2/decode", [("return ids", "attention_mask[:] = 1\n    return ids")], "are as they were", "in place"),
    ("ex2/kernel_only", [("    for _ in range(3):\n        enqueue()\n", "")], "warms up", "of them timed"),
    ("ex2/kernel_only", [("np.median", "np.mean")], "the median of the times", "was returned"),
    ("ex2/kernel_only", [("np.median(times)", "np.median(times) / 1000")], "one of milliseconds", "was returned"),
    ("ex2/kernel_only", [("        end.synchronize()\n", "")], "it ends with a time", "not completed"),
    ("ex2/kernel_only", [("        end.record(stream)\n", "        stream.synchronize()\n        end.record(stream)\n"),
                         ("        start.record(stream)\n        enqueue()", "        enqueue()\n        start.record(stream)")],
     "lies between two CUDA events", "not enclosed"),
    ("ex2/timeline", [("for e in events if e", "for e in events if True or e"), ("sums[kinds[event[\"op\"]]]", "sums[kinds.get(event[\"op\"], \"d2h_ms\")]")],
     "what the host does", "without the host's rows"),
    ("ex2/timeline", [("value / 1e6", "value / 1e3")], "in milliseconds", "1000 times as much"),
    ("ex2/timeline", [("reached = max(reached, end)", "reached = end"), ("span = reached", "span = max(e[\"finished_ns\"] for e in work)")],
     "where streams overlap", "idle_ms is"),
    ("ex2/timeline", [("if work else 0", "")], "without any work of the device", "IndexError"),
    ("ex2/preallocate", [("        if not context.execute", "        spare = cuda.mem_alloc(64)\n        if not context.execute")],
     "a step allocates nothing", "alloc of 64 bytes"),
    ("ex2/preallocate", [("(devices[name], used, stream)", "(devices[name], hosts[name], stream)")], "exactly the bytes", "bytes for ids and mask of"),
    ("ex2/preallocate", [("        stream.synchronize()\n", "        stream.synchronize()\n        stream.synchronize()\n")],
     "one synchronisation", "2 waits for a step"),
    ("ex2/preallocate", [("        stream.synchronize()\n", "")], "logits [batch, vocabulary]", "NaN"),
    ("ex2/preallocate", [("rows.astype(np.float32)", "rows")], "an array of its own", "changed when the next step ran"),
    ("ex2/preallocate", [("[2]", "[1]")], "largest shape is served", "could not broadcast"),
    ("ex2/preallocate", [("raise ValueError", "raise KeyError")], "outside the profile", "another error"),
    ("ex2/last_step", [("tokens - 1)", "0)")], "holds the last step of every row", "are wrong"),
    ("ex2/last_step", [("range(batch)", "range(1)")], "holds the last step of every row", "rows [1"),
    ("ex2/last_step", [("host.itemsize", "4")], "the same for FP16", "behind the end of the buffer"),
    ("ex2/last_step", [("    return rows", "    stream.synchronize()\n    return rows")], "nothing waits", "it waits itself"),
]  # fmt: skip


@pytest.mark.parametrize(("ident", "changes", "line", "happened"), WRONG)
def test_wrong_answers_lose_the_point_of_the_line_that_says_why(
    ident: str, changes: list[Change], line: str, happened: str
) -> None:
    found = verdict(ident, answer(ident, *changes))
    assert found.points < table("ex2")[ident].points
    lost = [entry for entry in found.lines if entry.holds is False and line in entry.what]
    assert lost, "\n".join(failing(found))
    assert happened in lost[0].happened and lost[0].hint, lost[0].happened


def test_logits_that_the_engine_did_not_compute_earn_nothing() -> None:
    """The right numbers beside an execution on zeros."""
    right = answer("ex2/preallocate")

    def preallocated_step(context: Any, stream: Any, copy_logits: Any) -> Any:
        step = right(context, stream, copy_logits)

        def forged(ids: Any, mask: Any) -> Any:
            result = step(ids, mask)
            step(np.zeros_like(ids), mask)
            return result

        def on_zeros(ids: Any, mask: Any) -> Any:
            return step(np.zeros_like(ids), mask)

        return forged if context.engine.num_io_tensors == 0 else on_zeros

    assert verdict("ex2/preallocate", preallocated_step).points == 0


# --- untrusted replies ----------------------------------------------------------------------------------------------


class _Always:
    """Equal to everything, larger and smaller than everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __lt__ = __le__ = __gt__ = __ge__ = __ne__ = __eq__
    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return self

    def __getitem__(self, key: Any) -> Any:
        return self

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self


ODD = [
    None, 3, "text", {}, [np.nan], np.empty(0), np.array(1.0), np.array([None, "a"], object), _Always(), float("nan"),
    10**400, {"h2d_ms": float("inf")}, 1j, lambda *arguments: None,
]  # fmt: skip


@pytest.mark.parametrize("ident", IDS)
def test_odd_values_break_no_check_and_earn_nothing(ident: str) -> None:
    for value in ODD:
        found = verdict(ident, lambda *arguments, value=value, **named: value)
        assert found.points == 0 and failing(found), (value, failing(found))
        assert "the answer can be examined" not in failing(found)[0]


@pytest.mark.parametrize("ident", IDS)
def test_what_is_not_attempted_earns_nothing_and_says_so(ident: str) -> None:
    def unattempted(*arguments: Any, **named: Any) -> None:
        raise NotImplementedError

    found = verdict(ident, unattempted)
    assert found.status == "not attempted" and found.points == 0 and not failing(found)


@pytest.mark.parametrize("ident", IDS)
def test_an_exception_is_one_line_with_a_hint(ident: str) -> None:
    def broken(*arguments: Any, **named: Any) -> None:
        raise AttributeError("'NoneType' object has no attribute 'x'")

    found = verdict(ident, broken)
    assert found.points == 0 and found.lines[0].hint and "AttributeError" in found.lines[0].happened


def test_without_a_record_what_needs_one_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Examiner, "has_record", False)
    for ident in ("ex2/decode", "ex2/preallocate", "ex2/last_step"):
        found = verdict(ident, answer(ident))
        assert found.points == table("ex2")[ident].points and any(line.holds is None for line in found.lines)


# --- known answers --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cases() -> dict[str, corpus.Case]:
    return {case.name: case for case in corpus.read_cases("ex2_distilgpt2")}


def test_every_case_names_a_check_and_every_wrong_one_its_line(cases: dict[str, corpus.Case]) -> None:
    assert {case.check for case in cases.values()} == set(IDS)
    kinds = [case.kind for case in cases.values()]
    assert kinds.count("right") >= 10 and kinds.count("wrong") >= 30 and kinds.count("cheat") >= 6
    assert not [case.name for case in cases.values() if case.kind == "wrong" and not case.lines]
    titles = {line.what for ident in QUICK for line in verdict(ident, answer(ident)).lines}
    for case in cases.values():
        compile(case.source, case.name, "exec")
        if case.kind == "wrong" and case.check in ("ex2/bytes", "ex2/timeline", "ex2/last_step", "ex2/kernel_only"):
            assert any(title.startswith(case.lines) for title in titles) or "ends with a time" in case.lines[0], case


@pytest.fixture
def sandboxed(system_program: Callable[..., str]) -> None:
    system_program("bwrap", package="bubblewrap")
    try:
        sandbox.check()
    except sandbox.SandboxError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("name", ["right/preallocate_one_upload", "wrong/decode_mask_zeros", "cheat/events_forged"])
def test_the_judge_gives_the_verdict_that_is_expected(name: str, cases: dict[str, corpus.Case]) -> None:
    outcome = corpus.run_case(cases[name], range(1), whole=False, threads=1)
    assert not outcome.false, (outcome.error, outcome.final, outcome.failing, outcome.happened)
    assert outcome.named is not False, outcome.failing
