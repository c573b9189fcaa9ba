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
# Exercise 2: DistilGPT2, deployed and measured honestly

DistilGPT2 continues a text, one token after the other. Somebody took it from PyTorch through ONNX to TensorRT
on a GTX 1060 and wrote a report. It tells a story in five stages: TensorRT **looked fast** while only kernels
were timed; then the whole way was timed, **end to end**, and it was slow; **logs** suggested copies and
allocations as the reason; two changes, together called **O1**, made it 30 to 43 % faster; and what is
**left** is said to be a missing cache. You walk the same five stages. At each one you ask whether the number
carries the sentence that stands beside it.

You need no GPU. Every figure carries one of four labels:

| Label | Meaning |
|---|---|
| **exact here** | does not depend on speed: tokens, bytes, counts, the order of events, numerical differences |
| **this machine's time** | measured now, by the engine that is named, the rows of a table in turns: only these compare, and nothing is said of another machine |
| **calculated** | follows from stated numbers, nothing was run |
| **recorded on a GPU** | measured earlier on the GPU that is named, by us or, where it says so, by the report |

Eight short functions are yours; what Exercise 1 worked out is asked for by its signature only. `check(...)`
and `hint("ex2/bytes")` work as they did there: hidden twins count too, an open TODO stops nothing, and a
graded run starts afresh on the simulator, where `helpers.decoding` and `helpers.export` are absent. Three
questions at the end are read by a person. Plan two hours, questions included (an estimate).
"""

# %% tags=["imports"]
import importlib.util
import json
import logging
import time
import warnings
from pathlib import Path

STARTED = time.perf_counter()

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import torch
from IPython.display import display

from helpers import backend, benchmark, data, engine, models, plots, precision, timeline
from helpers.grading import check, hint, progress
from helpers.notebook import CALCULATED, EXACT, RECORDED, TIMED, caption, mib, show
from helpers.predict import predict, reveal

active = backend.activate()  # from here on `import tensorrt` works on every machine

import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

# %% tags=["glue-tools"]
BENCH_SECONDS = benchmark.seconds_per_point()  # time for one row of a benchmark
RECORDS = Path(models.__file__).parents[1] / "assets/recorded"
WORK = Path("build")
WORK.mkdir(exist_ok=True)
INPUTS = ("input_ids", "attention_mask")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
RAN = f"run by {active.engine}"
# At full size a CPU needs minutes for some tables: they have fewer rows then.
SLOW = models.resolve_size() == "full" and DEVICE.type == "cpu"
logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it would list packages without use here


class Log(trt.ILogger):
    """Keeps every line that TensorRT writes, down to VERBOSE."""

    def __init__(self):
        trt.ILogger.__init__(self)
        self.lines = []

    def log(self, severity, text):
        self.lines.append((severity.name, text))

    def errors(self):
        """The first ERROR line since this was last asked."""
        found = [text for name, text in self.lines if "ERROR" in name]
        self.lines.clear()
        return found[0] if found else ""


def percent(share):
    return f"{100 * share:.1f} %"


def race(candidates):
    """Median milliseconds of each candidate, a function without arguments: in turns, first round left out."""
    times, begun = {label: [] for label in candidates}, time.perf_counter()
    rounds = 2 if SLOW else 4
    while len(min(times.values(), key=len)) < rounds or time.perf_counter() - begun < BENCH_SECONDS:
        for label, run in candidates.items():
            start = time.perf_counter()
            run()
            times[label].append(1000 * (time.perf_counter() - start))
    return {label: float(np.median(each[1:])) for label, each in times.items()}


# %% [markdown] tags=["report-text"]
"""
## The report, before any code

Here are its tables in one. A generation starts with a prompt and ends with *L* tokens in each row; each new
token takes one *step*, one execution of the model. The last but one column is the report's "kernel-only" time, the columns before it are whole generations, end to end.
The last column divides TensorRT's two, and the report concludes that copies and waiting make end to end "5.6
to 38 times" larger than kernel-only.

One number is missing: how long was the prompt? The table knows. PyTorch's `generate` has a cache, so that
each new token costs it nearly the same. Divide its time by *L* − *P* steps: only for the right *P* does every
length give about the same time a step. Guess *P* first, from the four rows with batch 8.
"""

# %% tags=["report"]
report = json.loads((RECORDS / "distilgpt2_gtx1060.json").read_text())
GPU = report["environment"]["gpu"]
gtx = pd.DataFrame(report["rows"])
caption("report", RECORDED, f"by the report, on its {GPU}; milliseconds. None of it is ours.")
show(
    {
        "batch": gtx["batch"],
        "L": gtx["length"],
        "PyTorch": gtx["pytorch_ms"],
        "ONNX Runtime": gtx["onnx_ms"],
        "TensorRT": gtx["tensorrt_ms"],
        "TensorRT O1": gtx["o1_ms"],
        "O1 saves": gtx["o1_drop_percent"].astype(str) + " %",
        "kernel-only": gtx["kernel_only_ms"],
        "TensorRT / kernel-only": gtx["tensorrt_over_kernel_only"],
    }
)
predict("tokens of the report's prompt", 8, unit="tokens")

# %% tags=["report-prompt"]
guesses = np.arange(1, 8)
table = pd.DataFrame({"prompt": guesses})
for row in gtx[gtx["batch"] == 8].sort_values("length").itertuples():
    table[f"L = {row.length}"] = row.pytorch_ms / (row.length - guesses)
each = table.iloc[:, 1:]
table["largest / smallest"] = each.max(axis=1) / each.min(axis=1)
caption("report-prompt", CALCULATED, "PyTorch's ms per new token at batch 8, for each guess.")
show(table)
PROMPT = int(table.loc[table["largest / smallest"].idxmin(), "prompt"])
reveal("tokens of the report's prompt", PROMPT)

# %% [markdown] tags=["todo-bytes-text"]
"""
So the prompt had four tokens, as the report's own example, "TensorRT is", has. A generation to *L* = 12 is
**8 steps**. We keep that prompt length in everything below.

### TODO 1: how many bytes come back (about 5 minutes, an estimate like all that follow)

A step with *t* tokens in each row gives FP32 logits `[batch, t, vocabulary]`: a score for every token of the
vocabulary at every position. Only the last position decides the next token. The report's first program copied
all of them to the host; O1 copies `[batch, vocabulary]`.

Write `copied_bytes(batch, prompt, length, vocabulary, last_step)`: the bytes of logits that one whole
generation copies to the host. Mind the steps: the first one sees the prompt, and the token that the last one
chooses is never fed in.
"""


# %% tags=["todo-bytes"]
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    ### BEGIN SOLUTION
    steps = range(prompt, length)  # tokens that go in at each step
    positions = len(steps) if last_step else sum(steps)
    return batch * positions * vocabulary * 4
    ### END SOLUTION


# %% tags=["check-bytes"]
check("ex2/bytes", copied_bytes)

# %% tags=["report-bytes"]
VOCABULARY = report["vocabulary"]  # 50,257: GPT-2's


def saved_bytes(batch, length):
    full, last = (copied_bytes(batch, PROMPT, length, VOCABULARY, only) for only in (False, True))
    return full - last


saved_mb = np.array([saved_bytes(row.batch, row.length) for row in gtx.itertuples()]) / 1e6
saved_ms = gtx["tensorrt_ms"] - gtx["o1_ms"]
n = gtx["length"] - PROMPT
caption("report-bytes", CALCULATED, "from the report's figures: what O1 saved, and the steps.")
show(
    {
        "batch": gtx["batch"],
        "L": gtx["length"],
        "MB saved": saved_mb,
        "ms saved": saved_ms,
        "GB/s": saved_mb / saved_ms,
        "steps": n,
        "ms a step": gtx["tensorrt_ms"] / n,
        "kernel-only": gtx["kernel_only_ms"],
        "a step / kernel-only": gtx["tensorrt_ms"] / n / gtx["kernel_only_ms"],
        "O1, ms a step": gtx["o1_ms"] / n,
        "PyTorch, ms a step": gtx["pytorch_ms"] / n,
    }
)

# %% [markdown] tags=["report-moral"]
"""
Four readings, and no hardware so far.

