"""Exercise 2: what right answers to its eight TODOs do. The table is `CHECKS`.

As in Exercise 1, a check looks at products: the ONNX graph, the plan, tokens and logits on inputs chosen here, and the
device's record. Decoding is judged on a small decoder of our own (`Decoder`), whose tensors have the names of GPT-2's.

Nothing here uses the library's own export, decoding or timeline: those are answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...simulator.device import Event as Recorded
from ..compare import differs
from ..draw import Draw
from ..examiner import RUNTIME, Examiner
from ..report import Check, Report, Stopped, errors_of, said, short, words
from ..subject import Raised, Ref, Subject
from .ground import (
    NO_RECORD,
    Event,
    Facts,
    Model,
    Odd,
    Shape,
    allows,
    as_number,
    built_by,
    declared,
    digest_of,
    drawn_weights,
    files_of,
    heavy_model,
    holds,
    is_fixed,
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
    unlike,
    value_of,
    wait_problem,
)

_INPUTS = ("input_ids", "attention_mask")
_LOGITS = "logits"
Cube = tuple[int, int, int]  # batch, tokens, vocabulary


# --- ex2/bytes ------------------------------------------------------------------------------------------------------


def _bytes(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    random = draw("bytes")
    batch, prompt, steps, vocabulary = (
        int(random.integers(*limits)) for limits in ((3, 20), (4, 30), (5, 40), (1_000, 60_000))
    )
    length = prompt + steps
    answer = subject.answer()
    told = {}
    for name, arguments in {
        "last": (batch, prompt, length, vocabulary, True),
        "longer": (batch, prompt, length + 1, vocabulary, True),
        "first": (batch, prompt, prompt + 1, vocabulary, True),
        "one row": (1, prompt, length, vocabulary, True),
        "one row, longer": (1, prompt, length + 1, vocabulary, True),
        "one row, first": (1, prompt, prompt + 1, vocabulary, True),
        "full": (batch, prompt, length, vocabulary, False),
        "none": (batch, prompt, prompt, vocabulary, False),
    }.items():
        number = as_number(value_of(subject, report.call("it returns a number", subject, answer, *arguments)))
        told[name] = -1.0 if number is None else number
    # what a step copies is what one token more adds, so that a wrong number of steps costs its own line alone
    step = told["longer"] - told["last"] or told["first"]
    row = told["one row, longer"] - told["one row"] or told["one row, first"]
    right = report.expect(
        "a step that needs the last position alone copies one FP32 value for each word of the vocabulary and each row",
        step == 4 * vocabulary * batch and row == 4 * vocabulary,
        0.75,
        f"vocabulary {vocabulary:,}: a token more adds {row:,.0f} bytes for batch 1, {step:,.0f} for batch {batch}",
        "[batch, vocabulary] values of 4 bytes.",
    )
    some = step > 0
    copied = told["last"] / (step or 1)
    problems = [
        text
        for text, holds in (
            (f"last_step=True, {prompt} to {length} tokens: as many bytes as {copied:g} steps copy", copied == steps),
            (f"last_step=False, {prompt} to {prompt} tokens: {told['none']:,.0f} bytes, expected 0", not told["none"]),
        )
        if not holds
    ]
    report.expect(
        "there is one step for each new token, and none where there is no new token",
        some and told["last"] == steps * step and told["none"] == 0,
        1.0,
        "; ".join(problems),
        "steps have prompt, prompt + 1, ... length - 1 tokens: length - prompt of them.",
    )
    tokens = sum(range(prompt, length))
    report.expect(
        "a step that copies everything copies the logits of all tokens so far",
        some and told["full"] == tokens * (step if right or told["last"] == steps * step else 4 * vocabulary * batch),
        1.25,
        f"prompt {prompt}, length {length}: bytes of {told['full'] / (step or 1):g} positions, expected {tokens}",
        "add up t for t in range(prompt, length), times batch, vocabulary and 4.",
    )


# --- ex2/export -----------------------------------------------------------------------------------------------------

_FILES = {False: "whole.onnx", True: "last.onnx"}


@dataclass(frozen=True)
class _Exported:
    """What two calls of the student's function left behind, and the same model on this side."""

    model: Any
    files: Mapping[str, bytes]
    failed: str  # why there is no second file; empty where the call ended


def _exported(subject: Subject, report: Report, draw: Draw) -> _Exported:
    from transformers import GPT2Config, GPT2LMHeadModel

    random = draw("export: sizes")
    settings = {
        "vocab_size": int(random.integers(40, 80)),
        "n_positions": 1024,  # DistilGPT2's: an exporter may be told so
        "n_embd": 16,
        "n_layer": 1,
        "n_head": 2,
        "attn_implementation": "eager",
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
        **dict.fromkeys(("bos_token_id", "eos_token_id"), 0),
    }
    model = drawn_weights(GPT2LMHeadModel, GPT2Config, settings, draw("export: weights"))
    theirs = same_model(subject, model, "transformers.GPT2LMHeadModel", settings)
    answer = subject.answer()
    whole, last = (path_of(subject, subject.path(_FILES[kind])) for kind in (False, True))
    quietly(lambda: report.call("the model is exported", subject, answer, theirs, whole))
    try:
        quietly(lambda: subject.call(answer, theirs, last, last_step=True))
        failed = ""
    except Raised as error:
        failed = words(error)
    return _Exported(model, files_of(subject), failed)


