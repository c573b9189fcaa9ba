"""The device's process of a graded run, in the sandbox, over real sockets: who may ask what, and what is evidence."""

from __future__ import annotations

import hashlib
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers import backend
from helpers.grading import sandbox
from helpers.grading.device import METHODS, DeviceGone, FarExaminer
from helpers.messages import receive, send
from helpers.simulator import host
from helpers.simulator.device import JUDGE_ONLY, DeviceError
from helpers.simulator.transport import RemoteDevice
from tests.simulator.conftest import BATCHES, Log, add_model, build

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def trt():
    backend.activate("simulator", quiet=True)
    import tensorrt

    return tensorrt


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return sandbox.prune(ROOT, tmp_path_factory.mktemp("device") / "course", [])


@pytest.fixture
def run(system_program, course, tmp_path, monkeypatch):
    """A device's process: its `process`, the `student`'s end of its socket, and the judge's `examiner`."""
    system_program("bwrap", package="bubblewrap")
    (student, theirs), (judge, judges) = socket.socketpair(), socket.socketpair()
    fds = [theirs.fileno(), judges.fileno()]
    with (tmp_path / "said.txt").open("wb") as said:
        process = sandbox.start("helpers.grading.device", [*map(str, fds), "1"], course=course, fds=fds, output=said)
    theirs.close()
    judges.close()
    monkeypatch.setenv("TRT_DEVICE_FD", str(student.fileno()))
    yield SimpleNamespace(
        process=process,
        student=student,
        judge=judge,
        examiner=FarExaminer(judge, seconds=30),
        said=lambda: (tmp_path / "said.txt").read_text(),
    )
    host.use("process")
    student.close()
    judge.close()
    try:
        process.wait(20)
    finally:
        process.kill()


def sha(data) -> str:
    return hashlib.sha256(bytes(data)).hexdigest()


@pytest.fixture(scope="module")
def plan(trt) -> bytes:
    return bytes(build(trt, Log(trt), add_model(), BATCHES))


def test_it_starts_and_ends_with_the_judge(run):
    assert run.examiner.record_length() == 0 and run.examiner.has_record is True
    run.judge.close()
    assert run.process.wait(20) == 0
    with pytest.raises(DeviceError, match="has ended"):
        RemoteDevice(run.student).mem_get_info()


def test_a_students_program_leaves_evidence(run, trt, plan):
    examiner = run.examiner
    used = host.use("inherited")
    import pycuda.autoprimaryctx
    import pycuda.driver

    cuda = pycuda.driver

    examiner.keep_digests(True)
    before = examiner.record_length()
    engine = trt.Runtime(Log(trt).logger).deserialize_cuda_engine(plan)
    context = engine.create_execution_context()
    x = np.arange(16, dtype=np.float32).reshape(2, 8)
    source, result = cuda.pagelocked_empty((2, 8), np.float32), cuda.pagelocked_empty((2, 8), np.float32)
    source[:] = x
    on_device = [cuda.mem_alloc(x.nbytes) for _ in range(2)]
    stream = cuda.Stream()
    context.set_input_shape("x", (2, 8))
    for name, memory in zip("xy", on_device, strict=True):
        context.set_tensor_address(name, int(memory))
    cuda.memcpy_htod_async(on_device[0], source, stream)
    assert context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(result, on_device[1], stream)
    pending = examiner.record(before)[-1]
    assert pending["op"] == "dtoh" and pending["finished_ns"] == 0 and pending["digests"] is None
    stream.synchronize()
    np.testing.assert_array_equal(result, x + 1)

    events = examiner.record(before)
    names = ["engine_load", "context_create", "host_alloc", "host_alloc", "alloc", "alloc", "stream_create"]
    assert [e["op"] for e in events] == [*names, "htod", "execute", "dtoh", "synchronize"]
    by_op = {e["op"]: e for e in events}
    assert by_op["engine_load"]["digests"] == {"plan": sha(plan)} and by_op["engine_load"]["nbytes"] == len(plan)
    assert by_op["context_create"]["engine"] == by_op["engine_load"]["engine"]
    assert by_op["htod"]["digests"] == {"enqueued": sha(x), "data": sha(x)}
    assert by_op["dtoh"]["digests"] == {"data": sha(x + 1)}
    assert by_op["execute"]["digests"] == {"plan": sha(plan), "input:x": sha(x), "output:y": sha(x + 1)}

    found = [used.find_pinned(array.ctypes.data) for array in (source, result)]
    assert [examiner.pinned(pinned.ident) for pinned in found] == [64, 64] and examiner.pinned(999) == 0
    assert [examiner.allocation(int(memory)) for memory in on_device] == [64, 64]
    assert examiner.allocation(int(on_device[0]) + 8) == 0 and examiner.allocation(1) == 0
    assert examiner.fill_pinned(found[0].ident, 0, (x * 2).tobytes()) is True
    np.testing.assert_array_equal(source, x * 2)
    assert examiner.fill_pinned(found[0].ident, 4, bytes(64)) is False
    in_use = examiner.memory_used()
    address = int(on_device[1])
    on_device[1].free()
    assert examiner.allocation(address) == 0 and examiner.memory_used() == in_use - 64

    cuda.memcpy_htod_async(on_device[0], source, stream)  # never waited for
    assert not context.execute_async_v3(stream.handle)  # a freed output: the fault waits for the next synchronisation
    length = examiner.record_length()
    examiner.settle()
    assert examiner.record_length() == length
    assert examiner.record(length - 1)[0]["digests"] == {"enqueued": sha(x * 2), "data": sha(x * 2)}
    stream.synchronize()

    examiner.keep_digests(False)
    cuda.memcpy_htod(on_device[0], x)
    assert examiner.record(length)[-1]["digests"] is None


