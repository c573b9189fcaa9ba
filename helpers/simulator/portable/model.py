"""ONNX files as NVIDIA's parser reads them: what it takes for a model, weights in side files, element types."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from .enums import ENUMS

DataType = ENUMS["DataType"]

# ONNX's element types as TensorRT has them. FP64 does not exist there: the parser makes FP32 of it.
TYPES: Mapping[int, str] = {
    TensorProto.FLOAT: "FLOAT",
    TensorProto.DOUBLE: "FLOAT",
    TensorProto.FLOAT16: "HALF",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.INT8: "INT8",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.BOOL: "BOOL",
    TensorProto.UINT8: "UINT8",
    TensorProto.FLOAT8E4M3FN: "FP8",
    TensorProto.INT4: "INT4",
    TensorProto.FLOAT4E2M1: "FP4",
}
# as the parser writes them in its messages
SPOKEN = {
    "FLOAT": "Float", "HALF": "Half", "BF16": "BFloat16", "INT8": "Int8", "INT32": "Int32", "INT64": "Int64",
    "BOOL": "Bool", "UINT8": "UInt8", "FP8": "FP8", "INT4": "Int4", "FP4": "FP4",
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """Why a model cannot be parsed, as TensorRT's `ParserError` tells it; `node` is -1 where no node is to blame."""

    code: str  # a member of ErrorCode
    text: str
    func: str
    node: int = -1
    name: str = ""
    operator: str = ""
    stack: list[str] = field(default_factory=list)


class Refused(Exception):
    """A model that the parser does not take. `lines` are logged as errors before the fault itself."""

    def __init__(self, fault: Fault, *lines: str) -> None:
        super().__init__(fault.text)
        self.fault, self.lines = fault, lines


def deserialize(data: bytes) -> onnx.ModelProto:
    """The model in `data`.

    NVIDIA's reader stops at a tag 0 or at the end of a group that was never begun, and is content with what came
    before: some texts are valid, empty models to it. Python's reader refuses them, so the rest is cut off first.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data[: _end(data)])
    except DecodeError:
        failed = "Assertion failed: model->ParseFromCodedStream(&codedInput): Failed to parse the ONNX model."
        raise Refused(Fault("MODEL_DESERIALIZE_FAILED", failed, "deserializeOnnxModel")) from None
    return model


def _end(data: bytes) -> int:
    """Where protobuf's C++ reader would end: at the first tag that is 0 or ends a group, else at the end."""
    at = 0
    while at < len(data):
        start = at
        tag, at = _varint(data, at)
        kind = tag & 7
        if tag == 0 or kind == 4:
            return start
        if kind == 0:
            _, at = _varint(data, at)
        elif kind == 2:
            length, at = _varint(data, at)
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            break  # a group, or no wire type at all: let the reader say so
    return len(data)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    return value, len(data)


def take_in_weights(model: onnx.ModelProto, folder: str, given: Mapping[str, bytes]) -> bool:
    """Put weights from side files in `folder`, and those `given` by pointer, into the model. True where any was.

    Raises:
        Refused: a file cannot be opened or is too short, or an initializer has other bytes than its shape needs.
    """
    changed = False
    seen: set[str] = set()
    for tensor in model.graph.initializer:
        if tensor.name in seen:
            raise _no_import(f"ONNX graph has duplicate tensor name: {tensor.name}")
        seen.add(tensor.name)
        if tensor.name in given:
            _fill(tensor, given[tensor.name])
            changed = True
        elif uses_external_data(tensor):
            _fill(tensor, _read(tensor, folder))
            changed = True
        _check_size(tensor)
    return changed


def _no_import(text: str, *lines: str) -> Refused:
    return Refused(Fault("INVALID_GRAPH", f"Failed to import initializer: {text}", "importInitializers"), *lines)


def _not_converted(tensor: onnx.TensorProto, *lines: str) -> Refused:
    return _no_import(
        "In node -1 with name:  and operator:  (importInitializers): UNSUPPORTED_NODE: Assertion failed:"
        " ctx->getWeightsContext().convertOnnxWeights(initializer, &weights): Failed to import initializer:"
        f" {tensor.name}",
        *lines,
    )


def _fill(tensor: onnx.TensorProto, data: bytes) -> None:
    del tensor.external_data[:]
    tensor.data_location = TensorProto.DEFAULT
    for kind in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"):
        tensor.ClearField(kind)
    tensor.raw_data = data


def _read(tensor: onnx.TensorProto, folder: str) -> bytes:
    info = ExternalDataInfo(tensor)
    path = Path(folder) / info.location
    inside = os.path.realpath(path).startswith(os.path.realpath(folder or ".") + os.sep)
    if not inside or not path.is_file():
        raise _not_converted(tensor, f"Failed to open file: {path}")
    with path.open("rb") as file:
        file.seek(info.offset or 0)
        return file.read(info.length) if info.length else file.read()


def _check_size(tensor: onnx.TensorProto) -> None:
    name = TYPES.get(tensor.data_type)
    if name is None or not tensor.HasField("raw_data"):
        return
    count = 1
    for size in tensor.dims:
        count *= size
    item = 8 if tensor.data_type == TensorProto.DOUBLE else getattr(DataType, name).itemsize
    needed = -int(-count * item // 1)
    if len(tensor.raw_data) != needed:
        raise _not_converted(
            tensor,
            f"Size mismatch when importing initializer: {tensor.name}. Expected size: {len(tensor.raw_data)} ,"
            f" actual size: {needed}",
        )


def producers(graph: Any) -> dict[str, int]:
    """Which node makes a tensor, by the tensor's name."""
    return {name: i for i, node in enumerate(graph.node) for name in node.output if name}
