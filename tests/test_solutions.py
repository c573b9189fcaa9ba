"""The notebook of Exercise 1: well-formed, without the modules that are its answers; solved and unsolved it runs to its
end. Each of the two is run once, with short benchmarks, and looked at from several sides."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers import walkthrough
from helpers.grading.check import table

NOTEBOOK = Path(__file__).parents[1] / "solutions" / "ex1_distilbert" / "ex1_distilbert.py"
ANSWERS = ("helpers.export", "helpers.engine", "helpers.runtime")


@pytest.fixture(scope="module")
def cells() -> list[Any]:
    import jupytext

    found: list[Any] = jupytext.read(NOTEBOOK).cells
    return found


def test_every_cell_has_one_short_tag_of_its_own(cells: list[Any]) -> None:
    tags = [cell.metadata.get("tags", []) for cell in cells]
    assert all(len(own) == 1 and re.fullmatch(r"[a-z0-9-]{2,24}", own[0]) for own in tags)
    assert len({own[0] for own in tags}) == len(tags)


def test_text_form_and_notebook_form_are_the_same(cells: list[Any]) -> None:
    import jupytext

    notebook = jupytext.read(NOTEBOOK)
    again = jupytext.reads(jupytext.writes(notebook, fmt="ipynb"), fmt="ipynb")
    assert [(cell.cell_type, cell.source) for cell in again.cells] == [(cell.cell_type, cell.source) for cell in cells]
    # after the header, which carries jupytext's own version
    written, kept = (
        text.split("# ---\n")[-1].strip()
        for text in (jupytext.writes(notebook, fmt="py:percent"), NOTEBOOK.read_text())
    )
    assert written == kept


def test_each_check_of_the_table_is_called_once_and_its_todo_stands_before_it(cells: list[Any]) -> None:
    code = [cell.source.strip() for cell in cells if cell.cell_type == "code"]
    for row in table("ex1").values():
        grade = f'check("{row.id}", {row.todo})'
        assert code.count(grade) == 1
        todo = next(source for source in code if f"def {row.todo}(" in source)
        assert code.index(todo) < code.index(grade)
        assert todo.count("### BEGIN SOLUTION") == todo.count("### END SOLUTION") == 1


def test_cells_that_the_prose_cites_exist(cells: list[Any]) -> None:
    captions = {
        name
        for cell in cells
        if cell.cell_type == "code"
        for name in re.findall(r'caption\(\s*"([a-z-]+)"', cell.source)
    }
    cited = {
        name
        for cell in cells
        if cell.cell_type == "markdown"
        for name in re.findall(r"\[([a-z]+(?:-[a-z]+)*)\]", cell.source)
    }
    assert cited and cited <= captions
    questions = [cell for cell in cells if cell.metadata["tags"][0].startswith("question-")]
    assert len(questions) == 5 and all("*Cite [" in " ".join(cell.source.split()) for cell in questions)
    tags = [cell.metadata["tags"][0] for cell in cells]
    assert all(f"{kind}-{n}" in tags for kind in ("answer", "guide") for n in range(1, 6))


def test_a_todo_needs_the_imports_and_the_glue_alone_and_none_brings_the_answers(
    cells: list[Any], tmp_path: Path
) -> None:
    """What the grader runs for one TODO; the modules that are answers are absent there."""
    code = {cell.metadata["tags"][0]: cell.source for cell in cells if cell.cell_type == "code"}
    given = [source for tag, source in code.items() if tag == "imports" or tag.startswith("glue-")]
    todos = {tag: source for tag, source in code.items() if tag.startswith(("todo-", "free-"))}
    assert "helpers.grading" in given[0] and len(todos) == len(table("ex1")) + 1
    program = f"""
import sys
for name in {ANSWERS!r}:
    sys.modules[name] = None
for todo in {list(todos.values())!r}:
    names = {{"__name__": "__main__"}}
    for source in {given!r}:
        exec(source, names)
    exec(todo, names)
import helpers.grading.checks.ex1_distilbert
print("all of them ran")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(NOTEBOOK.parents[2]), "TRT_BACKEND": "simulator", "MPLBACKEND": "agg"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("all of them ran")


# --- the notebook as students get it --------------------------------------------------------------------------------

# What a student might do at the end of the unedited notebook, a cell each
AFTERWARDS = (
    """
def parse_network(builder, onnx_path, logger):
    network = builder.create_network(NETWORK_FLAGS)
    trt.OnnxParser(network, logger).parse(Path(onnx_path).read_bytes())
    return network
""",
    'check("ex1/parse", parse_network)',
    'hint("ex1/parse")',
    'hint("ex1/parse")',
    'hint("ex1/parse")',
    'hint("ex1/parse")',
    'check("ex1/parse", parse_network)',
    "print(len(build('again', onnx_fp16, (1, 64), (2, 64), (4, 64)).engine_layers) > 3)",
    None,  # the reference answer to ex1/parse
    'check("ex1/parse", parse_network)',
    "print(len(build('again', onnx_fp16, (1, 64), (2, 64), (4, 64)).engine_layers) > 3)",
    'hint("ex1/enqueue")',
    'hint("ex1/parse")',
    "progress()",
)


