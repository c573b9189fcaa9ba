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
# Exercise 1: DistilBERT from PyTorch through ONNX to TensorRT

A support desk sorts its inquiries with a DistilBERT classifier. In this exercise you take that model out of
PyTorch, hand it to TensorRT's builder, run the plan that comes back, and find out what was gained, by
measurements that you would defend in front of a colleague.

You need no GPU. Plans are built by NVIDIA's own parser and builder, which run on any Linux or Windows
machine. Where there is no GPU to run them on, a simulated device executes the same model through TensorRT's
API. It is strict about the things a GPU forgives by luck, and it never pretends to be fast. So every figure
below carries one of four labels:

| Label | Meaning |
|---|---|
| **exact here** | does not depend on speed: verdicts, sizes, bytes copied, the order of events, numerical differences |
| **this machine's time** | measured now, on this machine, by the engine that is named. It says nothing about any other |
| **calculated** | follows from stated numbers and assumptions, nothing was run |
| **recorded on a GPU** | measured earlier on the GPU that is named, by the engine that is named, or *not yet run* |

You write eight short functions, each checked on the spot; what you write is what runs in the cells below it.
Plan about two hours, questions included. That is an estimate; how long the machine takes is measured by
the last cell. Figures in the text come from a cell that you can run; a name in square brackets, such as
[build-memory], stands in the caption of the cell that is meant.
"""

# %% [markdown] tags=["checks-text"]
"""
## How your functions are checked

Behind each of the eight stands a check, `check("ex1/export", export_onnx)`. It judges what your function does,
never how it is written, and says in a line for each point what was expected and what happened instead. If you
are stuck, ask: `hint("ex1/export")` in a cell of your own gives a first hint, called again a second and a third.

* **The checks that you see are not all that counts.** Each has a hidden twin, which asks the same of other
  models, shapes and inputs. A function that does what the task says need not fear it.
* **An open TODO stops nothing.** After a check that did not pass, later cells run with a stand-in for your
  function. It says so once, and it earns nothing. Run your own cell and its check again, and yours is back.
* **A graded run** begins with a fresh kernel and runs the notebook from top to bottom on the simulator, without
  a GPU. `helpers.export`, `helpers.engine` and `helpers.runtime` are absent there, because they are answers.
* The five questions at the end are read by a person.
"""

# %% [markdown] tags=["goal"]
"""
## The goal, before any code

The desk wants **3,000 classified texts a second from one T4**. Is that possible? Arithmetic answers before
any tool does.

A transformer layer of width d with an inner width f multiplies, for a text of L tokens:

* four projections (query, key, value, output): 4 · 2Ld² floating-point operations,
* scores and weighted sum of the attention: 2 · 2L²d,
* two products of the feed-forward part: 2 · 2Ldf.

Full-size DistilBERT has six layers, d = 768 and f = 3072. With L = 64 that is 5.51 GFLOP for one text, with L
= 256 it is 22.95. NVIDIA's data sheet gives a T4 8.1 TFLOP/s in FP32 and 65 TFLOP/s in FP16 on its tensor
cores. Divide:

* **64 tokens, FP32: 1,470 texts a second at the very best.** No fusion and no clever kernel gets to 3,000.
* **64 tokens, FP16: 11,800.** 3,000 needs a quarter of the peak: demanding, not absurd.
* **256 tokens, FP16: 2,830.** Out of reach even for a perfect program.

So the goal is met by FP16 on tensor cores at 64 tokens, or not at all, and *how many tokens a text may have*
matters as much as the engine. These ceilings belong to a T4 and to the full-size model. The small model that
runs here by default does a tiny part of the work; its throughput is never held against 3,000.
"""

# %% tags=["imports"]
import json
import logging
import re
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

STARTED = time.perf_counter()

import matplotlib.pyplot as plt
import numpy as np
import onnx
import pandas as pd
import torch

from helpers import backend, benchmark, data, environment, models, plots, precision
from helpers.grading import check, hint, progress
from helpers.notebook import CALCULATED, EXACT, RECORDED, TIMED, caption, draw, mib, show
from helpers.predict import predict, reveal

active = backend.activate()  # from here on `import tensorrt` works on every machine

# pycuda.autoprimaryctx takes the CUDA context that PyTorch uses too; pycuda.autoinit would make a second one
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

# %% tags=["glue-labels"]
BENCH_SECONDS = benchmark.seconds_per_point()  # time for one point of a benchmark
WORK = Path("build")
WORK.mkdir(exist_ok=True)

# %% [markdown] tags=["early-read-text"]
"""
### Your first catch: a result that is read too early

A GPU is a second computer. Calls that end in `_async` put work into its queue (a *stream*) and return at
once. The most common bug in TensorRT programs is to look at the answer before the work is done. Here it is,
on purpose, with a model of a single multiplication, `y = 2x`. Each line of this cell returns in this exercise
with an explanation; for now look at the two lines that it prints for `y`.
"""

# %% tags=["early-read"]
TWICE = """
<ir_version: 10, opset_import: ["" : 20]>
twice (float[4] x) => (float[4] y) {
    two = Constant <value_float = 2.0> ()
    y = Mul (x, two)
}
"""
logger = trt.Logger(trt.Logger.ERROR)
builder = trt.Builder(logger)
network = builder.create_network(0)
trt.OnnxParser(network, logger).parse(onnx.parser.parse_model(TWICE).SerializeToString())
plan = builder.build_serialized_network(network, builder.create_builder_config())
engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
context = engine.create_execution_context()

stream = cuda.Stream()
x, y = cuda.pagelocked_empty(4, np.float32), cuda.pagelocked_empty(4, np.float32)
x_device, y_device = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
context.set_tensor_address("x", int(x_device))
context.set_tensor_address("y", int(y_device))

x[:] = [1, 2, 3, 4]
cuda.memcpy_htod_async(x_device, x, stream)
context.execute_async_v3(stream.handle)
cuda.memcpy_dtoh_async(y, y_device, stream)

print("y, read at once:      ", y)
print("what happened:        ", backend.explain(y))
stream.synchronize()
print("y, after synchronize: ", y)
print("now:                  ", backend.explain(y))

# %% [markdown] tags=["early-read-moral"]
"""
`nan` is how the simulated device marks memory with a copy on its way: the mistake fails every time, and it is
named. A real GPU leaves whatever was in `y` before: an old answer, or by luck the right one. You have just
read the first error report of this course; `backend.explain(array)` gives you another whenever a result looks
odd.
"""

# %% [markdown] tags=["step-1"]
"""
## Step 1: the machine

What is this machine, and what would a T4 be? Tensor cores are the units that multiply small FP16 matrices in
one go. Which GPUs have them is a list, not a rule: compute capability 7.5 covers the T4 (with) and the GTX
1660 (without).
"""

# %% tags=["machine"]
facts = environment.inspect()
gpu = facts.gpu
caption(
    "machine", EXACT, f"this machine, beside a T4's data sheet. Plans run by: **{active.engine}**."
)
show(
    [
        ("GPU", gpu.name if gpu else "none", "NVIDIA T4"),
        ("compute capability", ".".join(map(str, gpu.compute_capability)) if gpu else "", "7.5"),
        ("memory", f"{gpu.memory_bytes / 1e9:.0f} GB" if gpu else "", "16 GB"),
        ("memory bandwidth", "not asked for" if gpu else "", "320 GB/s"),
        ("multiprocessors", str(gpu.multiprocessors) if gpu else "", "40, with 2,560 CUDA cores"),
        ("tensor cores", ("yes" if gpu.tensor_cores else "no") if gpu else "", "320"),
        ("peak FP32", "not asked for" if gpu else "", "8.1 TFLOP/s"),
        ("peak FP16", "not asked for" if gpu else "", "65 TFLOP/s"),
        ("CPU threads of PyTorch", str(torch.get_num_threads()), ""),
    ],
    ["", "this machine", "T4, data sheet"],
)

# TensorRT-RTX has no FP32 matrix products for a T4; the row is left out there, and every table says so.
RTX_ON_T4 = active.name == "tensorrt_rtx" and gpu is not None and gpu.compute_capability == (7, 5)
NO_FP32 = (
    "TensorRT-RTX offers no FP32 matrix products on compute capability 7.5: row left out"
    if RTX_ON_T4
    else ""
)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# %% [markdown] tags=["capacity-text"]
"""
The scenario comes with a number to distrust: *50,000 inquiries a day, ten T4 today, three after the
optimisation*. Put it into a calculation with every assumption in sight. A day has 86,400 seconds, and what
must be served is the peak, not the average.
"""

# %% tags=["capacity"]
INQUIRIES_A_DAY = 50_000
PEAK_FACTOR = 10  # assumption: the busiest minute brings ten times the average
UTILISATION = 0.6  # assumption: planned load of an instance; above it, queues grow
TARGET = 3_000  # samples a second of one optimised T4

average = INQUIRIES_A_DAY / 86_400
peak = average * PEAK_FACTOR
fleet = 3 * TARGET * UTILISATION
caption("capacity", CALCULATED, "what the scenario says, and what it leaves out.")
show(
    [
        ("inquiries a second, average", f"{average:.2f}"),
        (f"inquiries a second, peak ({PEAK_FACTOR} times the average)", f"{peak:.1f}"),
        (
            f"T4s for that peak, one sample an inquiry, {UTILISATION:.0%} load",
            f"{peak / (TARGET * UTILISATION):.4f}",
        ),
        (f"what three T4s serve at {UTILISATION:.0%} load, samples a second", f"{fleet:,.0f}"),
        ("samples that one inquiry must cause to keep three T4s busy", f"{fleet / peak:,.0f}"),
        ("throughput today of each of the ten, if three will do later", f"{3 * TARGET / 10:,.0f}"),
    ],
    ["", "value"],
)

# %% [markdown] tags=["capacity-moral"]
"""
One T4 would do, at any speed, if each inquiry were one classification. Ten instances make sense only if an
inquiry causes about as many samples as the fifth line says: say, it is compared with every article of a help
centre. Keep this habit: a throughput target without a peak factor and a utilisation is a wish.
"""

# %% tags=["ceilings"]
PEAKS = {"FP32": 8.1e12, "FP16": 65e12}  # T4, NVIDIA's data sheet


def flop_per_text(length, layers=6, width=768, inner=3072):
    """Floating-point operations of one text in the products of a transformer encoder."""
    return layers * (8 * length * width**2 + 4 * length**2 * width + 4 * length * width * inner)


ceilings = pd.DataFrame(
    [
        (
            f"T4, {name}, {length} tokens",
            f"{flop_per_text(length) / 1e9:.2f}",
            flop / flop_per_text(length),
        )
        for length in (64, 256)
        for name, flop in PEAKS.items()
    ],
    columns=["case", "GFLOP a text", "samples/s"],
)
caption(
    "ceilings",
    CALCULATED,
    "what a T4 could do at most with full-size DistilBERT, at its data sheet's peak.",
)
show(ceilings)
plots.ceilings(ceilings, goal=TARGET, title="The most that a T4 could give (calculated)").show()

# %% [markdown] tags=["step-2"]
"""
## Step 2: the model and 2,500 texts

