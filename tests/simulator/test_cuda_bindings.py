"""`cuda.bindings` over both transports: NVIDIA's names and conventions, memory, copies, streams, events, errors."""

from __future__ import annotations

import ctypes
import inspect
import json
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

from helpers import backend
from helpers.simulator import host
from helpers.simulator.errors import DeviceError
from helpers.simulator.frontends import contexts, cuda_bindings

from .conftest import ok, view

# What NVIDIA's package says of the names that it is asked for. In a process of its own: here ours stands in its place.
REAL = """
import importlib, inspect, json, sys
asked = json.load(sys.stdin)
told = {}
for module, names in asked.items():
    real = importlib.import_module("cuda.bindings." + module)
    for name in names:
        thing = getattr(real, name, None)
        if isinstance(thing, int):
            told[module, name] = thing
        elif isinstance(thing, type) and hasattr(thing, "__members__"):
            members = {m.name: int(m) for m in thing}
            first = next(iter(thing))
            told[module, name] = [members, repr(first), str(first), f"{first}", thing.__module__, int in thing.__mro__]
        elif isinstance(thing, type):
            told[module, name] = [[base.__name__ for base in thing.__mro__[:-1]]]
            if hasattr(thing, "__int__"):
                seven = thing(7)
                told[module, name] += [repr(seven), hash(seven) == 7, seven == thing(7), int(seven)]
        elif thing is not None:
            parameters = inspect.signature(thing).parameters.values()
            told[module, name] = [[p.name for p in parameters], [p.default for p in parameters if p.default is not p.empty]]
            if module == "runtime":
                told[module, name].append(len(thing(*[0] * len(parameters))))
texts = [real.cudaGetErrorString(e)[1].decode() for e in real.cudaError_t] if real.__name__.endswith("runtime") else []
json.dump([[list(key), value] for key, value in told.items()] + [["texts", texts]], sys.stdout)
"""


def served(module) -> list[str]:
    """Names of CUDA's that a front end offers."""
    return sorted(n for n in vars(module) if n.startswith(("cu", "CU", "getLocal")) and n != "cuda_bindings")


