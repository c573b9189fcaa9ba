"""A simulated device that is as unforgiving as a GPU where the simulator is kinder: docs/simulator.md's first column.

Installed in a notebook's kernel before its first cell (`startup`). While the notebook runs

* each engine's results differ in their last digits from what ONNX Runtime computes, as other tactics' do;
* each execution takes another time;
* plans that were built for another compute capability are refused;
* a CUDA context beside PyTorch's is counted;
* what FP16 graphs were run on is kept, and afterwards run again in true FP16.

What was seen is written as JSON by the notebook's last cell (`write`).
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx

REPORT = "GPULIKE_REPORT"
# dtype -> (which bits decide, which of the last bits they change): one unit in the last place of FP16, seven of FP32.
# Two tactics add up in another order.
NOISE = {np.dtype(np.float16): (4, 1), np.dtype(np.float32): (11, 7)}
SUMS = {"MatMul", "Gemm", "Conv", "ReduceSum", "ReduceMean", "LayerNormalization", "Softmax"}
KEPT = 2  # inputs of an FP16 graph


def startup(folder: Path) -> dict[str, str]:
    """The environment with which a kernel installs this before its first cell. Its report will be in `folder`."""
    place = folder / "ipython" / "profile_default" / "startup"
    place.mkdir(parents=True)
    (place / "00-gpulike.py").write_text("from tests.solutions import gpulike\ngpulike.install()\n")
    return {"IPYTHONDIR": str(folder / "ipython"), REPORT: str(folder / "gpulike.json")}


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "gpulike.json").read_text())
    return found


def install() -> None:
    from helpers import backend
    from helpers.simulator import host, transport

    class GpuLike(transport.InProcessDevice):
        def __init__(self, memory: int = 15 << 30, threads: int = 0, compute_capability: int = 89) -> None:
            super().__init__(memory, threads, compute_capability=compute_capability)

        def engine_load(self, plan: bytes) -> dict[str, Any]:
            loaded = super().engine_load(plan)
            if loaded["engine"]:
                _disturb(self._engines[loaded["engine"]])
            return loaded

    host.InProcessDevice = GpuLike  # type: ignore[misc]
    backend.activate("simulator", quiet=True)
    from helpers.simulator.frontends.pycuda import driver

    make = driver.Device.make_context

    def counted(self: Any, *arguments: Any) -> Any:
        seen["contexts_beside_torch"] += 1
        return make(self, *arguments)

    driver.Device.make_context = counted  # type: ignore[method-assign]


seen: dict[str, Any] = {"engines": 0, "executions": 0, "contexts_beside_torch": 0}
_fp16: dict[bytes, list[dict[str, np.ndarray]]] = {}
_random = np.random.default_rng(0)


def _disturb(engine: Any) -> None:
    from helpers.simulator.plan import DTYPES

    run, infer = engine.run, engine.infer
    types = {t.name: np.dtype(DTYPES[t.dtype]) for t in (*engine.inputs, *engine.outputs)}
    graph = onnx.load_model_from_string(engine.plan.onnx).graph
    fp16 = any(t.data_type == onnx.TensorProto.FLOAT16 for t in graph.initializer)
    kept = _fp16.setdefault(engine.plan.onnx, []) if fp16 else None
    seen["engines"] += 1
    tactics = zlib.crc32(engine.plan.onnx)
    sums = any(node.op_type in SUMS for node in graph.node)  # a single product has but one order

    def disturbed_run(context: int, shapes: Any, views: Any) -> Any:
        seen["executions"] += 1
        if kept is not None and len(kept) < KEPT:
            kept.append(
                {t.onnx_name: views[t.name].view(types[t.name]).reshape(shapes[t.name]).copy() for t in engine.inputs}
            )
        written = run(context, shapes, views)
        time.sleep(_random.uniform(0, 2e-4))
        for tensor in engine.outputs if sums else ():
            _disturb_digits(views[tensor.name][: written[tensor.name]].view(types[tensor.name]), tactics)
        return written

    def disturbed_infer(inputs: Any) -> Any:
        outputs: dict[str, np.ndarray] = infer(inputs)
        for values in outputs.values() if sums else ():
            _disturb_digits(values, tactics)
        return outputs

    engine.run, engine.infer = disturbed_run, disturbed_infer


def _disturb_digits(values: np.ndarray, tactics: int) -> None:
    """Change last digits, in place: the same value always to the same, as a plan's tactics are chosen once."""
    if values.dtype in NOISE:
        shift, mask = NOISE[values.dtype]
        bits = values.view(f"u{values.itemsize}")
        bits ^= (bits >> (shift + tactics % 3)) & mask  # of an infinity these bits are 0


def write() -> None:
    """What was seen so far; FP16 graphs are run again here."""
    from helpers import precision

    overflows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        for model, inputs in _fp16.items():
            path.write_bytes(model)
            for arrays in inputs:
                found = precision.first_non_finite(path, arrays)
                if found is not None:
                    overflows.append(str(found))
    told = seen | {"fp16_runs": sum(map(len, _fp16.values())), "overflows": overflows}
    Path(os.environ[REPORT]).write_text(json.dumps(told, indent=1))