def _export(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    made = once(subject, report, "ex2/export", draw, lambda secret: _exported(subject, report, secret))
    data = made.files.get(_FILES[False], b"")
    if not data:
        report.fail(
            "the ONNX file is at the path that was given",
            "there is no such file" if _FILES[False] not in made.files else "the file is empty",
            "hand `str(path)` to torch.onnx.export as its third argument.",
        )
    facts = examiner.onnx(data)
    if facts["problem"]:
        report.fail("the file is valid ONNX", facts["problem"], "write it with torch.onnx.export alone.")
    table = made.model.transformer.wte.weight.detach().numpy()
    if not holds(made.files, table):
        report.fail(
            "the file holds the model that was given",
            "its table of words is not in the file",
            "export the `model` of the arguments, as it is.",
        )
    beside = sorted(set(made.files) - set(_FILES.values()))
    # What lies in another file is opened by nobody here, so that it earns nothing.
    if not report.expect(
        "one file, with the weights inside",
        not facts["external"],
        0.25,
        f"{len(facts['external'])} tensors are kept outside, in {', '.join(beside) or 'another file'}",
        "external_data=False; a parser that is given bytes cannot find a second file.",
    ):
        return
    inputs, outputs = facts["inputs"], facts["outputs"]
    if not report.expect(
        "int64 inputs input_ids and attention_mask, output logits",
        set(inputs) == set(_INPUTS) and set(outputs) == {_LOGITS} and all(t[0] == "INT64" for t in inputs.values()),
        0.25,
        f"inputs {declared(inputs)}, outputs {declared(outputs)}",
        "input_names=[...] and output_names=[...]; a cache is no output here: use_cache=False.",
    ):
        return
    fixed = [
        f"{name} axis {axis} is {dim or 'unknown'}"
        for name in _INPUTS
        for axis, dim in enumerate(inputs[name][1])
        if is_fixed(dim)
    ]
    report.expect(
        "batch and sequence of both inputs are dynamic",
        not fixed and all(len(inputs[name][1]) == 2 for name in _INPUTS),
        0.75,
        ", ".join(fixed) or f"inputs {declared(inputs)}",
        "dynamic_shapes: one {0: Dim, 1: Dim} for each input.",
    )
    shape, vocabulary = outputs[_LOGITS][1], len(table)
    report.expect(
        "logits are [batch, sequence, vocabulary], the first two dynamic",
        len(shape) == 3 and is_fixed(shape[2]) and shape[2] == vocabulary and not any(map(is_fixed, shape[:2])),
        0.5,
        f"logits are {_without(shape, vocabulary)}",
        "the wrapper's forward returns .logits of the model's reply, all of them where last_step is not asked for.",
    )
    report.expect(
        "opset 20, as asked",
        facts["opset"] == 20,
        0.25,
        f"the file says opset {facts['opset']}",
        "opset_version=20, together with dynamo=True.",
    )
    cases = [_prompts(draw, made.model, padded) for padded in (False, True)]
    plain, padded = (_wrong_logits(examiner, data, made.model, *case) for case in cases)
    hidden = "draw" in subject.shared  # a secret model, also where the check itself is the visible one
    right = report.expect(
        "the graph computes what PyTorch computes, also for shapes other than the example's",
        not plain,
        1.0,
        _where_only(plain, hidden),
        "export the model as it is, in evaluation mode, with two different example tensors.",
    )
    report.expect(
        "a row that is padded on the left gives the logits of the same row without padding",
        right and not padded,
        1.25,
        _where_only(padded, hidden) if padded else "rows without padding are not right either",
        "position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0), inside the wrapper's forward.",
    )
    last = made.files.get(_FILES[True], b"")
    found: Facts = {}
    problem = made.failed or ("" if last else "there is no file at the path that was given")
    if not problem:
        found = examiner.onnx(last)
        problem = found["problem"] or ("the weights are in another file" if found["external"] else "")
        shape = (found["outputs"].get(_LOGITS) or ["", []])[1]
        if not problem and not (len(shape) == 2 and not is_fixed(shape[0]) and shape[1] == vocabulary):
            problem = f"logits are {_without(shape, vocabulary)}, expected [batch, vocabulary]"
        problem = problem or _wrong_logits(examiner, last, made.model, *cases[not plain], last=True)
    report.expect(
        "with last_step=True logits are [batch, vocabulary], of the last position",
        not plain and not problem,
        0.5,
        _where_only(problem, hidden) if problem else "the logits of all positions are not right either",
        "logits[:, -1] has no axis of tokens; logits_to_keep=1 leaves one of length 1.",
    )
    sequence = (found.get("inputs", {}).get(_INPUTS[0]) or ["", [0, 0]])[1][-1]
    wide = [s for s in found.get("shapes", []) if s[-1:] == [vocabulary] and sequence in s[:-1]]
    report.expect(
        "and the product with the vocabulary is done for that position alone",
        not plain and not problem and not wide,
        0.25,
        f"the product's result is {_without(wide[0], vocabulary)}" if wide else "see above",
        "logits_to_keep=1 cuts before the last product; a slice behind it throws away what was computed.",
    )


def _without(shape: Sequence[Any], vocabulary: int) -> list[Any]:
    """A declared shape in which the drawn number of words has a name."""
    return ["vocabulary" if dim == vocabulary else dim for dim in shape]


def _where_only(problem: str, hidden: bool) -> str:
    return problem.partition(" at [")[0] if hidden else problem


def _prompts(draw: Draw, model: Any, padded: bool) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and mask, of rows of different length where they are padded."""
    random = draw(f"export: prompts {padded}")
    # without padding: as many rows and tokens as the task asks for at least
    rows, length = (int(random.integers(3, 7)), int(random.integers(9, 20))) if padded else (16, 64)
    ids = random.integers(0, model.config.vocab_size, (rows, length))
    mask = np.ones_like(ids)
    for row, missing in enumerate(random.permutation(np.arange(rows)) if padded else ()):
        mask[row, :missing] = 0
    return ids, mask


def _wrong_logits(
    examiner: Examiner, data: bytes, model: Any, ids: np.ndarray, mask: np.ndarray, last: bool = False
) -> str:
    """How a graph's logits differ from PyTorch's for each row alone, without its padding; empty where they do not."""
    import torch

    reply = examiner.run_onnx(data, {"input_ids": ids, "attention_mask": mask}, RUNTIME)
    got = reply["outputs"].get(_LOGITS)
    rows, length = ids.shape
    where = f"batch {rows}, {length} tokens"
    wanted = (rows, model.config.vocab_size) if last else (rows, length, model.config.vocab_size)
    if reply["problem"] or not isinstance(got, np.ndarray) or got.shape != wanted:
        return f"{where}: {reply['problem'] or 'logits have another shape'}"
    for row in range(rows):
        begin = length - int(mask[row].sum())
        with torch.inference_mode():
            expected = model(torch.from_numpy(ids[row : row + 1, begin:])).logits[0].numpy()
        problem = differs(got[row] if last else got[row, begin:], expected[-1] if last else expected, 1e-3)
        if problem:
            return f"{where}, row {row} with {begin} of padding: {problem}"
    return ""


# --- a decoder of our own -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decoder(Model):
    """input_ids, attention_mask int64 [batch, sequence] -> logits, FP32 or FP16: [batch, sequence, vocabulary], or
    [batch, vocabulary] of the last position. A position sees those before it, without the masked ones."""

    table: np.ndarray
    head: np.ndarray

    @property
    def vocabulary(self) -> int:
        return int(self.head.shape[1])

    def expected(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Logits of all positions."""
        seen = np.cumsum(self.table[ids].astype(np.float64) * mask[..., None], axis=1)
        return np.asarray(np.sin(seen) @ self.head, np.float32)

    def greedy(self, ids: np.ndarray, mask: np.ndarray, length: int) -> np.ndarray:
        """The tokens that decoding gives."""
        for _ in range(length - ids.shape[1]):
            best = self.expected(ids, mask)[:, -1].argmax(-1)
            ids = np.concatenate([ids, best[:, None]], 1)
            mask = np.concatenate([mask, np.ones_like(best[:, None])], 1)
        return ids

    def prompts(self, draw: Draw, what: str, shape: Shape, padded: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and mask; padded on the left, but for one row."""
        random = draw(f"{what}: prompts")
        ids = random.integers(0, self.vocabulary, shape)
        mask = np.ones_like(ids)
        for row in range(1, shape[0]) if padded else ():
            mask[row, : random.integers(1, shape[1])] = 0
        return ids, mask


def _decoder(draw: Draw, what: str, last: bool, half: bool = False) -> Decoder:
    random = draw(f"{what}: decoder")
    words_known, width = int(random.integers(24, 48)), 16
    axes = f"[batch, {words_known}]" if last else f"[batch, sequence, {words_known}]"
    result = ("float16" if half else "float") + axes
    text = f"""
        decoder (int64[batch, sequence] input_ids, int64[batch, sequence] attention_mask) => ({result} logits) {{
            axis = Constant <value_ints = [-1]> ()
            sequence_axis = Constant <value_int = 1> ()
            end = Constant <value_int = -1> ()
            rows = Gather (table, input_ids)
            factor = Cast <to = 1> (attention_mask)
            column = Unsqueeze (factor, axis)
            product = Mul (rows, column)
            seen = CumSum (product, sequence_axis)
            bent = Sin (seen)
            all = MatMul (bent, head)
            {"some = Gather <axis = 1> (all, end)" if last else "some = Identity (all)"}
            logits = Cast <to = {10 if half else 1}> (some)
        }}"""
    table = random.normal(size=(words_known, width)).astype(np.float32) * np.float32(1.5)
    head = random.normal(size=(width, words_known)).astype(np.float32)
    dtypes = dict.fromkeys(_INPUTS, "int64") | {_LOGITS: "float16" if half else "float32"}
    onnx = serialized(text, {"table": table, "head": head})
    return Decoder(onnx, _INPUTS, (_LOGITS,), dtypes, table, head)


# --- ex2/profile ----------------------------------------------------------------------------------------------------


def _profile(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    # no decoder: a plan is proved by building it again, and with CumSum and a fixed batch NVIDIA's builder varies
    model, random = sum_model(draw, "profile", 2, _INPUTS), draw("profile: shapes")
    smallest, usual, largest = (int(n) for n in np.cumsum([random.integers(2, 5), *random.integers(1, 6, 2)]))
    prompt = int(random.integers(4, 9))
    length = prompt + int(random.integers(5, 20))
    rows = subject.new("builtins.tuple", [smallest, usual, largest])
    ground = make_ground(subject, model)
    answer = subject.answer()
    index = report.call(
        "a profile is added",
        subject, answer, ground.builder, ground.config, ground.network, rows, prompt, length,
        log=ground.logger,
    )  # fmt: skip
    data = built_by(subject, ground.builder, ground.network, ground.config)
    facts = examiner.plan(data, True) if data else {}
    problem = unlike(facts, model) if data else "the build returned None" + said(errors_of(subject, ground.logger))
    added = facts.get("profiles", [])
    built = report.expect(
        "every input of the network is in the profile, and the network builds with it",
        not problem and bool(added),
        0.75,
        problem or "the config got no further profile",
        "set a shape for each network.get_input(i).name, then config.add_optimization_profile(profile).",
    )
    asked = f"asked for batch {smallest} to {largest}, prompts from {prompt} tokens, final length {length}"
    for what, weight, shapes, hint in (
        (
            "the first step is served: a prompt of the fewest tokens",
            0.5,
            [[(usual, prompt)]],
            "the shortest sequence that the engine ever sees is the prompt.",
        ),
        (
            "every step up to the last is served, which has length - 1 tokens",
            0.5,
            [[(usual, tokens)] for tokens in range(prompt + 1, length)],
            "the longest sequence that the engine sees has one token less than the final length.",
        ),
        (
            "every batch from the smallest to the largest is served",
            0.5,
            [[(batch, tokens) for tokens in range(prompt, length)] for batch in range(smallest, largest + 1)],
            "batch and sequence are two axes: (smallest, prompt) to (largest, length).",
        ),
    ):
        refused = [any_of[0] for any_of in shapes if not any(_served(added, shape) for shape in any_of)]
        report.expect(
            what,
            built and not refused,
            weight,
            f"{refused[0]} is not allowed, {asked}; the profile is {short(added)}"
            if built and refused
            else "not built",
            hint,
        )
    best = [p[_INPUTS[0]][1][0] for p in added] if built else []
    second = make_ground(subject, model)
    put_profile(subject, second.builder, second.config, model.inputs, ((40, 40), (41, 41), (42, 42)))
    of_second = (answer, second.builder, second.config, second.network)
    told = [value_of(subject, index)]
    try:
        told.append(value_of(subject, subject.call(*of_second, rows, prompt, length)))
    except Raised as raised:
        told.append(Odd(words(raised)))
    # so far apart that also whoever makes the profile larger than asked for is refused
    backwards = subject.new("builtins.tuple", [9_000, 5_000, 2])
    error = report.raises(subject, *of_second, backwards, prompt, length)
    right = all(type(i) is int for i in told) and 0 <= told[0] < len(added) and 1 <= told[1] <= len(added)
    report.expect(
        "it is made for the usual batch, and the index is returned",
        built and usual in best and right,
        0.25,
        f"made for batch {short(best)}, usual is {usual}; {short(told[0])} was returned for the first profile,"
        f" {short(told[1])} where there was one already"
        if built
        else "not built",
        "the middle shape of set_shape is the one to be fast for; add_optimization_profile returns the index.",
    )
    report.expect(
        "a profile that TensorRT refuses (smallest batch above the largest) raises a ValueError",
        built and error is not None and "ValueError" in error.kinds,
        0.5,
        (words(error) if error else "no exception") if built else "not built",
        "add_optimization_profile returns -1 where it refuses: compare with < 0.",
    )


def _served(profiles: Sequence[Mapping[str, Any]], shape: Shape) -> bool:
    """Whether one of the profiles allows a shape for both inputs."""
    return any(all(allows(shape, profile[name]) for name in _INPUTS) for profile in profiles)


# --- ex2/decode -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Loop:
    """One generation: what was asked, what came back, how `step` was called, and the arguments afterwards."""

    ids: np.ndarray
    mask: np.ndarray
    length: int
    wanted: np.ndarray
    result: Any
    own: bool  # whether the result stays when the arguments are written over
    events: list[Event]
    after: list[Any]

    @property
    def prompt(self) -> int:
        return int(self.ids.shape[1])

    @property
    def steps(self) -> int:
        return self.length - self.prompt

    def fed(self, name: str, which: int) -> tuple[list[int], str]:
        """Shape and digest of an input of one call."""
        event = self.events[which]
        return (event["shapes"] or {}).get(name, []), (event.get("digests") or {}).get(f"input:{name}", "")

    @property
    def tokens(self) -> np.ndarray:
        """The tokens that came back where they have a shape to look at, else those expected."""
        fits = isinstance(self.result, np.ndarray) and self.result.dtype.kind in "iu"
        return self.result.astype(np.int64) if fits and self.result.shape == self.wanted.shape else self.wanted


_DECODE_LINES = (
    ("step is called once for each new token, and not at all where none is wanted", 0.75),
    ("every call is given all tokens so far: the prompt as it was, and the new ones behind it", 1.0),
    ("the mask grows by ones on the right, and keeps its zeros on the left", 1.25),
)


def _decode(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    model, random = _decoder(draw, "decode", last=True), draw("decode: shapes")
    rows, prompt, steps = (int(random.integers(*limits)) for limits in ((3, 6), (4, 8), (4, 8)))
    last = prompt + steps
    plan = examiner.build(model.onnx, profile_of(_INPUTS, ((1, 1), (rows, prompt), (8, 32))))
    run = subject.runner(plan)
    loops = [
        _loop(subject, examiner, report, model, run, draw, number, shape, padded, length)
        for number, (shape, padded, length) in enumerate(
            (((rows, prompt), True, last), ((1, prompt + 1), False, last + 1), ((rows, prompt), True, prompt))
        )
    ]
    decoded, recorded = loops[:2], examiner.has_record
    bad = [
        f"{short(loop.result)} for a prompt of shape {list(loop.ids.shape)} and length {loop.length}"
        for loop in loops
        if not isinstance(loop.result, np.ndarray)
        or loop.result.dtype != np.int64
        or loop.result.shape != (len(loop.ids), loop.length)
        or not np.array_equal(loop.result[:, : loop.prompt], loop.ids)
    ]
    ran = not recorded or all(loop.events for loop in decoded)
    never = "`step` was never called"
    report.expect(
        "it returns int64 [batch, length]: the prompt with its padding, and the new tokens behind it",
        ran and not bad,
        0.75,
        "; ".join(bad[:2]) if ran else never,
        "np.concatenate([ids, new[:, None]], axis=1) after each step; what grows is what is returned.",
    )
    if recorded:
        counts = [f"{len(p.events)} calls for {p.steps} new tokens" for p in loops if len(p.events) != p.steps]
        report.expect(
            _DECODE_LINES[0][0],
            ran and not counts,
            _DECODE_LINES[0][1],
            "; ".join(counts) if ran else never,
            "for _ in range(length - ids.shape[1]).",
        )
        for (what, weight), name, hint in (
            (_DECODE_LINES[1], _INPUTS[0], "there is no cache: each step computes the whole sequence again."),
            (_DECODE_LINES[2], _INPUTS[1], "append np.ones((batch, 1), np.int64): the new token is a real one."),
        ):
            wrong = [problem for loop in decoded if (problem := _wrongly_fed(loop, name))]
            report.expect(what, ran and not wrong, weight, "; ".join(wrong[:2]) if ran else never, hint)
    else:
        for what, weight in _DECODE_LINES:
            report.skip(what, weight, NO_RECORD)
    other = [problem for loop in decoded if (problem := _unlikely(model, loop))]
    report.expect(
        "each new token is the most likely one of its row",
        ran and not other,
        0.75,
        "; ".join(other) if ran else never,
        "logits are [batch, vocabulary]: argmax over the last axis, for each row its own.",
    )
    changed = [loop for loop in loops if not all(map(np.array_equal, loop.after, (loop.ids, loop.mask)))]
    report.expect(
        "the arrays that were handed over are as they were",
        ran and not changed,
        0.25,
        "input_ids or attention_mask was changed in place" if changed else never,
        "np.concatenate makes a new array; do not write into the argument.",
    )
    shared = [loop for loop in loops if not loop.own]
    report.expect(
        "what is returned is an array of its own, also where there was nothing to do",
        ran and not shared,
        0.25,
        f"length {shared[0].length}, prompts of {shared[0].prompt} tokens: writing into input_ids changes the result"
        if shared and ran
        else never,
        "input_ids.copy() where the prompt has the final length already.",
    )


def _loop(
    subject: Subject,
    examiner: Examiner,
    report: Report,
    model: Decoder,
    run: Ref,
    draw: Draw,
    number: int,
    shape: Shape,
    padded: bool,
    length: int,
) -> _Loop:
    for attempt in range(300):
        ids, mask = model.prompts(draw, f"decode {number}, {attempt}", shape, padded)
        # In the row that stands alone a token 0 comes before the end, so that who takes it for the end of a text stops.
        if shape[0] > 1 or 0 in model.greedy(ids, mask, length)[0, shape[1] : -1]:
            break
    given = [subject.new("numpy.array", array) for array in (ids, mask)]
    before = examiner.record_length() if examiner.has_record else 0
    try:
        if examiner.has_record:
            examiner.keep_digests(True)
        result = report.call("a generation runs", subject, subject.answer(), run, *given, length)
    finally:
        if examiner.has_record:
            examiner.keep_digests(False)
    events = examiner.record(before) if examiner.has_record else []
    calls = [event for event in events if event["op"] == "inference"]
    after = [value_of(subject, ref) for ref in given]
    first = value_of(subject, result)
    for ref in given:
        subject.method(ref, "fill", 1 << 30)
    own = isinstance(first, np.ndarray) and np.array_equal(first, value_of(subject, result))
    return _Loop(ids, mask, length, model.greedy(ids, mask, length), first, own, calls, after)


def _wrongly_fed(loop: _Loop, name: str) -> str:
    """Which call of `step` got another input than it should; empty where none did."""
    for k in range(min(len(loop.events), loop.steps)):
        shape, digest = loop.fed(name, k)
        if name == _INPUTS[0]:
            good = [tokens[:, : loop.prompt + k] for tokens in (loop.tokens, loop.wanted)]
        else:
            good = [np.concatenate([loop.mask, np.ones((len(loop.mask), k), np.int64)], 1)]
        expected = [len(loop.ids), loop.prompt + k]
        if shape != expected:
            return f"call {k + 1} got {name} of shape {shape}, expected {expected}"
        if digest not in map(digest_of, good):
            return f"call {k + 1} got other values in {name} than it should"
    return "" if loop.events else "no call"


def _unlikely(model: Decoder, loop: _Loop) -> str:
    """Which new token is not the most likely one after those before it; empty where all are."""
    if loop.tokens is loop.wanted:
        return "no tokens to look at"
    ids = loop.tokens
    if ids.min() < 0 or ids.max() >= model.vocabulary:
        return "a token lies outside the vocabulary"
    mask = np.concatenate([loop.mask, np.ones((len(ids), loop.steps), np.int64)], 1)
    logits = model.expected(ids, mask)
    for at in range(loop.prompt, loop.length):
        for row in range(len(ids)):
            if logits[row, at - 1, ids[row, at]] < logits[row, at - 1].max() - 1e-4:
                return f"token {at} of row {row} is {ids[row, at]}, and {logits[row, at - 1].argmax()} was more likely"
    return ""


# --- ex2/kernel_only ------------------------------------------------------------------------------------------------

_KERNEL_LINES = (
    ("each of the last executions, as many as asked for, lies between two CUDA events, with nothing else", 1.25),
    ("at least one execution before them warms up", 0.75),
    ("the figure is one of milliseconds", 0.75),
    ("it is the median of the times between the events", 1.25),
)
_QUEUED = ("event_record", "execute", "htod", "dtoh", "dtod", "memset", "wait_event")


def _kernel_only(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    model, random = heavy_model(draw, "kernel only"), draw("kernel only: shapes")
    rows = int(random.integers(10, 14))
    light, middle, heavy = ((2, 4), (rows // 2, 5), (rows, 16))
    plan = examiner.build(model.onnx, profile_of(model.inputs, ((1, 1), middle, heavy)))
    repeats = int(random.choice([10, 15, 20]))
    # of five executions two are light and one is heavy: neither the mean nor the least is near the median
    kinds = [[light, light, middle, middle, heavy][i] for i in random.permutation(5)]
    stream, enqueue = _enqueuing(subject, plan, model, kinds)
    before = examiner.record_length() if examiner.has_record else 0
    told = None
    try:
        told = value_of(
            subject, report.call("it ends with a time", subject, subject.answer(), enqueue, stream, repeats)
        )
    except Stopped:
        pass  # what was enqueued until then counts
    number = as_number(told)
    if not examiner.has_record:
        for what, weight in _KERNEL_LINES:
            report.skip(what, weight, NO_RECORD)
        return
    examiner.settle()
    record = examiner.record(before)
    queue = [event for event in record if event["op"] in _QUEUED]
    waits = [event["index"] for event in record if event["op"] == "synchronize"]
    ran = [at for at, event in enumerate(queue) if event["op"] == "execute"]
    alone = [
        at
        for at in ran
        if _neighbours(queue, at) == ("event_record", "event_record")
        and not any(queue[at - 1]["index"] < wait < queue[at + 1]["index"] for wait in waits)
    ]
    enough = len(ran) >= repeats
    timed = ran[-repeats:] if enough else alone  # too few are a line's affair, and no other's
    bare = [at for at in timed if at not in alone]
    seen = ", execute, ".join(_neighbours(queue, bare[0])) if bare else ""
    report.expect(
        _KERNEL_LINES[0][0],
        enough and not bare,
        _KERNEL_LINES[0][1],
        f"{len(bare)} of {repeats} were not enclosed (or the host waited inside); the stream had: {seen}"
        if enough
        else f"asked for {repeats}, executed {len(ran)} times in all",
        "start.record(stream); enqueue(); end.record(stream), for each of them: no copy and no host clock.",
    )
    enclosed = bool(timed) and not bare
    report.expect(
        _KERNEL_LINES[1][0],
        bool(timed) and ran[0] < timed[0],
        _KERNEL_LINES[1][1],
        f"{len(ran)} executions in all, {len(timed)} of them timed",
        "call enqueue() a few times and synchronise before the first event.",
    )
    around = [(queue[at - 1], queue[at + 1]) for at in timed] if enclosed else []
    took = [queue[at]["finished_ns"] - queue[at]["started_ns"] for at in timed]
    low = [(b["started_ns"] - a["finished_ns"]) / 1e6 for a, b in around] if enclosed else [t / 1e6 for t in took]
    high = [(b["finished_ns"] - a["started_ns"]) / 1e6 for a, b in around] if enclosed else [t / 1e6 for t in took]
    given = (
        f"{short(told)} was returned; the executions took {min(low, default=0):.4f} to {max(high, default=0):.4f} ms"
    )
    plausible = number is not None and bool(timed) and min(low) * 0.9 <= number <= max(high) * 1.5
    report.expect(
        _KERNEL_LINES[2][0],
        plausible,
        _KERNEL_LINES[2][1],
        given,
        "start.time_till(end) is in milliseconds already.",
    )
    half = (len(low) - 1) // 2, len(low) // 2
    between = (sorted(low)[half[0]], sorted(high)[half[1]]) if timed else (0.0, 0.0)
    report.expect(
        _KERNEL_LINES[3][0],
        enclosed and number is not None and between[0] * 0.999 <= number <= between[1] * 1.001 + 1e-4,
        _KERNEL_LINES[3][1],
        f"{short(told)} was returned; the median between the events is {between[0]:.4f} to {between[1]:.4f} ms"
        if enclosed
        else "the executions were not enclosed by events",
        "np.median of the times that were taken between the events, and of no others.",
    )


def _neighbours(queue: Sequence[Event], at: int) -> tuple[str, str]:
    """What was enqueued before and behind an operation."""
    before = queue[at - 1]["op"] if at else "nothing"
    return before, queue[at + 1]["op"] if at + 1 < len(queue) else "nothing"


def _enqueuing(subject: Subject, plan: bytes, model: Model, kinds: Sequence[Shape]) -> tuple[Ref, Ref]:
    """A stream, and a function without arguments that enqueues one execution there: of these shapes, in turn."""
    need_context(subject)
    runtime = subject.new("tensorrt.Runtime", subject.logger())
    engine = subject.method(runtime, "deserialize_cuda_engine", plan)
    stream = subject.new("pycuda.driver.Stream")
    handle = subject.get(stream, "handle")
    executions: dict[Shape, Ref] = {}
    for shape in dict.fromkeys(kinds):
        context = subject.method(engine, "create_execution_context")
        for name in model.inputs:
            subject.method(context, "set_input_shape", name, shape)
            device = subject.new("pycuda.driver.to_device", np.ones(shape, np.int64))
            subject.method(context, "set_tensor_address", name, subject.new("builtins.int", device))
            subject.new("builtins.setattr", stream, f"{name}_{shape[1]}", device)  # alive as long as the stream
        device = subject.new("pycuda.driver.mem_alloc", 4 * 4 * shape[0])
        subject.method(context, "set_tensor_address", model.outputs[0], subject.new("builtins.int", device))
        subject.new("builtins.setattr", stream, f"output_{shape[1]}", device)
        execute = subject.get(context, "execute_async_v3")
        executions[shape] = subject.new("functools.partial", execute, handle)
    turns = subject.new("itertools.cycle", [executions[shape] for shape in kinds])
    results = subject.new("builtins.map", subject.new("operator.methodcaller", "__call__"), turns)
    following = subject.get(subject.new("importlib.import_module", "builtins"), "next")
    return stream, subject.new("functools.partial", following, results)


# --- ex2/timeline ---------------------------------------------------------------------------------------------------

_KINDS = {"htod": "h2d_ms", "execute": "compute_ms", "dtoh": "d2h_ms"}
_SUMS = ("h2d_ms", "compute_ms", "d2h_ms", "idle_ms", "span_ms")
_Work = tuple[str, int, int, int]  # op, stream, start and end in nanoseconds


def _timeline(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    random = draw("timeline")
    one = _steps(random, int(random.integers(4, 8)))
    several = _overlapping(random)
    answer = subject.answer()
    found = []
    for work, host in ((one, False), (one, True), (several, False)):
        events = _rows(random, work, host)
        result = report.call("the record is read", subject, answer, events)
        told: dict[str, float | None] = {}
        for key in _SUMS:
            try:
                told[key] = as_number(value_of(subject, subject.item(result, key)))
            except Raised:
                told[key] = None
        found.append((told, _sums(work)))
    (plain, wanted), (beside, _), (crossed, crossed_wanted) = found
    missing = [key for key, value in plain.items() if value is None]
    kinds = tuple(_KINDS.values())
    # who answers in nanoseconds or seconds loses one line, not all
    unit = next((f for f in (1.0, 1e6, 1e3, 1e-3) if _same(plain["compute_ms"], wanted["compute_ms"] * f)), 1.0)

    def line(what: str, weight: float, told: Mapping[str, float | None], true: Mapping[str, float], keys: Sequence[str],
             holds: bool, hint: str) -> bool:  # fmt: skip
        wrong = [
            f"{key} is {short(told[key])}, expected {true[key] * unit:.6g}"
            for key in keys
            if not _same(told[key], true[key] * unit)
        ]
        return report.expect(what, holds and not wrong, weight, "; ".join(wrong) or "see above", hint)

    right = line(
        "h2d_ms, compute_ms and d2h_ms are the device's work of each kind",
        0.75,
        plain,
        wanted,
        kinds,
        True,
        "add up finished_ns - started_ns of the rows with op htod, execute and dtoh, each for itself.",
    )
    report.expect(
        "all five figures are there, in milliseconds",
        right and not missing and unit == 1.0,
        0.25,
        f"missing or no number: {', '.join(missing)}" if missing else f"{unit:g} times as much as in milliseconds",
        "started_ns and finished_ns are nanoseconds: divide by 1e6.",
    )
    line(
        "span_ms reaches from the start of the first to the end of the last device work",
        0.25,
        plain,
        wanted,
        ("span_ms",),
        right,
        "max(finished_ns) - min(started_ns) over the device's work.",
    )
    idle = line(
        "idle_ms is the part of the span in which no work ran",
        0.5,
        plain,
        wanted,
        ("idle_ms",),
        right,
        "span minus the time in which something ran.",
    )
    changed = [key for key in _SUMS if plain[key] is not None and not _same(beside[key], plain[key])]
    report.expect(
        "what the host does (waits, allocations) changes none of them",
        right and not changed,
        0.5,
        "; ".join(f"{key} is {short(beside[key])}, without the host's rows {short(plain[key])}" for key in changed)
        or "see above",
        "a wait lasts as long as the work that it waits for: added, the time counts twice. Leave these rows out first.",
    )
    line(
        "where streams overlap, the time counts once for idle_ms",
        0.5,
        crossed,
        crossed_wanted,
        ("idle_ms", "span_ms", *kinds),
        right and idle,
        "sort by start, and let busy time reach to the latest end so far; short work may lie inside long work.",
    )
    alone = [row for row in _rows(random, one, True) if row["op"] not in _KINDS]
    try:
        result = subject.call(answer, alone)
        empty = {key: as_number(value_of(subject, subject.item(result, key))) for key in _SUMS}
        other = [f"{key} is {short(value)}" for key, value in empty.items() if value != 0]
    except Raised as error:
        other = [words(error)]
    report.expect(
        "without any work of the device all five are 0",
        right and not other,
        0.25,
        "; ".join(other) or "see above",
        "look at the list before you take its first or its largest.",
    )


def _same(told: float | None, expected: float | None) -> bool:
    return told is not None and expected is not None and abs(told - expected) <= 1e-6 * max(abs(expected), 1.0)


def _steps(random: np.random.Generator, count: int) -> list[_Work]:
    """Steps of a generation on one stream: two copies in, an execution, a copy back, with gaps between."""
    work: list[_Work] = []
    now = int(random.integers(10**14, 2 * 10**14))
    for _ in range(count):
        for op in ("htod", "htod", "execute", "dtoh"):
            now += int(random.integers(0, 300_000))
            took = int(random.integers(100_000, 4_000_000))
            work.append((op, 7, now, now + took))
            now += took
    return work


def _overlapping(random: np.random.Generator) -> list[_Work]:
    """Three streams; in each group a long execution with copies that lie inside it, and one that outlasts it."""
    work: list[_Work] = []
    now = int(random.integers(10**14, 2 * 10**14))
    for _ in range(int(random.integers(3, 6))):
        length = int(random.integers(4_000_000, 9_000_000))
        inside = now + int(random.integers(200_000, 900_000))
        later = now + length - int(random.integers(100_000, 500_000))
        end = later + int(random.integers(600_000, 2_000_000))
        work += [
            ("dtoh", 9, later, end),
            ("execute", 7, now, now + length),
            ("htod", 8, inside, inside + int(random.integers(100_000, 900_000))),
        ]
        now = end + int(random.integers(50_000, 800_000))
    return work


def _sums(work: Sequence[_Work]) -> dict[str, float]:
    """The five figures, in milliseconds."""
    sums = {name: sum(end - start for op, _, start, end in work if op == kind) for kind, name in _KINDS.items()}
    busy, reached = 0, 0
    for _, _, start, end in sorted(work, key=lambda row: row[2]):
        busy += max(end - max(start, reached), 0)
        reached = max(reached, end)
    span = reached - min(row[2] for row in work)
    return {name: value / 1e6 for name, value in (sums | {"idle_ms": span - busy, "span_ms": span}).items()}


def _rows(random: np.random.Generator, work: Sequence[_Work], host: bool) -> list[Event]:
    """A record with this work, and where asked for with what the host did around it."""
    rows: list[dict[str, Any]] = []
    start, end = min(row[2] for row in work), max(row[3] for row in work)

    def add(op: str, stream: int, began: int, ended: int, **fields: Any) -> None:
        rows.append({"op": op, "stream": stream, "started_ns": began, "finished_ns": ended} | fields)

    if host:
        for number, op in enumerate(("engine_load", "context_create", "stream_create", "alloc", "host_alloc")):
            before = start - 50_000_000 + number * 1_000_000
            add(op, 0, before, before + 900_000, nbytes=4096)
    for op, stream, began, ended in work:
        if host and random.random() < 0.3:
            add("alloc", 0, began - 700_000, began - 100_000, nbytes=512)
        copy = {"nbytes": int(random.integers(64, 4096)), "memory": "pinned"} if op != "execute" else {}
        add(op, stream, began, ended, **copy)
        if host and op == "dtoh":
            add("synchronize", stream, began - 2_000_000, ended + 40_000, waited_for="stream")
    if host:
        add("free", 0, end + 100_000, end + 900_000, nbytes=512)
        add("synchronize", 0, start - 9_000_000, end + 7_000_000, waited_for="device")
    for row in rows:
        row["enqueued_ns"] = row["started_ns"] - 5_000
    return [asdict(Recorded(index=index, **row)) for index, row in enumerate(rows)]


# --- ex2/preallocate ------------------------------------------------------------------------------------------------


@dataclass
class _Step:
    """One call of the step: what was asked, what came back, and what the device did."""

    inputs: dict[str, np.ndarray]
    whole: np.ndarray  # logits as the engine computes them
    result: Any
    ref: Ref
    events: list[Event]  # as they stood when the call returned
    settled: list[Event]  # the same, when all of their work was done

    @property
    def wanted(self) -> np.ndarray:
        """Logits of the last position, FP32."""
        return (self.whole if self.whole.ndim == 2 else self.whole[:, -1]).astype(np.float32)

    @property
    def tolerance(self) -> float:
        """Largest difference that another engine's rounding explains: of FP16, two units of the largest logit's."""
        half = self.whole.dtype == np.float16
        return 2 * float(np.spacing(np.abs(self.whole).max())) if half else 1e-4

    def execution(self, plan: str) -> Event | None:
        """The execution of this plan on exactly these inputs; None where there was none."""
        given = {f"input:{name}": digest_of(array) for name, array in self.inputs.items()} | {"plan": plan}
        for event in self.settled:
            digests = event.get("digests") or {}
            if event["op"] == "execute" and all(digests.get(k) == v for k, v in given.items()):
                return event
        return None

    def problem(self, plan: str, recorded: bool) -> str:
        """Why the result is not what the engine gave; empty where it is."""
        rows, tokens = self.inputs[_INPUTS[0]].shape
        problem = self.result.why if isinstance(self.result, Odd) else differs(self.result, self.wanted, self.tolerance)
        execution = self.execution(plan) if recorded else None
        if not problem and np.asarray(self.result).dtype != np.float32:
            problem = f"dtype {np.asarray(self.result).dtype}, expected float32"
        if not problem and recorded and execution is None:
            problem = "right, but the engine was not executed on these inputs"
        # the device computes what the examiner does, bit by bit; where it does, so must what came back
        if not problem and execution and execution["digests"].get(f"output:{_LOGITS}") == digest_of(self.whole):
            same = np.ascontiguousarray(self.result).tobytes() == np.ascontiguousarray(self.wanted).tobytes()
            problem = "" if same else "right, but not what the engine's execution gave back"
        return f"batch {rows}, {tokens} tokens: {problem}" if problem else ""


_STEP_LINES = (
    ("a step allocates nothing: no device memory, no pinned memory, no context", 1.0),
    ("exactly the bytes of the step's ids and mask go to the device, asynchronously from pinned memory", 0.75),
    ("the logits come back by copy_logits, called once a step", 0.5),
    ("one synchronisation for each step, after all its work was enqueued, and one execution", 0.75),
)


def _preallocate(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    model, random = _decoder(draw, "preallocate", last=False), draw("preallocate: shapes")
    smallest, usual, largest = (int(n) for n in np.cumsum([random.integers(2, 4), *random.integers(1, 4, 2)]))
    low, middle, high = (int(n) for n in np.cumsum([random.integers(3, 6), *random.integers(4, 8, 2)]))
    plan = examiner.build(model.onnx, profile_of(_INPUTS, ((smallest, low), (usual, middle), (largest, high))))
    digest = hashlib.sha256(plan).hexdigest()
    first = int(random.integers(5, model.vocabulary))  # how copy_logits of this check divides its copy
    function, logger, _kept = _made(subject, report, plan, first)
    shapes = [(usual, low), (usual, low + 1), (usual, low + 2), (smallest, low + 1)]
    steps, recorded = [], examiner.has_record
    try:
        if recorded:
            examiner.keep_digests(True)
        for number, shape in enumerate(shapes):
            steps.append(_step(subject, examiner, report, model, function, draw, number, shape, logger))
        later = [value_of(subject, step.ref) for step in steps[:-1]]  # when the steps behind them have run
        log = said(errors_of(subject, logger))
        accident = _refused(subject, examiner, report, model, function, draw, ((1, low), (largest + 1, low)))
        top = _alone(subject, examiner, model, function, draw, (largest, high), digest)
        half = _half(subject, examiner, draw, (largest, high))
    finally:
        if recorded:
            examiner.keep_digests(False)
    problems = [problem for step in steps if (problem := step.problem(digest, recorded))]
    report.expect(
        "logits [batch, vocabulary] of the last position are right, for steps that grow and for another batch",
        not problems,
        1.0,
        "; ".join(problems[:2]) + log,
        "NaN: read before the stream was done, or not from where copy_logits says. Other values: shapes or addresses.",
    )
    genuine = all(step.execution(digest) for step in steps) if recorded else not problems
    not_run = "the engine was not executed on the inputs that were given"
    if recorded:
        _judge_steps(report, steps, first, genuine, not_run)
    else:
        for what, weight in _STEP_LINES:
            report.skip(what, weight, NO_RECORD)
    changed = [step for step, now in zip(steps, later, strict=False) if _content(step.result) != _content(now)]
    report.expect(
        "each result is an array of its own, which the next step leaves alone",
        genuine and not problems and not changed,
        0.25,
        "an earlier result changed when the next step ran" if changed else not_run if not genuine else "see above",
        "what copy_logits returns lies in the pinned array that the next step fills: return a copy.",
    )
    report.expect(
        "a shape outside the profile raises a ValueError, before anything is copied",
        genuine and not accident,
        0.25,
        accident if genuine else not_run,
        "set_input_shape returns False; raise a ValueError then, before anything is copied.",
    )
    report.expect(
        "logits of other engines come back as float32 [batch, vocabulary] too: FP16, of a last-step graph",
        genuine and not half,
        0.25,
        half if genuine else not_run,
        "the engine knows the dtype of the host array, the context the shape: hand it on as it is, and return float32.",
    )
    report.expect(
        "the profile's largest shape is served",
        genuine and not top,
        0.25,
        top if genuine else not_run,
        "engine.get_tensor_profile_shape(name, 0)[2] is the largest; set it for both inputs, and ask the context.",
    )


def _content(value: Any) -> bytes:
    return np.ascontiguousarray(value).tobytes() if isinstance(value, np.ndarray) else b""


def _step(
    subject: Subject,
    examiner: Examiner,
    report: Report,
    model: Decoder,
    function: Ref,
    draw: Draw,
    number: int,
    shape: Shape,
    log: Ref,
) -> _Step:
    arrays = dict(zip(_INPUTS, model.prompts(draw, f"preallocate {number}", shape), strict=True))
    before = examiner.record_length() if examiner.has_record else 0
    ref = report.call("a step runs", subject, function, *arrays.values(), log=log)
    events = examiner.record(before) if examiner.has_record else []
    result = value_of(subject, ref)
    if examiner.has_record:
        examiner.settle()
    settled = examiner.record(before) if examiner.has_record else []
    whole = examiner.run_onnx(model.onnx, arrays, RUNTIME)["outputs"][_LOGITS]
    return _Step(arrays, whole, result, ref, events, settled)


def _judge_steps(report: Report, steps: Sequence[_Step], first: int, genuine: bool, not_run: str) -> None:
    anew = [
        f"{event['op']} of {event['nbytes']:,} bytes"
        for step in steps
        for event in step.events
        if event["op"] in ("alloc", "host_alloc", "engine_load", "context_create")
    ]
    report.expect(
        _STEP_LINES[0][0],
        genuine and not anew,
        _STEP_LINES[0][1],
        f"{len(anew)} in {len(steps)} steps: {', '.join(anew[:3])}" if genuine else not_run,
        "cuda.mem_alloc and cuda.pagelocked_empty belong in front of `def step`.",
    )
    wrong = []
    for step in steps:
        copies = [event for event in step.events if event["op"] == "htod"]
        wanted = sum(array.nbytes for array in step.inputs.values())
        seen = sum(event["nbytes"] for event in copies)
        if seen != wanted:
            wrong.append(f"{seen:,} bytes for ids and mask of {wanted:,}")
        wrong += [f"htod {event['memory']}" for event in copies if event["memory"] != "pinned"][:1]
        digests = [event.get("digests") or {} for event in step.settled if event["op"] == "htod"]
        if any("enqueued" in d and d["enqueued"] != d.get("data") for d in digests):
            wrong.append("pinned memory was written after its copy was enqueued")
    report.expect(
        _STEP_LINES[1][0],
        genuine and not wrong,
        _STEP_LINES[1][1],
        "; ".join(dict.fromkeys(wrong)) if genuine else not_run,
        "write into the first elements of the pinned array, copy those: host[:ids.size], with memcpy_htod_async.",
    )
    wrong = []
    for step in steps:
        copies = [event for event in step.events if event["op"] == "dtoh"]
        if [event["nbytes"] for event in copies] != [4 * first, step.whole.nbytes - 4 * first]:
            wrong.append(f"{len(copies)} copies back, of {sum(event['nbytes'] for event in copies):,} bytes")
        wrong += [f"dtoh {event['memory']}" for event in copies if event["memory"] != "pinned"][:1]
    report.expect(
        _STEP_LINES[2][0],
        genuine and not wrong,
        _STEP_LINES[2][1],
        "; ".join(dict.fromkeys(wrong)) + "; copy_logits of this check copies all logits in two parts"
        if genuine
        else not_run,
        "rows = copy_logits(host, device, shape, stream), with a flat pinned array and this step's shape [B, t, V].",
    )
    waits = sorted({problem for step in steps if (problem := wait_problem(step.events))})
    report.expect(
        _STEP_LINES[3][0],
        genuine and not waits,
        _STEP_LINES[3][1],
        "; ".join(waits).replace("for a batch", "for a step") if genuine else not_run,
        "stream.synchronize() once, behind copy_logits.",
    )


def _refused(
    subject: Subject,
    examiner: Examiner,
    report: Report,
    model: Decoder,
    function: Ref,
    draw: Draw,
    shapes: Sequence[Shape],
) -> str:
    """What is wrong about how shapes outside the profile are refused; empty where nothing is."""
    for number, shape in enumerate(shapes):
        before = examiner.record_length() if examiner.has_record else 0
        error = report.raises(subject, function, *model.prompts(draw, f"refused {number}", shape, padded=False))
        events = examiner.record(before) if examiner.has_record else []
        if examiner.has_record:
            examiner.settle()
        told = f"batch {shape[0]}, {shape[1]} tokens: "
        if error is None:
            return told + "no exception"
        if "ValueError" not in error.kinds:
            return told + f"another error: {words(error)}"
        if "could not broadcast" in error.text or "cannot reshape" in error.text:
            return told + f"an error by accident: {words(error)}"
        if any(event["op"] in ("htod", "execute", "dtoh") for event in events):
            return told + f"it was refused after {events[0]['op']} was enqueued"
    return ""


def _made(subject: Subject, report: Report, plan: bytes, first: int) -> tuple[Ref, Ref, list[Ref]]:
    """The student's step for a plan, the logger, and what must stay alive."""
    need_context(subject)
    logger = subject.logger()
    runtime = subject.new("tensorrt.Runtime", logger)
    engine = subject.method(runtime, "deserialize_cuda_engine", plan)
    context = subject.method(engine, "create_execution_context")
    stream = subject.new("pycuda.driver.Stream")
    copy = subject.copier(first)
    function = report.call("the step is made", subject, subject.answer(), context, stream, copy, log=logger)
    return function, logger, [runtime, engine, context, stream]


def _alone(
    subject: Subject, examiner: Examiner, model: Decoder, function: Ref, draw: Draw, shape: Shape, plan: str
) -> str:
    """What is wrong about one step of this shape; empty where nothing is."""
    report = Report()
    try:
        step = _step(subject, examiner, report, model, function, draw, 99, shape, None)
    except Stopped:
        return report.lines[-1].happened
    return step.problem(plan, examiner.has_record)


def _half(subject: Subject, examiner: Examiner, draw: Draw, largest: Shape) -> str:
    """What is wrong about a step of an engine with logits FP16 [batch, vocabulary]; empty where nothing is."""
    model, report = _decoder(draw, "preallocate: half", last=True, half=True), Report()
    plan = examiner.build(model.onnx, profile_of(_INPUTS, ((1, 1), largest, largest)))
    try:
        function, _, _kept = _made(subject, report, plan, 5)
    except Stopped:
        return report.lines[-1].happened
    return _alone(subject, examiner, model, function, draw, largest, hashlib.sha256(plan).hexdigest())


# --- ex2/last_step --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Copied:
    """One call of the student's copy: what lay on the device, what came back, and what the device did."""

    logits: np.ndarray
    result: Any
    events: list[Event]  # as they stood when the call returned
    done: list[Event]  # the same, when the stream had been waited for
    kept: list[Ref]  # freeing memory waits for the device: not before all calls are judged

    @property
    def where(self) -> str:
        rows, tokens, vocabulary = self.logits.shape
        return f"[{rows}, {tokens}, {vocabulary}]"

    def copies(self, done: bool = False) -> list[Event]:
        return [event for event in (self.done if done else self.events) if event["op"] == "dtoh"]


_COPY_LINES = (
    ("exactly batch x vocabulary values are copied back", 1.25),
    ("the copies are asynchronous, into the pinned array, and nothing waits for them", 1.25),
)


def _copy_last(subject: Subject, examiner: Examiner, report: Report, draw: Draw) -> None:
    random = draw("last step: shapes")
    rows, tokens, vocabulary = (int(random.integers(*limits)) for limits in ((3, 7), (4, 9), (20, 60)))
    calls = [
        _copy(subject, examiner, report, draw, number, shape)
        for number, shape in enumerate(
            ((rows, tokens, vocabulary), (1, tokens + 1, vocabulary), (rows + 1, 1, vocabulary + 1))
        )
    ]
    half = _half_copied(subject, examiner, draw, (rows, tokens, vocabulary))
    recorded = examiner.has_record
    problems = [f"logits {call.where}: {problem}" for call in calls if (problem := _wrong_rows(call))]
    copied = not recorded or all(call.copies(done=True) for call in calls)
    report.expect(
        "the view that is returned holds the last step of every row, once the stream is done",
        copied and not problems,
        1.25,
        "; ".join(problems[:2]) or "nothing was copied from the device",
        "row b of the last step begins at element (b * t + t - 1) * V of the device's array: one copy for each row, or"
        " one Memcpy2D.",
    )
    nothing = "nothing was copied from the device"
    report.expect(
        "the same for FP16 logits",
        copied and not half,
        0.25,
        half if copied else nothing,
        "an element has host.itemsize bytes.",
    )
    if not recorded:
        for what, weight in _COPY_LINES:
            report.skip(what, weight, NO_RECORD)
        return
    wrong = []
    for call in calls:
        seen, wanted = sum(event["nbytes"] for event in call.copies()), call.logits[:, -1].nbytes
        if seen != wanted:
            wrong.append(f"logits {call.where}: {seen:,} bytes, expected {wanted:,}")
    report.expect(
        _COPY_LINES[0][0],
        copied and not wrong,
        _COPY_LINES[0][1],
        "; ".join(wrong[:2]) or nothing,
        "the other steps stay where they are: V values a row, t * V apart on the device.",
    )
    held = []
    for call in calls:
        held += [f"dtoh {event['memory']}" for event in call.copies() if event["memory"] != "pinned"]
        held += ["it waits itself" for event in call.events if event["op"] == "synchronize"]
        # freeing memory waits too, and Python may free what somebody dropped long ago at any time
        freed = any(event["op"] == "free" for event in call.events)
        late = [] if freed else [event for event in call.copies() if event["finished_ns"]]
        held += ["the work was done when the function returned"] if late and not held else []
        held += ["a copy that waiting for the stream does not cover"] * any(
            not event["finished_ns"] for event in call.copies(done=True)
        )
        held += [f"{event['op']} in each call" for event in call.events if event["op"] in ("alloc", "host_alloc")]
    report.expect(
        _COPY_LINES[1][0],
        copied and not held,
        _COPY_LINES[1][1],
        "; ".join(dict.fromkeys(held)) or nothing,
        "cuda.memcpy_dtoh_async(part_of_host, address, stream), and return: the step waits, once, for everything.",
    )


def _copy(
    subject: Subject, examiner: Examiner, report: Report, draw: Draw, number: int, shape: Cube, dtype: str = "float32"
) -> _Copied:
    logits = draw(f"last step: values {number}").normal(size=shape).astype(dtype)
    need_context(subject)
    # larger than this step, as buffers are that were made for the profile's maximum
    host = subject.new("pycuda.driver.pagelocked_empty", logits.size + 64, dtype)
    subject.method(host, "fill", -7.0)
    device = subject.new("pycuda.driver.mem_alloc", logits.nbytes + 256)
    subject.new("pycuda.driver.memcpy_htod", device, logits)
    stream = subject.new("pycuda.driver.Stream")
    arguments = (host, device, subject.new("builtins.tuple", list(shape)), stream)
    before = examiner.record_length() if examiner.has_record else 0
    ref = report.call("the copy is enqueued", subject, subject.answer(), *arguments)
    events = examiner.record(before) if examiner.has_record else []
    subject.method(stream, "synchronize")
    done = examiner.record(before)[: len(events)] if examiner.has_record else []
    return _Copied(logits, value_of(subject, ref), events, done, [host, device, ref])


def _half_copied(subject: Subject, examiner: Examiner, draw: Draw, shape: Cube) -> str:
    """What is wrong about a copy of FP16 logits; empty where nothing is."""
    report = Report()
    try:
        return _wrong_rows(_copy(subject, examiner, report, draw, 98, shape, "float16"))
    except Stopped:
        return report.lines[-1].happened


def _wrong_rows(call: _Copied) -> str:
    """Why what was returned is not the last step's logits, with the rows that are wrong; empty where it is."""
    if isinstance(call.result, Odd):
        return call.result.why
    wanted = call.logits[:, -1]
    problem = differs(call.result, wanted, 0.0)
    if problem and isinstance(call.result, np.ndarray) and call.result.shape == wanted.shape:
        rows = [row for row in range(len(wanted)) if not np.array_equal(call.result[row], wanted[row])]
        poison = bool(np.isnan(call.result.astype(np.float64)).any())
        early = ", NaN: no copy of logits had filled them (a view of `host` is asked for, not an array of its own)"
        return f"rows {rows} are wrong" + (early if poison else "")
    return problem


CHECKS = (
    Check(
        "ex2/bytes",
        "bytes of a generation, on paper",
        3,
        "copied_bytes",
        _bytes,
        (
            "Without a cache every step feeds the whole sequence, and gets logits for every position of it: the first"
            " step has the prompt's tokens, the last one less than the final length.",
            "tokens = (length - prompt) if last_step else sum(range(prompt, length)); 4 * batch * tokens * vocabulary",
        ),
    ),
    Check(
        "ex2/export",
        "GPT-2 to ONNX",
        5,
        "export_decoder",
        _export,
        (
            "GPT-2 counts its positions from the first column, padding included. The mask knows better: count its ones,"
            " in a small module around the model, so that the count becomes part of the graph.",
            "class Decoder(torch.nn.Module) with forward(self, input_ids, attention_mask): positions ="
            " (attention_mask.cumsum(-1) - 1).clamp(min=0); logits = model(input_ids=..., attention_mask=...,"
            " position_ids=positions, use_cache=False).logits; return logits[:, -1] if last_step else logits. Then"
            " torch.onnx.export as in Exercise 1.",
        ),
        slow="exporting a small model twice, about 6 seconds",
    ),
    Check(
        "ex2/profile",
        "a profile for a whole generation",
        3,
        "add_decode_profile",
        _profile,
        (
            "The sequence grows by a token a step, and one profile must allow all of its lengths, for every batch.",
            "for each input: profile.set_shape(name, (rows[0], prompt), (rows[1], (prompt + length) // 2), (rows[2],"
            " length)); then config.add_optimization_profile(profile), and compare the index with 0",
        ),
    ),
    Check(
        "ex2/decode",
        "the decoding loop",
        5,
        "greedy_decode",
        _decode,
        (
            "Two arrays grow side by side: the tokens, by the most likely one of each row, and the mask, by a one.",
            "for _ in range(length - ids.shape[1]): new = step(ids, mask).argmax(-1); ids = np.concatenate([ids,"
            " new[:, None]], 1); mask = np.concatenate([mask, np.ones_like(new[:, None])], 1)",
        ),
    ),
    Check(
        "ex2/kernel_only",
        "the time of the kernels alone",
        4,
        "kernel_only",
        _kernel_only,
        (
            "An event is a mark in the stream. The device notes when it passes it; two marks around an execution have"
            " nothing else between them.",
            "for each repeat: start, end = cuda.Event(), cuda.Event(); start.record(stream); enqueue();"
            " end.record(stream); end.synchronize(); times.append(start.time_till(end)); then np.median(times)",
        ),
    ),
    Check(
        "ex2/timeline",
        "reading a timeline",
        3,
        "read_timeline",
        _timeline,
        (
            "First keep the device's work alone: htod, execute, dtoh. Sums need nothing more. For the idle time, join"
            " what overlaps.",
            "sort by started_ns; reached = 0; for each: busy += max(0, finished - max(started, reached)); reached ="
            " max(reached, finished). span = last end - first start; idle = span - busy; all by 1e6",
        ),
    ),
    Check(
        "ex2/preallocate",
        "a step that allocates nothing",
        5,
        "preallocated_step",
        _preallocate,
        (
            "What the inner function needs is made in front of it, once, for the largest shape of the profile; a step"
            " uses the first elements of it.",
            "in front: set the largest shapes, pagelocked_empty(volume) and mem_alloc(nbytes) for each tensor,"
            " set_tensor_address. In step: set_input_shape (False: ValueError), host[:n] filled and memcpy_htod_async,"
            " execute_async_v3(stream.handle), rows = copy_logits(host, device, shape, stream), stream.synchronize(),"
            " rows.copy()",
        ),
    ),
    Check(
        "ex2/last_step",
        "only the last step comes back",
        4,
        "copy_last_step",
        _copy_last,
        (
            "On the device, the last steps of two rows lie t * V values apart: for more than one row they are not one"
            " piece.",
            "for b in range(B): cuda.memcpy_dtoh_async(host[b * V : (b + 1) * V], int(device) + 4 * (b * t + t - 1)"
            " * V, stream); return host[: B * V].reshape(B, V)",
        ),
    ),
)