@pytest.fixture(scope="module")
def real():
    """{(module, name): what NVIDIA's package says}, for all that ours offers."""
    from helpers.simulator.frontends.cuda_bindings import driver, runtime

    asked = {"driver": served(driver), "runtime": served(runtime)}
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    pytest.importorskip("cuda.pathfinder", reason="cuda-bindings is not installed (pip install '.[dev]')")
    done = subprocess.run(
        [sys.executable, "-c", REAL], input=json.dumps(asked), capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return {tuple(key) if isinstance(key, list) else key: value for key, value in told}


@pytest.mark.parametrize("name", ["runtime", "driver"])
def test_every_name_is_nvidias(real, trt, name):
    ours = getattr(cuda_bindings, name)
    names = served(ours)
    assert len(names) > 60
    for key in names:
        mine = getattr(ours, key)
        expected = real.get((name, key))
        assert expected is not None, f"cuda.bindings.{name} has no {key}"
        if isinstance(mine, int):
            assert mine == expected, key
        elif isinstance(mine, type) and hasattr(mine, "__members__"):
            members, shown, text, formatted, module, is_int = expected
            assert {m.name: int(m) for m in mine}.items() <= members.items(), key
            first = mine(members[shown.split(".")[1].split(":")[0]]) if int(shown.split()[-1][:-1]) in mine else None
            if first is not None:
                assert [repr(first), str(first), f"{first}"] == [shown, text, formatted]
            assert (mine.__module__, int in mine.__mro__) == (module, is_int)
        elif isinstance(mine, type):
            assert [b.__name__ for b in mine.__mro__[:-1] if not b.__name__.startswith(("_", "Simple"))] == expected[0]
            if len(expected) > 1:
                assert [repr(mine(7)), hash(mine(7)) == 7, mine(7) == mine(7), int(mine(7))] == expected[1:], key
        else:
            parameters = inspect.signature(mine).parameters.values()
            assert [p.name for p in parameters] == expected[0], key
            assert [p.default for p in parameters if p.default is not p.empty] == expected[1], key


def test_tuples_have_the_lengths_of_nvidias(real, trt):
    from helpers.simulator.frontends.cuda_bindings import runtime

    host.use("process")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in served(runtime):
            function = getattr(runtime, name)
            if inspect.isfunction(function):
                result = function(*[0] * len(inspect.signature(function).parameters))
                assert len(result) == real["runtime", name][2], name
                assert isinstance(result[0], runtime.cudaError_t), name


def test_error_texts_are_nvidias(real, trt):
    from helpers.simulator.frontends.cuda_bindings import runtime

    assert [runtime.cudaGetErrorString(e)[1].decode() for e in runtime.cudaError_t] == real["texts"]
    assert runtime.cudaGetErrorName(runtime.cudaError_t(700)) == (0, b"cudaErrorIllegalAddress")
    assert runtime.cudaGetErrorString(700)[1] == b"an illegal memory access was encountered"
    assert runtime.cudaGetErrorString(12345)[1] == b"unrecognized error code" == runtime.cudaGetErrorName(12345)[1]


@pytest.fixture
def driver(cudart):
    """`cuda.bindings.driver` with the primary context current."""
    from cuda.bindings import driver

    assert driver.cuInit(0) == (0,)
    context = ok(driver.cuDevicePrimaryCtxRetain(ok(driver.cuDeviceGet(0))))
    assert driver.cuCtxSetCurrent(context) == (0,)
    yield driver
    driver.cuDevicePrimaryCtxRelease(0)


def test_a_copy_there_and_back_in_every_form_of_a_pointer(cudart, driver):
    kind = cudart.cudaMemcpyKind
    device = ok(cudart.cudaMalloc(16))
    assert type(device) is int
    source = np.arange(4, dtype=np.float32)
    for given in (source, source.ctypes.data, source.tobytes(), bytearray(source.tobytes()), memoryview(source)):
        back = np.zeros(4, np.float32)
        ok(cudart.cudaMemset(device, 0, 16))
        ok(cudart.cudaMemcpy(device, given, 16, kind.cudaMemcpyHostToDevice))
        for target in (back, back.ctypes.data, memoryview(back), driver.CUdeviceptr(back.ctypes.data)):
            back[:] = 0
            ok(cudart.cudaMemcpy(target, device, 16, kind.cudaMemcpyDeviceToHost))
            assert list(back) == [0, 1, 2, 3]
        ok(cudart.cudaMemcpy(back, driver.CUdeviceptr(device), 8, 2))
    array = (ctypes.c_float * 4)()
    ok(cudart.cudaMemcpy(array, device, 16, kind.cudaMemcpyDefault))
    assert list(array) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="not contiguous"):
        cudart.cudaMemcpy(device, np.zeros((4, 4), np.float32)[:, 0], 16, kind.cudaMemcpyHostToDevice)
    with pytest.raises(TypeError, match="Buffer Protocol"):
        cudart.cudaMemcpy(device, [1.0], 16, kind.cudaMemcpyHostToDevice)
    with pytest.raises(TypeError, match="an integer is required"):
        cudart.cudaMalloc("16")
    with pytest.raises(OverflowError):
        cudart.cudaMalloc(-1)


def test_default_finds_the_direction(cudart):
    default = cudart.cudaMemcpyKind.cudaMemcpyDefault
    one, two, pinned = ok(cudart.cudaMalloc(8)), ok(cudart.cudaMalloc(8)), ok(cudart.cudaMallocHost(8))
    a, back = view(pinned, 2), np.zeros(2, np.float32)
    a[:] = [1, 2]
    stream = ok(cudart.cudaStreamCreate())
    before = backend.record_length()
    ok(cudart.cudaMemcpyAsync(one, pinned, 8, default, stream))
    ok(cudart.cudaMemcpyAsync(two, one, 8, default, stream))
    ok(cudart.cudaMemcpyAsync(back, two, 8, default, stream))
    ok(cudart.cudaMemcpyAsync(a, back, 8, default, stream))  # host to host: in the stream's turn
    assert list(back) == [1, 2] == list(a)
    assert [e["op"] for e in backend.record(before) if e["nbytes"]] == ["htod", "dtod", "dtoh"]