By default this is a small DistilBERT of two layers, trained for this course on generated inquiries in four
languages; set `MODEL=full` before you start for the real size. Attention is `eager`: written out as plain
matrix products, because the fused attention of PyTorch turns into nearly twice as many layers for TensorRT's
parser.
"""

# %% tags=["model"]
classifier = models.load_classifier()
texts = data.load_texts(2500)
tokenizer, model = classifier.tokenizer, classifier.model.to(DEVICE)
config = model.config
work = {n: flop_per_text(n, config.n_layers, config.dim, config.hidden_dim) for n in (64, 256)}
# The full-size model would keep a CPU busy for an hour: fewer texts and batch sizes there, and the tables say which.
SLOW = classifier.size == "full" and DEVICE.type == "cpu"
EVALUATED = 128 if SLOW else len(texts)

caption("model", EXACT, "the model and its texts.")
show(
    [
        ("model", classifier.name),
        ("weights from", classifier.source),
        ("labels", ", ".join(classifier.label_names)),
        ("parameters", f"{classifier.parameters:,}"),
        ("weights in memory, FP32", mib(classifier.weight_bytes)),
        ("work for a text of 64 tokens", f"{work[64] / 1e9:.3f} GFLOP"),
        ("texts", f"{len(texts):,} from {texts.source}"),
        ("the first", texts.texts[0][:160]),
    ],
    ["", "value"],
)

# %% tags=["lengths"]
lengths = data.token_lengths(tokenizer, texts)
cut = [f"{share:.1%} are longer than {limit} tokens" for limit, share in lengths.truncated]
caption("lengths", EXACT, "tokens of a text before anything is cut off.")
show(
    [
        (
            lengths.count,
            lengths.minimum,
            lengths.p5,
            lengths.median,
            lengths.p95,
            lengths.maximum,
            "; ".join(cut),
        )
    ],
    ["texts", "min", "p5", "median", "p95", "max", ""],
)

figure, axes = plt.subplots(figsize=(8, 2.8))
axes.hist(lengths.lengths, bins=50, color="#0072B2", edgecolor="white", linewidth=0.4)
for limit, share in lengths.truncated:
    axes.axvline(limit, color="#333333", linestyle="--")
    axes.text(limit, axes.get_ylim()[1] * 0.9, f" {limit} tokens: {share:.1%} cut")
axes.set(xlabel="tokens", ylabel="texts")
axes.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
draw(
    figure,
    f"Histogram of tokens a text: median {lengths.median:.0f}, most {lengths.maximum}; {'; '.join(cut)}.",
)

# %% [markdown] tags=["batches-text"]
"""
Every text is padded or cut to 64 tokens and the texts are handed over in batches of 16, 32, 64 or 128. None
of these sizes divides 2,500, so the last batch is smaller. Remember it; it decides over right and wrong twice
below.
"""

# %% tags=["batches"]
LENGTH = 64
BATCHES = (16, 32) if SLOW else data.BATCH_SIZES
encoded = data.encode(tokenizer, texts, LENGTH)
loaders = data.loaders(encoded, BATCHES)
caption(
    "batches", EXACT, "the loaders. A batch is two int64 arrays, `input_ids` and `attention_mask`."
)
show(
    [
        (size, len(loader), len(loader[0][0]), len(loader[-1][0]))
        for size, loader in loaders.items()
    ],
    ["batch size", "batches", "rows of the first", "rows of the last"],
)

# %% [markdown] tags=["predict-1-text"]
"""
**Predict.** Four times in this notebook you put down a guess before the answer is measured. Guesses are not
graded and never stop anything; replace what stands there. First: how many bytes of input have to travel to
the GPU for one batch of 16?
"""

# %% tags=["predict-1"]
predict("input bytes of a batch of 16", 131_072, unit="bytes")

# %% [markdown] tags=["step-3"]
"""
## Step 3: the PyTorch baseline

A comparison is only as good as its boundaries. Ours are the same for every engine: **from NumPy arrays in the
host's memory to logits in the host's memory**, with every copy and every wait inside. Each shape is warmed up
first, a smaller last batch counts as the rows that it has, and what is shown is a median with the 5th and
95th percentile.

The memory column is the peak of what PyTorch allocates beyond the weights while one batch runs.
"""


# %% tags=["pytorch"]
def torch_runner(module):
    """A function from a batch (NumPy) to logits (NumPy): host to host, and done when it returns."""

    def run(input_ids, attention_mask):
        with torch.inference_mode():
            ids, mask = (
                torch.from_numpy(input_ids).to(DEVICE),
                torch.from_numpy(attention_mask).to(DEVICE),
            )
            return module(input_ids=ids, attention_mask=mask).logits.float().cpu().numpy()

    return run


torch_engine = f"PyTorch {torch.__version__.split('+')[0]}, eager, on {'the GPU' if DEVICE.type == 'cuda' else 'CPU'}"
pytorch = {"PyTorch FP32": torch_runner(model)}
if DEVICE.type == "cuda":  # pragma: no cover - needs a GPU
    import copy

    # so that what FP16 alone brings is not put down to TensorRT's account
    pytorch["PyTorch FP16"] = torch_runner(copy.deepcopy(model).half())

# %% tags=["baseline"]
baseline = [
    benchmark.measure(label, run, loader, engine=torch_engine)
    for label, run in pytorch.items()
    for loader in loaders.values()
]
torch_peak = {
    (label, size): benchmark.pytorch_peak_bytes(run, *loader[0])
    for label, run in pytorch.items()
    for size, loader in loaders.items()
}
caption("baseline", TIMED, f"run by {torch_engine}. The last column is *{EXACT}*.")
show(
    [
        (
            m.label,
            m.batch,
            m.samples_per_second,
            m.median_ms,
            m.p5_ms,
            m.p95_ms,
            m.repeats,
            mib(torch_peak[m.label, m.batch]),
        )
        for m in baseline
    ],
    [
        "configuration",
        "batch",
        "samples/s",
        "median ms",
        "p5 ms",
        "p95 ms",
        "repeats",
        "peak memory",
    ],
)
if "PyTorch FP16" not in pytorch:
    print(
        "PyTorch FP16: not measured. A CPU has no FP16 arithmetic to speak of; the row returns on a GPU."
    )

# %% [markdown] tags=["baseline-text"]
"""
Two things to keep. Memory doubles with the batch, because PyTorch allocates what the batch needs. And
whether a larger batch is faster per text has to be looked up, here and again in [results], where the engines
take turns: on a CPU caches decide that, on a GPU the question is from which size on all its units are busy.

## Step 4: from PyTorch to a plan

TensorRT does not read PyTorch. The way leads through **ONNX**, a file format for the graph of a model and its
weights, and then through four objects:

| Object | What it is |
|---|---|
| **builder** | the compiler. Everything starts from it |
| **network** | the graph, as TensorRT's **parser** read it from ONNX |
| **config** | how to build: memory limit, precision switches, optimization profiles |
| **plan** | the result: bytes for a file, for one kind of GPU and one version of TensorRT |

An **optimization profile** tells the builder for each input the smallest, the usual and the largest shape
that will come. Kernels are chosen for the usual one, memory is planned for the largest, and what lies outside
is refused.

