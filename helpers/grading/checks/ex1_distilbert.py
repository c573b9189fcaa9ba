"""Exercise 1: what right answers to its eight TODOs do. The table is `CHECKS`.

A check looks at products: the ONNX graph, the plan, outputs on inputs chosen here, and the device's record. What the
subject returns is a claim, what the examiner returns is a fact. Each TODO is judged on a good input made here, so that
one bug costs one check. All that a check picks (weights, shapes, names, inputs) comes from its draw.

Nothing here uses the library's own export, engine or runtime: those are answers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..compare import differs
from ..draw import Draw
from ..examiner import RUNTIME, TRUE_FP16, Examiner
from ..report import Check, Report, errors_of, said, short, words
from ..subject import Raised, Ref, Subject
from .ground import (
    NO_RECORD,
    Classifier,
    Event,
    Facts,
    Model,
    Odd,
    Range,
    Shape,
    address_of,
    allows,
    as_number,
    built_by,
    classifier_model,
    declared,
    digest_of,
    drawn_names,
    drawn_range,
    drawn_weights,
    files_of,
    heavy_model,
    holds,
    is_fixed,
    live_bytes,
    make_ground,
    need_context,
    once,
    path_of,
    profile_of,
    put_profile,
    quietly,
    same_model,
    serialized,
    sum_model,
    trt_constant,
    unlike,
    value_of,
    wait_problem,
)

# --- ex1/export -----------------------------------------------------------------------------------------------------

_Answer = tuple[np.ndarray, np.ndarray, np.ndarray]  # input_ids, attention_mask, logits
_ONNX = "model.onnx"


@dataclass(frozen=True)
class _Exported:
    """What one call of the student's function left behind, and the same model on this side."""

    model: Any
    files: Mapping[str, bytes]

    @property
    def data(self) -> bytes:
        return self.files.get(_ONNX, b"")


def _settings(draw: Draw) -> dict[str, Any]:
    random = draw("export: sizes")
    return {
        "vocab_size": int(random.integers(40, 80)),
        "max_position_embeddings": 512,
        "n_layers": 1,
        "n_heads": 2,
        "dim": 16,
        "hidden_dim": int(random.integers(24, 48)),
        "num_labels": int(random.integers(3, 7)),
        "attn_implementation": "eager",
    }


def _exported(subject: Subject, report: Report, draw: Draw) -> _Exported:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    settings = _settings(draw)
    model = drawn_weights(DistilBertForSequenceClassification, DistilBertConfig, settings, draw("export: weights"))
    theirs = same_model(subject, model, "transformers.DistilBertForSequenceClassification", settings)
    path = path_of(subject, subject.path(_ONNX))
    quietly(lambda: report.call("the model is exported", subject, subject.answer(), theirs, path))
    return _Exported(model, files_of(subject))