def _text(cell: Any) -> str:
    """What a code cell shows, as plain text."""
    parts = [out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.outputs]
    return "".join(parts)


@pytest.fixture(scope="module")
def unsolved(cells: list[Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[Any], Path]:
    """The notebook without its solutions, by nbgrader's own hand, run in a folder of its own.

    Its cells by tag, the cells that were run behind it, and the folder.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbgrader.preprocessors import ClearSolutions

    notebook = nbformat.v4.new_notebook(cells=[])
    for cell in cells:
        tag = cell.metadata["tags"][0]
        if cell.cell_type == "code":
            mine = tag.startswith(("todo-", "free-"))
            new = nbformat.v4.new_code_cell(cell.source, id=tag)
            new.metadata["nbgrader"] = {"schema_version": 3, "solution": mine, "grade": False, "grade_id": tag}
            notebook.cells.append(new)
    notebook, _ = ClearSolutions().preprocess(notebook, {})
    released = {cell.id: cell for cell in notebook.cells}
    assert not [tag for tag, cell in released.items() if "SOLUTION" in cell.source]
    reference = next(cell.source for cell in cells if cell.metadata["tags"] == ["todo-parse"])
    behind = [nbformat.v4.new_code_cell(source or reference) for source in AFTERWARDS]
    notebook.cells += behind
    folder = tmp_path_factory.mktemp("unsolved") / "ex1_distilbert"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        settings = {"BENCH_SECONDS": "0.05", "TRT_BACKEND": "simulator", "MODEL": "small", "OMP_WAIT_POLICY": "PASSIVE"}
        for name, value in (settings | {"PYTHONPATH": str(NOTEBOOK.parents[2])}).items():
            patch.setenv(name, value)
        NotebookClient(
            notebook,
            kernel_manager_class=walkthrough._kernel_manager(),
            allow_errors=True,
            timeout=300,
            shutdown_kernel="immediate",
            resources={"metadata": {"path": str(folder)}},
        ).execute()
    return released, behind, folder


def test_the_unedited_notebook_runs_to_its_end_and_reports_each_todo_once(unsolved: Any) -> None:
    released, behind, _ = unsolved
    errors = [(cell.id, out.ename, out.evalue) for cell in [*released.values(), *behind] for out in cell.outputs
              if out.output_type == "error"]  # fmt: skip
    assert not errors
    assert "This run of the notebook took" in _text(released["time-taken"])
    for row in table("ex1").values():
        text = _text(released[f"check-{row.id.partition('/')[2]}"])
        assert text.count("not attempted") == 1 and f"0 of {row.points:g} points" in text
        assert text.endswith("0.0")  # the cell's value, which nbgrader takes for points
    others = [cell for tag, cell in released.items() if not tag.startswith("check-") and tag != "progress"]
    assert [cell.id for cell in others if "not attempted" in _text(cell)] == ["last-cell"]


def test_each_stand_in_says_once_that_it_stands_in(unsolved: Any) -> None:
    released, _, _ = unsolved
    said = "".join(_text(cell) for cell in released.values())
    for number, row in enumerate(table("ex1").values(), 1):
        line = f"({row.todo}: the course's stand-in; TODO {number} has not passed its check and earns nothing here)"
        assert said.count(line) == 1


def test_later_cells_say_with_stand_ins_what_they_say_with_answers(unsolved: Any) -> None:
    released, _, _ = unsolved
    assert "16,384 bytes" in _text(released["record"])
    assert re.search(r"FP16, text|PyTorch's own accuracy", _text(released["parity"]))
    assert "does not satisfy any optimization profiles" in str(released["batch-range"].outputs)


def test_hints_go_from_the_failing_line_to_the_solution(unsolved: Any) -> None:
    _, behind, _ = unsolved
    failed, first, second, third, last = (_text(cell) for cell in behind[1:6])
    row = table("ex1")["ex1/parse"]
    assert 'hint("ex1/parse") gives a hint' in failed and "happened:" in failed
    assert "ex1/parse, hint 1 of 3:" in first and "parser.parse returns False" in first
    assert "hint 2 of 3" in second and row.hints[0] in second
    assert "hint 3 of 3" in third and row.hints[1] in third
    assert "--- yours" in last and "+++ solution" in last and "+    parser = trt.OnnxParser(network, logger)" in last
    assert "SOLUTION" not in last
    assert row.hints[0] not in failed + first  # a check gives no hints, and the first is the line's own


def test_a_function_that_passes_is_back_in_its_place(unsolved: Any) -> None:
    _, behind, _ = unsolved
    again, used, passed, used_again = (_text(behind[i]) for i in (6, 7, 9, 10))
    # the check run again while the stand-in is bound judges the student's function
    assert again.split("\n")[0] == _text(behind[1]).split("\n")[0] and "3 of 3 points" not in again
    assert "parse_network: the course's stand-in" in used and used.strip().endswith("True")
    assert "3 of 3 points" in passed and "1 of 8 TODOs done; hidden twins count too" in passed
    assert "stand-in" not in used_again and used_again.strip().endswith("True")
    assert "hint 1 of 2" in _text(behind[11])  # nothing was attempted: no line of its own to begin with
    assert "all lines of the check hold" in _text(behind[12])


def test_progress_is_shown_and_kept(unsolved: Any) -> None:
    released, behind, folder = unsolved
    assert _text(released["progress"]).count("not attempted") == 8
    text = _text(behind[13])
    assert re.search(r"2 +parse_network .* 3 of 3 +done", text) and "1 of 8 done" in text
    assert "hidden twin" in text and "<table>" in behind[13].outputs[0].data["text/html"]
    kept = json.loads((folder / ".progress.json").read_text())
    assert kept["checks"]["ex1/parse"] == {"points": 3.0, "attempted": True}


# --- the solved notebook --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[walkthrough.Result, str]:
    """The notebook, run once with short benchmarks; what it was, and the page as plain text."""
    folder = tmp_path_factory.mktemp("solutions") / "ex1_distilbert"
    folder.mkdir()
    source = folder / NOTEBOOK.name
    last = '\n# %% tags=["test"]\nimport sys\n'
    last += f'print("answers imported:", sorted(set({ANSWERS!r}) & set(sys.modules)))\n'
    source.write_text(NOTEBOOK.read_text(encoding="utf-8") + last, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_SECONDS", "0.05")
        patch.setenv("TRT_BACKEND", "simulator")
        patch.setenv("MODEL", "small")
        result = walkthrough.run(source, folder / "page.html", progress=False)
    text = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", result.page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return result, " ".join(html.unescape(text).split())


def test_it_runs_to_its_end_with_pictures_that_have_words(page: tuple[walkthrough.Result, str]) -> None:
    result, text = page
    assert result.failure is None and result.errors == 0, result.failure
    assert result.images >= 5 and result.without_alt == 0
    assert "This run of the notebook took" in text
    assert "answers imported: []" in text
    assert not (result.page.parent / ".progress.json").exists()  # the page's run is nobody's progress


def test_the_page_shows_no_warning_and_no_path_of_this_machine(page: tuple[walkthrough.Result, str]) -> None:
    result, text = page
    assert "Warning:" not in text and "site-packages" not in text
    assert str(result.page.parent) not in text


def test_the_early_read_is_run_and_named(page: tuple[walkthrough.Result, str]) -> None:
    _, text = page
    assert "y, read at once: [nan nan nan nan]" in text
    assert "Read too early: copy device to host of tensor 'y', 16 bytes" in text
    assert "y, after synchronize: [2. 4. 6. 8.]" in text


def test_sizes_outside_the_profile_are_refused_in_tensorrts_words(page: tuple[walkthrough.Result, str]) -> None:
    _, text = page
    for batch, limits in ((15, "[16,64]..[128,64]"), (129, "[16,64]..[128,64]"), (0, "[1,64]..[128,64]")):
        assert (
            f"Set dimension [{batch},64] for tensor input_ids does not satisfy any optimization profiles. Valid range for "
            f"profile 0: {limits}."
        ) in text


def test_the_reference_answers_earn_all_points(page: tuple[walkthrough.Result, str]) -> None:
    _, text = page
    for row in table("ex1").values():
        assert f"{row.id} {row.title}: {row.points:g} of {row.points:g} points" in text
    assert "stand-in; TODO" not in text and "8 of 8 done" in text


def test_parity_holds_and_the_planted_overflow_is_caught(page: tuple[walkthrough.Result, str]) -> None:
    _, text = page
    assert re.search(r"FP32 FP32 \S+ 1e-04 yes 100\.00% 0", text)
    assert re.search(r"FP16 FP16 storage, FP32 arithmetic \S+ 2e-02 yes (100\.00|99\.[5-9]\d)% \d+", text)
    assert "ONNX Runtime on CPU behind TensorRT's API: passes." in text
    assert "true FP16 (onnx.reference): Mul node" in text and "2 infinite" in text


def test_predictions_are_revealed(page: tuple[walkthrough.Result, str]) -> None:
    _, text = page
    assert "input bytes of a batch of 16: 16,384 bytes. You said 131,072 bytes: 8 times too high." in text
    assert "set_input_shape for a batch of 129 returns: False." in text
    assert "activation memory for a maximum batch of 256 over 128: 2 times." in text
