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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import replacing

MAGIC = b"TRTCPLAN"
FORMAT = 1
NVIDIA_MAGIC = b"vtrt"  # the first bytes of a plan that NVIDIA's builder writes (TensorRT-RTX 1.7)

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
        }

    def serialize(self) -> SerializedPlan:
        """The plan as bytes that `IRuntime.deserialize_cuda_engine` of the simulator takes."""
        parts = [[len(part), hashlib.sha256(part).hexdigest()] for part in (self.nvidia, self.onnx)]
        manifest = json.dumps(self.description() | {"parts": parts}, separators=(",", ":"), sort_keys=True).encode()
        prefix = _PREFIX.pack(MAGIC, len(manifest), hashlib.sha256(manifest).digest())
        plan = SerializedPlan(b"".join((prefix, manifest, self.nvidia, self.onnx)))
        plan.nbytes = len(self.nvidia)
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
        manifest = json.loads(bytes(view[_PREFIX.size : start]))
        if manifest["format"] != FORMAT:
            raise PlanError(
                f"Version tag does not match. Note: Current Version: {FORMAT}, Serialized Engine Version: "
                f"{manifest['format']!r} (format of the simulator's plan)"
            )
        (n_nvidia, digest_nvidia), (n_onnx, digest_onnx) = manifest["parts"]
        if len(view) != start + n_nvidia + n_onnx:
            raise PlanError(wrong_size)
        nvidia, onnx = bytes(view[start : start + n_nvidia]), bytes(view[start + n_nvidia :])
        for part, digest in ((nvidia, digest_nvidia), (onnx, digest_onnx)):
            if hashlib.sha256(part).hexdigest() != digest:
                raise PlanError("Serialization (Serialization assertion checksum == expectedChecksum failed.)")
        return Plan(
            version=str(manifest["version"]),
            flavor=str(manifest["flavor"]),
            builder=str(manifest["builder"]),
            name=str(manifest["name"]),
            tensors=tuple(_tensor(row) for row in manifest["tensors"]),
            profiles=tuple(_profile(p) for p in manifest["profiles"]),
            shape_values=tuple(_profile(p) for p in manifest["shape_values"]),
            settings=dict(manifest["settings"]),
            activation_bytes=tuple(_count(n) for n in manifest["activation_bytes"]),
            weight_bytes=_count(manifest["weight_bytes"]),
            layers=_count(manifest["layers"]),
            nvidia=nvidia,
            onnx=onnx,
        )
    except PlanError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise PlanError(f"Serialization (the plan's manifest cannot be read: {type(error).__name__})") from error


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 48:
        raise ValueError(f"not a size: {value!r}")
    return value


def _shape(value: Any) -> Shape:
    if not isinstance(value, list) or len(value) > 8:
        raise ValueError(f"not a shape: {value!r}")
    if any(type(d) is not int or not -1 <= d < 1 << 40 for d in value):
        raise ValueError(f"not a shape: {value!r}")
    return tuple(value)


def _tensor(row: Any) -> TensorSpec:
    name, onnx_name, mode, dtype, shape, shape_tensor = row
    if not (isinstance(name, str) and isinstance(onnx_name, str)) or mode not in ("INPUT", "OUTPUT"):
        raise ValueError(f"not a tensor: {row!r}")
    if dtype not in DTYPES:
        raise ValueError(f"the simulator has no dtype {dtype!r}; it has {', '.join(DTYPES)}")
    return TensorSpec(name, onnx_name, mode, dtype, _shape(shape), bool(shape_tensor))


def _profile(value: Any) -> Profile:
    profile: dict[str, tuple[Shape, Shape, Shape]] = {}
    for name, (low, best, high) in value.items():
        profile[name] = (_shape(low), _shape(best), _shape(high))
    return profile


def extract(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> int:
    """Write NVIDIA's plan alone from the plan file `path` to `out`; return its number of bytes.

    Raises:
        FileNotFoundError: `path` does not exist.
        PlanError: `path` is no plan of the simulator's builder.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no plan at {source}: build one first, or check the path")
    try:
        plan = open_plan(source.read_bytes())
    except PlanError as error:
        raise PlanError(f"{source} is no plan of the simulator: {error}") from None
    with replacing(out) as part:
        part.write_bytes(plan.nvidia)
    return len(plan.nvidia)