* **O1's saving is nearly all bytes.** Divide the bytes saved by the time saved. For batch 8 and 16, from 12
  tokens on, that is 2.4 to 2.7 GB/s, while the bytes vary 9-fold: as if one copy engine of that speed did it
  all. The shortest row gives 1.8 and batch 1 gives 1.2; where few bytes are saved, a fixed cost of each step
  shows as well, the allocations perhaps. 2.7 GB/s is little for a PCIe slot. Copies into ordinary, *pageable*
  memory can be that slow. That it was so here is a guess; [recorded] will come back to it.
* **"5.6 to 38 times" is mostly the number of steps.** The report does not say whether kernel-only means one
  execution or a whole loop. Calculate: one execution of DistilGPT2 with 8 rows of 32 tokens is 42 GFLOP, and
  in 16.53 ms that makes 2.5 TFLOP/s, of the 3.9 that the card can do. A whole loop is 637 GFLOP, and in 16.53
  ms that would make 39. So it was *one* execution, and a loop of 4 to 28 is divided by it. A step over an
  execution is 1.2 to 1.6. (The prompt matters: were all 12 tokens steps, a step at batch 1 would take 5.55
  ms, less than its own execution.) With O1 it is even below 1 in some rows: the one execution was as long as
  the last step, and most steps are shorter.
* **"30 to 43 %"** leaves out the row with 13.1 %: batch 1, which has least to copy.
* **"One-time" copy of the prompt**, says the report's method; copies *at every step*, says its explanation. A
  loop that chooses tokens on the host has to send them at every step. It hardly matters: for batch 8 and *L*
  = 32 all tokens and masks together are 63 KB, against 788 MB of logits.

Now you know what to look for. The rest happens on this machine, with a GPT-2 of two layers that was trained
for this course; `MODEL=full` takes the real size. The small model's own vocabulary would hide what O1 is
about, so its table of tokens is filled up to GPT-2's 50,257 rows. Those that were added can never win: the
text stays the same.
"""

# %% tags=["model"]
generator = models.load_generator(vocabulary=VOCABULARY)
model, tokenizer, config = generator.model.to(DEVICE), generator.tokenizer, generator.model.config
prompts = data.load_prompts(16)  # of 2 words and more
long_enough = [
    text for text in data.load_prompts(80) if len(tokenizer(text)["input_ids"]) >= PROMPT
]


def prompt_of(batch):
    """Prompts of four tokens, as in the report: none of them is padded."""
    return data.encode_prompts(tokenizer, long_enough[:batch], PROMPT)


def generate(input_ids, attention_mask, length, cache=True):
    """PyTorch's own greedy decoding, `transformers.generate`: int64 [B, length]. No row ends early."""
    new = length - input_ids.shape[1]
    with torch.inference_mode():
        tokens = model.generate(
            torch.from_numpy(input_ids).to(DEVICE),
            attention_mask=torch.from_numpy(attention_mask).to(DEVICE),
            max_new_tokens=new,
            min_new_tokens=new,
            do_sample=False,
            use_cache=cache,
            eos_token_id=None,
            pad_token_id=0,
        )
    return tokens.cpu().numpy()


ids, mask = data.encode_prompts(tokenizer, prompts[:4])
rows = generate(ids, mask, 32)
texts = [tokenizer.decode(row[mask[i].argmax() :]) for i, row in enumerate(rows)]
texts = [text.split(tokenizer.eos_token)[0] for text in texts]  # up to the end that the model gives
caption("model", EXACT, "the model, and how PyTorch continues four prompts, padded on the left.")
show(
    [
        ("model", generator.name),
        ("weights from", generator.source),
        ("parameters, FP32", f"{generator.parameters:,}, {mib(generator.weight_bytes)}"),
        ("tokens of the prompts", ", ".join(map(str, mask.sum(1)))),
        *(("continued", text) for text in texts),
    ],
    ["", "value"],
)

# %% [markdown] tags=["todo-export-text"]
"""
### TODO 2: export (about 15 minutes)

The report exports with `python -m transformers.onnx`. That command moved to a package of its own, optimum,
and is gone from transformers 5, with which optimum does not go together. What takes its place is well kept:
`torch.onnx.export` around a small module of your own.

Write `export_decoder(model, path, last_step=False)`. `model` is a `GPT2LMHeadModel`.

* Inputs `input_ids` and `attention_mask`, int64 `[batch, sequence]`; output `logits`: `[batch, sequence,
  vocabulary]`, or with `last_step` only the last position, `[batch, vocabulary]`.
* Both axes are dynamic: batches from 1 to at least 16, sequences from 1 to at least 64.
* **Positions come from the mask, inside the graph.** GPT-2 adds a learned vector for each position. In a row
  that is padded on the left, position 0 belongs to the first real token, not to the first slot: count the
  ones of the mask. Pass the result as `position_ids`, beside the mask. Padding may have any position from 0
  on, since nobody looks at it.
* `use_cache=False`; `dynamo=True` (a failing export without it prints the whole graph and can block a
  notebook), `opset_version=20`, and `external_data=False`, which keeps the weights in the one file.
* For the last step, use `logits_to_keep=1`, or do the same by hand: the product with the vocabulary is to be
  done for one position, not for all with a slice behind it.
"""


# %% tags=["todo-export"]
def export_decoder(model, path, last_step=False):
    """Write the GPT-2 `model` to the ONNX file `path`: ids and mask -> logits, both axes dynamic."""

    ### BEGIN SOLUTION
    class Decoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
            logits = self.model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=positions,
                use_cache=False,
                logits_to_keep=1 if last_step else 0,
            ).logits
            return logits[:, -1] if last_step else logits

    example = torch.ones((2, 8), dtype=torch.int64, device=next(model.parameters()).device)
    longest = model.config.max_position_embeddings
    axes = {
        0: torch.export.Dim("batch", min=1, max=64),
        1: torch.export.Dim("sequence", min=1, max=longest),
    }
    torch.onnx.export(
        Decoder().eval(),
        (example, example.clone()),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_shapes=(axes, axes),
        dynamo=True,
        opset_version=20,
        external_data=False,
        verbose=False,
    )
    ### END SOLUTION


# %% tags=["check-export"]
check("ex2/export", export_decoder)

# %% tags=["exports"]
graphs = {"all logits": WORK / "gpt2_all.onnx", "last step": WORK / "gpt2_last.onnx"}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for label, path in graphs.items():
        export_decoder(model, path, last_step=label == "last step")


def declared(tensor):
    shape = ", ".join(d.dim_param or str(d.dim_value) for d in tensor.type.tensor_type.shape.dim)
    return f"[{shape}]"


def step_flop(tokens, last_step, batch=8):
    """Operations in the matrix products of one step."""
    d = config.n_embd
    layer = 24 * tokens * d**2  # projections and feed-forward, for each token
    layer += 4 * tokens**2 * d  # the attention's scores and sums, for each pair of tokens
    head = 2 * d * config.vocab_size * (1 if last_step else tokens)  # logits
    return batch * (config.n_layer * layer + head)


rows = []
for label, path in graphs.items():
    onnx.checker.check_model(str(path), full_check=True)
    graph = onnx.load(str(path)).graph
    shapes = declared(graph.input[0]), declared(graph.output[0])
    flop = step_flop(32, label == "last step") / 1e9
    rows.append((label, *shapes, len(graph.node), mib(path.stat().st_size), flop))
