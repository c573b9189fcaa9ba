"""Benchmark: what is counted, in which order, and what stands beside it. No test looks at how long anything took."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import bench, benchmark
from helpers.bench import classify
from helpers.benchmark import BenchmarkError, Candidate, Measurement


class Clock:
    """Stands in for time.perf_counter: it moves only when a candidate says that it took some time."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(benchmark.time, "perf_counter", made)
    return made


def batch(rows, length=4):
    return (np.zeros((rows, length), np.int64), np.ones((rows, length), np.int64))


def taking(clock, seconds, calls=None, name=""):
    """A candidate's `run`: each call takes the next number of seconds, the last one from then on."""
    left = list(seconds)

    def run(ids, mask):
        if calls is not None:
            calls.append((name, len(ids)))
        clock.now += left.pop(0) if len(left) > 1 else left[0]

    return run


def test_median_and_percentiles_of_known_times(clock):
    # Three warm-up runs that agree, then ten repeats of 10, 20, ..., 100 ms, which fill a budget of 0.55 s.
    run = taking(clock, [0.01] * 3 + [0.01 * n for n in range(1, 11)])
    found = benchmark.measure("a", run, [batch(8)], seconds=0.5499, engine="a clock")
    assert (found.repeats, found.warm_ups, found.settled) == (10, 3, True)
    assert found.median_ms == pytest.approx(55)
    assert found.p5_ms == pytest.approx(np.percentile(np.arange(10, 101, 10), 5))
    assert found.p95_ms == pytest.approx(np.percentile(np.arange(10, 101, 10), 95))
    assert (found.batch, found.samples, found.kind, found.engine) == (8, 80, "end-to-end", "a clock")


def test_samples_per_second_is_rows_by_time(clock):
    found = benchmark.measure("a", taking(clock, [0.25]), [batch(16)], seconds=0.1)
    assert found.samples_per_second == pytest.approx(64)
    assert found.repeats == 5  # at least five, also when one alone exceeds the budget


def test_a_partial_batch_counts_the_rows_that_it_has(clock):
    def run(ids, mask):
        clock.now += len(ids) / 100  # 100 rows a second, whatever the batch

    found = benchmark.measure("a", run, [batch(8), batch(8), batch(4)], seconds=0.399)
    assert found.batch == 8
    assert found.samples == 8 + 8 + 4 + 8 + 8 + 4
    assert found.samples_per_second == pytest.approx(100)
    assert found.median_ms == pytest.approx(80)  # the partial batch's 40 ms are no latency of a batch of 8
    assert found.p5_ms == pytest.approx(80)


def test_every_shape_is_warmed_up_until_it_settles(clock):
    calls = []
    seconds = [0.9, 0.5, 0.3, 0.1, 0.1, 0.1] + [0.2] * 3 + [0.1]
    found = benchmark.measure("a", taking(clock, seconds, calls), [batch(8), batch(8), batch(3)], seconds=20)
    assert calls[:9] == [("", 8)] * 6 + [("", 3)] * 3
    assert found.warm_ups == 9
    assert found.settled


def test_a_warm_up_that_never_settles_ends_and_says_so(clock):
    found = benchmark.measure("a", taking(clock, [0.1, 0.2] * 50), [batch(2)], seconds=100)
    assert (found.warm_ups, found.settled) == (20, False)


def test_candidates_take_turns_and_share_batches(clock):
    calls = []
    candidates = [Candidate(name, taking(clock, [0.01], calls, name)) for name in "abc"]
    found = benchmark.compare(candidates, [batch(8), batch(4)], seconds=0.001)
    timed = calls[sum(item.warm_ups for item in found) :]
    assert [name for name, _ in timed] == list("abcbcacababcbca")
    assert [rows for _, rows in timed[::3]] == [8, 4, 8, 4, 8]
    assert all(len({rows for _, rows in timed[at : at + 3]}) == 1 for at in range(0, len(timed), 3))
    assert [item.label for item in found] == list("abc")


