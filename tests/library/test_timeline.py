"""Timelines: sums that count no moment twice, pictures without colour, and captures of real work."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from helpers import timeline
from helpers.timeline import Interval, Timeline, TimelineError, record, trace
from helpers.timeline.intervals import DEVICE_KINDS, length, merged
from helpers.timeline.picture import sums


def device(kind, start, end, nbytes=0, stream=1):
    return Interval("device", kind, kind, start, end, nbytes, stream)


def steps(count, long=1.0, before=0.5, name="step {}"):
    """A generation of `count` steps as on one stream: copy, computation of `long` ms, copy; the host waits for them."""
    found, at = [], 0.0
    for step in range(count):
        start = at + before
        found += [
            Interval("host", "allocate", "allocate device memory", at + before / 2, start - 0.1, 4096),
            Interval("host", "enqueue", "execute", start - 0.05, start - 0.05),
            device("h2d", start, start + 0.02, 512),
            device("compute", start + 0.03, start + 0.03 + long),
            device("d2h", start + 0.04 + long, start + 0.3 + long, 1 << 20),
            Interval("host", "wait", "synchronise with the stream", start, start + 0.31 + long),
            Interval("ranges", "range", name.format(step + 1), at, start + 0.35 + long),
        ]
        at = start + 0.36 + long
    return Timeline(tuple(found), at, "an engine; a clock")


# --- sums ---


def test_one_stream_adds_up_to_the_nanosecond():
    line = steps(8)
    assert line.device_ms == pytest.approx({"h2d": 0.16, "compute": 8.0, "d2h": 2.08})
    assert line.span_ms == pytest.approx(8 * 1.3 + 7 * 0.56)
    assert line.idle_ms == pytest.approx(8 * 0.02 + 7 * 0.56)
    assert sum(line.device_ms.values()) + line.idle_ms == pytest.approx(line.span_ms, abs=1e-9)
    assert line.before_ms == pytest.approx(0.5) and line.after_ms == pytest.approx(0.06)
    adds_up = line.adds_up
    assert adds_up and adds_up.overlap == 0
    assert adds_up.outside == pytest.approx(0.56 / line.wall_ms)
    said = "= span 14.320 ms, 96.2% of the clock's 14.880; 0.500 lie before the device's first event and 0.060 after its last"
    assert said in str(adds_up)


def test_a_span_far_from_the_clock_does_not_explain_it():
    line = Timeline((device("compute", 0, 1),), 1000.0)
    assert not line.adds_up and line.adds_up.outside == pytest.approx(0.999)
    assert Timeline((device("compute", 0, 96),), 100.0).adds_up
    assert not Timeline((device("compute", 3, 97),), 100.0).adds_up


def test_what_overlaps_counts_once():
    line = Timeline((device("compute", 0, 10), device("d2h", 4, 12, 100, stream=2), device("d2h", 6, 8, 50)), 20.0)
    assert line.device_ms == {"compute": 10, "d2h": 8}  # the short copy lies inside the long one
    assert line.busy_ms == 12 and line.idle_ms == 0 and line.span_ms == 12
    assert line.adds_up.overlap == 6
    assert line.device_bytes == {"compute": 0, "d2h": 150}
    assert "- overlap 6.000" in str(line.adds_up)


def test_the_hosts_time_is_never_added():
    alone = Timeline(tuple(one for one in steps(4).intervals if one.lane == "device"), steps(4).wall_ms)
    beside = steps(4)
    assert beside.host_ms["wait"] > 0
    assert alone.device_ms == beside.device_ms and alone.adds_up == beside.adds_up
    host = beside.table()[beside.table()["lane"] == "host"]
    assert list(host["kind"]) == ["enqueue", "allocate", "wait"] and host["share of span"].isna().all()


@st.composite
def records(draw):
    """Intervals on up to four streams, in ticks: within a stream one after the other, between streams as they like."""
    found = []
    for stream in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, 20))
        for _ in range(draw(st.integers(0, 8))):
            start = at + draw(st.integers(0, 5))
            at = start + draw(st.integers(1, 7))
            kind = draw(st.sampled_from(DEVICE_KINDS))
            found.append(device(kind, float(start), float(at), draw(st.integers(0, 9)), stream))
    return found


@given(records())
@settings(deadline=None)
def test_streams_add_up_as_their_ticks_do(intervals):
    """Against counting tick by tick."""
    line = Timeline(tuple(intervals), 200.0)
    ticks = {kind: set() for kind in DEVICE_KINDS}
    for one in intervals:
        ticks[one.kind] |= set(range(int(one.start_ms), int(one.end_ms)))
    busy = set().union(*ticks.values())
    span = max(busy) + 1 - min(busy) if busy else 0
    assert line.device_ms == {kind: len(those) for kind, those in ticks.items() if those}
    assert line.busy_ms == len(busy)
    assert line.span_ms == span and line.idle_ms == span - len(busy)
    assert line.adds_up.overlap == sum(map(len, ticks.values())) - len(busy)
    assert line.before_ms + line.span_ms + line.after_ms == pytest.approx(200)
    table = line.table().set_index("kind")
    if busy:
        assert table.loc["span", "bytes"] == sum(one.nbytes for one in intervals)
        assert table.loc["idle", "ms"] + len(busy) == table.loc["span", "ms"]


@given(records(), st.floats(0, 10))
@settings(deadline=None)
def test_joining_loses_no_bytes_and_no_time(intervals, gap):
    line = Timeline(tuple(intervals), 200.0)
    joined = line.compact(gap)
    assert joined.device_bytes == line.device_bytes
    assert joined.span_ms == line.span_ms and len(joined.intervals) <= len(line.intervals)
    assert joined.table().equals(line.table()) and joined.compact(2 * gap).table().equals(line.table())
    covered = length(merged(joined.intervals))
    assert covered >= line.busy_ms
    assert covered == line.busy_ms or gap > 0


def test_joined_neighbours_say_how_many_they_were():
    kernels = [Interval("device", "compute", f"kernel {at % 2}", at, at + 0.9) for at in range(4)]
    assert [one.name for one in Timeline(tuple(kernels), 4.0).compact(0.2).intervals] == ["4: kernel 0 ... kernel 1"]
    assert len(Timeline(tuple(kernels), 4.0).compact(0.05).intervals) == 4


def test_nothing_on_the_device_is_said():
    line = Timeline((Interval("ranges", "range", "on the CPU", 0, 3),), 4.0)
    assert line.span_ms == line.busy_ms == line.idle_ms == 0 and line.before_ms == 4.0
    assert repr(line) == "Timeline(no device work, 4.000 ms by the clock)"
    assert line.table().empty
    assert "nothing was recorded" in sums(line)


def test_a_timeline_is_kept_as_a_file(tmp_path):
    line = steps(3)
    again = Timeline.load(line.save(tmp_path / "new" / "line.json"))
    assert again.source == line.source and len(again.intervals) == len(line.intervals)
    assert again.device_bytes == line.device_bytes
    assert again.device_ms == pytest.approx(line.device_ms, abs=1e-5)
    joined = line.compact(1.0)
    again = Timeline.load(joined.save(tmp_path / "joined.json"))
    assert len(again.intervals) < len(line.intervals) and again.totals == joined.totals
    assert again.device_ms == line.device_ms and again.counts == line.counts
    (tmp_path / "other.json").write_text('{"wall_ms": 1}')
    with pytest.raises(TimelineError, match=r"no saved timeline.*Expected a file that Timeline.save wrote"):
        Timeline.load(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("device", "wait", "x", 0, 1), "kind 'wait' in lane 'device'.*device: h2d"),
        (("gpu", "h2d", "x", 0, 1), "in lane 'gpu'"),
        (("device", "h2d", "x", 2, 1), "from 2 to 1 ms"),
        (("device", "h2d", "x", float("nan"), 1), "from nan to 1"),
    ],
)
def test_an_interval_that_cannot_be(arguments, said):
    with pytest.raises(TimelineError, match=said):
        Interval(*arguments)


# --- the record ---


def event(op, enqueued, started=0, finished=0, **fields):
    blank = {"nbytes": 0, "stream": 3, "memory": "", "tensor": "", "waited_for": ""}
    return blank | {"op": op, "enqueued_ns": enqueued, "started_ns": started, "finished_ns": finished} | fields


def test_a_record_becomes_two_lanes():
    events = [
        event("alloc", 1_000_000, 900_000, 1_000_000, nbytes=64),
        event("htod", 2_000_000, 5_000_000, 6_000_000, nbytes=64, memory="pinned", tensor="x"),
        event("execute", 3_000_000, 6_000_000, 8_000_000),
        event("dtoh", 3_500_000, 8_000_000, 8_250_000, nbytes=32, memory="pinned"),
        event("event_record", 3_600_000, 8_250_000, 8_250_000),
        event("synchronize", 4_000_000, 4_000_000, 8_300_000, waited_for="stream"),
        event("dtoh", 9_000_000, 9_000_500, 9_500_000, nbytes=16, memory="pageable, synchronous"),
        event("htod", 9_600_000, nbytes=64, memory="pinned"),
        event("stream_create", 9_700_000),
    ]
    found, unfinished = record.intervals(events, 500_000)
    assert unfinished == 1
    rows = [(one.lane, one.kind, one.start_ms, one.end_ms) for one in found]
    assert ("device", "h2d", 4.5, 5.5) in rows and ("device", "compute", 5.5, 7.5) in rows
    assert ("host", "allocate", 0.4, 0.5) in rows and ("host", "wait", 3.5, 7.8) in rows
    assert ("host", "wait", 8.5, 9.0) in rows  # a blocking copy holds the host up
    assert sum(one.kind == "enqueue" for one in found) == 5
    line = Timeline(tuple(found), 10.0)
    assert line.device_ms == pytest.approx({"h2d": 1, "compute": 2, "d2h": 0.25 + 0.4995})
    assert {one.name for one in line.lane("device", "h2d")} == {"copy host to device x"}


# --- captures ---


@pytest.fixture
def doubled(simulator):
    """`run(batch)`: an execution of y = 2x on the simulated device, enqueued and waited for; buffers are made once."""
    import onnx
    import pycuda.autoprimaryctx  # noqa: F401
    import pycuda.driver as cuda
    import tensorrt as trt

    text = '<ir_version: 10, opset_import: ["" : 20]> g (float[4] x) => (float[4] y) { two = Constant <value_float=2.0>() y = Mul(x, two) }'
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    assert trt.OnnxParser(network, logger).parse(onnx.parser.parse_model(text).SerializeToString())
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
    context, stream = engine.create_execution_context(), cuda.Stream()
    host = {name: cuda.pagelocked_empty(4, np.float32) for name in "xy"}
    buffers = {name: cuda.mem_alloc(16) for name in "xy"}
    for name, buffer in buffers.items():
        context.set_tensor_address(name, int(buffer))

    def run(wait=True):
        host["x"][:] = 1
        cuda.memcpy_htod_async(buffers["x"], host["x"], stream)
        context.execute_async_v3(stream.handle)
        cuda.memcpy_dtoh_async(host["y"], buffers["y"], stream)
        if wait:
            stream.synchronize()
            assert (host["y"] == 2).all()

    run.stream, run.cuda, run.engine = stream, cuda, engine
    return run


def test_a_capture_has_what_ran_in_its_block_alone(doubled):
    doubled()
    with timeline.capture() as captured:
        for step in range(3):
            with timeline.span(f"step {step + 1}"):
                extra = doubled.cuda.mem_alloc(1 << 20)
                doubled()
                extra.free()
    doubled()
    line = captured.timeline
    assert line is captured.timeline
    assert [len(line.lane("device", kind)) for kind in ("h2d", "compute", "d2h")] == [3, 3, 3]
    assert line.device_bytes == {"h2d": 48, "compute": 0, "d2h": 48}
    assert len(line.lane("host", "enqueue")) == 9 and len(line.lane("host", "wait")) == 3
    assert len(line.lane("host", "allocate")) == 6  # three allocations, three frees
    assert [one.name for one in line.lane("ranges")] == ["step 1", "step 2", "step 3"]
    assert line.adds_up.overlap == 0
    assert line.unfinished == 0 and "the simulated device's record" in line.source
    for range_, wait in zip(line.lane("ranges"), line.lane("host", "wait"), strict=True):
        assert range_.start_ms <= wait.start_ms <= wait.end_ms <= range_.end_ms
    for one in line.lane("device"):  # the simulated device works while the host waits
        assert any(wait.start_ms <= one.start_ms and one.end_ms <= wait.end_ms for wait in line.lane("host", "wait"))
    assert line.before_ms >= 0 and line.span_ms <= line.wall_ms


def test_work_that_did_not_run_in_the_block_is_counted(doubled):
    with timeline.capture() as captured:
        doubled(wait=False)
    doubled.stream.synchronize()
    assert captured.timeline.unfinished == 3 and not captured.timeline.lane("device")
    plot = timeline.draw({"early": captured.timeline})
    assert "3 operations had not run" in plot.figure._supxlabel.get_text()


def test_spans_nest_and_pass_errors_on(doubled):
    with timeline.span("nobody is capturing"):
        pass
    with timeline.capture() as captured:
        with timeline.span("outer"), timeline.span("inner"):
            doubled()
        with pytest.raises(KeyError), timeline.span("failed"):
            raise KeyError
    assert {one.name for one in captured.timeline.lane("ranges")} == {"outer", "inner", "failed"}


def test_one_capture_at_a_time(simulator):
    captured = timeline.capture()
    with pytest.raises(TimelineError, match="Read it behind the with statement"):
        _ = captured.timeline
    with captured:
        with pytest.raises(TimelineError, match="one is taken at a time"), timeline.capture():
            pass
        with pytest.raises(TimelineError, match="it is running"):
            _ = captured.timeline
    with pytest.raises(TimelineError, match="has been used"), captured:
        pass
    with pytest.raises(ZeroDivisionError), timeline.capture() as failed:
        _ = 1 / 0
    assert not failed.timeline.lane("device")
    with timeline.capture():  # the next one can be taken
        pass


def test_a_generation_copies_what_arithmetic_says(decoder_plans, generator):
    from helpers import decoding

    prompt = np.full((2, 4), 7, np.int64)
    vocabulary = generator.vocabulary
    both = {}
    for name, settings_ in (("before", {"preallocate": False, "copy": "full"}), ("after", {"copy": "rows"})):
        with decoding.TensorRTStep(decoder_plans["full"], **settings_) as step:
            decoding.greedy(step, prompt, np.ones_like(prompt), 5)
            with timeline.capture() as captured:
                decoding.greedy(step, prompt, np.ones_like(prompt), 9)
        both[name] = captured.timeline
        expected = decoding.copied_bytes(2, 4, 9, vocabulary, last_step=name == "after")
        assert captured.timeline.device_bytes["d2h"] == expected
        assert len(captured.timeline.lane("device", "compute")) == 5
    assert both["before"].lane("host", "allocate") and not both["after"].lane("host", "allocate")
    assert "before" in timeline.draw(both).alt


# --- a GPU's trace ---


def traced(category, name, ts, dur, **arguments):
    return {"ph": "X", "cat": category, "name": name, "pid": 1, "tid": 2, "ts": ts, "dur": dur, "args": arguments}


# As torch.profiler writes them for one decoding step: microseconds, floats, `args` by category.
TRACE = [
    {"ph": "M", "name": "process_name", "pid": 1, "tid": 0, "ts": 999.0, "args": {"name": "python"}},
    traced("user_annotation", trace.ANCHOR, 1000.0, 5000.0, **{"External id": 3}),
    traced("gpu_user_annotation", trace.ANCHOR, 1210.0, 3000.0),
    traced("cpu_op", "aten::empty", 1020.0, 4.0),
    traced("cuda_runtime", "cudaMemcpyAsync", 1100.0, 10.0, cbid=41, correlation=5),
    traced("gpu_memcpy", "Memcpy HtoD (Pinned -> Device)", 1200.0, 2.0, device=0, stream=13, bytes=512),
    traced("cuda_runtime", "cudaLaunchKernel", 1120.0, 6.0),
    traced("cuda_driver", "cuLaunchKernel", 1130.0, 6.0),
    traced("kernel", "ampere_sgemm_128x64_tn", 1210.0, 300.0, device=0, stream=13, grid=[1, 1, 1]),
    traced("kernel", "void softmax(float*)", 1500.0, 100.0, device=0, stream=14),
    traced("gpu_memset", "Memset (Device)", 1650.0, 1.5, stream=13, bytes=64),
    traced("gpu_memcpy", "Memcpy DtoH (Device -> Pinned)", 1700.0, 40.0, stream=13, bytes=1608224),
    traced("gpu_memcpy", "Memcpy DtoD (Device -> Device)", 1745.0, 1.0, stream="13"),
    traced("cuda_runtime", "cudaStreamSynchronize", 1140.0, 600.0),
    traced("cuda_runtime", "cudaMalloc", 1050.0, 20.0),
    traced("cuda_runtime", "cudaFree_v3020", 1800.0, 30.0),
    traced("cuda_runtime", "cudaMemcpy", 1900.0, 15.0),
    traced("cuda_runtime", "cudaStreamIsCapturing", 1910.0, 1.0),
    traced("overhead", "Activity Buffer Request", 1020.0, 900.0),
    {"ph": "f", "id": 5, "ts": 1200.0, "cat": "ac2g", "name": "ac2g"},
    traced("kernel", "after the block", 6500.0, 10.0, stream=13),
    traced("kernel", "before the block", 900.0, 10.0, stream=13),
]


def test_a_profilers_trace_becomes_the_same_lanes():
    anchor, began = 50_000_000, 50_010_000  # the block begins 10 us after the range in the trace
    found, late = trace.assemble(TRACE, [], anchor, began, began + 5_000_000)
    line = Timeline(tuple(found), 5.0)
    assert late == 1
    assert line.device_bytes == {"h2d": 512, "compute": 0, "d2h": 1608224, "d2d": 0, "memset": 64}
    assert line.device_ms == pytest.approx({"h2d": 0.002, "compute": 0.39, "d2h": 0.04, "d2d": 0.001, "memset": 0.0015})
    assert line.lane("device", "h2d")[0].start_ms == pytest.approx(0.19)
    assert {one.stream for one in line.lane("device", "compute")} == {13, 14}
    host = {kind: [one.name for one in line.lane("host", kind)] for kind in ("enqueue", "allocate", "wait")}
    assert host["enqueue"] == ["cudaMemcpyAsync", "cudaLaunchKernel", "cuLaunchKernel"]
    assert host["allocate"] == ["cudaMalloc", "cudaFree"]
    assert host["wait"] == ["cudaStreamSynchronize", "cudaMemcpy"]  # which blocks
    assert line.span_ms == pytest.approx(0.546)


def test_a_call_that_lasts_until_its_pageable_copy_is_done_is_a_wait():
    def step(at, end):
        return traced("cuda_runtime", "cudaMemcpyAsync", at, end - at)

    up = traced("gpu_memcpy", "Memcpy HtoD (Pageable -> Device)", 1250.0, 2.0, stream=7, bytes=512)
    down = traced("gpu_memcpy", "Memcpy DtoH (Device -> Pageable)", 1310.0, 90.0, stream=7, bytes=1 << 20)
    pinned = traced("gpu_memcpy", "Memcpy DtoH (Device -> Pinned)", 1510.0, 5.0, stream=7, bytes=64)
    events = [TRACE[1], step(1230.0, 1240.0), up, step(1300.0, 1401.0), down, step(1500.0, 1520.0), pinned]
    found, _ = trace.assemble(events, [], 0, 0, 5_000_000)
    host = [(one.kind, one.name) for one in found if one.lane == "host"]
    assert host == [
        ("enqueue", "cudaMemcpyAsync"),
        ("wait", "blocking cudaMemcpyAsync"),
        ("enqueue", "cudaMemcpyAsync"),
    ]


def test_calls_of_the_driver_count_once():
    calls = [("wait", "Stream.synchronize", 1_000, 5_000, 0), ("allocate", "mem_alloc", 6_000, 9_000, 64)]
    found, _ = trace.assemble(TRACE, calls, 0, 0, 5_000_000)
    assert {"Stream.synchronize", "mem_alloc"} <= {one.name for one in found}
    driver = [*TRACE, traced("cuda_driver", "cuMemAlloc_v2", 1300.0, 9.0)]
    found, _ = trace.assemble(driver, calls, 0, 0, 5_000_000)
    names = {one.name for one in found}
    assert "cuMemAlloc" in names and "mem_alloc" not in names and "Stream.synchronize" in names


def test_a_trace_without_its_mark_is_refused():
    with pytest.raises(TimelineError, match=r"lacks the range 'timeline.capture'.*One can run at a time"):
        trace.assemble(TRACE[3:], [], 0, 0, 1)


def test_the_profilers_clock_is_tied_to_ours(tmp_path):
    """With a real trace of torch.profiler: a range in it lies where the clock says."""
    from torch.profiler import ProfilerActivity, profile, record_function

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        range_, anchor_ns = trace.anchor()
        began = time.perf_counter_ns()
        time.sleep(0.02)
        before = time.perf_counter_ns()
        with record_function("cudaDeviceSynchronize"):
            time.sleep(0.02)
        after = ended = time.perf_counter_ns()
        range_.__exit__(None, None, None)
    profiler.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    for one in events:  # a range stands in for the call of a GPU's runtime
        if one.get("name") == "cudaDeviceSynchronize":
            one["cat"] = "cuda_runtime"
    found, late = trace.assemble(events, [], anchor_ns, began, ended)
    (wait,) = found
    assert late == 0 and wait.kind == "wait"
    # The range lies between the two readings of the clock, however long the machine stopped in between; 2 ms are far more
    # than the clocks differ, and less than the sleep before it, so that a wrong origin or unit is found.
    assert (before - began) / 1e6 - 2 <= wait.start_ms and wait.end_ms <= (after - began) / 1e6 + 2
    assert wait.end_ms - wait.start_ms >= 18


def test_pycudas_calls_are_timed_while_they_are_watched(doubled):
    """On our own front end, which has the same names; its record says what was called."""
    from helpers import backend

    cuda = doubled.cuda
    own = (
        cuda.mem_alloc,
        cuda.Stream.synchronize,
        vars(cuda.Context)["synchronize"],
        vars(cuda.DeviceAllocation)["free"],
    )
    since = backend.record_length()
    with trace.watched(cuda) as calls:
        doubled()
        kept, lost = cuda.mem_alloc(64), cuda.mem_alloc(32)
        kept.free()
        del kept, lost
        cuda.Context.synchronize()
    assert own == (
        cuda.mem_alloc,
        cuda.Stream.synchronize,
        vars(cuda.Context)["synchronize"],
        vars(cuda.DeviceAllocation)["free"],
    )
    assert [(kind, name) for kind, name, *_ in calls] == [
        ("enqueue", "memcpy_htod_async"),
        ("enqueue", "memcpy_dtoh_async"),
        ("wait", "Stream.synchronize"),
        ("allocate", "mem_alloc"),
        ("allocate", "mem_alloc"),
        ("allocate", "DeviceAllocation.free"),
        ("allocate", "a collected DeviceAllocation"),
        ("wait", "Context.synchronize"),
    ]
    assert [nbytes for kind, *_, nbytes in calls if kind == "allocate"] == [64, 32, 0, 32]
    assert all(start <= end for _, _, start, end, _ in calls)
    rows = trace.recorded(backend.record(since), time.perf_counter_ns())
    assert [kind for kind, *_ in rows] == [kind for kind, *_ in calls]  # as our own front end records them on a GPU
    count = len(calls)
    doubled()
    assert len(calls) == count


# --- pictures ---


LINES = {
    "one step": {"before": steps(1, 4.0), "after": steps(1, 3.0)},
    "8 steps": {"before: allocated each step": steps(8, 1.0, 2.0), "after": steps(8, 1.0, 0.3)},
    "28 steps": {"before": steps(28, 1.0, 9.0), "after": steps(28, 0.9, 0.3)},
    "long names": {"alone": steps(5, name="a long name of a step, number {}")},
}


def boxes(plot):
    renderer = FigureCanvasAgg(plot.figure).get_renderer()
    plot.figure.draw(renderer)
    for axes in plot.figure.axes:
        for text in [*axes.texts, *axes.get_yticklabels(), axes._left_title]:
            if text.get_text() and text.get_visible():
                yield text.get_text(), Text.get_window_extent(text, renderer)
        if axes.get_legend():
            yield "legend", axes.get_legend().get_window_extent(renderer)


@pytest.mark.parametrize("name", LINES)
def test_no_text_lies_on_another(name):
    found = list(boxes(timeline.draw(LINES[name], title=f"A generation: {name}")))
    for at, (first, box) in enumerate(found):
        for second, other in found[at + 1 :]:
            assert not box.overlaps(other), (first, second)


def test_timelines_stand_at_one_scale_with_rows_in_words():
    plot = timeline.draw(LINES["8 steps"])
    axes = [one for one in plot.figure.axes if one.get_title(loc="left").endswith("(dashed line)")]
    assert len(axes) == 2 and axes[0].get_xlim() == axes[1].get_xlim()
    for one in axes:
        assert [label.get_text() for label in one.get_yticklabels()] == [
            "ranges", "device: copy host to device", "device: compute", "device: copy device to host",
            "host: enqueue", "host: allocate, free", "host: wait",
        ]  # fmt: skip
    texts = [text.get_text() for axes in plot.figure.axes for text in axes.texts]
    assert any(re.search(r"D2H copy +8\.0 MiB", text) for text in texts)
    assert {"step 1", "step 8"} <= set(texts)


def test_copies_differ_in_more_than_colour():
    plot = timeline.draw(LINES["one step"])
    (legend,) = [axes.get_legend() for axes in plot.figure.axes if axes.get_legend()]
    names = [text.get_text() for text in legend.get_texts()]
    hatches = {
        name: handle.get_hatch()
        for name, handle in zip(names, legend.legend_handles, strict=True)
        if hasattr(handle, "get_hatch")
    }
    assert hatches["copy host to device"] and hatches["copy device to host"]
    assert len({hatches[kind] for kind in ("copy host to device", "copy device to host", "compute", "wait")}) == 4


def test_words_say_what_the_picture_shows():
    plot = timeline.draw(LINES["8 steps"], title="A generation")
    assert plot.alt.startswith("A generation. before: allocated each step: the device's lane spans")
    assert "copy device to host of 8.0 MiB 2.08 ms" in plot.alt and "8 of wait" in plot.alt
    assert set(plot.table["timeline"]) == set(LINES["8 steps"])
    assert list(plot.table.columns)[:3] == ["timeline", "lane", "kind"]


def test_every_kind_and_nested_ranges_can_be_drawn(tmp_path):
    extra = (
        device("d2d", 1, 2, 10), device("memset", 2, 3, 10), device("compute", 0, 4, stream=2), device("compute", 1, 3),
        Interval("ranges", "range", "all", 0, 9), Interval("ranges", "range", "part", 1, 4),
    )  # fmt: skip
    plot = timeline.draw({"streams": Timeline(extra, 10.0)})
    assert plot.save(tmp_path / "t.png").stat().st_size > 10_000
    assert "two at once" in "".join(text.get_text() for axes in plot.figure.axes for text in axes.texts)


@pytest.mark.parametrize("function", [timeline.draw, timeline.html])
def test_what_cannot_be_drawn(function):
    for wrong in ({}, {"empty": Timeline((), 1.0)}):
        with pytest.raises(TimelineError, match="Nothing to draw"):
            function(wrong)
    for wrong in (steps(1), {"a": [1]}):
        with pytest.raises(TimelineError, match="Expected a dictionary"):
            function(wrong)


# --- the view ---


def test_a_view_holds_all_it_needs(tmp_path):
    view = timeline.html(LINES["8 steps"], title="A </script> in a title")
    page = view.save(tmp_path / "view.html").read_text(encoding="utf-8")
    assert len(page) < 1_000_000
    assert not re.search(r"""(src|href)=["']?https?:""", page) and "<link" not in page
    assert page.count("<script>") == page.count("</script>") == 2
    assert "A &lt;/script&gt; in a title" in page
    data = view._repr_mimebundle_()
    assert data["text/plain"] == view.alt and data["text/html"].startswith('<div role="group" aria-label="A &lt;')
    assert repr(view).startswith("View(")
    assert view.html() != view.html()  # two on a page do not share a place


