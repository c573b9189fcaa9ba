# ---
# jupyter:
#   jupytext:
#     cell_markers: '"""'
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["title"]
"""
# Exercise 2, the evidence: buffers, logs and nine pitfalls

A second notebook, without points and without anything to fill in: run it from top to bottom, and look. The first
one measures; this one opens what lies beneath the figures.

1. **Memory binding**, the eight steps between a NumPy array and an engine's answer, one cell each.
2. **ONNX Runtime's evidence**: which node runs where, and where it copies, from its API first and from its log
   for illustration.
3. **Nine pitfalls** of the project that this exercise is about. Each cell makes the mistake for real, prints what
   TensorRT, PyTorch or the system says, and the next one mends it. Their texts come from the data that
   `python -m helpers troubleshoot "error message"` searches, and that docs/troubleshooting.md is made of.

The labels are those of the first notebook: **exact here**, **this machine's time**, **calculated**, **recorded on
a GPU**. An error that you see below was meant and caught.
"""

# %% tags=["imports"]
import ctypes
import importlib
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

STARTED = time.perf_counter()

import matplotlib.pyplot as plt
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import torch
from IPython.display import Markdown, display

from helpers import backend, data, decoding, engine, environment, export, models, ort, precision
from helpers.notebook import EXACT, RECORDED, TIMED, caption, draw, mib, show
from helpers.simulator import plan as plans_of_the_simulator
from helpers.troubleshooting import entry, provoked, search

active = backend.activate()  # from here on `import tensorrt` works on every machine

import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

# %% tags=["glue-tools"]
WORK = Path("build")
WORK.mkdir(exist_ok=True)
INPUTS = ("input_ids", "attention_mask")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ON_RTX = hasattr(trt, "ComputeCapability")  # NVIDIA's RTX builder: wherever there is no TensorRT


class Log(trt.ILogger):
    """Keeps the errors that TensorRT writes, and prints none."""

    def __init__(self):
        trt.ILogger.__init__(self)
        self.errors = []

    def log(self, severity, text):
        if "ERROR" in severity.name and "catchCudaError" not in text:
            self.errors.append(text)


def card(ident):
    """What the troubleshooting data says of a pitfall."""
    display(Markdown(entry(ident).markdown(where=False)))


# %% [markdown] tags=["set-up-text"]
"""
## What everything below works with

The small GPT-2 of this course (`MODEL=full` takes the real size), exported once with positions that are computed
from the mask, and one plan for 1 to 16 rows of 1 to 32 tokens.
"""

# %% tags=["set-up"]
generator = models.load_generator()
tokenizer, model = generator.tokenizer, generator.model.to(DEVICE)
decoder = export.export_decoder(model, WORK / "evidence_decoder.onnx")


def build(name, smallest, usual, largest, source=decoder, **settings):
    """A plan whose profile has these shapes for both inputs."""
    profile = dict.fromkeys(INPUTS, (smallest, usual, largest))
    return engine.build(source, WORK / f"{name}.plan", profile, progress=False, **settings)


whole = build("evidence", (1, 1), (8, 16), (16, 32))
log = Log()
trt_engine = trt.Runtime(log).deserialize_cuda_engine(whole.path.read_bytes())
context = trt_engine.create_execution_context()
stream = cuda.Stream()

caption("set-up", EXACT, f"the model and its plan. Plans run by: **{active.engine}**.")
show(
    [
        ("model", generator.name),
        ("logits of a token", f"{generator.vocabulary:,}"),
        ("ONNX", mib(decoder.stat().st_size)),
        ("plan", str(whole)),
    ],
    ["", "value"],
)

# %% [markdown] tags=["binding-text"]
"""
## Eight steps of memory binding

TensorRT allocates nothing for inputs and outputs, copies nothing, and checks little. All of that is yours, for
every tensor, and it is always the same eight steps. The project wrote them down as pseudo-code for TensorRT 8;
here they run, in today's words.

### Step 1: arrays on the host

Three prompts of different lengths, padded on the left so that the last column is a token in every row. The type
is asked of the engine: int64, as the tokenizer gives it. (TensorRT 8 wanted int32; see the seventh pitfall.)
"""

# %% tags=["step-1"]
prompts = data.load_prompts(3)
input_ids, attention_mask = data.encode_prompts(tokenizer, prompts)
arrays = {"input_ids": input_ids, "attention_mask": attention_mask}
dtypes = {name: np.dtype(trt.nptype(trt_engine.get_tensor_dtype(name))) for name in trt_engine}
caption("step-1", EXACT, "the engine's tensors and our arrays.")
show(
    [
        (
            name,
            str(dtypes[name]),
            str(list(trt_engine.get_tensor_shape(name))),
            str(arrays[name].dtype) if name in arrays else "",
            str(list(arrays[name].shape)) if name in arrays else "",
        )
        for name in trt_engine
    ],
    ["tensor", "engine's type", "engine's shape (-1: dynamic)", "array's type", "array's shape"],
)
print(input_ids)