caption("exports", EXACT, f"two graphs, checked. Last column *{CALCULATED}*: 8 rows, 32 tokens.")
show(rows, ["graph", "each input", "logits", "nodes", "file", "GFLOP a step"])
there = importlib.util.find_spec("transformers.onnx")
print(f"transformers.onnx: {'there' if there else 'no such module any more'}")

# %% [markdown] tags=["todo-profile-text"]
"""
### TODO 3: a profile for a text that grows (about 5 minutes)

In Exercise 1 a text had 64 tokens and kept them. Here each step has one token more than the last, and a
profile that fits the prompt alone breaks at the first new token. The report calls this the most common and
most severe mistake.

Write `add_decode_profile(builder, config, network, rows, prompt, length)`. `rows` are the smallest, the usual
and the largest batch, `prompt` the shortest prompt in tokens, `length` the final length. Cover every step of
every such generation. The last one has `length - 1` tokens, so a profile may end there, or a little later;
which sequence length is the usual one is your choice. Return the index of the profile, and raise a
`ValueError` where `add_optimization_profile` refuses it.
"""


# %% tags=["todo-profile"]
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    ### BEGIN SOLUTION
    profile = builder.create_optimization_profile()
    lengths = (prompt, (prompt + length) // 2, length)
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, *zip(rows, lengths, strict=True))
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError(f"profile refused: batches {rows}, {prompt} to {length} tokens")
    return index
    ### END SOLUTION


# %% tags=["check-profile"]
check("ex2/profile", add_decode_profile)


# %% tags=["glue-engine"]
def build(label, onnx_path, length=32):
    """An engine for batches up to 16 and generations from 1 to `length` tokens, and its log."""
    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(Path(onnx_path).read_bytes()):
        raise RuntimeError(parser.get_error(0).desc())
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 4 << 30)
    config.clear_flag(trt.BuilderFlag.TF32)
    if active.name == "tensorrt_rtx":  # pragma: no cover - needs a GPU
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.CURRENT, 0)
    add_decode_profile(builder, config, network, (1, 8, 16), 1, length)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError(log.errors())
    (WORK / f"gpt2_{label}.plan").write_bytes(plan)
    return trt.Runtime(log).deserialize_cuda_engine(plan), log


def copy_all(host, device, shape, stream):
    """Enqueue the copy of all logits into the flat array `host`; the view [B, V] of the last step in it."""
    logits = host[: trt.volume(shape)].reshape(shape)
    cuda.memcpy_dtoh_async(logits, device, stream)
    return logits if len(shape) == 2 else logits[:, -1]  # a last-step graph gives [B, V]


def allocating_step(context, stream, copy_logits):
    """The baseline: a step that allocates its memory and frees it again. Its arrays are ordinary, not pinned."""

    def step(input_ids, attention_mask):
        inputs = dict(zip(INPUTS, (input_ids, attention_mask), strict=True))
        for name, array in inputs.items():
            if not context.set_input_shape(name, array.shape):
                raise ValueError(f"{name}: {array.shape} lies outside the profile")
        shape = tuple(context.get_tensor_shape("logits"))
        dtype = trt.nptype(context.engine.get_tensor_dtype("logits"))
        logits = np.empty(trt.volume(shape), dtype)
        device = {name: cuda.mem_alloc(array.nbytes) for name, array in inputs.items()}
        device["logits"] = cuda.mem_alloc(logits.nbytes)
        for name, array in inputs.items():
            cuda.memcpy_htod_async(device[name], np.ascontiguousarray(array), stream)
        for name, allocation in device.items():
            context.set_tensor_address(name, int(allocation))
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("the execution was refused; the log says why")
        last = copy_logits(logits, device["logits"], shape, stream)
        stream.synchronize()
        for allocation in device.values():
            allocation.free()
        return last.astype(np.float32)

    return step


# %% tags=["engines"]
engines, logs = {}, {}
for label, graph, length in (
    ("all", "all logits", 32),
    ("last", "last step", 32),
    ("all_64", "all logits", 64),
):
    engines[label], logs[label] = build(label, graphs[graph], length)
for label in ("all", "all_64"):
    shapes = {}
    for name in INPUTS:
        shapes[name] = [tuple(shape) for shape in engines[label].get_tensor_profile_shape(name, 0)]
    print(engine.trtexec_command("gpt2_all.onnx", f"gpt2_{label}.plan", shapes), end="\n\n")


def ones(*shape, dtype=np.int64):
    return np.ones(shape, dtype)


def attempt(label, ids, mask):
    """What TensorRT answers to inputs of these shapes and types, and its words."""
    context, stream, log = engines[label].create_execution_context(), cuda.Stream(), logs[label]
    log.errors()
    said = [context.set_input_shape("input_ids", ids.shape)]
    said.append(context.set_input_shape("attention_mask", mask.shape))
    if False in said:
        return f"set_input_shape: {said[0]}, {said[1]}", log.errors()
    memory = {name: cuda.mem_alloc(ids.size * 8) for name in INPUTS}  # room for int64
    for name, array in zip(INPUTS, (ids, mask), strict=True):
        cuda.memcpy_htod(memory[name], array)
    memory["logits"] = cuda.mem_alloc(ids.size * VOCABULARY * 4)
    for name, allocation in memory.items():
        context.set_tensor_address(name, int(allocation))
    try:
        accepted = context.execute_async_v3(stream.handle)
        stream.synchronize()
        return f"execute_async_v3: {accepted}", log.errors()
    except cuda.Error as error:
        return f"an exception, cuda.{type(error).__name__}", log.errors() or str(error)


old = "set_binding_shape"
try:
    getattr(engines["all"].create_execution_context(), old)
except AttributeError as error:
    print(f"{old}: {error}")
by = " The words are said by the simulated runtime; [simulator] marks its own." * active.simulated
most = engines["all"].get_tensor_profile_shape("input_ids", 0)[2][1]
caption(
    "engines", EXACT, f"attempts at the edges of your profile, which ends at {most} tokens.{by}"
)
attempts = [
    (f"8 rows, {most} tokens", "all", ones(8, most), ones(8, most)),
    (f"8 rows, {most + 1} tokens: one too many", "all", ones(8, most + 1), ones(8, most + 1)),
    ("the same, profile to 16x64", "all_64", ones(8, most + 1), ones(8, most + 1)),
    ("a mask shorter than the ids", "all", ones(8, 6), ones(8, 5)),
]
if active.simulated:  # a GPU would read two numbers as one
    int32 = ones(8, 6, dtype=np.int32)
    attempts.append(("int32, not int64", "all", int32, int32))
show(
    [(what, *attempt(*rest)) for what, *rest in attempts], ["attempt", "reply", "TensorRT's words"]
)

# %% [markdown] tags=["todo-decode-text"]
"""
The first two lines build two of these plans on the command line, with the profiles that your function made;
`trtexec` comes with TensorRT's archive, not with its wheels. `set_binding_shape`, which the report uses,
counted inputs and outputs; since 8.5 they go by name, and 10 removed the old calls. `set_input_shape`,
`set_tensor_address` and `execute_async_v3` take their place.

The last two rows are the report's pitfall "mismatch between ids and mask". Different lengths are refused.
int32 is noticed here because the simulated device remembers what a buffer was filled with. A GPU reads two
tokens as one number, an index of billions into the table of tokens. That is nonsense, or an illegal address (CUDA error
700) in some later call. The report's int32 belongs to older exports; ours says int64.

### TODO 4: the decoding loop (about 10 minutes)

A **step** is a function from `input_ids` and `attention_mask`, both int64 `[B, t]`, to the logits `[B, V]` of
the last position. Which engine is behind it does not concern the loop.

Write `greedy_decode(step, input_ids, attention_mask, length)`. Each step's most likely token is appended to
its row, and the mask grows by a one. Rows may be padded on the left, and stay so. Return int64 `[B, length]`,
the prompts included, after exactly `length - P` calls of `step`: an array of its own, also where there was
nothing to do. The arrays that were given stay as they were.
"""


