"""Mutants of the reference answers: small damages made by rule, each of which its check must see.

Every statement is deleted, every integer made one larger and one smaller, adjacent positional arguments change places,
comparisons are turned round, booleans and `not` are negated. A mutant is killed where the cell no longer runs, or its
check gives it less than full points on visible or on hidden inputs, or it does not end. One that behaves as the
reference does stands in `equivalent.json`, beside the corpus, with the reason.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import fnmatch
import io
import json
import logging
import multiprocessing
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from .check import ASSIGNMENTS
from .corpus import SUBMISSIONS, cell_of, class_key, solved

SECONDS = 90.0  # for one mutant; the two exports of Exercise 2 take 8 where nothing else runs
# What every mutant imports, once. Forking behind these is safe: none of them has computed anything yet.
PRELOADED = [
    *("torch", "torch.onnx", "transformers", "onnx", "onnxruntime", "onnxscript", "matplotlib.pyplot", "pandas"),
    *("IPython.display", "jupytext", "helpers.benchmark", "helpers.data", "helpers.models", "helpers.plots"),
    *("helpers.grading.checks.ex1_distilbert", "helpers.grading.checks.ex2_distilgpt2"),
]

_FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True)
class Mutant:
    """One damage to one answer. `name` tells it apart: the check, the rule, and the place in the source."""

    check: str
    name: str
    source: str


def mutants(check: str, source: str) -> list[Mutant]:
    """Every mutant of a cell, in the order of the source; two that read the same are one."""
    tree = ast.parse(source)
    found: dict[str, Mutant] = {}
    seen = {ast.unparse(tree)}
    for what, changed in _changes(tree):
        text = ast.unparse(ast.fix_missing_locations(changed))
        if text in seen:
            continue
        seen.add(text)
        name, number = what, 2
        while name in found:
            name, number = f"{what} ({number})", number + 1
        found[name] = Mutant(check, name, text)
    return list(found.values())


def _changes(tree: ast.Module) -> Iterator[tuple[str, ast.Module]]:
    count = sum(1 for _ in ast.walk(tree))
    for index in range(count):
        node = _node(tree, index)
        for number in range(_rules(node)):
            changed = copy.deepcopy(tree)
            what = _damage(changed, _node(changed, index), number)
            if what:
                yield what, changed


def _node(tree: ast.AST, index: int) -> ast.AST:
    return next(node for i, node in enumerate(ast.walk(tree)) if i == index)


def _rules(node: ast.AST) -> int:
    """How many damages a node offers."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return 2
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        return 1
    if isinstance(node, ast.Call):
        return max(0, len(node.args) - 1)
    if isinstance(node, ast.Compare):
        return len(node.ops)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return 1
    if isinstance(node, ast.BoolOp):
        return 1
    bodies = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
    return sum(len(body) for body in bodies if isinstance(body, list))


def _damage(tree: ast.Module, node: Any, number: int) -> str:
    """Damage a node in place; what was done, in words, or nothing."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        value = node.value
        node.value += 1 if number == 0 else -1
        return f"{value} becomes {node.value} in `{_line(tree, node)}`"
    if isinstance(node, ast.Constant):
        node.value = not node.value
        return f"{not node.value} becomes {node.value} in `{_line(tree, node)}`"
    if isinstance(node, ast.Call):
        before = ast.unparse(node)
        node.args[number], node.args[number + 1] = node.args[number + 1], node.args[number]
        return f"`{before}` becomes `{ast.unparse(node)}`"
    if isinstance(node, ast.Compare):
        before = ast.unparse(node)
        node.ops[number] = _FLIPPED[type(node.ops[number])]()
        return f"`{before}` becomes `{ast.unparse(node)}`"
    if isinstance(node, ast.UnaryOp):
        before = ast.unparse(node)
        _replace(tree, node, node.operand)
        return f"`{before}` loses its not"
    if isinstance(node, ast.BoolOp):
        before = ast.unparse(node)
        node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        return f"`{before}` becomes `{ast.unparse(node)}`"
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, [])
        if not isinstance(body, list):
            continue
        if number < len(body):
            gone = body[number]
            documented = isinstance(gone, ast.Expr) and isinstance(gone.value, ast.Constant)
            if isinstance(gone, ast.FunctionDef | ast.ClassDef) or documented:
                return ""
            body[number] = ast.Pass()
            return f"without `{_head(gone)}`"
        number -= len(body)
    return ""


def _replace(tree: ast.Module, old: ast.AST, new: ast.AST) -> None:
    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return new if node is old else self.generic_visit(node)

    Replace().visit(tree)


def _head(node: ast.stmt) -> str:
    """The first line of a statement."""
    return ast.unparse(node).splitlines()[0]


def _line(tree: ast.Module, node: Any) -> str:
    """The first line of the innermost statement around a node."""
    around = [s for s in ast.walk(tree) if isinstance(s, ast.stmt) and any(n is node for n in ast.walk(s))]
    return _head(around[-1])


# --- running --------------------------------------------------------------------------------------------------------


def equivalent(assignment: str) -> dict[str, dict[str, str]]:
    """Mutants that behave as the reference does: {check: {name: reason}}; under "cases" the same of known answers."""
    path = SUBMISSIONS / assignment / "equivalent.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _cells(assignment: str) -> dict[str, str]:
    """Source of the solved notebook's code cells by tag."""
    cells = solved(assignment)["cells"]
    return {cell["metadata"]["tags"][0]: cell["source"] for cell in cells if cell["cell_type"] == "code"}


