"""A real GPU behind the simulator's device interface, for a GPU that no TensorRT at hand can run on.

Memory, streams and events are the driver's own, through `cuda.bindings`; engines are executed by ONNX Runtime's CUDA
provider on the user's stream, without a synchronisation between. Where pycuda is installed, notebooks use it directly
and only the engines come through here: both share the device's primary context, which is PyTorch's too.

Run on hardware: see docs/hardware.md for what has been run where.
"""

from __future__ import annotations

import ctypes
import threading
import time
from dataclasses import asdict
from typing import Any

import numpy as np

from .device import DeviceError, Event
from .executor import Engine, ExecutionError, _dtype
from .plan import Plan, PlanError, Shape, open_plan


class CudaEngine(Engine):  # pragma: no cover - needs a GPU
    """A plan's model in ONNX Runtime's CUDA provider: a session a stream, because a session is bound to one."""

    def __init__(self, plan: Plan) -> None:
        import onnxruntime

        onnxruntime.preload_dlls()
        onnxruntime.set_default_logger_severity(3)  # each session warns of a plugin device that nobody asked for
        super().__init__(plan)
        self._sessions: dict[int, Any] = {}
        self._options = onnxruntime.RunOptions()
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def enqueue(self, context: int, stream: int, shapes: dict[str, Shape], addresses: dict[str, int]) -> None:
        """Enqueue an execution on `stream`; device addresses of all tensors are given."""
        session = self._sessions.get(stream)
        if session is None:
            options = {"device_id": "0", "user_compute_stream": str(stream), "use_tf32": "0"}
            providers: list[Any] = [("CUDAExecutionProvider", options), "CPUExecutionProvider"]
            session = self._sessions[stream] = self._new_session(providers)
        key = (stream, tuple((name, shapes[name], addresses[name]) for name in shapes))
        cached = self._bindings.get(context)
        if cached is None or cached[0] != key:
            binding = session.io_binding()
            for tensor in self.inputs:
                if tensor.onnx_name not in self._unused:
                    binding.bind_input(
                        tensor.onnx_name, "cuda", 0, _dtype(tensor), shapes[tensor.name], addresses[tensor.name]
                    )
            for tensor in self.outputs:
                binding.bind_output(
                    tensor.onnx_name, "cuda", 0, _dtype(tensor), shapes[tensor.name], addresses[tensor.name]
                )
            cached = self._bindings[context] = (key, binding)
        session.run_with_iobinding(cached[1], self._options)


