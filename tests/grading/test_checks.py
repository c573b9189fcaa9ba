"""The checks of Exercise 1: right answers earn all under any draw, each wrong one loses the point of the line that says
why, and odd values break nothing.

The right answers are those of the solved notebook; wrong ones are made from them by changing a piece. All of it runs in
this process; `test_judge.py` and the corpus run the same checks on a student's process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import backend
from helpers.grading.check import table
from helpers.grading.compare import differs
from helpers.grading.draw import VISIBLE, Draw
from helpers.grading.examiner import RUNTIME, TRUE_FP16, Examiner
from helpers.grading.report import Check, Line, Report, Verdict, both, heading, one_line, run, short
from helpers.grading.subject import Gone, Here, Raised

NOTEBOOK = Path(__file__).parents[2] / "solutions" / "ex1_distilbert" / "ex1_distilbert.py"
Change = tuple[str, str]
IDS = tuple(
    f"ex1/{name}" for name in ["export", "parse", "profile", "build", "fp16", "buffers", "enqueue", "benchmark"]
)
QUICK = IDS[1:]


@pytest.fixture(scope="module")
def cells() -> dict[str, str]:
    """Source of the notebook's code cells, by tag."""
    import jupytext

    return {c.metadata["tags"][0]: c.source for c in jupytext.read(NOTEBOOK).cells if c.cell_type == "code"}


