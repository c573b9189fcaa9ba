"""Downloads of learning platforms: whose is which, what is refused, and that nothing is lost."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path

import pytest

from helpers.grading import collect
from helpers.grading.collect import Person

A = "ex1_distilbert"
PEOPLE = [
    Person("ada", "Ada", "Lovelace", "ada@example.edu", "1001"),
    Person("ndarc", "Noël", "d'Arc", "nd@example.edu", "1002"),
    Person("jsmith1", "John", "Smith", "js1@example.edu", "1003"),
    Person("jsmith2", "John", "Smith", "js2@example.edu", "1004"),
    Person("wei", "小明", "王", "wei@example.edu"),
]


def zipped(path: Path, files: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for name, data in files.items():
            out.writestr(name, data)
    return path


def taken(course: Path, student: str) -> str:
    return (course / "submitted" / student / A / f"{A}.ipynb").read_text()


def test_canvas_the_latest_attempt_wins_and_all_stay(tmp_path: Path) -> None:
    source = zipped(
        tmp_path / "submissions.zip",
        {
            f"lovelaceada_1001_501_{A}.ipynb": "first",
            f"lovelaceada_1001_502_{A}-1.ipynb": "second",
            f"lovelaceada_LATE_1001_503_{A}-10.ipynb": "last",
            "lovelaceada_1001_504_notes.ipynb": "other",
            f"darcnoel_LATE_77_77_{A}.ipynb": "by name",
        },
    )
    found = collect.collect(source, A, tmp_path, PEOPLE)
    assert {s.student: (s.late, s.earlier, s.problem) for s in found.submissions} == {
        "ada": (True, 3, ""),
        "ndarc": (True, 0, ""),
    }
    assert taken(tmp_path, "ada") == "last" and taken(tmp_path, "ndarc") == "by name"
    kept = {path.read_text() for path in (tmp_path / "downloaded").rglob("*.ipynb")}
    assert kept == {"first", "second", "last", "other", "by name"}
    assert not found.unmatched


def test_the_notebook_beside_the_graded_one_is_no_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebooks = tmp_path / "notebooks"
    for name in (A, f"{A}.old", "ex1_evidence"):
        (notebooks / A).mkdir(parents=True, exist_ok=True)
        (notebooks / A / f"{name}.ipynb").touch()
    assert collect.companions(A, notebooks) == {"ex1_evidence"}
    monkeypatch.setattr(collect, "companions", lambda assignment: {"ex1_evidence"})
    source = zipped(
        tmp_path / "submissions.zip",
        {
            f"lovelaceada_1001_501_{A}.ipynb": "graded",
            "lovelaceada_1001_502_ex1_evidence.ipynb": "later, and not graded",
            "darcnoel_1002_503_ex1_evidence-1.ipynb": "alone",
        },
    )
    found = {s.student: s for s in collect.collect(source, A, tmp_path, PEOPLE).submissions}
    assert taken(tmp_path, "ada") == "graded" and found["ada"].earlier == 1 and not found["ada"].problem
    assert "which is not graded; expected ex1_distilbert.ipynb" in found["ndarc"].problem


BLACKBOARD = r".*_(?P<student_id>\w+)_attempt_(?P<timestamp>[0-9\-]+)_(?P<file_id>[\w-]+)"
PLAIN = r"(?P<student_id>\w+)_(?P<timestamp>[0-9\- :]+)_(?P<file_id>\w+)"


@pytest.mark.parametrize(
    ("pattern", "names", "latest"),
    [
        # Canvas: a later attempt under another name; a later upload under another name
        ("", (f"lovelaceada_1001_501_{A}.ipynb", "lovelaceada_1001_900_solution-1.ipynb"), 1),
        ("", (f"lovelaceada_1001_501_{A}.ipynb", "lovelaceada_1001_900_solution.ipynb"), 1),
        ("", (f"lovelaceada_1001_1000_{A}-1.ipynb", f"lovelaceada_1001_999_{A}-2.ipynb"), 1),
        # Moodle: what stands behind a name is the student's own, so the right name counts
        (
            "",
            (f"Ada Lovelace_1_assignsubmission_file_/{A}.ipynb", "Ada Lovelace_1_assignsubmission_file_/a-3.ipynb"),
            0,
        ),
        # a time counts, whatever the name, and as a time
        (BLACKBOARD, (f"x_ada_attempt_2026-01-30-15-00-00_{A}.ipynb", "x_ada_attempt_2026-02-01-09-00-00_a.ipynb"), 1),
        (
            BLACKBOARD,
            (f"x_ada_attempt_2026-02-01-15-00-00_{A}.ipynb", "x_ada_attempt_2026-01-01-09-00-00_b-3.ipynb"),
            0,
        ),
        (PLAIN, (f"ada_2026-9-30_{A}.ipynb", f"ada_2026-10-02_{A}.ipynb"), 1),
        (PLAIN, (f"ada_99-99-99_{A}.ipynb", f"ada_2026-10-02_{A}.ipynb"), 1),
        # no notebook is never better than one
        ("", (f"lovelaceada_1001_501_{A}.ipynb", "lovelaceada_1001_900_report-4.pdf"), 0),
    ],
)
def test_the_latest_counts(pattern: str, names: tuple[str, str], latest: int, tmp_path: Path) -> None:
    for number, name in enumerate(names):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(str(number))
    (found,) = collect.collect(tmp_path / "in", A, tmp_path, PEOPLE, pattern).submissions
    assert (found.file, found.earlier, found.problem) == (names[latest], 1, "")
    assert taken(tmp_path, "ada") == str(latest)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_files_of_other_kinds_and_zips_are_listed(packed: bool, tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {f"work/{A}.ipynb": "inside", "work/model.onnx": b"1"}).read_bytes()
    files = {
        "lovelaceada_1001_501_work.pdf": b"1",
        "smithjohn_1003_502_work.zip": inner,
        "smithjohn_1004_503_work.zip": b"no zip",
        "darcnoel_1002_504_text.html": b"1",
        "notes.txt": b"1",
        ".DS_Store": b"1",
    }
    source = tmp_path / "in"
    if packed:
        source = zipped(tmp_path / "all.zip", files)  # type: ignore[arg-type]
    else:
        source.mkdir()
        for name, data in files.items():
            (source / name).write_bytes(data)
    found = collect.collect(source, A, tmp_path, PEOPLE)
    assert {s.student: s.problem for s in found.submissions} == {
        "ada": "it is no notebook",
        "jsmith1": "",
        "jsmith2": "it is no zip: File is not a zip file",
        "ndarc": "it is no notebook",
    }
    assert taken(tmp_path, "jsmith1") == "inside"
    assert found.unmatched == [("notes.txt", "its name is neither Canvas's nor Moodle's; it is no notebook")]


def test_a_time_with_hyphens_is_that_time() -> None:
    when = collect._HYPHENS.sub(collect._with_colons, "2026-01-30-15-30-10")
    assert str(collect.moment(when)) == "2026-01-30 15:30:10"
    assert str(collect.moment("2026-01-30 15:30:10+01:00")) == "2026-01-30 14:30:10"
    assert collect.moment("") is None and collect.moment("tomorrow, I hope") is None


def test_a_later_download_replaces_and_keeps_what_it_replaces(tmp_path: Path) -> None:
    for number, text in enumerate(("old", "new", "new")):
        source = zipped(tmp_path / f"{number}.zip", {f"lovelaceada_1001_50{number}_{A}.ipynb": text})
        collect.collect(source, A, tmp_path, PEOPLE)
    assert taken(tmp_path, "ada") == "new"
    (replaced,) = (tmp_path / "downloaded" / A / "replaced").iterdir()
    assert replaced.read_text() == "old" and replaced.name.startswith("ada-")


@pytest.mark.parametrize("flat", [False, True], ids=["in folders", "flat"])
def test_moodle(flat: bool, tmp_path: Path) -> None:
    between = "" if flat else "/"
    source = zipped(
        tmp_path / "moodle.zip",
        {
            f"Ada Lovelace_123_assignsubmission_file_{between}{A}.ipynb": "ada",
            f"王 小明_124_assignsubmission_file_{between}my work.ipynb": "wei",
            f"Nobody Known_125_assignsubmission_file_{between}{A}.ipynb": "x",
        },
    )
    found = collect.collect(source, A, tmp_path, PEOPLE)
    assert [s.student for s in found.submissions] == ["ada", "wei"]
    assert taken(tmp_path, "wei") == "wei"
    ((name, why),) = found.unmatched
    assert name.startswith("Nobody Known") and why == "'Nobody Known' matches nobody in the roster"


def test_names_that_match_nobody_or_two_are_listed(tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    for name in (f"smithjohn_9_1_{A}.ipynb", f"smithjohn_1004_2_{A}.ipynb", "homework.ipynb", f"ghost_8_3_{A}.ipynb"):
        (folder / name).write_text(name)
    found = collect.collect(folder, A, tmp_path, PEOPLE)
    assert [s.student for s in found.submissions] == ["jsmith2"]  # the platform's number decides
    assert dict(found.unmatched) == {
        f"smithjohn_9_1_{A}.ipynb": "'smithjohn' is 2 students: jsmith1, jsmith2; rename the file",
        "homework.ipynb": "its name is neither Canvas's nor Moodle's",
        f"ghost_8_3_{A}.ipynb": "'ghost' matches nobody in the roster",
    }
    assert len(list(folder.iterdir())) == 4


def test_nbgraders_zip_collect_pattern(tmp_path: Path) -> None:
    pattern = r".*_(?P<student_id>\w+)_attempt_(?P<timestamp>[0-9\-]+)_(?P<file_id>\w+)"
    source = zipped(
        tmp_path / "ps1.zip",
        {
            f"ps1_ada_attempt_2026-01-30-15-00-00_{A}.ipynb": "early",
            f"ps1_ada_attempt_2026-02-01-09-00-00_{A}.ipynb": "late",
            "whatever.ipynb": "",
        },
    )
    found = collect.collect(source, A, tmp_path, PEOPLE, pattern)
    assert [(s.student, s.timestamp) for s in found.submissions] == [("ada", "2026-02-01 09:00:00")]
    assert taken(tmp_path, "ada") == "late"
    assert (tmp_path / "submitted/ada" / A / "timestamp.txt").read_text() == "2026-02-01 09:00:00\n"
    assert found.unmatched == [("whatever.ipynb", "its name does not fit FileNameCollectorPlugin.named_regexp")]


def test_a_zip_cannot_leave_its_folder(tmp_path: Path) -> None:
    link = zipfile.ZipInfo(f"lovelaceada_1001_1_{A}.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "course" / "evil.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(link, "/etc/passwd")
        out.writestr(f"../../ndarc_1002_1_{A}.ipynb", "out")
        out.writestr(f"/{{A}}/smith_1003_1_{A}.ipynb", "out")
        out.writestr("C:\\x.ipynb", "out")
        out.writestr("nothing.txt", "no notebook")
    before = set(tmp_path.rglob("*"))
    found = collect.collect(path, A, path.parent, PEOPLE)
    assert {s.student: s.problem for s in found.submissions} == {
        "ada": "it is a link, expected a file of its own",
        "ndarc": "its name leads out of the folder",
        "jsmith1": "its name leads out of the folder",
    }
    assert dict(found.unmatched) == {
        "C:\\x.ipynb": "its name is neither Canvas's nor Moodle's; its name leads out of the folder",
        "nothing.txt": "its name is neither Canvas's nor Moodle's; it is no notebook",
    }
    assert set(tmp_path.rglob("*")) == before


def test_what_is_too_large_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "LARGEST", 1000)
    monkeypatch.setattr(collect, "LARGEST_ZIP", 1500)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr(f"lovelaceada_1001_1_{A}.ipynb", b"0" * 10_000_000)
        out.writestr(f"darcnoel_1002_1_{A}.ipynb", b"0" * 900)
    found = collect.collect(path, A, tmp_path, PEOPLE)
    problems = {s.student: s.problem for s in found.submissions}
    assert problems["ada"] == "it is too large: more than 1000 bytes"
    assert problems["ndarc"].startswith("all files together are too large")
    assert not list((tmp_path / "downloaded").rglob("*.ipynb"))


def test_broken_encrypted_and_nested_zips(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as out:
        out.writestr(f"{A}.ipynb", "inside")
    source = zipped(
        tmp_path / "all.zip",
        {
            "Ada Lovelace_1_assignsubmission_file_/work.zip": inner.getvalue(),
            "smithjohn_1003_9_work.zip": inner.getvalue(),
            "王 小明_2_assignsubmission_file_/work.zip": b"no zip at all",
            f"__MACOSX/._darcnoel_1002_1_{A}.ipynb": "junk",
            f"darcnoel_1002_7_{A}.ipynb": "x",
        },
    )
    data = bytearray(source.read_bytes())
    data[data.rfind(b"PK\x01\x02") + 8] |= 1  # "encrypted", in the directory's entry of the last file
    source.write_bytes(data)
    found = collect.collect(source, A, tmp_path, PEOPLE)
    assert {s.student: s.problem for s in found.submissions} == {
        "ada": "",
        "jsmith1": "",
        "ndarc": "it is encrypted",
        "wei": "it is no zip: File is not a zip file",
    }
    assert taken(tmp_path, "ada") == taken(tmp_path, "jsmith1") == "inside"
    assert not found.unmatched


def test_the_same_name_twice_in_a_zip_keeps_both(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "w") as out:
        out.writestr(f"lovelaceada_1001_1_{A}.ipynb", "one")
        out.writestr(f"lovelaceada_1001_1_{A}.ipynb", "two")
    (found,) = collect.collect(path, A, tmp_path, PEOPLE).submissions
    assert found.earlier == 1
    assert {p.read_text() for p in (tmp_path / "downloaded").rglob("*.ipynb")} == {"one", "two"}


def test_nbgraders_layout(tmp_path: Path) -> None:
    root = tmp_path / "submitted"
    for student in ("ada", "bob", "cyd", "dee", "eve"):
        (root / student / A).mkdir(parents=True)
    (root / "ada" / A / f"{A}.ipynb").write_text("x")
    (root / "ada" / A / "timestamp.txt").write_text("2026-11-20 10:00:00 UTC\n")
    (root / "bob" / A / "renamed.ipynb").write_text("x")
    os.symlink(root / "ada" / A / f"{A}.ipynb", root / "cyd" / A / f"{A}.ipynb")
    (root / "dee" / A).rmdir()
    os.symlink(root / "ada" / A, root / "dee" / A)
    (root / "eve" / "ex2").mkdir()
    found = collect.collect(root, A, tmp_path)
    assert {s.student: s.problem for s in found.submissions} == {
        "ada": "",
        "bob": f"there is no {A}.ipynb; there is renamed.ipynb",
        "cyd": f"cyd/{A}/{A}.ipynb is a link, expected a file of its own",
        "dee": f"dee/{A} is a link, expected a file of its own",
        "eve": f"there is no {A}.ipynb; there is nothing",
    }
    assert found.submissions[0].timestamp == "2026-11-20 10:00:00 UTC"
    closed = collect.collect(root, A, tmp_path, [Person("ada")], closed=True)
    assert [s.student for s in closed.submissions] == ["ada"] and len(closed.unmatched) == 4


def test_files_that_are_no_plain_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big, pipe = tmp_path / "big.ipynb", tmp_path / "pipe.ipynb"
    big.write_bytes(b"0" * 2000)
    os.mkfifo(pipe)
    monkeypatch.setattr(collect, "LARGEST", 1000)
    assert collect.problem_of(big) == "it is too large: 2.0 KiB, allowed 1000 bytes"
    assert collect.problem_of(pipe) == "it is no plain file"
    assert collect.problem_of(tmp_path / "absent.ipynb").startswith("it cannot be read")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("id,first_name\nada,Andr\u00e9\n".encode("latin-1"), "no UTF-8"),
        (b"id\n\n,x\n", "names no folder"),
        (b"id\na/b\n", "names no folder"),
    ],
)
def test_a_roster_that_cannot_be_used_is_said(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "roster.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(collect.CollectError, match=said):
        collect.roster(path)


def test_a_roster_is_nbgraders_csv(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_text("\ufeffid,first_name,last_name,lms_user_id,group\nada, Ada ,Lovelace,1001,x\n", encoding="utf-8")
    assert collect.roster(path) == [Person("ada", "Ada", "Lovelace", "", "1001")]
    path.write_text("name\nAda\n")
    with pytest.raises(collect.CollectError, match="expected id and"):
        collect.roster(path)


@pytest.mark.parametrize("kind", ["text", "empty", "no roster"])
def test_what_is_no_source_is_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if kind == "text":
        path.write_text("x")
    else:
        path.mkdir()
    if kind == "no roster":
        (path / f"lovelaceada_1001_1_{A}.ipynb").write_text("x")
    said = {"text": "neither a folder nor a zip", "empty": "no notebook in it", "no roster": "add --roster"}[kind]
    with pytest.raises(collect.CollectError, match=said):
        collect.collect(path, A, tmp_path, [])