One more habit before the first TODO. TensorRT's calls seldom raise; they return `False` or `None` and write
the reason into a log. So a program must look at each result, and keep the log.
"""


# %% tags=["glue-log"]
class Log(trt.ILogger):
    """Keeps every line that TensorRT writes, down to VERBOSE, and prints the errors."""

    def __init__(self, echo=True):
        trt.ILogger.__init__(self)
        self.lines, self.echo = [], echo

    def log(self, severity, text):
        self.lines.append((severity.name, text))
        if self.echo and "ERROR" in severity.name:
            print(f"TensorRT says: {text}")

    def texts(self, severity):
        return [text for name, text in self.lines if severity in name]

    def figure(self, what):
        """The number of bytes that follows `what:` in the log."""
        found = [re.search(rf"{what}: (\d+) bytes", text) for _, text in self.lines]
        return max((int(match[1]) for match in found if match), default=0)


NETWORK_FLAGS = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)  # for TODO 2


# %% [markdown] tags=["todo-export-text"]
"""
### TODO 1: PyTorch to ONNX (about 10 minutes, an estimate like all that follow)

Write `export_onnx(model, path)`. Use `torch.onnx.export` with example inputs; the exporter follows them
through the model.

* Both inputs are int64 `[batch, sequence]`, named `input_ids` and `attention_mask`; the output is named
  `logits`. Give two *different* tensors, or the exporter takes the two inputs for one.
* Both axes are dynamic: `dynamic_shapes` with one `torch.export.Dim` each, shared by the inputs; batch 1 to
  256, sequence 2 to 512 (any limits will do that let our batches through). An example batch of 1 may be taken
  for a constant, so use at least 2. Logits have a batch axis, and *no* sequence axis.
* `dynamo=True`, `opset_version=20`, and `external_data=False`, which keeps the weights in the one file.
"""


# %% tags=["todo-export"]
def export_onnx(model, path):
    """Write `model` to the ONNX file `path`: input_ids, attention_mask -> logits, batch and sequence dynamic."""
    ### BEGIN SOLUTION
    device = next(model.parameters()).device
    ids = torch.randint(0, model.config.vocab_size, (2, 16), device=device)
    mask = torch.ones_like(ids)
    axes = {
        0: torch.export.Dim("batch", min=1, max=256),
        1: torch.export.Dim("sequence", min=2, max=512),
    }
    torch.onnx.export(
        model, (ids, mask), str(path), input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes=(axes, axes), dynamo=True, opset_version=20, external_data=False, verbose=False,
    )  # fmt: skip
    ### END SOLUTION


# %% [markdown] tags=["first-check-text"]
"""
The first check. Remember that it is not all that counts: its hidden twin exports another model.
"""

# %% tags=["check-export"]
check("ex1/export", export_onnx)

# %% tags=["export"]
onnx_fp32 = WORK / "distilbert_fp32.onnx"
seconds = time.perf_counter()
logging.getLogger("torch.onnx").setLevel(
    logging.ERROR
)  # it would list packages that nobody needs here
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    export_onnx(model, onnx_fp32)
seconds = time.perf_counter() - seconds

graph = onnx.load(str(onnx_fp32)).graph
onnx.checker.check_model(str(onnx_fp32), full_check=True)


def declared(tensor):
    kind = tensor.type.tensor_type
    shape = ", ".join(d.dim_param or str(d.dim_value) for d in kind.shape.dim)
    return f"{onnx.TensorProto.DataType.Name(kind.elem_type).lower()} [{shape}]"


caption("export", EXACT, f"what the ONNX file declares. (Exported in {seconds:.1f} s, {TIMED}.)")
show(
    [(t.name, "input", declared(t)) for t in graph.input]
    + [(t.name, "output", declared(t)) for t in graph.output]
    + [("nodes", "", str(len(graph.node))), ("file", "", mib(onnx_fp32.stat().st_size))],
    ["", "role", "type and shape"],
)

# %% [markdown] tags=["todo-parse-text"]
"""
### TODO 2: ONNX to a network (about 5 minutes)

Write `parse_network(builder, onnx_path, logger)`: make a network, let a `trt.OnnxParser` read the file,
return the network. `parse` answers `False` when it fails and goes on as if nothing had happened; then the
*build* fails, much later and for another reason. So stop here: raise a `RuntimeError` whose text holds the
parser's first error, `parser.get_error(0).desc()`, and the name of the file.

`NETWORK_FLAGS` is given, above with the log. TensorRT 10 has to be told that the types in the graph are meant
(`STRONGLY_TYPED`); 11 and RTX know no other way. It is written by name because the numbers behind the names
changed from version to version.
"""


# %% tags=["todo-parse"]
def parse_network(builder, onnx_path, logger):
    """The network in the ONNX file. Raises RuntimeError with the parser's first error."""
    ### BEGIN SOLUTION
    network = builder.create_network(NETWORK_FLAGS)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(Path(onnx_path).read_bytes()):
        reason = parser.get_error(0).desc() if parser.num_errors else "no reason given"
        raise RuntimeError(f"{onnx_path} could not be parsed: {reason}")
    return network
    ### END SOLUTION


# %% tags=["check-parse"]
check("ex1/parse", parse_network)

# %% [markdown] tags=["todo-profile-text"]
"""
### TODO 3: the optimization profile (about 5 minutes)

Write `add_profile(builder, config, network, smallest, usual, largest)`. The three shapes, such as `(16, 64)`,
hold for *every* input of the network: ask the network for their names (`network.num_inputs`,
`network.get_input(i).name`). An input that is left out makes the build fail; a misspelled name is ignored
without a word. `config.add_optimization_profile` answers with the index of the profile, or with -1 if it was
refused: then raise a `ValueError`.
"""


# %% tags=["todo-profile"]
def add_profile(builder, config, network, smallest, usual, largest):
    """Add a profile with these shapes for every input of the network; return its index. ValueError if it is refused."""
    ### BEGIN SOLUTION
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, smallest, usual, largest)
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError(
            f"profile refused: expected {smallest} <= {usual} <= {largest} in every dimension"
        )
    return index
    ### END SOLUTION


# %% tags=["check-profile"]
check("ex1/profile", add_profile)

# %% [markdown] tags=["todo-build-text"]
"""
### TODO 4: the build (about 10 minutes)

Write `build_plan(builder, network, config, path, workspace)`:

* limit the scratch memory that kernels may ask for to `workspace` bytes: `config.set_memory_pool_limit` with
  `trt.MemoryPoolType.WORKSPACE`;
* switch TF32 off: `config.clear_flag(trt.BuilderFlag.TF32)`. It is on by default, and from Ampere on it would
  round FP32 products to 10 bits. We compare with PyTorch, so FP32 has to mean FP32;
* build with `builder.build_serialized_network`. It returns `None` when it fails: raise a `RuntimeError`
  *before* the file is opened for writing, or a failed build takes the last good plan with it;
* write the plan to `path` and return its size in bytes: `plan.nbytes`, or that of the file.
"""


# %% tags=["todo-build"]
def build_plan(builder, network, config, path, workspace=4 << 30):
    """Build and write the plan; return its number of bytes. RuntimeError, and the old file untouched, if it fails."""
    ### BEGIN SOLUTION
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    config.clear_flag(trt.BuilderFlag.TF32)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError(f"the build of {path} failed; the first error in the log says why")
    Path(path).write_bytes(plan)
    return plan.nbytes
    ### END SOLUTION


# %% tags=["check-build"]
check("ex1/build", build_plan)

# %% [markdown] tags=["build-text"]
"""
### FP32, worked

The four functions in a row are a build. The next cell is the glue, the one after it the first engine: FP32, 64
tokens, batches from 16 to 128, made for 32. Two settings in it serve this notebook only: detailed profiling makes the
log list the finished engine's layers, and TensorRT-RTX on a GPU is told to build for that GPU.
"""


# %% tags=["glue-build"]
@dataclass
class Built:
    """A plan, and what the builder's log said about it."""

    label: str
    path: Path
    plan_bytes: int
    seconds: float
    network_layers: int
    engine_layers: list
    activation_bytes: int
    weight_bytes: int
    log: Log


def engine_layers(log):
    """The finished engine's layers, as the VERBOSE log lists them: (kind, name)."""
    found = []
    for text in log.texts("VERBOSE"):
        if text.startswith(("Layers:", "Engine Layer Information")):
            found += re.findall(r"^Name: (.*?), LayerType: (\w+)", text, re.MULTILINE)
            found += [
                (name, kind)
                for kind, name in re.findall(r"^Layer\(([^)]*)\): ([^,]*)", text, re.MULTILINE)
            ]
    return found


def build(label, onnx_path, smallest, usual, largest):
    log = Log()
    builder = trt.Builder(log)
    network = parse_network(builder, onnx_path, log)
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if active.name == "tensorrt_rtx":  # pragma: no cover - needs a GPU
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.CURRENT, 0)
    add_profile(builder, config, network, smallest, usual, largest)
    path = WORK / f"{re.sub('[^a-z0-9]+', '_', label.lower())}.plan"
    start = time.perf_counter()
    size = build_plan(builder, network, config, path)
    seconds = time.perf_counter() - start
    activations, weights = log.figure("Total Activation Memory"), log.figure("Total Weights Memory")
    return Built(
        label,
        path,
        size,
        seconds,
        network.num_layers,
        engine_layers(log),
        activations,
        weights,
        log,
    )


# %% tags=["build-fp32"]
plans = {}
if NO_FP32:  # pragma: no cover - needs a T4
    print(NO_FP32)
else:
    plans["FP32"] = build("FP32", onnx_fp32, (16, LENGTH), (32, LENGTH), (128, LENGTH))
    print(
        f"{plans['FP32'].path}: {plans['FP32'].plan_bytes:,} bytes, built in {plans['FP32'].seconds:.2f} s"
    )

