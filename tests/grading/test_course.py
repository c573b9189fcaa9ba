"""A class: workers, the gradebook, what survives a regrade, the three words, the key, similarity.

Verdicts are real `Graded` values; the judge itself has its own tests. The gradebook, the workers' processes and
nbgrader's code are the real ones.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import nbformat
import pytest

from helpers.grading import collect, commands, course, sandbox, similarity
from helpers.grading.judge import Graded

from .classroom import ASSIGNMENT, graded, hand_in, new_course, release, submission, work_dies, work_full

KEY = b"k" * 32


@pytest.fixture
def room(tmp_path: Path) -> course.Course:
    return new_course(tmp_path)


def one(student: str = "ada", timestamp: str = "") -> collect.Submission:
    return collect.Submission(student, Path("x.ipynb"), timestamp=timestamp)


def answered(text: str = "Because of the maximum.") -> Any:
    def edit(cells: dict[str, Any]) -> None:
        cells["answer-1"].source = text

    return submission(edit)


def test_the_three_words_and_the_points(room: course.Course) -> None:
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        full = sum(cell.metadata.nbgrader.points for cell in release().cells if cell.id in book.checks)
        book.record(one("zero"), graded(submission(), 0.0), {})
        assert book.status("zero") == (course.GRADED, 0.0)  # a graded zero is a zero
        book.record(one("full"), graded(submission()), {})
        assert book.status("full") == (course.GRADED, full)
        book.record(one("writer"), graded(answered()), {})
        assert book.status("writer") == (course.AWAITING, full)
        book.record(one("broken"), Graded("failed to grade", "it is a link"), {})
        assert book.status("broken") == (course.FAILED, None)
        assert book.status("nobody") == (course.MISSING, None)
        assert str(book.row("broken", Graded("failed to grade", "it is a link"))).endswith(
            "failed to grade: it is a link"
        )


def test_a_failed_regrade_takes_the_old_points_away(room: course.Course) -> None:
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        book.record(one(), graded(submission()), {})
        book.record(one(), Graded("failed to grade", "too large"), {})
        assert book.status("ada") == (course.FAILED, None)
        shown = nbformat.read(room.autograded("ada", ASSIGNMENT), as_version=4)
        assert "too large" in shown.cells[0].source
        for name in book.checks:  # marked by hand in formgrader
            grade = book._grade("ada", name)
            grade.manual_score, grade.needs_manual_grade = 1.0, False
        book.gradebook.db.commit()
        assert book.status("ada") == (course.GRADED, float(len(book.checks)))


def test_manual_points_and_comments_survive_a_regrade_of_the_same_answer(room: course.Course) -> None:
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        book.record(one(), graded(answered()), {})
        grade = book._grade("ada", "answer-1")
        assert grade.needs_manual_grade and grade.auto_score is None
        grade.manual_score, grade.needs_manual_grade = 3.0, False
        comment = book.gradebook.find_comment("answer-1", ASSIGNMENT, ASSIGNMENT, "ada")
        comment.manual_comment = "well said"
        book.gradebook.db.commit()

        for verdict in (graded(answered()), Graded("failed to grade", "x"), graded(answered())):
            book.record(one(), verdict, {})
        grade = book._grade("ada", "answer-1")
        assert (grade.manual_score, grade.needs_manual_grade) == (3.0, False)
        assert book.status("ada")[0] == course.GRADED

        book.record(one(), graded(answered("Something else.")), {})
        grade = book._grade("ada", "answer-1")
        assert (grade.manual_score, grade.needs_manual_grade) == (3.0, True)
        assert book.status("ada")[0] == course.AWAITING
        comment = book.gradebook.find_comment("answer-1", ASSIGNMENT, ASSIGNMENT, "ada")
        assert comment.manual_comment == "well said"


def test_points_set_by_hand_stand_until_the_automatic_ones_change(room: course.Course) -> None:
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        book.record(one(), graded(submission(), 0.5), {})
        grade = book._grade("ada", "check-build")
        grade.manual_score, grade.needs_manual_grade = 4.0, False
        book.gradebook.db.commit()
        book.record(one(), graded(submission(), 0.5), {})
        assert not book._grade("ada", "check-build").needs_manual_grade
        book.record(one(), graded(submission(), 0.0), {})
        grade = book._grade("ada", "check-build")
        assert grade.needs_manual_grade and grade.manual_score == 4.0


def test_nbgrader_reads_the_same_points_out_of_the_notebook(room: course.Course) -> None:
    from nbgrader.utils import determine_grade

    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        verdict = graded(answered(), {"check-build": 0.5, "check-parse": 0.0})
        book.record(one(), verdict, {})
        for cell in nbformat.read(room.autograded("ada", ASSIGNMENT), as_version=4).cells:
            if cell.id in book.checks:
                assert determine_grade(cell)[0] == verdict.cells[cell.id].points
            elif cell.id in book.answers:
                assert determine_grade(cell)[0] == (None if cell.id == "answer-1" else 0)


@pytest.mark.parametrize(("method", "left"), [("none", 32.0), ("zero", 0.0)])
def test_nbgraders_late_penalty(method: str, left: float, room: course.Course) -> None:
    (room.root / "nbgrader_config.py").write_text(f"c.LateSubmissionPlugin.penalty_method = {method!r}\n")
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        book.gradebook.update_or_create_assignment(ASSIGNMENT, duedate="2026-11-01 12:00:00 UTC")
        book.record(one("late", "2026-11-02 12:00:00 UTC"), graded(submission()), {})
        book.record(one("early", "2026-10-31 12:00:00 UTC"), graded(submission()), {})
        full = book.status("early")[1]
        assert full and book.status("late") == (course.GRADED, full if left else 0.0)
        assert (room.autograded("late", ASSIGNMENT).parent / "timestamp.txt").read_text().startswith("2026-11-02")


def test_a_resubmission_brings_its_own_time_or_none(room: course.Course) -> None:
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        book.gradebook.update_or_create_assignment(ASSIGNMENT, duedate="2026-11-01 12:00:00 UTC")
        book.record(one("ada", "2026-11-02 12:00:00 UTC"), graded(submission()), {})
        assert book.gradebook.find_submission(ASSIGNMENT, "ada").total_seconds_late == 24 * 3600
        book.record(one("ada"), graded(submission()), {})
        assert book.gradebook.find_submission(ASSIGNMENT, "ada").timestamp is None
        book.record(one("ada", "tomorrow, I hope"), graded(submission()), {})
        row = book.row("ada", graded(submission()))
        assert row.notes == ["its time 'tomorrow, I hope' cannot be read: no late penalty"]
        assert row.notes[0] in str(row)


def test_the_row_says_which_of_several_files_counts(room: course.Course) -> None:
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        book.record(collect.Submission("ada", Path("x.ipynb"), earlier=2, file="ada-2.ipynb"), graded(submission()), {})
        assert "ada-2.ipynb counts, of 3 files" in str(book.row("ada", graded(submission())))


def test_explain_replays_the_file_that_was_graded(
    room: course.Course, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        sandbox.check()
    except sandbox.SandboxError as error:
        pytest.skip(str(error))
    there = hand_in(tmp_path / "elsewhere", "ada", submission())
    course.grade_class(
        ASSIGNMENT,
        room,
        there.parents[2],
        workers=1,
        class_key=KEY,
        say=lambda line: None,
        progress=False,
        work=work_full,
    )
    record = course.read_record(room.record("ada", ASSIGNMENT))
    assert room.root / record["path"] == there and record["sha256"] == collect.digest(there)
    key = tmp_path / "key"
    arguments = ["explain", "ada", "ex1/export", "--course", str(room.root), "--key", str(key)]
    assert commands.main(arguments) == 0
    said = capsys.readouterr().out
    assert "check-export: 0 of 4 points, not attempted" in said and "is not what was graded" not in said
    there.write_text(there.read_text() + "\n")
    assert commands.main(arguments) == 0
    assert f"note: {there} is not what was graded" in capsys.readouterr().out
    there.unlink()
    assert commands.main(arguments) == 1
    assert "the class was graded from there" in capsys.readouterr().err


def test_what_formgrader_shows_is_harmless(room: course.Course) -> None:
    def edit(cells: dict[str, Any]) -> None:
        cells["answer-1"].source = "<script>x</script> [a](javascript:alert(1)) 1 < 2"
        cells["title"].attachments = {"a": {"text/html": "<script>"}}

    verdict = graded(submission(edit))
    for cell in verdict.notebook["cells"]:
        if cell["cell_type"] == "code" and "nbgrader" not in cell["metadata"]:
            html = '<script>x</script><img src=x onerror=y><svg onload=z></svg><b onclick="q">bold</b>'
            cell["outputs"] = [{"output_type": "display_data", "data": {"text/html": html}, "metadata": {"x": 1}}]
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        book.record(one(), verdict, {})
    text = room.autograded("ada", ASSIGNMENT).read_text()
    for live in ("<script", "<svg", "<img", "onerror=y", "onclick", "javascript:", "attachments"):
        assert live not in text, live
    assert "bold" in text and "1 < 2" in text


def test_a_class_gives_the_same_with_one_and_two_workers(
    room: course.Course, capsys: pytest.CaptureFixture[str]
) -> None:
    for student in ("ada", "ben_half", "cyd"):
        hand_in(room.root, student, submission())
    hand_in(room.root, "dee", "no notebook")
    hand_in(room.root, "eve", json.dumps({"cells": 3}))
    found = {}
    for workers in (1, 2):
        lines: list[str] = []
        rows, unmatched = course.grade_class(
            ASSIGNMENT, room, workers=workers, class_key=KEY, say=lines.append, progress=False, work=work_full
        )
        assert len(lines) == 5 and not unmatched
        found[workers] = [(r.student, r.status, r.points, r.checks) for r in rows]
    assert found[1] == found[2]
    rows_by = {row[0]: row for row in found[1]}
    assert rows_by["ada"][1:3] == (course.GRADED, 32.0) and rows_by["ben_half"][2] == 16.0
    assert rows_by["dee"][1:3] == rows_by["eve"][1:3] == (course.FAILED, None)


def test_a_dying_worker_costs_one_submission(room: course.Course) -> None:
    for student in ("ada", "killer", "raiser", "zoe"):
        hand_in(room.root, student, submission())
    rows, _ = course.grade_class(
        ASSIGNMENT, room, workers=1, class_key=KEY, say=lambda line: None, progress=False, work=work_dies
    )
    facts = {row.student: (row.status, row.reason) for row in rows}
    assert facts["ada"] == facts["zoe"] == (course.GRADED, "")
    assert facts["killer"][0] == course.FAILED and "signal 9" in facts["killer"][1]
    assert facts["raiser"] == (course.FAILED, "the grader stopped: RecursionError: too deep")


def work_unwritable(job: course.Job) -> str:
    """A verdict with half a character in it, which no file can hold, for whoever is called so."""
    verdict = graded(json.loads(Path(job.path).read_text("utf-8")))
    if job.student == "half":
        verdict.notebook["cells"][0]["source"] = "half \ud800 character"
    return json.dumps(verdict.as_dict())


def test_a_verdict_that_cannot_be_written_costs_one_submission(room: course.Course) -> None:
    for student in ("half", "zoe"):
        hand_in(room.root, student, submission())
    rows, _ = course.grade_class(
        ASSIGNMENT, room, workers=1, class_key=KEY, say=lambda line: None, progress=False, work=work_unwritable
    )
    facts = {row.student: (row.status, row.points) for row in rows}
    assert facts == {"half": (course.FAILED, None), "zoe": (course.GRADED, 32.0)}
    assert "could not be written" in next(row.reason for row in rows if row.student == "half")


def test_a_huge_file_is_not_read_and_costs_itself_alone(room: course.Course) -> None:
    hand_in(room.root, "ada", submission())
    path = hand_in(room.root, "huge", "x")
    with open(path, "wb") as file:
        file.truncate(40 << 30)  # a hole: takes no room, and no memory would hold it
    rows, _ = course.grade_class(
        ASSIGNMENT, room, workers=1, class_key=KEY, say=lambda line: None, progress=False, work=work_full
    )
    facts = {row.student: (row.status, row.reason) for row in rows}
    assert facts["ada"] == (course.GRADED, "")
    assert facts["huge"] == (course.FAILED, "it is too large: 40.00 GiB, allowed 50.0 MiB")


def test_links_and_absent_files_fail_with_the_reason(room: course.Course) -> None:
    path = hand_in(room.root, "ada", submission())
    linked = room.root / "submitted" / "bob" / ASSIGNMENT
    linked.mkdir(parents=True)
    os.symlink(path, linked / f"{ASSIGNMENT}.ipynb")
    rows, _ = course.grade_class(
        ASSIGNMENT, room, workers=1, class_key=KEY, say=lambda line: None, progress=False, work=work_full
    )
    bob = next(row for row in rows if row.student == "bob")
    assert bob.status == course.FAILED and "is a link" in bob.reason


def test_a_roster_closes_the_class(room: course.Course) -> None:
    hand_in(room.root, "ada", submission())
    hand_in(room.root, "stranger", submission())
    roster = room.root / "roster.csv"
    roster.write_text("id,first_name,last_name\nada,Ada,Lovelace\nben,Ben,Absent\n")
    rows, unmatched = course.grade_class(
        ASSIGNMENT, room, class_key=KEY, roster=roster, say=lambda line: None, progress=False, work=work_full
    )
    assert [row.student for row in rows] == ["ada"]
    assert unmatched == [(f"stranger/{ASSIGNMENT}", "no student of the roster has this id")]
    assert "1 belong to nobody" in course.table(rows, unmatched, 1.0)


def test_nothing_to_grade_is_said(room: course.Course, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    key = tmp_path / "key"
    for arguments, said in (
        (("ex99", room, None), "there is no release"),
        ((ASSIGNMENT, room, None), "there is no"),
        ((ASSIGNMENT, room, tmp_path / "nothing.zip"), "there is no"),
    ):
        assert course.main(*arguments, 1, False, key, None) == 1
        assert said in capsys.readouterr().err
    (room.root / "submitted").mkdir()
    assert course.main(ASSIGNMENT, room, None, 1, False, key, None) == 1
    assert "there is no submission" in capsys.readouterr().err


def test_another_release_does_not_mix_with_graded_submissions(room: course.Course) -> None:
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        book.record(one(), graded(submission()), {})
    other = release()
    other.cells = [cell for cell in other.cells if cell.id not in ("question-5", "answer-5")]
    with (
        pytest.raises(course.CourseError, match="The release has other cells"),
        course.Book(room, ASSIGNMENT, other, prepare=True),
    ):
        pass


def test_a_gradebook_that_does_not_know_the_assignment(room: course.Course) -> None:
    with pytest.raises(course.CourseError, match="first: make autograde"), course.Book(room, ASSIGNMENT, release()):
        pass


def test_the_record_is_the_instructors(room: course.Course) -> None:
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        book.record(one(), graded(submission(), 0.5), {"reference": 12.0})
    record = course.read_record(room.record("ada", ASSIGNMENT))
    assert record["similar"] == {"reference": 12.0} and record["cells"]["check-build"]["hidden"]
    assert "notebook" not in record
    assert course.read_record(room.record("nobody", ASSIGNMENT)) == {}


# --- the key ---


def test_the_key_is_made_once_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    made = course.key()
    path = tmp_path / "tensorrt-course" / "class.key"
    assert len(made) >= 32 and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert course.key() == made
    monkeypatch.setenv("COURSE_KEY", str(tmp_path / "other"))
    assert course.key() != made
    path.chmod(0o644)
    with pytest.raises(course.CourseError, match="chmod 600"):
        course.key(path)
    (tmp_path / "short").write_bytes(b"x")
    (tmp_path / "short").chmod(0o600)
    with pytest.raises(course.CourseError, match="expected 16"):
        course.key(tmp_path / "short")


def test_two_first_uses_at_once_read_the_same_key(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    place = tmp_path / "new" / "class.key"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: course.key(place), range(8)))
    assert len(set(found)) == 1 and len(found[0]) == 64
    assert [path.name for path in place.parent.iterdir()] == ["class.key"]


def test_a_key_inside_the_repository_is_refused() -> None:
    with pytest.raises(course.CourseError, match="lies in the repository"):
        course.key(course.ROOT / "class.key")
    assert not (course.ROOT / "class.key").exists()


# --- similarity ---


def test_renaming_and_layout_change_nothing_and_other_work_does() -> None:
    one = "def f(a, b):\n    total = a.size + b.size  # sum\n    return total"
    two = "def g(x, y):\n    s = (x.size\n         + y.size)\n    return s"
    other = "def f(a, b):\n    for i in range(3):\n        print(i)\n    return None"
    grams = {name: similarity.grams({"todo-a": text}, {}) for name, text in (("1", one), ("2", two), ("3", other))}
    assert similarity.alike(grams["1"], grams["1"]) == 100
    assert similarity.alike(grams["1"], grams["2"]) > 60 > 40 > similarity.alike(grams["1"], grams["3"])
    assert similarity.alike(similarity.grams({}, {}), similarity.grams({}, {})) == 0
    assert similarity.tokens("def f(:\n  '''") != []


def test_similarity_to_the_reference_and_to_each_other(tmp_path: Path) -> None:
    import jupytext

    reference = course.ROOT / "solutions" / ASSIGNMENT / f"{ASSIGNMENT}.py"
    solved = {cell.metadata.tags[0]: cell.source for cell in jupytext.read(reference).cells}

    def copied(cells: dict[str, Any]) -> None:
        for name, cell in cells.items():
            if name.startswith("todo-") and cell.cell_type == "code":
                cell.source = solved[name]

    paths = {
        "copy": hand_in(tmp_path, "copy", submission(copied)),
        "empty": hand_in(tmp_path, "empty", submission()),
        "junk": hand_in(tmp_path, "junk", "junk"),
    }
    found = similarity.compare(paths, release(), reference)
    assert found["copy"]["reference"] == 100 and found["empty"]["reference"] == found["junk"]["reference"] == 0
    assert found["copy"]["nearest"] is None
    paths["twin"] = paths["copy"]
    found = similarity.compare(paths, release(), None)
    assert found["copy"] == {"reference": None, "nearest": "twin", "other": 100.0}
    assert similarity.words(found["copy"]) == "100 % like twin"
