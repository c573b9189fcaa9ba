"""The command, the cell magic, the report, and what of a host's reads and writes is seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.sanitizer import findings, overhead
from helpers.sanitizer.arrays import PinnedArray
from helpers.sanitizer.command import main
from helpers.sanitizer.findings import Finding, Findings, Place
from helpers.sanitizer.memory import Intervals
from helpers.sanitizer.session import Result, Session, run_script

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"

EARLY = """\
import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
stream = cuda.Stream()
h = cuda.pagelocked_zeros((4, 8), np.float32)
d = cuda.to_device(np.ones((4, 8), np.float32))
cuda.memcpy_dtoh_async(h, d, stream)
{}
stream.synchronize()
"""


def script(folder: Path, text: str) -> Path:
    path = folder / "script.py"
    path.write_text(textwrap.dedent(text))
    return path


def run(folder: Path, text: str) -> Result:
    return run_script(script(folder, text))


def lines(result: Result, kind: str = "") -> list[int]:
    """Lines of the findings, sorted."""
    return sorted(f.place.line for f in result.findings if f.place and kind in ("", f.kind))


# --- the command ---


def command(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "helpers", "sanitize", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_a_faulty_script_is_reported_and_fails(tmp_path: Path) -> None:
    path = script(tmp_path, EARLY.format("print(h.sum())"))
    done = command("--json", "report.json", path, "--batch", "4", cwd=tmp_path)
    assert done.returncode == 1
    assert "=========" not in done.stdout and len(done.stdout.splitlines()) == 1  # the script's own output, untouched
    said = done.stderr.splitlines()
    assert said[0] == (
        "========= missing-sync: the host reads pinned memory before anything waited for the copy into it"
    )
    assert said[1] == "=========     at script.py:8: print(h.sum())"
    assert said[2] == ("=========     the copy was enqueued at script.py:7: cuda.memcpy_dtoh_async(h, d, stream)")
    assert said[3] == "=========     bytes 0 to 128"
    assert said[4].startswith("=========     remedy: Wait for the copy first: stream.synchronize()")
    assert said[-1] == "========= ERROR SUMMARY: 1 finding (missing-sync)"
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["errors"] == 1 and report["notes"] == 0 and report["failure"] == ""
    (finding,) = report["findings"]
    assert finding["kind"] == "missing-sync" and finding["level"] == "error" and finding["count"] == 1
    assert finding["place"] == {"file": str(path), "line": 8, "source": "print(h.sum())"}
    assert finding["other"]["line"] == 7 and finding["nbytes"] == 128 and finding["remedy"]


def test_the_readme_shows_what_is_reported(tmp_path: Path) -> None:
    text = """\
        import numpy as np
        import pycuda.autoprimaryctx
        import pycuda.driver as cuda
        import tensorrt as trt

        with open("model.plan", "rb") as file:
            engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(file.read())
        context = engine.create_execution_context()
        upload, compute = cuda.Stream(), cuda.Stream()

        host = {name: cuda.pagelocked_empty((4, 8), np.float32) for name in engine}
        device = {name: cuda.mem_alloc(array.nbytes) for name, array in host.items()}
        context.set_input_shape("x", (4, 8))
        for name, memory in device.items():
            context.set_tensor_address(name, int(memory))

        host["x"][:] = 1
        cuda.memcpy_htod_async(device["x"], host["x"], upload)
        context.execute_async_v3(compute.handle)
        cuda.memcpy_dtoh_async(host["y"], device["y"], compute)
        print("largest:", host["y"].max())
        compute.synchronize()
        """
    script(tmp_path, text).rename(tmp_path / "infer.py")
    with Session():
        sys.path.insert(0, str(PROGRAMS))
        import models

        sys.path.remove(str(PROGRAMS))
        (tmp_path / "model.plan").write_bytes(models.plan("add"))
    done = command("infer.py", cwd=tmp_path)
    assert done.returncode == 1
    shown = f"$ python -m helpers sanitize infer.py\n{done.stdout}{done.stderr}```"
    assert shown in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_right_script_passes_with_its_own_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script(
        tmp_path,
        """\
        import sys
        import beside
        from pathlib import Path
        assert __name__ == "__main__" and Path(__file__).name == "script.py"
        assert sys.modules["__main__"].beside is beside
        print(sys.argv[1:], beside.X)
        """,
    )
    (tmp_path / "beside.py").write_text("X = 7\n")  # a script's own folder is on its path
    before = sys.argv[:], sys.path[:]
    assert main(["--json", "-", str(path), "--steps", "3", "--json", "mine"]) == 0
    out, err = capsys.readouterr()
    first, report = out.split("\n", 1)
    assert first == "['--steps', '3', '--json', 'mine'] 7"
    assert json.loads(report)["findings"] == []
    assert err == "========= ERROR SUMMARY: 0 findings\n"
    assert (sys.argv, sys.path) == before


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("import sys\nsys.exit(7)", 7, "the program itself failed: exit code 7"),
        ("import sys\nsys.exit(0)", 0, ""),
        ("import sys\nsys.exit()", 0, ""),
        ("import sys\nsys.exit('no model')", 1, "the program itself failed: exit code 1: no model"),
        ("x = 1 / 0", 1, "the program itself failed: ZeroDivisionError: division by zero"),
        ("def f(:", 1, "the program itself failed: SyntaxError"),
        ("raise KeyboardInterrupt", 1, "the program itself failed: KeyboardInterrupt"),
    ],
)
def test_how_the_script_itself_ended_is_said(
    text: str, code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(script(tmp_path, text))]) == code
    err = capsys.readouterr().err
    assert words in err and err.endswith("========= ERROR SUMMARY: 0 findings\n")
    if "1 / 0" in text:
        assert f'File "{tmp_path / "script.py"}", line 1' in err
        assert "session" not in err  # the script's own frames alone


def test_findings_of_a_script_that_fails_come_before_its_failure(tmp_path: Path) -> None:
    result = run(tmp_path, EARLY.format("print(h.sum()); raise ValueError('later')"))
    assert lines(result) == [8] and result.failure == "ValueError: later" and result.code == 1
    shown = findings.text(result.findings, result.failure).splitlines()
    assert shown[-3:] == [
        "========= the program itself failed: ValueError: later",
        "=========",
        "========= ERROR SUMMARY: 1 finding (missing-sync)",
    ]


def test_bad_calls_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "missing.py")]) == 2
    assert "No such file" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert "is a folder; expected a Python script" in capsys.readouterr().err
    good = script(tmp_path, "")
    assert main(["--memory", "lots", str(good)]) == 2
    assert "'lots' is no size of memory" in capsys.readouterr().err
    assert main(["--json", str(tmp_path / "no" / "folder.json"), str(good)]) == 2
    assert "folder.json" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "expected a script" in capsys.readouterr().err


def test_the_devices_memory_can_be_chosen(tmp_path: Path) -> None:
    text = "import pycuda.autoprimaryctx\nimport pycuda.driver as cuda\nprint(cuda.mem_get_info()[1])"
    assert main(["--memory", "64MiB", str(script(tmp_path, text))]) == 0


def test_the_script_stays_on_the_watched_device(tmp_path: Path) -> None:
    text = """\
        import tensorrt_rtx as trt
        from helpers import backend
        backend.activate("simulator", transport="child")
        import pycuda.autoprimaryctx, pycuda.driver as cuda, numpy as np
        h, d, s = cuda.pagelocked_zeros(8, np.uint8), cuda.to_device(np.zeros(8, np.uint8)), cuda.Stream()
        cuda.memcpy_dtoh_async(h, d, s)
        assert trt.__version__.startswith("11.") and h.sum() >= 0
        s.synchronize()
        """
    before = sys.modules.get("tensorrt_rtx")
    assert lines(run(tmp_path, text), "missing-sync") == [7]
    assert sys.modules.get("tensorrt_rtx") is before


def test_everything_is_put_back(tmp_path: Path) -> None:
    import ctypes
    import threading

    before = np.array, np.asarray, ctypes.memmove, threading.Lock, threading.Thread.start
    run(tmp_path, EARLY.format("h.sum()"))
    assert (np.array, np.asarray, ctypes.memmove, threading.Lock, threading.Thread.start) == before


# --- the magic ---


def test_the_cell_magic_reports_what_its_cell_did(tmp_path: Path) -> None:
    cells = [
        "%load_ext helpers.sanitizer",
        EARLY[: EARLY.index("stream =")],
        "%%sanitize\nstream = cuda.Stream()\nh = cuda.pagelocked_zeros(8, np.float32)\nd = cuda.to_device(h)",
        "%%sanitize\ncuda.memcpy_dtoh_async(h, d, stream)\nbest = h.argmax()",
        "%sanitize",
        "%%sanitize\nstream.synchronize()\nbest = h.argmax()",
        "%sanitize nonsense",
        "%unload_ext helpers.sanitizer",
        "assert type(cuda.pagelocked_zeros(8, np.float32)) is np.ndarray",
    ]
    code = (
        "import sys\nfrom IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        f"for number, cell in enumerate({cells!r}):\n"
        "    print('cell', number, file=sys.stderr)\n"
        "    shell.run_cell(cell, store_history=True).raise_error()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    parts = done.stderr.split("cell ")[1:]
    assert "ERROR SUMMARY: 0 findings" in parts[2]
    assert "missing-sync: the host reads" in parts[3] and ": best = h.argmax()" in parts[3]
    assert "cuda.memcpy_dtoh_async(h, d, stream)" in parts[3] and "1 finding (missing-sync)" in parts[3]
    assert "1 finding" in parts[4] or "2 findings" in parts[4]
    assert "the program ends and nothing has waited" in parts[4]  # if it ended now
    assert "ERROR SUMMARY: 0 findings" in parts[5]
    assert "takes no arguments" in parts[6]


# --- what the host does to pinned arrays ---

READS = """\
h.sum()
h.mean(axis=0)
h + 1
np.add(h, 1)
np.sum(h)
h.argmax()
float(h[0, 0])
h[1, 2]
h[[0, 1]]
h[h > 0]
h.copy()
h.astype(np.float64)
h.tolist()
h.tobytes()
h[0].item(3)
list(h[2][:3])
str(h)
repr(h)
f"{h}"
np.array(h)
np.array([h, h])
np.asarray(h, np.float64)
np.concatenate([h, h])
np.stack((h[0], h[1]))
np.allclose(h, 0)
np.where(h > 0, 1, 2)
np.testing.assert_array_equal(h, h)
h @ h.T
abs(h)
h == 0
1 in h
bool(h.any())
h.flatten()
np.copy(h)
np.max(h)
h.reshape(-1)[5]
h.T[3, 1]
h.view(np.int32).max()
import copy; copy.copy(h)
import pickle; pickle.dumps(h)
sorted(h[0])
min(h[0])
np.save(__import__("io").BytesIO(), h)
np.einsum("ij->i", h)
np.linalg.norm(h)
other = np.zeros((4, 8)); other += h
other = np.zeros((4, 8)); np.copyto(other, h)
other = {"x": h}; other["x"].std()
"""
VIEWS = """\
h[1:]
h[..., 0]
h[None]
h.reshape(8, 4)
h.T
h.view(np.int32)
h.ravel()
h.squeeze()
np.reshape(h, -1)
np.expand_dims(h, 0)
np.split(h, 2)
np.asarray(h)
np.ascontiguousarray(h)
np.asarray(h) is h or 1 / 0
h.shape, h.dtype, h.nbytes, h.size, h.strides, h.flags
np.shape(h)
np.zeros_like(h)
np.empty_like(h)
len(h)
h.ctypes.data
h.base.size
np.may_share_memory(h, h)
isinstance(h, np.ndarray) or 1 / 0
"""
WRITES = """\
h[:] = 1
h[0, 0] = 1
h[[0, 1]] = 2
h[h.shape[0] - 1] = 2
h.fill(0)
h += 1
np.copyto(h, 3)
np.add(1, 2, out=h)
np.put(h, 0, 1)
h.put(0, 1)
h.sort()
h.reshape(-1)[3] = 1
np.asarray(h)[0] = 4
"""


def each_line(text: str) -> str:
    """The pending copy, and then every line of `text` at a line of its own."""
    return EARLY.format(text.rstrip())


def test_reads_before_a_wait_are_all_seen(tmp_path: Path) -> None:
    result = run(tmp_path, each_line(READS))
    assert not result.failure, result.details
    assert sorted(set(lines(result))) == list(range(8, 8 + READS.count("\n")))
    assert {f.kind for f in result.findings} == {"missing-sync"}


def test_views_and_shapes_are_no_reads(tmp_path: Path) -> None:
    result = run(tmp_path, each_line(VIEWS))
    assert not result.failure, result.details
    assert lines(result) == []


def test_writes_before_a_wait_are_all_seen(tmp_path: Path) -> None:
    result = run(tmp_path, each_line(WRITES))
    assert not result.failure, result.details
    assert sorted(set(lines(result, "race-host"))) == list(range(8, 8 + WRITES.count("\n")))


@pytest.mark.parametrize("expression", (READS + VIEWS).splitlines())
def test_a_pinned_array_answers_as_a_plain_one(expression: str) -> None:
    data = np.arange(32, dtype=np.float32).reshape(4, 8)
    if expression.startswith(("h.base", "np.asarray(h) is", "other", "import")):
        return
    pinned = data.copy().view(PinnedArray)
    with np.errstate(invalid="ignore"):
        plain, ours = (eval(expression, {"np": np, "h": h}) for h in (data, pinned))
    if isinstance(plain, np.ndarray):
        assert ours.dtype == plain.dtype
        if "empty" not in expression:
            np.testing.assert_array_equal(ours.view(np.ndarray), plain)
    elif not isinstance(plain, list | tuple) and "ctypes" not in expression:
        assert type(ours) is type(plain) and ours == plain


def test_bytes_by_address_are_seen_too(tmp_path: Path) -> None:
    text = """\
        import ctypes
        import numpy as np
        from cuda.bindings import runtime as cudart
        _, p = cudart.cudaMallocHost(64)
        _, d = cudart.cudaMalloc(64)
        _, s = cudart.cudaStreamCreate()
        cudart.cudaMemsetAsync(d, 0, 64, s)
        copy = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        cudart.cudaMemcpyAsync(p, d, 64, copy, s)
        ctypes.string_at(p, 8)
        ctypes.memset(p, 0, 8)
        ctypes.memmove(p, bytes(8), 8)
        ctypes.memmove(ctypes.create_string_buffer(8), p, 8)
        np.frombuffer((ctypes.c_float * 16).from_address(p), np.float32).sum()
        np.ctypeslib.as_array(ctypes.cast(p, ctypes.POINTER(ctypes.c_float)), (16,))[3]
        np.asarray((ctypes.c_float * 16).from_address(p)).max()
        cudart.cudaStreamSynchronize(s)
        ctypes.string_at(p, 8)
        cudart.cudaFree(d), cudart.cudaFreeHost(p), cudart.cudaStreamDestroy(s)
        """
    result = run(tmp_path, text)
    assert lines(result, "missing-sync") == [10, 13, 14, 15, 16]
    assert lines(result, "race-host") == [11, 12]
    assert len(result.findings) == 7


def test_what_no_hook_sees_shows_in_the_bytes(tmp_path: Path) -> None:
    """A memoryview writes past NumPy: the copy finds other bytes than were there when it was called."""
    text = """\
        import numpy as np
        import pycuda.autoprimaryctx
        import pycuda.driver as cuda
        stream = cuda.Stream()
        up, down = cuda.pagelocked_zeros(64, np.uint8), cuda.pagelocked_zeros(64, np.uint8)
        d = cuda.mem_alloc(64)
        cuda.memcpy_htod_async(d, up, stream)
        memoryview(up)[5] = 1
        cuda.memcpy_dtoh_async(down, d, stream)
        memoryview(down)[5] = 1
        stream.synchronize()
        memoryview(up)[5] = 2
        """
    result = run(tmp_path, text)
    assert lines(result, "race-host") == [7, 9] and len(result.findings) == 2


def test_columns_beside_a_pending_copy_are_free(tmp_path: Path) -> None:
    text = """\
        import numpy as np
        import pycuda.autoprimaryctx
        import pycuda.driver as cuda
        stream = cuda.Stream()
        h = cuda.pagelocked_zeros((4, 8), np.float32)
        d = cuda.to_device(np.ones((4, 8), np.float32))
        copy = cuda.Memcpy2D()
        copy.set_src_host(h)
        copy.set_dst_device(d)
        copy.src_pitch = copy.dst_pitch = 32
        copy.width_in_bytes, copy.height = 16, 4
        copy(stream)
        h[:, 4:] = 1
        h[1:3, 5] = 1
        h[:, 3:5] = 1
        h[2] = 1
        stream.synchronize()
        """
    assert lines(run(tmp_path, text)) == [15, 16]


# --- threads ---

THREADS = """\
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
import asyncio
import sys
import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
sys.path.insert(0, {programs!r})
import models

