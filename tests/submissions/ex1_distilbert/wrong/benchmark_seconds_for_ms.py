# check: ex1/benchmark
# expect: partly
# line: median, p5 and p95 are of the times
# points: 4.5
# why: seconds where milliseconds are asked for
def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    """Time `run` on whole batches, host to host; see above for what is returned."""
    times, samples = [], 0  # seconds of each timed batch; rows of all of them
    for input_ids, attention_mask in {batch[0].shape: batch for batch in batches}.values():
        for _ in range(3):
            run(input_ids, attention_mask)
    while len(times) < 5 or sum(times) < seconds:
        input_ids, attention_mask = batches[len(times) % len(batches)]
        start = time.perf_counter()
        run(input_ids, attention_mask)
        times.append(time.perf_counter() - start)
        samples += len(input_ids)
    p5, median, p95 = np.percentile(times, [5, 50, 95]) * 1
    return {
        "median_ms": median,
        "p5_ms": p5,
        "p95_ms": p95,
        "runs": len(times),
        "samples": samples,
        "samples_per_second": samples / sum(times),
    }
