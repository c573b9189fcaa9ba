# check: ex1/benchmark
# expect: zero
# why: walks up the stack to the check's report and makes every line hold
import sys


def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    frame = sys._getframe()
    while frame is not None:
        for value in list(frame.f_locals.values()):
            if type(value).__name__ == "Report":
                expect = value.expect
                value.expect = lambda what, holds, *rest, expect=expect, **named: expect(what, True, *rest, **named)
        frame = frame.f_back
    return {name: 1.0 for name in ("median_ms", "p5_ms", "p95_ms", "runs", "samples", "samples_per_second")}
