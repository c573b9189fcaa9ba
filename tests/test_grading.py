"""The checks of Exercise 1: right answers earn all, each wrong one loses the point of the line that says why.

The right answers are those of the solved notebook; wrong ones are made from them by changing a piece.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import backend
from helpers.grading import check
from helpers.grading.check import judge, table
from helpers.grading.compare import differs
from helpers.grading.report import Report

NOTEBOOK = Path(__file__).parents[1] / "solutions" / "ex1_distilbert" / "ex1_distilbert.py"
Change = tuple[str, str]


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """Source of the notebook's TODO cells, by tag."""
    import jupytext

    cells = [cell for cell in jupytext.read(NOTEBOOK).cells if cell.cell_type == "code"]
    return {cell.metadata["tags"][0]: cell.source for cell in cells if cell.metadata["tags"][0].startswith("todo-")}


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the TODO cells find in the notebook."""
    backend.activate("simulator", quiet=True)
    from dataclasses import dataclass

    import pycuda.autoprimaryctx
    import pycuda.driver as cuda
    import tensorrt as trt
    import torch

    assert pycuda.autoprimaryctx
    return {
        "Path": Path,
        "np": np,
        "time": time,
        "trt": trt,
        "cuda": cuda,
        "torch": torch,
        "dataclass": dataclass,
        "BENCH_SECONDS": 0.05,
    }


@pytest.fixture(scope="module")
def answer(sources: dict[str, str], names: dict[str, Any]) -> Callable[..., Callable[..., Any]]:
    """`answer("ex1/build", ("old", "new"))`: the notebook's function, with pieces of its text changed."""

    def make(ident: str, *changes: Change) -> Callable[..., Any]:
        source = sources[f"todo-{ident.partition('/')[2]}"]
        for old, new in changes:
            assert old in source, f"{old!r} is not in the notebook's answer to {ident}"
            source = source.replace(old, new)
        # A name of the module that dataclasses look up; each answer gets names of its own.
        space = dict(names, __name__=__name__)
        exec(compile(source, ident, "exec"), space)
        function: Callable[..., Any] = space[table("ex1")[ident].todo]
        return function

    return make


IDS = ("ex1/export", "ex1/parse", "ex1/profile", "ex1/build", "ex1/buffers", "ex1/enqueue", "ex1/benchmark")


def test_the_table_has_the_seven_todos_with_points() -> None:
    rows = table("ex1")
    assert tuple(rows) == IDS
    assert all(row.points > 0 and row.title and row.todo.isidentifier() for row in rows.values())


