"""The simulator's plan: NVIDIA's plan, unchanged, with what the simulated runtime needs beside it.

Layout (little endian)::

    8 bytes   magic b"TRTCPLAN"
    4 bytes   length of the manifest
    32 bytes  SHA-256 of the manifest
    n bytes   manifest, UTF-8 JSON: versions, I/O tensors, profiles, settings, sizes, lengths and SHA-256 of the parts
    m bytes   NVIDIA's plan, byte for byte what the builder returned
    k bytes   the ONNX model that was parsed, weights inside

Nothing here imports TensorRT: the process that runs plans needs only this module, numpy and ONNX Runtime.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import replacing

MAGIC = b"TRTCPLAN"
FORMAT = 1
NVIDIA_MAGIC = b"vtrt"  # the first bytes of a plan that NVIDIA's builder writes (TensorRT-RTX 1.7)

MANIFEST_BYTES = 16 << 20
MANIFEST_VALUES = 1_000_000

_PREFIX = struct.Struct("<8sI32s")
# numpy names; TensorRT's DataType names are their keys
DTYPES: Mapping[str, str] = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT64": "int64",
    "INT32": "int32",
    "INT8": "int8",
    "UINT8": "uint8",
    "BOOL": "bool",
}


class PlanError(ValueError):
    """The bytes are no plan that this runtime can load; the text is what TensorRT's log says of such bytes."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output tensor of an engine.

    `name` is what TensorRT's API calls it, `onnx_name` what the graph calls it (they differ after a renaming of the
    network's tensor), `dtype` the name of a `tensorrt.DataType` member, `shape` has -1 for a dynamic dimension.
    """

    name: str
    onnx_name: str
    mode: str  # "INPUT" or "OUTPUT"
    dtype: str
    shape: tuple[int, ...]
    shape_tensor: bool = False

    @property
    def itemsize(self) -> int:
        return _ITEMSIZE[DTYPES[self.dtype]]


_ITEMSIZE = {"float32": 4, "float16": 2, "int64": 8, "int32": 4, "int8": 1, "uint8": 1, "bool": 1}

Shape = tuple[int, ...]
Profile = Mapping[str, tuple[Shape, Shape, Shape]]  # input name -> (min, opt, max)


@dataclass(frozen=True)
class Plan:
    """A parsed plan.

    Attributes:
        tensors: inputs, then outputs, in the network's order.
        profiles: per optimization profile, (min, opt, max) of every input that has a dynamic shape.
        shape_values: per profile, (min, opt, max) of the *values* of shape tensors.
        settings: what the builder was told (flags, memory pools, targets), as plain data.
        activation_bytes: NVIDIA's "Total Activation Memory", per profile.
        weight_bytes: NVIDIA's "Total Weights Memory".
        layers: number of layers of the built engine, from NVIDIA's log; 0 where it was not said.
        nvidia: NVIDIA's plan.
        onnx: the serialized ONNX model, weights inside.
        layer_info: what the builder's log said of each layer, one line a layer.
    """

    version: str
    flavor: str
    builder: str
    name: str
    tensors: tuple[TensorSpec, ...]
    profiles: tuple[Profile, ...]
    shape_values: tuple[Profile, ...]
    settings: Mapping[str, Any]
    activation_bytes: tuple[int, ...]
    weight_bytes: int
    layers: int
    nvidia: bytes
    onnx: bytes
    layer_info: tuple[str, ...] = ()

    def description(self) -> dict[str, Any]:
        """Everything but the parts, as plain data."""
        return {
            "format": FORMAT,
            "version": self.version,
            "flavor": self.flavor,
            "builder": self.builder,
            "name": self.name,
            "tensors": [[t.name, t.onnx_name, t.mode, t.dtype, list(t.shape), t.shape_tensor] for t in self.tensors],
            "profiles": [{k: [list(s) for s in v] for k, v in p.items()} for p in self.profiles],
            "shape_values": [{k: [list(s) for s in v] for k, v in p.items()} for p in self.shape_values],
            "settings": dict(self.settings),
            "activation_bytes": list(self.activation_bytes),
            "weight_bytes": self.weight_bytes,
            "layers": self.layers,
            "layer_info": list(self.layer_info),
        }

    def serialize(self) -> SerializedPlan:
        """The plan as bytes that `IRuntime.deserialize_cuda_engine` of the simulator takes."""
        parts = [[len(part), hashlib.sha256(part).hexdigest()] for part in (self.nvidia, self.onnx)]
        manifest = json.dumps(self.description() | {"parts": parts}, separators=(",", ":"), sort_keys=True).encode()
        prefix = _PREFIX.pack(MAGIC, len(manifest), hashlib.sha256(manifest).digest())
        plan = SerializedPlan(b"".join((prefix, manifest, self.nvidia, self.onnx)))
        plan.nbytes = len(self.nvidia) or len(plan)
        return plan


class SerializedPlan(bytes):
    """What the builder returns, in the place of TensorRT's `IHostMemory`.

    The bytes are the whole container, so that `file.write(plan)` keeps all that the simulated runtime needs.
    `nbytes` is the size of NVIDIA's plan alone: the figure that a real `IHostMemory.nbytes` has.
    """

    nbytes: int

    @property
    def dtype(self) -> Any:
        from .native import nv

        return nv.DataType.INT8

    def __enter__(self) -> SerializedPlan:
        return self

    def __exit__(self, *_: object) -> None:
        """TensorRT's gives its memory up here; bytes stay."""