@pytest.fixture(scope="module")
def names(cells: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the TODO cells find in the notebook: its imports and its glue."""
    backend.activate("simulator", quiet=True)
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("notebook"))
    space: dict[str, Any] = {"__name__": __name__}
    try:
        for tag, source in cells.items():
            if tag == "imports" or tag.startswith("glue-"):
                exec(compile(source, tag, "exec"), space)
        yield space
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def answer(cells: dict[str, str], names: dict[str, Any]) -> Callable[..., Callable[..., Any]]:
    """`answer("ex1/build", ("old", "new"))`: the notebook's function, with pieces of its text changed."""

    def make(ident: str, *changes: Change) -> Callable[..., Any]:
        source = cells[f"todo-{ident.partition('/')[2]}"]
        for old, new in changes:
            assert old in source, f"{old!r} is not in the notebook's answer to {ident}"
            source = source.replace(old, new)
        space = dict(names)
        exec(compile(source, ident, "exec"), space)
        function: Callable[..., Any] = space[table("ex1")[ident].todo]
        return function

    return make


EXAMINER = Examiner()


def verdict(ident: str, function: Any, draw: Draw = VISIBLE) -> Verdict:
    subject = Here(function)
    try:
        return run(table("ex1")[ident], subject, EXAMINER, draw)
    finally:
        subject.close()


def failing(verdict: Verdict) -> list[str]:
    return [str(line) for line in verdict.lines if line.holds is False]


# --- right answers --------------------------------------------------------------------------------------------------


def test_the_table_has_the_eight_todos_with_points_and_hints() -> None:
    rows = table("ex1")
    assert tuple(rows) == IDS
    for row in rows.values():
        assert row.points > 0 and row.title and row.todo.isidentifier()
        assert len(row.hints) == 2 and all(len(hint) > 20 for hint in row.hints)


@pytest.mark.parametrize("ident", QUICK)
def test_right_answers_earn_all_points_under_any_draw(ident: str, answer: Callable[..., Any]) -> None:
    row, titles = table("ex1")[ident], set()
    for seed in range(2 if ident == "ex1/benchmark" else 5):
        found = verdict(ident, answer(ident), Draw(b"any" + bytes([seed])) if seed else VISIBLE)
        assert found.points == row.points and not failing(found), failing(found)
        assert sum(line.weight for line in found.lines) == row.points
        titles.add(tuple(line.what for line in found.lines))
        assert all(line.hint for line in found.lines)
    assert len(titles) == 1, "a title holds something drawn"


@pytest.fixture(scope="module")
def exported(answer: Callable[..., Any]) -> tuple[list[bytes], list[Verdict]]:
    """What one check and its twin led to: the files written, and the verdicts."""
    files = []

    def export_onnx(model: Any, path: Any) -> None:
        assert isinstance(path, Path)
        right(model, path)
        files.append(path.read_bytes())

    right, row, subject = answer("ex1/export"), table("ex1")["ex1/export"], Here(export_onnx)
    verdicts = [run(row, subject, EXAMINER, draw) for draw in (VISIBLE, Draw(b"other"))]
    subject.close()
    return files, verdicts


def test_a_check_and_its_twin_export_once_and_compare_on_inputs_of_their_own(exported: Any) -> None:
    files, verdicts = exported
    assert [found.points for found in verdicts] == [4.0, 4.0] and len(files) == 1
    assert [line.what for line in verdicts[0].lines] == [line.what for line in verdicts[1].lines]


def test_in_a_graded_run_the_one_export_is_of_a_secret_model(answer: Callable[..., Any]) -> None:
    """Else one file, exported from the public model, would be everybody's answer."""
    row, public = table("ex1")["ex1/export"], Here(answer("ex1/export"))
    run(row, public, EXAMINER, VISIBLE)
    file = public.shared["ex1/export"][0].data
    graded = Here(lambda model, path: path.write_bytes(file))
    graded.shared["draw"] = Draw(b"secret")
    assert run(row, graded, EXAMINER, VISIBLE).points == 0
    public.close()
    graded.close()


def test_an_export_that_fails_is_not_called_again_for_the_twin() -> None:
    calls = []

    def export_onnx(model: Any, path: Any) -> None:
        calls.append(path)
        raise ValueError("no")

    row, subject = table("ex1")["ex1/export"], Here(export_onnx)
    verdicts = [run(row, subject, EXAMINER, draw) for draw in (VISIBLE, Draw(b"other"))]
    assert (
        len(calls) == 1 and failing(verdicts[0]) == failing(verdicts[1]) and "ValueError: no" in failing(verdicts[0])[0]
    )


RIGHT: list[tuple[str, list[Change]]] = [
    # an error of another class, and the parser's own way to the file
    ("ex1/parse", [("raise RuntimeError", "raise AssertionError")]),
    ("ex1/parse", [("parser.parse(Path(onnx_path).read_bytes())", "parser.parse_from_file(str(onnx_path))")]),
    # a wider profile
    ("ex1/profile", [("smallest, usual, largest)\n    index", "(1, 1), usual, largest)\n    index")]),
    # two profiles, of which the second is for the smallest shape
    (
        "ex1/profile",
        [
            (
                "    return index",
                "    more = builder.create_optimization_profile()\n"
                "    for i in range(network.num_inputs):\n"
                "        more.set_shape(network.get_input(i).name, smallest, smallest, smallest)\n"
                "    config.add_optimization_profile(more)\n"
                "    return index",
            )
        ],
    ),
    # the size of the file
    ("ex1/build", [("return plan.nbytes", "return Path(path).stat().st_size")]),
    # larger buffers
    ("ex1/buffers", [("trt.volume(context.get_tensor_shape(name))", "2 * trt.volume(context.get_tensor_shape(name))")]),
    # waiting by an event, for the context, by asking; views instead of copies
    ("ex1/enqueue", [("stream.synchronize()", "cuda.Event().record(stream).synchronize()")]),
    ("ex1/enqueue", [("stream.synchronize()", "cuda.Context.synchronize()")]),
    ("ex1/enqueue", [("    stream.synchronize()", "    while not stream.is_done():\n        pass")]),
    ("ex1/enqueue", [("used(name).copy()", "used(name)")]),
    # device memory for the call, freed when it ends
    ("ex1/enqueue", [("    outputs = [", "    spare = cuda.mem_alloc(64)\n    outputs = [")]),
    # the results come back on a stream of their own, ordered by an event
    (
        "ex1/enqueue",
        [
            ("    for name in outputs:\n", "    back = cuda.Stream()\n    back.wait_for_event(cuda.Event().record(stream))\n    for name in outputs:\n"),
            ("buffers[name].device, stream)\n    stream.synchronize()", "buffers[name].device, back)\n    back.synchronize()"),
        ],
    ),
    # another number of warm-ups
    ("ex1/benchmark", [("for _ in range(3):", "for _ in range(5):")]),
]  # fmt: skip


@pytest.mark.parametrize(("ident", "changes"), RIGHT)
def test_right_in_another_way_is_right(ident: str, changes: list[Change], answer: Callable[..., Any]) -> None:
    found = verdict(ident, answer(ident, *changes))
    assert found.points == table("ex1")[ident].points, failing(found)


def _fp16_by_converter(keep: bool) -> Callable[..., Any]:
    def to_fp16(source: Any, target: Any) -> None:
        import onnx
        from onnxconverter_common import float16

        onnx.save(float16.convert_float_to_float16(onnx.load(str(source)), keep_io_types=keep), str(target))

    return to_fp16


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("keep", [True, False])
def test_fp16_by_microsofts_converter_is_right(keep: bool, names: dict[str, Any]) -> None:
    found = verdict("ex1/fp16", _fp16_by_converter(keep), Draw(b"converter"))
    assert found.points == 3, failing(found)


# --- wrong answers --------------------------------------------------------------------------------------------------

# id, changes of the right answer, what the failing line says, what it says happened
WRONG: list[tuple[str, list[Change], str, str]] = [
    ("ex1/parse", [("if not parser.parse(Path(onnx_path).read_bytes()):", "if parser.parse(Path(onnx_path).read_bytes()) is None:")],
     "a file that is cut off raises an error", "no exception"),
    ("ex1/parse", [("parser.get_error(0).desc()", "'it failed'")], "the error says what the parser said first", "it failed"),
    ("ex1/parse", [("return network", "return parser")], "a good file gives its network", "cannot be built"),
    ("ex1/parse", [("{onnx_path} could", "the file could")], "the error says which file it was", "the file could"),
    ("ex1/profile", [("range(network.num_inputs)", "range(network.num_inputs - 1)")],
     "every input of the network is in the profile", "missing dimensions in profile"),
    ("ex1/profile", [("smallest, usual, largest)\n    index", "smallest, largest, largest)\n    index")], "it is made for the usual shape", "asked for"),
    ("ex1/profile", [("smallest, usual, largest)\n    index", "usual, usual, largest)\n    index")], "from the smallest to the largest shape", "is not allowed"),
    ("ex1/profile", [("if index < 0:", "if index is None:")], "smallest above largest", "no exception"),
    ("ex1/profile", [("return index", "return 0")], "the index is returned", "0 where there was one already"),
    ("ex1/profile", [("raise ValueError", "raise RuntimeError")], "raises a ValueError", "RuntimeError"),
    ("ex1/build", [("config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)", "pass")],
     "the workspace limit is the one that was asked for", "asked for"),
    ("ex1/build", [("config.clear_flag(trt.BuilderFlag.TF32)", "pass")], "TF32 is off", "as it is by default"),
    ("ex1/build", [("if plan is None:\n        raise", "if plan is None:\n        return 0\n        raise")], "a build that fails raises a RuntimeError", "no exception"),
    ("ex1/build", [("    config.set_memory", "    open(path, 'wb').close()\n    config.set_memory")], "leaves the last good plan alone", "0 bytes now"),
    ("ex1/build", [("return plan.nbytes", "return None")], "the size of the plan is returned", "None was returned"),
    ("ex1/build", [("Path(path).write_bytes(plan)", "open(path, 'ab').write(plan)")], "a plan that the runtime takes", "magicTag"),
    ("ex1/buffers", [("cuda.pagelocked_empty", "np.empty")], "all host memory is pinned", "pageable: "),
    ("ex1/buffers", [("[2]", "[1]")], "each holds the profile's largest shape", "needs"),
    ("ex1/buffers", [("cuda.mem_alloc(host.nbytes)", "cuda.mem_alloc(host.size)")], "device memory is as large", "needs"),
    ("ex1/buffers", [("cuda.mem_alloc(host.nbytes)", "int(cuda.mem_alloc(host.nbytes))")], "device memory is as large", "0 bytes, needs"),
    ("ex1/buffers", [("trt.nptype(engine.get_tensor_dtype(name))", "np.int32")], "the element type that the engine reports", "int32"),
    ("ex1/buffers", [("return buffers", "return {n: buffers[n] for n in names[:-1]}")], "has a buffer, by its name", "missing: "),
    ("ex1/enqueue", [("    stream.synchronize()\n", "")], "outputs are right", "NaN"),
    ("ex1/enqueue", [("    stream.synchronize()\n", "")], "one synchronisation", "0 waits"),
    ("ex1/enqueue", [("buffers[name].device, stream)\n    stream.synchronize()", "buffers[name].device, stream)\n        stream.synchronize()")],
     "one synchronisation", "2 waits"),
    ("ex1/enqueue", [("used(name)[...] = array\n        cuda.memcpy_htod_async(buffers[name].device, used(name), stream)", "cuda.memcpy_htod_async(buffers[name].device, array, stream)")],
     "all copies are asynchronous", "pageable, synchronous"),
    ("ex1/enqueue", [("used(name), stream)\n    for name, buffer", "buffers[name].host, stream)\n    for name, buffer")],
     "exactly the bytes of the batch are copied", "bytes to the device, expected"),
    ("ex1/enqueue", [("if not context.set_input_shape(name, array.shape):", "if context.set_input_shape(name, array.shape) is None:")],
     "a batch outside the profile raises a ValueError", "no exception"),
    ("ex1/enqueue", [("    outputs = [", "    context = context.engine.create_execution_context()\n    outputs = [")], "nothing is made anew", "contexts were made"),
    ("ex1/enqueue", [("    outputs = [", "    enqueue.kept = [*getattr(enqueue, 'kept', []), cuda.mem_alloc(64)]\n    outputs = [")], "nothing is made anew", "bytes more device memory"),
    ("ex1/enqueue", [("    for name, buffer in buffers.items():\n        context", "    for name, buffer in ({} if hasattr(enqueue, 'set') else buffers).items():\n        enqueue.set = 1\n        context")],
     "outputs are right", "NaN"),
    ("ex1/benchmark", [("for _ in range(3):", "for _ in range(0):")], "is warmed up at least twice", "not warmed up"),
    ("ex1/benchmark", [("{batch[0].shape: batch for batch in batches}", "{len(batch[0]): batch for batch in batches}")], "is warmed up", "not warmed up"),
    ("ex1/benchmark", [("samples += len(input_ids)", "samples += len(batches[0][0])")], "samples are the rows", "counted"),
    ("ex1/benchmark", [("times.append(time.perf_counter() - start)", "times.append((time.perf_counter() - start) / 2)")],
     "samples a second are samples by the time", "ms on the clock"),
    ("ex1/benchmark", [("* 1000", "* 1")], "in milliseconds", "median_ms"),
    ("ex1/benchmark", [("len(times) < 5 or sum(times) < seconds", "len(times) < 3")], "at least 5 runs", "runs is 3"),
    ("ex1/benchmark", [("        start =", "        cuda.mem_alloc(16)\n        start =")], "the device does only what", "alloc"),
    ("ex1/benchmark", [("    return {", "    median = np.mean(times) * 1000\n    return {")], "median, p5 and p95", "which is the mean"),
    ("ex1/benchmark", [("% len(batches)]", "% (len(batches) - 1)]")], "the batches are timed in turn", "timed"),
    ("ex1/benchmark", [('"p5_ms": p5', '"p5": p5')], "it returns the six figures", "p5_ms"),
]  # fmt: skip


@pytest.mark.parametrize(("ident", "changes", "line", "happened"), WRONG)
def test_wrong_answers_lose_the_point_of_the_line_that_says_why(
    ident: str, changes: list[Change], line: str, happened: str, answer: Callable[..., Any]
) -> None:
    found = verdict(ident, answer(ident, *changes))
    assert found.points < table("ex1")[ident].points
    lost = [entry for entry in found.lines if entry.holds is False and line in entry.what]
    assert lost, "\n".join(failing(found))
    assert happened in lost[0].happened and lost[0].hint


def _copied(source: Any, target: Any) -> None:
    Path(target).write_bytes(Path(source).read_bytes())


def _converted(source: Any, target: Any, *, outputs: bool, mask: float) -> None:
    """FP16 by hand; the mask's constant becomes `mask`."""
    import onnx
    from onnx import numpy_helper

    proto = onnx.load(str(source))
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor)
            values = np.where(values < -1e30, mask, values).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values.reshape(tuple(tensor.dims)), tensor.name))
    for output in proto.graph.output if outputs else ():
        output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(proto, str(target))


