"""FP32 to FP16 inside the ONNX graph, and FP16 arithmetic that deserves the name.

Precision belongs into the graph: TensorRT 11 and TensorRT-RTX know no `BuilderFlag.FP16`, and on 10 a
strongly typed network follows the graph too. What a CPU shows of FP16 needs care: ONNX Runtime stores tensors
in FP16 but computes in FP32 there, so nothing overflows on the way. `storage_outputs` runs that, labelled
`STORAGE`; `true_fp16_outputs` runs `onnx.reference`, which rounds after every operator, labelled `TRUE_FP16`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.files import replacing

STORAGE = "FP16 storage, FP32 arithmetic"
TRUE_FP16 = "true FP16 (onnx.reference)"

# Largest finite and smallest positive FP16 number (IEEE 754 binary16).
_LARGEST = 65504.0
_SMALLEST = 2.0**-24
# What hides a padded token must stay finite with a score added to it: -65504 - 20 is -inf in FP16, and a row
# of nothing but -inf makes softmax divide 0 by 0. At -30000 FP16 counts in steps of 16, so that usual scores
# vanish beside it, as they do beside -3.4e38 in FP32, and two such masks can still be added.
_MASKED = 30000.0
# Numbers from here on are no weights but "minus infinity": exporters write the smallest FP32 number, -3.4e38.
_SENTINEL = 1e30


class PrecisionError(ValueError):
    """A graph cannot be had in FP16. The text names the tensor and says what to do."""


@dataclass(frozen=True)
class NonFinite:
    """The first tensor, in the order of the graph, that holds an infinity or a NaN."""

    tensor: str
    operator: str
    node: str
    infinities: int
    nans: int

    def __str__(self) -> str:
        return (
            f"{self.operator} node {self.node!r} gives {self.infinities} infinite and {self.nans} undefined "
            f"values in tensor {self.tensor!r}"
        )


def to_fp16(source: str | os.PathLike[str], target: str | os.PathLike[str], *, fp32_outputs: bool = False) -> Path:
    """Write a copy of an FP32 ONNX file that computes and answers in FP16.

    Integer inputs stay as they are (`input_ids` and `attention_mask` stay int64). Floating outputs become
    FP16 too, which halves the bytes copied back; with `fp32_outputs=True` floating inputs and outputs stay
    FP32, and casts stand at both ends.

    A constant that means "minus infinity" (beyond 1e30 either way, such as the -3.4e38 that hides padding)
    becomes -30000, and so stays finite with a score added to it; any other number beyond FP16's 65504 is an
    error.

    Returns:
        The path written; it appears only when the copy is whole and has passed the ONNX checker.

    Raises:
        PrecisionError: no such file, no ONNX file, nothing in it to convert, or a weight that FP16 cannot
        hold.
    """
    import onnx
    from onnxconverter_common import float16

    proto = _load(source)
    floats = [item for item in proto.graph.initializer if item.data_type == onnx.TensorProto.FLOAT]
    if not floats and not _has_float_constant(proto):
        raise PrecisionError(
            f"{source} holds no FP32 weight or constant. Expected an FP32 graph; it may have been converted already."
        )
    for tensor in _float_tensors(proto):
        _fit(tensor)
    with warnings.catch_warnings():
        # It warns of every value that it rounds to a bound. All values were looked at just now.
        warnings.simplefilter("ignore")
        try:
            converted = float16.convert_float_to_float16(
                proto, min_positive_val=_SMALLEST, max_finite_val=_LARGEST, keep_io_types=fp32_outputs
            )
            with replacing(target) as part:
                onnx.save(converted, str(part))
                onnx.checker.check_model(str(part), full_check=True)
        except OSError as error:
            raise PrecisionError(
                f"Cannot write {target}: {error.strerror or error}. Expected a folder that can be written; "
                "give another path or change the folder's permissions."
            ) from error
        except Exception as error:  # the converter and the checker raise many types
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise PrecisionError(
                f"{source} could not be converted to FP16: {first.strip()} Expected an FP32 graph of "
                "standard ONNX operators; export it again with opset 20."
            ) from error
    return Path(target)


def storage_outputs(onnx_path: str | os.PathLike[str], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Run a graph by ONNX Runtime on the CPU. For an FP16 graph the label is `STORAGE`, not FP16 arithmetic.

    Args:
        onnx_path: an ONNX file.
        inputs: NumPy array by input name, in the dtype that the graph declares.

    Returns:
        NumPy array by output name, in the graph's dtype.
    """
    import onnxruntime as ort

    proto = _load(onnx_path)
    _check_inputs(proto, inputs)
    session = ort.InferenceSession(str(onnx_path), providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def true_fp16_outputs(onnx_path: str | os.PathLike[str], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Run a graph by `onnx.reference`: every operator's result is rounded to the dtype that the graph gives
    it.

    This is what overflows where FP16 hardware overflows. It is plain NumPy, about 0.4 s for the small model
    at batch 8 and far too slow for the full one. Matrix products add up in FP32 and round once, as tensor
    cores can.

    Args and returns: as for `storage_outputs`. The label is `TRUE_FP16`.
    """
    proto, results = _evaluate(onnx_path, inputs, every=False)
    return {item.name: results[item.name] for item in proto.graph.output}


def first_non_finite(onnx_path: str | os.PathLike[str], inputs: Mapping[str, Any]) -> NonFinite | None:
    """The first operator whose result is infinite or undefined in true FP16, or None if there is none.

    Infinities that the graph was given, as constants or inputs, are not reported.
    """
    import numpy as np

    proto, results = _evaluate(onnx_path, inputs, every=True)
    for node in proto.graph.node:
        for name in node.output:
            value = results.get(name)
            if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or np.isfinite(value).all():
                continue
            if node.op_type in ("Constant", "ConstantOfShape"):
                continue
            infinities, nans = int(np.isinf(value).sum()), int(np.isnan(value).sum())
            return NonFinite(name, node.op_type, node.name or name, infinities, nans)
    return None


def planted_overflow(path: str | os.PathLike[str]) -> Path:
    """Write a small FP16 graph that is right on paper and infinite in FP16: `y = x * 300 * 300 / 300 / 300`.

    For `x = 1` the second product is 90,000, beyond FP16's 65,504. ONNX Runtime on a CPU gives 1; true FP16
    gives inf. Input `x` and output `y` are float16 `[n]`.
    """
    import onnx
    from onnx import TensorProto, helper

    scale = helper.make_tensor("scale", TensorProto.FLOAT16, [], [300.0])
    chain = ["x", "times_300", "times_90000", "back_to_300", "y"]
    nodes = [
        helper.make_node(operator, [before, "scale"], [after], name=f"{operator}_{after}")
        for operator, before, after in zip(("Mul", "Mul", "Div", "Div"), chain[:-1], chain[1:], strict=True)
    ]
    graph = helper.make_graph(
        nodes,
        "planted_overflow",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, ["n"])],
        initializer=[scale],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(proto, full_check=True)
    with replacing(path) as part:
        onnx.save(proto, str(part))
    return Path(path)


def _load(path: str | os.PathLike[str]) -> Any:
    import onnx

    source = Path(path)
    if not source.is_file():
        raise PrecisionError(f"No ONNX file at {source}. Expected a file; export the model first.")
    try:
        proto = onnx.load(str(source), load_external_data=False)
    except Exception as error:  # protobuf's own type differs with its implementation
        raise PrecisionError(
            f"{source} is no ONNX file, or not all of one. Expected what torch.onnx.export writes; export again."
        ) from error
    try:
        onnx.load_external_data_for_model(proto, str(source.parent))
    except Exception as error:  # missing, too short, outside the folder: each has its own type
        raise PrecisionError(
            f"{source} keeps its weights in a second file that cannot be read: {error} Put it beside the "
            "ONNX file, or export again into one file."
        ) from error
    if not proto.graph.node:
        raise PrecisionError(f"{source} is empty: no graph in it. Expected a whole ONNX file; export again.")
    return proto


def _float_tensors(proto: Any) -> Any:
    """Every FP32 tensor that the graph holds: initializers, and the values of Constant nodes."""
    import onnx

    held = list(proto.graph.initializer)
    held += [item.t for node in proto.graph.node if node.op_type == "Constant" for item in node.attribute]
    return [tensor for tensor in held if tensor.data_type == onnx.TensorProto.FLOAT]


def _has_float_constant(proto: Any) -> bool:
    return bool(_float_tensors(proto))


def _fit(tensor: Any) -> None:
    """Replace "minus infinity" by a number that FP16 holds, in place; refuse any other that it cannot hold."""
    import numpy as np
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    if not values.size:
        return
    name = tensor.name or "a constant"
    broken = np.isnan(values) | (values == np.inf)
    if broken.any():
        raise PrecisionError(
            f"{name} holds {int(broken.sum())} values that are infinite or undefined already in FP32. "
            "Expected finite weights; look at how the model was trained or loaded."
        )
    size = np.abs(values)
    hidden = (size >= _SENTINEL) & np.isfinite(size)
    too_large = ~hidden & np.isfinite(size) & (size >= _LARGEST + 16)
    if too_large.any():
        worst = float(values[too_large][np.abs(values[too_large]).argmax()])
        raise PrecisionError(
            f"{name} holds {worst:g}, and FP16 ends at {_LARGEST:g}. Expected weights within that range; "
            "keep this model in FP32 or BF16, or scale the layer."
        )
    if hidden.any():
        clamped = np.where(hidden, np.copysign(np.float32(_MASKED), values), values).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(clamped.reshape(values.shape), tensor.name))


def _check_inputs(proto: Any, inputs: Mapping[str, Any]) -> None:
    import numpy as np
    from onnx import helper

    weights = {item.name for item in proto.graph.initializer}
    expected = {item.name: item.type.tensor_type for item in proto.graph.input if item.name not in weights}
    if set(expected) != set(inputs):
        raise PrecisionError(
            f"Inputs given: {sorted(inputs)}. Expected {sorted(expected)}; pass one array for each by name."
        )
    for name, kind in expected.items():
        dtype, rank = helper.tensor_dtype_to_np_dtype(kind.elem_type), len(kind.shape.dim)
        value = inputs[name]
        if not isinstance(value, np.ndarray) or value.dtype != dtype or value.ndim != rank:
            seen = f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
            raise PrecisionError(
                f"{name} is {seen}. Expected a NumPy array of {dtype} with {rank} axes; convert it with .astype."
            )


def _evaluate(onnx_path: str | os.PathLike[str], inputs: Mapping[str, Any], every: bool) -> tuple[Any, dict[str, Any]]:
    import numpy as np
    from onnx.reference import ReferenceEvaluator

    proto = _load(onnx_path)
    _check_inputs(proto, inputs)
    # NumPy would warn of the very overflow that we are here to see.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = ReferenceEvaluator(proto)
        reply = evaluator.run(None, dict(inputs), intermediate=every)
    if every:
        return proto, dict(reply)
    return proto, dict(zip(evaluator.output_names, reply, strict=True))