def test_pinned_memory_is_asynchronous_and_poisoned(cudart):
    kind, stream = cudart.cudaMemcpyKind, ok(cudart.cudaStreamCreate())
    address, device = ok(cudart.cudaHostAlloc(16, cudart.cudaHostAllocDefault)), ok(cudart.cudaMalloc(16))
    array = view(address, 4)
    array[:] = 5
    before = backend.record_length()
    ok(cudart.cudaMemcpyAsync(device, array, array.nbytes, kind.cudaMemcpyHostToDevice, stream))
    array = view(ok(cudart.cudaMallocHost(16)), 4)
    ok(cudart.cudaMemcpyAsync(array, device, array.nbytes, kind.cudaMemcpyDeviceToHost, stream))
    assert np.isnan(array).all() and "Read too early" in backend.explain(array)
    assert cudart.cudaStreamQuery(stream) == (cudart.cudaError_t.cudaErrorNotReady,)
    assert cudart.cudaGetLastError() == (0,)  # an answer, no error to be remembered
    ok(cudart.cudaStreamSynchronize(stream))
    ok(cudart.cudaStreamQuery(stream))
    assert (array == 5).all()
    assert {e["memory"] for e in backend.record(before) if e["op"] in ("htod", "dtoh")} == {"pinned"}
    ok(cudart.cudaFreeHost(array.ctypes.data))
    assert np.isnan(array).all()  # who reads freed memory sees it
    with pytest.warns(cuda_bindings.CudaWarning, match="is not the start of pinned memory"):
        assert cudart.cudaFreeHost(array.ctypes.data) == (cudart.cudaError_t.cudaErrorInvalidValue,)


def test_rows_with_a_pitch(cudart):
    kind, device = cudart.cudaMemcpyKind, ok(cudart.cudaMalloc(64))
    table = np.arange(16, dtype=np.float32).reshape(4, 4)
    ok(cudart.cudaMemcpy(device, table, 64, kind.cudaMemcpyHostToDevice))
    column = np.zeros(4, np.float32)
    ok(cudart.cudaMemcpy2D(column, 4, device + 12, 16, 4, 4, kind.cudaMemcpyDeviceToHost))
    assert list(column) == [3, 7, 11, 15]
    wide = np.full((4, 8), -1, np.float32)
    ok(cudart.cudaMemcpy2D(wide.ctypes.data, 32, device, 16, 16, 4, kind.cudaMemcpyDeviceToHost))
    assert (wide[:, :4] == table).all() and (wide[:, 4:] == -1).all()
    ok(cudart.cudaMemset(device, 0, 64))
    stream, pinned = ok(cudart.cudaStreamCreate()), view(ok(cudart.cudaMallocHost(128)), 32)
    pinned[:] = wide.ravel()
    ok(cudart.cudaMemcpy2DAsync(device, 16, pinned, 32, 8, 4, kind.cudaMemcpyHostToDevice, stream))
    ok(cudart.cudaMemcpy2DAsync(device + 8, 16, wide, 32, 8, 4, kind.cudaMemcpyHostToDevice, stream))
    ok(cudart.cudaMemcpy2DAsync(pinned, 16, device, 16, 16, 4, kind.cudaMemcpyDeviceToHost, stream))
    ok(cudart.cudaStreamSynchronize(stream))
    assert (pinned[:16].reshape(4, 4) == table[:, [0, 1, 0, 1]]).all()
    with pytest.warns(cuda_bindings.CudaWarning, match="pitch is 2; expected the width"):
        assert cudart.cudaMemcpy2D(column, 2, device, 16, 4, 4, kind.cudaMemcpyDeviceToHost)[0] == 12


