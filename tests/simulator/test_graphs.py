"""Stream capture and graphs through `cuda.bindings`, over both transports: replays, and what CUDA refuses."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest

from helpers.simulator.frontends.cuda_bindings import CudaWarning

from .conftest import ok, view

GLOBAL, THREAD_LOCAL, RELAXED = range(3)


class Addition:
    """y = x + 1 on a stream: buffers, an execution context, and one step from host to host."""

    def __init__(self, cudart, trt, plan: bytes, log, rows: int = 2) -> None:
        self.cudart = cudart
        self.engine = trt.Runtime(log.logger).deserialize_cuda_engine(plan)
        self.context = self.engine.create_execution_context()
        self.stream = ok(cudart.cudaStreamCreate())
        self.nbytes = rows * 8 * 4
        self.device = {name: ok(cudart.cudaMalloc(self.nbytes)) for name in "xy"}
        self.host = {name: view(ok(cudart.cudaMallocHost(self.nbytes)), rows * 8) for name in "xy"}
        self.context.set_input_shape("x", (rows, 8))
        for name, address in self.device.items():
            self.context.set_tensor_address(name, address)

    def copy_in(self):
        kind = self.cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        return self.cudart.cudaMemcpyAsync(self.device["x"], self.host["x"], self.nbytes, kind, self.stream)

    def copy_out(self):
        kind = self.cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        return self.cudart.cudaMemcpyAsync(self.host["y"], self.device["y"], self.nbytes, kind, self.stream)

    def step(self) -> None:
        ok(self.copy_in())
        assert self.context.execute_async_v3(self.stream)
        ok(self.copy_out())

    def wait(self) -> np.ndarray:
        ok(self.cudart.cudaStreamSynchronize(self.stream))
        return self.host["y"].copy()

    def warm(self) -> None:
        """Row 25: enqueue once, wait, then capture."""
        self.host["x"][:] = 0
        self.step()
        self.wait()

    def capture(self, mode: int = GLOBAL):
        ok(self.cudart.cudaStreamBeginCapture(self.stream, self.cudart.cudaStreamCaptureMode(mode)))
        self.step()
        graph = ok(self.cudart.cudaStreamEndCapture(self.stream))
        return graph, ok(self.cudart.cudaGraphInstantiate(graph, 0))


@pytest.fixture
def addition(cudart, trt, plans, log) -> Addition:
    return Addition(cudart, trt, plans["add"], log)


def test_replays_give_what_eager_steps_give(cudart, addition):
    addition.warm()
    graph, executable = addition.capture()
    assert isinstance(graph, cudart.cudaGraph_t) and isinstance(executable, cudart.cudaGraphExec_t)
    for values in (np.arange(16), -np.arange(16), np.full(16, 1e6)):
        addition.host["x"][:] = values
        addition.step()
        eager = addition.wait()
        addition.host["y"][:] = 0
        ok(cudart.cudaGraphLaunch(executable, addition.stream))
        assert np.isnan(addition.host["y"]).all()  # it is queued, as everything on a stream
        np.testing.assert_array_equal(addition.wait(), eager)
        np.testing.assert_array_equal(eager, values.astype(np.float32) + 1)


def test_capturing_does_nothing_but_collect(cudart, addition):
    addition.warm()
    addition.host["x"][:] = 4
    ok(cudart.cudaStreamBeginCapture(addition.stream, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeGlobal))
    status = cudart.cudaStreamCaptureStatus
    assert ok(cudart.cudaStreamIsCapturing(addition.stream)) is status.cudaStreamCaptureStatusActive
    addition.step()
    graph = ok(cudart.cudaStreamEndCapture(addition.stream))
    assert ok(cudart.cudaStreamIsCapturing(addition.stream)) is status.cudaStreamCaptureStatusNone
    assert (addition.wait() == 1).all()  # of the warm step: nothing has run since
    assert cudart.cudaGraphGetNodes(graph) == (0, [], 3)
    nodes, count = ok(cudart.cudaGraphGetNodes(graph, 4))
    assert count == 3 and int(nodes.pop()) == 0  # as on a GPU: as many as asked for, null behind the last
    assert all(isinstance(node, cudart.cudaGraphNode_t) for node in nodes)
    kinds = [ok(cudart.cudaGraphNodeGetType(node)).name for node in nodes]
    assert kinds == [f"cudaGraphNodeType{kind}" for kind in ("Memcpy", "Kernel", "Memcpy")]
    with pytest.warns(CudaWarning, match="is no node of a graph"):
        assert cudart.cudaGraphNodeGetType(int(nodes[-1]) + 1)[0] == 1


def test_two_streams_join_by_events(cudart, addition):
    addition.warm()
    side = ok(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking))
    fork, join = ok(cudart.cudaEventCreate()), ok(cudart.cudaEventCreate())
    other = ok(cudart.cudaMalloc(addition.nbytes))
    kind = cudart.cudaMemcpyKind.cudaMemcpyDeviceToDevice
    ok(cudart.cudaStreamBeginCapture(addition.stream, cudart.cudaStreamCaptureMode(GLOBAL)))
    ok(addition.copy_in())
    ok(cudart.cudaEventRecord(fork, addition.stream))
    ok(cudart.cudaStreamWaitEvent(side, fork, 0))
    assert ok(cudart.cudaStreamIsCapturing(side)) == 1  # it has joined
    ok(cudart.cudaMemcpyAsync(other, addition.device["x"], addition.nbytes, kind, side))
    ok(cudart.cudaEventRecord(join, side))
    assert addition.context.execute_async_v3(addition.stream)
    ok(cudart.cudaStreamWaitEvent(addition.stream, join, 0))
    ok(addition.copy_out())
    executable = ok(cudart.cudaGraphInstantiateWithFlags(ok(cudart.cudaStreamEndCapture(addition.stream)), 0))
    addition.host["x"][:] = 6
    ok(cudart.cudaGraphUpload(executable, addition.stream))
    ok(cudart.cudaGraphLaunch(executable, addition.stream))
    assert (addition.wait() == 7).all()
    copied = np.zeros(16, np.float32)
    ok(cudart.cudaMemcpy(copied, other, addition.nbytes, cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost))
    assert (copied == 6).all()
    # without the second event the side stream's work is nobody's
    ok(cudart.cudaStreamBeginCapture(addition.stream, cudart.cudaStreamCaptureMode(GLOBAL)))
    ok(cudart.cudaEventRecord(fork, addition.stream))
    ok(cudart.cudaStreamWaitEvent(side, fork, 0))
    ok(cudart.cudaMemsetAsync(other, 0, 4, side))
    with pytest.warns(CudaWarning, match="unjoined work"):
        assert cudart.cudaStreamEndCapture(addition.stream) == (cudart.cudaError_t.cudaErrorStreamCaptureUnjoined, None)


def test_a_graph_keeps_shapes_and_addresses(cudart, addition):
    addition.warm()
    _, executable = addition.capture()
    elsewhere = ok(cudart.cudaMalloc(addition.nbytes))
    ok(cudart.cudaMemset(elsewhere, 0, addition.nbytes))
    addition.context.set_tensor_address("x", elsewhere)
    addition.context.set_input_shape("x", (1, 8))
    addition.host["x"][:] = 2
    ok(cudart.cudaGraphLaunch(executable, addition.stream))
    assert (addition.wait() == 3).all()  # both rows, from the address that it was captured with


def test_memory_freed_after_the_capture_is_error_700(cudart, addition):
    addition.warm()
    _, executable = addition.capture()
    ok(cudart.cudaFree(addition.device["x"]))
    with pytest.warns(CudaWarning, match="changed since it was captured.*was freed"):
        assert cudart.cudaGraphLaunch(executable, addition.stream) == (cudart.cudaError_t.cudaErrorIllegalAddress,)
    with pytest.warns(CudaWarning):
        assert cudart.cudaMalloc(8) == (cudart.cudaError_t.cudaErrorIllegalAddress, None)


def test_the_first_execution_after_a_shape_change_cannot_be_captured(cudart, addition, log):
    addition.warm()
    addition.context.set_input_shape("x", (1, 8))  # TensorRT allocates at the next enqueue
    ok(cudart.cudaStreamBeginCapture(addition.stream, cudart.cudaStreamCaptureMode(GLOBAL)))
    assert addition.context.execute_async_v3(addition.stream) is False
    assert "operation not permitted when stream is capturing" in log.said()
    invalidated = cudart.cudaError_t.cudaErrorStreamCaptureInvalidated
    with pytest.warns(CudaWarning):
        assert cudart.cudaStreamEndCapture(addition.stream) == (invalidated, None)
    # the remedy: enqueue once, wait, capture
    assert addition.context.execute_async_v3(addition.stream)
    addition.wait()
    _, executable = addition.capture()
    addition.host["x"][:] = 8
    ok(cudart.cudaGraphLaunch(executable, addition.stream))
    assert (addition.wait()[:8] == 9).all()


REFUSED = {
    "the stream is waited for": (900, lambda r, a: r.cudaStreamSynchronize(a.stream)),
    "the stream is asked": (900, lambda r, a: r.cudaStreamQuery(a.stream)),
    "the device is waited for": (900, lambda r, a: r.cudaDeviceSynchronize()),
    "device memory is allocated": (900, lambda r, a: r.cudaMalloc(64)),
    "a copy of pageable memory": (
        900,
        lambda r, a: r.cudaMemcpyAsync(a.device["x"], np.zeros(16, np.float32), 64, 1, a.stream),
    ),
    "a blocking copy": (906, lambda r, a: r.cudaMemcpy(a.device["x"], np.zeros(16, np.float32), 64, 1)),
    "work on the default stream": (906, lambda r, a: r.cudaMemsetAsync(a.device["x"], 0, 4, 0)),
    "an event from before the capture": (905, lambda r, a: r.cudaStreamWaitEvent(a.stream, a.before, 0)),
    "a captured event is waited for": (907, lambda r, a: r.cudaEventSynchronize(a.inside)),
    "a captured event is asked": (907, lambda r, a: r.cudaEventQuery(a.inside)),
}


def test_what_a_capture_refuses(cudart, addition):
    addition.warm()
    for what, (code, call) in REFUSED.items():
        addition.before, addition.inside = ok(cudart.cudaEventCreate()), ok(cudart.cudaEventCreate())
        ok(cudart.cudaEventRecord(addition.before, addition.stream))
        ok(cudart.cudaStreamBeginCapture(addition.stream, cudart.cudaStreamCaptureMode(GLOBAL)))
        ok(cudart.cudaEventRecord(addition.inside, addition.stream))
        with pytest.warns(CudaWarning) as caught:
            assert call(cudart, addition)[0] == cudart.cudaError_t(code), what
        assert ok(cudart.cudaGetErrorString(code)).decode() in str(caught[0].message), what
        with pytest.warns(CudaWarning):
            ended = cudart.cudaStreamEndCapture(addition.stream)
        assert ended == (cudart.cudaError_t.cudaErrorStreamCaptureInvalidated, None), what
        ok(addition.copy_in())  # the stream is a stream again
        ok(cudart.cudaStreamSynchronize(addition.stream))


def test_only_the_thread_that_began_may_end(cudart, addition):
    addition.warm()
    seen = []

    def end() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seen.append(cudart.cudaStreamEndCapture(addition.stream))

    for mode in (GLOBAL, THREAD_LOCAL, RELAXED):
        ok(cudart.cudaStreamBeginCapture(addition.stream, cudart.cudaStreamCaptureMode(mode)))
        addition.step()
        thread = threading.Thread(target=end)
        thread.start()
        thread.join()
        assert ok(cudart.cudaStreamIsCapturing(addition.stream)) == 0  # it has ended all the same
    wrong = (cudart.cudaError_t.cudaErrorStreamCaptureWrongThread, None)
    assert seen[:2] == [wrong, wrong] and seen[2][0] == 0


def test_a_capture_that_cannot_begin_or_end(cudart, addition):
    mode, error = cudart.cudaStreamCaptureMode(GLOBAL), cudart.cudaError_t
    with pytest.warns(CudaWarning, match="the default stream cannot be captured"):
        assert cudart.cudaStreamBeginCapture(0, mode) == (error.cudaErrorStreamCaptureUnsupported,)
    with pytest.warns(CudaWarning, match="is not capturing"):
        assert cudart.cudaStreamEndCapture(addition.stream) == (error.cudaErrorIllegalState, None)
    ok(cudart.cudaStreamBeginCapture(addition.stream, mode))
    with pytest.warns(CudaWarning, match="capturing already"):
        assert cudart.cudaStreamBeginCapture(addition.stream, mode) == (error.cudaErrorIllegalState,)
    with pytest.warns(CudaWarning, match="does not capture allocations"):
        assert cudart.cudaMallocAsync(64, addition.stream) == (error.cudaErrorNotSupported, None)


def test_destroyed_graphs(cudart, addition):
    addition.warm()
    graph, executable = addition.capture()
    ok(cudart.cudaGraphDestroy(graph))
    addition.host["x"][:] = 1
    ok(cudart.cudaGraphLaunch(executable, addition.stream))  # it is a thing of its own
    assert (addition.wait() == 2).all()
    ok(cudart.cudaGraphExecDestroy(executable))
    with pytest.warns(CudaWarning, match="does not exist, or was destroyed"):
        assert cudart.cudaGraphLaunch(executable, addition.stream)[0] == 1
    with pytest.warns(CudaWarning, match="does not exist, or was destroyed"):
        assert cudart.cudaGraphInstantiate(graph, 0) == (1, None)


def test_the_driver_api_captures_too(cudart, addition):
    from cuda.bindings import driver

    addition.warm()
    ok(driver.cuStreamBeginCapture(addition.stream, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED))
    status = driver.CUstreamCaptureStatus
    assert ok(driver.cuStreamIsCapturing(addition.stream)) is status.CU_STREAM_CAPTURE_STATUS_ACTIVE
    addition.step()
    graph = ok(driver.cuStreamEndCapture(addition.stream))
    nodes, _ = ok(driver.cuGraphGetNodes(graph, 3))
    assert [ok(driver.cuGraphNodeGetType(node)).name[19:] for node in nodes] == ["MEMCPY", "KERNEL", "MEMCPY"]
    executable = ok(driver.cuGraphInstantiate(graph, 0))
    addition.host["x"][:] = 3
    ok(driver.cuGraphLaunch(executable, addition.stream))
    assert (addition.wait() == 4).all()
    ok(driver.cuGraphExecDestroy(executable))
    ok(driver.cuGraphDestroy(graph))


def test_pycuda_says_what_captures(addition):
    import pycuda.driver as cuda

    with pytest.raises(AttributeError, match=r"does not offer CUDA graphs.*cudaStreamBeginCapture\(stream.handle"):
        cuda.Stream().begin_capture()
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = cuda.Stream().nonsense


def test_pycuda_streams_are_captured_and_refused_in_pycudas_words(cudart, addition):
    import pycuda.driver as cuda

    stream = cuda.Stream()
    device, array = cuda.mem_alloc(8), cuda.pagelocked_zeros(2, np.float32)
    cuda.memcpy_htod_async(device, array, stream)
    stream.synchronize()
    ok(cudart.cudaStreamBeginCapture(stream.handle, cudart.cudaStreamCaptureMode(GLOBAL)))
    cuda.memcpy_htod_async(device, array, stream)
    cuda.memcpy_dtoh_async(array, device, stream)
    executable = ok(cudart.cudaGraphInstantiate(ok(cudart.cudaStreamEndCapture(stream.handle)), 0))
    array[:] = 7
    ok(cudart.cudaGraphLaunch(executable, stream.handle))
    stream.synchronize()
    assert list(array) == [7, 7]
    ok(cudart.cudaStreamBeginCapture(stream.handle, cudart.cudaStreamCaptureMode(GLOBAL)))
    with pytest.raises(cuda.LogicError, match="failed: operation not permitted when stream is capturing"):
        stream.synchronize()
    with pytest.raises(cuda.LogicError, match="failed: operation failed due to a previous error during capture"):
        cuda.memcpy_htod_async(device, array, stream)
