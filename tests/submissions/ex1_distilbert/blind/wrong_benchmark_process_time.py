# check: ex1/benchmark
# expect: wrong
# line: samples a second are samples by the time
# points: 0.5
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: time.process_time counts CPU seconds of this process: waiting for a GPU costs nothing, two threads count twice
def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    """Time `run` on whole batches, host to host; see above for what is returned."""
    times, samples = [], 0  # seconds of each timed batch; rows of all of them
    for ids, mask in {ids.shape: (ids, mask) for ids, mask in batches}.values():
        for _ in range(2):
            run(ids, mask)

    began = time.perf_counter()
    n = 0
    while n < 5 or time.perf_counter() - began < seconds:
        ids, mask = batches[n % len(batches)]
        start = time.process_time()  # other programs shall not count
        run(ids, mask)
        times.append(time.process_time() - start)
        samples += len(ids)
        n += 1
    p5, median, p95 = np.percentile(times, [5, 50, 95]) * 1000
    return {
        "median_ms": median,
        "p5_ms": p5,
        "p95_ms": p95,
        "runs": len(times),
        "samples": samples,
        "samples_per_second": samples / sum(times),
    }