# %% [markdown] tags=["step-2-text"]
"""
### Step 2: memory on the device

Twice for each tensor: pinned memory on the host, from which the GPU can copy by itself, and device memory. Both
for the profile's **largest** shape, so that they are made once and serve every step of a generation. The engine
says -1 for dynamic axes; the sizes come from the profile.
"""

# %% tags=["step-2"]
largest = {name: tuple(trt_engine.get_tensor_profile_shape(name, 0)[2]) for name in INPUTS}
largest["logits"] = (*largest["input_ids"], trt_engine.get_tensor_shape("logits")[-1])
free_before, _ = cuda.mem_get_info()
host = {
    name: cuda.pagelocked_empty(trt.volume(shape), dtypes[name]) for name, shape in largest.items()
}
device = {name: cuda.mem_alloc(array.nbytes) for name, array in host.items()}
caption("step-2", EXACT, "buffers for the largest shape.")
show(
    [
        (name, str(list(shape)), host[name].nbytes, hex(int(device[name])))
        for name, shape in largest.items()
    ],
    ["tensor", "largest shape", "bytes, on either side", "device address"],
)

# %% [markdown] tags=["step-3-text"]
"""
### Step 3: host to device

The array goes into the front of its pinned buffer, and only that part is copied. The copy is put on a stream and
has not happened when the call returns.
"""


# %% tags=["step-3"]
def front(name, shape):
    """The first elements of a pinned buffer, as many as `shape` has, in that shape."""
    return host[name][: trt.volume(shape)].reshape(shape)


for name, array in arrays.items():
    front(name, array.shape)[...] = array
    cuda.memcpy_htod_async(device[name], front(name, array.shape), stream)
print({name: f"{array.nbytes} of {host[name].nbytes} bytes" for name, array in arrays.items()})

# %% [markdown] tags=["step-4-text"]
"""
### Step 4: today's shapes

By name, for every input, before every execution in which a shape has changed. The answer is a Boolean that must be
looked at. Then the context, and not the engine, knows the shape of the output.
"""

# %% tags=["step-4"]
for name, array in arrays.items():
    assert context.set_input_shape(name, array.shape), log.errors[-1]
print("inputs without a shape:", context.infer_shapes())
logits_shape = tuple(context.get_tensor_shape("logits"))
print("logits:", trt_engine.get_tensor_shape("logits"), "in the engine,", logits_shape, "now")

# %% [markdown] tags=["step-5-text"]
"""
### Step 5: addresses

TensorRT 8 took a list of addresses, in the engine's order, and who had the order wrong got plausible nonsense.
Today each address is set by the tensor's name. The list still exists, for `execute_v2`.
"""

# %% tags=["step-5"]
for name in trt_engine:
    assert context.set_tensor_address(name, int(device[name]))
bindings = [int(device[name]) for name in trt_engine]  # in the engine's order, not in ours
print({name: hex(context.get_tensor_address(name)) for name in trt_engine})

# %% [markdown] tags=["step-6-text"]
"""
### Step 6: execute

`execute_async_v3` puts the execution on the stream and returns `True`: enqueued, not done. The stream keeps the
order, so nothing has to be waited for between the copy, the execution and the copy back.
"""

# %% tags=["step-6"]
print("enqueued:", context.execute_async_v3(stream.handle))

# %% [markdown] tags=["step-7-text"]
"""
### Step 7: device to host

The output's front is copied, as many elements as this batch has, and *now* the stream is waited for, once. This is
all logits of all positions; the first notebook is about copying less.
"""

# %% tags=["step-7"]
cuda.memcpy_dtoh_async(front("logits", logits_shape), device["logits"], stream)
stream.synchronize()
logits = front("logits", logits_shape).copy()

with torch.inference_mode():
    mask = torch.from_numpy(attention_mask).to(DEVICE)
    expected = model(
        input_ids=torch.from_numpy(input_ids).to(DEVICE),
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
    ).logits.cpu()
real = attention_mask.astype(bool)
difference = float(np.abs(logits - expected.numpy())[real].max())
caption(
    "step-7",
    EXACT,
    f"the next token of each prompt. Largest difference to PyTorch: {difference:.1e}.",
)
show(
    [
        (prompt, tokenizer.decode([int(row[-1].argmax())]))
        for prompt, row in zip(prompts, logits, strict=True)
    ],
    ["prompt", "next token"],
)

# %% [markdown] tags=["execute-v2-text"]
"""
**The other call.** `execute_v2(bindings)` still exists in TensorRT 10 and 11. It takes the list, runs on the
default stream and waits: the clock around it is right, and nothing can overlap. What is gone is `set_binding_shape`.
"""