# %% [markdown] tags=["todo-fp16-text"]
"""
### TODO 5: FP16 (about 10 minutes)

Older tutorials set `BuilderFlag.FP16` and let TensorRT choose. The flag is deprecated since 10.12 and gone
from 11 and RTX: today the precision stands **in the ONNX graph**, and the builder obeys. So FP16 is made
before TensorRT sees anything.

Write `to_fp16(source, target)`: read the FP32 ONNX file `source` and write the same model in FP16 to `target`.
What must hold:

* `target` is one valid ONNX file, weights included; `source` stays as it is;
* weights and activations are FP16;
* the int64 inputs stay as they are, the logits are FP16 or FP32; inputs and outputs keep their names (what lies
  between may be called anything);
* it still computes the same, and nothing overflows. FP16 ends at 65,504, and the model hides its padding with
  -3.4e38: whatever does not fit has to become a number that does. A score, say -20, is still added to it, and
  in a text of nothing but padding every score is hidden; neither may end in infinity or NaN.

How is up to you: `precision.to_fp16` of this course's library, Microsoft's converter itself
(`onnxconverter_common.float16`, see what it does with large numbers), or your own walk over the graph.
"""


# %% tags=["todo-fp16"]
def to_fp16(source, target):
    """Write the FP32 model in the ONNX file `source` as an FP16 model to the ONNX file `target`."""
    ### BEGIN SOLUTION
    precision.to_fp16(source, target)
    ### END SOLUTION


# %% tags=["check-fp16"]
check("ex1/fp16", to_fp16)

# %% [markdown] tags=["predict-2-text"]
"""
Next our model is converted and the plan "FP16" built, with the same profile as FP32. Guess first: how large will
the FP16 plan be, as a fraction of the FP32 plan?
"""

# %% tags=["predict-2"]
predict("FP16 plan over FP32 plan", 0.5, unit="times")

# %% tags=["build-fp16"]
onnx_fp16 = WORK / "distilbert_fp16.onnx"
to_fp16(onnx_fp32, onnx_fp16)
plans["FP16"] = build("FP16", onnx_fp16, (16, LENGTH), (32, LENGTH), (128, LENGTH))
print(
    f"{onnx_fp16}: {mib(onnx_fp16.stat().st_size)}, {onnx_fp32}: {mib(onnx_fp32.stat().st_size)}; "
    f"plan built in {plans['FP16'].seconds:.2f} s"
)

# %% [markdown] tags=["long-text"]
"""
### 256 tokens

The plans above know 64 tokens and nothing else. For 256 tokens the ONNX files are good as they are, their
sequence axis is dynamic. What is needed is a profile of its own, here for batches 1, 32 and 128.
"""

# %% tags=["build-256"]
LONG = 256
if not NO_FP32:
    plans["FP32, 256 tokens"] = build(
        "FP32, 256 tokens", onnx_fp32, (1, LONG), (32, LONG), (128, LONG)
    )
plans["FP16, 256 tokens"] = build("FP16, 256 tokens", onnx_fp16, (1, LONG), (32, LONG), (128, LONG))

# %% tags=["builds"]
caption(
    "builds",
    EXACT,
    f"plans by {active.builder}; sizes from the plan and from its log. Seconds: *{TIMED}*.",
)
show(
    [
        (
            p.label,
            p.plan_bytes,
            p.weight_bytes,
            p.activation_bytes,
            p.network_layers,
            len(p.engine_layers),
            p.seconds,
        )
        for p in plans.values()
    ],
    [
        "plan",
        "plan bytes",
        "weights, bytes",
        "activations, bytes",
        "network layers",
        "engine layers",
        "build s",
    ],
)
if NO_FP32:  # pragma: no cover - needs a T4
    print(NO_FP32)
else:
    reveal("FP16 plan over FP32 plan", plans["FP16"].plan_bytes / plans["FP32"].plan_bytes)

# %% [markdown] tags=["builds-text"]
"""
Half the weights, but not half the plan: a plan also holds kernels and tables, and those do not shrink with
the precision. In the small model they outweigh the weights; at full size the weights are nearly everything.

Now compare the activations at 256 tokens. FP16 needs far less than half of what FP32 needs, and the reason is
not the precision alone. For FP16 this builder has a fused attention, which never writes the scores of all
pairs of tokens to memory; for FP32 it has none here, and that square of 256 by 256 exists for each head of
each text.

The seconds in the last column are the compile time of the plan. TensorRT-RTX compiles the final kernels only
when a plan first runs on its GPU, so its short builds are not the whole price; TensorRT 10 and 11 time
kernels on the GPU during the build, and take longer.

What did the builder say on the way? Read warnings as what they are.
"""

# %% tags=["warnings"]
caption("warnings", EXACT, "every warning of the builds, and how many of the plans it came up in.")
counts = pd.Series(
    [text for p in plans.values() for text in set(p.log.texts("WARNING"))], dtype=str
).value_counts()
show(list(counts.items()), ["warning", "plans"])

# %% [markdown] tags=["warnings-text"]
"""
*"Make sure input input_ids has Int64 binding"* is a demand, not a service: **you** must bind a buffer of
int64. Give it int32 and TensorRT reads two tokens as one number.

A second warning, *"Running layernorm after self-attention with FP16 Reduce or Pow may cause overflow"*, comes
with FP16 graphs of older exports, in which LayerNorm is written out as single steps. It says that those steps
**do** run in FP16 and may overflow, not that someone keeps them in FP32. Our export has LayerNorm as one
operator (from opset 17 on), and there the ONNX standard itself asks for the statistics in FP32
(`stash_type`). In a strongly typed network the graph decides; nobody changes a precision behind your back,
for better or worse.

### What became of the layers

Fusion means that several layers become one kernel, so that intermediate results need not travel through the
GPU's memory. The network has as many layers as the parser read. The engine has those that NVIDIA's VERBOSE
log lists at the end of the build.
"""

# %% tags=["fusion"]
steps = {"nodes of the ONNX graph": len(graph.node)}
steps_of = [label for label in ("FP32", "FP16") if label in plans]
for label in steps_of:
    steps |= {f"{label}: layers of the network": plans[label].network_layers}
    steps |= {f"{label}: layers of the engine": len(plans[label].engine_layers)}
first = plans.get("FP32", plans["FP16"])
caption(
    "fusion",
    EXACT,
    f"{first.label}: {first.network_layers} layers became {len(first.engine_layers)}.",
)
kinds = pd.DataFrame(
    [(label, kind) for label in steps_of for _, kind in plans[label].engine_layers],
    columns=["plan", "kind of engine layer"],
)
show(pd.crosstab(kinds["kind of engine layer"], kinds["plan"]).reset_index())
for label in steps_of:
    print(f"{label}, the engine's first layers in NVIDIA's words:")
    for name, kind in plans[label].engine_layers[:10]:
        print(f"{kind:>12}  {name[:90]}")

figure, axes = plt.subplots(figsize=(8, 2.2))
axes.bar_label(axes.barh(list(steps), list(steps.values()), color="#0072B2"), padding=4)
axes.invert_yaxis()
axes.set_xlim(0, max(steps.values()) * 1.15)
axes.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
draw(figure, "Bars: " + "; ".join(f"{what} {count}" for what, count in steps.items()) + ".")

# %% [markdown] tags=["fusion-text"]
"""
Read the names, which list what went into a kernel. `gemm` is a matrix product, `kgen` a kernel that the
builder generated for this model: `CastGathGathAddMeanSub...` holds both embeddings, their sum, and the
LayerNorm behind it, in one. FP16 has fewer matrix products than FP32, because those of the attention have
gone into one kernel (`mha`, multi-head attention): the fused attention from above. And its LayerNorms have a
`Cast` before `Mean` and another one after the division: the statistics in FP32, as the standard asks.
"""

# %% [markdown] tags=["predict-3-text"]
"""
### What the largest batch costs

A plan reserves activation memory for the *largest* shape of its profile, whatever comes later. Guess by which
factor it grows when the maximum batch doubles from 128 to 256; then four builds tell.
"""

# %% tags=["predict-3"]
predict("activation memory for a maximum batch of 256 over 128", 2, unit="times")

# %% tags=["build-memory"]
which, source = ("FP16", onnx_fp16) if NO_FP32 else ("FP32", onnx_fp32)
by_top = {
    top: build(f"{which}, max batch {top}", source, (1, LENGTH), (32, LENGTH), (top, LENGTH))
    for top in (32, 64, 128, 256)
}
caption(
    "build-memory",
    EXACT,
    f"{which} plans for a maximum batch of 32 to 256, figures from NVIDIA's build log.",
)
show(
    [
        (
            top,
            p.weight_bytes,
            p.activation_bytes,
            p.activation_bytes / by_top[32].activation_bytes,
            p.plan_bytes,
        )
        for top, p in by_top.items()
    ],
    [
        "max batch",
        "weights, bytes",
        "activations, bytes",
        "activations against max batch 32",
        "plan bytes",
    ],
)
reveal(
    "activation memory for a maximum batch of 256 over 128",
    by_top[256].activation_bytes / by_top[128].activation_bytes,
)
plots.build_memory(
    pd.DataFrame(
        [(which, top, p.activation_bytes) for top, p in by_top.items()],
        columns=["configuration", "max batch", "activation bytes"],
    )
).show()

