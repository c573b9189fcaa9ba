# check: ex1/benchmark
# expect: partly
# line: at least 5 runs were timed
# points: 0.5
# why: five timed runs whatever the budget is: the rest of the time is slept away between them
def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    for batch in batches:
        run(*batch), run(*batch)
    times, samples = [], 0
    for i in range(6):
        batch = batches[i % len(batches)]
        start = time.perf_counter()
        run(*batch)
        times.append(time.perf_counter() - start)
        samples += len(batch[0])
        time.sleep(seconds / 8)
    p5, median, p95 = np.percentile(times, [5, 50, 95]) * 1000
    return {"median_ms": median, "p5_ms": p5, "p95_ms": p95, "runs": 6, "samples": samples,
            "samples_per_second": samples / sum(times)}