# %% tags=["execute-v2"]
print("executed:", context.execute_v2(bindings))
cuda.memcpy_dtoh(front("logits", logits_shape), device["logits"])
print("the same logits:", np.array_equal(front("logits", logits_shape), logits))
try:
    context.set_binding_shape(0, input_ids.shape)
except AttributeError as error:
    print(f"AttributeError: {error}")


# %% tags=["buffers"]
def picture(rows):
    """Host and device side by side: a box for each buffer, filled as far as this batch uses it."""
    figure, axes = plt.subplots(figsize=(9.5, 0.6 + 0.95 * len(rows)))
    for row, (name, what, used, nbytes, address, upwards) in enumerate(rows):
        y = -row
        for x, text in ((0, f"{name}\n{what}"), (6.2, f"{address}\nbound as {name!r}")):
            axes.add_patch(plt.Rectangle((x, y), 3.6, 0.7, fill=False, edgecolor="#333333"))
            axes.add_patch(
                plt.Rectangle((x, y), 3.6 * used / nbytes, 0.7, color="#E69F00", alpha=0.55)
            )
            axes.text(x + 0.08, y + 0.35, text, va="center", fontsize=8)
        start, end = (3.65, 6.15) if upwards else (6.15, 3.65)
        axes.annotate(
            "",
            (end, y + 0.3),
            (start, y + 0.3),
            arrowprops={"arrowstyle": "-|>", "color": "#C00000", "linestyle": "--", "lw": 1.6},
        )
        label = f"{'H2D' if upwards else 'D2H'}  {used:,} of {nbytes:,} bytes"
        axes.text(4.9, y + 0.42, label, ha="center", fontsize=8, color="#8B0000")
    axes.text(0, 0.82, "host, pinned", fontweight="bold")
    axes.text(6.2, 0.82, "device", fontweight="bold")
    axes.set(xlim=(-0.1, 9.9), ylim=(-len(rows) + 0.9, 1.15))
    axes.axis("off")
    figure.tight_layout()
    return figure


shapes = {name: array.shape for name, array in arrays.items()} | {"logits": logits_shape}
rows = [
    (
        name,
        f"{dtypes[name]} {list(shape)} of {list(largest[name])}",
        trt.volume(shape) * dtypes[name].itemsize,
        host[name].nbytes,
        hex(context.get_tensor_address(name)),
        name in INPUTS,
    )
    for name, shape in shapes.items()
]
caption(
    "buffers", EXACT, "the three tensors; filled is what this batch uses. Boxes are not to scale."
)
draw(
    picture(rows),
    "Three buffers on the host, three on the device. "
    + " ".join(
        f"{name}: {'up' if up else 'down'}, {used:,} of {nbytes:,} bytes used."
        for name, _, used, nbytes, _, up in rows
    ),
)

# %% [markdown] tags=["step-8-text"]
"""
### Step 8: free

Device memory goes back with `free()`, or when the last reference to it is gone. A loop that allocates in every step
and forgets one buffer grows until it fails; so look at the counter.
"""

# %% tags=["step-8"]
for allocation in device.values():
    allocation.free()
print("bytes of the device that did not come back:", free_before - cuda.mem_get_info()[0])
try:
    device["logits"].free()
except cuda.LogicError as error:
    print(f"freed twice: {error}")


# %% [markdown] tags=["bound-text"]
"""
The eight steps as a class, which the pitfalls below use. All that is expensive happens once.
"""


# %% tags=["glue-bound"]
class Bound:
    """A plan with buffers for its profile's maximum. `call(ids, mask)` gives all logits, float32 [B, t, V]."""

    def __init__(self, path):
        self.log = Log()
        self.engine = trt.Runtime(self.log).deserialize_cuda_engine(Path(path).read_bytes())
        self.context = self.engine.create_execution_context()
        self.stream = cuda.Stream()
        limits = {name: tuple(self.engine.get_tensor_profile_shape(name, 0)[2]) for name in INPUTS}
        limits["logits"] = (*limits["input_ids"], self.engine.get_tensor_shape("logits")[-1])
        self.host, self.device = {}, {}
        for name, shape in limits.items():
            dtype = trt.nptype(self.engine.get_tensor_dtype(name))
            self.host[name] = cuda.pagelocked_empty(trt.volume(shape), dtype)
            self.device[name] = cuda.mem_alloc(self.host[name].nbytes)
            self.context.set_tensor_address(name, int(self.device[name]))

    def front(self, name):
        shape = tuple(self.context.get_tensor_shape(name))
        return self.host[name][: trt.volume(shape)].reshape(shape)

    def upload(self, *inputs):
        for name, array in zip(INPUTS, inputs, strict=True):
            if not self.context.set_input_shape(name, array.shape):
                raise ValueError(self.log.errors[-1])
            self.front(name)[...] = array
            cuda.memcpy_htod_async(self.device[name], self.front(name), self.stream)

    def execute(self):
        if not self.context.execute_async_v3(self.stream.handle):
            raise RuntimeError(self.log.errors[-1])

    def download(self):
        cuda.memcpy_dtoh_async(self.front("logits"), self.device["logits"], self.stream)

    def __call__(self, *inputs):
        self.upload(*inputs)
        self.execute()
        self.download()
        self.stream.synchronize()
        return self.front("logits").copy()

    def last(self, *inputs):
        """Logits of the last position, [B, V]: what `decoding.greedy` asks for."""
        return self(*inputs)[:, -1]