# %% [markdown] tags=["step-5"]
"""
## Step 5: from a plan to answers

At run time there are three objects: the **runtime** reads a plan and makes an **engine** (weights and
kernels), and an engine makes **execution contexts** (activation memory, current shapes and addresses).
TensorRT allocates no memory for inputs and outputs: you do, twice for each tensor. *Pinned* host memory stays
where it is in RAM, so that the GPU can copy by itself while your program goes on; from ordinary (pageable)
memory a copy holds your program up, async or not.

### TODO 6: the buffers (about 10 minutes)

Write `allocate_buffers(engine, context)`: for each input and output one `Buffer` with a flat pinned array and
device memory, large enough for the profile's maximum. Allocate once and use for ever.

* names: `engine.get_tensor_name(i)` for `i` below `engine.num_io_tensors`;
* largest shape of an input: `engine.get_tensor_profile_shape(name, 0)[2]`. Set it with
  `context.set_input_shape`, for all inputs, and the context knows the largest outputs:
  `context.get_tensor_shape(name)`. The engine would say -1 for a dynamic axis, and the volume of such a shape
  is negative;
* element type: `trt.nptype(engine.get_tensor_dtype(name))`. Take it from the engine; inputs are int64 here,
  logits FP32 or FP16;
* `cuda.pagelocked_empty(trt.volume(shape), dtype)` and `cuda.mem_alloc(nbytes)`.

More memory than needed is right too, and which shape the context has afterwards does not matter.
"""


# %% tags=["glue-buffer"]
@dataclass
class Buffer:
    """Host and device memory of one tensor: `host` is a flat pinned array, `device` an allocation of as many bytes."""

    host: np.ndarray
    device: object


# %% tags=["todo-buffers"]
def allocate_buffers(engine, context):
    """A Buffer for every tensor of the engine, by name, large enough for the profile's maximum."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    ### BEGIN SOLUTION
    for name in names:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[2])
    buffers = {}
    for name in names:
        dtype = trt.nptype(engine.get_tensor_dtype(name))
        host = cuda.pagelocked_empty(trt.volume(context.get_tensor_shape(name)), dtype)
        buffers[name] = Buffer(host, cuda.mem_alloc(host.nbytes))
    return buffers
    ### END SOLUTION


# %% tags=["check-buffers"]
check("ex1/buffers", allocate_buffers)

# %% [markdown] tags=["todo-enqueue-text"]
"""
### TODO 7: one inference (about 15 minutes)

Write the middle of `enqueue(context, buffers, stream, inputs)`, which takes a dictionary of NumPy arrays, in the
engine's element types, and returns a dictionary of outputs. Its ends are given, with `used(name)`: the part of a
tensor's pinned buffer that this batch needs, in the shape that the context has for it.

1. For each input: `context.set_input_shape(name, shape)`. It answers `False` for a shape outside the profile;
   raise a `ValueError` then, or the engine computes with the shape of the last call. Only after that write
   the array into `used(name)` and copy it: `cuda.memcpy_htod_async(device, host, stream)`. Copying the whole
   buffer would move the maximum batch for every small one.
2. `context.set_tensor_address(name, int(device))` for all tensors, in each call: the next one may bring other
   buffers.
3. `context.execute_async_v3(stream.handle)`; look at what it returns.
4. For each output: an asynchronous copy into `used(name)`.
5. `stream.synchronize()`, once, after everything was enqueued. Only now are the results there. The last line
   hands out copies, because the buffers belong to the next call.

One stream is enough. Copies on streams of their own are right as well, if events keep the order.
"""


# %% tags=["todo-enqueue"]
def enqueue(context, buffers, stream, inputs):
    """Run one batch: NumPy arrays by input name -> NumPy arrays by output name. ValueError if a shape is refused."""
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        """The first elements of a host buffer, as many as this batch has, in its shape."""
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    ### BEGIN SOLUTION
    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{name}: {array.shape} lies outside the profile")
        used(name)[...] = array
        cuda.memcpy_htod_async(buffers[name].device, used(name), stream)
    for name, buffer in buffers.items():
        context.set_tensor_address(name, int(buffer.device))
    if not context.execute_async_v3(stream.handle):
        raise RuntimeError("the execution was refused; the log says why")
    for name in outputs:
        cuda.memcpy_dtoh_async(used(name), buffers[name].device, stream)
    stream.synchronize()
    ### END SOLUTION
    return {name: used(name).copy() for name in outputs}


# %% tags=["check-enqueue"]
check("ex1/enqueue", enqueue)

# %% [markdown] tags=["inference-text"]
"""
The class around it is given. Note the order in which things are made, and that everything expensive happens
in `__init__`.
"""


# %% tags=["glue-inference"]
class Inference:
    """A plan, ready to run: `inference(input_ids=..., attention_mask=...)["logits"]`."""

    def __init__(self, plan_path, echo=True):
        self.log = Log(echo)
        self.runtime = trt.Runtime(self.log)
        self.engine = self.runtime.deserialize_cuda_engine(Path(plan_path).read_bytes())
        if self.engine is None:
            raise RuntimeError(
                f"{plan_path} is no plan for this TensorRT and this GPU; see the log"
            )
        self.context = self.engine.create_execution_context()
        self.stream = cuda.Stream()
        self.buffers = allocate_buffers(self.engine, self.context)

    def __call__(self, **inputs):
        return enqueue(self.context, self.buffers, self.stream, inputs)


def trt_runner(inference):
    """A function from a batch to logits, with the same boundaries as PyTorch's: host to host."""

    def run(input_ids, attention_mask):
        return inference(input_ids=input_ids, attention_mask=attention_mask)["logits"]

    return run


# %% tags=["engines"]
engines = {label: Inference(p.path) for label, p in plans.items()}
runners = {label: trt_runner(engine) for label, engine in engines.items()}
main = "FP16" if NO_FP32 else "FP32"  # the engine that most cells below look at


# %% tags=["record"]
def events_of(run, batch):
    """What the device did for one call. Only the simulated device keeps a record."""
    before = backend.record_length()
    run(*batch)
    return backend.record(before)


if active.simulated:
    runners[main](*loaders[16][0])
    events = events_of(runners[main], loaders[16][0])
    caption("record", EXACT, "the device's record of one batch of 16, in order.")
    show(
        [
            (e["op"], e["tensor"], e["nbytes"], e["memory"], e["stream"], str(e["shapes"] or ""))
            for e in events
        ],
        ["operation", "tensor", "bytes", "host memory", "stream", "shapes"],
    )
    copied = sum(event["nbytes"] for event in events if event["op"] == "htod")
else:  # pragma: no cover - needs a GPU
    print(
        "A real GPU keeps no record of copies; the figure below is what the arrays of the batch hold."
    )
    copied = sum(array.nbytes for array in loaders[16][0])
reveal("input bytes of a batch of 16", copied)
whole = sum(engines[main].buffers[name].host.nbytes for name in ("input_ids", "attention_mask"))
print(
    f"Copying the whole buffers instead, as is often seen: {whole:,} bytes, {whole / copied:.0f} times as many."
)

# %% [markdown] tags=["parity-text"]
"""
### Is it right?

Speed comes second. All texts go through PyTorch and through each engine. For FP32 the logits must agree
within 1e-4. For FP16 they must agree within 2e-2, and the labels on at least 99.5 % of the texts; those that
differ are listed with the margin by which PyTorch preferred its own label. A small margin is a coin that lay
on its edge.
"""


# %% tags=["parity"]
def all_logits(run, rows=EVALUATED, size=128):
    """Logits of the first texts, in batches."""
    some = data.Encoded(encoded.input_ids[:rows], encoded.attention_mask[:rows])
    return np.concatenate([run(*batch) for batch in data.batches(some, size)]).astype(np.float32)


expected = all_logits(pytorch["PyTorch FP32"])
TOLERANCE = {"FP32": 1e-4, "FP16": 2e-2}
arithmetic = {
    "FP32": "FP32",
    "FP16": precision.STORAGE if active.simulated else "FP16 on the GPU",
}
parity = {
    label: benchmark.agreement(expected, all_logits(runners[label]))
    for label in TOLERANCE
    if label in runners
}
caption("parity", EXACT, f"{EVALUATED:,} texts against PyTorch FP32.")
show(
    [
        (label, arithmetic[label], f"{a.max_abs_diff:.1e}", f"{TOLERANCE[label]:.0e}",
         "yes" if a.max_abs_diff <= TOLERANCE[label] else "NO", f"{a.label_agreement:.2%}", len(a.differing))
        for label, a in parity.items()
    ],
    ["engine", "arithmetic", "largest difference", "allowed", "within", "labels agree", "labels that differ"],
)  # fmt: skip
for label, a in parity.items():
    for d in a.differing:
        names = classifier.label_names
        print(
            f"{label}, text {d.index}: {names[d.expected]} became {names[d.actual]}; margin {d.margin:.4f}"
        )
right = data.Texts(
    texts.texts[:EVALUATED], texts.labels[:EVALUATED], texts.label_names, texts.source
)
accuracy = data.accuracy(expected.argmax(1), right, classifier.label_names)
if accuracy is not None:
    print(f"PyTorch's own accuracy on these texts: {accuracy:.1%}")

# %% [markdown] tags=["fp16-honesty-text"]
"""
### What FP16 means here, and what it does not

FP16 ends at 65,504. A CPU has little FP16 arithmetic, so ONNX Runtime *stores* tensors in FP16 there and
*computes* in FP32. Such a run cannot show an overflow in the middle of a computation. The reference evaluator
of ONNX rounds after every operator, as FP16 hardware does; it is slow and honest. A planted overflow tells
the two apart: `x * 300 * 300 / 300 / 300` is `x` on paper, and passes through 90,000 on the way.
"""

