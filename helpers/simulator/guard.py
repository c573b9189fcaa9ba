"""A notebook's kernel must not die of a file that it did not make.

NVIDIA's ONNX parser and ONNX Runtime are native code: some malformed models end the process that reads them. A model is
therefore looked at here first. One that is well formed goes on to them at once. Any other is tried in a process of its
own (`trial.py`), and only if that lives is it read in this one, whose verdict and messages then are the user's. Where a
process cannot be started, as in a sandbox, the reader gets it.

Measured with mutations of small valid models (`tests/fuzz`; TensorRT-RTX 1.7.1, ONNX Runtime 1.31.1, ONNX 1.23.2):

* NVIDIA's parser and builder died (SIGSEGV) of 97 files in 12,000: nodes with too few outputs, operators without a
  name, loops whose body does not fit, and the like; 5 of them not until the build. All 97 are malformed by `look`; one
  in seven passes `onnx.checker`, so that shape inference must speak too. Of 5,400 well-formed ones among 40,000, none.
* ONNX Runtime died as it loaded a function whose input is its output, and as it ran Max with an input left out and
  random numbers of no range: 6 in 60,000. Behind `look`, 8,000 well-formed ones were loaded and 6,900 run: none.
* ONNX's own shape inference died of a negative dimension, never came back from an Einsum whose equation is none, and
  took all memory where it was told to follow values (`data_prop`) through a long vector. None of it is done here.
* Bytes that protobuf cannot read (25,000) harmed nobody.

Price: a few milliseconds for a model of the course, 0.3 s for one of 268 MB, next to a build of 0.4 s and 3 s. Of 290
real files (exports, ONNX's own examples) one counted as malformed, and is. A malformed model costs 0.2 to 0.5 s.

What stays open: ONNX's checker and inference look in this process, and what they fail at was found one by one (above);
a well-formed model may need more memory as it runs than this machine has, or take very long.
Loops are stopped (`executor.py`). For files of strangers there is a device in another process: transport "child".
"""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .plan import Plan

_SECONDS = 120
_TRIAL = "TRT_TRIAL"  # in the environment of the process that tries a model
_LARGE = 1024  # bytes from which a weight's values are no shapes: the checks do without them
# bits of an element, of types whose elements share bytes (ONNX packs them, NumPy does not)
_BITS = {21: 4, 22: 4, 23: 4, 25: 2, 26: 2, 27: 6, 28: 6}
_DATA_FIELDS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
_SHARED = {*_BITS, 14, 15}  # types of which several elements share a value, or one (a complex number) takes two
_EQUATION = re.compile(rb"[A-Za-z., ]*(->[A-Za-z. ]*)?")
_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Look:
    """What an ONNX model looks like, as far as it can be said without running native code that trusts it.

    Attributes:
        readable: whether the bytes are an ONNX model at all. What is none, native code refuses without harm.
        flaw: what is malformed, in ONNX's own words where they say it; "" where nothing is.
        outside: name of a tensor that is kept in another file; "" where none is.
        repeats: whether it has a Loop or Scan, which may never end.
        largest: bytes of its largest tensor whose size does not depend on the inputs.
    """

    flaw: str = ""
    outside: str = ""
    repeats: bool = False
    largest: int = 0
    readable: bool = True


