"""Memory and its limits, what was not freed, errors that stay, and the end of the CUDA context."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from helpers.simulator import host
from helpers.simulator.device import Device, DeviceError

from .conftest import build, classifier_model

ROOT = Path(__file__).parents[2]


@pytest.fixture
def device() -> Device:
    return Device(memory=1 << 20)


def copy_in(device: Device, address: int, values: bytes, stream: int = 0) -> None:
    device.memcpy_htod(address, len(values), 0, 0, values, stream, True, "")


# --- memory ---


def test_what_is_freed_is_free_again(cuda, trt, plans, log):
    free, total = cuda.mem_get_info()
    assert total == 15 << 30
    held = cuda.mem_alloc(1 << 20)
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["linear"])
    context = engine.create_execution_context()
    in_use = free - cuda.mem_get_info()[0]
    assert in_use == (1 << 20) + engine.get_engine_stat() + engine.device_memory_size_v2
    held.free()
    del context, engine
    gc.collect()
    assert cuda.mem_get_info() == (free, total)


def test_it_runs_out_with_cudas_own_error(trt):
    import pycuda.driver as cuda

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRT_DEVICE_MEMORY", "1.5 MiB")
        for transport in ("process", "child"):
            host.use(transport)
            kept = cuda.mem_alloc(1 << 20)
            with pytest.raises(cuda.MemoryError, match="cuMemAlloc failed: out of memory") as error:
                cuda.mem_alloc(1 << 20)
            assert "524,288 of 1,572,864 bytes are free" in str(error.value)
            del kept
            assert cuda.mem_get_info() == (3 << 19, 3 << 19)
    host.use("process")


@pytest.mark.parametrize(
    ("text", "nbytes"), [("1024", 1024), ("15GiB", 15 << 30), ("1.5 GB", 1_500_000_000), ("2mib", 2 << 20)]
)
def test_sizes_of_memory(text, nbytes):
    assert host.memory_size(text) == nbytes


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TRT_DEVICE_MEMORY", "lots", "TRT_DEVICE_MEMORY: 'lots' is no size of memory; expected bytes, or as in 15GiB"),
        ("TRT_DEVICE_MEMORY", "0", "is no size"),
        ("TRT_DEVICE_MEMORY", "3 GiBs", "is no size"),
        ("TRT_DEVICE_CC", "sm_86", "TRT_DEVICE_CC is 'sm_86'; expected a compute capability, as 8.6"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError) as error:
        host.use("process")
    assert said in str(error.value)


def test_the_compute_capability_can_be_set(monkeypatch):
    assert host.use("process").device.properties()["compute_capability"] == [7, 5]
    assert host.current().device.properties()["any_target"] is True
    monkeypatch.setenv("TRT_DEVICE_CC", "12.0")
    for transport in ("process", "child"):
        told = host.use(transport).device.properties()
        assert told["compute_capability"] == [12, 0] and told["any_target"] is False
    monkeypatch.delenv("TRT_DEVICE_CC")
    host.use("process")


def test_activation_memory_grows_with_the_profile(trt, log):
    runtime = trt.Runtime(log.logger)
    sizes = []
    for largest in (4, 400, 4_000):
        limits = dict.fromkeys(("input_ids", "attention_mask"), ((1, 8), (2, 8), (largest, 8)))
        plan = build(trt, log, classifier_model(), limits)
        engine = runtime.deserialize_cuda_engine(plan)
        sizes.append(engine.device_memory_size_v2)
    assert 0 < sizes[0] < sizes[1] < sizes[2]


def test_stream_ordered_free(device):
    stream = device.stream_create(0)
    address = device.mem_alloc(64)
    copy_in(device, address, bytes(64))
    pinned = device.host_alloc(64)
    device.memcpy_dtoh(address, 64, pinned, 0, False, stream, False, "")
    device.mem_free_async(address, stream)
    free = device.mem_get_info()[0]
    with pytest.raises(DeviceError, match="was freed"):  # for what comes later it is gone ...
        device.memset(address, b"\0", 64, stream, False)
    device.stream_synchronize(stream)
    assert device.mem_get_info()[0] == free + 64  # ... the memory itself when the stream came there
    assert device.host_memory(pinned).data.tolist() == [0] * 64
    with pytest.raises(DeviceError, match="was freed already"):
        device.mem_free_async(address, stream)


def test_the_range_of_an_allocation(device):
    address = device.mem_alloc(100)
    assert device.mem_range(address + 99) == [address, 100]
    assert device.mem_range(address + 100) == [] == device.mem_range(12)
    device.mem_free(address)
    assert device.mem_range(address) == []


# --- errors that stay ---


def test_error_700_stays_until_the_context_ends(device):
    address = device.mem_alloc(64)
    with pytest.raises(DeviceError) as refused:
        device.memcpy_dtod(address, address + 1_000, 8, 0, True)
    assert refused.value.code == "CUDA_ERROR_INVALID_VALUE"  # a copy is checked when it is called: nothing is lost
    device.synchronize()
    device._fail(DeviceError("CUDA_ERROR_ILLEGAL_ADDRESS", "somewhere."))
    calls = [
        lambda: device.synchronize(),
        lambda: device.mem_alloc(8),
        lambda: device.stream_create(0),
        lambda: device.mem_get_info(),
        lambda: device.mem_free(address),
    ]
    for call in calls:
        with pytest.raises(DeviceError, match=r"somewhere\. The CUDA context is lost") as error:
            call()
        assert error.value.code == "CUDA_ERROR_ILLEGAL_ADDRESS"
    assert device.record() and device.live()  # what is asked of the simulator itself is answered
    device.release("mem_free", address)  # the collector's frees wait, and are not lost
    device.reset()
    assert device.mem_get_info() == [1 << 20, 1 << 20] and device.live() == []
    device.synchronize()


def test_the_end_of_the_context_takes_everything(device):
    stream, event, address = device.stream_create(0), device.event_create(), device.mem_alloc(64)
    device.memset(address, b"\1", 64, stream, False)
    device.reset()
    assert device.unfinished() == [] and device.record()[-1]["op"] == "reset"
    for call in (lambda: device.stream_synchronize(stream), lambda: device.event_synchronize(event)):
        with pytest.raises(DeviceError) as error:
            call()
        assert error.value.code == "CUDA_ERROR_INVALID_HANDLE"
    with pytest.raises(DeviceError, match="was freed"):
        device.memset(address, b"\1", 64, 0, False)


# --- streams ---


def test_a_destroyed_stream_ends_its_work_and_takes_no_more(device):
    stream, address, pinned = device.stream_create(0), device.mem_alloc(64), device.host_alloc(64)
    device.memset(address, b"\7", 64, stream, False)
    device.memcpy_dtoh(address, 64, pinned, 0, False, stream, False, "")
    device.stream_destroy(stream)
    with pytest.raises(DeviceError, match="is no stream of this device"):
        device.memset(address, b"\7", 64, stream, False)
    device.synchronize()
    assert device.host_memory(pinned).data.tolist() == [7] * 64
    assert stream not in device._streams
    with pytest.raises(DeviceError, match="cannot be destroyed"):
        device.stream_destroy(0)


def test_events_without_timing(device):
    first, last = device.event_create(), device.event_create(2)
    for event in (first, last):
        device.event_record(event, 0)
    device.synchronize()
    with pytest.raises(DeviceError, match="the end event was made without timing") as error:
        device.event_elapsed(first, last)
    assert error.value.code == "CUDA_ERROR_INVALID_HANDLE"


# --- leaks ---


def test_what_is_not_freed_is_listed_when_asked(tmp_path):
    script = tmp_path / "leaky.py"
    script.write_text(
        "from helpers import backend\n"
        "backend.activate('simulator', quiet=True)\n"
        "import pycuda.autoprimaryctx, pycuda.driver as cuda\n"
        "kept = cuda.mem_alloc(4096)\n"
        "freed = cuda.mem_alloc(1234)\n"
        "freed.free()\n"
        "print('done')\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    runs = [
        subprocess.run([sys.executable, script], env=environment | extra, capture_output=True, text=True, check=True)
        for extra in ({}, {"TRT_LEAKS": "1"})
    ]
    assert [run.stdout for run in runs] == ["done\n"] * 2
    assert runs[0].stderr == ""
    assert "[simulator] not freed when the program ended:" in runs[1].stderr
    assert "device memory 0x302000000, 4,096 bytes" in runs[1].stderr and "1,234" not in runs[1].stderr


def test_live_tells_what_there_is(trt, plans, log):
    import pycuda.autoprimaryctx  # noqa: F401
    import pycuda.driver as cuda

    for transport in ("process", "child"):
        device = host.use(transport).device
        assert device.live() == []
        held, pinned = cuda.mem_alloc(64), cuda.pagelocked_empty(8, np.float32)
        stream, event = cuda.Stream(), cuda.Event()
        engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["add"])
        context = engine.create_execution_context()
        kinds = [each["kind"] for each in device.live()]
        assert kinds == ["device memory", "pinned memory", "engine", "execution context", "stream", "event"]
        assert device.live()[0] == {"kind": "device memory", "id": int(held), "nbytes": 64, "tensor": ""}
        assert f"pinned memory {device.live()[1]['id']:#x}, 32 bytes" in host.leaks()
        del held, pinned, stream, event, context, engine
        gc.collect()
        assert device.live() == []
    host.use("process")


def test_an_error_that_stays_keeps_nothing_of_who_met_it(device):
    class Buffer:
        pass

    def meet() -> weakref.ref:
        held = Buffer()
        try:
            device.mem_alloc(8)
        except DeviceError:
            return weakref.ref(held)
        raise AssertionError("the context is lost")

    device._fail(DeviceError("CUDA_ERROR_ILLEGAL_ADDRESS", "somewhere."))
    assert meet()() is None