def test_refusals_say_why_and_where(cudart):
    kind, error = cudart.cudaMemcpyKind, cudart.cudaError_t
    device, array = ok(cudart.cudaMalloc(16)), np.zeros(4, np.float32)

    def refused(words, *arguments):
        with pytest.warns(cuda_bindings.CudaWarning, match=words) as caught:
            result = cudart.cudaMemcpy(*arguments)
        assert result == (error.cudaErrorInvalidValue,)
        assert caught[0].filename == __file__  # the line of whoever made the call

    refused(
        "needs 32 bytes, but the buffer .* has 16", device, np.zeros(8, np.float32), 32, kind.cudaMemcpyHostToDevice
    )
    refused("no device address", array.ctypes.data, array, 16, kind.cudaMemcpyHostToDevice)
    refused("is memory of the device, and the kind", array, device, 16, kind.cudaMemcpyHostToDevice)
    refused("cannot be reached there", device, 8, 16, kind.cudaMemcpyHostToDevice)
    refused("cannot be reached there", 8, device, 16, kind.cudaMemcpyDeviceToHost)
    refused("the source array 16", device, array, 20, kind.cudaMemcpyHostToDevice)
    refused("the destination array 16", array, device, 20, kind.cudaMemcpyDeviceToHost)
    refused("read-only", bytes(16), device, 16, kind.cudaMemcpyDeviceToHost)
    assert cudart.cudaPeekAtLastError() == (error.cudaErrorInvalidValue,) == cudart.cudaGetLastError()
    assert cudart.cudaGetLastError() == (error.cudaSuccess,)  # it was forgotten, for it had no consequence
    ok(cudart.cudaFree(device))
    with pytest.warns(cuda_bindings.CudaWarning, match="was freed already"):
        assert cudart.cudaFree(device)[0] == 1
    ok(cudart.cudaFree(0))
    assert ok(cudart.cudaMalloc(0)) == 0 == ok(cudart.cudaMallocHost(0))
    with pytest.warns(cuda_bindings.CudaWarning, match="are free"):
        assert cudart.cudaMalloc(1 << 50) == (error.cudaErrorMemoryAllocation, None)


def test_the_last_error_is_the_threads(cudart):
    with pytest.warns(cuda_bindings.CudaWarning, match="no stream"):
        assert cudart.cudaStreamSynchronize(12345) == (cudart.cudaError_t.cudaErrorInvalidResourceHandle,)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(cudart.cudaGetLastError()))
    thread.start()
    thread.join()
    assert seen == [(0,)] and cudart.cudaGetLastError() == (400,)


def test_error_700_stays_until_the_reset(cudart, trt, plans, log):
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["add"])
    context, stream = engine.create_execution_context(), ok(cudart.cudaStreamCreate())
    context.set_input_shape("x", (2, 8))
    address = ok(cudart.cudaMalloc(64))
    context.set_tensor_address("x", address)
    context.set_tensor_address("y", 0xDEAD00)
    assert not context.execute_async_v3(stream)
    sticky = cudart.cudaError_t.cudaErrorIllegalAddress
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cuda_bindings.CudaWarning)
        assert cudart.cudaStreamSynchronize(stream) == (sticky,)
        assert cudart.cudaMalloc(16) == (sticky, None)
        assert cudart.cudaMemGetInfo() == (sticky, None, None)
        assert cudart.cudaPeekAtLastError() == (sticky,) == cudart.cudaGetLastError()
        assert cudart.cudaGetLastError() == (0,)  # forgotten ...
        assert cudart.cudaEventCreate() == (sticky, None) and cudart.cudaGetLastError() == (sticky,)  # and back
        assert ok(cudart.cudaGetDevice()) == 0
        assert cudart.cudaDeviceReset() == (0,)
        assert cudart.cudaGetLastError() == (0,)
        assert cudart.cudaFree(address)[0] == 1 and cudart.cudaStreamSynchronize(stream)[0] == 400  # all is gone
    assert ok(cudart.cudaMalloc(16))