# %% [markdown] tags=["ort-text"]
"""
## What ONNX Runtime did with the graph

The project read ONNX Runtime's log to explain its times: copies ("Memcpy") and nodes that fell back to the CPU. A
log is for people; its texts change from version to version. Today ONNX Runtime answers by API: every session can be
asked which provider got which node, and the optimised graph, which it writes on request, holds the Memcpy nodes
that it put in. Only *why* stands in the log alone.

`helpers.ort` asks all three. Two graphs: our decoder, and three operators of which one, `Atan`, has no CUDA kernel.
"""

# %% tags=["placement"]
planted = ort.write_planted(WORK / "evidence_planted.onnx")
here = [
    ort.inspect(decoder, feeds=arrays, title="decoder"),
    ort.inspect(planted, feeds={"x": np.ones((2, 4), np.float32)}, title="planted"),
]
caption(
    "placement",
    EXACT,
    f"nodes by provider, by the API of ONNX Runtime {here[0].version}; served by {', '.join(here[0].providers)}.",
)
tables = pd.concat([evidence.table().assign(graph=evidence.title) for evidence in here])
show(tables[["graph", "provider", "nodes", "share", "operators"]])
for evidence in here:
    copies, fallbacks = len(evidence.copies), len(evidence.fallbacks)
    print(f"{evidence.title}: {copies} Memcpy nodes, {fallbacks} nodes fell back")
slowest = sorted(here[0].ran, key=lambda node: -node.median_ms)[:3]
print("longest in the profile:", ", ".join(f"{node.node} ({node.op})" for node in slowest))

# %% [markdown] tags=["recorded-text"]
"""
Without a GPU this evidence is short: one provider, nothing to copy. What follows was **recorded** on a machine with a
GPU, with the same functions (`python -m helpers.ort record`), for the planted graph and for four decoders: both
sizes, with all logits and with the last step's. The project's log speaks of six Memcpy nodes. How many do you expect
in ours?
"""

# %% tags=["recorded"]
try:
    on_gpu = ort.recorded() + ort.recorded(ort.RECORDED.with_name("ort_gpu_full"))[1:]
except ort.EvidenceError as error:
    on_gpu = ()
    print(f"Not recorded: {error}")
rows = []
for evidence in on_gpu:
    memcpy_ms = [node.median_ms for node in evidence.ran if node.op.startswith("Memcpy")]
    on_cuda, on_cpu = evidence.counts[ort.CUDA], evidence.counts.get(ort.CPU, 0)
    rows.append((evidence.title, on_cuda, on_cpu, len(evidence.copies), sum(memcpy_ms)))
if on_gpu:
    where = f"{on_gpu[0].machine}, ONNX Runtime {on_gpu[0].version}"
    caption("recorded", RECORDED, f"nodes by provider and Memcpy nodes, on {where}.")
    show(rows, ["graph", "nodes on CUDA", "nodes on the CPU", "Memcpy nodes", "ms in Memcpy nodes"])
    caption("recorded", RECORDED, "where the planted graph copies, and why.")
    show(on_gpu[0].copies_table())
    show(on_gpu[0].fallback_table())
    caption("recorded", RECORDED, f"why nodes of the {on_gpu[1].title} are on the CPU.")
    show(on_gpu[1].fallback_table())

# %% [markdown] tags=["recorded-moral"]
"""
None. The planted graph shows what one operator without a kernel costs: two copies of 32 bytes, each of some 16 µs
as the host sees it: waiting, no bandwidth. The decoders have nine nodes on the CPU, at either size: arithmetic on shapes,
which ONNX Runtime keeps there on purpose, and which moves nothing. The project's six came from another exporter and
a version of 2023; they are evidence for that graph and for no other.

One kind of copy is in neither count. NumPy arrays that are handed to `session.run` are copied to the GPU before the
graph starts, and all logits back after it ends. Those are the copies that matter in a decoding loop; I/O binding is
how one keeps them on the device.
"""

