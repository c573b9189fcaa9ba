"""The run cases: what TensorRT's runtime and CUDA return and log, and where each expectation comes from.

`returns` and `says` were written from documents, headers, the bindings' source and public logs, and committed before a
case ran anywhere. They are never edited after that: what turned out otherwise stands in `DIFFERS`, with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import run_buffers, run_captures, run_cuda, run_engine, run_graphs, run_shapes
from .case import listed

# case -> backend, builder or transport -> why it is otherwise there
_NO_NONZERO = {
    "tensorrt_rtx": "TensorRT-RTX has no NonZero: its parser refuses the model (measured)",
    "cuda": "a GPU without TensorRT does not run outputs whose size depends on values",
}
_OWN_MEMORY = {"cuda": "ONNX Runtime keeps memory of its own: what a context frees is not the driver's again"}
_PAGEABLE = {
    "simulator": "stricter than CUDA 13 on purpose: pageable memory is copied by value when the call is made, which a"
    " graph that is launched later could not show"
}
_THREADS = {"child": "the device in another process is not told which thread calls: all count as the capturing one"}
DIFFERS: Mapping[str, Mapping[str, str]] = {
    "allocator-data-dependent-shape": _NO_NONZERO,
    "allocator-empty-output": _NO_NONZERO,
    "allocator-of-two-executions": _NO_NONZERO,
    "shape-input-is-read-at-execution": {"cuda": "a GPU without TensorRT does not run shape tensors"},
    "memory-of-contexts-comes-back": _OWN_MEMORY,
    "allocation-on-profile-change": _OWN_MEMORY,
    "graph-of-a-graph": dict.fromkeys(
        ("simulator", "tensorrt", "tensorrt_rtx"),
        "the expectation was wrong: CUDA 13 refuses the launch of a graph in a capturing stream with error 900"
        " (measured on an H200)",
    ),
    "during-capture-malloc-async": {"simulator": "graphs of the simulator have no memory nodes; it says not supported"},
    "during-capture-copy-pageable-up": _PAGEABLE,
    "during-capture-copy-pageable-down": _PAGEABLE,
    "pageable-copy-in-a-graph": _PAGEABLE,
    **{
        f"beside-a-capture-{call}": _THREADS
        for call in ("malloc", "free", "wait-for-a-stream", "query-a-stream", "wait-for-an-event")
    },
    "copy-of-the-wrong-kind": {
        "simulator": "stricter than CUDA 13 on purpose: a copy from host to device needs a host address, so that two"
        " addresses that were swapped are noticed"
    },
    "what-is-alive-is-listed": {"simulator": "the list is for people: it says device memory, execution context ..."},
}

MODULES = (run_shapes, run_buffers, run_engine, run_cuda, run_graphs, run_captures)
RUN_CASES = listed((case for module in MODULES for case in module.CASES), DIFFERS)