def test_streams_and_events(cudart):
    kind = cudart.cudaMemcpyKind
    first = ok(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking))
    second = ok(cudart.cudaStreamCreateWithPriority(cudart.cudaStreamNonBlocking, 0))
    assert isinstance(first, cudart.cudaStream_t) and int(first) == first.__index__() and first != second
    assert ctypes.c_uint64.from_address(first.getPtr()).value == int(first)
    assert cudart.cudaStream_t(int(first)) == first and cudart.cudaStream_t(first) == first
    start, end = ok(cudart.cudaEventCreate()), ok(cudart.cudaEventCreateWithFlags(cudart.cudaEventBlockingSync))
    device, source, target = ok(cudart.cudaMalloc(8)), *(view(ok(cudart.cudaMallocHost(8)), 2) for _ in range(2))
    source[:] = [3, 4]
    ok(cudart.cudaEventRecord(start, first))
    ok(cudart.cudaMemcpyAsync(device, source, 8, kind.cudaMemcpyHostToDevice, int(first)))  # an int is a stream too
    ok(cudart.cudaEventRecordWithFlags(end, first, cudart.cudaEventRecordDefault))
    ok(cudart.cudaStreamWaitEvent(second, end, cudart.cudaEventWaitDefault))
    ok(cudart.cudaMemcpyAsync(target, device, 8, kind.cudaMemcpyDeviceToHost, second))
    assert cudart.cudaEventQuery(end) == (cudart.cudaError_t.cudaErrorNotReady,)
    assert cudart.cudaEventElapsedTime(start, end)[0] in (0, 600)
    ok(cudart.cudaStreamSynchronize(second))
    assert list(target) == [3, 4] and ok(cudart.cudaEventElapsedTime(start, end)) > 0
    ok(cudart.cudaEventSynchronize(end))
    untimed = ok(cudart.cudaEventCreateWithFlags(cudart.cudaEventDisableTiming))
    ok(cudart.cudaEventRecord(untimed, None))
    ok(cudart.cudaDeviceSynchronize())
    with pytest.warns(cuda_bindings.CudaWarning):
        assert cudart.cudaEventElapsedTime(start, untimed) == (400, None)
    for event in (start, end, untimed):
        ok(cudart.cudaEventDestroy(event))
    for stream in (first, second):
        ok(cudart.cudaStreamDestroy(stream))
    with pytest.warns(cuda_bindings.CudaWarning, match="no stream of this device|destroyed"):
        assert cudart.cudaStreamQuery(first) == (cudart.cudaError_t.cudaErrorInvalidResourceHandle,)
    ok(cudart.cudaStreamSynchronize(cudart.cudaStreamLegacy))
    with pytest.warns(cuda_bindings.CudaWarning, match="per-thread default stream"):
        assert cudart.cudaStreamSynchronize(cudart.cudaStreamPerThread) == (801,)


def test_memory_in_the_order_of_a_stream(cudart):
    stream, free = ok(cudart.cudaStreamCreate()), ok(cudart.cudaMemGetInfo())[0]
    address, target = ok(cudart.cudaMallocAsync(1 << 20, stream)), view(ok(cudart.cudaMallocHost(4)), 4, np.uint8)
    ok(cudart.cudaMemsetAsync(address, 7, 4, stream))
    ok(cudart.cudaMemcpyAsync(target, address, 4, cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost, stream))
    ok(cudart.cudaFreeAsync(address, stream))
    assert list(target) == [255] * 4  # nothing has waited
    with pytest.warns(cuda_bindings.CudaWarning, match="freed"):
        assert cudart.cudaMemsetAsync(address, 7, 4, stream)[0] == 1
    ok(cudart.cudaStreamSynchronize(stream))
    assert list(target) == [7] * 4 and ok(cudart.cudaMemGetInfo())[0] == free


def test_what_the_device_says_of_itself(cudart, driver):
    assert ok(cudart.cudaGetDeviceCount()) == 1 and ok(cudart.cudaGetDevice()) == 0
    ok(cudart.cudaSetDevice(0))
    with pytest.warns(cuda_bindings.CudaWarning, match="there is one device"):
        assert cudart.cudaSetDevice(1) == (cudart.cudaError_t.cudaErrorInvalidDevice,)
    properties = ok(cudart.cudaGetDeviceProperties(0))
    assert (properties.name, properties.major, properties.totalGlobalMem) == (
        b"Simulated GPU (ONNX Runtime on CPU)",
        7,
        15 << 30,
    )
    with pytest.raises(AttributeError, match="multiProcessorCount: the simulated device has"):
        _ = properties.multiProcessorCount
    attribute = cudart.cudaDeviceAttr.cudaDevAttrComputeCapabilityMajor
    assert ok(cudart.cudaDeviceGetAttribute(attribute, 0)) == 7
    with pytest.raises(AttributeError, match="cudaDevAttrClockRate: the simulator does not have it"):
        _ = cudart.cudaDeviceAttr.cudaDevAttrClockRate
    with pytest.warns(cuda_bindings.CudaWarning, match="has no attribute 13"):
        assert cudart.cudaDeviceGetAttribute(13, 0) == (1, None)
    device = ok(driver.cuDeviceGet(0))
    assert ok(driver.cuDeviceGetName(14, device)) == b"Simulated GPU\0"
    assert ok(driver.cuDeviceComputeCapability(device)) == [7, 5] and ok(driver.cuDeviceTotalMem(device)) == 15 << 30
    assert ok(driver.cuDeviceGetCount()) == 1 and ok(driver.cuDriverGetVersion()) == ok(cudart.cudaDriverGetVersion())
    minor = driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
    assert ok(driver.cuDeviceGetAttribute(minor, device)) == 5
    assert ok(cudart.cudaRuntimeGetVersion()) == 13040 == ok(cudart.getLocalRuntimeVersion())