# %% tags=["overflow"]
planted = WORK / "planted_overflow.onnx"
precision.planted_overflow(planted)
overflow_plan = build("planted overflow", planted, (1,), (4,), (8,))
x = np.array([0.25, 1.0, 2.0], np.float16)
by_engine = Inference(overflow_plan.path)(x=x)["y"]
by_reference = precision.true_fp16_outputs(planted, {"x": x})["y"]
caption("overflow", EXACT, "the same FP16 graph twice. On paper y = x.")
show(
    {
        "x": x,
        f"y, {active.engine} ({arithmetic['FP16']})": by_engine,
        f"y, {precision.TRUE_FP16}": by_reference,
    }
)
print(f"{active.engine}: {'passes' if np.array_equal(by_engine, x) else 'does not return x'}.")
print(f"{precision.TRUE_FP16}: {precision.first_non_finite(planted, {'x': x})}.")

# %% tags=["true-fp16"]
if classifier.size == "small":
    rows = 64
    feeds = {"input_ids": encoded.input_ids[:rows], "attention_mask": encoded.attention_mask[:rows]}
    both = {
        arithmetic["FP16"]: runners["FP16"](**feeds),
        precision.TRUE_FP16: precision.true_fp16_outputs(onnx_fp16, feeds)["logits"],
    }
    caption("true-fp16", EXACT, f"our FP16 graph on {rows} texts, both ways, against PyTorch FP32.")
    against = {name: benchmark.agreement(expected[:rows], logits) for name, logits in both.items()}
    show(
        [
            (name, f"{a.max_abs_diff:.1e}", f"{a.label_agreement:.1%}")
            for name, a in against.items()
        ],
        ["arithmetic", "largest difference", "labels agree"],
    )
    print(
        "First operator without a finite result in true FP16:",
        precision.first_non_finite(onnx_fp16, feeds) or "none",
    )
else:
    print("Left out at full size: the reference evaluator would need hours.")

# %% [markdown] tags=["predict-4-text"]
"""
### The edges of a profile

The FP32 plan was built for batches 16 to 128. What does `context.set_input_shape` return for a batch of 129?
(A word will do: `True`, `False`, `None`, `an exception`.)
"""

# %% tags=["predict-4"]
predict("set_input_shape for a batch of 129 returns", "an exception")


# %% tags=["batch-limits"]
def try_batches(inference, sizes):
    """What set_input_shape answers for each batch size, and TensorRT's words where it refuses."""
    inference.log.echo = False  # the words are in the table
    rows = []
    for size in sizes:
        inference.log.lines.clear()
        accepted = inference.context.set_input_shape("input_ids", (size, LENGTH))
        rows.append((size, str(accepted), " ".join(inference.log.texts("ERROR"))))
    return pd.DataFrame(rows, columns=["batch", "set_input_shape returns", "TensorRT's words"])


SAID_BY = " The words are those that TensorRT documents, said by the simulated runtime." if active.simulated else ""
caption("batch-limits", EXACT, f"the {main} engine, profile 16 to 128.{SAID_BY}")
limits = try_batches(engines[main], (15, 16, 17, 128, 129))
show(limits)
reveal(
    "set_input_shape for a batch of 129 returns",
    limits.set_index("batch").loc[129, "set_input_shape returns"],
)

# %% [markdown] tags=["wide-text"]
"""
So the tail of our texts would have been lost: batches of 16 leave 4 rows, fewer than the minimum. A wider
profile is the remedy. The same network, built for 1 to 128, serves any of these sizes with one engine, and
nothing is rebuilt. The right-hand columns prove it.
"""

# %% tags=["batch-range"]
# one of the four engines that were built above for their memory
wide = Inference(by_top[128].path, echo=False)
engine_before, wide_run = wide.engine, trt_runner(wide)
rows = []
for size in (0, 1, 16, 17, 100, 128, 129):
    wide.log.lines.clear()
    batch = encoded.input_ids[:size], encoded.attention_mask[:size]
    try:
        logits = wide_run(*batch)
        worst = np.abs(logits.astype(np.float32) - expected[:size]).max()
        rows.append((size, "served", f"{logits.shape}", f"{worst:.1e}", ""))
    except ValueError as error:
        rows.append((size, "refused", "", "", " ".join(wide.log.texts("ERROR")) or str(error)))
caption(
    "batch-range",
    EXACT,
    f"one engine, profile 1 to 128; the same engine object throughout: {wide.engine is engine_before}.{SAID_BY}",
)
show(rows, ["batch", "", "logits", "largest difference to PyTorch", "TensorRT's words"])

# %% [markdown] tags=["step-6"]
"""
## Step 6: measure

### TODO 8: a fair benchmark (about 15 minutes)

Here is a benchmark of the kind that one finds. It runs, its numbers look precise, and it is unfair in five
ways. The table below shows what it makes the device do, beside what a batch needs.
"""


# %% tags=["found-benchmark"]
def found_benchmark(inference, batches, batch_size):
    times = []
    for input_ids, attention_mask in batches:
        start = time.perf_counter()
        inference.buffers = allocate_buffers(inference.engine, inference.context)
        on_device = [cuda.to_device(array) for array in (input_ids, attention_mask)]
        ids, mask = (
            cuda.from_device_like(d, a)
            for d, a in zip(on_device, (input_ids, attention_mask), strict=True)
        )
        for name in ("input_ids", "attention_mask"):
            cuda.memcpy_htod(inference.buffers[name].device, inference.buffers[name].host)
        inference(input_ids=ids, attention_mask=mask)
        cuda.Context.synchronize()
        times.append(time.perf_counter() - start)
    return batch_size / np.mean(times)


# the end of the data set: two whole batches of 16 and the last four rows
tail = [loaders[16][-3], loaders[16][-2], loaders[16][-1]]
print([len(ids) for ids, _ in tail], "rows")
found = Inference(by_top[128].path)
if active.simulated:
    before = backend.record_length()
    claimed = found_benchmark(found, tail, 16)
    seen = pd.DataFrame(backend.record(before))
    needed = pd.DataFrame([event for batch in tail for event in events_of(wide_run, batch)])

    def totals(events):
        count = events["op"].value_counts()
        size = events.groupby("op")["nbytes"].sum()
        return {
            "allocations, device and pinned": count.get("alloc", 0) + count.get("host_alloc", 0),
            "copies to the device": count.get("htod", 0),
            "bytes to the device": size.get("htod", 0),
            "copies back": count.get("dtoh", 0),
            "bytes back": size.get("dtoh", 0),
            "waits": count.get("synchronize", 0),
            "executions": count.get("execute", 0),
        }

    caption(
        "found-benchmark",
        EXACT,
        "device work for three batches (16, 16 and 4 rows), by the benchmark and as needed.",
    )
    frame = pd.DataFrame({"found benchmark": totals(seen), "needed": totals(needed)})
    show(frame.rename_axis("work of the device").reset_index())
else:  # pragma: no cover - needs a GPU
    claimed = found_benchmark(found, tail, 16)

# %% [markdown] tags=["todo-benchmark-text"]
"""
Find the five before you open the list:

<details>
<summary>The five</summary>
<ol>
<li>Memory is allocated for each batch. (Emptying PyTorch's cache before each timed batch is the same bias against
the other side.)</li>
<li>Inputs go to the device, back to the host, and up again; the engine is charged for the detour.</li>
<li>Whole buffers are copied: 128 rows for a batch of 16.</li>
<li>The smaller last batch counts as a full one.</li>
<li>No warm-up: the first run of each shape is in the mean, and a mean lets one outlier speak for all.</li>
</ol>
</details>

Write the middle of `fair_benchmark(run, batches, seconds)`. `run(input_ids, attention_mask)` does one whole
inference, host to host, and is done when it returns: the same for PyTorch and TensorRT.

* Warm up: run each *shape* that occurs at least twice before the clock starts.
* Then time one batch after the other, from the first again after the last, until `seconds` have passed, and
  at least 5 in all. The clock is the wall's, `time.perf_counter()`. Whether `seconds` are the clock's or the sum
  of `times` is up to you, and so is whether a round that has begun is finished.
* Collect `times`, the seconds of each timed batch, and `samples`, the rows in them, each batch with the rows
  that it has. The dictionary at the end is made from these two.
"""


# %% tags=["todo-benchmark"]
def fair_benchmark(run, batches, seconds=BENCH_SECONDS):
    """Time `run` on whole batches, host to host; see above for what is returned."""
    times, samples = [], 0  # seconds of each timed batch; rows of all of them
    ### BEGIN SOLUTION
    for input_ids, attention_mask in {batch[0].shape: batch for batch in batches}.values():
        for _ in range(3):
            run(input_ids, attention_mask)
    while len(times) < 5 or sum(times) < seconds:
        input_ids, attention_mask = batches[len(times) % len(batches)]
        start = time.perf_counter()
        run(input_ids, attention_mask)
        times.append(time.perf_counter() - start)
        samples += len(input_ids)
    ### END SOLUTION
    p5, median, p95 = np.percentile(times, [5, 50, 95]) * 1000
    return {
        "median_ms": median,
        "p5_ms": p5,
        "p95_ms": p95,
        "runs": len(times),
        "samples": samples,
        "samples_per_second": samples / sum(times),
    }


# %% tags=["check-benchmark"]
check("ex1/benchmark", fair_benchmark)

