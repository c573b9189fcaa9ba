"""What the simulator costs: `python -m helpers overhead [--pairs N] [--json FILE]`.

Two questions. How much slower is `TensorRTRunner` on the simulated device than ONNX Runtime called directly on NumPy
arrays, with the same graph and threads (pairs in turn, the median of their ratios)? And how many microseconds does one
step of a decode-like loop take (a shape that grows by one, copy in, execute, copy out, synchronise) for a plan with a
single Add, in process and through the child?
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def runner_over_session(pairs: int, batch: int = 32, length: int = 64) -> dict[str, Any]:
    """Time of `TensorRTRunner` over time of `InferenceSession.run`, with MODEL's graph. Ratios are of one run each.

    Args:
        pairs: how many pairs are timed; in every second pair the session goes first.
    """
    import onnxruntime as ort

    from helpers import engine, export, models
    from helpers.runtime import TensorRTRunner

    classifier = models.load_classifier()
    rng = np.random.default_rng(0)
    inputs = {
        "input_ids": rng.integers(1, classifier.model.config.vocab_size, (batch, length)),
        "attention_mask": (np.arange(length) < rng.integers(5, length + 1, (batch, 1))).astype(np.int64),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = export.export_onnx(classifier.model, Path(folder) / "model.onnx")
        shape = (batch, length)
        plan = engine.build(path, Path(folder) / "model.plan", dict.fromkeys(inputs, (shape, shape, shape)))
        options = ort.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as the device's own
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        ratios, ours, theirs = [], [], []
        with TensorRTRunner(plan.path) as runner:
            calls: list[Callable[[], Any]] = [lambda: runner(**inputs), lambda: session.run(None, inputs)]
            got, want = calls[0]()["logits"], calls[1]()[0]
            for turn in range(pairs):
                times = [0.0, 0.0]
                for which in (0, 1) if turn % 2 else (1, 0):
                    start = time.perf_counter()
                    calls[which]()
                    times[which] = time.perf_counter() - start
                ours.append(times[0])
                theirs.append(times[1])
                ratios.append(times[0] / times[1])
    return {
        "model": classifier.name,
        "size": classifier.size,
        "batch": batch,
        "tokens": length,
        "pairs": pairs,
        "max_difference": float(np.abs(got - want).max()),
        "runner_ms_median": statistics.median(ours) * 1e3,
        "session_ms_median": statistics.median(theirs) * 1e3,
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def one_add_plan(steps: int) -> bytes:
    """A plan of y = x + 1 for x of shape [1, 1] to [1, steps]; a backend is active."""
    import tensorrt as trt
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "one"], ["y"])],
        "add",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "t"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "t"])],
        [numpy_helper.from_array(np.ones(1, np.float32), "one")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    trt.OnnxParser(network, logger).parse(model.SerializeToString())
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1, 1), (1, steps), (1, steps))
    config.add_optimization_profile(profile)
    return bytes(builder.build_serialized_network(network, config))


def one_add_step(transport: str, steps: int = 1000, rounds: int = 5) -> dict[str, Any]:
    """Microseconds of one step of a plan with a single Add: the median of `rounds` medians over `steps` steps.

    Step t computes y = x + 1 for x of shape [1, t], as decoding without a cache does: no two shapes are equal.
    """
    from helpers import backend
    from helpers.simulator import host

    backend.activate("simulator", quiet=True)
    import pycuda.driver as cuda
    import tensorrt as trt

    cuda.init()
    host.use(transport)
    context_of_thread = cuda.Device(0).make_context()
    plan, logger = one_add_plan(steps), trt.Logger(trt.Logger.ERROR)
    context = trt.Runtime(logger).deserialize_cuda_engine(plan).create_execution_context()
    x, y = (cuda.pagelocked_zeros((1, steps), np.float32) for _ in range(2))
    device = {"x": cuda.mem_alloc(x.nbytes), "y": cuda.mem_alloc(y.nbytes)}
    stream = cuda.Stream()

    def step(t: int) -> None:
        context.set_input_shape("x", (1, t))
        for name, allocation in device.items():
            context.set_tensor_address(name, int(allocation))
        cuda.memcpy_htod_async(device["x"], x[:, :t], stream)
        context.execute_async_v3(stream.handle)
        cuda.memcpy_dtoh_async(y[:, :t], device["y"], stream)
        stream.synchronize()

    medians = []
    for _ in range(rounds):
        times = []
        for t in range(1, steps + 1):
            start = time.perf_counter()
            step(t)
            times.append(time.perf_counter() - start)
        medians.append(statistics.median(times) * 1e6)
    assert (y == 1).all()
    context_of_thread.detach()
    host.use("process")
    return {"transport": transport, "steps": steps, "us_median": statistics.median(medians), "us_of_rounds": medians}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers overhead", description=__doc__)
    parser.add_argument("--pairs", type=int, default=20, help="pairs of runner and session (default 20)")
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    options = parser.parse_args(arguments)
    steps = [one_add_step(transport) for transport in ("process", "child")]
    for each in steps:
        print(f"one step of a one-Add plan, {each['transport']}: {each['us_median']:.0f} us")
    pair = runner_over_session(options.pairs)
    print(
        f"TensorRTRunner over InferenceSession.run, {pair['model']} ({pair['size']}), batch {pair['batch']}, "
        f"{pair['pairs']} pairs: {pair['ratio_median']:.3f} times (min {pair['ratio_min']:.3f}, max "
        f"{pair['ratio_max']:.3f}); medians {pair['runner_ms_median']:.1f} and {pair['session_ms_median']:.1f} ms; "
        f"max difference {pair['max_difference']:.1e}"
    )
    if options.json:
        from helpers import environment

        result = {
            **environment.circumstances("MODEL=full python -m helpers overhead --json FILE"),
            "one_add_step": steps,
            "runner_over_session": pair,
        }
        Path(options.json).parent.mkdir(parents=True, exist_ok=True)
        Path(options.json).write_text(json.dumps(result, indent=1) + "\n")
        print(f"written: {options.json}")


if __name__ == "__main__":
    main()