class CudaDevice:  # pragma: no cover - needs a GPU
    """Device 0, in its primary context; has the methods of `Device`.

    The record has what was enqueued and when; when it ran is the GPU's affair (use events). Of allocations, frees and
    waits, which are the host's own time, it has beginning and end.
    """

    def __init__(self) -> None:
        from cuda.bindings import driver

        self._cu = driver
        self._do(driver.cuInit(0))
        self._device = self._do(driver.cuDeviceGet(0))
        self._context = self._do(driver.cuDevicePrimaryCtxRetain(self._device))
        self._current = threading.local()
        self._ids = iter(range(1, 1 << 62))
        self._host: dict[int, tuple[int, int]] = {}
        self._events: dict[int, Any] = {}
        self._engines: dict[int, CudaEngine] = {}
        self._contexts: dict[int, int] = {}
        self._graphs: dict[int, Any] = {}
        self._record: list[Event] = []

    def _do(self, result: tuple[Any, ...]) -> Any:
        error, *values = result
        if int(error):
            _, text = self._cu.cuGetErrorString(error)
            raise DeviceError(error.name, (text or b"").decode())
        return values[0] if values else None

    def _call(self, function: str, *arguments: Any) -> Any:
        if not getattr(self._current, "set", False):  # the current context is the thread's
            self._do(self._cu.cuCtxSetCurrent(self._context))
            self._current.set = True
        return self._do(getattr(self._cu, function)(*arguments))

    def _note(self, op: str, stream: int = 0, *, began: int = 0, **fields: Any) -> None:
        """`began`: when the host's call began, for calls that are the host's own time."""
        now = time.perf_counter_ns()
        event = Event(len(self._record), op, stream, enqueued_ns=now, **fields)
        event.started_ns, event.finished_ns = began, now if began else 0
        self._record.append(event)

    def record(self, since: int = 0) -> list[dict[str, Any]]:
        return [asdict(event) for event in self._record[since:]]

    def record_length(self) -> int:
        return len(self._record)

    def pending(self, host: int, offset: int, nbytes: int) -> list[dict[str, Any]]:
        return []

    def unfinished(self) -> list[dict[str, Any]]:
        return []

    def release(self, method: str, ident: int) -> None:
        try:
            getattr(self, method)(ident)
        except DeviceError:
            pass

    def properties(self) -> dict[str, Any]:
        attribute = self._cu.CUdevice_attribute
        name = self._call("cuDeviceGetName", 256, self._device).split(b"\0")[0].decode()
        parts = [
            self._call("cuDeviceGetAttribute", getattr(attribute, f"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{which}"), 0)
            for which in ("MAJOR", "MINOR")
        ]
        return {
            "name": name,
            "compute_capability": parts,
            "memory": self._call("cuDeviceTotalMem", self._device),
            "driver": self._call("cuDriverGetVersion"),
        }

    # --- memory ---

    def mem_get_info(self) -> list[int]:
        if not getattr(self._current, "set", False):
            self._call("cuDriverGetVersion")
        error, free, total = self._cu.cuMemGetInfo()
        self._do((error,))
        return [free, total]

    def mem_alloc(self, nbytes: int) -> int:
        began = time.perf_counter_ns()
        address = int(self._call("cuMemAlloc", nbytes))
        self._note("alloc", began=began, nbytes=nbytes, address=address)
        return address

    def mem_free(self, address: int) -> None:
        began = time.perf_counter_ns()
        self._call("cuMemFree", self._cu.CUdeviceptr(address))
        self._note("free", began=began, address=address)

    def mem_free_async(self, address: int, stream: int) -> None:
        self._call("cuMemFreeAsync", self._cu.CUdeviceptr(address), self._cu.CUstream(stream))
        self._note("free", stream, address=address)

    def mem_range(self, address: int) -> list[int]:
        self._call("cuDriverGetVersion")
        error, start, nbytes = self._cu.cuMemGetAddressRange(self._cu.CUdeviceptr(address))
        return [] if int(error) else [int(start), int(nbytes)]

    def host_alloc(self, nbytes: int) -> int:
        began = time.perf_counter_ns()
        ident = next(self._ids)
        self._host[ident] = (int(self._call("cuMemHostAlloc", nbytes, 0)), nbytes)
        self._note("host_alloc", began=began, nbytes=nbytes)
        return ident

    def host_map(self, ident: int) -> Any:
        address, nbytes = self._host[ident]
        return (ctypes.c_ubyte * nbytes).from_address(address)

    def host_free(self, ident: int) -> None:
        began = time.perf_counter_ns()
        address, nbytes = self._host.pop(ident)
        self._call("cuMemFreeHost", address)
        self._note("host_free", began=began, nbytes=nbytes)

    # --- streams and events ---

    def stream_create(self, flags: int) -> int:
        return int(self._call("cuStreamCreate", flags))

    def stream_synchronize(self, handle: int) -> None:
        began = time.perf_counter_ns()
        self._call("cuStreamSynchronize", self._cu.CUstream(handle))
        self._note("synchronize", handle, began=began, waited_for="stream")

    def synchronize(self) -> None:
        began = time.perf_counter_ns()
        self._call("cuCtxSynchronize")
        self._note("synchronize", began=began, waited_for="device")

    def stream_query(self, handle: int) -> bool:
        self._call("cuDriverGetVersion")
        (error,) = self._cu.cuStreamQuery(self._cu.CUstream(handle))
        return int(error) == 0

    def stream_wait_event(self, handle: int, event: int) -> None:
        self._call("cuStreamWaitEvent", self._cu.CUstream(handle), self._event(event), 0)
        self._note("wait_event", handle)

    def event_create(self, flags: int = 0) -> int:
        ident = next(self._ids)
        self._events[ident] = self._call("cuEventCreate", flags)
        return ident

    def _event(self, handle: int) -> Any:
        """An event of ours, or one that the program made itself by cuda.bindings or pycuda."""
        return self._events.get(handle) or self._cu.CUevent(handle)

    def event_destroy(self, handle: int) -> None:
        event = self._events.pop(handle, None)
        if event is not None:
            self._call("cuEventDestroy", event)

    def event_record(self, handle: int, stream: int) -> None:
        self._call("cuEventRecord", self._event(handle), self._cu.CUstream(stream))
        self._note("event_record", stream)

    def event_synchronize(self, handle: int) -> None:
        began = time.perf_counter_ns()
        self._call("cuEventSynchronize", self._event(handle))
        self._note("synchronize", began=began, waited_for="event")

    def event_query(self, handle: int) -> bool:
        (error,) = self._cu.cuEventQuery(self._event(handle))
        return int(error) == 0

    def event_elapsed(self, start: int, end: int) -> float:
        return float(self._call("cuEventElapsedTime", self._event(start), self._event(end)))

    def stream_destroy(self, handle: int) -> None:
        self._call("cuStreamDestroy", self._cu.CUstream(handle))

    # --- capture and graphs ---

    def stream_begin_capture(self, handle: int, mode: int) -> None:
        self._call("cuStreamBeginCapture", self._cu.CUstream(handle), self._cu.CUstreamCaptureMode(mode))

    def stream_capture_status(self, handle: int) -> int:
        return int(self._call("cuStreamIsCapturing", self._cu.CUstream(handle)))

    def stream_end_capture(self, handle: int) -> int:
        return self._keep(self._call("cuStreamEndCapture", self._cu.CUstream(handle)))

    def _keep(self, graph: Any) -> int:
        ident = next(self._ids)
        self._graphs[ident] = graph
        return ident

    def graph_nodes(self, ident: int) -> list[str]:
        self._call("cuDriverGetVersion")
        error, _, count = self._cu.cuGraphGetNodes(self._graphs[ident], 0)
        self._do((error,))
        error, nodes, _ = self._cu.cuGraphGetNodes(self._graphs[ident], count)
        self._do((error,))
        kinds = [self._call("cuGraphNodeGetType", node).name for node in nodes]
        return [kind.removeprefix("CU_GRAPH_NODE_TYPE_").lower() for kind in kinds]

    def graph_instantiate(self, ident: int) -> int:
        return self._keep(self._call("cuGraphInstantiate", self._graphs[ident], 0))

    def graph_launch(self, ident: int, stream: int) -> None:
        self._call("cuGraphLaunch", self._graphs[ident], self._cu.CUstream(stream))
        self._note("graph_launch", stream)

    def graph_destroy(self, ident: int) -> None:
        self._call("cuGraphDestroy", self._graphs.pop(ident))

    def graph_exec_destroy(self, ident: int) -> None:
        self._call("cuGraphExecDestroy", self._graphs.pop(ident))

    def reset(self) -> None:
        """End the primary context and begin another. What others made in it, PyTorch among them, is gone too."""
        for known in (self._host, self._events, self._engines, self._contexts, self._graphs):
            known.clear()
        self._do(self._cu.cuDevicePrimaryCtxReset(self._device))
        self._context = self._do(self._cu.cuDevicePrimaryCtxRetain(self._device))
        self._current = threading.local()
        self._note("reset")

    def live(self) -> list[dict[str, Any]]:
        """Of a real GPU only what it is asked to keep here; device memory and streams are the driver's to tell."""
        rows = [("pinned memory", ident, nbytes, "") for ident, (_, nbytes) in self._host.items()]
        rows += [(kind, ident, 0, "") for kind, known in self._kinds() for ident in known]
        return [dict(zip(("kind", "id", "nbytes", "tensor"), row, strict=True)) for row in rows]

    def _kinds(self) -> list[tuple[str, dict[int, Any]]]:
        known = (self._engines, self._contexts, self._events, self._graphs)
        return list(zip(("engine", "execution context", "event", "graph"), known, strict=True))

    # --- copies ---

    def memcpy_htod(
        self,
        address: int,
        nbytes: int,
        host: int,
        offset: int,
        data: bytes | None,
        stream: int,
        wait: bool,
        dtype: str,
        rows: int = 1,
        pitch: int = 0,
        host_pitch: int = 0,
    ) -> None:
        target, queue = self._cu.CUdeviceptr(address), self._cu.CUstream(0 if wait else stream)
        if data is None:
            source = self._host[host][0] + offset
        else:
            keep = np.frombuffer(data, np.uint8)  # until the synchronisation below
            source, host_pitch = keep.ctypes.data, 0  # rows by value are packed
        if rows == 1:
            self._call("cuMemcpyHtoDAsync", target, source, nbytes, queue)
        else:
            self._copy_rows(queue, nbytes, rows, srcHost=source, srcPitch=host_pitch, dstDevice=target, dstPitch=pitch)
        if wait or data is not None:
            self._call("cuStreamSynchronize", queue)
        memory = "pinned" if data is None else "pageable, synchronous"
        self._note("htod", int(queue), nbytes=nbytes, address=address, memory=memory)

    def memcpy_dtoh(
        self,
        address: int,
        nbytes: int,
        host: int,
        offset: int,
        pageable: bool,
        stream: int,
        wait: bool,
        dtype: str,
        rows: int = 1,
        pitch: int = 0,
        host_pitch: int = 0,
    ) -> bytes | None:
        source, queue = self._cu.CUdeviceptr(address), self._cu.CUstream(0 if wait else stream)
        result = np.empty(nbytes, np.uint8) if pageable else None
        target = result.ctypes.data if result is not None else self._host[host][0] + offset
        if rows == 1:
            self._call("cuMemcpyDtoHAsync", target, source, nbytes, queue)
        else:
            there = 0 if pageable else host_pitch  # rows by value are packed
            self._copy_rows(queue, nbytes, rows, srcDevice=source, srcPitch=pitch, dstHost=target, dstPitch=there)
        if wait or pageable:
            self._call("cuStreamSynchronize", queue)
        memory = "pageable, synchronous" if pageable else "pinned"
        self._note("dtoh", int(queue), nbytes=nbytes, source=address, memory=memory)
        return result.tobytes() if result is not None else None

    def memcpy_dtod(
        self,
        target: int,
        source: int,
        nbytes: int,
        stream: int,
        wait: bool,
        rows: int = 1,
        target_pitch: int = 0,
        source_pitch: int = 0,
    ) -> None:
        queue = self._cu.CUstream(0 if wait else stream)
        to, of = self._cu.CUdeviceptr(target), self._cu.CUdeviceptr(source)
        if rows == 1:
            self._call("cuMemcpyDtoDAsync", to, of, nbytes, queue)
        else:
            self._copy_rows(
                queue, nbytes, rows, srcDevice=of, srcPitch=source_pitch, dstDevice=to, dstPitch=target_pitch
            )
        if wait:
            self._call("cuStreamSynchronize", queue)
        self._note("dtod", int(queue), nbytes=nbytes, address=target, source=source)

    def _copy_rows(self, queue: Any, nbytes: int, rows: int, **places: Any) -> None:
        """cuMemcpy2DAsync; `places` are fields of CUDA_MEMCPY2D, a pitch of 0 stands for packed rows."""
        kind = self._cu.CUmemorytype
        copy = self._cu.CUDA_MEMCPY2D()
        copy.WidthInBytes, copy.Height = nbytes // rows, rows
        for name, value in places.items():
            setattr(copy, name, (value or nbytes // rows) if name.endswith("Pitch") else value)
        for side in ("src", "dst"):
            on_host = f"{side}Host" in places
            setattr(copy, f"{side}MemoryType", kind.CU_MEMORYTYPE_HOST if on_host else kind.CU_MEMORYTYPE_DEVICE)
        self._call("cuMemcpy2DAsync", copy, queue)

    def memset(self, address: int, pattern: bytes, count: int, stream: int, wait: bool) -> None:
        queue = self._cu.CUstream(0 if wait else stream)
        function = {1: "cuMemsetD8Async", 2: "cuMemsetD16Async", 4: "cuMemsetD32Async"}[len(pattern)]
        value = int.from_bytes(pattern, "little")
        self._call(function, self._cu.CUdeviceptr(address), value, count, queue)
        if wait:
            self._call("cuStreamSynchronize", queue)
        self._note("memset", int(queue), nbytes=len(pattern) * count, address=address)

    # --- engines ---

    def engine_load(self, plan: bytes) -> dict[str, Any]:
        try:
            opened = open_plan(plan)
            engine = CudaEngine(opened)
        except (PlanError, ExecutionError) as error:
            return {"engine": 0, "error": str(error)}
        ident = next(self._ids)
        self._engines[ident] = engine
        return {"engine": ident, "description": opened.description()}

    def engine_free(self, ident: int) -> None:
        self._engines.pop(ident, None)

    def infer_shapes(
        self, engine: int, shapes: dict[str, list[int]], values: dict[str, bytes] | None = None
    ) -> dict[str, list[int]]:
        inferred = self._shapes(self._engines[engine], shapes, values or {})
        return {name: list(shape) for name, shape in inferred.items()}

    @staticmethod
    def _shapes(engine: CudaEngine, shapes: dict[str, list[int]], values: dict[str, bytes]) -> dict[str, Shape]:
        try:
            return engine.output_shapes({name: tuple(shape) for name, shape in shapes.items()}, values)
        except ExecutionError as error:
            raise DeviceError("CUDA_ERROR_INVALID_VALUE", str(error)) from None

    def context_create(self, engine: int, memory: int = -1) -> int:
        """An execution context. ONNX Runtime allocates as it runs: there is no activation memory to take."""
        ident = next(self._ids)
        self._contexts[ident] = engine
        return ident

    def context_memory(self, ident: int, nbytes: int) -> None:
        """Nothing: see `context_create`."""

    def data_shapes(
        self,
        context: int,
        stream: int,
        profile: int,
        shapes: dict[str, list[int]],
        addresses: dict[str, int],
        values: dict[str, bytes] | None = None,
    ) -> dict[str, list[int]]:
        raise DeviceError(
            "CUDA_ERROR_NOT_SUPPORTED",
            "an output whose size depends on values cannot be run on ONNX Runtime's CUDA provider here. Expected: the"
            " simulated device (backend.activate(transport='process')), or TensorRT.",
        )

    def context_free(self, ident: int) -> None:
        engine = self._engines.get(self._contexts.pop(ident, 0))
        if engine is not None:
            engine.forget(ident)

    def execute(
        self,
        context: int,
        stream: int,
        wait: bool,
        profile: int,
        shapes: dict[str, list[int]],
        addresses: dict[str, int],
        values: dict[str, bytes] | None = None,
    ) -> None:
        if values:
            raise DeviceError(
                "CUDA_ERROR_NOT_SUPPORTED",
                f"inputs {', '.join(values)} are shape tensors, which cannot be run on ONNX Runtime's CUDA provider"
                " here. Expected: the simulated device (backend.activate(transport='process')), or TensorRT.",
            )
        engine = self._engines[self._contexts[context]]
        everything = {name: tuple(shape) for name, shape in shapes.items()} | self._shapes(engine, shapes, {})
        try:
            engine.enqueue(context, 0 if wait else stream, everything, addresses)
        except (ExecutionError, RuntimeError) as error:
            code = "CUDA_ERROR_LAUNCH_FAILED"
            if not wait and self.stream_capture_status(stream):  # ONNX Runtime allocated, or copied from the host
                code = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"
            raise DeviceError(code, str(error)) from None
        if wait:
            self._call("cuStreamSynchronize", self._cu.CUstream(0))
        self._note(
            "execute", stream, context=context, profile=profile, shapes={n: list(s) for n, s in everything.items()}
        )

    def close(self) -> None:
        self._call("cuCtxSynchronize")
