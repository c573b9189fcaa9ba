# check: ex1/benchmark
# expect: right
# why: itertools.cycle, time.perf_counter_ns and a deadline on the wall clock; the garbage collector is off meanwhile
import gc
from contextlib import contextmanager
from itertools import cycle


@contextmanager
def no_garbage_collection():
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    """Time `run` on whole batches, host to host; see above for what is returned."""
    times, samples = [], 0  # seconds of each timed batch; rows of all of them
    seen = set()
    for batch in batches:
        shape = tuple(np.shape(array) for array in batch)
        if shape not in seen:
            seen.add(shape)
            run(*batch)
            run(*batch)

    with no_garbage_collection():
        deadline = time.perf_counter_ns() + int(seconds * 1e9)
        for batch in cycle(batches):
            before = time.perf_counter_ns()
            run(*batch)
            after = time.perf_counter_ns()
            times.append((after - before) / 1e9)
            samples += batch[0].shape[0]
            if after >= deadline and len(times) >= 5:
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