# %% tags=["benchmarks-compared"]
fair = fair_benchmark(wide_run, tail)
caption(
    "benchmarks-compared",
    TIMED,
    f"the same engine and the same three batches. Run by {active.engine}.",
)
show(
    [
        ("found benchmark", claimed),
        ("your fair benchmark", fair["samples_per_second"]),
        (
            "the library's, helpers.benchmark",
            benchmark.measure("wide", wide_run, tail).samples_per_second,
        ),
    ],
    ["benchmark", "samples/s"],
)

# %% [markdown] tags=["compared-text"]
"""
Two fair benchmarks need not agree to the last digit: yours divides all rows by all seconds, the library's
takes the median over the batches, so that one slow batch does not move it. Say which one you report.

The found benchmark may come out slower, faster, or about the same. Its biases pull in opposite directions:
wasted copies and allocations make it slow, and a last batch of 4 rows that counts as 16 makes it fast. A
plausible number proves nothing; what convicts it is the device's record above.
"""

# %% [markdown] tags=["results-text"]
"""
### All configurations

The library's benchmark does what yours does and adds one precaution: the candidates take turns, so that a
machine that slows down halfway does so for all of them. Mind the name of the engine. Without a GPU the rows
below compare PyTorch on a CPU with ONNX Runtime on the same CPU; **they say nothing about TensorRT's speed**,
and no speed-up is derived from them. FP16 is often the slower one here: on a CPU it is FP32 arithmetic with
conversions before and after.
"""

# %% tags=["results"]
TITLE = active.engine


def compare(batches, chosen):
    """Time PyTorch and the chosen engines on the same batches, in turns."""
    candidates = [benchmark.Candidate(label, run, torch_engine) for label, run in pytorch.items()]
    candidates += [
        benchmark.Candidate(f"{TITLE}, {label}", runners[label], active.engine) for label in chosen
    ]
    return benchmark.compare(candidates, batches)


short_labels = [label for label in ("FP32", "FP16") if label in runners]
measured = []
for size in BATCHES:
    # the profile begins at 16 rows: a tail of 4 is left out, not counted as 16
    measured += compare([batch for batch in loaders[size] if len(batch[0]) >= 16], short_labels)

correct = {f"{TITLE}, {label}": parity[label] for label in short_labels}
results = benchmark.table(measured, correct)
caption("results", TIMED, f"host to host, {LENGTH} tokens. The last two columns are *{EXACT}*.")
shown = results.drop(columns=["kind", "ran on"])
shown["labels agree"] = [
    "reference" if np.isnan(share) else f"{share:.2%}" for share in shown["labels agree"]
]
show(shown)
if NO_FP32:  # pragma: no cover - needs a T4
    print(NO_FP32)

# %% tags=["results-plot"]
short_names = results.replace(
    {"configuration": {f"{TITLE}, {label}": f"TensorRT's API, {label}" for label in short_labels}}
)
plots.throughput(short_names, title=f"Throughput ({TIMED})").show()
plots.latency(short_names, title=f"Latency of a batch ({TIMED})").show()

# %% [markdown] tags=["recorded-text"]
"""
### Recorded on GPUs

What follows was not measured here. It shows why the baseline needs an FP16 row: at batch 128 most of the gain
over FP32 is PyTorch's own, from tensor cores. And it shows what a CUDA graph does, which sends all of a
batch's kernels with one call: it matters for small batches, where launching is the work. No row is
TensorRT's; what has not been run is listed below the table.
"""

# %% tags=["recorded"]
recorded = json.loads(
    (Path(models.__file__).parents[1] / "assets/recorded/distilbert_gpus.json").read_text()
)
caption(
    "recorded",
    RECORDED,
    f"{recorded['what']}. {recorded['boundaries'].capitalize()}; {recorded['caution']}.",
)
rows = [
    (run["gpu"], run["tokens"], row["engine"], int(size), value)
    for run in recorded["runs"]
    for row in run["rows"]
    for size, value in row["samples_per_second"].items()
]
speeds = pd.DataFrame(rows, columns=["GPU", "tokens", "configuration", "batch", "samples/s"])
wide_table = speeds.pivot_table(
    "samples/s", ["GPU", "tokens", "configuration"], "batch", sort=False
)[list(data.BATCH_SIZES)]
show(wide_table.add_prefix("batch ").reset_index())
print("Not yet run:", "; ".join(recorded["not_yet_run"]) + ".")
at_128 = speeds[speeds["batch"] == 128].set_index(["GPU", "tokens", "configuration"])["samples/s"]
fp32, fp16, cuda_graph = (
    "PyTorch eager, FP32",
    "PyTorch eager, FP16",
    "PyTorch FP16 in a CUDA graph",
)
h100, h200 = "NVIDIA H100 80GB HBM3", "NVIDIA H200"
print(
    f"H200, 64 tokens, batch 128: eager FP16 over eager FP32: {at_128[h200, 64, fp16] / at_128[h200, 64, fp32]:.1f} times."
)
for tokens in (64, 256):
    gain = at_128[h100, tokens, cuda_graph] / at_128[h100, tokens, fp16]
    print(f"H100, {tokens} tokens, batch 128: a CUDA graph over eager FP16: {gain:.2f} times.")
plots.throughput(speeds[speeds["GPU"] == h200], title=f"Recorded on {h200}, {LENGTH} tokens").show()

# %% [markdown] tags=["memory-text"]
"""
### Memory, all of it

"The engine's memory" has five parts, and a budget needs all of them: weights, activations (of each execution
context), your own input and output buffers (device and pinned host), the CUDA context, and the plan itself
while it is being read. `engine.device_memory_size_v2` is the second part alone.
"""


# %% tags=["memory"]
parts = []
for label, size in torch_peak:
    weights = classifier.weight_bytes // (2 if label.endswith("FP16") else 1)
    inputs = sum(array.nbytes for array in loaders[size][0])
    parts.append((f"{label}, batch {size}", weights, torch_peak[label, size], inputs))
for label in short_labels:
    reserved = engines[label].engine.device_memory_size_v2
    buffers = sum(buffer.host.nbytes for buffer in engines[label].buffers.values())
    parts.append((f"TensorRT {label}, any batch", plans[label].weight_bytes, reserved, buffers))
columns = ["configuration", "weights", "activations", "inputs and outputs"]
caption(
    "memory",
    EXACT,
    "bytes on the device, without the CUDA context. TensorRT's: from the plan and NVIDIA's log.",
)
show(parts, columns)
plots.memory(
    pd.DataFrame(parts, columns=columns).melt("configuration", var_name="part", value_name="bytes")
).show()

# %% [markdown] tags=["long-measure-text"]
"""
### 64 against 256 tokens

Four times the tokens are more than four times the work, because the attention's part grows with the square;
how much more depends on the model's width. Measured, side by side:
"""

# %% tags=["lengths-compared"]
some, size = texts.texts[:256], 16 if SLOW else 32
short = benchmark.table(
    compare(data.batches(data.encode(tokenizer, some, LENGTH), size), short_labels)
)
long_labels = [f"{label}, 256 tokens" for label in short_labels]
long = benchmark.table(compare(data.batches(data.encode(tokenizer, some, LONG), size), long_labels))
caption(
    "lengths-compared",
    TIMED,
    f"batch {size}. The work of a text grows by {work[LONG] / work[LENGTH]:.2f} (calculated).",
)
show(
    {
        "configuration": short["configuration"],
        "64 tokens, samples/s": short["samples/s"],
        "256 tokens, samples/s": long["samples/s"],
        "times slower": short["samples/s"] / long["samples/s"],
    }
)

# %% tags=["break-even"]
BASELINE = 900  # samples a second of the scenario's T4, from [capacity]
caption(
    "break-even",
    CALCULATED,
    f"samples until a build has paid for itself. The first build time is *{TIMED}*; a baseline of {BASELINE} samples/s "
    "and the speed-ups are assumptions, none of them measured here.",
)
show(
    [
        {"assumed speed-up": f"{factor:g}"}
        | {
            f"build of {seconds:,.1f} s": seconds / (1 / BASELINE - 1 / (BASELINE * factor))
            for seconds in (plans[main].seconds, 60.0, 600.0)
        }
        for factor in (1.1, 1.5, 2.0, 3.33)
    ],
)

# %% [markdown] tags=["questions"]
"""
## Five questions

Answer in a few sentences, and cite the number from the cell that is named. An answer without its number is
worth half.
"""

# %% [markdown] tags=["question-1"]
"""
**1. Memory.** Your service almost always sends batches of 32. A colleague built the plan for a maximum of
256, "to be safe". What does that cost, when is it right all the same, and when is PyTorch's way (allocate
what the batch needs) the better one? *Cite [build-memory].*
"""

# %% [markdown] tags=["answer-1"]
"""
Activation memory is reserved for the profile's largest shape and does not shrink for smaller batches. In
[build-memory] the column "against max batch 32" says how many times as much the plan for 256 reserves as the
plan for 32, for each execution context; the last doubling doubles it, the earlier ones may cost less, because
the builder picks other kernels for small maxima. Input and output buffers grow with the maximum batch,
weights do not. All that lies above the first row is idle in this service; on a T4 with several models, or
several contexts, it decides what fits. It is right where bursts really fill such batches and where latency
must not depend on an allocation that may fail. PyTorch's way suits shapes that vary widely and rarely reach
the top, and GPUs shared with others. The middle way is two plans, or one plan with two profiles and a context
that takes its memory by profile; an ordinary context reserves for the larger one.
"""

