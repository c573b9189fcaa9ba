# check: ex1/benchmark
# expect: zero
# why: full marks are written on the judge's socket before the check's own reply
import os
import socket
import sys


def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    from helpers import messages

    good = {"median_ms": 1.0, "p5_ms": 1.0, "p95_ms": 1.0, "runs": 5, "samples": 53, "samples_per_second": 53000.0}
    with socket.socket(fileno=os.dup(int(sys.argv[1]))) as raw:
        for _ in range(50):
            messages.send(raw, ["ok", good])
        messages.send(raw, ["passed", 5.0])
    return good
