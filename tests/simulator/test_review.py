"""Faults that were found by reading and trying, each kept as a test."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest

from helpers import backend
from helpers.simulator import host
from helpers.simulator.device import RECORD_LIMIT, Device, DeviceError
from helpers.simulator.plan import open_plan

from .conftest import BATCHES, Log, add_model, build, classifier_model, linear_model


def pinned(cuda, values, dtype=np.float32):
    array = cuda.pagelocked_empty(len(values), dtype)
    array[:] = values
    return array


def test_one_pinned_buffer_for_input_and_output(trt, cuda, plans, log):
    """A right program: the poison of the copy back must not reach the copy to the device, which reads the same bytes."""
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["add"])
    context, stream = engine.create_execution_context(), cuda.Stream()
    both = pinned(cuda, [3] * 8)
    x, y = cuda.mem_alloc(32), cuda.mem_alloc(32)
    context.set_input_shape("x", (1, 8))
    context.set_tensor_address("x", int(x))
    context.set_tensor_address("y", int(y))
    cuda.memcpy_htod_async(x, both, stream)
    assert context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(both, y, stream)
    assert np.isnan(both).all()
    stream.synchronize()
    assert (both == 4).all()


def test_poison_stays_while_any_copy_is_pending(cuda):
    first, second = cuda.Stream(flags=1), cuda.Stream(flags=1)
    device, target = cuda.to_device(np.ones(4, np.float32)), cuda.pagelocked_empty(4, np.float32)
    cuda.memcpy_dtoh_async(target, device, first)
    cuda.memcpy_dtoh_async(target[2:], device, second)
    first.synchronize()
    assert list(target[:2]) == [1, 1] and np.isnan(target[2:]).all()
    assert "Read too early" in backend.explain(target)
    second.synchronize()
    assert (target == 1).all()


def test_memset_and_device_copies_do_not_wait(cuda):
    stream, device, other = cuda.Stream(), cuda.to_device(np.ones(2, np.float32)), cuda.mem_alloc(8)
    early = cuda.pagelocked_empty(2, np.float32)
    cuda.memcpy_dtoh_async(early, device, stream)
    cuda.memset_d8(other, 0, 8)
    cuda.memcpy_dtod(other, device, 8)
    assert np.isnan(early).all()
    stream.synchronize()
    assert (early == 1).all() and (cuda.from_device(other, 2, np.float32) == 1).all()


def test_an_interrupted_wait_leaves_the_device_usable():
    device = Device()
    stream = device.stream_create(0)
    address = device.mem_alloc(8)
    device.memset(address, b"\0", 8, stream, False)
    queue = device._streams[stream].queue

    def interrupted() -> None:
        raise KeyboardInterrupt

    queue[0].run = interrupted
    with pytest.raises(KeyboardInterrupt):
        device.stream_synchronize(stream)
    device.stream_synchronize(stream)
    device.mem_free(address)


def test_a_failing_operation_is_a_fault_and_not_a_wreck():
    device = Device()
    stream = device.stream_create(0)
    address = device.mem_alloc(8)
    device.memset(address, b"\0", 8, stream, False)

    def broken() -> None:
        raise ZeroDivisionError("inside")

    device._streams[stream].queue[0].run = broken
    with pytest.raises(DeviceError, match="ZeroDivisionError: inside"):
        device.stream_synchronize(stream)
    device.stream_synchronize(stream)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of a POSIX process")
def test_ctrl_c_reaches_neither_the_child_nor_the_middle_of_a_message():
    code = (
        "import os, signal, threading, time\n"
        "os.setpgid(0, 0)\n"  # as a shell does: Ctrl-C goes to the whole group
        "from helpers.simulator import host\n"
        "device = host.use('child').device\n"
        "def press():\n"
        "    for _ in range(50): time.sleep(0.004); os.killpg(0, signal.SIGINT)\n"
        "pressed = calls = 0; inside = False\n"
        "def interrupt(*_):\n"
        "    global pressed; pressed += 1\n"
        "    if inside: raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGINT, interrupt)\n"
        "thread = threading.Thread(target=press); thread.start()\n"
        "while thread.is_alive() or calls < 100:\n"
        "    try:\n"
        "        inside = True\n"
        "        address = device.mem_alloc(64); device.mem_free(address); calls += 1\n"
        "        inside = False\n"
        "    except KeyboardInterrupt: inside = False\n"
        "print('pressed', pressed > 0, device.mem_get_info()[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert f"pressed True {15 << 30}" in done.stdout, done.stderr


def test_bad_operands_are_refused_and_the_device_goes_on(cuda):
    device = cuda.mem_alloc(64)
    with pytest.raises(cuda.LogicError, match="-1 bytes"):
        cuda.memset_d8(device, 0, -1)
    with pytest.raises(cuda.LogicError, match="-4 bytes"):
        cuda.memcpy_dtod(device, device, -4)
    with pytest.raises(cuda.MemoryError, match="cannot pin"):
        cuda.pagelocked_empty(1 << 60, np.uint8)
    free = cuda.mem_get_info()[0]
    with pytest.raises(cuda.MemoryError):
        cuda.mem_alloc(1 << 60)
    assert cuda.mem_get_info()[0] == free
    assert int(cuda.mem_alloc(64))


def test_arrays_of_bytes_and_records_carry_anything(trt, cuda, plans, log):
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["add"])
    context, stream = engine.create_execution_context(), cuda.Stream()
    x = cuda.to_device(np.ones(8, np.float32).view("V4"))
    y = cuda.mem_alloc(32)
    context.set_input_shape("x", (1, 8))
    context.set_tensor_address("x", int(x))
    context.set_tensor_address("y", int(y))
    assert context.execute_async_v3(stream.handle)
    stream.synchronize()
    cuda.memcpy_htod(x, np.ones(8, np.float32).view(np.uint32))
    assert context.execute_async_v3(stream.handle)


def test_what_the_config_says_reaches_the_logger(trt, log):
    builder = trt.Builder(log.logger)
    network = builder.create_network(0)
    trt.OnnxParser(network, log.logger).parse(add_model().SerializeToString())
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (4, 8), (2, 8), (1, 8))
    assert config.add_optimization_profile(profile) == -1
    assert "MIN<=OPT<=MAX" in log.said().replace(" ", "")


def test_an_unedited_model_with_a_branch_is_no_edit(trt, log):
    text = """
        <ir_version: 10, opset_import: ["" : 20]>
        branch (float[B, 8] x) => (float[B, 8] y) {
            total = ReduceSum <keepdims = 0> (x)
            zero = Constant <value_float = 0.0> ()
            positive = Greater (total, zero)
            y = If (positive) <
                then_branch = a () => (float[B, 8] p) { p = Add (x, x) },
                else_branch = b () => (float[B, 8] q) { q = Neg (x) }
            >
        }"""
    assert build(trt, log, onnx.parser.parse_model(text), BATCHES) is not None, log.said()


def test_builds_in_two_threads_keep_their_own_figures(trt):
    found: dict[int, tuple] = {}

    def work(which: int) -> None:
        for _ in range(4):
            own = Log(trt)
            profiles = dict.fromkeys(("input_ids", "attention_mask"), ((1, 64), (8, 64), (64, 64)))
            plan = build(trt, own, *((linear_model(), BATCHES) if which else (classifier_model(), profiles)))
            opened = open_plan(plan)
            found.setdefault(which, (opened.activation_bytes, opened.layers))
            assert found[which] == (opened.activation_bytes, opened.layers)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] != found[1] and all(v[0][0] > 0 and v[1] > 0 for v in found.values())


def test_double_is_refused_by_name(trt, log):
    text = """
        <ir_version: 10, opset_import: ["" : 20]>
        double (double[B, 8] x) => (double[B, 8] y) { y = Add (x, x) }"""
    assert build(trt, log, onnx.parser.parse_model(text), BATCHES) is None
    assert "'x' is DOUBLE" in log.said()


def test_inputs_that_share_a_dimension_must_agree(trt, cuda, plans, log):
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["classifier"])
    context, stream = engine.create_execution_context(), cuda.Stream()
    assert context.set_input_shape("input_ids", (2, 64)) and context.set_input_shape("attention_mask", (3, 64))
    assert tuple(context.get_tensor_shape("logits")) == (-1, 2)
    for name in engine:
        context.set_tensor_address(name, int(cuda.mem_alloc(64)))
    assert context.execute_async_v3(stream.handle) is False
    assert "Dimensions with name batch must be equal" in log.said()
    with pytest.raises(cuda.LogicError, match="must be equal"):
        stream.synchronize()


def test_the_latest_binding_names_a_buffer(trt, cuda, plans, log):
    """Ping-pong: what was an output becomes the input of the next step."""
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["add"])
    context, stream = engine.create_execution_context(), cuda.Stream()
    one, two = cuda.to_device(np.zeros(8, np.float32)), cuda.mem_alloc(32)
    result = cuda.pagelocked_empty(8, np.float32)
    context.set_input_shape("x", (1, 8))
    for x, y in ((one, two), (two, one)):
        context.set_tensor_address("x", int(x))
        context.set_tensor_address("y", int(y))
        assert context.execute_async_v3(stream.handle)
        cuda.memcpy_dtoh_async(result, y, stream)
        assert "of tensor 'y'" in backend.explain(result)
        stream.synchronize()
    assert (result == 2).all()


def test_a_long_queue_and_a_long_record():
    device = Device()
    stream = device.stream_create(0)
    address = device.mem_alloc(64)
    ident = device.host_alloc(64)

    for _ in range(RECORD_LIMIT // 2 + 100):
        device.memcpy_htod(address, 64, ident, 0, None, stream, False, "uint8")
        device.memcpy_dtod(address, address, 8, stream, False)
    device.stream_synchronize(stream)
    assert device.record_length() == 2 * (RECORD_LIMIT // 2 + 100) + 4
    record = device.record()
    assert len(record) == RECORD_LIMIT and record[-1]["op"] == "synchronize"
    assert record[-1]["index"] == device.record_length() - 1
    assert device.record(device.record_length() - 1) == record[-1:]


def test_tables_of_what_is_gone_stay_small(cuda):
    for _ in range(1_100):
        cuda.mem_alloc(8)
        cuda.Event()
    device = host.current().device
    if isinstance(device, Device):
        assert len(device._allocations) <= 1_010 and len(device._events) <= 10
        assert device._bases == sorted(device._allocations)


def test_a_new_device_for_a_dead_one(trt):
    import pycuda.autoprimaryctx  # noqa: F401
    import pycuda.driver as cuda

    backend.activate("simulator", quiet=True, transport="child")
    host.current().device._process.kill()
    host.current().device._process.wait()
    with pytest.raises(cuda.LaunchError, match=r"backend.activate\(transport='child'\)"):
        cuda.mem_alloc(8)
    backend._tell_pending()  # the end of a cell says nothing of it
    backend.activate("simulator", quiet=True, transport="child")
    assert int(cuda.mem_alloc(8))
    host.use("process")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_is_told_and_harms_nothing(cuda):
    kept = cuda.to_device(np.ones(2, np.float32))
    child = os.fork()
    if child == 0:  # pragma: no cover - in the forked process, which leaves without pytest
        code = 1
        try:
            cuda.mem_alloc(8)
        except cuda.Error as error:
            code = 0 if "forked" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (cuda.from_device(kept, 2, np.float32) == 1).all()


def test_attributes_and_handles_that_do_not_exist(trt, cuda, plans, log):
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plans["add"])
    context = engine.create_execution_context()
    with pytest.raises(AttributeError, match="no attribute 'prfiler'"):
        context.prfiler = 1
    with pytest.raises(TypeError, match=r"pass stream\.handle"):
        context.execute_async_v3(cuda.Stream())
    with pytest.raises(TypeError):
        context.set_input_shape("x", (2.7, 8))
    assert context.set_optimization_profile_async(np.int64(0), 0)
    assert engine.get_tensor_format("x", 0) == trt.TensorFormat.LINEAR
