"""PyTorch to ONNX: one file, both input axes dynamic, and a proof that the numbers are the same.

Three habits make the file one that TensorRT takes on every version: eager attention (scaled-dot-product
attention gives the parser nearly twice the layers), opset 20 (from 23 on attention becomes one ONNX operator
that TensorRT-RTX refuses in FP32), and weights inside the file (a parser that is handed bytes cannot find a
second file).
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.files import replacing

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "logits"
OPSET = 20

# Sizes 0 and 1 are special to torch.export: an axis whose example has size 1 may be taken for a constant.
_EXAMPLE = (2, 8)


class ExportError(ValueError):
    """The model cannot become the ONNX file that was asked for. The text says why and what to do."""


@dataclass(frozen=True)
class Parity:
    """How far ONNX Runtime's logits are from PyTorch's, over `samples` texts."""

    max_abs_diff: float
    samples: int
    labels_agreeing: int

    @property
    def label_agreement(self) -> float:
        """Share of texts with the same label, 0 to 1."""
        return self.labels_agreeing / self.samples


def export_onnx(model: Any, path: str | os.PathLike[str], *, max_batch: int = 128, max_length: int = 512) -> Path:
    """Export a classifier to one ONNX file and check what came out.

    The graph takes `input_ids` and `attention_mask`, both int64 `[batch, sequence]`, and gives `logits`
    `[batch, labels]` in the model's dtype; logits have no sequence axis. Any module will do that takes these
    two keyword arguments and returns a tensor, or an object or tuple that holds the logits.

    Args:
        model: a `torch.nn.Module` in evaluation mode, with eager attention if it comes from transformers.
        path: file to write. It appears only when the export has succeeded; until then an old file stays.
        max_batch: the largest batch that the graph must accept, at least 2.
        max_length: the longest sequence in tokens, at least 2 and at most the model's position table.

    Returns:
        The path written.

    Raises:
        ExportError: model, limits or path do not fit, the exporter failed, or an axis came out fixed.
    """
    import torch

    _check_model(model, torch)
    _check_limits(model, max_batch, max_length)
    example = _example(model, torch)
    module = _with_one_output(model, example, torch)
    return _export(module, example, Path(path), type(model).__name__, max_batch, (2, max_length), sequence_logits=False)


def export_decoder(
    model: Any,
    path: str | os.PathLike[str],
    *,
    last_step: bool = False,
    max_batch: int = 64,
    max_length: int | None = None,
) -> Path:
    """Export a GPT-2 without a cache: whole sequences in, logits out, one ONNX file.

    The graph takes `input_ids` and `attention_mask`, both int64 `[batch, sequence]`, and gives `logits`
    `[batch, sequence, vocabulary]` in the model's dtype. Positions are counted from the mask inside the graph, so
    that a prompt that is padded on the left has position 0 at its first token, as `generate` has it.

    Args:
        model: a `GPT2LMHeadModel`, or another causal language model with learned positions that takes
            `position_ids` and `logits_to_keep`; in evaluation mode, with eager attention.
        path: file to write. It appears only when the export has succeeded; until then an old file stays.
        last_step: only the logits of the last position, `[batch, vocabulary]`. They are cut out before the
            last matrix product, which then is done for one position instead of all.
        max_batch: the largest batch that the graph must accept, at least 2.
        max_length: the longest sequence in tokens, at least 2; None takes the model's position table.

    Returns:
        The path written.

    Raises:
        ExportError: model, limits or path do not fit, the exporter failed, or an axis came out fixed.
    """
    import torch

    _check_model(model, torch)
    table = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    longest = max_length if max_length is not None else table
    _check_limits(model, max_batch, longest)  # type: ignore[arg-type] # None is refused there
    example = _example(model, torch)

    class Decoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
            logits = self.model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=positions,
                use_cache=False,
                logits_to_keep=1 if last_step else 0,
            ).logits
            return logits[:, -1] if last_step else logits

    module = Decoder().eval()
    wrong = f"{type(model).__name__} is no decoder: "
    expected = (
        "Expected a causal language model that takes position_ids and logits_to_keep and returns an object with "
        ".logits [batch, sequence, vocabulary], such as GPT2LMHeadModel."
    )
    try:
        with torch.inference_mode():
            logits = module(**example)
    except (TypeError, AttributeError) as error:
        raise ExportError(f"{wrong}{error}. {expected}") from error
    if tuple(logits.shape[:-1]) != (_EXAMPLE[:1] if last_step else _EXAMPLE):
        raise ExportError(f"{wrong}its logits are {list(logits.shape)} for input_ids {list(_EXAMPLE)}. {expected}")
    name = type(model).__name__ + ("LastStep" if last_step else "")
    return _export(module, example, Path(path), name, max_batch, (1, longest), sequence_logits=not last_step)


def _example(model: Any, torch: Any) -> dict[str, Any]:
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    return {name: torch.ones(_EXAMPLE, dtype=torch.int64, device=device) for name in INPUTS}


def _export(
    module: Any,
    example: dict[str, Any],
    target: Path,
    name: str,
    max_batch: int,
    lengths: tuple[int, Any],
    sequence_logits: bool,
) -> Path:
    """Write `module` with a dynamic batch and sequence axis, and check the file."""
    import torch

    if target.is_dir():
        raise ExportError(f"{target} is a folder. Expected a file to write, for example {target / 'model.onnx'}.")
    axes = {
        0: torch.export.Dim("batch", min=1, max=max_batch),
        1: torch.export.Dim("sequence", min=lengths[0], max=lengths[1]),
    }
    try:
        with replacing(target) as part:
            with _quiet(), torch.no_grad():
                torch.onnx.export(
                    module,
                    (),
                    str(part),
                    kwargs=example,
                    input_names=list(INPUTS),
                    output_names=[OUTPUT],
                    dynamic_shapes=dict.fromkeys(INPUTS, axes),
                    opset_version=OPSET,
                    dynamo=True,
                    external_data=False,
                    verbose=False,
                )
            _finish(part, name, sequence_logits)
    except OSError as error:
        raise ExportError(
            f"Cannot write {target}: {error.strerror or error}. Expected a folder that can be written; "
            "give another path or change the folder's permissions."
        ) from error
    except ExportError:
        raise
    except Exception as error:  # the exporter raises many types, all of which mean the same here
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ExportError(
            f"PyTorch's exporter could not turn {name} into ONNX: {first.strip()} Expected a "
            "forward pass without data-dependent branches or Python integers taken from shapes; the "
            "exception that caused this one names the line."
        ) from error
    return target


def parity(model: Any, onnx_path: str | os.PathLike[str], batches: Iterable[tuple[Any, Any]]) -> Parity:
    """Run the same texts through PyTorch and through ONNX Runtime on the CPU, and compare the logits.

    Args:
        model: the module that was exported.
        onnx_path: the file that `export_onnx` wrote.
        batches: pairs `(input_ids, attention_mask)`, int64 `[B, L]`, NumPy arrays or CPU tensors; B and L may
            change from pair to pair, and should, if the dynamic axes are to be proved.

    Returns:
        Largest absolute difference over all logits, number of texts, and how many labels agree.

    Raises:
        ExportError: no such file, not an ONNX file, no batches, or a batch of the wrong shape or dtype.
    """
    import numpy as np
    import onnxruntime as ort
    import torch

    source = Path(onnx_path)
    if not source.is_file():
        raise ExportError(f"No ONNX file at {source}. Expected the path that export_onnx returned; export first.")
    try:
        session = ort.InferenceSession(str(source), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base but Exception
        raise ExportError(
            f"ONNX Runtime cannot open {source}: {str(error).strip().splitlines()[0]} Expected a whole ONNX "
            "file; export it again."
        ) from error

    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    worst, samples, agreeing = 0.0, 0, 0
    for pair in batches:
        feeds = {name: _as_int64(name, value) for name, value in zip(INPUTS, pair, strict=True)}
        with torch.inference_mode():
            reply = model(**{name: torch.from_numpy(value).to(device) for name, value in feeds.items()})
        expected = _logits_of(reply).float().cpu().numpy()
        actual = np.asarray(session.run([OUTPUT], feeds)[0], dtype=np.float32)
        if actual.shape != expected.shape:
            raise ExportError(
                f"{source} gives logits {list(actual.shape)}, PyTorch {list(expected.shape)}; export again."
            )
        # maximum() hands a NaN on, so that a graph that breaks down never looks like a perfect match.
        worst = float(np.maximum(worst, np.abs(actual - expected).max(initial=0.0)))
        samples += len(expected)
        agreeing += int((actual.argmax(-1) == expected.argmax(-1)).sum())
    if not samples:
        raise ExportError("No batches to compare. Expected at least one pair (input_ids, attention_mask).")
    return Parity(worst, samples, agreeing)


def _check_model(model: Any, torch: Any) -> None:
    if not isinstance(model, torch.nn.Module):
        raise ExportError(
            f"Cannot export an object of type {type(model).__name__}. Expected a torch.nn.Module; for a "
            "Classifier pass its .model."
        )
    if model.training or any(module.training for module in model.modules()):
        raise ExportError(
            "The model is in training mode, so dropout would change its answers from run to run. Expected "
            "evaluation mode; call model.eval() first."
        )
    attention = getattr(getattr(model, "config", None), "_attn_implementation", None)
    if attention not in (None, "eager"):
        raise ExportError(
            f"The model uses {attention!r} attention. Expected 'eager', which gives TensorRT about half the "
            "layers and parses in FP16 too; load it with attn_implementation='eager' or call "
            "model.set_attn_implementation('eager')."
        )


def _check_limits(model: Any, max_batch: int, max_length: int) -> None:
    for name, value in (("max_batch", max_batch), ("max_length", max_length)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 2:
            raise ExportError(
                f"{name} is {value!r}. Expected an integer of at least 2: an axis that never exceeds 1 is "
                "exported as a constant."
            )
    positions = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    if isinstance(positions, int) and max_length > positions:
        raise ExportError(
            f"max_length is {max_length}, but the model's position table has {positions} rows. Expected at "
            f"most {positions}; longer texts must be cut or split."
        )


def _logits_of(reply: Any) -> Any:
    """The logits in whatever a classifier returns: a tensor, an object with `.logits`, or a tuple."""
    logits = getattr(reply, OUTPUT, None)
    if logits is None:
        logits = reply[0] if isinstance(reply, (tuple, list)) else reply
    return logits


def _with_one_output(model: Any, example: dict[str, Any], torch: Any) -> Any:
    """The model itself if it returns one tensor, else a wrapper that returns its logits alone."""
    try:
        with torch.inference_mode():
            reply = model(**example)
    except TypeError as error:
        raise ExportError(
            f"{type(model).__name__} cannot be called with {' and '.join(INPUTS)}: {error}. Expected a "
            "classifier that takes these two keyword arguments."
        ) from error
    logits = _logits_of(reply)
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[0] != _EXAMPLE[0]:
        seen = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ExportError(
            f"{type(model).__name__} returns {seen} for a batch of {_EXAMPLE[0]}. Expected logits [batch, "
            "labels], as a model for sequence classification gives them."
        )
    if reply is logits or (isinstance(reply, dict | tuple | list) and len(reply) == 1):
        return model

    class LogitsOnly(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return _logits_of(self.model(input_ids=input_ids, attention_mask=attention_mask))

    return LogitsOnly().eval()


def _finish(path: Path, name: str, sequence_logits: bool) -> None:
    """Name the graph, drop the exporter's notes, and check the file as a stranger would."""
    import onnx

    proto = onnx.load(str(path))
    proto.graph.name = name
    for node in proto.graph.node:
        # Stack traces with this machine's paths: of no use to a reader, and different on every machine.
        del node.metadata_props[:]
    opset = next((item.version for item in proto.opset_import if item.domain in ("", "ai.onnx")), None)
    if opset != OPSET:
        raise ExportError(f"The exporter wrote opset {opset}. Expected {OPSET}; install a PyTorch that can write it.")

    graph_inputs = {value.name: value for value in proto.graph.input}
    graph_outputs = {value.name: value for value in proto.graph.output}
    for names, values in ((INPUTS, graph_inputs), ((OUTPUT,), graph_outputs)):
        if set(names) != set(values):
            raise ExportError(
                f"The exported graph has {sorted(values)} where {sorted(names)} was expected. An input that "
                "the model never reads is dropped by the exporter; check the model's forward pass."
            )
    for key, dynamic in ((INPUTS[0], (0, 1)), (INPUTS[1], (0, 1)), (OUTPUT, (0, 1) if sequence_logits else (0,))):
        dims = (graph_inputs.get(key) or graph_outputs[key]).type.tensor_type.shape.dim
        fixed = [axis for axis in dynamic if not dims[axis].dim_param]
        if fixed:
            raise ExportError(
                f"Axis {fixed[0]} of {key} came out as the constant {dims[fixed[0]].dim_value}. Expected a "
                "dynamic axis; look for a Python integer taken from a shape, such as int(x.shape[0]), in the "
                "model's forward pass."
            )
    if any(item.data_location == onnx.TensorProto.EXTERNAL for item in proto.graph.initializer):
        raise ExportError("The exporter put weights into a second file. Expected one file; the model exceeds 2 GB.")
    onnx.save(proto, str(path))
    onnx.checker.check_model(str(path), full_check=True)


def _as_int64(name: str, value: Any) -> Any:
    import numpy as np

    array = np.ascontiguousarray(value)
    if array.ndim != 2 or array.dtype != np.int64:
        raise ExportError(
            f"{name} is {array.dtype} {list(array.shape)}. Expected int64 [batch, sequence]; "
            "use the tokenizer's output as it is, or .astype('int64')."
        )
    return array


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter: notes on torchvision, and deprecations inside PyTorch itself."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