def look(model: bytes, path: str | os.PathLike[str] | None = None) -> Look:
    """Look at the bytes of an ONNX file that lies at `path` (its external data lies beside it)."""
    import onnx

    try:
        proto = onnx.load_model_from_string(model)
    except Exception as error:  # protobuf's own type differs with its implementation
        return Look(_words(error), readable=False)
    outside, repeats = "", False
    try:
        for part in _messages(proto):
            if isinstance(part, onnx.NodeProto):
                repeats = repeats or part.op_type in ("Loop", "Scan")
            elif isinstance(part, onnx.TensorProto) and part.data_location == onnx.TensorProto.EXTERNAL:
                outside = outside or part.name or "a constant"
            problem = _problem(part, Path(path or ".").parent)
            if problem:
                return Look(problem, outside, repeats)
        _without_weights(proto.graph)
        onnx.checker.check_model(proto)
        inferred = onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)
        return Look("", outside, repeats, max(map(_static_bytes, inferred.graph.value_info), default=0))
    except Exception as error:  # the checker's and the inference's own types
        return Look(_words(error), outside, repeats)


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def parser_trouble(model: bytes, path: str | os.PathLike[str] | None = None, found: Look | None = None) -> str:
    """Why the parser (NVIDIA's, or ours with ONNX's functions) must not get `model` in this process; "" where it may.

    `found` is what the model looks like, where somebody looked already.
    """
    if _TRIAL in os.environ:
        return ""
    found = found or look(model, path)
    if not found.readable or not found.flaw:
        return ""
    end = _end_of_child("parser", model, path)
    return f"the ONNX parser or builder {end} on this model, which is malformed: {found.flaw}" if end else ""


def session_trouble(plan: Plan, found: Look) -> str:
    """Why ONNX Runtime must not get the model of `plan`, which looks as `found`, in this process; "" where it may."""
    if found.outside:
        return f"the model keeps {found.outside!r} in another file; expected all weights inside"
    memory = machine_memory()
    if found.largest > memory:
        return f"the model has a tensor of {found.largest:,} bytes; this machine has {memory:,}"
    if not found.readable or not found.flaw:
        return ""
    end = _end_of_child("session", plan.serialize())
    return f"ONNX Runtime {end} on this model, which is malformed: {found.flaw}" if end else ""


def _problem(part: Any, folder: Path) -> str:
    """What native code trusts, and what the checker leaves to it: sizes, inputs, equations, random ranges."""
    import onnx

    if isinstance(part, onnx.TensorShapeProto) and any(dim.dim_value < 0 for dim in part.dim):
        return f"a shape with a negative dimension, {[dim.dim_value or dim.dim_param for dim in part.dim]}"
    if isinstance(part, onnx.TensorProto):
        problem = _tensor(part, folder)
        return f"tensor {part.name!r} of shape {list(part.dims)} {problem}" if problem else ""
    if isinstance(part, onnx.NodeProto):
        problem = _node(part)
        return f"node {part.name!r}, {part.op_type}: {problem}" if problem else ""
    return ""


def _static_bytes(info: Any) -> int:
    """Bytes of a tensor all of whose dimensions are numbers, else 0."""
    import onnx

    kind = info.type.tensor_type
    if not kind.HasField("shape") or any(not dim.HasField("dim_value") for dim in kind.shape.dim):
        return 0
    itemsize = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize
    return math.prod(dim.dim_value for dim in kind.shape.dim) * itemsize


def _without_weights(graph: Any) -> None:
    """Turn large weights, and those in other files, into inputs: the checks need their types and shapes alone."""
    import onnx

    known = {info.name for info in graph.input}
    for place in reversed(range(len(graph.initializer))):
        tensor = graph.initializer[place]
        if tensor.ByteSize() > _LARGE or tensor.data_location == onnx.TensorProto.EXTERNAL:
            if tensor.name not in known:
                info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
                graph.input.append(info)
            del graph.initializer[place]


def _node(node: Any) -> str:
    """What is wrong with a node; "" where nothing is. Its schema is looked up in the latest version of its domain."""
    import onnx

    if "" in node.input and onnx.defs.has(node.op_type, node.domain):
        inputs = onnx.defs.get_schema(node.op_type, node.domain).inputs
        optional = onnx.defs.OpSchema.FormalParameterOption.Optional
        for place, name in enumerate(node.input):
            if name == "" and inputs and inputs[min(place, len(inputs) - 1)].option != optional:
                return f"input {place} is left out; the operator needs it"
    if node.op_type == "Einsum":
        for item in node.attribute:
            if item.name == "equation" and not _EQUATION.fullmatch(item.s):
                return f"its equation is {item.s[:60]!r}; expected letters, commas and dots, and -> once at most"
    if node.op_type.startswith("Random"):
        given = {item.name: item.f for item in node.attribute}
        low, high, scale = given.get("low", 0.0), given.get("high", 1.0), given.get("scale", 1.0)
        if not (math.isfinite(low) and math.isfinite(high) and low < high and math.isfinite(scale) and scale > 0):
            return f"no random numbers have low {low}, high {high}, scale {scale}"
    return ""


