"""`pycuda.driver` over both transports: memory, streams, events, copies, and CUDA's implicit waits."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import backend


def ops(since: int) -> list[str]:
    return [event["op"] for event in backend.record(since)]


def pinned(cuda, values, dtype=np.float32):
    array = cuda.pagelocked_empty(len(values), dtype)
    array[:] = values
    return array


def test_pinned_arrays_are_arrays(cuda):
    array = cuda.pagelocked_empty((3, 4), np.float16)
    assert array.shape == (3, 4) and array.dtype == np.float16 and array.base.size == 24
    assert (cuda.pagelocked_zeros(5, np.int64) == 0).all()
    like = cuda.pagelocked_zeros_like(array)
    assert like.shape == array.shape and cuda.pagelocked_empty_like(array).dtype == array.dtype


def test_negative_pinned_size_is_explained(cuda):
    with pytest.raises(cuda.LogicError, match=r"cuMemHostAlloc failed.*negative dimension.*profile's maximum"):
        cuda.pagelocked_empty((-1, 64), np.int64)
    with pytest.raises(cuda.LogicError, match="expected at least 1"):
        cuda.pagelocked_empty(0, np.int64)
    with pytest.raises(ValueError, match="C-ordered"):
        cuda.pagelocked_empty(4, np.int64, order="F")


def test_pinned_source_is_read_when_the_copy_runs(cuda):
    source, stream = pinned(cuda, [1, 2]), cuda.Stream()
    target = cuda.mem_alloc(8)
    cuda.memcpy_htod_async(target, source, stream)
    source[:] = [7, 8]  # the mistake that a GPU shows now and then
    stream.synchronize()
    assert list(cuda.from_device(target, 2, np.float32)) == [7, 8]


def test_pageable_source_travels_by_value_and_waits(cuda):
    source, stream, target = np.array([1, 2], np.float32), cuda.Stream(), cuda.mem_alloc(8)
    before = backend.record_length()
    cuda.memcpy_htod_async(target, source, stream)
    event = backend.record(before)[0]
    assert event["memory"] == "pageable, synchronous" and event["finished_ns"] > 0
    source[:] = 0
    result = np.empty(2, np.float32)
    cuda.memcpy_dtoh_async(result, target, stream)  # pageable: complete when the call returns
    assert list(result) == [1, 2]
    assert "pageable" in backend.explain(result)


def test_poison_is_recognisable_in_every_dtype(cuda):
    stream = cuda.Stream()
    for dtype in (np.float16, np.float32, np.int32, np.int64):
        source = pinned(cuda, [3, 4], dtype)
        device, target = cuda.mem_alloc(source.nbytes), cuda.pagelocked_empty(2, dtype)
        cuda.memcpy_htod_async(device, source, stream)
        cuda.memcpy_dtoh_async(target, device, stream)
        assert np.isnan(target).all() if np.dtype(dtype).kind == "f" else (target == -1).all()
        stream.synchronize()
        assert list(target) == [3, 4]


def test_pending_copy_outlives_its_array(cuda):
    stream = cuda.Stream()
    device = cuda.mem_alloc(8)
    cuda.memcpy_htod_async(device, pinned(cuda, [5, 6]), stream)  # the array is collected at once
    gc.collect()
    stream.synchronize()
    assert list(cuda.from_device_like(device, np.empty(2, np.float32))) == [5, 6]


def test_a_view_into_pinned_memory_is_pinned(cuda):
    array, stream = pinned(cuda, range(8)), cuda.Stream()
    device = cuda.mem_alloc(8)
    before = backend.record_length()
    cuda.memcpy_htod_async(device, array[2:4], stream)
    stream.synchronize()
    assert backend.record(before)[0]["memory"] == "pinned"
    assert list(cuda.from_device(device, 2, np.float32)) == [2, 3]


def test_streams_are_queues_and_query_makes_progress(cuda):
    stream, source, device = cuda.Stream(), pinned(cuda, [1, 2]), cuda.mem_alloc(8)
    assert stream.is_done()
    for _ in range(3):
        cuda.memcpy_htod_async(device, source, stream)
    assert [stream.is_done() for _ in range(3)] == [False, False, True]


def test_event_order_between_streams(cuda):
    first, second = cuda.Stream(flags=1), cuda.Stream(flags=1)  # not blocking: only the event orders them
    source, middle, target = pinned(cuda, [1, 2]), cuda.mem_alloc(8), cuda.pagelocked_empty(2, np.float32)
    cuda.memcpy_htod_async(middle, source, first)
    event = cuda.Event().record(first)
    second.wait_for_event(event)
    del event
    gc.collect()  # a wait keeps what it waits for
    cuda.memcpy_dtoh_async(target, middle, second)
    second.synchronize()
    assert list(target) == [1, 2]


def test_without_the_event_the_second_stream_reads_what_was_there(cuda):
    first, second = cuda.Stream(flags=1), cuda.Stream(flags=1)
    middle, target = cuda.to_device(np.array([7, 7], np.float32)), cuda.pagelocked_empty(2, np.float32)
    cuda.memcpy_htod_async(middle, pinned(cuda, [1, 2]), first)
    cuda.memcpy_dtoh_async(target, middle, second)
    second.synchronize()
    assert list(target) == [7, 7]


def test_default_stream_waits_for_blocking_streams_and_they_for_it(cuda):
    stream, other = cuda.Stream(), cuda.Stream(flags=1)
    device, result = cuda.mem_alloc(8), cuda.pagelocked_empty(2, np.float32)
    cuda.memcpy_htod_async(device, pinned(cuda, [1, 2]), stream)
    cuda.memcpy_dtoh_async(result, device)  # default stream
    before = backend.record_length()
    cuda.memcpy_htod_async(cuda.mem_alloc(8), pinned(cuda, [0, 0]), other)
    cuda.Event().record().synchronize()  # an event in the default stream
    assert list(result) == [1, 2]
    assert not other.is_done() or ops(before)  # a non-blocking stream is left alone
    cuda.memcpy_dtoh_async(result, device)
    cuda.memcpy_htod_async(device, pinned(cuda, [3, 4]), stream)
    stream.synchronize()  # waits for the default stream's earlier work
    assert list(result) == [1, 2]


def test_blocking_copy_and_free_synchronise(cuda):
    stream, device = cuda.Stream(), cuda.mem_alloc(8)
    cuda.memcpy_htod_async(device, pinned(cuda, [1, 2]), stream)
    assert list(cuda.from_device(device, 2, np.float32)) == [1, 2]
    other, late = cuda.mem_alloc(8), cuda.pagelocked_empty(2, np.float32)
    cuda.memcpy_dtoh_async(late, device, stream)
    assert np.isnan(late).all()
    other.free()  # cuMemFree waits for the device
    assert list(late) == [1, 2]


def test_events_measure_and_say_when_they_cannot(cuda):
    stream = cuda.Stream()
    start, end = cuda.Event(), cuda.Event()
    with pytest.raises(cuda.LogicError, match="was never recorded"):
        start.time_till(end)
    start.record(stream)
    device = cuda.mem_alloc(1 << 20)  # kept: freeing it would synchronise
    cuda.memcpy_htod_async(device, cuda.pagelocked_zeros(1 << 20, np.uint8), stream)
    end.record(stream)
    with pytest.raises(cuda.RuntimeError, match="has not completed"):
        start.time_till(end)
    assert not end.query()
    end.synchronize()
    assert end.query() and start.time_till(end) > 0 and end.time_since(start) == start.time_till(end)


def test_device_copies_and_memset(cuda):
    stream = cuda.Stream()
    one, two = cuda.to_device(np.arange(4, dtype=np.int32)), cuda.mem_alloc(16)
    cuda.memcpy_dtod(two, one, 16)
    assert list(cuda.from_device(two, 4, np.int32)) == [0, 1, 2, 3]
    cuda.memset_d32(one, 9, 4)
    cuda.memcpy_dtod_async(two, one, 8, stream)
    cuda.memset_d8_async(int(two) + 8, 0, 4, stream)
    cuda.memset_d32_async(int(two) + 12, 5, 1, stream)
    stream.synchronize()
    assert list(cuda.from_device(two, 4, np.int32)) == [9, 9, 0, 5]
    cuda.memset_d16(two, 1, 2)
    cuda.memset_d8(two, 2, 1)
    assert list(cuda.from_device(two, 4, np.int16)) == [2, 1, 9, 0]


def test_fresh_memory_is_poison(cuda):
    assert np.isnan(cuda.from_device(cuda.mem_alloc(16), 4, np.float32)).all()


def test_memory_runs_out_with_cudas_error(cuda):
    free, total = cuda.mem_get_info()
    assert total == cuda.Device(0).total_memory() == 15 << 30
    with pytest.raises(cuda.MemoryError, match=r"cuMemAlloc failed: out of memory.*are free"):
        cuda.mem_alloc(total + 1)
    allocation = cuda.mem_alloc(1 << 20)
    assert cuda.mem_get_info()[0] == free - (1 << 20)
    allocation.free()
    assert cuda.mem_get_info()[0] == free
    with pytest.raises(cuda.LogicError, match="freed already"):
        allocation.free()


def test_copies_outside_an_allocation_are_named(cuda):
    device = cuda.mem_alloc(8)
    with pytest.raises(cuda.LogicError, match=r"needs 16 bytes, but the buffer .* has 8"):
        cuda.memcpy_htod(device, np.zeros(2, np.float64))
    with pytest.raises(cuda.LogicError, match="no device address"):
        cuda.memcpy_htod(np.zeros(2).ctypes.data, np.zeros(2, np.float32))
    with pytest.raises(cuda.LogicError, match="lies 192 bytes behind the end of the buffer of 8 bytes"):
        cuda.mem_alloc(8)
        cuda.memcpy_htod(int(device) + 200, np.zeros(2, np.float32))
    with pytest.raises(TypeError, match="destination first"):
        cuda.memcpy_htod(np.zeros(2, np.float32), device)
    with pytest.raises(TypeError, match="destination first"):
        cuda.memcpy_dtoh(device, np.zeros(2, np.float32))
    with pytest.raises(TypeError, match="expected a host buffer"):
        cuda.memcpy_htod(device, [1, 2])
    with pytest.raises(ValueError, match="not contiguous"):
        cuda.memcpy_htod(device, np.zeros((4, 4), np.float32)[:, 1])
    with pytest.raises(ValueError, match="read-only"):
        cuda.memcpy_dtoh(b"12345678", device)
    with pytest.raises(TypeError, match="Stream or None"):
        cuda.memcpy_htod_async(device, np.zeros(2, np.float32), 3)


def test_bytes_and_bytearrays_are_host_buffers(cuda):
    device, result = cuda.mem_alloc(4), bytearray(4)
    cuda.memcpy_htod(device, b"abcd")
    cuda.memcpy_dtoh(result, device)
    assert bytes(result) == b"abcd"


def test_pinned_memory_freed_by_hand(cuda):
    array = cuda.pagelocked_empty(4, np.float32)
    array.base.free()
    with pytest.raises(cuda.LogicError, match="freed already"):
        array.base.free()


def test_stream_of_another_device_is_an_invalid_handle(cuda):
    from helpers.simulator.device import DeviceError
    from helpers.simulator.host import current

    with pytest.raises(DeviceError, match="is no stream of this device"):
        current().device.stream_synchronize(12345)
    with pytest.raises(DeviceError, match="is no event of this device"):
        current().device.event_synchronize(12345)


def test_a_thread_needs_a_context_of_its_own(cuda):
    context = cuda.Context.get_current()
    said = []

    def work() -> None:
        try:
            cuda.mem_alloc(8)
        except cuda.LogicError as error:
            said.append(str(error))
        context.push()
        said.append(int(cuda.mem_alloc(8)) > 0)
        cuda.Context.pop()
        with pytest.raises(cuda.LogicError, match="no context is current"):
            cuda.Context.pop()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "invalid device context" in said[0] and said[1] is True


def test_device_and_contexts(cuda):
    device = cuda.Device(0)
    assert device.count() == 1 and "Simulated" in device.name() and device.compute_capability() == (7, 5)
    assert device.pci_bus_id() and cuda.get_version()[0] == 13 and cuda.get_driver_version() == 13000
    context = device.make_context()
    assert cuda.Context.get_current() is context and isinstance(cuda.Context.get_device(), cuda.Device)
    context.detach()
    assert cuda.Context.get_current() is not context
    with pytest.raises(cuda.LogicError, match=r"context::detach failed: invalid device context"):
        context.detach()
    with pytest.raises(cuda.LogicError, match="this context was detached"):
        context.push()
    with pytest.raises(cuda.LogicError, match="there is one device"):
        cuda.Device(1)
    import pycuda
    import pycuda.autoinit

    assert pycuda.autoinit.device is not None and "simulator" in pycuda.VERSION_TEXT


def test_error_700_stays_until_the_last_context_is_gone(trt, plans, log, monkeypatch):
    import pycuda.driver as cuda

    from helpers.simulator import host
    from helpers.simulator.frontends import contexts

    monkeypatch.setattr(contexts, "_users", {})
    monkeypatch.setattr(contexts, "_thread", threading.local())
    host.use("process")
    cuda.init()
    context, other = cuda.Device(0).make_context(), cuda.Device(0).retain_primary_context()
    execution = trt.Runtime(log.logger).deserialize_cuda_engine(plans["add"]).create_execution_context()
    stream, device = cuda.Stream(), cuda.mem_alloc(64)
    execution.set_input_shape("x", (2, 8))
    execution.set_tensor_address("x", int(device))
    execution.set_tensor_address("y", 0xDEAD00)
    assert execution.execute_async_v3(stream.handle) is False
    for _ in range(2):
        with pytest.raises(
            cuda.LogicError, match=r"cuStreamSynchronize failed: an illegal memory access was encountered"
        ):
            stream.synchronize()
    with pytest.raises(cuda.LogicError, match="cuMemAlloc failed: an illegal memory access was encountered"):
        cuda.mem_alloc(64)
    other.detach()
    with pytest.raises(cuda.LogicError, match="cuMemGetInfo failed: an illegal memory access"):
        cuda.mem_get_info()
    context.detach()
    with pytest.raises(cuda.LogicError, match=r"explicit_context_dependent failed: .*no currently active context\?"):
        cuda.Stream()
    with pytest.raises(cuda.LogicError, match="cuMemGetInfo failed: invalid device context"):
        cuda.mem_get_info()
    cuda.Device(0).make_context()
    free, total = cuda.mem_get_info()
    assert free == total
    with pytest.raises(cuda.LogicError, match="failed: invalid resource handle"):
        stream.synchronize()


def test_a_context_of_the_bindings_is_pycudas_too(cuda):
    from cuda.bindings import driver

    error, made = driver.cuCtxCreate(None, 0, 0)
    assert error == 0 and cuda.Context.get_current() is cuda.Context.get_current()
    assert cuda.mem_alloc(8)
    cuda.Context.get_current().detach()
    assert driver.cuCtxGetCurrent()[1] != made


def test_errors_are_of_pycudas_classes(cuda):
    import builtins

    with pytest.raises(builtins.MemoryError):
        cuda.mem_alloc(1 << 50)
    assert issubclass(cuda.MemoryError, cuda.Error) and not issubclass(cuda.LogicError, builtins.RuntimeError)
    allocation = cuda.mem_alloc(8)
    allocation.free()
    with pytest.raises(cuda.LogicError, match="device_allocation::free failed: invalid resource handle"):
        allocation.free()


def test_what_only_a_gpu_can_do_is_named(cuda):
    with pytest.raises(AttributeError, match=r"SourceModule exists in pycuda; the simulator does not offer it"):
        _ = cuda.SourceModule
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = cuda.nonsense


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_any_program_of_ordered_copies_ends_as_if_it_had_run_at_once(cuda, plan, seed):
    """Copies in one stream, or in several that are ordered by events, give what running each at its call would give."""
    streams = [cuda.Stream(flags=flag) for flag in (0, 1, 0)]
    rng = np.random.default_rng(seed)
    device = [cuda.to_device(np.zeros(2, np.float32)) for _ in range(4)]
    model = [np.zeros(2, np.float32) for _ in range(4)]
    kept = []
    last = None
    for slot, which in plan:
        stream = streams[which]
        if last is not None:
            stream.wait_for_event(last)
        source = pinned(cuda, rng.random(2))
        kept.append(source)
        cuda.memcpy_htod_async(device[slot], source, stream)
        cuda.memcpy_dtod_async(device[(slot + 1) % 4], device[slot], 8, stream)
        model[slot] = source.copy()
        model[(slot + 1) % 4] = source.copy()
        last = cuda.Event().record(stream)
    last.synchronize()
    for allocation, expected in zip(device, model, strict=True):
        np.testing.assert_array_equal(cuda.from_device(allocation, 2, np.float32), expected)