# %% tags=["todo-decode"]
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ### BEGIN SOLUTION
    ids, mask = input_ids, attention_mask
    while ids.shape[1] < length:
        chosen = step(ids, mask).argmax(-1).astype(np.int64)[:, None]
        ids = np.concatenate([ids, chosen], axis=1)
        mask = np.concatenate([mask, np.ones_like(chosen)], axis=1)
    return ids.copy() if ids is input_ids else ids  # where there was nothing to do
    ### END SOLUTION


# %% tags=["check-decode"]
check("ex2/decode", greedy_decode)

# %% tags=["decode"]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = torch.get_num_threads()  # as many as PyTorch has
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
settings = {"CUDAExecutionProvider": {"use_tf32": "0"}, "CPUExecutionProvider": {}}
there = onnxruntime.get_available_providers()
providers = [(name, setting) for name, setting in settings.items() if name in there]
session = onnxruntime.InferenceSession(str(graphs["all logits"]), options, providers=providers)


def ort_step(input_ids, attention_mask):
    feeds = dict(zip(INPUTS, (input_ids, attention_mask), strict=True))
    return session.run(None, feeds)[0][:, -1]


def torch_step(input_ids, attention_mask):
    return models.last_logits(model, input_ids, attention_mask)


def from_slot_0(input_ids, attention_mask):
    """PyTorch, with the slot's number as position, padding or not."""
    ids, mask = (torch.from_numpy(array).to(DEVICE) for array in (input_ids, attention_mask))
    slots = torch.arange(ids.shape[1], device=DEVICE)[None]
    with torch.inference_mode():
        reply = model(input_ids=ids, attention_mask=mask, position_ids=slots, use_cache=False)
    return reply.logits[:, -1].cpu().numpy()


def new_step(make, label, copy_logits):
    """A step on a context and a stream of its own."""
    return make(engines[label].create_execution_context(), cuda.Stream(), copy_logits)


ids, mask = data.encode_prompts(tokenizer, prompts[:8])
width = ids.shape[1]
wanted = generate(ids, mask, 32)[:, width:]
baseline = new_step(allocating_step, "all", copy_all)
rows = []
for label, step in (
    ("PyTorch, whole sequence each step", torch_step),
    ("ONNX Runtime", ort_step),
    ("TensorRT's API, baseline", baseline),
    ("PyTorch, positions counted from slot 0", from_slot_0),
):
    same = greedy_decode(step, ids, mask, 32)[:, width:] == wanted
    rows.append((label, int(same.sum()), same.size, int(same.all(axis=1).sum()), len(same)))
sizes = f"{mask.sum(1).min()} to {mask.sum(1).max()}"
caption("decode", EXACT, f"your loop against `generate`; prompts of {sizes} tokens, padded left.")
show(rows, ["step", "equal tokens", "of", "equal rows", "of rows"])

# %% [markdown] tags=["todo-kernel-only-text"]
"""
The last row is what happens without positions from the mask. It fails quietly: tokens still come, and they
are not the model's.

## Stage 1: it looked fast

"Kernel-only" is the time of the execution alone, without copies and without waiting for the host. It is a
useful number if it is measured where the work happens: `execute_async_v3` returns before anything has run, so
a clock on the host measures the call.

### TODO 5: kernel-only, done right (about 10 minutes)

Write `kernel_only(enqueue, stream, repeats=20)`. `enqueue()` puts one execution on `stream` and returns at
once. Return the median of `repeats` times in milliseconds, each between two CUDA events, `cuda.Event()`, that
enclose one execution and nothing else. Warm up first, a few times, and let that finish.
`event.record(stream)` puts an event on the stream, `end.synchronize()` waits for it, and
`start.time_till(end)` is the time between them.
"""


# %% tags=["todo-kernel-only"]
def kernel_only(enqueue, stream, repeats=20):
    """Median milliseconds of one execution, between two CUDA events."""
    ### BEGIN SOLUTION
    for _ in range(3):
        enqueue()
    stream.synchronize()
    times = []
    for _ in range(repeats):
        start, end = cuda.Event(), cuda.Event()
        start.record(stream)
        enqueue()
        end.record(stream)
        end.synchronize()
        times.append(start.time_till(end))
    return float(np.median(times))
    ### END SOLUTION


# %% tags=["check-kernel-only"]
check("ex2/kernel_only", kernel_only)


# %% tags=["sums"]
def one_execution(label, rows, tokens):
    """enqueue() and its stream: an execution with buffers bound and filled, without any copy."""
    context, stream = engines[label].create_execution_context(), cuda.Stream()
    for name in INPUTS:
        context.set_input_shape(name, (rows, tokens))
    buffers = {name: cuda.to_device(ones(rows, tokens)) for name in INPUTS}
    buffers["logits"] = cuda.mem_alloc(4 * trt.volume(context.get_tensor_shape("logits")))
    for name, allocation in buffers.items():
        context.set_tensor_address(name, int(allocation))

    def enqueue(alive=buffers):  # as long as somebody can call it
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("the execution was refused")

    return enqueue, stream


def decoding(step, batch, length):
    """A whole generation from prompts of four tokens, as a function without arguments."""
    ids, mask = prompt_of(batch)
    return lambda: greedy_decode(step, ids, mask, length)


def theirs(batch, length):
    return gtx[(gtx["batch"] == batch) & (gtx["length"] == length)].iloc[0]


rows = []
for batch, length in [(8, 12)] if SLOW else zip(gtx["batch"], gtx["length"], strict=True):
    kernels = [kernel_only(*one_execution("all", batch, t), 7) for t in range(PROMPT, length)]
    one, total = kernels[-1], sum(kernels)
    loop = race({"loop": decoding(baseline, batch, length)})["loop"]
    ratios = loop / one, loop / total, theirs(batch, length)["tensorrt_over_kernel_only"]
    rows.append((batch, length, length - PROMPT, one, total, loop, *ratios))
times = ["last execution", "sum of executions", "loop end to end"]
caption("sums", TIMED, f"milliseconds, {RAN}. Last column: the report's quotient, on its GPU.")
show(rows, ["batch", "L", "steps", *times, "loop / one", "loop / sum", "theirs, loop / one"])

# %% [markdown] tags=["todo-timeline-text"]
"""
## Stage 2: end to end

Two definitions, and we keep to them. **Kernel-only** is the time of the executions, between events on the
device. **End to end** is the wall clock's time for the same work, from prompts in the host's memory to tokens
in the host's memory, with every copy, wait, allocation and line of Python.

"Loop / one" compares different work: it grows with the steps, whatever the engine does. "Loop / sum" is the
honest quotient, and says what all the rest adds. Compare it with the report's 1.2 to 1.6. Where does the rest
go?

## Stage 3: look, then form a hypothesis

The report had two sources. One was ONNX Runtime's log: nodes that fell back to the CPU, with copies around
them (`ex2_evidence`, the second notebook of this exercise, shows that). The other was a timeline, and
timelines are where people add things up wrongly. There are two lanes. On the **device**: copies, executions,
and gaps. On the **host**: calls, allocations, and waiting *while the device works*. Host time runs beside
device time. Whoever adds the two counts the same millisecond twice.

### TODO 6: read a timeline (about 10 minutes)

Write `read_timeline(events)`. Each event is a dictionary with `op`, `stream`, `started_ns`, `finished_ns` and
`nbytes`. Count `"htod"`, `"execute"` and `"dtoh"` as the device's work, and nothing else: `"synchronize"`,
`"alloc"`, `"free"` and whatever else there is are not. Return a dictionary of milliseconds: `h2d_ms`,
`compute_ms`, `d2h_ms`, the sums over these events; `span_ms`, from the first start to the last finish among
them; and `idle_ms`, the part of the span in which none of them runs. Events on two streams may overlap: that
time is busy once. Without any event of the device, all five are 0.
"""


