"""What checks stand on: small models with drawn weights and names, objects of the subject made by primitives, and what
is read from the device's record.

The judge puts the steps together, so that a student's process holds no code of ours that parses, builds or runs.
"""

from __future__ import annotations

import hashlib
import logging
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..draw import Draw
from ..report import NotAttempted, Report, Stopped, short, words
from ..subject import Raised, Ref, Subject

Shape = tuple[int, int]
Range = tuple[Shape, Shape, Shape]  # smallest, usual, largest
Facts = dict[str, Any]
Event = dict[str, Any]
T = TypeVar("T")

NO_RECORD = "only the simulated device in this process keeps a record"


# --- what is drawn --------------------------------------------------------------------------------------------------

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty", "knoll", "larch")


def drawn_names(draw: Draw, what: str, count: int) -> list[str]:
    """Names of tensors, operators or files that nobody can have written down."""
    random = draw(f"{what}: names")
    chosen = random.choice(len(_WORDS), count, replace=False)
    return [f"{_WORDS[i]}_{random.integers(100, 999)}" for i in chosen]


def drawn_range(draw: Draw, what: str) -> Range:
    """Smallest, usual and largest [batch, sequence]: all different, never beginning at 1."""
    random = draw(f"{what}: range")
    batch = np.cumsum([random.integers(2, 5), random.integers(1, 4), random.integers(3, 7)])
    length = np.cumsum([random.integers(3, 6), random.integers(1, 4), random.integers(2, 6)])
    if length[2] == batch[2]:
        length[2] += 1
    small, usual, large = ((int(b), int(s)) for b, s in zip(batch, length, strict=True))
    return small, usual, large


def profile_of(names: Sequence[str], shapes: Range) -> dict[str, list[list[int]]]:
    return {name: [list(shape) for shape in shapes] for name in names}


@dataclass(frozen=True)
class Model:
    """A small model of our own. All inputs have the shape [batch, sequence]."""

    onnx: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dtypes: Mapping[str, str]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.onnx).hexdigest()


def serialized(text: str, weights: Mapping[str, np.ndarray]) -> bytes:
    import onnx
    from onnx import numpy_helper

    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> {text}')
    for name, array in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return bytes(model.SerializeToString())


def sum_model(draw: Draw, what: str, count: int = 2, given: Sequence[str] = ()) -> Model:
    """Two or three inputs (names `given` or drawn) -> the weighted sum of their product, float16 [batch]."""
    names = [*given, *drawn_names(draw, what, count + 1)[len(given) :]]
    kinds = ["int64", "int64", "float"][:count]
    declared = ", ".join(f"{kind}[batch, sequence] {name}" for kind, name in zip(kinds, names, strict=False))
    product = "numbers = Cast <to = 1> (both)" if count == 2 else f"numbers = Mul (cast, {names[2]})"
    text = f"""
        sum ({declared}) => (float16[batch] {names[-1]}) {{
            last = Constant <value_ints = [-1]> ()
            both = Mul ({names[0]}, {names[1]})
            {"" if count == 2 else "cast = Cast <to = 1> (both)"}
            {product}
            product = Mul (numbers, factor)
            total = ReduceSum <keepdims = 0> (product, last)
            {names[-1]} = Cast <to = 10> (total)
        }}"""
    factor = draw(f"{what}: factor").normal(size=1).astype(np.float32)
    kinds = [{"float": "float32"}.get(kind, kind) for kind in kinds]
    dtypes = dict(zip(names, [*kinds, "float16"], strict=True))
    return Model(serialized(text, {"factor": factor}), tuple(names[:-1]), (names[-1],), dtypes)