# %% [markdown] tags=["log-text"]
"""
### The same in the log

The table says what one parser reads out of the logs: this machine's, the lines that the project quotes in the wording
of 2023, and the recorded ones. Below it stands the recorded log of the planted graph, all lines of these kinds. Note
what a log cannot do: its single lines name a tensor and not the two nodes between which it travels; the sum is
printed for each graph, so subgraphs have to be added; and nodes are counted after the optimiser has fused some and
added the Memcpy nodes, so the figures differ from the API's.
"""

# %% tags=["log-lines"]
OF_THE_PROJECT = """
[W:onnxruntime:, transformer_memcpy.cc:83 ...] 6 Memcpy nodes are added to the graph main_graph for CUDAExecutionProvider. It might have negative impact on performance...
Add Memcpy From Host after <node_name> for CUDAExecutionProvider
Add Memcpy To Host before <node_name> for CUDAExecutionProvider
I: ExecutionFrame ... Using CPUExecutionProvider for <op_name>  (fallback)
"""
logs = {"this machine, decoder": here[0].log, "the project's lines": OF_THE_PROJECT}
logs |= {f"{evidence.machine}, {evidence.title}": evidence.log for evidence in on_gpu}
caption("log-lines", EXACT, "what the parser reads out of each log.")
show(
    [
        (
            name,
            report.memcpy_nodes,
            len(report.copies),
            len(report.fallbacks),
            ", ".join(f"{count} on {provider}" for provider, count in report.placed),
        )
        for name, text in logs.items()
        for report in [ort.parse_log(text)]
    ],
    ["log", "Memcpy nodes", "lines on copies", "lines on fallbacks", "nodes placed"],
)
for evidence in on_gpu[:1]:
    print(f"{evidence.title}, on {evidence.machine}:")
    print(evidence.log)

# %% [markdown] tags=["ort-moral"]
"""
How to use it: let the API count, and assert in your program that the count is what you expect
(`session.get_providers()` first: a provider that does not load is a warning and then silence). A few shape
computations on the CPU are meant so and cost nothing; a Memcpy node **inside the loop of layers**, or one that moves
logits, is what to look for. Whether it costs anything is a matter of bytes, which the first notebook counts.
"""

# %% [markdown] tags=["pitfalls-text"]
"""
## Nine pitfalls

The order is the project's. Lines that start with > are real messages, made by the cell above them.

### End to end comes first, kernel-only second

Three clocks around three calls. Which of them takes the time?
"""

# %% tags=["pitfall-kernel-only"]
bound = Bound(whole.path)
rows_16 = [np.tile(array, (5, 3))[:16, :32] for array in arrays.values()]
bound(*rows_16)  # warm


def clock(work, *inputs):
    start = time.perf_counter()
    work(*inputs)
    return 1000 * (time.perf_counter() - start)


naive = [
    clock(bound.upload, *rows_16),
    clock(bound.execute),
    clock(lambda: (bound.download(), bound.stream.synchronize())),
]
caption("pitfall-kernel-only", TIMED, f"clocks around the calls, 16 rows, run by {active.engine}.")
show([("clock around each call, ms", *naive)], ["", "upload", "execute", "download and wait"])
card("kernel-only")

# %% tags=["mend-kernel-only"]
events = [cuda.Event() for _ in range(4)]
start = time.perf_counter()
parts = (lambda: bound.upload(*rows_16), bound.execute, bound.download)
for event, work in zip(events, parts, strict=False):
    event.record(bound.stream)
    work()
events[3].record(bound.stream)
bound.stream.synchronize()
end_to_end = 1000 * (time.perf_counter() - start)
between = [events[i].time_till(events[i + 1]) for i in range(3)]
caption(
    "mend-kernel-only", TIMED, "events in the stream: each part with its own time, and the sum."
)
show(
    [("between events, ms", *between, end_to_end)],
    ["", "upload", "execute", "download", "end to end, by the wall clock"],
)

# %% [markdown] tags=["coverage-text"]
"""
### The profile does not cover the whole generation

A plan for sequences of up to 12 tokens, and a generation that goes to 14. First the answers of `set_input_shape`,
then, on the simulated device only, what comes of buffers that were made for the short sequence: CUDA's error 700.
It stays. Every later call gives it, whatever it does, until the CUDA context ends with the process: a kernel that has
seen it needs a restart.
"""

# %% tags=["pitfall-coverage"]
short = Bound(build("evidence_12", (1, 1), (3, 12), (16, 12)).path)
with provoked("profile-coverage") as said:
    for length in range(11, 15):
        answer = short.context.set_input_shape("input_ids", (3, length))
        kept = short.context.get_tensor_shape("input_ids")
        print(f"{length} tokens: {answer}, the context has {kept}")
    said.say(short.log.errors[0])