def all_mutants(assignment: str, only: str = "*") -> list[Mutant]:
    """Mutants of every TODO whose check ("ex1/build") fits the pattern."""
    from .release import table

    cells = _cells(assignment)
    chosen = [ident for ident in table(assignment) if fnmatch.fnmatch(ident, only)]
    return [m for ident in chosen for m in mutants(ident, cells[cell_of(ident)])]


def _judge(mutant: Mutant, answers: Any, folder: str) -> None:
    """In a process of its own: sends the reason why the mutant is dead, or an empty text. All files go to `folder`."""
    from . import report
    from .check import row_of
    from .draw import VISIBLE, secret
    from .examiner import Examiner
    from .subject import Here

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)  # what a broken answer provokes is not to be read
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    os.chdir(folder)
    with contextlib.redirect_stdout(io.StringIO()):
        space: dict[str, Any] = {"__name__": "__main__", "get_ipython": lambda: None}
        row = row_of(mutant.check)
        assignment = ASSIGNMENTS[mutant.check.partition("/")[0]]
        for tag, source in _cells(assignment).items():
            if tag == "imports" or tag.startswith("glue-"):
                exec(source, space)
        try:
            exec(compile(mutant.source, mutant.check, "exec"), space)
            subject = Here(space[row.todo])
            dead = ""
            hidden = secret(class_key(0), assignment, mutant.check, b"mutant")
            for draw in (VISIBLE, hidden):
                verdict = report.run(row, subject, Examiner(), draw)
                if verdict.points < row.points:
                    dead = next((line.what for line in verdict.lines if line.holds is False), verdict.status)
                    break
        except Exception as error:
            dead = f"{type(error).__name__}: {error}"
    answers.send(dead)


def run(assignment: str, workers: int = 2, only: str = "*", quiet: bool = False) -> dict[str, Any]:
    """Judge every mutant: {"made", "killed", "equivalent", "alive": [names], "unknown": [listed, but not made]}."""
    from tqdm import tqdm

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    known = equivalent(assignment)
    todo = all_mutants(assignment, only if "/" in only and not only.startswith("*") else "*")
    made, survivors = len(todo), []
    running: dict[Any, tuple[Mutant, Any, float, tempfile.TemporaryDirectory[str]]] = {}
    os.environ.setdefault("BENCH_SECONDS", "0.05")
    with tqdm(total=made, unit="mutant", smoothing=0.05, disable=quiet) as bar:
        queue = iter(todo)
        while True:
            while len(running) < workers and (mutant := next(queue, None)) is not None:
                ours, theirs = context.Pipe(duplex=False)
                folder = tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True)
                process = context.Process(target=_judge, args=(mutant, theirs, folder.name), daemon=True)
                process.start()
                theirs.close()
                running[ours] = mutant, process, time.monotonic(), folder
            if not running:
                break
            ready: list[Any] = wait(list(running), timeout=1.0) or _late(running)
            for ours in ready:
                mutant, process, _, folder = running.pop(ours)
                try:
                    dead = ours.recv() if ours.poll() else "it does not end"
                except EOFError:
                    dead = "the process ended"
                process.kill()
                process.join()
                ours.close()
                folder.cleanup()
                bar.update()
                if not dead:
                    survivors.append(mutant)
    listed = {(check, name) for check, names in known.items() if check != "cases" for name in names}
    alive = [m for m in survivors if (m.check, m.name) not in listed]
    everything = {(m.check, m.name) for m in todo}
    checks = {m.check for m in todo}
    return {
        "made": made,
        "killed": made - len(survivors),
        "equivalent": len(survivors) - len(alive),
        "alive": [f"{m.check}: {m.name}" for m in alive],
        "unknown": [f"{c}: {n}" for c, n in sorted(listed - everything) if c in checks],
    }


def _late(running: dict[Any, tuple[Mutant, Any, float, Any]]) -> list[Any]:
    now = time.monotonic()
    return [ours for ours, (_, _, started, _) in running.items() if now - started > SECONDS]