def _in_a_function(source: Any, target: Any) -> None:
    """The FP32 graph, unchanged, inside a local function; beside it FP16 that no output depends on."""
    import onnx
    from onnx import helper, numpy_helper

    proto = onnx.load(str(source))
    graph = proto.graph
    inputs, outputs = [t.name for t in graph.input], [t.name for t in graph.output]
    constants = [helper.make_node("Constant", [], [t.name], value=t) for t in graph.initializer]
    function = helper.make_function(
        "local", "Whole", inputs, outputs, [*constants, *graph.node], list(proto.opset_import)
    )
    unused = numpy_helper.from_array(np.ones((64, 64), np.float16), "unused")
    for field in ("node", "initializer"):
        graph.ClearField(field)
    graph.node.append(helper.make_node("Whole", inputs, outputs, domain="local"))
    graph.node.append(helper.make_node("MatMul", ["unused", "unused"], ["nowhere"]))
    graph.initializer.append(unused)
    proto.functions.append(function)
    proto.opset_import.append(helper.make_opsetid("local", 1))
    onnx.save(proto, str(target))


FP16_WRONG = [
    (_in_a_function, "weights and activations are FP16", "0 bytes of weights in FP16"),
    (_copied, "weights and activations are FP16", "0 bytes of weights in FP16"),
    (lambda s, t: _converted(s, t, outputs=True, mask=-np.inf), "finite also for a text", "NaN or infinite"),
    (lambda s, t: _converted(s, t, outputs=True, mask=-65504), "finite also for a text", "NaN or infinite"),
    (lambda s, t: _converted(s, t, outputs=False, mask=-1e4), "the target is valid ONNX", "differs from"),
    (lambda s, t: None, "the target is valid ONNX", "no file"),
    (lambda s, t: Path(t).write_bytes(b"ONNX"), "the target is valid ONNX", "no ONNX model"),
]