def test_every_candidate_gets_its_budget(clock):
    quick, slow = Candidate("quick", taking(clock, [0.01])), Candidate("slow", taking(clock, [0.1]))
    shares = []
    found = benchmark.compare([quick, slow], [batch(1)], seconds=0.199, on_round=shares.append)
    assert found[0].repeats == found[1].repeats == 20
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_garbage_collector_rests_while_the_clock_runs():
    seen = []
    benchmark.measure("a", lambda ids, mask: seen.append(gc.isenabled()), [batch(1)], seconds=1e-6)
    assert seen[-1] is False
    assert gc.isenabled()


def test_budget_comes_from_the_argument_then_the_environment(monkeypatch):
    monkeypatch.delenv("BENCH_SECONDS", raising=False)
    assert benchmark.seconds_per_point() == 2
    monkeypatch.setenv("BENCH_SECONDS", "0.25")
    assert benchmark.seconds_per_point() == 0.25
    assert benchmark.seconds_per_point(7) == 7
    for wrong in ("much", "-1", "0", "inf", "nan"):
        monkeypatch.setenv("BENCH_SECONDS", wrong)
        with pytest.raises(BenchmarkError, match="Expected seconds above 0"):
            benchmark.seconds_per_point()


@pytest.mark.parametrize(
    ("candidates", "batches", "said"),
    [
        ([], [batch(1)], "No candidates"),
        ([Candidate("a", print), Candidate("a", print)], [batch(1)], "Two candidates are called 'a'"),
        ([Candidate("a", print, kind="fast")], [batch(1)], "kind 'fast'. Expected 'end-to-end' or 'kernel-only'"),
        ([Candidate("a", print, kind="kernel-only")], [batch(1)], "kernel-only without a stream"),
        ([Candidate("a", print)], [], "No batches"),
        ([Candidate("a", print)], [np.zeros((2, 2))], "Batch 0 is ndarray. Expected a tuple of arrays"),
        ([Candidate("a", print)], [batch(1), ()], "Batch 1 is tuple"),
        ([Candidate("a", print)], [(np.zeros((2, 2)), np.zeros((3, 2)))], r"arrays of \[2, 3\] rows"),
        ([Candidate("a", print)], [(np.zeros((0, 2)),)], "number above 0"),
    ],
)
def test_measurements_that_would_mean_nothing(candidates, batches, said):
    with pytest.raises(BenchmarkError, match=said):
        benchmark.compare(candidates, batches, seconds=0.01)


def test_agreement_names_what_differs_with_its_margin():
    reference = np.array([[3.0, 1.0, 0.0], [0.1, 0.2, 0.0], [0.0, 0.0, 5.0]])
    given = reference.copy()
    given[1] = [0.25, 0.2, 0.0]
    found = benchmark.agreement(reference, given.astype(np.float16))
    assert found.samples == 3
    assert found.max_abs_diff == pytest.approx(0.15, abs=1e-3)
    assert found.label_agreement == pytest.approx(2 / 3)
    (one,) = found.differing
    assert (one.index, one.expected, one.actual) == (1, 1, 0)
    assert one.margin == pytest.approx(0.1)
    with pytest.raises(BenchmarkError, match=r"Logits are \[2, 3\], the reference \[3, 3\]"):
        benchmark.agreement(reference, reference[:2])


def test_a_difference_that_is_undefined_stays_undefined():
    logits = np.array([[0.0, 1.0]])
    assert np.isnan(benchmark.agreement(logits, np.array([[np.nan, 1.0]])).max_abs_diff)


def some(label="A", batch_size=16, kind="end-to-end"):
    return Measurement(label, batch_size, 2.0, 1.5, 3.0, 9, 8000.0, kind, "an engine", 144, 3, True)