def test_a_whole_inference_is_one_event(run, trt, plan):
    device = host.use("inherited").device
    loaded = device.engine_load(plan)["engine"]  # before digests are kept: the plan's is known all the same
    run.examiner.keep_digests(True)
    x = np.arange(24, dtype=np.float32).reshape(3, 8)[:, ::-1]
    before = run.examiner.record_length()
    np.testing.assert_array_equal(device.infer(loaded, {"x": x})["y"], x + 1)
    (event,) = run.examiner.record(before)
    assert event["op"] == "inference" and event["shapes"] == {"x": [3, 8], "y": [3, 8]}
    assert event["digests"] == {
        "plan": sha(plan),
        "input:x": sha(np.ascontiguousarray(x)),
        "output:y": sha(np.ascontiguousarray(x + 1)),
    }
    for inputs, words in (
        ({"x": x.astype(np.float64)}, "float64"),
        ({}, "expected {'x': 'float32'}"),
        ({"x": x, "z": x}, "'z'"),
        ({"x": np.zeros((9, 8), np.float32)}, "outside profile 0"),
        ({"x": np.zeros(8, np.float32)}, "2 dimensions"),
    ):
        with pytest.raises(DeviceError, match=words):
            device.infer(loaded, inputs)
    with pytest.raises(DeviceError, match="does not exist"):
        device.infer(77, {"x": x})
    assert run.examiner.record_length() == before + 1


def test_the_judges_questions_about_bytes(run, trt):
    onnx = add_model().SerializeToString()
    made = run.examiner.build(onnx, {"x": [[1, 8], [2, 8], [4, 8]]})
    facts = run.examiner.plan(made, rebuild=False)
    assert facts["problem"] == "" and facts["profiles"] == [{"x": [[1, 8], [2, 8], [4, 8]]}]
    x = np.ones((2, 8), np.float32)
    np.testing.assert_array_equal(run.examiner.run_onnx(onnx, {"x": x}, "runtime")["outputs"]["y"], x + 1)
    assert run.examiner.plan(b"no plan", rebuild=True)["problem"]
    assert run.examiner.onnx(b"no model")["problem"]
    with pytest.raises(ValueError, match="does not parse"):
        run.examiner.build(b"no model", {})
    with pytest.raises(AttributeError, match="no method '_build'"):
        run.examiner._build(b"", {})
    with pytest.raises(ValueError, match="no data"):
        run.examiner.plan(object(), rebuild=False)
    assert run.examiner.record_length() == 0  # and the connection is in step


