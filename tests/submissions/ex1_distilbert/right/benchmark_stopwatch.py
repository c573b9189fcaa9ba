# check: ex1/benchmark
# expect: full
# why: a stopwatch class for the laps, the statistics module for the figures
import statistics


class Stopwatch:
    def __init__(self):
        self.laps = []

    def __enter__(self):
        self.start = time.perf_counter()
        return self

    def __exit__(self, *details):
        self.laps.append(time.perf_counter() - self.start)


def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    distinct = {tuple(ids.shape): (ids, mask) for ids, mask in batches}
    for ids, mask in distinct.values():
        for _ in range(4):
            run(ids, mask)
    watch, rows, turn = Stopwatch(), [], 0
    while turn < 5 or sum(watch.laps) <= seconds:
        ids, mask = batches[turn % len(batches)]
        with watch:
            run(ids, mask)
        rows.append(len(ids))
        turn += 1
    hundredths = statistics.quantiles(watch.laps, n=100, method="inclusive")
    return {
        "runs": turn,
        "samples": sum(rows),
        "median_ms": statistics.median(watch.laps) * 1000,
        "p5_ms": hundredths[4] * 1000,
        "p95_ms": hundredths[94] * 1000,
        "samples_per_second": sum(rows) / sum(watch.laps),
    }