# %% tags=["todo-timeline"]
def read_timeline(events):
    """h2d_ms, compute_ms, d2h_ms, idle_ms and span_ms of the device's lane."""
    kinds = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
    ### BEGIN SOLUTION
    reading = dict.fromkeys([*kinds.values(), "idle_ms", "span_ms"], 0.0)
    work = sorted((e["started_ns"], e["finished_ns"], e["op"]) for e in events if e["op"] in kinds)
    if not work:
        return reading
    until = work[0][0]  # the device has been busy or counted as idle up to here
    for start, finish, op in work:
        reading[kinds[op]] += (finish - start) / 1e6
        reading["idle_ms"] += max(0, start - until) / 1e6
        until = max(until, finish)
    reading["span_ms"] = (until - work[0][0]) / 1e6
    return reading
    ### END SOLUTION


# %% tags=["check-timeline"]
check("ex2/timeline", read_timeline)

# %% tags=["predict-timeline"]
# The baseline's generation with 8 rows, from 4 to 32 tokens, on *this* machine: what share of the
# device's span is copying, and in what share does the device do nothing?
predict("baseline: share of the span spent copying logits back", 50, unit="%")
predict("baseline: share of the span in which the device is idle", 10, unit="%")

# %% tags=["baseline-timeline"]
OPS = {"h2d": "htod", "compute": "execute", "d2h": "dtoh"}


def capture(step, batch=8, length=32):
    """The timeline of one generation, as the report took it; each step is named by its tokens."""

    def named(input_ids, attention_mask):
        with timeline.span(str(input_ids.shape[1])):
            return step(input_ids, attention_mask)

    decoding(step, batch, length)()  # warm
    run = decoding(named, batch, length)
    with timeline.capture() as captured:
        run()
    return captured.timeline


def event(interval):
    """One interval of a timeline as `read_timeline` wants it."""
    return {
        "op": OPS.get(interval.kind, interval.kind),
        "stream": interval.stream,
        "started_ns": interval.start_ms * 1e6,
        "finished_ns": interval.end_ms * 1e6,
        "nbytes": interval.nbytes,
    }


before = capture(baseline)
lane = read_timeline([event(interval) for interval in before.intervals])
span = lane["span_ms"]
caption("baseline-timeline", TIMED, f"the baseline, 8 rows from 4 to 32 tokens, {RAN}.")
rows = [(kind, ms, percent(ms / span)) for kind, ms in lane.items()]
rows.append(("wall clock, end to end", before.wall_ms, ""))
rows.append(("the span's share of the wall clock", None, percent(span / before.wall_ms)))
show(rows, ["device's lane", "ms", "of the span"])
reveal("baseline: share of the span spent copying logits back", 100 * lane["d2h_ms"] / span)
reveal("baseline: share of the span in which the device is idle", 100 * lane["idle_ms"] / span)
timeline.draw({"baseline": before}, title="Baseline: 8 rows, 4 to 32 tokens").show()

# %% [markdown] tags=["todo-preallocate-text"]
"""
The device's lane explains the wall clock if the span is within 5 % of it; what is missing lies before the
first copy and after the last, where the host alone allocates and frees. In the picture compute is orange,
copies are red and hatched, waiting is green; the numbers on top are the tokens of each step. On a GPU those
ranges are NVTX ranges, which Nsight Systems shows too.

## Stage 4: O1, one change at a time

There are three suspects: copies back, executions, and gaps in which the host allocates and frees. The report
changed two things at once and gave one percentage. We make two functions of it.

### TODO 7: preallocate (about 15 minutes)

Write `preallocated_step(context, stream, copy_logits)`. It does what `allocating_step` does, and allocates
everything **once**, before the first step, for the profile's maximum:
`context.engine.get_tensor_profile_shape("input_ids", 0)[2]`. The host arrays are pinned now.

* It returns `step(input_ids, attention_mask)`, which gives the logits of the last step, float32 `[B, V]`, as
  an array of its own.
* Ids and mask go up from pinned memory of your own, too. Copy what the step has, not the whole buffer.
* The logits' shape is the context's, once the inputs' shapes are set: `[B, t, V]`, or `[B, V]` for a
  last-step graph. Hand it as it is to `copy_logits(host, device, shape, stream)`. `host` is the flat pinned
  array, `device` the allocation; it enqueues the copy, and returns the view `[B, V]` that is right once the
  stream is done.
* One synchronisation a step. A shape that is refused is a `ValueError`, before anything is copied.
"""


# %% tags=["todo-preallocate"]
def preallocated_step(context, stream, copy_logits):
    """A step on memory that is allocated once, here, for the profile's largest shape."""
    ### BEGIN SOLUTION
    largest = tuple(context.engine.get_tensor_profile_shape("input_ids", 0)[2])
    for name in INPUTS:
        context.set_input_shape(name, largest)
    host, device = {}, {}
    for name in (*INPUTS, "logits"):
        dtype = trt.nptype(context.engine.get_tensor_dtype(name))
        host[name] = cuda.pagelocked_empty(trt.volume(context.get_tensor_shape(name)), dtype)
        device[name] = cuda.mem_alloc(host[name].nbytes)

    def step(input_ids, attention_mask):
        inputs = dict(zip(INPUTS, (input_ids, attention_mask), strict=True))
        for name, array in inputs.items():
            if not context.set_input_shape(name, array.shape):
                raise ValueError(f"{name}: {array.shape} lies outside the profile")
        for name, array in inputs.items():
            pinned = host[name][: array.size]
            pinned[:] = array.ravel()
            cuda.memcpy_htod_async(device[name], pinned, stream)
        for name, allocation in device.items():
            context.set_tensor_address(name, int(allocation))
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("the execution was refused; the log says why")
        last = copy_logits(
            host["logits"], device["logits"], tuple(context.get_tensor_shape("logits")), stream
        )
        stream.synchronize()
        return last.astype(np.float32)

    return step
    ### END SOLUTION


# %% tags=["check-preallocate"]
check("ex2/preallocate", preallocated_step)

# %% [markdown] tags=["todo-last-step-text"]
"""
### TODO 8: copy the last step only (about 10 minutes)

In the device's memory, logits `[B, t, V]` lie row after row: all `t` positions of row 0, then all of row 1.
The last position of each row is contiguous; the last positions of *all* rows are not, unless `B` is 1. So
"copy `[B, V]`" is not one plain copy.

Write `copy_last_step(host, device, shape, stream)`, a `copy_logits` for shapes `[B, t, V]` that moves `B * V`
elements and no more, into the beginning of `host`. It enqueues, and does not wait. Ways that are right: a
copy for each row, from `int(device)` plus an offset in bytes; or one `cuda.Memcpy2D`, a copy with a pitch.
The size of an element is `host.itemsize`: an FP16 engine has logits of two bytes.

For the curious, and without points, `copy_last_step_again` further down takes the other way. If you leave it
open, its row is missing in [o1].
"""


# %% tags=["todo-last-step"]
def copy_last_step(host, device, shape, stream):
    """Enqueue the copy of the last step's logits alone; the view [B, V] that will hold them."""
    ### BEGIN SOLUTION
    rows, tokens, vocabulary = shape
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    for row in range(rows):
        position = (row + 1) * tokens - 1
        cuda.memcpy_dtoh_async(
            last[row], int(device) + position * vocabulary * host.itemsize, stream
        )
    return last
    ### END SOLUTION