primary = pycuda.autoprimaryctx.context
context = models.engine("add").create_execution_context()
d = cuda.to_device(np.ones((1, 8), np.float32)), cuda.to_device(np.ones((1, 8), np.float32))


def use(*_):
    primary.push()
    stream = cuda.Stream()
    context.set_input_shape("x", (1, 8))
    context.set_tensor_address("x", int(d[0]))
    context.set_tensor_address("y", int(d[1]))
    context.execute_async_v3(stream.handle)
    stream.synchronize()
    cuda.Context.pop()


{body}
"""
ORDERED = {
    "join": "use()\nfor _ in 1, 2:\n    t = threading.Thread(target=use); t.start(); t.join()\nuse()",
    "lock": "lock = threading.Lock()\ndef work():\n    with lock: use()\n"
    "ts = [threading.Thread(target=work) for _ in range(3)]\n[t.start() for t in ts]; [t.join() for t in ts]",
    "rlock": "lock = threading.RLock()\ndef work():\n    with lock, lock: use()\n"
    "ts = [threading.Thread(target=work) for _ in range(3)]\n[t.start() for t in ts]; [t.join() for t in ts]",
    "queue": "q, r = queue.Queue(), queue.Queue()\ndef work():\n    while q.get(): use(); r.put(1)\n"
    "t = threading.Thread(target=work); t.start()\nfor _ in 1, 2: use(); q.put(1); r.get()\nq.put(0); t.join()",
    "simple queue": "q, r = queue.SimpleQueue(), queue.SimpleQueue()\ndef work():\n    while q.get(): use(); r.put(1)\n"
    "t = threading.Thread(target=work); t.start()\nfor _ in 1, 2: use(); q.put(1); r.get()\nq.put(0); t.join()",
    "event": "e = threading.Event()\ndef work():\n    e.wait(); use()\n"
    "t = threading.Thread(target=work); t.start(); use(); e.set(); t.join()",
    "condition": "c = threading.Condition(); turn = []\ndef work():\n    with c:\n"
    "        c.wait_for(lambda: turn); use()\n"
    "t = threading.Thread(target=work); t.start()\nwith c:\n    use(); turn.append(1); c.notify()\nt.join()",
    "future": "with ThreadPoolExecutor(2) as pool:\n    for _ in range(3): use(); pool.submit(use).result()",
    "asyncio": "async def main():\n    for _ in range(3): use(); await asyncio.to_thread(use)\nasyncio.run(main())",
}


@pytest.mark.parametrize("body", ORDERED.values(), ids=ORDERED)
def test_threads_in_turn_may_share_a_context(body: str, tmp_path: Path) -> None:
    result = run(tmp_path, THREADS.format(programs=str(PROGRAMS), body=body))
    assert not result.failure, result.details
    assert [f.description() for f in result.findings] == []


@pytest.mark.parametrize("wait", ["", "started.wait(); "])
def test_threads_without_order_may_not_whichever_came_first(wait: str, tmp_path: Path) -> None:
    # the second thread is sure to run after the first one in this run, and nothing in the program says so
    body = (
        "import time\nstarted = threading.Event()\n"
        "one, two = threading.Thread(target=use), threading.Thread(target=use)\n"
        "one.start()\nwhile one.is_alive(): time.sleep(0.001)\ntwo.start()\ntwo.join(); one.join()"
    )
    result = run(tmp_path, THREADS.format(programs=str(PROGRAMS), body=body))
    assert {f.kind for f in result.findings} == {"shared-context"}
    assert all(f.place and f.other for f in result.findings)


# --- a client that nobody here wrote ---


def test_polygraphy_leaks_its_outputs_and_does_nothing_else_wrong(tmp_path: Path) -> None:
    """`TrtRunner.deactivate` of Polygraphy 0.53.6 frees the inputs, and not the buffers of its output allocator."""
    pytest.importorskip("polygraphy", reason="Polygraphy is not installed (pip install '.[dev]')")
    text = """\
        import numpy as np
        import models
        from polygraphy.backend.trt import EngineFromBytes, TrtRunner

        with TrtRunner(EngineFromBytes(models.plan("layers"))) as runner:
            for rows in (1, 4, 16):
                x = np.random.default_rng(rows).random((rows, 8), np.float32)
                y = runner.infer({"x": x})["y"]
                np.testing.assert_allclose(y, models.expected("layers", x=x), rtol=1e-4, atol=1e-6)
        """
    path = script(tmp_path, text)
    (tmp_path / "models.py").write_bytes((PROGRAMS / "models.py").read_bytes())
    result = run_script(path)
    assert not result.failure, result.details
    assert [(f.kind, f.tensors) for f in result.findings if f.level == "error"] == [("leak", ("y",))]


# --- parts ---


def test_intervals_are_a_set_of_bytes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        held, known = Intervals(), np.zeros(40, bool)
        for _ in range(12):
            start, end = sorted(int(v) for v in rng.integers(0, 41, 2))
            if rng.random() < 0.7:
                held.add(start, end)
                known[start:end] = True
            else:
                held.remove(start, end)
                known[start:end] = False
            assert [i for a, b in held for i in range(a, b)] == list(np.flatnonzero(known))
            low, high = sorted(int(v) for v in rng.integers(0, 41, 2))
            gaps = [i for a, b in held.missing(low, high) for i in range(a, b)]
            assert gaps == [i for i in range(low, high) if not known[i]]


def test_the_same_finding_is_counted() -> None:
    found = Findings()
    for line in (3, 3, 4):
        found.add(Finding("leak", "text", Place("f.py", line)))
    assert [f.count for f in found] == [2, 1]
    before = found.counts()
    found.add(Finding("leak", "text", Place("f.py", 4)))
    assert [(f.place.line, f.count) for f in found.since(before) if f.place] == [(4, 1)]
    assert findings.summary(found) == "ERROR SUMMARY: 2 findings (leak)"


def test_a_loop_is_one_finding_with_a_count(tmp_path: Path) -> None:
    result = run(tmp_path, EARLY.format("for _ in range(50): h.sum()"))
    assert [f.count for f in result.findings] == [50]
    assert "seen 50 times" in findings.text(result.findings)


def test_work_that_nothing_waits_for_does_not_fill_the_memory() -> None:
    with Session() as session:
        import pycuda.driver as cuda

        cuda.init()
        context = cuda.Device(0).make_context()
        h, streams = cuda.pagelocked_zeros((64, 4), np.float32), [cuda.Stream() for _ in range(3)]
        d = [cuda.to_device(h) for _ in streams]
        for turn in range(600):
            k = turn % 3
            cuda.memset_d8_async(d[k], 0, 16 * (1 + turn % 64), streams[k])
            cuda.memcpy_dtod_async(int(d[k]) + 512, d[k], 16, streams[k])
        kept = [len(shadow.accesses) for shadow in session.device.memory_map]
        cuda.Context.synchronize()
        assert session.finish() == []
        context.pop()
    assert max(kept) < 140  # a write stands for what the same stream did within its bytes


def test_a_session_watches_any_code() -> None:
    with Session() as session:
        import pycuda.driver as cuda

        cuda.init()
        context = cuda.Device(0).make_context()
        h, d = cuda.pagelocked_zeros(4, np.float32), cuda.mem_alloc(16)
        cuda.memcpy_dtoh_async(h, d, cuda.Stream())
        cuda.Context.synchronize()
        found = session.finish()
        assert isinstance(h, PinnedArray) and h.base.size == 16
        context.pop()
    assert [f.kind for f in found] == ["uninitialized-read"]


def test_overhead_is_measured_on_right_loops() -> None:
    measured: dict[str, Any] = overhead.measure(rounds=2, steps=20, batches=0)
    assert len(measured) == 1
    for name, figures in measured.items():
        assert figures["plain_us"] > 0 and figures["watched_us"] > 0
        assert f"{figures['ratio']:.2f} times" in overhead.line(name, figures)