def open_plan(data: bytes | bytearray | memoryview) -> Plan:
    """Check every length and digest of a serialized plan and take it apart.

    Raises:
        PlanError: in the words of TensorRT's own log for empty, truncated, foreign or damaged bytes.
    """
    view = memoryview(data).cast("B")
    if len(view) == 0:
        raise PlanError("API Usage Error (Cannot deserialize with an empty memory buffer.)")
    if bytes(view[:4]) == NVIDIA_MAGIC:
        raise PlanError(
            "this is NVIDIA's plan alone (as `extract-plan` writes it). It runs on a GPU with the same TensorRT; the "
            "simulated runtime needs the plan as the simulator's builder returned it, because the ONNX model is inside"
        )
    if len(view) < _PREFIX.size:
        raise PlanError("Internal Error (Assertion bufferSize >= minBufferSize failed.)")
    magic, length, digest = _PREFIX.unpack_from(view)
    if magic != MAGIC:
        raise PlanError(
            "Serialization (Serialization assertion header.magicTag == kEXPECTED_MAGIC_TAG failed."
            "Trying to load an engine created with incompatible serialization version. Check that it is a TRT engine "
            "file.)"
        )
    start = _PREFIX.size + length
    wrong_size = "Serialization (Serialization assertion plan.header.size == blobSize failed.)"
    if len(view) < start:
        raise PlanError(wrong_size)
    if hashlib.sha256(view[_PREFIX.size : start]).digest() != digest:
        raise PlanError("Serialization (Serialization assertion checksum == expectedChecksum failed.)")
    try:
        manifest = _Manifest(bytes(view[_PREFIX.size : start]))
        if manifest["format", int] != FORMAT:
            raise PlanError(
                f"Version tag does not match. Note: Current Version: {FORMAT}, Serialized Engine Version: "
                f"{manifest['format', int]} (format of the simulator's plan)"
            )
        (n_nvidia, digest_nvidia), (n_onnx, digest_onnx) = _parts(manifest["parts", list])
        if len(view) != start + n_nvidia + n_onnx:
            raise PlanError(wrong_size)
        nvidia, onnx = bytes(view[start : start + n_nvidia]), bytes(view[start + n_nvidia :])
        for part, digest in ((nvidia, digest_nvidia), (onnx, digest_onnx)):
            if hashlib.sha256(part).hexdigest() != digest:
                raise PlanError("Serialization (Serialization assertion checksum == expectedChecksum failed.)")
        tensors = _tensors(manifest["tensors", list])
        profiles = tuple(_profile(p, tensors) for p in manifest["profiles", list])
        values = tuple(_profile(p) for p in manifest["shape_values", list])
        sizes = tuple(_count(n) for n in manifest["activation_bytes", list])
        if not profiles or len(values) != len(profiles) or len(sizes) not in (1, len(profiles)):
            raise ValueError(
                f"{len(profiles)} profiles, {len(values)} of shape values, {len(sizes)} of activation memory; expected"
                " at least one, and as many of each"
            )
        return Plan(
            version=manifest["version", str],
            flavor=manifest["flavor", str],
            builder=manifest["builder", str],
            name=manifest["name", str],
            tensors=tensors,
            profiles=profiles,
            shape_values=values,
            settings=_settings(manifest["settings", dict]),
            activation_bytes=sizes,
            weight_bytes=_count(manifest["weight_bytes", int]),
            layers=_count(manifest["layers", int]),
            nvidia=nvidia,
            onnx=onnx,
            layer_info=tuple(_text(line) for line in manifest.get("layer_info", list, [])),
        )
    except PlanError:
        raise
    except ValueError as error:
        raise PlanError(f"Serialization (the plan's manifest cannot be read: {error})") from None