def test_a_view_is_drawn_and_zooms_without_network(tmp_path, system_program):
    """In a real browser, offline: canvases appear, the wheel changes what is seen, nothing is asked for."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = system_program("chromium", "google-chrome", package="chromium")
    view = timeline.html(LINES["8 steps"])
    page = tmp_path / "page.html"
    page.write_text(f"<!DOCTYPE html><meta charset=utf-8><body>{view.html()}{view.html()}", encoding="utf-8")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            tab = browser.new_context(offline=True, viewport={"width": 1000, "height": 900}).new_page()
            asked, errors = [], []
            tab.on("request", lambda request: asked.append(request.url))
            tab.on("pageerror", lambda error: errors.append(str(error)))
            tab.goto(page.as_uri())
            tab.wait_for_function("document.querySelectorAll('[id^=timeline-] .bk-Column').length == 2", timeout=60_000)
            state = "(async () => { const b = await window.timelineBokeh; const r = b.documents[0].roots()[0].children[0].x_range; return [r.start, r.end]; })()"
            start, end = tab.evaluate(state)
            tab.wait_for_timeout(500)
            tab.mouse.move(500, 150)
            for _ in range(20):  # until the figure is laid out and listens
                tab.mouse.wheel(0, -300)
                tab.wait_for_timeout(200)
                now = tab.evaluate(state)
                if now[1] - now[0] < 0.8 * (end - start):
                    break
            assert now[1] - now[0] < 0.8 * (end - start)
            assert errors == [] and [url for url in asked if not url.startswith(("file:", "data:"))] == []
        finally:
            browser.close()


def test_a_page_has_bokeh_once(tmp_path):
    """The walkthrough's page keeps the views' scripts whole, and the large one of them once."""
    import nbformat.v4 as nb

    from helpers import walkthrough

    data = [timeline.html(LINES[name])._repr_mimebundle_() for name in ("one step", "8 steps")]
    outputs = [nb.new_output("display_data", data=each) for each in data]
    notebook = nb.new_notebook(cells=[nb.new_markdown_cell("# A page"), nb.new_code_cell("views", outputs=outputs)])
    result = walkthrough.Result(tmp_path / "a.html", 1, 0, 0, 0, 0.0, None)
    page = walkthrough.render(notebook, tmp_path / "a.py", result)
    assert page.count("DecompressionStream") == 1 and len(page) < 1_000_000
    assert page.count("embed_item") == 2
    (embedding,) = re.findall(r"<script>[^<]*embed_item.*?</script>", data[1]["text/html"], re.DOTALL)
    assert embedding in page


def test_nvtx_is_an_extra_and_its_ranges_are_pushed():
    nvtx = pytest.importorskip("nvtx", reason="the extra gpu brings it")
    assert hasattr(nvtx, "annotate")
    with timeline.span("a range"):
        pass
    pins = (Path(__file__).parents[2] / "constraints.txt").read_text(encoding="utf-8")
    assert "nvtx==" in pins