def test_table_puts_correctness_beside_speed():
    right = benchmark.agreement(np.array([[0.0, 1.0]]), np.array([[0.5, 1.0]]))
    shown = benchmark.table([some(), some("B")], {"A": right})
    assert shown["configuration"].tolist() == ["A", "B"]
    assert shown.loc[0, "max |diff|"] == 0.5
    assert shown.loc[0, "labels agree"] == 1.0
    assert np.isnan(shown.loc[1, "max |diff|"])
    assert shown.loc[0, "ran on"] == "an engine"


def test_saved_results_carry_the_environment(tmp_path):
    path = benchmark.save([some()], tmp_path / "deep" / "r.json", facts={"model": "m"})
    content = json.loads(path.read_text())
    assert content["measurements"][0]["median_ms"] == 2.0
    assert content["facts"] == {"model": "m"}
    assert content["environment"]["python"]
    assert content["environment"]["packages"]["numpy"] == np.__version__


def test_pytorch_peak_memory_is_what_a_chain_of_tensors_needs():
    import torch

    start = torch.zeros(1024)  # 4096 bytes, there before

    def chain(x):
        y = x + 1  # 4096
        z = y.reshape(32, 32).t()  # a view: nothing
        w = torch.cat([z, z])  # 8192, while y is alive
        y = z = None
        return w.sum()  # y is gone

    assert benchmark.pytorch_peak_bytes(chain, start) == 4096 + 8192
    assert benchmark.pytorch_peak_bytes(lambda x: x.add_(1), start) == 0


def test_pytorch_peak_memory_is_in_proportion_to_the_batch(classifier, make_batch):
    import torch

    def run(ids, mask):
        with torch.inference_mode():
            return classifier.model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits

    one, two = (benchmark.pytorch_peak_bytes(run, *make_batch(rows, 64)) for rows in (16, 32))
    assert two == 2 * one > 0


