"""A submission laid over its release."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.grading import merge


def _cell(key, source, kind="code", **graded):
    metadata = {"tags": [key]} | ({"nbgrader": {"grade_id": key, **graded}} if graded else {})
    return {"id": key, "cell_type": kind, "metadata": metadata, "source": source}


RELEASE = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"course": {"answers": {}}},
    "cells": [
        _cell("title", "# Title", "markdown"),
        _cell("imports", "import math"),
        _cell("todo-a", "def a():\n    raise NotImplementedError()", solution=True, grade=False),
        _cell("check-a", 'check("ex/a", a)', solution=False, grade=True, points=2),
        _cell("given", "print(a())"),
        _cell("answer-1", "YOUR ANSWER HERE", "markdown", solution=True, grade=True, points=4),
    ],
}


def _submission(**changes):
    submission = copy.deepcopy(RELEASE)
    for cell in submission["cells"]:
        if cell["id"] in changes:
            cell["source"] = changes[cell["id"]]
    return submission


def _sources(notebook):
    return [cell["source"] for cell in notebook["cells"]]


def test_answers_are_taken_and_nothing_else():
    merged, mended = merge.merge(
        RELEASE, _submission(**{"todo-a": "def a(): return 1", "check-a": "4.0", "given": "x", "answer-1": "because"})
    )
    assert _sources(merged) == [
        "# Title",
        "import math",
        "def a(): return 1",
        'check("ex/a", a)',
        "print(a())",
        "because",
    ]
    assert sorted(m.split("]")[0] for m in mended) == ["[check-a", "[given"]


def test_own_cells_run_behind_the_cell_that_they_followed():
    submission = _submission()
    submission["cells"].insert(3, {"cell_type": "code", "metadata": {}, "source": ["y = 1\n", "z"], "outputs": []})
    submission["cells"].insert(0, {"cell_type": "markdown", "metadata": {}, "source": "my notes"})
    merged, mended = merge.merge(RELEASE, submission)
    assert _sources(merged)[0] == "my notes"
    assert _sources(merged)[4] == "y = 1\nz" and merged["cells"][4]["metadata"] == {"tags": ["own"]}
    assert not mended


def test_what_is_missing_doubled_relabelled_or_moved_is_mended_and_said():
    submission = _submission(**{"todo-a": "first"})
    twice = copy.deepcopy(submission["cells"][2]) | {"source": "second", "id": "other"}
    submission["cells"].append(twice)
    del submission["cells"][3]
    submission["cells"].reverse()
    merged, mended = merge.merge(RELEASE, submission)
    assert [merge.key_of(c) for c in merged["cells"]] == [merge.key_of(c) for c in RELEASE["cells"]]
    assert merged["cells"][2]["source"] == "second"  # the first one in the student's order
    text = "\n".join(mended)
    assert "[check-a] was missing" in text and "[todo-a] is there twice" in text and "another order" in text

    relabelled = _submission()
    relabelled["cells"][3]["metadata"]["nbgrader"] |= {"solution": True, "grade": False, "points": 99}
    merged, _ = merge.merge(RELEASE, relabelled)
    assert merged["cells"][3] == RELEASE["cells"][3] | {"outputs": [], "execution_count": None}


def test_ids_that_another_editor_lost_are_found_by_grade_id_and_tag():
    submission = _submission(**{"todo-a": "mine"})
    for index, cell in enumerate(submission["cells"]):
        cell["id"] = f"colab{index}"
    merged, mended = merge.merge(RELEASE, submission)
    assert merged["cells"][2]["source"] == "mine" and not mended


def test_too_many_own_cells_are_not_run():
    submission = _submission()
    submission["cells"] += [{"cell_type": "code", "metadata": {}, "source": "pass"}] * (merge.OWN_CELLS + 1)
    merged, mended = merge.merge(RELEASE, submission)
    assert len(merged["cells"]) == len(RELEASE["cells"]) and "none was run" in mended[0]


@pytest.mark.parametrize("broken", [{}, {"cells": None}, {"cells": [1]}, {"cells": "x"}])
def test_what_is_no_notebook_is_refused(broken):
    with pytest.raises(ValueError, match="no notebook"):
        merge.merge(RELEASE, broken)


_strange = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_cells = st.lists(
    st.fixed_dictionaries(
        {"cell_type": st.sampled_from(["code", "markdown", "raw", 3]), "source": _strange, "metadata": _strange},
        optional={"id": st.sampled_from(["todo-a", "check-a", "title", "zzz"])},
    ),
    max_size=6,
)


@given(_cells)
def test_whatever_comes_the_release_is_the_skeleton(cells):
    merged, _ = merge.merge(RELEASE, {"cells": cells})
    keys = [merge.key_of(cell) for cell in merged["cells"] if cell["metadata"].get("tags") != ["own"]]
    assert keys == [merge.key_of(cell) for cell in RELEASE["cells"]]
    assert [c for c in merged["cells"] if merge.is_check(c)] == [
        RELEASE["cells"][3] | {"outputs": [], "execution_count": None}
    ]
    assert all(isinstance(cell["source"], str) for cell in merged["cells"])