@dataclass(frozen=True)
class Classifier(Model):
    """tokens, mask int64 [batch, sequence] -> scores float32 [batch, labels], details float16 [batch, sequence]."""

    table: np.ndarray
    direction: np.ndarray

    def expected(self, tokens: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
        rows = self.table[tokens].astype(np.float64)
        scores = (rows * mask[..., None]).sum(1).astype(np.float32)
        details = ((rows * self.direction).sum(2) * mask).astype(np.float16)
        return dict(zip(self.outputs, (scores, details), strict=True))

    def batch(self, draw: Draw, what: str, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
        random = draw(f"{what}: batch")
        return random.integers(0, len(self.table), shape), (random.random(shape) < 0.7).astype(np.int64)


def classifier_model(draw: Draw, what: str) -> Classifier:
    tokens, mask, scores, details = drawn_names(draw, what, 4)
    random = draw(f"{what}: weights")
    labels = int(random.integers(3, 7))
    text = f"""
        classifier (int64[batch, sequence] {tokens}, int64[batch, sequence] {mask})
            => (float[batch, {labels}] {scores}, float16[batch, sequence] {details}) {{
            last = Constant <value_ints = [-1]> ()
            second = Constant <value_ints = [1]> ()
            rows = Gather (table, {tokens})
            factor = Cast <to = 1> ({mask})
            column = Unsqueeze (factor, last)
            product = Mul (rows, column)
            {scores} = ReduceSum <keepdims = 0> (product, second)
            turned = Mul (rows, direction)
            along = ReduceSum <keepdims = 0> (turned, last)
            shown = Mul (along, factor)
            {details} = Cast <to = 10> (shown)
        }}"""
    table = random.normal(size=(int(random.integers(30, 60)), labels)).astype(np.float32)
    direction = random.normal(size=labels).astype(np.float32)
    return Classifier(
        serialized(text, {"table": table, "direction": direction}),
        (tokens, mask),
        (scores, details),
        {tokens: "int64", mask: "int64", scores: "float32", details: "float16"},
        table,
        direction,
    )


def heavy_model(draw: Draw, what: str) -> Model:
    """tokens, mask int64 [batch, sequence] -> scores float32 [batch, 4]; takes milliseconds, and ways little."""
    tokens, mask, scores = drawn_names(draw, what, 3)
    random, width = draw(f"{what}: weights"), 768
    text = f"""
        heavy (int64[batch, sequence] {tokens}, int64[batch, sequence] {mask}) => (float[batch, 4] {scores}) {{
            last = Constant <value_ints = [-1]> ()
            second = Constant <value_ints = [1]> ()
            x = Gather (table, {tokens})
            y = MatMul (x, weights)
            z = MatMul (y, weights)
            factor = Cast <to = 1> ({mask})
            column = Unsqueeze (factor, last)
            product = Mul (z, column)
            sum = ReduceSum <keepdims = 0> (product, second)
            {scores} = MatMul (sum, head)
        }}"""
    weights = {
        "table": random.normal(size=(30, width)).astype(np.float32),
        "weights": (random.normal(size=(width, width)) / math.sqrt(width)).astype(np.float32),
        "head": random.normal(size=(width, 4)).astype(np.float32),
    }
    dtypes = {tokens: "int64", mask: "int64", scores: "float32"}
    return Model(serialized(text, weights), (tokens, mask), (scores,), dtypes)


# --- the subject's side ---------------------------------------------------------------------------------------------


class Odd:
    """In the place of a value that is no plain data."""

    def __init__(self, why: str) -> None:
        self.why = why

    def __repr__(self) -> str:
        return f"something that is no plain value ({self.why})"


def value_of(subject: Subject, ref: Ref) -> Any:
    """The value of a ref as the subject tells it."""
    try:
        return subject.value(ref)
    except Raised as error:
        return Odd(words(error))


def as_number(value: Any) -> float | None:
    """A finite number, or None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def trt_constant(subject: Subject, name: str) -> Ref:
    """A constant of the `tensorrt` module, such as "MemoryPoolType.WORKSPACE"."""
    return subject.call(subject.new("operator.attrgetter", name), subject.new("importlib.import_module", "tensorrt"))


@dataclass(frozen=True)
class Ground:
    """A builder with a parsed network and an empty config. All of them are kept alive as long as they are used."""

    logger: Ref
    builder: Ref
    network: Ref
    parser: Ref
    config: Ref


def make_ground(subject: Subject, model: Model) -> Ground:
    logger = subject.logger()
    builder = subject.new("tensorrt.Builder", logger)
    typed = as_number(value_of(subject, subject.new("builtins.int", trt_constant(subject, _STRONGLY_TYPED)))) or 0
    network = subject.method(builder, "create_network", 1 << min(int(abs(typed)), 20))
    parser = subject.new("tensorrt.OnnxParser", network, logger)
    subject.method(parser, "parse", model.onnx)
    return Ground(logger, builder, network, parser, subject.method(builder, "create_builder_config"))


_STRONGLY_TYPED = "NetworkDefinitionCreationFlag.STRONGLY_TYPED"


def put_profile(subject: Subject, builder: Ref, config: Ref, names: Sequence[str], shapes: Range) -> None:
    profile = subject.method(builder, "create_optimization_profile")
    for name in names:
        subject.method(profile, "set_shape", name, *shapes)
    subject.method(config, "add_optimization_profile", profile)


def built_by(subject: Subject, builder: Ref, network: Ref, config: Ref) -> bytes | None:
    """The bytes of the plan that the subject's builder makes; None where it makes none."""
    plan = subject.method(builder, "build_serialized_network", network, config)
    if value_of(subject, plan) is None:
        return None
    data = value_of(subject, subject.new("builtins.bytes", plan))
    return data if isinstance(data, bytes) else None


def unlike(facts: Facts, model: Model) -> str:
    """Why a plan's facts are not those of `model`; empty where they are."""
    if facts["problem"]:
        return str(facts["problem"])
    if facts["onnx"] not in (None, model.sha256):
        return "the plan was built from another model than the one that was given"
    names = {row[0] for row in facts["tensors"]}
    missing = sorted({*model.inputs, *model.outputs} - names)
    return f"the plan lacks {', '.join(missing)}" if missing else ""


def path_of(subject: Subject, text: str) -> Ref:
    return subject.new("pathlib.Path", text)


def need_context(subject: Subject) -> None:
    """Make a CUDA context, where the notebook has not done it yet."""
    subject.new("importlib.import_module", "pycuda.autoprimaryctx")


def address_of(subject: Subject, device: Ref) -> int:
    """The device address that an allocation stands for; 0 where it stands for none."""
    try:
        told = value_of(subject, subject.method(device, "__int__"))  # int() would take text too
    except Raised:
        return 0
    return told if type(told) is int and 0 < told < 1 << 62 else 0


# --- exports --------------------------------------------------------------------------------------------------------


def once(subject: Subject, report: Report, key: str, draw: Draw, make: Callable[[Draw], T]) -> T:
    """What `make` gives, made once for a check and its twin, because it takes seconds. So are its failures.

    A graded run makes it with the secret draw: with the public one, one public file would serve everybody.
    """
    if key not in subject.shared:
        try:
            subject.shared[key] = make(subject.shared.get("draw", draw)), None, []
        except (NotAttempted, Stopped) as error:
            subject.shared[key] = None, error, report.lines[-1:]
            raise
    made, failure, lines = subject.shared[key]
    if failure is not None:
        report.lines.extend(lines)
        raise failure
    return made


def drawn_weights(cls: Any, config: Any, settings: Mapping[str, Any], random: np.random.Generator) -> Any:
    """A small model of transformers' class `cls` in this process, with drawn weights."""
    import torch

    with torch.random.fork_rng(devices=[]):
        model = cls(config(**settings)).eval()
    weights = {
        name: torch.from_numpy((random.normal(size=tuple(tensor.shape)) * 0.5).astype(np.float32))
        for name, tensor in model.state_dict().items()
        if tensor.dtype == torch.float32
    }
    model.load_state_dict(weights, strict=False)
    return model


def same_model(subject: Subject, model: Any, name: str, settings: Mapping[str, Any]) -> Ref:
    """The subject's own instance of `model`, a "transformers.DistilBertForSequenceClassification"."""
    import torch

    theirs = subject.new(name, subject.new(f"transformers.{type(model.config).__name__}", **settings))
    state = {
        key: subject.new("torch.from_numpy", tensor.numpy().copy())
        for key, tensor in model.state_dict().items()
        if tensor.dtype == torch.float32
    }
    subject.method(theirs, "load_state_dict", state, strict=False)
    subject.method(theirs, "eval")
    return theirs


def quietly(run: Callable[[], T]) -> T:
    """Run an export without the exporter's notes on packages that nobody needs here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return run()
    finally:
        logging.disable(before)


def files_of(subject: Subject) -> dict[str, bytes]:
    """The files that a call left behind in the check's folder."""
    return {name: data for name in subject.files()[:8] if (data := subject.read(name)) is not None}


def holds(files: Mapping[str, bytes], table: np.ndarray) -> bool:
    """Whether a table of words, which no exporter takes apart, lies in one of the files, in FP32 or FP16."""
    kinds = (table.tobytes(), table.astype(np.float16).tobytes())
    return any(kind in data for kind in kinds for data in files.values())


def is_fixed(dim: str | int) -> bool:
    """Whether a dimension of an ONNX tensor is a number (or missing) and not a name."""
    return not isinstance(dim, str) or not dim


def declared(tensors: Mapping[str, Any]) -> str:
    """What an ONNX file declares of some tensors, in words."""
    return short({name: f"{kind} {dims}" for name, (kind, dims) in list(tensors.items())[:6]})


def allows(shape: Sequence[int], limits: Sequence[Sequence[int]]) -> bool:
    """Whether a shape lies within [smallest, usual, largest] of a profile."""
    low, _, high = limits
    return len(low) == len(shape) and all(a <= d <= b for a, d, b in zip(low, shape, high, strict=True))


# --- the record -----------------------------------------------------------------------------------------------------


def digest_of(array: np.ndarray) -> str:
    """SHA-256 of an array's bytes, as the device's record has it."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def live_bytes(events: Sequence[Event]) -> int:
    """Bytes of device memory that were allocated in these events and not freed in them."""
    live: dict[int, int] = {}
    for event in events:
        if event["op"] == "alloc":
            live[event["address"]] = event["nbytes"]
        elif event["op"] == "free":
            live.pop(event["address"], None)
    return sum(live.values())


def wait_problem(events: Sequence[Event]) -> str:
    """What is wrong about the waits among the events of one batch; empty where nothing is.

    Waiting for a stream, an event or the context is the same here. So is asking until all is done, which leaves no
    event. Which streams the work went to is not judged: where the order between them is missing, results are wrong.
    """
    waits = [event for event in events if event["op"] == "synchronize"]
    work = [event for event in events if event["op"] in ("htod", "execute", "dtoh")]
    if len(waits) > 1:
        return f"{len(waits)} waits for a batch"
    if not work or any(not event["finished_ns"] for event in work):
        return (
            "0 waits for a batch: work was still queued at the end" if not waits else "a wait that does not cover all"
        )
    if waits and waits[0]["index"] < work[-1]["index"]:
        return "the wait comes before the last work was enqueued"
    executions = sum(event["op"] == "execute" for event in work)
    if executions != 1:
        return f"{executions} executions for a batch"
    # A blocking copy waits as well; that it blocks is another line's affair. So does freeing device memory, and Python
    # may free what somebody dropped long ago at any time.
    exempt = any(event["memory"] != "pinned" for event in work if event["op"] != "execute")
    exempt = exempt or any(event["op"] == "free" for event in events)
    if not exempt and any(event["finished_ns"] < work[-1]["enqueued_ns"] for event in work):
        return "something waited before all work was enqueued"
    return ""
