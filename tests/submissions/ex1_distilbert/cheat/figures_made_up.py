# check: ex1/benchmark
# expect: partly
# line: at least 5 runs were timed
# line: samples a second are samples by the time
# line: median, p5 and p95
# points: 0.5
# why: run is called as often as a check may count, and the figures are constants
def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    for batch in [*batches, *batches, *batches, *batches]:
        run(*batch)
    rows = sum(len(ids) for ids, _ in batches) * 2
    return {
        "median_ms": 1.0,
        "p5_ms": 0.9,
        "p95_ms": 1.1,
        "runs": 2 * len(batches),
        "samples": rows,
        "samples_per_second": rows / (2 * len(batches) * 0.001),
    }