@pytest.mark.parametrize(("function", "line", "happened"), FP16_WRONG)
def test_wrong_graphs_in_fp16(function: Any, line: str, happened: str, names: dict[str, Any]) -> None:
    found = verdict("ex1/fp16", function)
    lost = [entry for entry in found.lines if entry.holds is False and line in entry.what]
    assert lost and happened in lost[0].happened, failing(found)


def test_a_wrong_export_keeps_the_points_of_what_is_right(exported: Any) -> None:
    import onnx

    def export_onnx(model: Any, path: Any) -> None:  # the weights of the visible check are always the same
        proto = onnx.load_model_from_string(exported[0][0])
        for entry in proto.opset_import:
            entry.version = 21 if entry.domain in ("", "ai.onnx") else entry.version
        del proto.graph.value_info[:]
        proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
        onnx.save(proto, str(path))

    found = verdict("ex1/export", export_onnx)
    lost = {line.what.partition(",")[0]: line.happened for line in found.lines if not line.holds}
    assert "opset 21" in lost.get("opset 20", ""), lost
    assert "input_ids axis 0 is 2" in lost["batch and sequence of both inputs are dynamic"]
    assert 0 < found.points < 4

    def beside(model: Any, path: Any) -> None:
        onnx.save(onnx.load_model_from_string(exported[0][0]), str(path), save_as_external_data=True, location="w.bin")

    lines = failing(verdict("ex1/export", beside))
    assert "one file, with the weights inside" in lines[0] and "w.bin" in lines[0] and len(lines) == 1