# --- the manifest: each of these raises ValueError with what was found and what was expected --------------------------


class _Manifest:
    """The manifest's entries, each asked for with its type."""

    def __init__(self, text: bytes) -> None:
        # A list takes thirty times the memory of its text: what is too much is refused before it is made.
        if len(text) > MANIFEST_BYTES or text.count(b",") + text.count(b"[") + text.count(b"{") > MANIFEST_VALUES:
            raise ValueError(f"{len(text):,} bytes; expected at most {MANIFEST_BYTES:,}, of {MANIFEST_VALUES:,} values")
        try:
            self._entries = json.loads(text)
            json.dumps(self._entries, ensure_ascii=False).encode()
        except RecursionError:
            raise ValueError("it is nested too deep") from None
        except UnicodeEncodeError:  # JSON can spell half a character
            raise ValueError("it holds text that is no Unicode") from None
        except ValueError as error:  # no UTF-8, no JSON, or a number of thousands of digits
            raise ValueError(f"it is not JSON: {_shown(str(error))}") from None
        if type(self._entries) is not dict:
            raise ValueError(f"it is {_shown(self._entries)}; expected an object")

    def __getitem__(self, key: tuple[str, type]) -> Any:
        name, kind = key
        if name not in self._entries:
            raise ValueError(f"it has no entry {name!r}")
        value = self._entries[name]
        if type(value) is not kind:
            raise ValueError(f"{name!r} is {_shown(value)}; expected {_KINDS[kind]}")
        return _text(value) if kind is str else value

    def get(self, name: str, kind: type, default: Any) -> Any:
        return self[name, kind] if name in self._entries else default


_KINDS = {int: "an integer", str: "text", list: "a list", dict: "an object"}


