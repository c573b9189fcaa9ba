"""docs/results.md: what the committed results give, and nothing else."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from helpers import bench
from helpers.bench import page


@pytest.fixture(scope="module")
def made():
    return page.compose()


def tables_of(text):
    """Every table of the page, as lists of cells; the first row is the head."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    split = [[re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()] for block in blocks]
    return [[[cell.strip() for cell in line] for line in block if not line[0].startswith(" ---")] for block in split]


def test_the_page_is_what_the_committed_results_give(made):
    """Out of date? `python -m helpers bench --tables` writes it."""
    text, plots = made
    assert page.PAGE.read_text(encoding="utf-8") == text
    for name in plots:
        assert (page.PAGE.parent / page.IMAGES / name).read_bytes().startswith(b"\x89PNG"), name
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.PAGE.parent / target).is_file(), target


def test_every_recorded_row_is_on_the_page(made):
    found = tables_of(made[0])
    recorded = json.loads((page.ROOT / "assets/recorded/distilgpt2_gpus.json").read_text())
    for run, table in zip(recorded["runs"], found, strict=False):
        assert table[0][: len(run["columns"])] == [name.replace("|", "\\|") for name in run["columns"]]
        for row, line in zip(run["rows"], table[1:], strict=True):
            for value, cell in zip(row, line, strict=False):
                if isinstance(value, int | float):
                    assert float(cell.replace(",", "")) == pytest.approx(value, rel=0.05, abs=0.0005), run["title"]
                else:
                    assert cell == ("-" if value is None else value)


def test_published_figures_stand_beside_the_same_rows_under_their_own_name(made):
    table = tables_of(made[0])[0]
    at = table[0].index("GTX 1060: O1 takes off, %")
    assert [(line[0], line[1], line[at]) for line in table[1:]] == [
        ("1", "12", "13.1"), ("8", "12", "30.3"), ("16", "12", "40.2"),
        ("8", "8", "31.6"), ("8", "16", "35.3"), ("8", "32", "43.4"),
    ]  # fmt: skip


def test_the_cpus_ratios_are_shown_where_they_were_measured(tmp_path):
    """With the rows of the GPU's file in the form of `bench decode`'s: headings and ratios, not figures of a CPU."""
    assets = tmp_path / "assets"
    for part in ("recorded", f"results/{page.GPU}"):
        shutil.copytree(page.ROOT / "assets" / part, assets / part)
    decode = json.loads((assets / "results" / page.GPU / "decode.json").read_text())
    content = {**decode, "tensorrt": "TensorRT's API", "runs": "an engine", "precision": "FP32", "torch_threads": 2}
    content |= {"load_before": 0.1, "command": "MODEL=full python -m helpers bench decode", "simulated": True}
    target = assets / "results" / page.CPU / "decode_full.json"
    assert "on a CPU" not in page.compose(assets)[0]
    target.parent.mkdir()
    target.write_text(json.dumps(content))
    text, plots = page.compose(assets)
    part = text[text.index("## Exercise 2 on a CPU") :]
    head, *rows = tables_of(part)[0]
    expected = [row["ratios"]["O1 over baseline"] for row in decode["rows"]]
    assert [float(row[head.index("O1 over baseline")]) for row in rows] == pytest.approx(expected, abs=0.005)
    assert "The device is simulated" in part
    assert "results-decode-cpu.png" in plots


def test_the_command_writes_page_and_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(page, "write", lambda: [tmp_path / "results.md"])
    assert bench.main(["--tables"]) == 0
    assert capsys.readouterr().out == f"Written: {tmp_path / 'results.md'}\n"
    monkeypatch.undo()
    written = page.write(tmp_path / "docs" / "results.md")
    assert {path.name for path in written} >= {"results.md", "results-decode-gpu.png", "results-steps-gpu.png"}
    assert all(path.stat().st_size < 200_000 for path in written)


def test_numbers_of_a_column_have_the_same_decimals():
    assert page._table(["a|b", "c"], [[1.5, "x"], [None, None], [12000.25, "y"]]).splitlines() == [
        "| a\\|b | c |", "| ---: | --- |", "| 1.50 | x |", "| - | - |", "| 12,000.25 | y |",
    ]  # fmt: skip