def test_importing_it_needs_neither_the_students_modules_nor_a_framework():
    """The grader takes export, engine and runtime away."""
    code = (
        "import sys\n"
        "for name in ('export', 'engine', 'runtime'): sys.modules['helpers.' + name] = None\n"
        "import numpy as np\n"
        "from helpers import benchmark, plots\n"
        "found = benchmark.measure('a', lambda x: x.sum(), [(np.ones((4, 4)),)], seconds=0.01)\n"
        "assert found.samples_per_second > 0\n"
        "plots.throughput(benchmark.table([found])).png()\n"
        "heavy = {'torch', 'tensorrt', 'onnxruntime', 'transformers', 'pycuda'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    root = Path(benchmark.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_kernel_only_is_timed_between_events(fp32_onnx, make_batch, simulator, tmp_path):
    from helpers import engine, runtime

    profile = dict.fromkeys(("input_ids", "attention_mask"), ((1, 16), (4, 16), (8, 16)))
    report = engine.build(fp32_onnx, tmp_path / "m.plan", profile, progress=False)
    with runtime.TensorRTRunner(report.path) as runner:
        found = benchmark.compare(
            classify._tensorrt("TensorRT's API FP32", runner, simulator.engine), [make_batch(8, 16)], seconds=0.01
        )
    assert [item.kind for item in found] == ["end-to-end", "kernel-only"]
    assert {item.engine for item in found} == {simulator.engine}
    assert all(item.repeats >= 5 and item.median_ms > 0 for item in found)


# --- a + b L + c L^2 ---

LENGTHS = (8, 16, 32, 64, 128, 256, 512)
costs = st.tuples(st.floats(0.1, 100), st.floats(0, 5), st.floats(0, 0.01))


def curve(a, b, c, lengths=LENGTHS):
    return [a + b * length + c * length**2 for length in lengths]


@given(costs)
def test_a_fit_finds_the_terms_that_made_the_times(terms):
    found = benchmark.fit_steps(LENGTHS, curve(*terms))
    for length in (1, *LENGTHS):
        assert found.at(length) == pytest.approx(terms[0] + terms[1] * length + terms[2] * length**2, rel=1e-6)
    assert max(map(abs, found.residuals)) <= 1e-6 * max(found.ms)
    assert found.r2 == pytest.approx(1)
    assert sum(found.shares(512)) == pytest.approx(1)


@given(costs, st.lists(st.floats(0.7, 1.4), min_size=len(LENGTHS), max_size=len(LENGTHS)), st.randoms())
def test_no_term_of_a_fit_is_negative_and_the_order_of_points_is_no_matter(terms, noise, random):
    times = [time * factor for time, factor in zip(curve(*terms), noise, strict=True)]
    found = benchmark.fit_steps(LENGTHS, times)
    assert min(found.a, found.b, found.c) >= 0
    assert found.r2 <= 1
    assert [ms - rest for ms, rest in zip(times, found.residuals, strict=True)] == pytest.approx(
        [found.at(length) for length in LENGTHS]
    )
    points = list(zip(LENGTHS, times, strict=True))
    random.shuffle(points)
    again = benchmark.fit_steps(*zip(*points, strict=True))
    assert (again.a, again.b, again.c) == pytest.approx((found.a, found.b, found.c), rel=1e-6, abs=1e-9)


@given(costs, st.floats(0.01, 100))
def test_a_fit_of_times_in_another_unit_is_the_same_fit(terms, factor):
    times = [time * (1 + 0.05 * (-1) ** at) for at, time in enumerate(curve(*terms))]
    one, other = benchmark.fit_steps(LENGTHS, times), benchmark.fit_steps(LENGTHS, [factor * time for time in times])
    assert [other.at(length) for length in LENGTHS] == pytest.approx([factor * one.at(length) for length in LENGTHS])
    for error, scaled in zip(one.errors, other.errors, strict=True):
        assert scaled is None if error is None else scaled == pytest.approx(factor * error)


def test_a_fit_says_which_terms_are_known():
    random = np.random.default_rng(0)
    scatter = 1 + 0.02 * random.standard_normal(4 * len(LENGTHS))
    linear = benchmark.fit_steps(LENGTHS * 4, np.array(curve(10, 0.4, 0, LENGTHS * 4)) * scatter)
    assert linear.determined == (True, True, False)
    assert "(not told apart from 0)" in linear.sentence
    quadratic = benchmark.fit_steps(LENGTHS * 4, np.array(curve(10, 0.4, 0.001, LENGTHS * 4)) * scatter)
    assert quadratic.determined == (True, True, True)
    assert quadratic.crossing == pytest.approx(400, rel=0.2)
    falling = benchmark.fit_steps((1, 2, 3, 4), (4.0, 3.0, 2.0, 1.0))  # no cost does that
    assert (falling.b, falling.c) == (0, 0)
    assert falling.errors[1:] == (None, None)
    assert not any(falling.determined[1:])
    assert "linear held at 0; quadratic held at 0" in falling.sentence


def noisy(terms, seed, share=0.03):
    return np.array(curve(*terms)) * (1 + share * np.random.default_rng(seed).standard_normal(len(LENGTHS)))


def test_a_quadratic_term_that_stands_in_for_a_linear_one_is_no_finding():
    """Times that grow by a line, with noise: in some draws the best fit holds the linear term at 0."""
    fits = [benchmark.fit_steps(LENGTHS, noisy((5, 0.001, 0), seed)) for seed in range(100)]
    stands_in = [fit for fit in fits if fit.errors[1] is None and fit.c > 0]
    assert len(stands_in) >= 10  # else nothing of this was tried
    for fit in stands_in:
        if not fit.determined[2]:
            assert fit.confused
            assert "linear held at 0; quadratic" in fit.sentence
            assert "Linear and quadratic cannot be told apart here" in fit.sentence
            assert "would reach the linear one" not in fit.sentence
    assert sum(fit.determined[2] for fit in fits) <= 5  # the test's own 5 %
    other_way = [fit for fit in fits if fit.errors[2] is None and fit.b > 0]
    assert all(fit.confused is not fit.determined[1] for fit in other_way)
    assert not any(fit.confused for fit in fits if None not in fit.errors)


def test_a_quadratic_term_that_no_line_replaces_is_a_finding():
    fits = [benchmark.fit_steps(LENGTHS, noisy((10, 0, 0.001), seed)) for seed in range(100)]
    assert all(fit.determined[2] and not fit.confused for fit in fits)
    assert any(fit.errors[1] is None for fit in fits)


def test_errors_are_those_of_the_fit_that_was_chosen():
    """A term held at 0 has none; the others' are those of least squares on them alone, each point by its time."""
    fit = next(fit for seed in range(100) if (fit := benchmark.fit_steps(LENGTHS, noisy((5, 0, 0.0001), seed))).b == 0)
    columns = np.stack([np.ones(len(LENGTHS)), np.array(LENGTHS, float) ** 2], axis=1) / np.array(fit.ms)[:, None]
    variance = sum((rest / ms) ** 2 for rest, ms in zip(fit.residuals, fit.ms, strict=True)) / (len(LENGTHS) - 2)
    expected = np.sqrt(np.diag(np.linalg.inv(columns.T @ columns)) * variance)
    assert fit.errors[1] is None
    assert (fit.errors[0], fit.errors[2]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("lengths", "ms", "said"),
    [
        ((8, 16, 32), (1, 2, 3), "There are 3 different lengths. Expected at least 4"),
        ((8, 16, 32, 8, 16), (1, 2, 3, 1, 2), "There are 3 different lengths"),
        ((8, 16, 32, 64), (1, 2, 3), r"lengths of shape \[4\] and times of shape \[3\]"),
        ((8, 16, 32, 64), (1, 2, 0, 3), "not above 0"),
        ((8, 16, 32, 64), (1, 2, float("nan"), 3), "not finite"),
        ((), (), "There are 0 different lengths"),
    ],
)
def test_points_that_cannot_be_fitted(lengths, ms, said):
    with pytest.raises(BenchmarkError, match=said):
        benchmark.fit_steps(lengths, ms)


# --- python -m helpers bench ---


def test_bench_runs_every_engine_and_writes_what_it_found(tmp_path, simulator, capsys):
    written, drawn = tmp_path / "bench.json", tmp_path / "plots"
    options = ["--batches", "2", "4", "--tokens", "16", "--seconds", "0.005", "--texts", "20"]
    assert bench.main([*options, "--json", str(written), "--plots", str(drawn)]) == 0
    shown = capsys.readouterr().out
    for text in ("PyTorch FP32", "ONNX Runtime FP32", "TensorRT's API FP32", "TensorRT's API FP16", "kernel-only"):
        assert text in shown
    assert "FP16 storage, FP32 arithmetic" in shown
    content = json.loads(written.read_text())
    assert content["facts"]["tokens"] == 16
    assert content["correctness"]["TensorRT's API FP32"]["max_abs_diff"] < 1e-4
    assert content["correctness"]["TensorRT's API FP16"]["max_abs_diff"] < 2e-2
    assert content["correctness"]["TensorRT's API FP16"]["samples"] == 20
    engines = {item["label"]: item["engine"] for item in content["measurements"]}
    assert engines["TensorRT's API FP32"] == simulator.engine
    assert {item["batch"] for item in content["measurements"]} == {2, 4}
    assert sorted(path.name for path in drawn.iterdir()) == ["latency.png", "throughput.png"]


@pytest.mark.parametrize("arguments", [["--seconds", "-1"], ["--batches", "0"], ["--tokens", "1"], ["--tokens", "513"]])
def test_bench_explains_bad_options(arguments, capsys):
    assert bench.main(arguments) == 1
    assert capsys.readouterr().err.startswith("bench: ")


def test_bench_explains_an_unknown_model(monkeypatch, capsys):
    monkeypatch.setenv("MODEL", "huge")
    assert bench.main([]) == 1
    assert "'huge'" in capsys.readouterr().err
