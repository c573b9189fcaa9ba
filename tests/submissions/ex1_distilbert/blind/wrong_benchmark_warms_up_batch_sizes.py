# check: ex1/benchmark
# expect: wrong
# line: each shape, also the smaller last batch, is warmed up
# points: 4
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: the warm-up tells batches apart by their rows alone; of two lengths with the same rows one stays cold
def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    """Time `run` on whole batches, host to host; see above for what is returned."""
    times, samples = [], 0  # seconds of each timed batch; rows of all of them
    by_size = {len(ids): (ids, mask) for ids, mask in batches}
    for ids, mask in by_size.values():
        for _ in range(3):
            run(ids, mask)

    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        ids, mask = batches[len(times) % len(batches)]
        start = time.perf_counter()
        run(ids, mask)
        times.append(time.perf_counter() - start)
        samples += len(ids)
    p5, median, p95 = np.percentile(times, [5, 50, 95]) * 1000
    return {
        "median_ms": median,
        "p5_ms": p5,
        "p95_ms": p95,
        "runs": len(times),
        "samples": samples,
        "samples_per_second": samples / sum(times),
    }
