# check: ex1/benchmark
# expect: full
# whole: yes
# why: itertools.cycle, a deadline on the wall clock, all batches as warm-up twice
import itertools


def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    for batch in [*batches, *batches]:
        run(*batch)
    times, samples = [], 0
    deadline = time.perf_counter() + seconds
    for batch in itertools.cycle(batches):
        begun = time.perf_counter()
        run(*batch)
        ended = time.perf_counter()
        times.append(ended - begun)
        samples += batch[0].shape[0]
        if ended >= deadline and len(times) >= 5:
            break
    p5, median, p95 = np.percentile(times, [5, 50, 95]) * 1000
    return dict(
        median_ms=median, p5_ms=p5, p95_ms=p95, runs=len(times), samples=samples,
        samples_per_second=samples / sum(times),
    )
