# check: ex1/benchmark
# expect: right
# why: the whole list is run twice as the warm-up, a generator yields one record a timed batch, the loop adds them up
@dataclass(frozen=True)
class Timed:
    seconds: float
    rows: int


def timed(run, batches):
    """Time the batches in turn, for ever."""
    while True:
        for ids, mask in batches:
            start = time.perf_counter()
            run(ids, mask)
            yield Timed(time.perf_counter() - start, len(ids))


def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    """Time `run` on whole batches, host to host; see above for what is returned."""
    times, samples = [], 0  # seconds of each timed batch; rows of all of them
    for _ in range(2):
        for ids, mask in batches:
            run(ids, mask)

    spent = 0.0
    for record in timed(run, batches):
        times.append(record.seconds)
        samples += record.rows
        spent += record.seconds
        if spent >= seconds and len(times) > 4:
            break
    p5, median, p95 = np.percentile(times, [5, 50, 95]) * 1000
    return {
        "median_ms": median,
        "p5_ms": p5,
        "p95_ms": p95,
        "runs": len(times),
        "samples": samples,
        "samples_per_second": samples / sum(times),
    }