def _shown(value: Any) -> str:
    """A value from a file, short, and such that it can be printed and sent."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or a number of thousands of digits
        text = f"a {type(value).__name__}"
    return text[:60].encode("ascii", "backslashreplace").decode()


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"{_shown(value)} is no text")
    return value


def _parts(value: list[Any]) -> list[tuple[int, str]]:
    if len(value) != 2 or not all(type(part) is list and len(part) == 2 for part in value):
        raise ValueError(f"'parts' is {_shown(value)}; expected two pairs of length and SHA-256")
    return [(_count(length), _text(digest)) for length, digest in value]


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 48:
        raise ValueError(f"{_shown(value)} is no size in bytes, or no number of layers")
    return value


def _shape(value: Any) -> Shape:
    if type(value) is not list or len(value) > 8 or any(type(d) is not int or not -1 <= d < 1 << 40 for d in value):
        raise ValueError(f"{_shown(value)} is no shape; expected at most 8 dimensions, -1 for one that is dynamic")
    return tuple(value)


def _values(value: Any) -> Shape:
    if type(value) is not list or len(value) > 64 or any(type(n) is not int or abs(n) >= 1 << 63 for n in value):
        raise ValueError(f"{_shown(value)} are no values of a shape tensor; expected at most 64 integers")
    return tuple(value)


def _tensor(row: Any) -> TensorSpec:
    if type(row) is not list or len(row) != 6:
        raise ValueError(
            f"{_shown(row)} is no tensor; expected [name, ONNX name, mode, dtype, shape, is a shape tensor]"
        )
    name, onnx_name, mode, dtype, shape, shape_tensor = row
    if not _text(name) or mode not in ("INPUT", "OUTPUT") or type(shape_tensor) is not bool:
        raise ValueError(f"{_shown(row)} is no tensor; expected a name, INPUT or OUTPUT, and true or false at the end")
    if type(dtype) is not str or dtype not in DTYPES:
        raise ValueError(f"tensor {_shown(name)} has dtype {_shown(dtype)}; the simulator has {', '.join(DTYPES)}")
    return TensorSpec(name, _text(onnx_name), mode, dtype, _shape(shape), shape_tensor)


def _tensors(rows: list[Any]) -> tuple[TensorSpec, ...]:
    tensors = tuple(_tensor(row) for row in rows)
    names = [tensor.name for tensor in tensors]
    if len(set(names)) < len(names):
        raise ValueError(f"two tensors have one name: {_shown(sorted(names))}")
    if not any(tensor.mode == "OUTPUT" for tensor in tensors):
        raise ValueError("it has no output")
    return tensors


def _profile(value: Any, tensors: Sequence[TensorSpec] | None = None) -> Profile:
    """(min, opt, max) by name. With `tensors`: each of an input of that rank, and in order."""
    if type(value) is not dict:
        raise ValueError(f"{_shown(value)} is no profile; expected an object")
    ranks = None if tensors is None else {t.name: len(t.shape) for t in tensors if t.mode == "INPUT"}
    profile: dict[str, tuple[Shape, Shape, Shape]] = {}
    for name, shapes in value.items():
        if type(shapes) is not list or len(shapes) != 3:
            raise ValueError(f"profile of {_shown(name)}: {_shown(shapes)}; expected [min, opt, max]")
        low, best, high = (_values(shape) if ranks is None else _shape(shape) for shape in shapes)
        if ranks is not None:
            if name not in ranks:
                raise ValueError(f"profile of {_shown(name)}, which is no input")
            if any(len(shape) != ranks[name] for shape in (low, best, high)):
                raise ValueError(f"profile of {_shown(name)}: {_shown(shapes)}; expected {ranks[name]} dimensions")
            if any(not 0 <= a <= b <= c for a, b, c in zip(low, best, high, strict=True)):
                raise ValueError(f"profile of {_shown(name)}: {_shown(shapes)}; expected min <= opt <= max")
        profile[name] = (low, best, high)
    missing = [t.name for t in tensors or () if t.mode == "INPUT" and -1 in t.shape and t.name not in profile]
    if missing:
        raise ValueError(f"a profile lacks {_shown(missing)}, which have a dynamic shape")
    return profile


# settings that hold more than a number, a text or nothing: the type, and that of the parts
_SETTINGS: Mapping[str, tuple[type, type]] = {
    "flags": (list, str),
    "memory_pools": (dict, int),
    "compute_capabilities": (list, str),
    "preview_features": (list, str),
}


def _settings(value: dict[str, Any]) -> dict[str, Any]:
    for name, item in value.items():
        parts = item.values() if type(item) is dict else item if type(item) is list else ()
        if name in _SETTINGS:
            outer, inner = _SETTINGS[name]
            fine = type(item) is outer and all(type(part) is inner for part in parts)
        else:
            fine = item is None or type(item) in (bool, int, float, str)
        if not fine:
            raise ValueError(f"setting {_shown(name)} is {_shown(item)}")
    return value


def extract(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> int:
    """Write NVIDIA's plan alone from the plan file `path` to `out`; return its number of bytes.

    Raises:
        FileNotFoundError: `path` does not exist.
        PlanError: `path` is no plan of the simulator, or one of the builder in Python, without NVIDIA's inside.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no plan at {source}: build one first, or check the path")
    try:
        plan = open_plan(source.read_bytes())
    except PlanError as error:
        raise PlanError(f"{source} is no plan of the simulator: {error}") from None
    if not plan.nvidia:
        raise PlanError(
            f"{source} holds no plan of NVIDIA's: the builder in Python made it. Build the ONNX model again with"
            " NVIDIA's builder (pip install tensorrt-rtx), or on a GPU."
        )
    with replacing(out) as part:
        part.write_bytes(plan.nvidia)
    return len(plan.nvidia)