def test_a_graph_without_the_models_weights_earns_nothing(names: dict[str, Any]) -> None:
    def export_onnx(model: Any, path: Any) -> None:
        import onnx

        text = """<ir_version: 10, opset_import: ["" : 20]>
            g (int64[batch, sequence] input_ids, int64[batch, sequence] attention_mask) => (float[batch, sequence] logits) {
                both = Mul (input_ids, attention_mask)
                logits = Cast <to = 1> (both)
            }"""
        onnx.save(onnx.parser.parse_model(text), str(path))

    found = verdict("ex1/export", export_onnx)
    assert found.points == 0 and "its weights are not in the file" in failing(found)[0]


# --- untrusted replies ----------------------------------------------------------------------------------------------


class _Always:
    """Equal to everything, larger and smaller than everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __lt__ = __le__ = __gt__ = __ge__ = __ne__ = __eq__  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return self

    def __getitem__(self, key: Any) -> Any:
        return self

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self


class _Endless(dict):  # type: ignore[type-arg]
    def __iter__(self) -> Iterator[str]:
        n = 0
        while True:
            n += 1
            yield str(n)

    def __missing__(self, key: Any) -> Any:
        return np.nan


ODD = [
    None, 3, "text", {}, [np.nan], np.empty(0), np.array(1.0), np.array([None, "a"], object), np.array(["a"]), _Always(),
    _Endless(), float("nan"), 10**400, {"median_ms": float("inf")}, (yield_ for yield_ in "ab"), 1j,
]  # fmt: skip


@pytest.mark.parametrize("ident", IDS)
def test_odd_values_break_no_check_and_earn_nothing(ident: str, names: dict[str, Any]) -> None:
    for value in ODD:
        found = verdict(ident, lambda *arguments, value=value, **named: value)
        assert found.points == 0 and failing(found), (value, failing(found))
        assert "the answer can be examined" not in failing(found)[0]


@pytest.mark.parametrize("ident", QUICK)
def test_values_odd_only_behind_a_right_run_lose_and_break_nothing(ident: str, answer: Callable[..., Any]) -> None:
    right = answer(ident)
    if ident == "ex1/fp16":
        return  # it returns nothing that is looked at
    for value in (None, _Always(), np.array([None], object), {}):

        def function(*arguments: Any, value: Any = value) -> Any:
            right(*arguments)
            return value

        found = verdict(ident, function)
        assert found.points < table("ex1")[ident].points and failing(found)


def test_outputs_that_the_device_did_not_compute_do_not_count(answer: Callable[..., Any]) -> None:
    """The right numbers, computed beside an execution on other inputs, earn nothing at all."""
    right = answer("ex1/enqueue")
    kept: dict[str, Any] = {}

    def enqueue(context: Any, buffers: Any, stream: Any, inputs: Any) -> Any:
        result = right(context, buffers, stream, inputs)
        zeros = {name: np.zeros_like(array) for name, array in inputs.items()}
        kept.setdefault("calls", []).append(right(context, buffers, stream, zeros))
        return result

    found = verdict("ex1/enqueue", enqueue)  # executed twice, copied twice
    assert {line.what.split(" ")[0] for line in found.lines if not line.holds} == {"exactly", "one"}

    def forged(context: Any, buffers: Any, stream: Any, inputs: Any) -> Any:
        zeros = {name: np.zeros_like(array) for name, array in inputs.items()}
        result = right(context, buffers, stream, zeros)
        return {name: array * 0 + 1 for name, array in result.items()}

    found = verdict("ex1/enqueue", forged)
    assert found.points == 0


def test_a_plan_whose_manifest_lies_is_no_good_plan(answer: Callable[..., Any]) -> None:
    from dataclasses import replace

    from helpers.simulator.plan import open_plan

    right = answer("ex1/build", ("config.clear_flag(trt.BuilderFlag.TF32)", "pass"))

    def build_plan(builder: Any, network: Any, config: Any, path: Any, workspace: int) -> int:
        size = right(builder, network, config, path, workspace)
        plan = open_plan(Path(path).read_bytes())
        settings = dict(plan.settings) | {"flags": []}
        Path(path).write_bytes(replace(plan, settings=settings).serialize())
        return int(size)

    found = verdict("ex1/build", build_plan)
    assert found.points == 0 and "NVIDIA's part differs" in failing(found)[0]


# --- the report -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ident", IDS)
def test_what_is_not_attempted_earns_nothing_and_says_so(ident: str, names: dict[str, Any]) -> None:
    def unattempted(*arguments: Any, **named: Any) -> None:
        raise NotImplementedError

    found = verdict(ident, unattempted)
    assert found.status == "not attempted" and found.points == 0 and not failing(found)


@pytest.mark.parametrize("ident", IDS)
def test_an_exception_is_one_line_with_a_hint_and_no_traceback(ident: str, names: dict[str, Any]) -> None:
    def broken(*arguments: Any, **named: Any) -> None:
        raise AttributeError("'NoneType' object has no attribute 'x'\nsecond line")

    found = verdict(ident, broken)
    (line,) = found.lines
    assert found.points == 0 and line.hint
    assert (
        "AttributeError: 'NoneType' object has no attribute 'x' second line; in your line: raise Attr" in line.happened
    )


def test_what_tensorrt_said_stands_beside_what_happened(answer: Callable[..., Any]) -> None:
    found = verdict(
        "ex1/enqueue", answer("ex1/enqueue", ("context.set_tensor_address(name, int(buffer.device))", "pass"))
    )
    assert "the execution was refused" in failing(found)[0] and "Address is not set for input" in failing(found)[0]


def test_what_is_no_function_is_said(names: dict[str, Any]) -> None:
    assert "not callable" in failing(verdict("ex1/build", 3))[0]


def _row(points: float = 4.0, judge: Any = None) -> Check:
    return Check("ex1/x", "a title", points, "x", judge)


def test_a_check_and_its_twin_count_line_by_line() -> None:
    def made(*holds: bool | None) -> Verdict:
        lines = [Line(f"line {i}", hold, 1.0, "h", "n") for i, hold in enumerate(holds)]
        return Verdict(0.0, lines, "judged")

    row = _row()
    assert both(row, made(True, True, True, True), made(True, True, True, True)) == (4.0, [])
    assert both(row, made(True, True, False, True), made(True, False, True, True)) == (2.0, ["line 1"])
    assert both(row, made(True, None, None, True), made(True, None, True, True)) == (4.0, [])
    # what stopped the twin stands in no line of the visible check
    stopped = Verdict(0.0, [Line("it runs", False, 0.0)], "judged")
    points, lost = both(row, made(True, True, True, True), stopped)
    assert points == 0 and lost[-1] == "it runs" and len(lost) == 5
    assert both(row, made(True), Verdict(0.0, [], "not attempted")) == (0.0, ["the same on other inputs"])
    assert heading(row, 2.5) == "ex1/x  a title: 2.5 of 4 points"


def test_what_cannot_be_judged_counts_neither_way() -> None:
    report = Report()
    report.expect("one", True, 1.0)
    report.skip("two", 2.0, "no record here")
    report.expect("three", False, 1.0, "nothing", "try again")
    assert report.points(4.0) == 2.0
    assert [str(line)[:4] for line in report.lines] == ["  ✓ ", "  – ", "  ✗ "]
    assert [line.row() for line in report.lines] == [
        ["✓", "one", "", ""],
        ["–", "two", "no record here", ""],
        ["✗", "three", "nothing", "try again"],
    ]
    assert report.points(2.0) == 0.0  # nothing is left that could be judged


def test_a_process_that_is_gone_is_no_verdict_and_a_broken_answer_is_a_line() -> None:
    def raising(error: Exception) -> Check:
        def judge(subject: Any, examiner: Any, report: Report, draw: Draw) -> None:
            raise error

        return _row(judge=judge)

    with pytest.raises(Gone):
        run(raising(Gone("it ended")), Here(print), None, VISIBLE)
    for error in (Raised("X", ("X",), "y"), TypeError("t"), KeyError("k"), RuntimeError("r"), OSError("o")):
        found = run(raising(error), Here(print), None, VISIBLE)
        assert found.points == 0 and "the answer can be examined" in failing(found)[0]


def test_an_answer_whose_cell_failed_is_not_there() -> None:
    class Failed(Here):
        def answer(self) -> Any:
            raise Raised("NameError", ("NameError",), "name 'x' is not defined: its cell failed")

    found = run(_row(judge=lambda *_: pytest.fail("judged")), Failed(None), None, VISIBLE)
    assert found.points == 0 and "x is there" in failing(found)[0] and "its cell" in found.lines[0].hint


def test_texts_of_a_students_stay_short_and_printable() -> None:
    assert one_line("a\n b\x1b[31m" + "c" * 500) == "a b?[31m" + "c" * 292
    assert short(list(range(100))) == "a list of 100 values"
    assert short(np.zeros((2, 3))) == "an array of float64, shape [2, 3]"
    assert short(b"abc") == "3 bytes"


# --- comparisons ----------------------------------------------------------------------------------------------------


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


# --- the examiner ---------------------------------------------------------------------------------------------------

TINY = """<ir_version: 10, opset_import: ["" : 20]>
    tiny (float[n] x) => (float[n] y) <float w = {2.0}> { y = Mul (x, w) }"""


@pytest.fixture(scope="module")
def tiny(names: dict[str, Any]) -> bytes:
    import onnx

    return bytes(onnx.parser.parse_model(TINY).SerializeToString())


def test_a_plan_is_proved_by_building_it_again(tiny: bytes) -> None:
    from dataclasses import replace

    from helpers.simulator.plan import open_plan

    data = EXAMINER.build(tiny, {"x": [[1], [2], [4]]})
    facts = EXAMINER.plan(data, True)
    assert facts["problem"] == "" and facts["profiles"] == [{"x": [[1], [2], [4]]}]
    assert facts["onnx"] == EXAMINER.onnx(tiny)["sha256"] and "TF32" in facts["flags"]
    assert facts["tensors"] == [["x", "INPUT", "FLOAT", [-1]], ["y", "OUTPUT", "FLOAT", [-1]]]

    plan = open_plan(data)
    wider = replace(plan, profiles=({"x": ((1,), (2,), (64,))},)).serialize()
    assert "differs" in EXAMINER.plan(wider, True)["problem"] and not EXAMINER.plan(wider, False)["problem"]
    for changed, why in (
        (replace(plan, weight_bytes=1), "differs in weight_bytes"),
        (replace(plan, settings=dict(plan.settings) | {"magic": 1}), "magic"),
        (replace(plan, settings=dict(plan.settings) | {"memory_pools": {"ODD": 1}}), "WORKSPACE"),
        (replace(plan, settings=dict(plan.settings) | {"tactic_sources": "all"}), "cannot be applied"),
        (replace(plan, onnx=b"odd"), "no ONNX model"),
        (replace(plan, profiles=({"x": ((4,), (2,), (1,))},)), "expected min <= opt <= max"),
    ):
        assert why in EXAMINER.plan(changed.serialize(), True)["problem"], why
    assert "empty memory buffer" in EXAMINER.plan(b"", True)["problem"]
    with pytest.raises(ValueError, match="does not parse"):
        EXAMINER.build(b"odd", {})
    with pytest.raises(ValueError, match="does not build"):
        EXAMINER.build(tiny, {})


def test_settings_of_all_kinds_are_applied_again(tiny: bytes) -> None:
    import tensorrt as trt

    subject = Here(None)
    logger = subject.logger().inside
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(tiny)
    network.name, network.get_input(0).name = "a name", "other"
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.builder_optimization_level, config.max_aux_streams = 1, 2
    config.clear_flag(trt.BuilderFlag.TF32)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 123 << 20)
    profile = builder.create_optimization_profile()
    profile.set_shape("other", (1,), (2,), (4,))
    config.add_optimization_profile(profile)
    facts = EXAMINER.plan(bytes(builder.build_serialized_network(network, config)), True)
    assert facts["problem"] == "" and facts["workspace"] == 123 << 20 and "TF32" not in facts["flags"]
    assert facts["tensors"][0][0] == "other"


def test_onnx_that_keeps_weights_outside_is_refused_by_name(tiny: bytes) -> None:
    import onnx

    proto = onnx.load_model_from_string(tiny)
    weight = proto.graph.initializer[0]
    weight.data_location = onnx.TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "/etc/hostname"
    data = bytes(proto.SerializeToString())
    assert EXAMINER.onnx(data)["external"] == ["w"]
    for arithmetic in (RUNTIME, TRUE_FP16):
        reply = EXAMINER.run_onnx(data, {"x": np.ones(2, np.float32)}, arithmetic)
        assert "another file: w" in reply["problem"] and not reply["outputs"]
    from dataclasses import replace

    from helpers.simulator.plan import open_plan

    plan = replace(open_plan(EXAMINER.build(tiny, {"x": [[1], [2], [4]]})), onnx=data)
    assert "keeps w in another file" in EXAMINER.plan(plan.serialize(), True)["problem"]


def test_what_onnx_declares_and_computes(tiny: bytes, tmp_path: Path) -> None:
    from helpers import precision

    facts = EXAMINER.onnx(tiny)
    assert facts["inputs"] == {"x": ["FLOAT", ["n"]]} and facts["opset"] == 20 and facts["initializers"] == {"FLOAT": 4}
    assert (
        "no ONNX model" in EXAMINER.onnx(b"odd")["problem"]
        and EXAMINER.parse_error(b"odd")
        and not EXAMINER.parse_error(tiny)
    )
    x = np.ones(2, np.float32)
    assert EXAMINER.run_onnx(tiny, {"x": x}, RUNTIME)["outputs"]["y"].tolist() == [2.0, 2.0]
    assert EXAMINER.run_onnx(tiny, {"z": x}, RUNTIME)["problem"]
    with pytest.raises(ValueError, match="no arithmetic"):
        EXAMINER.run_onnx(tiny, {"x": x}, "guessing")
    planted = precision.planted_overflow(tmp_path / "planted.onnx").read_bytes()
    one = {"x": np.ones(1, np.float16)}
    assert EXAMINER.run_onnx(planted, one, RUNTIME)["outputs"]["y"].tolist() == [1.0]
    assert "Mul node" in EXAMINER.run_onnx(planted, one, TRUE_FP16)["problem"]