# %% tags=["check-last-step"]
check("ex2/last_step", copy_last_step)

# %% tags=["predict-o1"]
# Before anything is timed: 8 rows, from 4 to 32 tokens, against the baseline. What can be counted ...
predict("preallocation alone: bytes to the host, baseline over this", 2, unit="times")
predict("last-step copy alone: bytes to the host, baseline over this", 10, unit="times")
predict("last-step copy alone: operations saved", 90, unit="%")
predict("last-step graph: operations saved", 50, unit="%")
# ... and the time on this machine.
predict("O1, both changes: time saved here", 40, unit="%")


# %% tags=["free-second-way"]
def copy_last_step_again(host, device, shape, stream):
    """The last step's logits, copied in another way."""
    ### BEGIN SOLUTION
    rows, tokens, vocabulary = shape
    last = host[: rows * vocabulary].reshape(rows, vocabulary)
    width = vocabulary * host.itemsize
    copy = cuda.Memcpy2D()
    copy.set_src_device(int(device))
    copy.src_x_in_bytes, copy.src_pitch = (tokens - 1) * width, tokens * width
    copy.set_dst_host(last)
    copy.dst_pitch = copy.width_in_bytes = width
    copy.height = rows
    copy(stream)
    return last
    ### END SOLUTION


# %% tags=["o1"]
variants = {
    "baseline": (allocating_step, "all", copy_all),
    "preallocation alone": (preallocated_step, "all", copy_all),
    "last-step copy alone": (allocating_step, "all", copy_last_step),
    "both: O1": (preallocated_step, "all", copy_last_step),
    "O1, copied the second way": (preallocated_step, "all", copy_last_step_again),
    "preallocation, last-step graph": (preallocated_step, "last", copy_all),
}
steps = {label: new_step(*parts) for label, parts in variants.items()}
try:
    steps["O1, copied the second way"](*prompt_of(8))
except Exception as error:
    print("copy_last_step_again is left out:", repr(error))
    del steps["O1, copied the second way"]


def record_of(run):
    """What it gives, and the device's record of it. Only the simulated device keeps a record."""
    since = backend.record_length() if active.simulated else 0
    result = run()
    events = backend.record(since) if active.simulated else []
    return result, pd.DataFrame(events, columns=["op", "nbytes"])


runs = {label: decoding(step, 8, 32) for label, step in steps.items()}
taken = race(runs)
flop = {last: sum(step_flop(t, last) for t in range(PROMPT, 32)) for last in (False, True)}
back, tokens, rows = {}, {}, []
for label, run in runs.items():
    _, graph, copy = variants[label]
    tokens[label], events = record_of(run)
    copies = events[events["op"] == "dtoh"]
    allocations = events["op"].isin(["alloc", "host_alloc"]).sum()
    back[label] = int(copies["nbytes"].sum())
    if not active.simulated:  # pragma: no cover - a GPU keeps no record: what was asked for
        back[label] = copied_bytes(
            8, PROMPT, 32, VOCABULARY, graph == "last" or copy is not copy_all
        )
    counted = mib(back[label]), len(copies), allocations, flop[graph == "last"] / 1e9
    same = "yes" if np.array_equal(tokens[label], tokens["baseline"]) else "NO"
    saved = percent(1 - taken[label] / taken["baseline"])
    rows.append((label, *counted, same, taken[label], saved))
caption(
    "o1",
    EXACT,
    f"8 rows, 4 to 32 tokens, vocabulary 50,257. GFLOP: *{CALCULATED}*. ms, saved: *{TIMED}*, {RAN}.",
)
counts = ["to the host", "copies back", "allocations", "GFLOP", "same tokens"]
show(rows, ["variant", *counts, "ms", "saved"])
for label in ("preallocation alone", "last-step copy alone"):
    reveal(f"{label}: bytes to the host, baseline over this", back["baseline"] / back[label])
reveal("last-step copy alone: operations saved", 0)
reveal("last-step graph: operations saved", 100 * (1 - flop[True] / flop[False]))
reveal("O1, both changes: time saved here", 100 * (1 - taken["both: O1"] / taken["baseline"]))

# %% tags=["timelines"]
both = {"baseline": before, "O1": capture(steps["both: O1"])}
caption("timelines", TIMED, f"8 rows, 4 to 32 tokens, before and after O1 at one scale, {RAN}.")
timeline.draw(both, title="One generation, before and after O1").show()
display(timeline.html(both))
for label, line in both.items():
    print(f"{label}: {line.adds_up}.")

forgotten = []


def forgetful(host, device, shape, stream):
    """A program that allocates a little in each step, and forgets to free it."""
    forgotten.append(cuda.mem_alloc(1 << 20))
    return copy_all(host, device, shape, stream)


suspects = {
    "baseline": baseline,
    "O1": steps["both: O1"],
    "one that forgets": new_step(allocating_step, "all", forgetful),
}
rows = []
for label, step in suspects.items():
    _, events = record_of(decoding(step, 8, 12))
    got, freed = (events.loc[events["op"] == op, "nbytes"] for op in ("alloc", "free"))
    rows.append((label, len(got), len(freed), int(got.sum() - freed.sum())))
forgotten.clear()
if active.simulated:
    caption("leak", EXACT, "device memory in the record of one generation of 8 steps.")
    show(rows, ["step", "allocations", "frees", "bytes not freed"])

# %% [markdown] tags=["step-5"]
"""
## Stage 5: results, and what is left

**What O1 was.** [o1] splits the report's one percentage. To preallocate moves not one byte less and saves not
one operation: it saves allocations. To copy the last step moves 17.5 times fewer bytes, and saves no
operation. The last-step *graph* copies the same bytes and saves operations besides, those of logits that
nobody reads; [o1] says what share. What it gains on a CPU is arithmetic, no copying.

**The milliseconds are this machine's. Without a GPU they say nothing about O1 on one.** A simulated "copy"
stays within the host's memory; no PCIe is in between. What preallocation saves here are calls, and fresh
pages of the operating system for the host's arrays. And a pinned array with a copy on its way is overwritten at once, so that reading too
early shows: that marking is the simulator's own work, and costs time in no other place. Only what was counted
carries over.

**"Always free device memory"**, says the report. [leak] does not take a program's word for it; it asks the
record.

### Is it right, is it fast, and what does a step cost?

Three tables answer. *Tokens* first: four paths against PyTorch, exact in FP32. FP16 rounds, so its rule is
another: with the same tokens fed in, logits within 0.05 at every step; where a row differs, PyTorch's own two
best tokens lay less than 0.1 apart; and 95 % of the tokens equal. Then the four ways of decoding, *whole
generations*, in the rows of the report. Then *one step* as the text grows: O(*L*²) without a cache and O(*L*)
with one, says the report. A fit of *a* + *bL* + *cL*² shows which term pays. (With a cache a step has no
squared term in its arithmetic: if the fit shows one, it is noise, or the program around it.)
"""


# %% tags=["verification"]
def forced(step, tokens, mask, prompt):
    """Logits [steps, B, V] when the tokens are given, whatever the step itself would choose."""
    rows, length = tokens.shape
    mask = np.concatenate([mask, ones(rows, length - prompt)], axis=1)
    return np.stack([step(tokens[:, :t], mask[:, :t]) for t in range(prompt, length)])


paths = {
    "ONNX Runtime": ort_step,
    "TensorRT's API, baseline": baseline,
    "TensorRT's API, O1": steps["both: O1"],
    "TensorRT's API, last-step graph": steps["preallocation, last-step graph"],
}
cases = [(padded, batch) for padded in (False, True) for batch in ((2, 8) if SLOW else (2, 8, 16))]
tally = {(label, padded): [] for label in paths for padded in (False, True)}
for padded, batch in cases:
    ids, mask = data.encode_prompts(tokenizer, prompts[:batch]) if padded else prompt_of(batch)
    prompt = ids.shape[1]
    wanted = generate(ids, mask, prompt + 8)
    reference = forced(torch_step, wanted, mask, prompt)
    for label, step in paths.items():
        same = (greedy_decode(step, ids, mask, prompt + 8) == wanted)[:, prompt:]
        worst = np.abs(forced(step, wanted, mask, prompt) - reference).max()
        tally[label, padded].append((same.sum(), same.size, worst))