if active.simulated:  # on a GPU this would end every later call of the process
    with provoked("profile-coverage"):
        bound.upload(input_ids, attention_mask)
        small = cuda.mem_alloc(4 * generator.vocabulary)  # logits of one position
        bound.context.set_tensor_address("logits", int(small))
        bound.context.execute_async_v3(bound.stream.handle)
        bound.stream.synchronize()
    with provoked("profile-coverage"):
        cuda.mem_alloc(8)
card("profile-coverage")

# %% tags=["mend-coverage"]
if active.simulated:
    backend.activate(transport="process", quiet=True)  # a new device, in the place of a new process
bound = Bound(whole.path)  # 1 to 32 tokens
tokens = decoding.greedy(bound.last, input_ids, attention_mask, 32)
reference = decoding.generate(model, input_ids, attention_mask, 32)
equal = np.array_equal(tokens, reference)
print(f"from {input_ids.shape[1]} to 32 tokens; equal to PyTorch's generate: {equal}")

# %% [markdown] tags=["operators-text"]
"""
### Operators that the export or the engine does not have

Three doors that are closed: the older exporter at opset 11 with fused attention, an ONNX graph of opset 23 in
TensorRT-RTX's builder, and the command that the project recommends. (The box that is headed *stderr* is the
builder's own: it writes there past every logger.)
"""


# %% tags=["pitfall-operators"]
class Plain(torch.nn.Module):
    """GPT-2 as it comes: two tensors in, logits out, no positions."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, input_ids, attention_mask):
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        return self.inner(**inputs, use_cache=False).logits


OLDER_EXPORTER = """
import io, torch
class Attention(torch.nn.Module):
    def forward(self, q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v)
q = torch.ones(2, 2, 8, 16)
torch.onnx.export(Attention(), (q, q, q), io.BytesIO(), dynamo=False, opset_version=11)
"""
# In a process of its own: before this exporter raises, it prints the graph past Python, which can stop a notebook.
with provoked("unsupported-operators") as said:
    command = [sys.executable, "-W", "ignore", "-c", OLDER_EXPORTER]
    done = subprocess.run(command, capture_output=True, text=True)
    said.say(done.stderr.strip().splitlines()[-1])

ATTENTION = """
<ir_version: 11, opset_import: ["" : 23]>
attention (float[b, 2, s, 16] q, float[b, 2, s, 16] k, float[b, 2, s, 16] v) => (float[b, 2, s, 16] y) {
    y = Attention (q, k, v)
}
"""
onnx.save(onnx.parser.parse_model(ATTENTION), str(WORK / "attention.onnx"))
with provoked("unsupported-operators", here=ON_RTX):
    of_qkv = dict.fromkeys("qkv", ((1, 2, 1, 16), (8, 2, 16, 16), (16, 2, 32, 16)))
    engine.build(WORK / "attention.onnx", WORK / "attention.plan", of_qkv, progress=False)

with provoked("unsupported-operators"):
    importlib.import_module("transformers.onnx")
card("unsupported-operators")

# %% tags=["mend-operators"]
graph = onnx.load(str(decoder))
elsewhere = any(weight.external_data for weight in graph.graph.initializer)
caption(
    "mend-operators",
    EXACT,
    "`torch.onnx.export` on a wrapper, eager attention, opset 20: the decoder from above.",
)
show(
    [
        ("opset", str(graph.opset_import[0].version)),
        ("inputs", ", ".join(i.name for i in graph.graph.input)),
        ("axes", ", ".join(d.dim_param for d in graph.graph.input[0].type.tensor_type.shape.dim)),
        ("nodes", str(len(graph.graph.node))),
        ("weights in the file", "no" if elsewhere else "yes"),
        ("largest difference to PyTorch", f"{difference:.1e} (step 7)"),
    ],
    ["", "value"],
)

# %% [markdown] tags=["positions-text"]
"""
### Mask and positions of a growing sequence

Nothing is printed here, which is the trouble. Each prompt is continued alone, and then all three in one batch,
padded on the left, by a model that gets ids and mask and no positions.
"""


# %% tags=["pitfall-positions"]
def without_positions(ids, mask):
    """A step as one writes it first: ids and mask, no positions."""
    with torch.inference_mode():
        logits = Plain(model)(torch.from_numpy(ids).to(DEVICE), torch.from_numpy(mask).to(DEVICE))
    return logits[:, -1].cpu().numpy()


def continued(step):
    """Eight new tokens for each prompt alone, and for all in one batch."""
    alone = []
    for prompt in prompts:
        ids, mask = data.encode_prompts(tokenizer, [prompt])
        alone.append(decoding.greedy(step, ids, mask, ids.shape[1] + 8)[0, -8:])
    together = decoding.greedy(step, input_ids, attention_mask, input_ids.shape[1] + 8)[:, -8:]
    rows = []
    for prompt, one, many in zip(prompts, alone, together, strict=True):
        same = "yes" if np.array_equal(one, many) else "NO"
        rows.append((prompt, tokenizer.decode(one), tokenizer.decode(many), same))
    return rows


caption("pitfall-positions", EXACT, "without positions.")
show(continued(without_positions), ["prompt", "alone", "in a batch", "the same"])
card("autoregressive")

# %% tags=["mend-positions"]
caption("mend-positions", EXACT, "the plan from above, whose graph counts positions from the mask.")
show(continued(bound.last), ["prompt", "alone", "in a batch", "the same"])

# %% [markdown] tags=["trtexec-text"]
"""
### trtexec is not found