def _messages(message: Any) -> Iterator[Any]:
    """`message` and all messages inside it."""
    yield message
    for field, value in message.ListFields():
        parts = value if field.is_repeated else (value,)
        if field.message_type is not None:
            for part in parts:
                yield from _messages(part)
        elif field.type == field.TYPE_STRING and any(isinstance(part, bytes) for part in parts):
            raise ValueError(f"{field.full_name} holds text that is not UTF-8")  # protobuf hands it out as bytes


def _tensor(tensor: Any, folder: Path) -> str:
    """What is wrong with a tensor's size; "" where nothing is."""
    import onnx

    if any(dim < 0 for dim in tensor.dims):
        return "has a negative dimension"
    try:
        itemsize = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except KeyError:
        return f"has data type {tensor.data_type}, which ONNX does not know"
    narrow = _BITS.get(tensor.data_type, 8 * itemsize)
    nbytes = -(-math.prod(tensor.dims) * narrow // 8)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return _outside({entry.key: entry.value for entry in tensor.external_data}, nbytes, folder)
    if tensor.HasField("raw_data") and len(tensor.raw_data) != nbytes:
        return f"has {len(tensor.raw_data):,} bytes; expected {nbytes:,}"
    held = sum(len(getattr(tensor, field)) for field in _DATA_FIELDS)
    if held and tensor.data_type not in _SHARED and held != math.prod(tensor.dims):
        return f"has {held:,} values; expected {math.prod(tensor.dims):,}"
    return ""


def _outside(entry: dict[str, str], nbytes: int, folder: Path) -> str:
    """What is wrong with the place of a tensor in another file."""
    try:
        file = folder / entry["location"]
        offset = int(entry.get("offset", "0"))
        length = int(entry.get("length", nbytes))
        size = file.stat().st_size
    except FileNotFoundError:
        return ""  # the readers say so themselves
    except (KeyError, ValueError, OSError) as error:
        return f"is kept in another file that cannot be read ({error})"
    if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
        return f"is kept in {entry['location']!r}; expected a file in the model's own folder"
    if length != nbytes or not 0 <= offset <= size - nbytes:
        return f"is bytes {offset:,} to {offset + length:,} of a file of {size:,}; expected {nbytes:,} that are there"
    return ""


# --- the child ------------------------------------------------------------------------------------------------------


def _end_of_child(reader: str, data: bytes, path: str | os.PathLike[str] | None = None) -> str:
    """How a process ends that gives `data` to `reader`; "" where it lives, and where none can be started.

    The child writes a byte when it is ready to read, so that a death before it (no memory, no such package, a sandbox)
    is not laid to the model's charge.
    """
    command = [sys.executable, "-P", "-m", f"{__package__}.trial", reader, os.fspath(path) if path else ""]
    paths = os.pathsep.join(p for p in (_ROOT, os.environ.get("PYTHONPATH", "")) if p)
    environment = {**os.environ, "PYTHONPATH": paths, _TRIAL: "1"}
    pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
    try:
        done = subprocess.run(command, input=data, env=environment, timeout=_SECONDS, stdout=pipe, stderr=quiet)
    except subprocess.TimeoutExpired:
        return f"does not come to an end within {_SECONDS} s"
    except OSError:
        return ""
    if done.returncode == 0 or not done.stdout:
        return ""
    end = signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit code {done.returncode}"
    return f"ends its process ({end})"


def machine_memory() -> int:
    """Bytes of this machine's memory."""
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 1 << 40  # pragma: no cover - Windows does not say it this way


def limit_memory() -> None:
    """End an allocation of this process with an error before the machine runs out of memory."""
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = min(n for n in (machine_memory(), soft, hard) if n != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