# %% [markdown] tags=["guide-1"]
"""
*Marking guide, 4 points.* 1: reserved at the profile's maximum, whatever the batch. 1: cites [build-memory],
activations at 256 against 32 (bytes or the factor in the table), and says that weights do not grow. 1: a
consequence (for each context; what else fits on the GPU). 1: one sound case for each way. "TensorRT uses more
memory" without proportion: at most 1.
"""

# %% [markdown] tags=["question-2"]
"""
**2. Precision.** Can FP32 on a T4 reach 3,000 texts a second at 64 tokens, if fusion is perfect? What in the
hardware makes FP16 different, and what has to be compared with what, so that FP16's share is not credited to
TensorRT? *Cite [ceilings], and [recorded] for the last part.*
"""

# %% [markdown] tags=["answer-2"]
"""
No. [ceilings] gives FP32 1,470 texts a second at the data sheet's peak; fusion saves memory traffic and
launches, not multiplications. In FP16 the tensor cores multiply small matrices as one operation: 65 instead
of 8.1 TFLOP/s, a ceiling of 11,800. Halved bytes help as well where bandwidth is the limit. To credit
TensorRT fairly, compare its FP16 with PyTorch's FP16: in [recorded], PyTorch alone gains a factor of about
seven from FP32 to FP16 at batch 128 on an H200. Only what is left beyond that belongs to an engine.
"""

# %% [markdown] tags=["guide-2"]
"""
*Marking guide, 4 points.* 1: no, with 1,470 from [ceilings]. 1: fusion does not reduce the multiplications.
1: tensor cores, with 65 against 8.1 TFLOP/s or 11,800. 1: FP16 against FP16, with figures of [recorded]
(52,606 against 7,314 or any such pair). An answer that takes a CPU time of this notebook for a statement
about FP16 on a GPU: at most 2.
"""

# %% [markdown] tags=["question-3"]
"""
**3. The build.** PyTorch is ready when the weights are loaded; a plan has to be built. When is that worth it,
in requests? Why can PyTorch not do in its first call what the builder does? *Cite [builds] and [break-even].*
"""

# %% [markdown] tags=["answer-3"]
"""
A build of T seconds has paid for itself after T / (a − b) samples, where a and b are the seconds that a
sample takes before and after. [builds] gives the seconds of our build, [break-even] the samples for assumed
speed-ups: few for a service, for ten minutes of build and a speed-up of 1.1 millions. It pays for models that
stay the same for days and run on one kind of GPU; it does not for experiments, frequent updates or a handful
of requests. The builder may take its time and knows the whole graph, the shapes and the GPU: it fuses across
operators, plans all memory, and tries kernels. Eager PyTorch sees one operator at a time and must answer at
once; when it compiles (`torch.compile`), it pays a build step too, and gains in the same way.
"""

# %% [markdown] tags=["guide-3"]
"""
*Marking guide, 4 points.* 1: break-even as build time divided by the time saved a sample. 1: cites the
build's seconds from [builds] and a number from [break-even], naming its assumption. 1: when it pays and when
not. 1: whole graph, known shapes and GPU ahead of time, against operator by operator.
"""

# %% [markdown] tags=["question-4"]
"""
**4. Dynamic batches.** What happens with 15, 16, 17, 128 and 129 rows under the profile 16 / 32 / 128? Quote
the replies. Are all allowed sizes equally fast? What would you do with the four rows at the end of our texts?
*Cite [batch-limits] and [batch-range].*
"""

# %% [markdown] tags=["answer-4"]
"""
16, 17 and 128 are accepted; `set_input_shape` returns `True` and nothing is rebuilt. For 15 and 129 it
returns `False`, and the log says, as quoted in [batch-limits], that the dimension "does not satisfy any
optimization profiles", with the valid range [16,64]..[128,64]. It raises nothing: a program that ignores the
reply computes with the shape of the call before. Allowed sizes are not equally fast, because kernels were
chosen for 32; far from it they may be second best. The last four rows need a profile from 1, as in
[batch-range], where one engine serves 1, 16, 17, 100 and 128; or they are padded to 16 and the surplus is
thrown away.
"""

# %% [markdown] tags=["guide-4"]
"""
*Marking guide, 4 points.* 1: right verdict for all five sizes. 1: quotes the log's sentence or the returned
`False` from [batch-limits], and that no exception comes. 1: kernels are chosen for the usual shape. 1: a
profile from 1 or padding. "TensorRT rebuilds the engine": 0 for the first two points.
"""

# %% [markdown] tags=["question-5"]
"""
**5. Longer texts.** From 64 to 256 tokens: how does the work grow, how did the time here, and what would you
expect of the *ratio* between TensorRT FP16 and PyTorch on a GPU? What would you have to run to know? *Cite
[lengths-compared], and [recorded] for the expectation.*
"""

# %% [markdown] tags=["answer-5"]
"""
At full size the work grows from 5.51 to 22.95 GFLOP, a factor of 4.16: four for the tokens, the rest for the
attention, whose share grows with the square. For the model that ran, [lengths-compared] gives the calculated
factor in its caption and the measured ones in its last column; those are times of this machine and say
nothing of a GPU. On a GPU the larger products fill the tensor cores better, so FP16 gains on FP32. Against
PyTorch *in FP16* I expect a smaller advantage: launch overhead, which an engine removes, is a smaller share
of longer work. [recorded] points that way for CUDA graphs on an H100: at batch 128 the graph more than
doubles eager FP16 at 64 tokens (59,466 against 26,316) and brings nothing at 256 (15,437 against 15,951). To
know, run PyTorch FP16 and TensorRT FP16 at both lengths in one benchmark on one GPU; neither was measured so far.
"""

# %% [markdown] tags=["guide-5"]
"""
*Marking guide, 4 points.* 1: more than fourfold, with the reason. 1: cites measured factors of
[lengths-compared] as this machine's. 1: a reasoned expectation, in either direction if the argument holds
(fuller tensor cores raise it against FP32; launch overhead shrinks against FP16). 1: names the comparison
that would decide, or that no such row was recorded. A claim about TensorRT's speed-up from this notebook's
CPU times: at most 1.
"""

# %% [markdown] tags=["last-cell-text"]
"""
## On your own

No scaffold, no points. Below is another graph: it compares pairs of vectors, its inputs are called `left` and
`right`, they are FP32, and there is no token in sight. Take it the whole way with what you have written:
ONNX, plan for 1 to 64 pairs of width 32, inference with 1, 7 and 64 pairs, and a comparison with NumPy. If
your functions ask the network and the engine for names, shapes and types, none of them has to change.
`build` and `Inference` from above are yours to use.
"""

# %% tags=["free-last"]
COSINE = """
<ir_version: 10, opset_import: ["" : 20]>
cosine (float[pairs, width] left, float[pairs, width] right) => (float[pairs] similarity) {
    last = Constant <value_ints = [-1]> ()
    product = Mul (left, right)
    dot = ReduceSum <keepdims = 0> (product, last)
    a = ReduceL2 <keepdims = 0> (left, last)
    b = ReduceL2 <keepdims = 0> (right, last)
    norms = Mul (a, b)
    similarity = Div (dot, norms)
}
"""


def cosine_on_tensorrt(pair_counts):
    """The largest difference between TensorRT's similarities and NumPy's, by number of random pairs."""
    ### BEGIN SOLUTION
    onnx.save(onnx.parser.parse_model(COSINE), str(WORK / "cosine.onnx"))
    cosine = Inference(build("cosine", WORK / "cosine.onnx", (1, 32), (8, 32), (64, 32)).path)
    random = np.random.default_rng(0)
    worst = {}
    for pairs in pair_counts:
        left, right = random.normal(size=(2, pairs, 32)).astype(np.float32)
        similarity = cosine(left=left, right=right)["similarity"]
        norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        worst[pairs] = np.abs(similarity - (left * right).sum(1) / norms).max()
    return worst
    ### END SOLUTION


# %% tags=["last-cell"]
try:
    worst = cosine_on_tensorrt((1, 7, 64))
except NotImplementedError:
    worst = None
if worst is None:
    print("cosine_on_tensorrt: not attempted (and worth no points)")
else:
    for pairs, difference in worst.items():
        print(f"{pairs:3} pairs: largest difference to NumPy {difference:.1e}")

# %% [markdown] tags=["where-next"]
"""
## Where to go next

* **Several profiles in one plan**: one for single texts, one for batches of 32, one for 256 tokens;
  `context.set_optimization_profile_async` chooses. An ordinary context still reserves what the largest profile
  needs; `create_execution_context` takes a strategy (on profile change, or memory of your own) to pay less.
* **Auto-tuning**: TensorRT 10 and 11 time candidate kernels during the build.
  `config.builder_optimization_level` says how long they may look, a timing cache makes the second build
  quick.
* **TensorRT-LLM**: text generation adds a cache of keys and values, batches that change while they run, and
  sampling. Exercise 2 begins with what a decoding loop does to an engine; TensorRT-LLM is where it leads at
  work.

What to carry out of here: derive the ceiling before you optimise; look at every return value; read nothing
before the stream is done; copy what the batch has; compare with a baseline in the same precision; and put the
name of the engine and the GPU beside every number.
"""

# %% tags=["time-taken"]
print(
    f"This run of the notebook took {time.perf_counter() - STARTED:.0f} s, with {BENCH_SECONDS:g} s a benchmark point."
)

# %% tags=["progress"]
progress()