@pytest.mark.parametrize("ident", IDS)
def test_right_answers_earn_all_points(
    ident: str, answer: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    points = check(ident, answer(ident))
    printed = capsys.readouterr().out
    assert points == table("ex1")[ident].points, printed
    assert isinstance(points, float) and "✗" not in printed and "✓" in printed


@pytest.mark.parametrize("ident", IDS)
def test_the_lines_of_a_right_answer_weigh_as_much_as_the_check(ident: str, answer: Callable[..., Any]) -> None:
    report = Report()
    row = table("ex1")[ident]
    row.judge(answer(ident), report)
    assert sum(line.weight for line in report.lines) == row.points


# id, changes of the right answer, what the failing line says, what it says happened
WRONG: list[tuple[str, list[Change], str, str]] = [
    ("ex1/export", [("opset_version=20", "opset_version=11")], "opset 20, as asked", "opset 18"),
    ("ex1/profile", [("    return index\n", "")], "the index is returned", "None was returned"),
    ("ex1/profile", [("raise ValueError", "raise RuntimeError")], "raises a ValueError", "RuntimeError"),
    ("ex1/enqueue", [("raise ValueError", "raise RuntimeError")], "raises a ValueError", "RuntimeError"),
    (
        "ex1/export",
        [("dynamic_shapes=(axes, axes), ", "")],
        "batch and sequence of both inputs are dynamic",
        "input_ids axis 0 is 2",
    ),
    ("ex1/export", [("(ids, mask)", "(ids, ids)")], "the graph computes what PyTorch computes", "largest difference"),
    (
        "ex1/export",
        [("external_data=False", "external_data=True")],
        "one file, with the weights inside",
        "kept outside",
    ),
    (
        "ex1/export",
        [("model, (ids, mask)", "model.half(), (ids, mask)")],
        "the graph computes what PyTorch computes",
        "largest difference",
    ),
    (
        "ex1/export",
        [('"input_ids", "attention_mask"', '"ids", "mask"')],
        "int64 inputs input_ids and",
        "['ids', 'mask']",
    ),
    (
        "ex1/parse",
        [
            (
                "if not parser.parse(Path(onnx_path).read_bytes()):",
                "if parser.parse(Path(onnx_path).read_bytes()) is None:",
            )
        ],
        "a file that is cut off raises an error",
        "no exception",
    ),
    (
        "ex1/parse",
        [("parser.get_error(0).desc()", "'it failed'")],
        "the error says what the parser said first",
        "it failed",
    ),
    ("ex1/parse", [("return network", "return parser")], "a good file gives its network", "OnnxParser was returned"),
    (
        "ex1/profile",
        [("range(network.num_inputs)", "range(network.num_inputs - 1)")],
        "every input of the network is in the profile",
        "missing dimensions in profile",
    ),
    (
        "ex1/profile",
        [("smallest, usual, largest)\n    index", "smallest, largest, largest)\n    index")],
        "it is made for the usual shape",
        "asked (4, 8)",
    ),
    (
        "ex1/profile",
        [("smallest, usual, largest)\n    index", "usual, usual, largest)\n    index")],
        "from the smallest to the largest shape",
        "asked (2, 8)",
    ),
    ("ex1/profile", [("if index < 0:", "if index is None:")], "smallest above largest", "no exception"),
    (
        "ex1/build",
        [("config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)", "pass")],
        "the workspace limit is the one that was asked for",
        "asked for 314,572,800",
    ),
    ("ex1/build", [("config.clear_flag(trt.BuilderFlag.TF32)", "pass")], "TF32 is off", "as it is by default"),
    (
        "ex1/build",
        [("if plan is None:\n        raise", "if plan is None:\n        return 0\n        raise")],
        "a build that fails raises an error",
        "no exception",
    ),
    (
        "ex1/build",
        [("    config.set_memory", "    open(path, 'wb').close()\n    config.set_memory")],
        "leaves the last good plan alone",
        "0 bytes now",
    ),
    ("ex1/build", [("return plan.nbytes", "return None")], "the size of the plan is returned", "None was returned"),
    (
        "ex1/build",
        [("write_bytes(plan)", "write_bytes(bytes(plan)[:-1])")],
        "a plan that the runtime takes",
        "blobSize failed",
    ),
    ("ex1/buffers", [("cuda.pagelocked_empty", "np.empty")], "all host memory is pinned", "pageable: tokens, mask"),
    ("ex1/buffers", [("[2]", "[1]")], "each holds the profile's largest shape", "needs 120"),
    (
        "ex1/buffers",
        [("cuda.mem_alloc(host.nbytes)", "cuda.mem_alloc(host.size)")],
        "device memory is as large",
        "needs 960",
    ),
    (
        "ex1/buffers",
        [("trt.nptype(engine.get_tensor_dtype(name))", "np.int32")],
        "the element type that the engine reports",
        "int32",
    ),
    (
        "ex1/buffers",
        [("return buffers", "return {n: buffers[n] for n in names[:-1]}")],
        "has a buffer, by its name",
        "missing: score",
    ),
    ("ex1/enqueue", [("    stream.synchronize()\n", "")], "outputs are right", "NaN"),
    ("ex1/enqueue", [("    stream.synchronize()\n", "")], "one synchronisation", "0 waits"),
    (
        "ex1/enqueue",
        [
            (
                "context.execute",
                "stream.synchronize()\n    if not context.execute",
            ),
            ("if not stream", "stream"),
        ],
        "one synchronisation",
        "2 waits",
    ),
    (
        "ex1/enqueue",
        [
            (
                "used(name)[...] = array\n        cuda.memcpy_htod_async(buffers[name].device, used(name), stream)",
                "cuda.memcpy_htod_async(buffers[name].device, array, stream)",
            )
        ],
        "all copies are asynchronous",
        "pageable, synchronous",
    ),
    (
        "ex1/enqueue",
        [("used(name), stream)\n    for name, buffer", "buffers[name].host, stream)\n    for name, buffer")],
        "exactly the bytes of the batch are copied",
        "batch 3: 3,072 bytes to the device, expected 576",
    ),
    (
        "ex1/enqueue",
        [
            (
                "if not context.set_input_shape(name, array.shape):",
                "if context.set_input_shape(name, array.shape) is None:",
            )
        ],
        "a batch outside the profile raises a ValueError",
        "one by accident",
    ),
    (
        "ex1/enqueue",
        [("{name: used(name).copy()", "{name: buffers[name].host.reshape(16, 3)")],
        "outputs are right",
        "shape [16, 3]",
    ),
    ("ex1/benchmark", [("for _ in range(3):", "for _ in range(0):")], "is warmed up at least twice", "16, 5 rows"),
    (
        "ex1/benchmark",
        [("{batch[0].shape: batch for batch in batches}.values()", "batches[:1]")],
        "is warmed up",
        "batches of 5 rows",
    ),
    (
        "ex1/benchmark",
        [("samples += len(input_ids)", "samples += len(batches[0][0])")],
        "samples are the rows",
        "counted",
    ),
    (
        "ex1/benchmark",
        [("times.append(time.perf_counter() - start)", "times.append((time.perf_counter() - start) / 2)")],
        "samples a second are samples by the time",
        "ms on the clock",
    ),
    ("ex1/benchmark", [("* 1000", "* 1")], "in milliseconds", ""),
    ("ex1/benchmark", [("len(times) < 5 or sum(times) < seconds", "len(times) < 3")], "at least 5 runs", "runs is 3"),
    (
        "ex1/benchmark",
        [("        start =", "        cuda.mem_alloc(16)\n        start =")],
        "the device does only what",
        "allocations",
    ),
    ("ex1/benchmark", [('"p5_ms": p5', '"p5": p5')], "it returns the six figures", "p5_ms"),
]


@pytest.mark.parametrize(("ident", "changes", "line", "happened"), WRONG)
def test_wrong_answers_lose_the_point_of_the_line_that_says_why(
    ident: str, changes: list[Change], line: str, happened: str, answer: Callable[..., Any]
) -> None:
    points, lines = judge(table("ex1")[ident], answer(ident, *changes))
    assert points < table("ex1")[ident].points
    failing = [text for text in lines if "✗" in text and line in text]
    assert failing, "\n".join(lines)
    assert happened in failing[0] and "hint:" in failing[0]


@pytest.mark.parametrize("ident", IDS)
def test_what_is_not_attempted_earns_nothing_and_says_so(ident: str, capsys: pytest.CaptureFixture[str]) -> None:
    def unattempted(*arguments: Any, **named: Any) -> None:
        raise NotImplementedError

    assert check(ident, unattempted) == 0.0
    printed = capsys.readouterr().out
    assert "not attempted" in printed and table("ex1")[ident].todo in printed and "✗" not in printed


@pytest.mark.parametrize("ident", IDS)
def test_an_exception_is_one_line_with_a_hint_and_no_traceback(ident: str, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*arguments: Any, **named: Any) -> None:
        raise AttributeError("'NoneType' object has no attribute 'x'\nsecond line")

    assert check(ident, broken) < table("ex1")[ident].points / 2
    printed = capsys.readouterr().out
    assert (
        "Traceback" not in printed and "AttributeError: 'NoneType' object has no attribute 'x' second line" in printed
    )


@pytest.mark.parametrize("ident", IDS)
@pytest.mark.parametrize("value", [None, 3, "text", {}, [np.nan]])
def test_odd_values_break_no_check(ident: str, value: Any) -> None:
    points, lines = judge(table("ex1")[ident], lambda *arguments, **named: value)
    assert points <= table("ex1")[ident].points / 2 and any("✗" in line for line in lines)


RIGHT: list[tuple[str, list[Change]]] = [
    # the inputs by name, and the axes as dictionaries by name
    (
        "ex1/export",
        [
            ("(ids, mask)", "()"),
            (
                "dynamic_shapes=(axes, axes)",
                "kwargs={'input_ids': ids, 'attention_mask': mask}, "
                "dynamic_shapes={'input_ids': axes, 'attention_mask': axes}",
            ),
        ],
    ),
    # an assertion instead of a RuntimeError
    ("ex1/parse", [("raise RuntimeError", "raise AssertionError")]),
    # a wider profile
    ("ex1/profile", [("smallest, usual, largest)\n    index", "(1, 8), usual, largest)\n    index")]),
    # the size of the file
    ("ex1/build", [("return plan.nbytes", "return Path(path).stat().st_size")]),
    # larger buffers
    ("ex1/buffers", [("trt.volume(context.get_tensor_shape(name))", "2 * trt.volume(context.get_tensor_shape(name))")]),
    # waiting by an event; views instead of copies
    ("ex1/enqueue", [("stream.synchronize()", "cuda.Event().record(stream).synchronize()")]),
    ("ex1/enqueue", [("used(name).copy()", "used(name)")]),
    # another number of warm-ups
    ("ex1/benchmark", [("for _ in range(3):", "for _ in range(7):")]),
]


@pytest.mark.parametrize(("ident", "changes"), RIGHT)
def test_right_in_another_way_is_right(ident: str, changes: list[Change], answer: Callable[..., Any]) -> None:
    points, lines = judge(table("ex1")[ident], answer(ident, *changes))
    assert points == table("ex1")[ident].points, "\n".join(lines)


def test_what_tensorrt_said_stands_beside_what_happened(answer: Callable[..., Any]) -> None:
    addresses = "context.set_tensor_address(name, int(buffer.device))"
    _, lines = judge(table("ex1")["ex1/enqueue"], answer("ex1/enqueue", (addresses, "pass")))
    assert any("the execution was refused" in line and "Address is not set for input tensor" in line for line in lines)


def test_what_is_no_function_and_what_is_no_check() -> None:
    points, lines = judge(table("ex1")["ex1/build"], 3)
    assert points == 0.0 and "int" in lines[0]
    with pytest.raises(ValueError, match="ex1/export"):
        check("ex1/none", print)
    with pytest.raises(ValueError, match="there are some for ex1"):
        check("ex9/export", print)


@pytest.mark.parametrize(
    ("actual", "why"),
    [
        (np.array([[1.0, np.nan]], np.float32), "NaN"),
        (np.ones((1, 3), np.float32), "shape"),
        (np.ones((1, 1), np.float32), "shape"),
        (np.ones((1, 2), np.int64), "dtype"),
        (np.array([["a", "b"]]), "dtype"),
        (np.array([[1.0, 1.1]], np.float32), "largest difference"),
        (None, "NoneType"),
    ],
)
def test_comparison_takes_no_nan_no_broadcast_and_no_other_kind(actual: Any, why: str) -> None:
    expected = np.ones((1, 2), np.float32)
    assert differs(expected + 1e-5, expected, 1e-4) == ""
    assert why in differs(actual, expected, 1e-4)


def test_comparison_of_empty_arrays_and_of_liars() -> None:
    assert "empty" in differs(np.empty((0, 2), np.float32), np.empty((0, 2), np.float32), 1e-4)

    class Liar:
        def __array__(self, *arguments: Any, **named: Any) -> np.ndarray:
            raise RuntimeError("no")

    assert "is no array" in differs(Liar(), np.ones(2, np.float32), 1e-4)


def test_what_cannot_be_judged_counts_neither_way() -> None:
    report = Report()
    report.expect("one", True, 1.0)
    report.skip("two", 2.0, "no record here")
    report.expect("three", False, 1.0, "nothing", "try again")
    assert report.points(4.0) == 2.0
    assert [str(line)[:4] for line in report.lines] == ["  ✓ ", "  – ", "  ✗ "]


def test_the_students_own_failing_line_is_quoted() -> None:
    def parse_network(builder: Any, onnx_path: Any, logger: Any) -> Any:
        return builder.no_such_method(onnx_path)

    points, lines = judge(table("ex1")["ex1/parse"], parse_network)
    assert points == 0 and "in your line: return builder.no_such_method(onnx_path)" in "\n".join(lines)