On Windows the shell says *'trtexec' is not recognized as an internal or external command*; from Python it is this:
"""

# %% tags=["pitfall-trtexec"]
with provoked("trtexec-not-found", here=shutil.which("trtexec") is None):
    subprocess.run(["trtexec", "--version"], check=True, capture_output=True)
card("trtexec-not-found")

# %% tags=["mend-trtexec"]
profile = dict.fromkeys(INPUTS, ((1, 1), (8, 16), (16, 32)))
print("What was built above by the API is, with the archive's trtexec:\n")
print(engine.trtexec_command(decoder, whole.path, profile).replace(" --", " \\\n  --"))

# %% [markdown] tags=["constraints-text"]
"""
### What a profile refuses, when it is built and when it is used

Three builds that fail, straight at NVIDIA's builder: without a profile, with one input left out, and with a minimum
above the usual shape.
"""


# %% tags=["pitfall-constraints"]
def build_with(shapes):
    """NVIDIA's builder with a profile of these shapes; its answers, and its first error."""
    words = Log()
    builder = trt.Builder(words)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert trt.OnnxParser(network, words).parse(decoder.read_bytes())
    config, index = builder.create_builder_config(), None
    if shapes:
        wanted = builder.create_optimization_profile()
        for name, three in shapes.items():
            wanted.set_shape(name, *three)
        index = config.add_optimization_profile(wanted)
    built = builder.build_serialized_network(network, config)
    print(f"add_optimization_profile: {index}; build_serialized_network: {built}")
    return words.errors[0]


good, unsorted = ((1, 1), (8, 16), (16, 32)), ((8, 8), (4, 4), (16, 32))
for shapes_tried in ({}, {"input_ids": good}, dict.fromkeys(INPUTS, unsorted)):
    with provoked("profile-constraints") as said:
        said.say(build_with(shapes_tried))
card("profile-constraints")

# %% tags=["mend-constraints"]
small = ((1, 1), (1, 48), (2, 64))
profiles = [dict.fromkeys(INPUTS, good), dict.fromkeys(INPUTS, small)]
two = engine.build(decoder, WORK / "evidence_two.plan", profiles, progress=False)
engine_of_two = trt.Runtime(log).deserialize_cuda_engine(two.path.read_bytes())
with_two = engine_of_two.create_execution_context()
for index, shape in ((0, (16, 32)), (0, (2, 64)), (1, (2, 64))):
    with_two.set_optimization_profile_async(index, stream.handle)
    print(f"profile {index}, shape {shape}: {with_two.set_input_shape('input_ids', shape)}")
wider = build("evidence_64", (1, 1), (8, 16), (16, 64))
caption(
    "mend-constraints",
    EXACT,
    "activation memory of a context, from NVIDIA's log: what widening costs.",
)
show(
    [
        ("16 x 32", whole.activation_bytes),
        ("16 x 32, and a second profile up to 2 x 64", two.activation_bytes),
        ("16 x 64", wider.activation_bytes),
    ],
    ["profile's largest shape", "bytes"],
)

# %% [markdown] tags=["inputs-text"]
"""
### input_ids and attention_mask that do not fit together

Two lengths in one batch, then int32 in place of int64. TensorRT refuses the lengths, because both axes have one name
in the graph. The types it cannot see: an address is an address. On a GPU that ends in nonsense, or in an illegal
access that a later call reports; the simulated device names the array, and ONNX Runtime refuses it.
"""

# %% tags=["pitfall-inputs"]
if active.simulated:  # on a GPU both are undefined: an error in a later call, or nonsense
    with provoked("input-mismatch"):
        bound.upload(input_ids, attention_mask[:, 1:])
        print("execute_async_v3:", bound.context.execute_async_v3(bound.stream.handle))
        bound.stream.synchronize()
    with provoked("input-mismatch"):
        bound = Bound(whole.path)
        bound.upload(input_ids, attention_mask)
        cuda.memcpy_htod(bound.device["input_ids"], input_ids.astype(np.int32))
        print("execute_async_v3:", bound.context.execute_async_v3(bound.stream.handle))
        bound.stream.synchronize()
with provoked("input-mismatch"):
    session = onnxruntime.InferenceSession(str(decoder), providers=["CPUExecutionProvider"])
    session.run(None, {name: array.astype(np.int32) for name, array in arrays.items()})
