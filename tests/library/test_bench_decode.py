"""`bench decode`: what it measures, in which order, and what it says of it. No test looks at how long anything took."""

from __future__ import annotations

import json
from contextlib import ExitStack

import numpy as np
import pytest

from helpers import bench, data
from helpers.bench import decode
from helpers.bench.decode import paths as decode_paths
from helpers.bench.decode import rows as decode_rows
from helpers.bench.decode import tables as decode_tables
from helpers.bench.decode.paths import DecodingPath, Row
from helpers.benchmark import BenchmarkError
from helpers.decoding import copied_bytes, generate, greedy, pytorch_step

STEPS = {"2x6": 2, "1x7": 3}


@pytest.fixture(scope="module")
def whole(simulator, tmp_path_factory):
    """One run of the command with every path: what it wrote, and what it printed."""
    written = tmp_path_factory.mktemp("bench") / "decode.json"
    drawn = written.parent / "plots"
    arguments = ["--rows", ",".join(STEPS), "--rounds", "1", "--paths", "all", "--lengths", "4,5,6,8"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL", "small")
        assert bench.main(["decode", *arguments, "--json", str(written), "--plots", str(drawn)]) == 0
    assert [path.name for path in drawn.iterdir()] == ["steps.png"]
    return json.loads(written.read_text())


def rows_of(content):
    return {f"{row['batch']}x{row['length']}": row for row in content["rows"]}


def test_every_path_gives_pytorchs_tokens(whole):
    rows = rows_of(whole)
    assert {name: row["steps"] for name, row in rows.items()} == STEPS
    for row in rows.values():
        assert tuple(row["paths"]) == decode_paths.PATHS
        for path in row["paths"].values():
            assert path["tokens_equal"] == path["tokens"] == row["batch"] * row["steps"]
            assert path["max_abs_diff"] is None or path["max_abs_diff"] < 1e-4
            assert path["p5_ms"] <= path["median_ms"] <= path["p95_ms"]


def test_bytes_are_the_devices_and_as_calculated(whole):
    for row in whole["rows"]:
        shape = row["batch"], row["prompt"], row["length"], 50_257
        for key, way in decode_paths.TENSORRT.items():
            moved = row["paths"][key]["bytes"]
            assert moved["d2h"] == moved["logits_expected"] == copied_bytes(*shape, way.last_step)
            # ids and mask, int64, of sequences of 4, 5, ... tokens
            assert moved["h2d"] == 2 * 8 * row["batch"] * sum(range(row["prompt"], row["length"]))
            assert (moved["allocated_calls"] == 0) is way.preallocate
        rows, single = row["paths"]["o1"]["bytes"], row["paths"]["o1-2d"]["bytes"]
        assert rows["d2h_calls"] == row["batch"] * row["steps"]
        assert single["d2h_calls"] == row["steps"]


def test_the_devices_lane_adds_up(whole):
    for row in whole["rows"]:
        for key in decode_paths.WITH_LANE:
            lane = row["paths"][key]["lane"]
            parts = [lane[f"{kind}_ms"] for kind in ("h2d", "compute", "d2h", "idle")]
            assert min(parts) > 0
            assert sum(parts) == pytest.approx(lane["span_ms"], rel=1e-3)
            assert 0 < lane["last_execution_ms"] <= lane["compute_ms"]


def test_every_ratio_is_of_two_paths_in_one_round(whole):
    for row in whole["rows"]:
        assert set(row["ratios"]) == set(decode_rows.RATIOS)
        medians = {key: path["median_ms"] for key, path in row["paths"].items()}
        for name, (slow, fast) in decode_rows.RATIOS.items():  # one round: the ratio of the medians
            assert row["ratios"][name] == pytest.approx(medians[slow] / medians[fast])
        drop = row["paths"]["o1"]["drop_percent"]
        assert drop == pytest.approx(100 * (1 - medians["o1"] / medians["baseline"]))


def test_what_is_written_says_where_it_belongs(whole):
    assert whole["command"] == (
        "MODEL=small python -m helpers bench decode --rows 2x6,1x7 --rounds 1 --paths all --lengths 4,5,6,8 --json FILE "
        "--plots FILE"
    )
    assert whole["vocabulary"] == 50_257
    assert whole["simulated"] is True
    assert whole["packages"]["numpy"] == np.__version__
    assert whole["precision"] == "FP32"
    assert whole["skipped"] == []


def test_steps_are_fitted_with_and_without_a_cache(whole):
    steps = whole["steps"]
    assert steps["lengths"] == [4, 5, 6, 8]
    assert set(steps["paths"]) == {"cache", "no-cache", "graph"}
    for path in steps["paths"].values():
        assert min(path["fit"]["a"], path["fit"]["b"], path["fit"]["c"]) >= 0
        assert path["fit"]["ms"] == path["ms"]
        assert "a + b L + c L^2 from 4 to 8 tokens" in path["sentence"]


def test_tables_set_the_originals_figures_beside_ours_and_say_whose_they_are(whole):
    seen = {**whole, "rows": [{**row, "batch": 8, "length": 32} for row in whole["rows"][:1]]}
    first, *rest = decode_tables.tables(seen).values()
    assert first.loc[0, "GTX 1060: TensorRT"] == 628.14
    assert first.loc[0, "GTX 1060: O1 takes off, %"] == 43.4
    assert first.loc[0, "TensorRT's API, O1"] == whole["rows"][0]["paths"]["o1"]["median_ms"]
    assert first.loc[0, "O1 takes off, %"] == pytest.approx(whole["rows"][0]["paths"]["o1"]["drop_percent"])
    assert rest[0].loc[0, "O1 (both, rows)"] == first.loc[0, "O1 takes off, %"]
    assert len(rest) == 5
    # a row that the original does not have has no figures of theirs
    assert not [name for name in next(iter(decode_tables.tables(whole).values())) if name.startswith("GTX")]


def test_sentences_name_the_limits(whole):
    said = " ".join(decode_tables.sentences(whole))
    assert "Every path gives PyTorch's tokens in every row." in said
    assert "The device is simulated" in said
    assert "The original's figure is 5.6 to 38." in said
    wrong = json.loads(json.dumps(whole))
    wrong["rows"][1]["paths"]["o1"]["tokens_equal"] -= 1
    wrong["skipped"] = ["TensorRT: no"]
    said = " ".join(decode_tables.sentences(wrong))
    assert "Not PyTorch's tokens: o1 at 1x7." in said
    assert "Skipped: TensorRT: no" in said


def test_report_prints_all_of_it(whole, capsys):
    decode_tables.report(whole)
    shown = capsys.readouterr().out
    for text in (*decode_tables.tables(whole), *decode_tables.sentences(whole)):
        assert text in shown


# --- a row ---


@pytest.fixture
def prompts(generator):
    return data.encode_prompts(generator.tokenizer, data.load_prompts(2), length=4)


def test_paths_take_turns_in_every_round(generator, prompts):
    calls = []

    def path(key):
        def run(ids, mask, length):
            calls.append(key)
            return generate(generator.model, ids, mask, length)

        return DecodingPath(key, key, "an engine", run)

    found = decode_rows.measure_row(
        Row(2, 6), [path(key) for key in ("pytorch", "ort", "graph")], generator.model, *prompts, seconds=1, rounds=3
    )
    warm_ups = 3 * found["warm_ups"]
    assert calls[warm_ups:] == ["pytorch", "ort", "graph", "ort", "graph", "pytorch", "graph", "pytorch", "ort"]
    assert found["rounds"] == 3
    assert found["ratios"] == {}


def test_other_tokens_are_found_with_their_margin(generator, prompts):
    honest = pytorch_step(generator.model)

    def step(ids, mask):
        logits = np.array(honest(ids, mask))
        if ids.shape[1] == 6:
            logits[1, logits[1].argmax()] -= 100  # the second row's third token becomes another one
        return logits

    path = DecodingPath("ort", "wrong", "an engine", lambda *given: greedy(step, *given), step)
    found = decode_rows.measure_row(Row(2, 8), [path], generator.model, *prompts, seconds=1, rounds=1)["paths"]["ort"]
    assert found["tokens"] == 8
    assert 6 <= found["tokens_equal"] < 8
    (divergence,) = found["divergences"]
    assert (divergence["row"], divergence["position"]) == (1, 6)
    assert divergence["margin"] > 0
    assert found["max_abs_diff"] == pytest.approx(100, abs=1e-3)


def test_only_what_is_asked_for_is_built(generator, tmp_path, simulator):
    with ExitStack() as stack:
        paths, skipped = decode_paths.make_paths(
            generator.model, ["pytorch", "pytorch-no-cache"], [Row(2, 6)], tmp_path, stack
        )
    assert [path.key for path in paths] == ["pytorch", "pytorch-no-cache"]
    assert not skipped
    assert not list(tmp_path.iterdir())


def test_a_step_with_a_cache_gives_the_logits_of_the_whole_sequence(generator):
    ids = np.random.default_rng(0).integers(0, 1000, (2, 12), dtype=np.int64)
    step = decode_rows._cached_step(generator.model, ids, [5, 12])
    whole = pytorch_step(generator.model)
    last = decode_rows._last_logits(generator.model)
    for length in (12, 5, 12):  # the cache is as it was
        given = ids[:, :length], np.ones_like(ids[:, :length])
        np.testing.assert_allclose(step(length), whole(*given), atol=1e-4)
        np.testing.assert_allclose(last(*given), whole(*given), atol=1e-4)


# --- what is asked for ---


def test_rows_are_read():
    assert decode.parse_rows("1x12, 8x12") == [Row(1, 12), Row(8, 12)]
    assert [row.name for row in decode.parse_rows(",".join(decode.ROWS))] == list(decode.ROWS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "No rows. Expected BATCHxLENGTH"),
        ("8", "The row '8' cannot be measured"),
        ("0x12", "The row '0x12' cannot be measured"),
        ("8x4", "a final length above the prompt's 4 tokens"),
        ("8x12,8x12", "The row 8x12 is asked for twice"),
    ],
)
def test_rows_that_cannot_be_measured(text, said):
    with pytest.raises(BenchmarkError, match=said):
        decode.parse_rows(text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "8x"], "The row '8x' cannot be measured"),
        (["--prompt", "0"], "Expected a prompt of 1 token or more"),
        (["--seconds", "0"], "seconds and rounds above 0"),
        (["--rounds", "0"], "seconds and rounds above 0"),
        (
            ["--paths", "trt"],
            "There is no decoding path 'trt'. Expected some of pytorch, pytorch-no-cache, ort, ort-graph",
        ),
        (["--paths", ","], "No decoding paths"),
        (["--lengths", "8,16,32"], "The lengths '8,16,32' cannot be fitted. Expected at least four"),
        (["--lengths", "8,16,32,x"], "cannot be fitted"),
        (["--rows", "1x300"], "300 tokens are asked for, .* has 256 positions"),
    ],
)
def test_bad_arguments_are_explained(arguments, said, monkeypatch, capsys):
    monkeypatch.setenv("MODEL", "small")
    with pytest.raises(BenchmarkError, match=said):
        decode._bench(decode._options(arguments))
    assert bench.main(["decode", *arguments]) == 1
    assert capsys.readouterr().err.startswith("bench decode: ")