def test_pinned_memory_keeps_its_size(run):
    """A program that cut it off would end whoever reads it there."""
    device = RemoteDevice(run.student)
    ident = device.host_alloc(4096)
    with device._lock:
        send(run.student, ["host_fd", [ident]])
        _, (fd,), _, _ = socket.recv_fds(run.student, 1, 1)
        assert receive(run.student) == ["ok", 4096]
    with open(fd, "r+b") as file, pytest.raises(PermissionError):
        file.truncate(0)
    with pytest.raises(DeviceError, match="of at most 4,294,967,296 are in use"):
        device.host_alloc(4 << 30)


def test_what_only_the_judge_may_ask(run):
    device = RemoteDevice(run.student)
    for name in JUDGE_ONLY:
        assert name in METHODS
        with pytest.raises(AttributeError):
            getattr(device, name)
    send(run.student, ["keep_digests", [True]])
    assert run.process.wait(20) == 3
    with pytest.raises(DeviceGone, match="malformed message of the notebook's process: no method 'keep_digests'"):
        run.examiner.record_length()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "a message of"),
        (struct.pack("<II", 2, 1 << 30) + b"[]", "the limit is 134,217,728"),
        (struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF), "the limit is 134,217,728"),
        (struct.pack("<II", 4, 0) + b"\xff\xfe{{", "not JSON"),
        (struct.pack("<II", 1000, 0) + b"[" * 1000, "not JSON"),
        (struct.pack("<II", 4, 0) + b"null", "expected .method"),
        (struct.pack("<II", 15, 0) + b'["record",[{}]]', "record: expected int, got dict"),
    ],
    ids=["http", "gigabyte", "eight", "utf-8", "nested", "null", "argument"],
)
def test_a_malformed_message_ends_it_and_the_judge_is_told(run, raw, words):
    assert run.examiner.memory_used() == 0
    run.student.sendall(raw)
    assert run.process.wait(20) == 3
    assert "malformed message of the notebook's process" in run.said()
    for _ in range(2):
        with pytest.raises(DeviceGone, match=words):
            run.examiner.record_length()


def test_a_claim_costs_nothing_and_hinders_nobody(run):
    """60 MB are claimed and never sent: the judge goes on, and the process stays as small as it was."""
    run.examiner.memory_used()
    child = subprocess.run(["pgrep", "-P", str(run.process.pid)], capture_output=True, text=True).stdout.split()[0]
    inner = subprocess.run(["pgrep", "-P", child], capture_output=True, text=True).stdout.split()[0]

    def resident() -> int:
        return int(Path(f"/proc/{inner}/statm").read_text().split()[1]) * 4096

    before = resident()
    run.student.sendall(struct.pack("<II", 60_000_000, 0) + b'["')
    for _ in range(20):
        assert run.examiner.memory_used() == 0
    assert resident() - before < 8 << 20


def test_the_students_end_is_not_the_devices(run):
    device = RemoteDevice(run.student)
    device.mem_alloc(100)
    device.close()
    time.sleep(0.1)
    assert run.examiner.memory_used() == 100 and run.process.poll() is None


def test_a_device_that_is_killed_or_takes_too_long_is_gone(run):
    run.examiner.record_length()
    impatient = FarExaminer(run.judge, seconds=0.001)
    with pytest.raises(DeviceGone, match=r"build took longer than 0\.001 s"):
        impatient.build(add_model().SerializeToString(), {"x": [[1, 8], [2, 8], [4, 8]]})
    with pytest.raises(DeviceGone, match="took longer"):
        impatient.record_length()
    run.process.kill()
    with pytest.raises(DeviceGone, match=r"its process ended|no reply"):
        run.examiner.record_length()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("hello", "no reply"),
        (["ok"], "no reply"),
        (["ok", "7"], "no reply"),
        (["ok", True], "no reply"),
        (["ok", 7, 8], "no reply"),
        (["raised", "MemoryError", "too much"], "record_length failed: MemoryError: too much"),
        (["ended", "a reason"], "^a reason$"),
        (b"\xff" * 16, "no message"),
        (b"", "its process ended"),
    ],
)
def test_replies_of_a_device_that_was_taken_over_are_only_data(reply, words):
    ours, theirs = socket.socketpair()

    def answer() -> None:
        receive(theirs)
        if isinstance(reply, bytes):
            theirs.sendall(reply)
        else:
            send(theirs, reply)
        theirs.close()

    with ours:
        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(DeviceGone, match=words):
            FarExaminer(ours, seconds=10).record_length()
        thread.join()