rows = []
for (label, padded), results in tally.items():
    equal, of, worst = zip(*results, strict=True)
    padding = "on the left" if padded else "none, 4 tokens"
    rows.append((label, padding, len(results), sum(equal), sum(of), f"{max(worst):.1e}"))
total = sum(row[2] for row in rows)
caption("verification", EXACT, f"FP32 against `generate`: {total} cases of 8 new tokens a row.")
show(rows, ["path", "padding", "cases", "equal tokens", "of", "largest difference of logits"])

fp16 = precision.to_fp16(graphs["all logits"], WORK / "gpt2_fp16.onnx")
engines["fp16"], logs["fp16"] = build("fp16", fp16)
fp16_step = new_step(preallocated_step, "fp16", copy_last_step)
equal, of, difference, differing = 0, 0, 0.0, []
many = data.load_prompts(96)[-8 if SLOW else -48 :]  # of the small model's, some differ among these
for start in range(0, len(many), 16):
    ids, mask = data.encode_prompts(tokenizer, many[start : start + 16])
    prompt = ids.shape[1]
    wanted, given = generate(ids, mask, 32), greedy_decode(fp16_step, ids, mask, 32)
    reference = forced(torch_step, wanted, mask, prompt)
    difference = max(difference, np.abs(forced(fp16_step, wanted, mask, prompt) - reference).max())
    same = (given == wanted)[:, prompt:]
    equal, of = equal + same.sum(), of + same.size
    for row in np.flatnonzero(~same.all(axis=1)):
        at = int(np.argmin(same[row]))  # the first that differs; what follows it is another text
        second, first = np.sort(reference[at, row])[-2:]
        words = [tokenizer.decode(tokens[row, [prompt + at]]) for tokens in (wanted, given)]
        differing.append((many[start + row], prompt + at, *map(repr, words), float(first - second)))
margins = [row[-1] for row in differing]
most = f"at most {max(margins):.1e}" if margins else "no row differs"
rule = "95 %" if generator.trained else "no rule: random weights"
arithmetic = precision.STORAGE if active.simulated else "FP16 on the GPU"
caption("fp16", EXACT, f"{arithmetic}; {len(many)} prompts, padded on the left, to 32 tokens.")
checks = (
    ("largest difference of logits, tokens given", f"{difference:.1e}", "0.05", difference <= 5e-2),
    ("equal tokens", percent(equal / of), rule, equal / of >= 0.95 or not generator.trained),
    ("PyTorch's margin where a row first differs", most, "0.1", max(margins, default=0) < 0.1),
)
show([(*row, "yes" if holds else "NO") for *row, holds in checks], ["", "here", "allowed", "holds"])
if differing:
    caption("fp16", EXACT, "each row that differs, where it does so first.")
    show(differing, ["prompt", "position", "PyTorch FP32", "FP16", "PyTorch's margin"])


# %% tags=["paths"]
def torch_decoding(batch, length, cache):
    ids, mask = prompt_of(batch)
    return lambda: generate(ids, mask, length, cache)


rows = []
for batch, length in [(8, 12), (8, 32)] if SLOW else zip(gtx["batch"], gtx["length"], strict=True):
    taken = race(
        {
            "PyTorch, KV cache": torch_decoding(batch, length, True),
            "PyTorch, no cache": torch_decoding(batch, length, False),
            "ONNX Runtime": decoding(ort_step, batch, length),
            "TensorRT baseline": decoding(baseline, batch, length),
            "TensorRT O1": decoding(steps["both: O1"], batch, length),
        }
    )
    saved = percent(1 - taken["TensorRT O1"] / taken["TensorRT baseline"])
    rows.append((batch, length, PROMPT, length - PROMPT, "here", *taken.values(), saved))
    of = theirs(batch, length)
    times = of["pytorch_ms"], None, of["onnx_ms"], of["tensorrt_ms"], of["o1_ms"]
    rows.append(
        (batch, length, PROMPT, length - PROMPT, "theirs", *times, f"{of['o1_drop_percent']} %")
    )
caption(
    "paths",
    TIMED,
    f'whole generations, ms. "here": TensorRT\'s API is {RAN}. "theirs": *{RECORDED}*, by the report, '
    f"real TensorRT 8.6 on the {GPU}, DistilGPT2 at full size.",
)
show(rows, ["batch", "L", "prompt", "steps", "", *taken, "O1 saves"])

# %% tags=["complexity"]
# The model's own vocabulary and the last position's logits, so that the layers are what is timed.
narrow = models.load_generator().model.to(DEVICE)
full = generator.size == "full"
LENGTHS = (16, 64, 128, 256, 512) if full else (16, 32, 64, 96, 128, 192, 256)
batch = 1 if SLOW else 8
random = np.random.default_rng(0).integers(1, 1000, (batch, LENGTHS[-1]))
text, seen = torch.from_numpy(random).to(DEVICE), torch.ones(random.shape, dtype=int, device=DEVICE)


def call(start, stop, **more):
    with torch.inference_mode():
        return narrow(text[:, start:stop], attention_mask=seen[:, :stop], logits_to_keep=1, **more)


def whole_step(length):
    return lambda: call(0, length, use_cache=False).logits.cpu()


def cached_step(length):
    past = call(0, length - 1, use_cache=True).past_key_values

    def run():
        logits = call(length - 1, length, past_key_values=past, use_cache=True).logits.cpu()
        past.crop(-1)  # as it was before this step
        return logits

    return run


assert torch.allclose(whole_step(64)(), cached_step(64)(), atol=1e-3)
rows, fits = [], {}
for label, make in (("without a cache", whole_step), ("with a KV cache", cached_step)):
    taken = race({length: make(length) for length in LENGTHS})
    fit = fits[label] = benchmark.fit_steps(list(taken), list(taken.values()))
    shares = [f"{100 * share:.0f} %" for share in fit.shares(LENGTHS[-1])]
    rows.append((label, taken[LENGTHS[0]], taken[LENGTHS[-1]], fit.a, fit.b, fit.c, *shares))
caption(
    "complexity",
    TIMED,
    f"one step of PyTorch, batch {batch}, fitted to a + bL + cL². Shares: of the fit, L = {LENGTHS[-1]}.",
)
ends = [f"ms at L = {LENGTHS[0]}", f"ms at L = {LENGTHS[-1]}"]
show(rows, ["one step", *ends, "a, ms", "b, ms", "c, ms", "a", "bL", "cL²"])
for label, fit in fits.items():
    print(f"{label}: {fit.sentence}")
plots.steps_fit(fits).show()
caption(
    "attention",
    CALCULATED,
    "share of the attention's scores and sums in the operations of a layer without a cache: L / (6d + L).",
)
show(
    [
        (name, d, *(percent(n / (6 * d + n)) for n in (12, 32, 256, 1024)), 6 * d)
        for name, d in (("our small model", 128), ("DistilGPT2", 768))
    ],
    ["model", "width d", "L = 12", "L = 32", "L = 256", "L = 1,024", "half of it at L ="],
)