def test_what_an_address_is(cudart, driver):
    device, pinned, plain = ok(cudart.cudaMalloc(64)), ok(cudart.cudaMallocHost(64)), np.zeros(4)
    kinds = [ok(cudart.cudaPointerGetAttributes(place)) for place in (device + 8, pinned + 8, plain.ctypes.data)]
    assert [k.type.name for k in kinds] == [
        "cudaMemoryTypeDevice",
        "cudaMemoryTypeHost",
        "cudaMemoryTypeUnregistered",
    ]
    assert [k.devicePointer for k in kinds] == [device + 8, pinned + 8, 0] and kinds[1].hostPointer == pinned + 8
    start, nbytes = ok(driver.cuMemGetAddressRange(device + 8))
    assert (int(start), nbytes) == (device, 64)
    with pytest.warns(cuda_bindings.CudaWarning, match="lies in no memory of the device"):
        assert driver.cuMemGetAddressRange(plain.ctypes.data)[0] == driver.CUresult.CUDA_ERROR_NOT_FOUND


def test_the_driver_api(driver):
    device, stream = ok(driver.cuMemAlloc(16)), ok(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
    assert isinstance(device, driver.CUdeviceptr)
    source, back = np.arange(4, dtype=np.int32), np.zeros(4, np.int32)
    ok(driver.cuMemcpyHtoD(device, source, 16))
    ok(driver.cuMemcpyDtoH(back, device, 16))
    assert (back == source).all()
    other, pinned = ok(driver.cuMemAllocAsync(16, stream)), ok(driver.cuMemHostAlloc(16, 0))
    array = view(pinned, 4, np.int32)
    ok(driver.cuMemcpyDtoDAsync(other, device, 16, stream))
    ok(driver.cuMemsetD32Async(other, 9, 1, stream))
    ok(driver.cuMemsetD16Async(driver.CUdeviceptr(int(other) + 4), 8, 2, stream))
    ok(driver.cuMemsetD8Async(int(other) + 12, 1, 4, stream))
    ok(driver.cuMemcpyDtoHAsync(pinned, other, 16, stream))
    assert driver.cuStreamQuery(stream) == (driver.CUresult.CUDA_ERROR_NOT_READY,)
    ok(driver.cuStreamSynchronize(stream))
    assert [array[0], array[1], array[3]] == [9, 0x80008, 0x01010101]
    array[:] = 1
    ok(driver.cuMemcpyHtoDAsync(device, array, 16, stream))
    ok(driver.cuMemcpyAsync(other, device, 16, stream))
    start, end = ok(driver.cuEventCreate(0)), ok(driver.cuEventCreate(driver.CUevent_flags.CU_EVENT_DEFAULT))
    for event in (start, end):
        ok(driver.cuEventRecord(event, stream))
    ok(driver.cuStreamWaitEvent(None, end, 0))
    assert driver.cuEventQuery(end)[0] == 600
    ok(driver.cuEventSynchronize(end))
    assert ok(driver.cuEventElapsedTime(start, end)) >= 0
    ok(driver.cuCtxSynchronize())
    ok(driver.cuMemcpy(back.ctypes.data, other, 16))
    assert list(back) == [1] * 4
    for value, name in ((7, "cuMemsetD8"), (7, "cuMemsetD16"), (7, "cuMemsetD32")):
        ok(getattr(driver, name)(device, value, 4))
    ok(driver.cuMemcpyDtoD(other, device, 16))
    ok(driver.cuMemcpyDtoH(back, other, 16))
    assert list(back) == [7] * 4
    ok(driver.cuMemFreeAsync(other, stream))
    ok(driver.cuMemFree(device))
    ok(driver.cuMemFreeHost(pinned))
    for event in (start, end):
        ok(driver.cuEventDestroy(event))
    ok(driver.cuStreamDestroy(stream))
    assert ok(driver.cuMemGetInfo())[0] == ok(driver.cuMemGetInfo())[1]
    assert driver.cuGetErrorName(driver.CUresult(2)) == (0, b"CUDA_ERROR_OUT_OF_MEMORY")
    assert driver.cuGetErrorString(700) == (0, b"an illegal memory access was encountered")
    with pytest.warns(cuda_bindings.CudaWarning, match="is no CUresult"):
        assert driver.cuGetErrorString(12345) == (1, None)
    with pytest.warns(cuda_bindings.CudaWarning, match="expected at least 1"):
        assert driver.cuMemAlloc(0) == (1, None)


def test_contexts_are_a_threads(driver):
    seen = []

    def work():
        seen.append(driver.cuMemAlloc(16))
        seen.append(driver.cuCtxSetCurrent(driver.cuDevicePrimaryCtxRetain(0)[1]))
        seen.append(driver.cuMemAlloc(16)[0])
        seen.append(driver.cuDevicePrimaryCtxRelease(0))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [(driver.CUresult.CUDA_ERROR_INVALID_CONTEXT, None), (0,), 0, (0,)]
    assert "no CUDA context is current in this thread" in str(caught[0].message)
    current = ok(driver.cuCtxGetCurrent())
    own = ok(driver.cuCtxCreate(None, 0, 0))
    assert own != current and ok(driver.cuCtxGetCurrent()) == own and int(ok(driver.cuCtxGetDevice())) == 0
    ok(driver.cuCtxPushCurrent(current))
    assert ok(driver.cuCtxPopCurrent()) == current
    ok(driver.cuCtxDestroy(own))
    assert ok(driver.cuCtxGetCurrent()) == current
    with pytest.warns(cuda_bindings.CudaWarning, match="was destroyed"):
        assert driver.cuCtxPushCurrent(own)[0] == driver.CUresult.CUDA_ERROR_INVALID_CONTEXT
    with pytest.warns(cuda_bindings.CudaWarning, match="was destroyed already"):
        assert driver.cuCtxDestroy(own)[0] == driver.CUresult.CUDA_ERROR_CONTEXT_IS_DESTROYED


def test_the_last_context_takes_everything_with_it(trt, monkeypatch):
    from helpers.simulator.frontends.cuda_bindings import driver

    monkeypatch.setattr(contexts, "_users", {})
    monkeypatch.setattr(contexts, "_thread", threading.local())
    host.use("process")
    assert driver.cuInit(0) == (0,)
    own = ok(driver.cuCtxCreate(None, 0, 0))
    address = ok(driver.cuMemAlloc(1 << 20))
    contexts.stack().append(int(own))  # current twice, as after a second push
    ok(driver.cuCtxDestroy(own))
    with pytest.warns(cuda_bindings.CudaWarning, match="current in this thread was destroyed"):
        assert driver.cuMemFree(address)[0] == driver.CUresult.CUDA_ERROR_CONTEXT_IS_DESTROYED
    contexts.stack().clear()
    ok(driver.cuCtxCreate(None, 0, 0))
    assert ok(driver.cuMemGetInfo())[0] == 15 << 30
    with pytest.warns(cuda_bindings.CudaWarning):
        assert driver.cuMemFree(address)[0] == 1


def test_it_shares_memory_and_streams_with_pycuda(cudart):
    import pycuda.driver as cuda

    array, stream = cuda.pagelocked_empty(4, np.float32), cuda.Stream()
    array[:] = [1, 2, 3, 4]
    device = ok(cudart.cudaMalloc(16))
    ok(cudart.cudaMemcpyAsync(device, array, 16, cudart.cudaMemcpyKind.cudaMemcpyDefault, stream.handle))
    cuda.memcpy_dtoh_async(array, device, stream)
    assert np.isnan(array).all()
    ok(cudart.cudaStreamSynchronize(stream.handle))
    assert list(array) == [1, 2, 3, 4]


def test_names_that_need_a_gpu_say_what_to_use(cudart, driver):
    with pytest.raises(AttributeError, match=r"cudaMallocManaged: the simulator does not offer it. Use cudaMalloc"):
        _ = cudart.cudaMallocManaged
    with pytest.raises(AttributeError, match=r"cuLaunchKernel: .* runs TensorRT engines"):
        _ = driver.cuLaunchKernel
    with pytest.raises(AttributeError, match="It needs a GPU and the package cuda-bindings"):
        _ = driver.cuTensorMapEncodeTiled
    with pytest.raises(AttributeError, match=r"module 'cuda.bindings.runtime' has no attribute 'nonsense'"):
        _ = cudart.nonsense
    for text, words in (
        ("from cuda import cudart", "cuda-python 13 moved it: from cuda.bindings import runtime as cudart"),
        ("from cuda import cuda", "moved it: from cuda.bindings import driver"),
        ("from cuda.bindings import nvrtc", "offers cuda.bindings.runtime and cuda.bindings.driver"),
        ("import cuda.core", "cuda.core needs a GPU"),
    ):
        with pytest.raises(ImportError, match=words):
            exec(text, {})


def test_libcudart_by_ctypes(cudart):
    library = ctypes.CDLL("libcudart.so.13")
    assert ctypes.cdll.LoadLibrary("/usr/local/cuda/lib64/libcudart.so").__class__ is library.__class__
    assert isinstance(library, ctypes.CDLL) and ctypes.CDLL(None).getpid() == os.getpid()
    device, stream, free, total = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    assert library.cudaMalloc(ctypes.byref(device), ctypes.c_size_t(16)) == 0
    assert library["cudaStreamCreate"](ctypes.pointer(stream)) == 0
    source, back = (ctypes.c_int * 4)(1, 2, 3, 4), np.zeros(4, np.int32)
    library.cudaMemcpyAsync.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_void_p,
    ]
    assert library.cudaMemcpyAsync(device, source, ctypes.c_size_t(16), ctypes.c_int(1), stream) == 0
    assert library.cudaMemcpyAsync(ctypes.c_void_p(back.ctypes.data), device, 16, 2, stream) == 0
    assert library.cudaStreamSynchronize(stream) == 0 and list(back) == [1, 2, 3, 4]
    assert library.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)) == 0
    assert total.value - free.value == 16
    status = ctypes.c_int(9)
    assert library.cudaStreamIsCapturing(stream, ctypes.byref(status)) == 0 and status.value == 0
    with pytest.warns(cuda_bindings.CudaWarning, match="destroyed|no stream"):
        assert library.cudaStreamDestroy(stream) == 0 and library.cudaStreamSynchronize(stream) == 400
    assert library.cudaGetErrorString(2) == b"out of memory"
    start, end, elapsed = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_float(-1)
    for event in (start, end):
        assert library.cudaEventCreate(ctypes.byref(event)) == 0 and library.cudaEventRecord(event, None) == 0
    assert library.cudaDeviceSynchronize() == 0
    assert library.cudaEventElapsedTime(ctypes.byref(elapsed), start, end) == 0 and elapsed.value >= 0
    with pytest.raises(AttributeError, match=r"as cuda\.bindings\.runtime\.cudaGetDeviceProperties"):
        _ = library.cudaGetDeviceProperties
    with pytest.raises(AttributeError, match="does not offer it"):
        _ = library.cudaLaunchKernel
    with pytest.raises(ctypes.ArgumentError, match=r"expected ctypes\.byref"):
        library.cudaMalloc(device, 16)


def test_a_device_that_has_ended_is_an_error_too(trt):
    from helpers.simulator.frontends.cuda_bindings import runtime

    host.use("child")
    host.current().device.close()
    with pytest.raises(DeviceError):
        host.current().device.mem_get_info()
    with pytest.warns(cuda_bindings.CudaWarning, match="process has ended"):
        assert runtime.cudaMemGetInfo() == (719, None, None)
    host.use("process")
    runtime.cudaDeviceReset()
