# check: ex1/benchmark
# expect: full
# keys: 20
# why: perf_counter_ns, whole rounds over the batches, NumPy for the sums
def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    shapes = set()
    for ids, mask in batches:
        if ids.shape not in shapes:
            shapes.add(ids.shape)
            run(ids, mask)
            run(ids, mask)
    nanoseconds, samples = [], 0
    while len(nanoseconds) < 5 or sum(nanoseconds) < seconds * 1e9:
        for ids, mask in batches:  # whole rounds
            start = time.perf_counter_ns()
            run(ids, mask)
            stop = time.perf_counter_ns()
            nanoseconds.append(stop - start)
            samples += ids.shape[0]
    milliseconds = np.array(nanoseconds) / 1e6
    return {
        "median_ms": float(np.median(milliseconds)),
        "p5_ms": float(np.quantile(milliseconds, 0.05)),
        "p95_ms": float(np.quantile(milliseconds, 0.95)),
        "runs": len(nanoseconds),
        "samples": samples,
        "samples_per_second": float(samples / (milliseconds.sum() / 1000)),
    }