card("input-mismatch")

# %% tags=["mend-inputs"]
longest = input_ids[attention_mask.all(1)][0]  # a row without padding
bytes_of_int32 = longest[: longest.size // 2 * 2].astype(np.int32)
caption("mend-inputs", EXACT, "one row, and what an int64 engine reads out of its int32 bytes.")
show(
    [
        ("int64, as the tokenizer gives them", str(longest[:6].tolist())),
        ("int32 bytes, read as int64", str(bytes_of_int32.view(np.int64)[:3].tolist())),
    ],
    ["", "tokens"],
)
bound = Bound(whole.path)
again = bound(*(array.astype(bound.host[name].dtype) for name, array in arrays.items()))
print("converted to the engine's type, the logits of step 7 again:", np.array_equal(again, logits))

# %% [markdown] tags=["compatibility-text"]
"""
### GPU, driver, CUDA and TensorRT of different ages

Two of these messages can be had without a GPU: NVIDIA's own runtime on a machine without a driver, and its builder
for a card of compute capability 7.5 (a T4), for which TensorRT-RTX has no FP32 matrix products.
"""

# %% tags=["pitfall-compatibility"]
facts = environment.inspect()
RTX_BESIDE = active.name == "simulator" and trt.__builder__ == "nvidia"
if RTX_BESIDE:
    import tensorrt_rtx

    nvidia_plan = WORK / "evidence.nvidia"
    plans_of_the_simulator.extract(whole.path, nvidia_plan)  # NVIDIA's own bytes
    with provoked("cuda-compatibility") as said:
        words = Log()
        answer = tensorrt_rtx.Runtime(words).deserialize_cuda_engine(nvidia_plan.read_bytes())
        print("deserialize_cuda_engine:", answer)
        said.say(words.errors[0])
    with provoked("cuda-compatibility"):
        build("evidence_sm75", (1, 1), (8, 16), (16, 32), target="SM75")
card("cuda-compatibility")

# %% tags=["mend-compatibility"]
if RTX_BESIDE:
    half = WORK / "evidence_fp16.onnx"
    precision.to_fp16(decoder, half)
    name = engine.plan_name("evidence_fp16", "SM75").removesuffix(".plan")
    print("In FP16, for the same card:", build(name, *good, source=half, target="SM75"))
print("A name that says what a plan is for:", engine.plan_name("distilgpt2_fp32"))
gpu = facts.gpu
nothing = facts.gpu_problem or "no NVIDIA GPU, no driver"
print("This machine:", f"{gpu.name}, driver {gpu.driver}" if gpu else nothing)

# %% [markdown] tags=["libraries-text"]
"""
### cuDNN or CUDA libraries that are missing

What the loader says when a library is not there, tried with cuDNN and with the driver's own library. The cell after
it lists what the builds above have loaded: if there is a cuDNN among it, PyTorch or ONNX Runtime brought it.
"""


# %% tags=["pitfall-libraries"]
def missing(library):
    """Whether the loader does not find a library. The texts are Linux's, so elsewhere none is tried."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return sys.platform == "linux"
    return False


for library in ("libcudnn.so.9", "libcuda.so.1"):
    with provoked("missing-libraries", here=missing(library)):
        if sys.platform == "linux":
            ctypes.CDLL(library)
card("missing-libraries")

# %% tags=["mend-libraries"]
maps = Path("/proc/self/maps")
loaded = {line.split("/")[-1] for line in maps.read_text().splitlines()} if maps.exists() else set()
kinds = re.compile(r"(nvinfer|tensorrt|cudnn|cublas|cudart|nvonnxparser).*\.so")
nvidia = sorted(name for name in loaded if kinds.search(name))
caption("mend-libraries", EXACT, "NVIDIA's libraries in this process, after all those builds.")
show([(name,) for name in nvidia], ["library"])

# %% [markdown] tags=["search-text"]
"""
## When it is another message

The nine, and forty more, are searched by a command: paste the message (numbers and names may differ), or say in words
what you see. In a notebook it is a function.
"""

# %% tags=["search"]
questions = (
    "Supplied binding dimension [2,77] for bindings[0] exceed min ~ max range at index 1, maximum dimension in profile is 64",
    "ImportError: libcudnn.so.8: cannot open shared object file: No such file or directory",
    "'NoneType' object has no attribute 'create_execution_context'",
    "first call takes a hundred times longer",
)
caption("search", EXACT, 'what `python -m helpers troubleshoot "..."` finds first.')
show(
    [(question, hit.entry.title, hit.by) for question in questions for hit in search(question)[:1]],
    ["question", "found", "by"],
)

# %% tags=["time-taken"]
print(f"This run of the notebook took {time.perf_counter() - STARTED:.0f} s.")