# %% tags=["recorded"]
file = RECORDS / "distilgpt2_gpus.json"
recorded = json.loads(file.read_text()) if file.exists() else {"runs": [], "not_yet_run": ["all"]}
others = []
for run in recorded["runs"]:
    title, table = run["title"], pd.DataFrame(run["rows"], columns=run["columns"])
    ran = f"{run['gpu']}, {run['engine']}"
    if title.startswith("One step"):
        table = table[table["batch"] == 8]
        curves = {name.removesuffix(", ms"): table[name] for name in table.columns[2:]}
        fits = {name: benchmark.fit_steps(table["L"], ms) for name, ms in curves.items()}
        caption("recorded", RECORDED, f"{title}, batch 8; {ran}.")
        plots.steps_fit(fits, title=f"{title}, recorded on {run['gpu']}").show()
    elif title.startswith(("Whole generations, FP32", "O1's", "The device's lane", "Copying")):
        if "path" in table:  # of the six rows, the least and the most work
            table = table[table["L"].isin([32]) | table["batch"].isin([1])]
        wide = [name for name in table if "Memcpy2D" in name or "bound" in name]
        table = table.drop(columns=[*wide, *({"steps", "equal tokens, all paths"} & set(table))])
        caption("recorded", RECORDED, f"{title}; {ran}. {run.get('note', '')}")
        show(table)
    else:
        others.append(title)
others.append("columns that are left out here")
print("More of the same in assets/recorded/distilgpt2_gpus.json:", "; ".join(others) + ".")
print("Not yet run:", "; ".join(recorded["not_yet_run"]) + ".")

# %% [markdown] tags=["left-text"]
"""
### What is left

The report closes with the missing cache, and there it is right, though not because of O(*L*²): at 32 tokens
[attention] gives the squared term less than 1 % of DistilGPT2's operations. What grows is the linear part.
Without a cache a step at 32 tokens pushes 32 tokens through every layer to learn one; with a cache it pushes
one. Over a whole generation that is O(*L*²) against O(*L*) at these lengths, one power less than the report's
table on both sides.

Two things come from [recorded]. Copies into ordinary memory reach 14 GB/s there while the array is reused,
and 3 where the operating system has to find fresh pages for it: so the 2.7 GB/s that O1's bytes went by may
well have been fresh, pageable arrays. And on an H200 the cache alone does not make `generate` faster: 8 rows
from 4 to 32 tokens take it 150 ms with a cache and 130 without, because Python and launches cost more than
the work that is saved. With the cache *and* a CUDA graph, which launches a whole step at once, it is 16 ms.
Exercise 3 builds that.

## Three questions

Answer in a few sentences and cite the number from the cell that is named. An answer without its number is
worth half.
"""

# %% [markdown] tags=["question-1"]
"""
**1. Why does TensorRT lose here?** In the report O1 is still slower than PyTorch's `generate` in every row.
Which part of that is the engine's fault, which the algorithm's, which that of the program around it? And what
remains of "5.6 to 38 times"? *Cite [report-bytes] and [sums].*
"""

# %% [markdown] tags=["answer-1"]
"""
The comparison is one of algorithms. `generate` has a KV cache and feeds one token a step, so that in
[report-bytes] it takes 7.0 to 7.9 ms a step in every row. The TensorRT path feeds the whole sequence, and its
step grows with the text and the batch: with O1 7.2 ms at batch 1, as fast as PyTorch, but 12.7 at batch 8 and
L = 32, where it pushes up to 31 tokens a row through the model and PyTorch one. The program around it added
copies of all logits, which O1's saving of 2.4 to 2.7 GB/s shows to have been the main cost, allocations, and
a wait at each step. That the engine is slow is shown nowhere. "5.6 to 38 times" divides a loop of 4 to 28
executions by one; a step over an execution is 1.2 to 1.6. In [sums] the same holds here: loop over one is
largest for L = 32, where the steps are most, and loop over the sum of its own executions stays small; in our
run what it adds is allocation and copying within the host, not PCIe.
"""

# %% [markdown] tags=["guide-1"]
"""
*Marking guide, 4 points.* 1: algorithm: whole sequence at each step against one token with a cache. 1:
program: copies of all logits and allocations, with a figure of [report-bytes] (GB/s, or ms a step before and
after O1). 1: "5.6 to 38" is a loop over one execution; names the steps, or the quotient of 1.2 to 1.6. 1:
cites loop / sum of [sums] as this machine's. "TensorRT is slow on this model" without the algorithm: at most
1.
"""

# %% [markdown] tags=["question-2"]
"""
**2. What would a KV cache change, and what would TensorRT-LLM?** Say for a step at 32 and at 1,024 tokens
what is computed, what is copied, and what grows. Where does the report's O(*L*²) hold? *Cite [complexity] and
[attention].*
"""

# %% [markdown] tags=["answer-2"]
"""
With a cache a step computes one token a row. The work of the linear layers no longer depends on L; the
attention looks at L stored keys and values, so that a step is O(L) with a small factor. In [complexity], in
our run, a step with a cache grows little from the shortest to the longest text, while without one it grows
about tenfold and bL carries most of it. The squared term belongs to the attention alone: by [attention] it is
0.7 % of a layer's operations at 32 tokens and 18 % at 1,024 for DistilGPT2. So a step without a cache is
linear in effect at the report's lengths; the square matters for long texts. Copies: the cache stays on the
device, one token goes up, and B times V logits come down, or B tokens if the argmax is in the graph.
TensorRT-LLM has all of that, and a cache in pages, batches that change while they run, fused attention, and
sampling on the device.
"""

# %% [markdown] tags=["guide-2"]
"""
*Marking guide, 4 points.* 1: one token a step instead of L through all layers; attention still looks at L. 1:
cites both rows of [complexity] as this machine's. 1: O(L²) holds for the attention only, with a share from
[attention]; at these lengths linear layers dominate. 1: TensorRT-LLM: the cache on the device and one thing
more (paged cache, in-flight batching, fused attention, sampling on the device), or what is copied with and
without.
"""

# %% [markdown] tags=["question-3"]
"""
**3. Hardware.** The report blames the GTX 1060 as its third reason. Which of its figures would change on a
recent data-centre GPU, in which direction, and which would stay exactly the same? What would limit a step
there? *Cite [recorded] and [o1].*
"""

# %% [markdown] tags=["answer-3"]
"""
What is counted stays: the bytes, copies, allocations and operations of [o1] do not depend on the GPU, nor do
the tokens in FP32. Times shrink, but unequally. Executions shrink most, by bandwidth and by tensor cores in
FP16; copies by the faster bus, if the memory is pinned; launches, Python and waiting hardly at all, so that
their share grows. [recorded] shows all of it on an H200, with ONNX Runtime's CUDA provider behind TensorRT's
API, so not for TensorRT itself. A fixed cost of 4 to 5 ms a step hides the length: `generate` takes 150 ms
with a cache and 130 without for 8 rows to 32 tokens, and 16 ms with a cache in a CUDA graph. O1 still counts:
all logits of 8 rows by 32 tokens take 950 us to copy from pinned memory, the last step's about 45, and from
pageable memory four times as long each. So launches and the host limit a step there, and a CUDA graph, pinned
memory or an argmax on the device are the remedies. Weak overlap of copies and compute, the report's other
point about its card, is shown by no figure: in a loop that waits at each step nothing could overlap.
"""

# %% [markdown] tags=["guide-3"]
"""
*Marking guide, 4 points.* 1: bytes, operations or allocations of [o1] stay, with a figure. 1: compute shrinks
more than launches and host overhead, whose share grows. 1: cites [recorded] with its GPU and engine (with
against without cache, or full against last-step copy), or says which row is missing there. 1: a sound remedy
or limit there (CUDA graph, FP16, argmax on the device, pinned memory, no overlap possible in a loop that
waits at each step).
"""

# %% tags=["end"]
took = time.perf_counter() - STARTED
print(
    f"This run of the notebook took {took:.0f} s, with {BENCH_SECONDS:g} s for a row of a benchmark."
)
progress()
