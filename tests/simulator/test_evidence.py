"""What a grader asks of a device: digests of the bytes that were read, computed and copied, and facts of memory."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from helpers import backend
from helpers.simulator import host
from helpers.simulator.device import Device, DeviceError

from .test_executor import counted_plan


def sha(data) -> str:
    return hashlib.sha256(bytes(data)).hexdigest()


@pytest.fixture
def device(cuda):
    return host.current().device


def test_a_record_has_no_digests_until_they_are_asked_for(device, plans):
    x = np.ones((1, 8), np.float32)
    engine = device.engine_load(plans["add"])["engine"]
    device.infer(engine, {"x": x})
    assert {event["digests"] for event in backend.record()} == {None}
    device.keep_digests(True)
    device.infer(engine, {"x": x})
    assert backend.record()[-1]["digests"] == {"plan": sha(plans["add"]), "input:x": sha(x), "output:y": sha(x + 1)}
    assert "inference" in backend.describe_record() and "engine_load" in backend.describe_record()


def test_digests_are_of_the_moment_at_which_work_runs(device, plans):
    """One buffer for input and output, and a pinned source that changes while its copy is queued."""
    device.keep_digests(True)
    context = device.context_create(device.engine_load(plans["add"])["engine"])
    stream, memory = device.stream_create(0), device.mem_alloc(32)
    source, target = device.host_alloc(32), device.host_alloc(32)
    x = np.arange(8, dtype=np.float32)
    device.memcpy_htod(memory, 32, source, 0, None, stream, False, "float32")
    device.fill_pinned(source, 0, x.tobytes())
    device.execute(context, stream, False, 0, {"x": [1, 8]}, {"x": memory, "y": memory})
    device.memcpy_dtoh(memory, 32, target, 0, False, stream, False, "float32")
    assert [event["digests"] for event in device.record(0)[-3:]] == [{"enqueued": sha(bytes(32))}, None, None]
    device.stream_synchronize(stream)
    copied, executed, back = [event["digests"] for event in device.record(0)[-4:-1]]
    assert copied == {"enqueued": sha(bytes(32)), "data": sha(x)} and back == {"data": sha(x + 1)}
    assert executed == {"plan": sha(plans["add"]), "input:x": sha(x), "output:y": sha(x + 1)}
    by_value = device.memcpy_dtoh(memory, 32, 0, 0, True, 0, True, "float32")
    assert device.record(0)[-1]["digests"] == {"data": sha(by_value)}


def test_an_output_whose_size_only_running_gives_counts_as_far_as_it_was_written():
    device = Device()
    device.keep_digests(True)
    plan = bytes(counted_plan().serialize())
    context = device.context_create(device.engine_load(plan)["engine"])
    memory = [device.mem_alloc(96), device.mem_alloc(1000)]
    x = np.eye(3, 8, dtype=np.float32)
    device.memcpy_htod(memory[0], 96, 0, 0, x.tobytes(), 0, True, "float32")
    device.execute(context, 0, True, 0, {"x": [3, 8]}, dict(zip("xy", memory, strict=True)))
    assert device.record(0)[-1]["digests"]["output:y"] == sha(np.stack(np.nonzero(x)))


def test_a_failed_inference_is_no_event(device, plans):
    engine = device.engine_load(plans["classifier"])["engine"]
    before = device.record_length()
    ids = np.full((1, 64), 10_000)  # outside the vocabulary
    with pytest.raises(DeviceError, match="the execution failed"):
        device.infer(engine, {"input_ids": ids, "attention_mask": ids})
    assert device.record_length() == before
    device.engine_free(engine)
    with pytest.raises(DeviceError, match="does not exist"):
        device.infer(engine, {})


def test_settling_runs_everything_and_forgets_the_faults(device):
    stream, memory, source = device.stream_create(1), device.mem_alloc(32), device.host_alloc(32)
    device.memcpy_htod(memory, 32, source, 0, None, stream, False, "")
    with pytest.raises(DeviceError):
        device.execute(99, stream, False, 0, {}, {})
    before = device.record_length()
    device.settle()
    assert device.unfinished() == [] and device.record_length() == before
    device.synchronize()


def test_memory_that_is_live(device):
    memory, source = device.mem_alloc(100), device.host_alloc(64)
    assert device.allocation(memory) == 100 and device.pinned(source) == 64
    assert [device.allocation(a) for a in (memory + 1, 0, -5)] == [0, 0, 0] and device.pinned(12345) == 0
    for offset, data in ((60, b"12345"), (-1, b"1"), (64, b"1")):
        with pytest.raises(DeviceError, match="run past the end"):
            device.fill_pinned(source, offset, data)
    device.mem_free(memory)
    device.host_free(source)
    assert device.allocation(memory) == 0 and device.pinned(source) == 0


def test_pinned_memory_has_a_limit():
    device = Device(memory=1 << 20)
    kept = device.host_alloc(1 << 19)
    with pytest.raises(DeviceError, match="524,288 of at most 1,048,576 are in use"):
        device.host_alloc((1 << 19) + 1)
    device.host_free(kept)
    assert device.host_alloc(1 << 20)
