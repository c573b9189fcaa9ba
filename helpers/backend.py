"""Which TensorRT serves `import tensorrt`: NVIDIA's own, TensorRT-RTX, or the simulator.

After `activate()` a notebook writes what it would write at work::

    import tensorrt as trt
    import pycuda.driver as cuda
    import pycuda.autoprimaryctx
    from cuda.bindings import runtime as cudart  # instead of pycuda, as NVIDIA's samples
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from typing import Any

from . import environment
from .environment import BackendUnavailable

__all__ = [
    "Backend",
    "BackendUnavailable",
    "activate",
    "current",
    "describe_event",
    "describe_record",
    "explain",
    "record",
    "record_length",
]


@dataclass(frozen=True)
class Backend:
    """What serves `import tensorrt` in this process.

    Attributes:
        name: "tensorrt", "tensorrt_rtx" or "simulator".
        version: of TensorRT's API.
        builder: whose builder and parser make plans.
        engine: what executes them; the label of every time that is measured.
        reason: why this backend was taken.
        gpu: whether a real GPU executes plans. The simulator does so too, where ONNX Runtime's CUDA provider serves.
    """

    name: str
    version: str
    builder: str
    engine: str
    reason: str
    gpu: bool

    @property
    def simulated(self) -> bool:
        """Whether the device is simulated: only then is there a record, and poison where a copy is pending."""
        return not self.gpu


_active: Backend | None = None


def current() -> Backend | None:
    """The backend that `activate` chose in this process; None before that."""
    return _active


def activate(choice: str | None = None, *, quiet: bool = False, transport: str | None = None) -> Backend:
    """Make `import tensorrt`, `import pycuda.driver` and `import cuda.bindings` work here, and say what serves them.

    Args:
        choice: "auto", "tensorrt", "tensorrt_rtx" or "simulator"; None reads TRT_BACKEND, and that defaults to "auto".
        quiet: do not print the line that says which backend was taken and why.
        transport: of the simulator's device: "process" (simulated, here), "child" (simulated, in a process of its own),
            "inherited" (simulated, the grader's), "cuda" (the real GPU). None takes the GPU where ONNX Runtime's CUDA
            provider is, and else this process.

    A second call with the same answer keeps everything as it is; with a `transport` it takes a new device.

    Raises:
        BackendUnavailable: the backend that was asked for cannot run here, or another one is active already.
        ValueError: no such backend.
    """
    global _active
    requested = choice if choice is not None else os.environ.get("TRT_BACKEND") or "auto"
    chosen = environment.choose_backend(environment.inspect(), requested)
    if _active is not None:
        if _active.name != chosen.backend:
            raise BackendUnavailable(
                f"the backend {_active.name!r} is active in this process and {chosen.backend!r} was asked for. Modules"
                " that are imported cannot be taken back: restart the kernel (or the program) and activate the other"
                " one first."
            )
        if transport is not None and _active.name == "simulator":
            from .simulator import host

            host.use(transport)
        if not quiet:
            print(_line(_active))
        return _active
    if chosen.backend == "simulator":
        on_gpu = chosen.provider == "CUDAExecutionProvider"
        backend = _activate_simulator(chosen.reason, transport or ("cuda" if on_gpu else "process"))
    else:
        backend = _activate_nvidia(chosen.backend, chosen.reason)
    _active = backend
    if not quiet:
        print(_line(backend))
    return backend


def _line(backend: Backend) -> str:
    return (
        f"TensorRT backend: {backend.name} (API {backend.version}; plans built by {backend.builder}; run by"
        f" {backend.engine}). {backend.reason[:1].upper()}{backend.reason[1:]}"
    )


def _activate_nvidia(name: str, reason: str) -> Backend:  # pragma: no cover - needs a GPU
    module = importlib.import_module(name)
    sys.modules["tensorrt"] = module
    if importlib.util.find_spec("pycuda") is None:
        from .simulator import host
        from .simulator.frontends import imports

        host.use("cuda")
        imports.serve_pycuda()
    title = "TensorRT" if name == "tensorrt" else "TensorRT-RTX"
    return Backend(name, module.__version__, f"NVIDIA's {title}", f"NVIDIA's {title}", reason, gpu=True)


def _refuse_if_imported() -> None:
    main = vars(sys.modules["__main__"]).values()
    for name in ("tensorrt", "pycuda", "pycuda.driver", "cuda.bindings.runtime", "cuda.bindings.driver"):
        module = sys.modules.get(name)
        # a library may have taken cuda.bindings for itself: that is no harm; the program that will use it must not
        if module is not None and (not name.startswith("cuda.") or any(value is module for value in main)):
            raise BackendUnavailable(
                f"{name!r} was imported before backend.activate() ({getattr(module, '__file__', None)}), so the"
                " simulator cannot serve it. Restart the kernel and call backend.activate() before the first `import"
                " tensorrt` or `import pycuda`."
            )


def _activate_simulator(reason: str, transport: str) -> Backend:
    _refuse_if_imported()
    from .simulator import host
    from .simulator.frontends import imports, tensorrt
    from .simulator.native import BUILDER, nv

    host.use(transport)
    module = tensorrt.module()
    sys.modules["tensorrt"] = module
    engine = "ONNX Runtime on CPU behind TensorRT's API"
    if transport == "cuda":  # pragma: no cover - needs a GPU
        engine = "ONNX Runtime's CUDA provider behind TensorRT's API"
    if transport != "cuda" or importlib.util.find_spec("pycuda") is None:
        imports.serve_pycuda()
    if transport != "cuda":
        imports.serve_cuda_bindings()
    _watch_cells()
    builder = "the simulator's own builder (Python)"
    if BUILDER == "nvidia":
        builder = f"NVIDIA's TensorRT-RTX builder {nv.__version__}, which needs no GPU"
    return Backend("simulator", module.__version__, builder, engine, reason, gpu=transport == "cuda")


# --- what is pending ------------------------------------------------------------------------------------------------


def _describe(event: dict[str, Any]) -> str:
    tensor = f" of tensor {event['tensor']!r}" if event["tensor"] else ""
    return f"copy device to host{tensor}, {event['nbytes']:,} bytes, on stream {event['stream']}"


def explain(array: Any) -> str:
    """Say whether a copy into a host array is still pending, and which.

    Args:
        array: any numpy array, or a view of one.
    """
    if _active is None or not _active.simulated:
        return "Only the simulator keeps track of pending copies. On a GPU: synchronise the stream before you read."
    from .simulator import host

    address, nbytes = array.__array_interface__["data"][0], array.nbytes
    if host.current().find_pinned(address) is None:
        return "This array is pageable memory: copies into it have completed when the call returns. Nothing is pending."
    pending = host.current().pending(address, nbytes)
    if not pending:
        return "This array is pinned memory and no copy into it is pending: what it holds is real."
    copies = "; ".join(_describe(event) for event in pending)
    return (
        f"Read too early: {copies} was enqueued and has not completed. Until then the array holds poison (NaN, or -1"
        " for integers). Expected: stream.synchronize() (or an event's) before the array is read."
    )


def record(since: int = 0) -> list[dict[str, Any]]:
    """The simulated device's record: every copy, execution, wait, allocation and free, as plain dicts, oldest first."""
    from .simulator import host

    events: list[dict[str, Any]] = host.current().device.record(since)
    return events


def record_length() -> int:
    """How many events the record has had so far: hand it to `record` later to get what came in between."""
    from .simulator import host

    return int(host.current().device.record_length())


def describe_event(event: dict[str, Any]) -> str:
    """One event of the record as a line: index, what it was, stream, bytes, host memory, tensor, and how long."""
    words = [f"#{event['index']}", event["op"], f"stream {event['stream']}"]
    words += [f"{event['nbytes']:,} bytes"] if event["nbytes"] else []
    words += [event[key] for key in ("memory", "waited_for") if event[key]]
    words += [f"tensor {event['tensor']!r}"] if event["tensor"] else []
    words += [f"{name} {shape}" for name, shape in (event["shapes"] or {}).items()]
    if event["finished_ns"]:
        words.append(f"{(event['finished_ns'] - event['started_ns']) / 1e6:.3f} ms")
    else:
        words.append("not run yet")
    return "  ".join(words)


def describe_record(since: int = 0) -> str:
    """The record as text, one event a line."""
    return "\n".join(map(describe_event, record(since)))


_told: set[tuple[int, int]] = set()  # (device, index of the copy)


def _tell_pending(result: Any = None) -> None:
    from .simulator import host
    from .simulator.device import DeviceError

    try:
        unfinished = host.current().device.unfinished()
    except DeviceError:
        return  # the device has ended; whoever uses it is told
    for event in unfinished:
        copy = (id(host.current()), event["index"])
        if event["op"] == "dtoh" and copy not in _told:
            _told.add(copy)
            print(
                f"[simulator] pending at the end of this cell: {_describe(event)}. Its host array holds poison until"
                " the stream is synchronised.",
                file=sys.stderr,
            )


def _watch_cells() -> None:
    """In a notebook, name at the end of each cell the copies that are still pending."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None:
        shell.events.register("post_run_cell", _tell_pending)
