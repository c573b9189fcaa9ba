"""`bench --all`: the parts that a machine without a GPU can try, and what is recorded from the committed results."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helpers import data, models
from helpers.bench import gpu, recorded
from helpers.bench.decode import tables as decode_tables
from helpers.bench.peers import StaticDecoder
from helpers.decoding import greedy, pytorch_step

RESULTS = gpu.ROOT / "assets" / "results" / "nvidia-h200"


def test_without_a_gpu_it_says_what_to_do(tmp_path, capsys):
    assert gpu.main(["--all", "--out", str(tmp_path / "out")]) == 1
    assert "Expected a machine with a GPU; --quick tries the code" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        gpu.main(["--all"])
    with pytest.raises(SystemExit):
        gpu.main(["--all", "--out", str(tmp_path), "--parts", "nonsense"])


def test_a_quick_part_writes_what_it_found_and_is_no_result(tmp_path, capsys):
    assert gpu.main(["--all", "--quick", "--part", "copies", "--out", str(tmp_path)]) == 0
    found = gpu.load(tmp_path)["copies"]
    assert found["finished"] and "--quick" in found["command"] and found["simulated"] is True
    assert {entry["memory"] for entry in found["copies"]} == {"pinned", "pageable"}
    last = {entry["bytes"] for entry in found["copies"] if entry["copy"].startswith("last step")}
    assert last == {8 * 1000 * 4}  # rows, pitch or packed: the same bytes
    assert "copies: whole; 0 skipped" in gpu.summary(tmp_path)
    assert gpu.main(["--all", "--record", str(tmp_path)]) == 1
    assert "--quick run, which is no result" in capsys.readouterr().err
    assert gpu.main(["--all", "--record", str(tmp_path / "nowhere")]) == 1


def test_what_is_skipped_is_named_once(tmp_path):
    keeper = gpu.Keeper(tmp_path / "copies.json", "copies", 1.0, True)
    for _ in range(2):
        keeper.skip("PyTorch FP16", RuntimeError("no GPU\nand more"))
    keeper.write()
    assert gpu.load(tmp_path)["copies"]["skipped"] == ["PyTorch FP16: no GPU"]
    assert "NOT FINISHED; 1 skipped" in gpu.summary(tmp_path)


@pytest.mark.parametrize(("rows", "prompt", "length"), [(1, 4, 12), (3, 7, 16), (8, 4, 5), (2, 4, 4)])
def test_a_cache_of_fixed_size_gives_the_same_tokens(generator, rows, prompt, length):
    ids, mask = data.encode_prompts(generator.tokenizer, data.load_prompts(rows), length=prompt)
    if prompt > 4:  # rows of different lengths
        mask = mask & (np.arange(prompt) >= (np.arange(rows) % (prompt - 1))[:, None]).astype(np.int64)
    decoder = StaticDecoder(generator.model, 16)
    expected = greedy(pytorch_step(generator.model), ids, mask, length)
    for _ in range(2):  # the second generation begins with the first one's buffers
        np.testing.assert_array_equal(decoder(ids, mask, length), expected)
    with pytest.raises(ValueError, match="to 16"):
        decoder(ids, mask, 17)


def test_what_is_recorded_is_made_from_the_results():
    """`python -m helpers bench --all --record DIR` with these results changes nothing."""
    parts = gpu.load(RESULTS)
    assert set(parts) == set(gpu.PARTS)
    made = recorded.files(parts, gpu.RECORDED)
    assert {path.name for path in made} == {"distilbert_gpus.json", "distilgpt2_gpus.json"}
    for path, content in made.items():
        assert json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(content)), path.name


def test_the_results_name_their_engines_and_their_circumstances():
    found = gpu.load(RESULTS)
    assert set(found) == set(gpu.PARTS)
    for name, content in found.items():
        assert content["finished"], name
        assert content["command"].startswith("python -m helpers bench --all"), name
        assert content["engine"] and content["packages"] and content["gpu"]["name"], name
        assert "/tmp" not in json.dumps(content), name
    assert models.load_generator("small").trained


def test_every_recorded_saving_has_one_sign_and_one_definition():
    """Positive is time taken off the baseline's; O1 copies the last step row by row in each table."""
    content = json.loads((gpu.RECORDED / "distilgpt2_gpus.json").read_text(encoding="utf-8"))
    tables = {run["title"]: run for run in content["runs"]}

    def column(run, name):
        at = run["columns"].index(name)
        return [row[at] for row in run["rows"]]

    whole, changes = tables["Whole generations, FP32, ms"], tables[decode_tables.CHANGES_TITLE]
    for name, time in (("O1 (both, rows)", "O1"), ("O1 by Memcpy2D", "O1 by Memcpy2D")):
        saved = column(whole, f"{time} {decode_tables.TAKES_OFF}")
        assert column(changes, name) == saved
        for percent, base, ms in zip(saved, column(whole, "baseline"), column(whole, time), strict=True):
            assert percent == pytest.approx(100 * (1 - ms / base), abs=0.1)  # from rounded milliseconds
    assert not [name for run in tables.values() for name in run["columns"] if "drop" in name]
