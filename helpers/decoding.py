"""Greedy decoding over any engine, without a cache: every step computes the whole sequence again.

A *step* is a function from `input_ids` and `attention_mask`, both int64 `[B, t]`, to the logits of each row's last
position, float32 `[B, V]`. The loop (`greedy`) is one; what differs is the step: PyTorch, ONNX Runtime, or TensorRT
with its ways of allocating and copying. `verify` compares two of them token by token.

Prompts of different lengths are padded on the left, so that the last position is a token in every row. The graph
counts positions from the mask (`export.export_decoder`).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from . import engine as engines
from .models import last_logits
from .runtime import _push_context

Step = Callable[[np.ndarray, np.ndarray], np.ndarray]

INPUTS = ("input_ids", "attention_mask")
COPIES = ("full", "rows", "2d")


class DecodingError(ValueError):
    """Inputs that cannot be decoded: what was given, what was expected, and what to do."""


# --- the loop ---------------------------------------------------------------------------------------------------------


def greedy(step: Step, input_ids: Any, attention_mask: Any, length: int) -> np.ndarray:
    """Append the most likely token to every row until rows have `length` tokens.

    Args:
        step: called `length - P` times, with sequences of P, P + 1, ... `length - 1` tokens.
        input_ids, attention_mask: int64 `[B, P]`, padded on the left; they are not changed.
        length: tokens of a row at the end, the prompt's included.

    Returns:
        int64 `[B, length]`, the prompts with their padding in front.

    Raises:
        DecodingError: arrays that do not fit together, padding on the right, or a length below the prompt's.
    """
    ids, mask = _prompt(input_ids, attention_mask)
    if length < ids.shape[1]:
        raise DecodingError(
            f"length is {length}, the prompt has {ids.shape[1]} tokens already. Expected the final length: prompt and "
            "new tokens together."
        )
    ones = np.ones((len(ids), 1), np.int64)
    while ids.shape[1] < length:
        chosen = np.asarray(step(ids, mask)).argmax(-1).astype(np.int64)[:, None]
        ids, mask = np.concatenate([ids, chosen], 1), np.concatenate([mask, ones], 1)
    return ids


def generate(model: Any, input_ids: Any, attention_mask: Any, length: int, *, cache: bool = True) -> np.ndarray:
    """The same by transformers' own `generate(do_sample=False)`, with its KV cache or without.

    No end-of-text token ends a row early, so that the work is the same for all. Returns int64 `[B, length]`.
    """
    import torch

    ids, mask = _prompt(input_ids, attention_mask)
    device = next(model.parameters()).device
    with torch.inference_mode():
        tokens = model.generate(
            torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask).to(device),
            max_new_tokens=length - ids.shape[1],
            min_new_tokens=length - ids.shape[1],
            do_sample=False,
            use_cache=cache,
            eos_token_id=None,
            pad_token_id=0,  # of no consequence: no row ends early
        )
    return np.asarray(tokens.cpu().numpy())


def _prompt(input_ids: Any, attention_mask: Any) -> tuple[np.ndarray, np.ndarray]:
    ids, mask = np.array(input_ids), np.array(attention_mask)  # copies: the caller's stay as they are
    for name, array in zip(INPUTS, (ids, mask), strict=True):
        if array.dtype != np.int64 or array.ndim != 2 or not array.size:
            raise DecodingError(f"{name} is {array.dtype} {list(array.shape)}. Expected int64 [batch, tokens].")
    if ids.shape != mask.shape:
        raise DecodingError(
            f"input_ids are {list(ids.shape)}, attention_mask is {list(mask.shape)}. Expected the same shape."
        )
    if not mask[:, -1].all():
        raise DecodingError(
            f"the last position of row {int(np.argmin(mask[:, -1]))} is padding, so its logits predict nothing. "
            'Expected padding on the left: tokenizer.padding_side = "left".'
        )
    return ids, mask


# --- steps ------------------------------------------------------------------------------------------------------------


def pytorch_step(model: Any) -> Step:
    """The whole sequence through PyTorch, logits of all positions, the last one kept: what the exported graph does."""
    return functools.partial(last_logits, model)


class OrtStep:
    """One ONNX Runtime session on NumPy arrays. Logits may be `[B, t, V]` or, from a last-step graph, `[B, V]`.

    Args:
        onnx_path: what `export.export_decoder` wrote.
        threads: of ONNX Runtime inside an operator; 0 leaves it to ONNX Runtime.
        providers: execution providers; None takes CUDA's where it is (without TF32), and the CPU's.
    """

    def __init__(
        self, onnx_path: str | os.PathLike[str], *, threads: int = 0, providers: Sequence[str] | None = None
    ) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that spin while they wait take the cores from the engine whose turn it is.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        there = ort.get_available_providers()
        wanted = providers or [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in there]
        settings = [{"use_tf32": "0"} if name.startswith("CUDA") else {} for name in wanted]
        self.session = ort.InferenceSession(
            os.fspath(onnx_path), options, providers=list(wanted), provider_options=settings
        )

    def __call__(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        feeds = dict(zip(INPUTS, (input_ids, attention_mask), strict=True))
        logits = np.asarray(self.session.run(None, feeds)[0])
        return (logits[:, -1] if logits.ndim == 3 else logits).astype(np.float32, copy=False)


class TensorRTStep:
    """One execution of a plan, host to host: ids and mask up, execute, logits down, one synchronisation.

    The two changes of "O1" are two arguments, so that each can be measured alone::

        with TensorRTStep(plan, preallocate=False, copy="full") as step:   # the baseline
        with TensorRTStep(plan) as step:                                   # both changes

    Args:
        engine: an `ICudaEngine` or the path of a plan, made from `export.export_decoder`'s file.
        preallocate: device and host buffers once, for the profile's maximum; else for each step anew.
        pinned: page-locked host memory, from which the GPU copies by itself. None takes it where buffers are kept:
            pinning memory for one step costs more than it brings, so the baseline has ordinary arrays.
        copy: how logits `[B, t, V]` come back: "full", all of them; "rows", the last step of each row, B copies
            at offsets; "2d", the same as one copy with a pitch. Logits `[B, V]` of a last-step graph are copied
            whole, whatever it says.

    Attributes, inside the block: `context`, `stream` (of pycuda).

    Raises:
        engine.EngineError: the plan cannot be loaded.
        DecodingError: from a call, where a shape lies outside the profile.
    """

    def __init__(
        self, engine: Any, *, preallocate: bool = True, copy: str = "rows", pinned: bool | None = None
    ) -> None:
        if copy not in COPIES:
            raise DecodingError(f"copy is {copy!r}. Expected one of {', '.join(map(repr, COPIES))}.")
        self._source = engine
        self._preallocate = preallocate
        self._copy = copy
        self._pinned = preallocate if pinned is None else pinned
        self.engine: Any = None
        self.context: Any = None
        self.stream: Any = None
        self._pushed: Any = None
        self._device: dict[str, Any] = {}
        self._host: dict[str, np.ndarray] = {}

    def __enter__(self) -> TensorRTStep:
        import pycuda.driver as cuda
        import tensorrt as trt

        self._cuda = cuda
        self._pushed = _push_context(cuda)
        try:
            source = self._source
            self.engine = engines.load(source) if isinstance(source, str | os.PathLike) else source
            names = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]
            outputs = [n for n in names if self.engine.get_tensor_mode(n) == trt.TensorIOMode.OUTPUT]
            if set(names) - set(outputs) != set(INPUTS) or len(outputs) != 1:
                raise DecodingError(
                    f"the engine has the tensors {', '.join(names)}. Expected {' and '.join(INPUTS)}, and one output "
                    "of logits; export it with export.export_decoder."
                )
            self._output = outputs[0]
            self._dtypes = {name: np.dtype(trt.nptype(self.engine.get_tensor_dtype(name))) for name in names}
            self.context = self.engine.create_execution_context()
            if self.context is None:
                raise engines.EngineError("the execution context could not be created; the log above says why")
            self.stream = cuda.Stream()
            if self._preallocate:
                high = self.engine.get_tensor_profile_shape(INPUTS[0], 0)[2]
                self._set_shapes(tuple(high))
                self._allocate(tuple(self.context.get_tensor_shape(self._output)))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free buffers, context and engine, in that order; safe to call twice."""
        self._free()
        self._host = {}
        self.context = self.stream = self.engine = None
        if self._pushed is not None:
            self._pushed.pop()
            self._pushed = None

    def _free(self) -> None:
        for allocation in self._device.values():
            allocation.free()
        self._device = {}

    def _set_shapes(self, shape: tuple[int, ...]) -> None:
        for name in INPUTS:
            if not self.context.set_input_shape(name, shape):
                low, _, high = self.engine.get_tensor_profile_shape(name, 0)
                raise DecodingError(
                    f"{name} of shape {list(shape)} lies outside the profile, {list(low)} to {list(high)}. Expected a "
                    "profile that covers the whole generation: from the shortest prompt to the final length."
                )

    def _allocate(self, logits: tuple[int, ...]) -> None:
        """Device and host memory for the shapes that the context has now."""
        kept = (logits[0], logits[-1]) if self._copy != "full" else logits
        for name in (*INPUTS, self._output):
            shape = logits if name == self._output else tuple(self.context.get_tensor_shape(name))
            self._device[name] = self._cuda.mem_alloc(int(np.prod(shape)) * self._dtypes[name].itemsize)
            on_host = kept if name == self._output else shape
            empty = self._cuda.pagelocked_empty if self._pinned else np.empty
            self._host[name] = empty(int(np.prod(on_host)), self._dtypes[name])

    def __call__(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        if self.context is None:
            raise DecodingError("the step is not open; use it as `with TensorRTStep(plan) as step:`")
        if input_ids.shape != attention_mask.shape or {input_ids.dtype, attention_mask.dtype} != {np.dtype(np.int64)}:
            raise DecodingError(
                f"input_ids are {input_ids.dtype} {list(input_ids.shape)}, attention_mask is {attention_mask.dtype} "
                f"{list(attention_mask.shape)}. Expected the same shape, and int64."
            )
        self._set_shapes(input_ids.shape)
        shape = tuple(self.context.get_tensor_shape(self._output))
        if not self._preallocate:
            self._allocate(shape)
        try:
            return self._run(dict(zip(INPUTS, (input_ids, attention_mask), strict=True)), shape)
        finally:
            if not self._preallocate:
                self._free()

    def _run(self, inputs: dict[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        self._upload(inputs)
        self.enqueue()
        logits = self._download(shape)
        self.stream.synchronize()
        # a copy, because the buffer belongs to the next step; FP32, because NumPy's argmax of FP16 is ten times slower
        return logits.astype(np.float32)

    # Three parts, so that a measurement can put events between them.

    def _upload(self, inputs: dict[str, np.ndarray]) -> None:
        for name, array in inputs.items():
            pinned = self._host[name][: array.size]
            pinned[:] = array.reshape(-1)
            self._cuda.memcpy_htod_async(self._device[name], pinned, self.stream)

    def _download(self, shape: tuple[int, ...]) -> np.ndarray:
        """Enqueue the copy of what is wanted of the logits; returns where the last step `[B, V]` will be."""
        if len(shape) == 2 or self._copy == "full":
            logits = self._host[self._output][: int(np.prod(shape))].reshape(shape)
            self._cuda.memcpy_dtoh_async(logits, self._device[self._output], self.stream)
            return logits if len(shape) == 2 else logits[:, -1]
        logits = self._host[self._output][: shape[0] * shape[2]].reshape(shape[0], shape[2])
        enqueue_last_step(self._copy, logits, int(self._device[self._output]), shape, self.stream)
        return logits

    def enqueue(self) -> None:
        """Put one execution with the latest shapes on the stream and return at once; for kernel-only timing."""
        for name, allocation in self._device.items():
            self.context.set_tensor_address(name, int(allocation))
        if not self.context.execute_async_v3(self.stream.handle):
            raise engines.EngineError("TensorRT did not enqueue the execution; its log above says why")


def enqueue_last_step(way: str, host: np.ndarray, device: int, shape: tuple[int, ...], stream: Any) -> None:
    """Enqueue the copy of the last step's logits, which lie `t * V` elements apart on the device.

    Args:
        way: "rows", a copy for each row at its offset; "2d", one copy with a pitch.
        host: `[B, V]`, contiguous; its dtype is the logits'.
        device: address of the logits `[B, t, V]`, in bytes.
        shape: `(B, t, V)`.
        stream: pycuda's.
    """
    import pycuda.driver as cuda

    rows, length, vocabulary = shape
    width = vocabulary * host.itemsize
    if way == "rows":
        for row in range(rows):
            cuda.memcpy_dtoh_async(host[row], device + (row * length + length - 1) * width, stream)
        return
    copy = cuda.Memcpy2D()
    copy.set_src_device(device)
    copy.src_x_in_bytes = (length - 1) * width
    copy.src_pitch = length * width
    copy.set_dst_host(host)
    copy.dst_pitch = copy.width_in_bytes = width
    copy.height = rows
    copy(stream)


# --- are the tokens the same? -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Divergence:
    """A row's first token that differs. `margin`: by how much the reference preferred its own to its second choice."""

    row: int
    position: int
    expected: int
    actual: int
    margin: float


@dataclass(frozen=True)
class TokenAgreement:
    """Two steps, decoding the same prompts.

    Attributes:
        tokens: new tokens that were compared, over all rows.
        equal: those that are the same.
        divergences: the first difference of each row that has one. What follows it there is another text.
        max_abs_diff: largest difference of logits, over every step, when both are given the reference's tokens.
    """

    tokens: int
    equal: int
    divergences: tuple[Divergence, ...]
    max_abs_diff: float

    @property
    def exact(self) -> bool:
        """Whether all tokens are the same."""
        return self.equal == self.tokens

    @property
    def share(self) -> float:
        """Share of equal tokens, 0 to 1."""
        return self.equal / self.tokens if self.tokens else 1.0


def teacher_forced(step: Step, tokens: np.ndarray, attention_mask: np.ndarray, prompt: int) -> np.ndarray:
    """Logits of every step when the tokens are given, whatever the step itself would choose.

    Args:
        tokens: int64 `[B, L]`, as `greedy` returned them.
        attention_mask: int64 `[B, prompt]`, of the prompts.
        prompt: tokens of the prompts, padding included.

    Returns:
        float32 `[L - prompt, B, V]`.
    """
    rows, length = tokens.shape
    mask = np.concatenate([attention_mask, np.ones((rows, length - prompt), np.int64)], 1)
    return np.stack([np.asarray(step(tokens[:, :end], mask[:, :end]), np.float32) for end in range(prompt, length)])


def divergences(expected: np.ndarray, actual: np.ndarray, logits: np.ndarray, prompt: int) -> tuple[Divergence, ...]:
    """The first token that differs, in each row that has one.

    Args:
        expected, actual: int64 `[B, length]`, the prompt's tokens in front.
        logits: the reference's under `expected`, float `[steps, B, V]`.
    """
    same = expected[:, prompt:] == actual[:, prompt:]
    found = []
    for row in np.flatnonzero(~same.all(1)):
        at = int(np.argmin(same[row]))
        second, first = np.sort(logits[at, row])[-2:]
        tokens = int(expected[row, prompt + at]), int(actual[row, prompt + at])
        found.append(Divergence(int(row), prompt + at, *tokens, float(first - second)))
    return tuple(found)


def verify(step: Step, reference: Step, input_ids: Any, attention_mask: Any, length: int) -> TokenAgreement:
    """Decode the same prompts with both, compare token by token, and compare logits under the reference's tokens."""
    ids, mask = _prompt(input_ids, attention_mask)
    prompt = ids.shape[1]
    expected, actual = (greedy(each, ids, mask, length) for each in (reference, step))
    wanted, given = (teacher_forced(each, expected, mask, prompt) for each in (reference, step))
    same = expected[:, prompt:] == actual[:, prompt:]
    found = divergences(expected, actual, wanted, prompt)
    return TokenAgreement(same.size, int(same.sum()), found, float(np.abs(wanted - given).max(initial=0)))


# --- what a generation costs, on paper --------------------------------------------------------------------------------


def copied_bytes(batch: int, prompt: int, length: int, vocabulary: int, last_step: bool, itemsize: int = 4) -> int:
    """Bytes of logits that a whole generation copies to the host.

    The step with t tokens copies `[batch, t, vocabulary]`, or `[batch, vocabulary]` where only the last step is
    wanted; t runs from `prompt` to `length - 1`.
    """
    steps = range(prompt, length)
    positions = len(steps) if last_step else sum(steps)
    return batch * positions * vocabulary * itemsize


def step_flop(config: Any, batch: int, tokens: int, last_step: bool) -> int:
    """Floating-point operations of one step in the matrix products of a GPT-2, two for each multiply-add.

    A layer of width d: 8 t d^2 in the projections of the attention, 4 t^2 d in its scores and sums, 16 t d^2 in the
    feed-forward part (its inner width is 4 d); and 2 d V for each position that gets logits.

    Args:
        config: a `GPT2Config`.
        tokens: t, the sequence of this step.
        last_step: logits for one position instead of all.
    """
    width, inner = config.n_embd, config.n_inner or 4 * config.n_embd
    layer = 8 * tokens * width**2 + 4 * tokens**2 * width + 4 * tokens * width * inner
    head = 2 * (1 if last_step else tokens) * width * config.vocab_size
    return int(batch * (config.n_layer * layer + head))