def _export(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    made = once(subject, report, "ex1/export", draw, lambda secret: _exported(subject, report, secret))
    if not made.data:
        report.fail(
            "the ONNX file is at the path that was given",
            "there is no such file" if _ONNX not in made.files else "the file is empty",
            "hand `str(path)` to torch.onnx.export as its third argument.",
        )
    facts = examiner.onnx(made.data)
    if facts["problem"]:
        report.fail("the file is valid ONNX", facts["problem"], "write it with torch.onnx.export alone.")
    outside = facts["external"]
    problem = "" if outside else _same_numbers(examiner, made, _answers(made.model, draw))
    if problem and not _holds_the_weights(made):
        report.fail(
            "the file holds the model that was given",
            "its weights are not in the file, and its answers are others",
            "export the `model` of the arguments, as it is.",
        )
    beside = sorted(set(made.files) - {_ONNX})
    # What lies in another file is opened by nobody here, so that it earns nothing.
    if not report.expect(
        "one file, with the weights inside",
        not outside,
        0.5,
        f"{len(outside)} tensors are kept outside, in {', '.join(beside) or 'another file'}",
        "external_data=False; a parser that is given bytes cannot find a second file.",
    ):
        return
    names = ("input_ids", "attention_mask")
    inputs, outputs = facts["inputs"], facts["outputs"]
    if not report.expect(
        "int64 inputs input_ids and attention_mask, output logits",
        set(inputs) == set(names) and set(outputs) == {"logits"} and all(t[0] == "INT64" for t in inputs.values()),
        0.5,
        f"inputs {declared(inputs)}, outputs {declared(outputs)}",
        "input_names=[...] and output_names=[...]; a missing input may be the same tensor as the other.",
    ):
        return
    fixed = [
        f"{name} axis {axis} is {dim or 'unknown'}"
        for name in names
        for axis, dim in enumerate(inputs[name][1])
        if is_fixed(dim)
    ]
    report.expect(
        "batch and sequence of both inputs are dynamic",
        not fixed and all(len(inputs[name][1]) == 2 for name in names),
        1.0,
        ", ".join(fixed) or f"inputs {declared(inputs)}",
        "dynamic_shapes: one {0: Dim, 1: Dim} for each input; the example batch must not be 1.",
    )
    shape, labels = outputs["logits"][1], made.model.config.num_labels
    report.expect(
        "logits are [batch, labels]: a dynamic batch and no sequence axis",
        len(shape) == 2 and not is_fixed(shape[0]) and shape[1] == labels,
        0.5,
        f"logits are {shape}" + ("" if "draw" in subject.shared else f", and the model has {labels} labels"),
        "a classifier gives one row a text; only axis 0 follows the input.",
    )
    report.expect(
        "opset 20, as asked",
        facts["opset"] == 20,
        0.5,
        f"the file says opset {facts['opset']}; the exporter raises what is too old without an error",
        "opset_version=20, together with dynamo=True.",
    )
    if "draw" in subject.shared:  # a secret model, also where the check itself is the visible one
        problem = problem.partition(" at [")[0]
    report.expect(
        "the graph computes what PyTorch computes, also for shapes other than the example's",
        not problem,
        1.0,
        problem,
        "give the exporter two different tensors (one for both makes the graph ignore one), a batch of 2 or"
        " more, and the model as it is.",
    )


def _holds_the_weights(made: _Exported) -> bool:
    """Whether the table of words, which no exporter takes apart, lies in one of the files."""
    table = made.model.distilbert.embeddings.word_embeddings.weight.detach().numpy()
    return holds(made.files, table)


def _answers(model: Any, draw: Draw) -> list[_Answer]:
    """What PyTorch says for shapes that no example has."""
    import torch

    random = draw("export: inputs")
    found = []
    for rows in (1, int(random.integers(3, 9))):
        shape = (rows, int(random.integers(5, 60)))
        ids = random.integers(0, model.config.vocab_size, shape)
        mask = (random.random(shape) < 0.7).astype(np.int64)
        mask[:, 0] = 1
        with torch.inference_mode():
            reply = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()
        found.append((ids, mask, reply))
    return found


def _same_numbers(examiner: Examiner, made: _Exported, wanted: list[_Answer]) -> str:
    """How ONNX Runtime's logits differ from PyTorch's; empty where they do not."""
    for ids, mask, logits in wanted:
        reply = examiner.run_onnx(made.data, {"input_ids": ids, "attention_mask": mask}, RUNTIME)
        problem = reply["problem"] or differs(reply["outputs"].get("logits"), logits, 1e-4)
        if problem:
            return f"at batch {ids.shape[0]} and {ids.shape[1]} tokens: {problem}"
    return ""


# --- ex1/parse ------------------------------------------------------------------------------------------------------


def _parse(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    model, shapes = sum_model(draw, "parse"), drawn_range(draw, "parse")
    files = [f"{name}.onnx" for name in drawn_names(draw, "parse: files", 3)]
    logger = subject.logger()

    def path(name: str, data: bytes) -> Ref:
        return path_of(subject, subject.write(name, data))

    builder = subject.new("tensorrt.Builder", logger)
    answer = subject.answer()
    good = path(files[0], model.onnx)
    network = report.call("a good file is parsed", subject, answer, builder, good, logger, log=logger)
    problem = _continued(subject, examiner, builder, network, model, shapes)
    parsed = report.expect(
        "a good file gives its network",
        not problem,
        1.0,
        problem + (said(errors_of(subject, logger)) if problem else ""),
        "return the network that create_network gave and the parser filled.",
    )
    cut = _cut(examiner, model.onnx, draw)
    error = report.raises(subject, answer, subject.new("tensorrt.Builder", logger), path(files[1], cut), logger)
    report.expect(
        "a file that is cut off raises an error",
        error is not None and parsed,
        1.0,
        "no exception: the function returned as if the file were good" if error is None else "the good file failed",
        "parser.parse returns False; look at it and raise.",
    )
    unknown = _unsupported(draw)
    reason = examiner.parse_error(unknown)
    error = report.raises(subject, answer, subject.new("tensorrt.Builder", logger), path(files[2], unknown), logger)
    happened = "no exception" if error is None else words(error) if parsed else "the good file failed"
    report.expect(
        "the error says what the parser said first",
        error is not None and _squeezed(reason) in _squeezed(error.text) and parsed,
        0.75,
        happened,
        "the text should hold parser.get_error(0).desc().",
    )
    report.expect(
        "the error says which file it was",
        error is not None and files[2] in error.text and parsed,
        0.25,
        happened,
        'put the path into the text too: f"{onnx_path} could not be parsed: ...".',
    )


def _continued(subject: Subject, examiner: Examiner, builder: Ref, network: Ref, model: Model, shapes: Range) -> str:
    """Build what was returned as a network; why it is not the network of `model`, empty where it is."""
    try:
        config = subject.method(builder, "create_builder_config")
        put_profile(subject, builder, config, model.inputs, shapes)
        data = built_by(subject, builder, network, config)
    except Raised as error:
        return f"what was returned cannot be built: {words(error)}"
    return "it does not build" if data is None else unlike(examiner.plan(data, True), model)


def _cut(examiner: Examiner, onnx: bytes, draw: Draw) -> bytes:
    """The beginning of a model that the parser refuses."""
    random = draw("parse: cut")
    while True:
        part = onnx[: int(len(onnx) * random.uniform(0.3, 0.8))]
        if examiner.parse_error(part):
            return part


def _unsupported(draw: Draw) -> bytes:
    """A model whose third node no parser takes; what NVIDIA's says of it quotes the drawn word."""
    import onnx

    (word,) = drawn_names(draw, "parse: word", 1)
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["" : 20]>
        broken (float[n] x) => (float[n] y) {{
            twice = Add (x, x)
            square = Mul (twice, x)
            bent = Gelu <approximate = "{word}"> (square)
            y = Mul (bent, x)
        }}""")
    return bytes(model.SerializeToString())


def _squeezed(text: str) -> str:
    return " ".join(text.split())


# --- ex1/profile ----------------------------------------------------------------------------------------------------


def _profiles(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    count = int(draw("profile: inputs").integers(2, 4))
    model, (smallest, usual, largest) = sum_model(draw, "profile", count), drawn_range(draw, "profile")
    ground = make_ground(subject, model)
    answer = subject.answer()
    index = report.call(
        "a profile is added",
        subject,
        answer,
        ground.builder,
        ground.config,
        ground.network,
        smallest,
        usual,
        largest,
        log=ground.logger,
    )
    data = built_by(subject, ground.builder, ground.network, ground.config)
    facts = examiner.plan(data, True) if data else {}
    problem = unlike(facts, model) if data else "the build returned None" + said(errors_of(subject, ground.logger))
    added = facts.get("profiles", [])
    built = report.expect(
        "every input of the network is in the profile, and the network builds with it",
        not problem and bool(added),
        1.0,
        problem or "the config got no further profile",
        "set a shape for each network.get_input(i).name, then config.add_optimization_profile(profile).",
    )
    gap = _not_served(added, model.inputs, smallest, largest) if built else "not built"
    report.expect(
        "it reaches from the smallest to the largest shape that was asked for",
        not gap,
        1.0,
        gap,
        "set_shape(name, min, opt, max), in this order, for the arguments as they come.",
    )
    best = [{name: tuple(p[name][1]) for name in model.inputs} for p in added] if built else []
    report.expect(
        "it is made for the usual shape",
        any(set(shapes.values()) == {usual} for shapes in best),
        0.5,
        f"made for {short(best)}, asked for {usual}" if built else "not built",
        "the usual shape is the second of the three.",
    )
    # a config that has a profile already, for other shapes: the index of the next is not 0
    second = make_ground(subject, model)
    put_profile(subject, second.builder, second.config, model.inputs, ((40, 40), (41, 41), (42, 42)))
    of_second = (answer, second.builder, second.config, second.network)
    told = [value_of(subject, index)]
    try:
        told.append(value_of(subject, subject.call(*of_second, smallest, usual, largest)))
    except Raised as raised:
        told.append(Odd(words(raised)))
    error = report.raises(subject, *of_second, largest, usual, smallest)
    right = all(type(i) is int for i in told) and 0 <= told[0] < len(added) and 1 <= told[1] <= len(added)
    happened = f"{short(told[0])} was returned for the first profile, {short(told[1])} where there was one already; "
    happened += f"the refused one: {words(error) if error else 'no exception'}"
    report.expect(
        "the index is returned, and a profile that TensorRT refuses (smallest above largest) raises a ValueError",
        built and right and error is not None and "ValueError" in error.kinds,
        0.5,
        happened if built else "not built",
        "add_optimization_profile returns the index, and -1 where it refuses: compare with < 0, return it otherwise.",
    )


def _not_served(profiles: list[Any], names: Sequence[str], smallest: Shape, largest: Shape) -> str:
    """The first shape between smallest and largest that no profile allows for all inputs; empty where there is none."""
    for rows in range(smallest[0], largest[0] + 1):
        for length in range(smallest[1], largest[1] + 1):
            shape = (rows, length)
            if not any(all(allows(shape, profile[name]) for name in names) for profile in profiles):
                shown = short([{n: [tuple(s) for s in p[n]] for n in names} for p in profiles])
                return f"{shape} is not allowed, asked for {smallest} to {largest}; the profile is {shown}"
    return ""


# --- ex1/build ------------------------------------------------------------------------------------------------------


def _build(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    model, shapes, random = sum_model(draw, "build", 3), drawn_range(draw, "build"), draw("build: workspace")
    workspace = int(random.integers(40 << 20, 900 << 20))
    ground = make_ground(subject, model)
    put_profile(subject, ground.builder, ground.config, model.inputs, shapes)
    # longer than the new plan: what is appended to it, or only written over its beginning, is no plan
    path = subject.write("good.plan", random.bytes(2 << 20))
    answer = subject.answer()
    size = report.call(
        "a good network is built",
        subject,
        answer,
        ground.builder,
        ground.network,
        ground.config,
        path_of(subject, path),
        workspace,
        log=ground.logger,
    )
    data = subject.read("good.plan")
    facts = examiner.plan(data or b"", True)
    problem = "there is no file at the given path" if data is None else unlike(facts, model)
    profiles = [profile[model.inputs[0]] for profile in facts["profiles"] if model.inputs[0] in profile]
    if not problem and not any(allows(shapes[1], profile) for profile in profiles):
        problem = "the plan was built with another profile than the config's"
    good = report.expect(
        "the file holds a plan that the runtime takes",
        not problem,
        0.5,
        problem,
        "write what build_serialized_network returned, in binary, over what was there before, and nothing else.",
    )
    told = value_of(subject, size)
    report.expect(
        "the size of the plan is returned",
        good and type(told) is int and told in (facts["size"], len(data or b"")),
        0.5,
        f"{short(told)} was returned, the plan has {facts['size']:,} bytes" if good else "there is no good plan",
        "return plan.nbytes.",
    )
    limit, flags = facts["workspace"], facts["flags"]
    if limit is None:  # pragma: no cover - needs a GPU: a plan does not tell, the config does
        pool, flag = (trt_constant(subject, name) for name in ("MemoryPoolType.WORKSPACE", "BuilderFlag.TF32"))
        limit = value_of(subject, subject.method(ground.config, "get_memory_pool_limit", pool))
        flags = ["TF32"] if value_of(subject, subject.method(ground.config, "get_flag", flag)) else []
    report.expect(
        "the workspace limit is the one that was asked for",
        good and limit == workspace,
        1.0,
        f"{short(limit)} bytes, asked for {workspace:,}" if good else "there is no good plan",
        "config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace), before the build.",
    )
    report.expect(
        "TF32 is off",
        good and "TF32" not in flags,
        1.0,
        "the flag TF32 is set, as it is by default" if good else "there is no good plan",
        "config.clear_flag(trt.BuilderFlag.TF32), before the build.",
    )
    bad = make_ground(subject, model)  # no profile: NVIDIA's builder returns None
    old = random.bytes(64)
    path = subject.write("old.plan", old)
    error = report.raises(subject, answer, bad.builder, bad.network, bad.config, path_of(subject, path), workspace)
    happened = "no exception, though build_serialized_network returned None"
    if error is not None:  # writing None raises a TypeError by accident: nobody looked at it
        happened = f"another error, or one by accident: {words(error)}"
    report.expect(
        "a build that fails raises a RuntimeError",
        good and error is not None and "RuntimeError" in error.kinds,
        0.5,
        happened if good else "there is no good plan",
        "compare the result with None before you use it, and raise a RuntimeError.",
    )
    now = subject.read("old.plan")
    there = "the old file is gone" if now is None else f"the old file has {len(now)} bytes now, and had {len(old)}"
    report.expect(
        "and leaves the last good plan alone",
        good and now == old,
        0.5,
        there if good else "there is no good plan",
        "open the file for writing only after the build has succeeded.",
    )


# --- ex1/fp16 -------------------------------------------------------------------------------------------------------


def _encoder(draw: Draw) -> Model:
    """tokens, mask int64 [batch, sequence] -> scores float32 [batch, labels]: one layer of attention, in FP32."""
    tokens, mask, scores = drawn_names(draw, "fp16", 3)
    random = draw("fp16: weights")
    words, width, labels = int(random.integers(20, 40)), int(random.choice([32, 48, 64])), int(random.integers(3, 7))
    text = f"""
        encoder (int64[batch, sequence] {tokens}, int64[batch, sequence] {mask})
            => (float[batch, {labels}] {scores}) {{
            one = Constant <value_ints = [1]> ()
            first = Constant <value_int = 0> ()
            x = Gather (table, {tokens})
            query = MatMul (x, w_query)
            key = MatMul (x, w_key)
            turned = Transpose <perm = [0, 2, 1]> (key)
            products = MatMul (query, turned)
            scaled = Mul (products, scale)
            shifted = Sub (scaled, shift)
            wide = Unsqueeze ({mask}, one)
            keep = Cast <to = 9> (wide)
            hidden = Where (keep, zero, lowest)
            masked = Add (shifted, hidden)
            attention = Softmax <axis = -1> (masked)
            value = MatMul (x, w_value)
            mixed = MatMul (attention, value)
            sum = Add (x, mixed)
            normal = LayerNormalization <axis = -1> (sum, gamma, beta)
            pooled = Gather <axis = 1> (normal, first)
            {scores} = Gemm (pooled, w_out, b_out)
        }}"""
    square: dict[str, Any] = {
        name: random.normal(size=(width, width)) / math.sqrt(width) for name in ("w_query", "w_key", "w_value")
    }
    weights = square | {
        "table": random.normal(size=(words, width)),
        "scale": 1 / math.sqrt(width),
        "shift": random.uniform(24, 30),  # every score is about -27: a mask of -65,504 has no room for it
        "zero": 0.0,
        "lowest": np.finfo(np.float32).min,  # as exporters write it
        "gamma": 1 + 0.1 * random.normal(size=width),
        "beta": 0.1 * random.normal(size=width),
        "w_out": random.normal(size=(width, labels)) / math.sqrt(width),
        "b_out": random.normal(size=labels),
    }
    onnx = serialized(text, {name: np.asarray(array, np.float32) for name, array in weights.items()})
    return Model(onnx, (tokens, mask), (scores,), {tokens: "int64", mask: "int64", scores: "float32"})


def _fp16(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    model, random = _encoder(draw), draw("fp16: inputs")
    tokens, mask = model.inputs
    source = path_of(subject, subject.write("source.onnx", model.onnx))
    target = path_of(subject, subject.path("target.onnx"))
    report.call("the file is converted", subject, subject.answer(), source, target)
    data = subject.read("target.onnx")
    facts = examiner.onnx(data or b"")
    if data is None or facts["problem"]:
        report.fail(
            "the target is valid ONNX",
            "there is no file at the target" if data is None else facts["problem"],
            "write the converted model to `target`, whole, and nothing else.",
        )
    kinds = {name: kind for name, (kind, _) in facts["inputs"].items()}
    results = {name: kind for name, (kind, _) in facts["outputs"].items()}
    whole = report.expect(
        "int64 inputs and the outputs keep their names, in one file",
        kinds == {tokens: "INT64", mask: "INT64"}
        and set(results) == set(model.outputs)
        and set(results.values()) <= {"FLOAT16", "FLOAT"}
        and not facts["external"],
        0.5,
        "weights in another file" if facts["external"] else f"inputs {short(kinds)}, outputs {short(results)}",
        "convert floats alone; FP16 holds no token number above 2,048 exactly.",
    )
    held, products, activations = facts["initializers"], facts["products"], facts["activations"]
    half, full = held.get("FLOAT16", 0), held.get("FLOAT", 0) + held.get("DOUBLE", 0)
    plan = _taken(examiner, data, list(kinds), draw)
    computes = report.expect(
        "weights and activations are FP16, and TensorRT builds it",
        half > 0
        and full <= half / 4
        and products.get("FLOAT16", 0) > 0
        and set(products) <= {"FLOAT16", "UNDEFINED"}
        and not facts["subgraphs"]
        and activations.get("FLOAT16", 0) > activations.get("FLOAT", 0)
        and not plan,
        1.0,
        f"{half:,} bytes of weights in FP16, {full:,} in FP32; matrix products by their result: {short(products)};"
        f" all operators: {short(activations)}"
        + (f"; graphs inside {', '.join(facts['subgraphs'])}, which the source has not" if facts["subgraphs"] else "")
        + (f"; {plan}" if plan else ""),
        "casts around FP32 products give FP32 arithmetic: weights and activations become float16, casts stand at the"
        " ends at most.",
    )
    shape = (int(random.integers(4, 8)), int(random.integers(6, 12)))
    feeds = {tokens: random.integers(0, 20, shape), mask: (random.random(shape) < 0.7).astype(np.int64)}
    feeds[mask][:, 0] = 1
    empty = int(random.integers(1, shape[0]))
    feeds[mask][empty] = 0
    rows = [i for i in range(shape[0]) if i != empty]
    wanted = examiner.run_onnx(model.onnx, feeds, RUNTIME)["outputs"][model.outputs[0]]
    reply: Facts = {"problem": "not run", "outputs": {}}
    if whole:
        reply = examiner.run_onnx(data, feeds, TRUE_FP16)
    got = reply["outputs"].get(model.outputs[0])
    fits = isinstance(got, np.ndarray) and got.shape == wanted.shape
    problem = differs(got[rows], wanted[rows], 0.03) if fits else differs(got, wanted, 0.03)
    true = whole and computes
    close = report.expect(
        "the same answers as FP32 but for rounding, in true FP16 arithmetic",
        true and not problem,
        1.0,
        f"{problem}; {reply['problem']}".strip("; ") if true else "it does not compute in FP16",
        "only the precision may change: same graph, same weights, rounded to float16.",
    )
    nan = int((~np.isfinite(got)).sum()) if fits else wanted.size
    report.expect(
        "finite also for a text that is all padding",
        close and nan == 0,
        0.5,
        f"{nan} results are NaN or infinite; {reply['problem']}" if true else "it does not compute in FP16",
        "-3.4e38, which hides padding, becomes -infinity in FP16, and -65,504 with a score added to it too. Clip such"
        " constants to some -10,000.",
    )


def _taken(examiner: Examiner, data: bytes, names: Sequence[str], draw: Draw) -> str:
    """Why NVIDIA's builder does not take a model with these inputs; empty where it does."""
    try:
        examiner.build(data, profile_of(names, drawn_range(draw, "fp16")))
    except ValueError as error:
        return str(error)
    return ""


# --- ex1/buffers ----------------------------------------------------------------------------------------------------


def _tensors(draw: Draw, width: int) -> Model:
    """int64, int64, int32 and float32 inputs -> float16 [batch] and float32 [batch, sequence, width]."""
    tokens, mask, gate, weights, score, detail = drawn_names(draw, "buffers", 6)
    text = f"""
        tensors (int64[batch, sequence] {tokens}, int64[batch, sequence] {mask}, int32[batch, sequence] {gate},
                 float[batch, sequence] {weights})
            => (float16[batch] {score}, float[batch, sequence, {width}] {detail}) {{
            last = Constant <value_ints = [-1]> ()
            kept = Mul ({tokens}, {mask})
            a = Cast <to = 1> (kept)
            b = Cast <to = 1> ({gate})
            product = Mul (a, b)
            numbers = Mul (product, {weights})
            total = ReduceSum <keepdims = 0> (numbers, last)
            {score} = Cast <to = 10> (total)
            column = Unsqueeze (numbers, last)
            {detail} = Mul (column, factor)
        }}"""
    factor = draw("buffers: factor").normal(size=width).astype(np.float32)
    dtypes = {tokens: "int64", mask: "int64", gate: "int32", weights: "float32", score: "float16", detail: "float32"}
    return Model(serialized(text, {"factor": factor}), (tokens, mask, gate, weights), (score, detail), dtypes)


_ROUNDED_UP = 1 << 20  # bytes: who rounds up is right, who takes one large size for everything is not


def _buffers(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    width = int(draw("buffers: width").integers(2, 5))
    model, shapes = _tensors(draw, width), drawn_range(draw, "buffers")
    if shapes[2][0] > shapes[2][1]:  # the batch is the shorter axis: who takes every axis for it gets too little
        (a, b), (c, d), (e, f) = shapes
        shapes = (b, a), (d, c), (f, e)
    # from hundreds to a million elements: no constant is large enough for one and allowed for the other
    factor = int(10 ** draw("buffers: magnitude").uniform(0, 3.5))
    smallest, usual, largest = ((batch, length * factor) for batch, length in shapes)
    shapes = smallest, usual, largest
    rows, length = largest
    sizes = [rows * length] * 4 + [rows, rows * length * width]
    needed = {name: (size, np.dtype(dtype)) for (name, dtype), size in zip(model.dtypes.items(), sizes, strict=True)}
    plan = examiner.build(model.onnx, profile_of(model.inputs, shapes))
    need_context(subject)
    logger = subject.logger()
    runtime = subject.new("tensorrt.Runtime", logger)
    engine = subject.method(runtime, "deserialize_cuda_engine", plan)
    context = subject.method(engine, "create_execution_context")
    buffers = report.call("buffers are made", subject, subject.answer(), engine, context, log=logger)

    hosts, devices, problems = {}, {}, {}
    try:
        there = subject.keys(buffers)
    except Raised as error:
        report.fail("every input and output has a buffer, by its name", words(error), "return a dictionary.")
    for name in needed:
        if name not in there:
            problems[name] = "no such key"
            continue
        try:
            entry = subject.item(buffers, name)
            hosts[name], devices[name] = subject.get(entry, "host"), subject.get(entry, "device")
        except Raised as error:
            problems[name] = words(error)
    if not report.expect(
        "every input and output has a buffer, by its name",
        not problems,
        0.5,
        "; ".join(f"missing: {name} ({problem})" for name, problem in problems.items()),
        "go through engine.num_io_tensors and engine.get_tensor_name(i); outputs need buffers too.",
    ):
        return
    claims = {name: _claim(subject, hosts[name]) for name in needed}
    wrong = {name: claim["dtype"] for name, claim in claims.items() if claim["dtype"] != str(needed[name][1])}
    report.expect(
        "each host array has the element type that the engine reports",
        not wrong,
        0.5,
        ", ".join(f"{name} is {short(dtype)}, expected {needed[name][1]}" for name, dtype in wrong.items()),
        "trt.nptype(engine.get_tensor_dtype(name)); int64 read from int32 is nonsense.",
    )
    few = {name: claim["size"] for name, claim in claims.items() if claim["size"] < needed[name][0]}
    axes = {name: claim["axes"] for name, claim in claims.items() if claim["axes"] != 1}
    report.expect(
        "each holds the profile's largest shape, in a flat array",
        not few and not axes,
        1.0,
        ", ".join(f"{name} has {size} elements, needs {needed[name][0]}" for name, size in few.items())
        or ", ".join(f"{name} has {short(count)} axes" for name, count in axes.items()),
        "set the largest shape, get_tensor_profile_shape(name, 0)[2], for all inputs; then ask the context. The array"
        " is flat: trt.volume(shape) elements.",
    )
    if not examiner.has_record:
        report.skip("all host memory is pinned, each tensor's its own", 1.0, NO_RECORD)
        report.skip("device memory is as large as the largest shape needs, each tensor's its own", 1.0, NO_RECORD)
        return
    problem = _not_pinned(subject, examiner, hosts, claims, draw)
    report.expect(
        "all host memory is pinned, each tensor's its own",
        not problem,
        1.0,
        problem,
        "cuda.pagelocked_empty instead of np.empty, once for each tensor; from pageable memory a copy holds the"
        " program up.",
    )
    addresses = {name: address_of(subject, devices[name]) for name in needed}
    short_of = []
    for name, (size, dtype) in needed.items():
        nbytes, wanted = examiner.allocation(addresses[name]), min(size, claims[name]["size"]) * dtype.itemsize
        if not wanted <= nbytes <= 8 * size * dtype.itemsize + _ROUNDED_UP:
            short_of.append(f"{name}: {nbytes:,} bytes, needs {wanted:,}")
    shared = len(set(addresses.values())) < len(addresses)
    report.expect(
        "device memory is as large as the largest shape needs, each tensor's its own",
        not short_of and not shared,
        1.0,
        ", ".join(short_of) or "two tensors have the same device memory",
        "cuda.mem_alloc(host.nbytes): bytes, not elements; keep what it returns, or the memory is freed at once.",
    )


def _claim(subject: Subject, host: Ref) -> dict[str, Any]:
    """What a host array is: what it says of itself where its memory is pinned, else what its bytes are."""
    try:
        claim = subject.array(host)
        shown = value_of(subject, host)
    except Raised as error:
        return {"dtype": words(error), "size": 0, "nbytes": 0, "pinned": None, "axes": 0}
    if not isinstance(shown, np.ndarray):
        return {"dtype": "no array that can be read", "size": 0, "nbytes": 0, "pinned": None, "axes": 0}
    whole = {"dtype": str(shown.dtype), "size": shown.size, "nbytes": shown.nbytes, "axes": shown.ndim}
    return whole | {"pinned": claim["pinned"]}


def _not_pinned(
    subject: Subject, examiner: Examiner, hosts: Mapping[str, Ref], claims: Mapping[str, Any], draw: Draw
) -> str:
    """Which host arrays are not pinned memory of the device; empty where all are.

    The device writes a pattern into each; then each array must show its own.
    """
    random, patterns, pageable = draw("buffers: patterns"), {}, []
    for name, claim in claims.items():
        pinned, nbytes = claim["pinned"], claim["nbytes"]
        # numbers that are finite in any dtype, so that they can be compared as arrays
        pattern = random.integers(1, 60, max(min(nbytes, 1 << 20), 0), dtype=np.uint8).tobytes()
        ident, offset = pinned or (0, 0)
        there = pinned is not None and offset >= 0 and nbytes > 0 and offset + nbytes <= examiner.pinned(ident)
        if not there or not examiner.fill_pinned(ident, offset, pattern):
            pageable.append(name)
        patterns[name] = pattern
    if pageable:
        return f"pageable: {', '.join(pageable)}"
    for name, pattern in patterns.items():
        shown = value_of(subject, hosts[name])
        if not isinstance(shown, np.ndarray) or not np.ascontiguousarray(shown).tobytes().startswith(pattern):
            return f"{name}: the array does not show what the device wrote into its pinned memory"
    return ""


# --- ex1/enqueue ----------------------------------------------------------------------------------------------------


@dataclass
class _Engine:
    """An engine of the subject's with context, stream and buffers, made by its own primitives."""

    logger: Ref
    kept: list[Ref]
    context: Ref
    buffers: Ref
    stream: Ref


def _engine(subject: Subject, plan: bytes, model: Model, sizes: Mapping[str, int]) -> _Engine:
    need_context(subject)
    logger = subject.logger()
    runtime = subject.new("tensorrt.Runtime", logger)
    engine = subject.method(runtime, "deserialize_cuda_engine", plan)
    context = subject.method(engine, "create_execution_context")
    stream = subject.new("pycuda.driver.Stream")
    return _Engine(logger, [runtime, engine], context, _buffers_of(subject, model, sizes), stream)


def _buffers_of(subject: Subject, model: Model, sizes: Mapping[str, int]) -> Ref:
    """A dictionary of good buffers, the same object for all calls."""
    buffers = {}
    for name, size in sizes.items():
        host = subject.new("pycuda.driver.pagelocked_empty", size, model.dtypes[name])
        subject.method(host, "fill", 0)
        device = subject.new("pycuda.driver.mem_alloc", size * np.dtype(model.dtypes[name]).itemsize)
        buffers[name] = subject.new("types.SimpleNamespace", host=host, device=device)
    return subject.new("builtins.dict", buffers)


@dataclass
class _Call:
    """One call of the student's `enqueue`: what was asked, what came back, and what the device did."""

    shape: Shape
    inputs: dict[str, np.ndarray]
    wanted: dict[str, np.ndarray]
    outputs: dict[str, Any]
    events: list[Event]  # as they stood when the call returned
    settled: list[Event]  # the same, when all of their work was done

    def execution(self, plan: str) -> Event | None:
        """The execution of this plan on exactly these inputs; None where there was none."""
        given = {f"input:{name}": digest_of(array) for name, array in self.inputs.items()} | {"plan": plan}
        for event in self.settled:
            digests = event.get("digests") or {}
            if event["op"] == "execute" and all(digests.get(k) == v for k, v in given.items()):
                return event
        return None

    def copied_back(self, name: str, array: np.ndarray, execution: Event) -> bool:
        """Whether `array` is what this execution computed, and was copied to the host afterwards."""
        digest = digest_of(array)
        if (execution.get("digests") or {}).get(f"output:{name}") != digest:
            return False
        later = [e for e in self.settled if e["op"] == "dtoh" and e["index"] > execution["index"]]
        # a copy of the whole buffer has another digest; that it was too much is another line's affair
        return any(
            (e.get("digests") or {}).get("data") == digest or (e["tensor"] == name and e["nbytes"] > array.nbytes)
            for e in later
        )


def _enqueue(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    model, shapes = classifier_model(draw, "enqueue"), drawn_range(draw, "enqueue")
    smallest, usual, largest = shapes
    plan = examiner.build(model.onnx, profile_of(model.inputs, shapes))
    rows, length = largest
    sizes = dict.fromkeys(model.inputs, rows * length)
    sizes |= {model.outputs[0]: rows * model.table.shape[1], model.outputs[1]: rows * length}
    good = _engine(subject, plan, model, sizes)
    # addresses belong to a call: one batch of the second round comes with other buffers
    other = replace(good, buffers=_buffers_of(subject, model, sizes))
    answer = subject.answer()
    digest = hashlib.sha256(plan).hexdigest()
    batches = (largest, (smallest[0] + 1, largest[1]), (usual[0] + 1, usual[1]))
    calls = []
    recorded, start, halfway = examiner.has_record, 0, 0
    try:
        if recorded:
            examiner.keep_digests(True)
            start = halfway = examiner.record_length()
        for number, shape in enumerate((*batches, *batches)):
            if recorded and number == len(batches):
                halfway = examiner.record_length()
            using = other if number == len(batches) + 1 else good
            calls.append(_call(subject, examiner, report, using, answer, model, shape, draw, number))
        history = examiner.record(start) if recorded else []
        log = said(errors_of(subject, good.logger))  # before the refusals write there
        accident = _refusals(subject, examiner, report, good, answer, model, shapes, calls[-1].shape, draw)
    finally:
        if recorded:
            examiner.keep_digests(False)

    problems = [problem for call in calls if (problem := _output_problem(call, model, digest, recorded))]
    report.expect(
        "outputs are right for batches of three shapes, one after the other",
        not problems,
        1.5,
        "; ".join(problems[:2]) + log,
        "NaN: read before stream.synchronize(). A wrong shape or old rows: set shapes and slice for this batch.",
    )
    # Some outputs may be wrong and the rest judged all the same, but not for work that the engine never did.
    genuine = _genuine(calls, digest) if recorded else not problems
    not_run = "the engine was not executed on the inputs that were given"
    report.expect(
        "a batch outside the profile raises a ValueError, before anything is copied",
        genuine and not accident,
        1.0,
        accident if genuine else not_run,
        "set_input_shape returns False; raise a ValueError then, before anything is copied. Later cells catch it.",
    )
    if not recorded:
        for what, weight in _RECORDED_LINES:
            report.skip(what, weight, NO_RECORD)
        return
    copies = [event for call in calls for event in call.events if event["op"] in ("htod", "dtoh")]
    blocking = sorted({_shown(event) for event in copies if event["memory"] != "pinned"})
    report.expect(
        _RECORDED_LINES[0][0],
        genuine and bool(copies) and not blocking,
        _RECORDED_LINES[0][1],
        not_run if not genuine else "; ".join(blocking) if copies else "nothing was copied",
        "copy to and from the buffers' own host arrays with memcpy_htod_async and memcpy_dtoh_async.",
    )
    wrong = [text for call in calls for text in _wrong_bytes(call)]
    report.expect(
        _RECORDED_LINES[1][0],
        genuine and not wrong,
        _RECORDED_LINES[1][1],
        "; ".join(wrong[:3]) if genuine else not_run,
        "copy host[:n] with n elements of this batch, not the whole buffer.",
    )
    waits = sorted({problem for call in calls if (problem := wait_problem(call.events))})
    report.expect(
        _RECORDED_LINES[2][0],
        genuine and not waits,
        _RECORDED_LINES[2][1],
        "; ".join(waits) if genuine else not_run,
        "stream.synchronize() once, at the end, for all outputs together. A blocking copy waits too.",
    )
    anew = [e["op"] for call in calls for e in call.events if e["op"] in ("engine_load", "context_create")]
    grown = live_bytes(history) - live_bytes([event for event in history if event["index"] < halfway])
    report.expect(
        _RECORDED_LINES[3][0],
        genuine and not anew and grown <= 0,
        _RECORDED_LINES[3][1],
        not_run
        if not genuine
        else f"{len(anew)} engines or contexts were made in {len(calls)} calls"
        if anew
        else f"{grown:,} bytes more device memory in use after the same three batches again",
        "engine, context and buffers are arguments: use them, and free what you allocate for one call.",
    )


_RECORDED_LINES = (
    ("all copies are asynchronous, from and to pinned memory", 1.0),
    ("exactly the bytes of the batch are copied", 1.0),
    ("one synchronisation for each batch, after all its work was enqueued, and one execution", 1.0),
    ("nothing is made anew for each call, and device memory does not grow", 0.5),
)


def _genuine(calls: Sequence[_Call], plan: str) -> bool:
    """Whether every call executed the plan, and at least one of them on exactly the inputs that were given."""
    each = all(any(_runs_plan(event, plan) for event in call.settled) for call in calls)
    return each and any(call.execution(plan) for call in calls)


def _runs_plan(event: Event, plan: str) -> bool:
    return event["op"] == "execute" and (event.get("digests") or {}).get("plan") == plan


def _call(
    subject: Subject,
    examiner: Examiner,
    report: Report,
    good: _Engine,
    answer: Ref,
    model: Classifier,
    shape: Shape,
    draw: Draw,
    number: int,
) -> _Call:
    tokens, mask = model.batch(draw, f"enqueue {number}", shape)
    inputs = dict(zip(model.inputs, (tokens, mask), strict=True))
    before = examiner.record_length() if examiner.has_record else 0
    reply = report.call(
        "a batch runs", subject, answer, good.context, good.buffers, good.stream, inputs, log=good.logger
    )
    events = examiner.record(before) if examiner.has_record else []
    outputs: dict[str, Any] = {}
    for name in model.outputs:
        try:
            outputs[name] = value_of(subject, subject.item(reply, name))
        except Raised as error:
            outputs[name] = Odd(f"no output {name!r} in what was returned: {words(error)}")
    del reply
    if not examiner.has_record:
        return _Call(shape, inputs, model.expected(tokens, mask), outputs, [], [])
    examiner.settle()
    return _Call(shape, inputs, model.expected(tokens, mask), outputs, events, examiner.record(before))


def _output_problem(call: _Call, model: Classifier, plan: str, recorded: bool) -> str:
    """Why the outputs of a call are not those of the engine; empty where they are."""
    execution = call.execution(plan)
    late = [e for e in call.settled if e["op"] == "htod" and {"enqueued", "data"} <= set(e.get("digests") or ())]
    if any(event["digests"]["enqueued"] != event["digests"]["data"] for event in late):
        return f"batch {call.shape[0]}: pinned memory was written after its copy was enqueued; a GPU may copy either"
    for name, tolerance in zip(model.outputs, (1e-4, 3e-2), strict=True):
        got = call.outputs[name]
        problem = got.why if isinstance(got, Odd) else differs(got, call.wanted[name], tolerance)
        if not problem and recorded:
            own = np.asarray(got).astype(model.dtypes[name])
            if execution is None:
                problem = "right, but the engine was not executed on these inputs"
            elif not call.copied_back(name, own, execution):
                problem = "right, but not what the engine's execution gave back"
        if problem:
            return f"batch {call.shape[0]}, {name}: {problem}"
    return ""


def _refusals(
    subject: Subject,
    examiner: Examiner,
    report: Report,
    good: _Engine,
    answer: Ref,
    model: Classifier,
    shapes: Range,
    last: Shape,
    draw: Draw,
) -> str:
    """What is wrong about how batches outside the profile are refused; empty where nothing is.

    One row of the last batch's length would fit into the last batch's place by broadcasting: whoever overlooks the
    refusal gets no exception there. A batch above the maximum may raise a ValueError by accident.
    """
    smallest, _, largest = shapes
    for number, shape in enumerate(((1, last[1]), (largest[0] + 1, largest[1]))):
        inputs = dict(zip(model.inputs, model.batch(draw, f"refused {number}", shape), strict=True))
        before = examiner.record_length() if examiner.has_record else 0
        error = report.raises(subject, answer, good.context, good.buffers, good.stream, inputs)
        events = examiner.record(before) if examiner.has_record else []
        if examiner.has_record:
            examiner.settle()
        told = f"batch {shape[0]} under a profile from {smallest[0]} to {largest[0]}: "
        if error is None:
            return told + "no exception"
        if "ValueError" not in error.kinds:
            return told + f"another error: {words(error)}"
        if "could not broadcast" in error.text:
            return told + f"an error by accident: {words(error)}"
        if any(event["op"] in ("htod", "execute", "dtoh") for event in events):
            return told + f"it was refused after {events[0]['op']} was enqueued"
    return ""


def _shown(event: Event) -> str:
    return f"{event['op']} {event['tensor'] or ''} {event['memory']}".replace("  ", " ")


def _wrong_bytes(call: _Call) -> list[str]:
    wanted = {
        "htod": sum(array.nbytes for array in call.inputs.values()),
        "dtoh": sum(array.nbytes for array in call.wanted.values()),
    }
    found = []
    for op, nbytes in wanted.items():
        seen = sum(event["nbytes"] for event in call.events if event["op"] == op)
        if seen != nbytes:
            direction = "to the device" if op == "htod" else "back"
            found.append(f"batch {call.shape[0]}: {seen:,} bytes {direction}, expected {nbytes:,}")
    return found


# --- ex1/benchmark --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """One inference as the device saw it: which batch (-1: none of ours), its shape, start and end in seconds."""

    batch: int
    shape: Shape
    start: float
    end: float


_KEYS = ("median_ms", "p5_ms", "p95_ms", "runs", "samples", "samples_per_second")


def _benchmark(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    model, random = heavy_model(draw, "benchmark"), draw("benchmark: batches")
    full, length, whole = int(random.integers(28, 35)), int(random.integers(14, 19)), int(random.integers(3, 5))
    # Full batches, one of as many rows and half the length, and a smaller last one: the mean is far from the median.
    shapes = [(full, length)] * whole + [(full, length // 2), (int(random.integers(5, 10)), length)]
    low, high = (2, length // 2), (full, length)
    plan = examiner.build(model.onnx, profile_of(model.inputs, (low, high, high)))
    run = subject.runner(plan)
    arrays = [(random.integers(0, 30, shape), (random.random(shape) < 0.7).astype(np.int64)) for shape in shapes]
    # tuples, as loaders give them
    batches = [subject.new("builtins.tuple", [tokens, mask]) for tokens, mask in arrays]
    seconds = float(random.uniform(0.2, 0.3))
    answer, recorded = subject.answer(), examiner.has_record
    try:
        if recorded:
            examiner.keep_digests(True)
        before = examiner.record_length() if recorded else 0
        result = report.call("the benchmark runs", subject, answer, run, batches, seconds)
        events = examiner.record(before) if recorded else []
    finally:
        if recorded:
            examiner.keep_digests(False)
    runs = _runs(events, arrays, model.inputs)

    told: dict[str, float | None] = {}
    for key in _KEYS:
        try:
            told[key] = as_number(value_of(subject, subject.item(result, key)))
        except Raised:
            told[key] = None
    bad = [key for key, value in told.items() if value is None or value <= 0]
    if not report.expect(
        "it returns the six figures, all of them positive, after running",
        not bad and (bool(runs) or not recorded),
        0.5,
        f"missing or not positive: {', '.join(bad)}" if bad else "`run` was never called",
        f"a dictionary with {', '.join(_KEYS)}.",
    ):
        return
    figures = {key: value for key, value in told.items() if value is not None}
    if not recorded:
        for what, weight in _BENCHMARK_LINES:
            report.skip(what, weight, NO_RECORD)
        return
    try:
        hasty = subject.item(subject.call(answer, run, batches, 0.0), "runs")
        least = as_number(value_of(subject, hasty)) or 0
    except Raised:
        least = 0
    enough = _judge_figures(report, figures, runs, shapes, seconds, least)
    others = [event["op"] for event in events if event["op"] in _WORK]
    foreign = sum(run.batch < 0 for run in runs)
    report.expect(
        _BENCHMARK_LINES[6][0],
        enough and not others and not foreign,
        _BENCHMARK_LINES[6][1],
        f"{foreign} runs on other data than the batches"
        if foreign
        else f"further work: {short(sorted(set(others)))}"
        if others
        else _TOO_FEW,
        "call run and read the clock; copying and waiting are its business.",
    )


_WORK = ("alloc", "host_alloc", "htod", "dtoh", "dtod", "memset", "execute", "synchronize")
_BENCHMARK_LINES = (
    ("at least 5 runs were timed, for as long as asked", 0.5),
    ("each shape, also the smaller last batch, is warmed up at least twice before the clock starts", 1.0),
    ("the batches are timed in turn, the smaller last one too", 0.5),
    ("samples are the rows that were really processed, the last batch with its own", 0.75),
    ("samples a second are samples by the time that all timed runs took", 0.75),
    ("median, p5 and p95 are of the times of a batch, in milliseconds", 0.5),
    ("the device does only what `run` asks for: no further copies, waits or allocations", 0.5),
)


def _runs(events: list[Event], arrays: list[tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> list[_Run]:
    known = {(digest_of(tokens), digest_of(mask)): i for i, (tokens, mask) in enumerate(arrays)}
    found = []
    for event in events:
        if event["op"] == "inference":
            digests = event.get("digests") or {}
            batch = known.get((digests.get(f"input:{names[0]}", ""), digests.get(f"input:{names[1]}", "")), -1)
            shape = arrays[batch][0].shape if batch >= 0 else (0, 0)
            found.append(_Run(batch, shape, event["started_ns"] / 1e9, event["finished_ns"] / 1e9))
    return found


_TOO_FEW = "too few runs were timed, or for too short a time"


def _judge_figures(
    report: Report, figures: Mapping[str, float], runs: list[_Run], shapes: list[Shape], seconds: float, least: float
) -> bool:
    """Hold the six figures against what the device did; whether enough was timed.

    `least` is how many runs were timed when no time was asked for.
    """
    count = int(min(figures["runs"], 1e9))
    warm, timed = runs[: max(len(runs) - count, 0)], runs[max(len(runs) - count, 0) :]
    counted = count == figures["runs"] and 5 <= count <= len(runs)
    took = timed[-1].end - timed[0].start if timed else 0.0
    clocked = figures["samples"] / figures["samples_per_second"]  # sleeping between the runs is no timing
    enough = counted and min(took, clocked) >= 0.5 * seconds
    happened = (
        f"runs is {figures['runs']:g}, run was called {len(runs)} times, the timed ones took {took:.3f} s in all; asked"
        f" for {seconds:.3f} s"
    )
    report.expect(
        _BENCHMARK_LINES[0][0],
        enough and least >= 5,
        _BENCHMARK_LINES[0][1],
        f"asked for 0 s, {least:g} runs were timed" if enough else happened,
        "go round the batches until the times add up to `seconds`; count only what was timed.",
    )
    cold = [shape for shape in sorted({*shapes}, reverse=True) if sum(run.shape == shape for run in warm) < 2]
    report.expect(
        _BENCHMARK_LINES[1][0],
        enough and not cold,
        _BENCHMARK_LINES[1][1],
        f"not warmed up twice: batches of shape {', '.join(map(str, cold))} ({len(warm)} untimed runs in all)"
        if cold
        else _TOO_FEW,
        "one warm-up for each distinct shape among the batches; the first run of a shape is never typical.",
    )
    if not counted:
        return False
    often = [sum(run.batch == i for run in timed) for i in range(len(shapes))]
    report.expect(
        _BENCHMARK_LINES[2][0],
        enough and max(often) - min(often) <= 1,
        _BENCHMARK_LINES[2][1],
        f"the batches were timed {', '.join(map(str, often))} times" if enough else _TOO_FEW,
        "batches[i % len(batches)] for run i goes round all of them.",
    )
    rows = sum(run.shape[0] for run in timed)
    report.expect(
        _BENCHMARK_LINES[3][0],
        enough and figures["samples"] == rows,
        _BENCHMARK_LINES[3][1],
        f"{figures['samples']:,.0f} counted, {rows:,} processed" + ("" if enough else f"; {_TOO_FEW}"),
        "len(batch) of each timed batch; a smaller last batch counts as what it is.",
    )
    # A timed call began after the end of the run before it, and ended before the next began.
    inner = np.array([run.end - run.start for run in timed])
    ends = [warm[-1].end if warm else timed[0].start - 0.05, *(run.end for run in timed[:-1])]
    starts = [*(run.start for run in timed[1:]), timed[-1].end + 0.05]
    outer = np.array(starts) - np.array(ends)
    clock = figures["samples"] / figures["samples_per_second"]
    # Where the device is in another process, the way there and back counts too: some milliseconds at most, or what the
    # warm-up shows on a busy machine.
    ways = [b.start - a.end for a, b in pairwise(warm)]
    way = max(0.005, 3 * float(np.median(ways)) if ways else 0.0)
    most = min(1.03 * (starts[-1] - ends[0]), 1.1 * inner.sum() + way * len(timed))
    report.expect(
        _BENCHMARK_LINES[4][0],
        enough and 0.97 * inner.sum() <= clock <= most,
        _BENCHMARK_LINES[4][1],
        f"the figures imply {clock * 1000:.1f} ms on the clock; the runs took {inner.sum() * 1000:.1f} ms"
        + ("" if enough else f"; {_TOO_FEW}"),
        "start the clock before run, stop it after run, add up; nothing else in between.",
    )
    wrong = [
        f"{key} is {figures[key]:.3f}, batches took {low * 1000:.3f} to {high * 1000:.3f} there"
        for key, share in (("p5_ms", 0.05), ("median_ms", 0.5), ("p95_ms", 0.95))
        for low, high in [_between(inner, outer, share)]
        if not 970 * low <= figures[key] <= 1030 * high + 0.1
    ]
    mean = 1000 * clock / count
    if abs(figures["median_ms"] - mean) <= 1e-6 * mean:  # on a busy machine the two may lie near each other
        wrong.append(f"median_ms is {mean:.3f}, which is the mean")
    report.expect(
        _BENCHMARK_LINES[5][0],
        enough and not wrong and figures["p5_ms"] <= figures["median_ms"] <= figures["p95_ms"],
        _BENCHMARK_LINES[5][1],
        "; ".join(wrong) or ("p5, median and p95 are not in this order" if enough else _TOO_FEW),
        "np.percentile(times, [5, 50, 95]), times 1,000.",
    )
    return enough


def _between(inner: np.ndarray, outer: np.ndarray, share: float) -> tuple[float, float]:
    """Bounds of a percentile, in seconds: one rank to either side, for other definitions of it."""
    last = len(inner) - 1
    low, high = max(math.floor(share * last) - 1, 0), min(math.ceil(share * last) + 1, last)
    return float(np.sort(inner)[low]), float(np.sort(outer)[high])


CHECKS = (
    Check(
        "ex1/export",
        "PyTorch to ONNX",
        4,
        "export_onnx",
        _export,
        (
            "The exporter follows two example tensors through the model. What it may not take for a constant has to be"
            " said: both axes of both inputs.",
            "torch.onnx.export(model, (ids, mask), str(path), input_names=[...], output_names=[...],"
            " dynamic_shapes=(axes, axes), dynamo=True, opset_version=20, external_data=False), with axes ="
            " {0: torch.export.Dim(...), 1: torch.export.Dim(...)}",
        ),
        slow="exporting a small model, about 4 seconds",
    ),
    Check(
        "ex1/parse",
        "ONNX to a network",
        3,
        "parse_network",
        _parse,
        (
            "The parser fills a network that you made, answers True or False, and keeps a list of its errors.",
            "network = builder.create_network(NETWORK_FLAGS); parser = trt.OnnxParser(network, logger); if"
            " parser.parse(Path(onnx_path).read_bytes()) is False, raise RuntimeError with onnx_path and"
            " parser.get_error(0).desc()",
        ),
    ),
    Check(
        "ex1/profile",
        "the optimization profile",
        3,
        "add_profile",
        _profiles,
        (
            "One profile holds the three shapes of every input. The config takes it and answers with a number.",
            "profile = builder.create_optimization_profile(); for each i: profile.set_shape(network.get_input(i).name,"
            " smallest, usual, largest); index = config.add_optimization_profile(profile)",
        ),
    ),
    Check(
        "ex1/build",
        "the build",
        4,
        "build_plan",
        _build,
        (
            "Settings first, then the build, then a look at what came back, and only then the file.",
            "config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace);"
            " config.clear_flag(trt.BuilderFlag.TF32); plan = builder.build_serialized_network(network, config); None"
            " is a failure; Path(path).write_bytes(plan)",
        ),
    ),
    Check(
        "ex1/fp16",
        "the graph in FP16",
        3,
        "to_fp16",
        _fp16,
        (
            "A converter goes through the graph, turns floating weights and activations into float16, and leaves"
            " integers alone. Constants beyond FP16's range have to be clipped.",
            "onnxconverter_common.float16.convert_float_to_float16(onnx.load(str(source))), then onnx.save(...,"
            " str(target))",
        ),
    ),
    Check(
        "ex1/buffers",
        "pinned and device memory",
        4,
        "allocate_buffers",
        _buffers,
        (
            "Set every input to its largest shape. Then the context knows the largest outputs, and the engine the"
            " types.",
            "context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[2]) for inputs; host ="
            " cuda.pagelocked_empty(trt.volume(context.get_tensor_shape(name)),"
            " trt.nptype(engine.get_tensor_dtype(name))); device = cuda.mem_alloc(host.nbytes)",
        ),
    ),
    Check(
        "ex1/enqueue",
        "one inference",
        6,
        "enqueue",
        _enqueue,
        (
            "Five steps: shapes and copies in, addresses, execution, copies back, one wait. All but the last only put"
            " work into the stream.",
            "set_input_shape (False: ValueError), used(name)[...] = array, cuda.memcpy_htod_async(device, used(name),"
            " stream); set_tensor_address(name, int(device)); execute_async_v3(stream.handle);"
            " cuda.memcpy_dtoh_async(used(name), device, stream); stream.synchronize()",
        ),
    ),
    Check(
        "ex1/benchmark",
        "a fair benchmark",
        5,
        "fair_benchmark",
        _benchmark,
        (
            "Warm up each shape that occurs. Then go round the batches: clock, run, clock; keep the difference and the"
            " rows.",
            "while len(times) < 5 or sum(times) < seconds: batch = batches[len(times) % len(batches)]; start ="
            " time.perf_counter(); run(*batch); times.append(time.perf_counter() - start); samples += len(batch[0])",
        ),
    ),
)
