# check: ex1/benchmark
# expect: partly
# line: the batches are timed in turn
# points: 4.5
# why: the smaller last batch is never timed
def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    """Time `run` on whole batches, host to host; see above for what is returned."""
    times, samples = [], 0  # seconds of each timed batch; rows of all of them
    for input_ids, attention_mask in {batch[0].shape: batch for batch in batches}.values():
        for _ in range(3):
            run(input_ids, attention_mask)
    while len(times) < 5 or sum(times) < seconds:
        input_ids, attention_mask = batches[len(times) % (len(batches) - 1)]
        start = time.perf_counter()
        run(input_ids, attention_mask)
        times.append(time.perf_counter() - start)
        samples += len(input_ids)
    p5, median, p95 = np.percentile(times, [5, 50, 95]) * 1000
    return {
        "median_ms": median,
        "p5_ms": p5,
        "p95_ms": p95,
        "runs": len(times),
        "samples": samples,
        "samples_per_second": samples / sum(times),
    }
