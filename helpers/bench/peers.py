"""What PyTorch and ONNX Runtime can do on a fast GPU: the peers beside which a speed is worth something.

Exercise 2: what `generate` costs there is Python and launching. `StaticDecoder` keeps keys and values in buffers of
fixed size and its step's kernels in a CUDA graph: the graph takes the most likely token, counts on, and is replayed.
`BoundStep` is ONNX Runtime with memory of the device bound to it.

Exercise 1: `resident` makes the classifier's engines work on a batch that lies in the device's memory already.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from helpers.benchmark import Candidate


def on_gpu() -> bool:
    """Whether PyTorch has a CUDA device."""
    import torch

    return bool(torch.cuda.is_available())


def where() -> str:
    """PyTorch's version and its device, as tables name them."""
    import torch

    return f"PyTorch {torch.__version__} on {torch.cuda.get_device_name() if on_gpu() else 'CPU'}"


def synchronize() -> None:
    """Wait for everything on the GPU; nothing to do without one."""
    import torch

    if on_gpu():
        torch.cuda.synchronize()


# --- exercise 2: decoders ---------------------------------------------------------------------------------------------


class StaticDecoder:
    """Greedy decoding of a GPT-2 with its keys and values in buffers of fixed size.

    Args:
        model: a `GPT2LMHeadModel`, on the device and in the precision in which it shall compute. It is not changed.
        length: tokens of a row at the end, at most.
        compiled: the step by `torch.compile` before it is captured.

    Where there is no GPU nothing is captured: the same step runs operator by operator.
    """

    def __init__(self, model: Any, length: int, *, compiled: bool = False) -> None:
        self.model = model
        self.length = length
        self.compiled = compiled
        self._runs: dict[int, tuple[dict[str, Any], Callable[[], Any]]] = {}

    def __call__(self, input_ids: np.ndarray, attention_mask: np.ndarray, length: int) -> np.ndarray:
        """int64 `[B, P]` ids and mask, padded on the left, to int64 `[B, length]`, as `decoding.greedy` gives them."""
        import torch

        rows, prompt = input_ids.shape
        if not prompt <= length <= self.length:
            raise ValueError(f"length is {length}; expected {prompt} (the prompt's tokens) to {self.length}")
        if rows not in self._runs:
            self._runs[rows] = self._prepare(rows)
        state, advance = self._runs[rows]
        mask = torch.ones((rows, self.length), dtype=torch.int64)
        mask[:, :prompt] = torch.from_numpy(attention_mask)
        with torch.inference_mode():
            state["tokens"][:, :prompt].copy_(torch.from_numpy(input_ids))
            state["valid"].copy_(mask.bool())
            state["positions"].copy_((mask.cumsum(-1) - 1).clamp(min=0))
            state["given"].copy_(torch.arange(self.length) < prompt)
            state["slot"].zero_()
            for _ in range(length - 1):  # the prompt goes through token by token as well
                advance()
            return np.asarray(state["tokens"][:, :length].cpu().numpy())

    def _prepare(self, rows: int) -> tuple[dict[str, Any], Callable[[], Any]]:
        import torch

        config, weight = self.model.config, self.model.transformer.wte.weight
        device, size = weight.device, (rows, config.n_head, self.length, config.n_embd // config.n_head)
        with torch.inference_mode():
            state: dict[str, Any] = {
                "tokens": torch.zeros((rows, self.length + 1), dtype=torch.int64, device=device),
                "valid": torch.ones((rows, self.length), dtype=torch.bool, device=device),
                "positions": torch.zeros((rows, self.length), dtype=torch.int64, device=device),
                "given": torch.zeros(self.length, dtype=torch.bool, device=device),
                "slot": torch.zeros(1, dtype=torch.int64, device=device),
                "slots": torch.arange(self.length, device=device),
            }
            for name in ("keys", "values"):
                state[name] = [torch.zeros(size, dtype=weight.dtype, device=device) for _ in range(config.n_layer)]
            step = torch.compile(self._step, dynamic=False) if self.compiled else self._step

            def advance() -> None:
                step(state)

            if device.type != "cuda":

                def eagerly() -> None:
                    with torch.inference_mode():
                        step(state)

                return state, eagerly
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    state["slot"].zero_()
                    advance()
            torch.cuda.current_stream().wait_stream(side)
            torch.cuda.synchronize()
            state["slot"].zero_()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                advance()
        return state, graph.replay

    def _step(self, state: dict[str, Any]) -> None:
        """One token further: computes the logits at `slot`, writes the next token, and counts on."""
        import torch

        model, config, slot = self.model.transformer, self.model.config, state["slot"]
        rows, heads, width = len(state["tokens"]), config.n_head, config.n_embd
        token, position = (state[name].index_select(1, slot) for name in ("tokens", "positions"))
        x = model.wte(token) + model.wpe(position)
        # a padded token sees itself: with nothing to see its values would be NaN, and reach others by 0 x NaN
        seen = ((state["slots"] <= slot) & state["valid"]) | (state["slots"] == slot)
        for block, keys, values in zip(model.h, state["keys"], state["values"], strict=True):
            parts = block.attn.c_attn(block.ln_1(x)).split(width, dim=2)
            query, key, value = (part.view(rows, 1, heads, width // heads).transpose(1, 2) for part in parts)
            keys.index_copy_(2, slot, key)
            values.index_copy_(2, slot, value)
            found = torch.nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=seen[:, None, None])
            x = x + block.attn.c_proj(found.transpose(1, 2).reshape(rows, 1, width))
            x = x + block.mlp(block.ln_2(x))
        best = self.model.lm_head(model.ln_f(x))[:, -1].argmax(-1, keepdim=True)
        following = slot + 1
        # `given` has one entry less than `tokens`: behind the last slot nothing is given
        keep = torch.nn.functional.pad(state["given"], (0, 1)).index_select(0, following)
        state["tokens"].index_copy_(1, following, torch.where(keep, state["tokens"].index_select(1, following), best))
        slot.add_(1)


class BoundStep:
    """ONNX Runtime with its inputs and logits bound to memory of the device: only the last step's logits come back."""

    def __init__(self, path: Path, max_batch: int, max_length: int, vocabulary: int) -> None:
        import torch

        from helpers.decoding import OrtStep

        self.device = "cuda" if on_gpu() else "cpu"
        self.session = OrtStep(path, threads=torch.get_num_threads()).session
        self._logits = torch.empty(max_batch * max_length * vocabulary, device=self.device)
        self._vocabulary = vocabulary

    def __call__(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        import torch

        shape = (*input_ids.shape, self._vocabulary)
        pair = [torch.from_numpy(array).to(self.device) for array in (input_ids, attention_mask)]
        logits = self._logits[: int(np.prod(shape))].view(shape)
        binding = self.session.io_binding()
        for name, tensor in zip(("input_ids", "attention_mask"), pair, strict=True):
            binding.bind_input(name, self.device, 0, np.int64, list(tensor.shape), tensor.data_ptr())
        binding.bind_output("logits", self.device, 0, np.float32, list(shape), logits.data_ptr())
        synchronize()  # the copies above are PyTorch's stream's, the session has its own
        self.session.run_with_iobinding(binding)
        return np.asarray(logits[:, -1].cpu().numpy())


# --- exercise 1: a batch on the device --------------------------------------------------------------------------------


Resident = tuple[str, Candidate, Callable[[], np.ndarray]]


def resident(
    skip: Callable[[str, Any], None], classifier: Any, ids: np.ndarray, mask: np.ndarray, folder: Path, stack: ExitStack
) -> Iterator[Resident]:
    """Candidates that work on this batch, which lies in the device's memory already, and what reads their logits.

    Their times are of synchronised calls: until the logits are in the device's memory.
    """
    import torch

    device = "cuda" if on_gpu() else "cpu"
    pair = tuple(torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in (ids, mask))
    full = copy.deepcopy(classifier.model).to(device)
    full.set_attn_implementation("sdpa")
    half = copy.deepcopy(full).half() if on_gpu() else None
    makers: list[tuple[str, Callable[[], tuple[Callable[[], Any], Any, str]]]] = [
        ("PyTorch eager, FP32", lambda: _eager(full, pair)),
    ]
    if half is not None:
        makers += [
            ("PyTorch eager, FP16", lambda: _eager(half, pair)),
            ("PyTorch FP16 in a CUDA graph", lambda: _graphed(half, pair)),
            ("PyTorch torch.compile, FP16", lambda: _eager(_compiled(half), pair)),
            ("PyTorch torch.compile, FP16, in a CUDA graph", lambda: _graphed(_compiled(half), pair)),
        ]
    else:
        skip("PyTorch FP16, torch.compile, CUDA graphs", "no GPU")
    fp32, fp16 = folder / "fp32.onnx", folder / "fp16.onnx"
    makers += [
        ("ONNX Runtime FP32, plain graph", lambda: _bound(fp32, pair)),
        ("ONNX Runtime FP16, plain graph", lambda: _bound(fp16, pair)),
    ]
    if on_gpu():
        makers += [
            ("ONNX Runtime FP16, plain graph, CUDA graph", lambda: _bound(fp16, pair, graph=True)),
            ("ONNX Runtime FP16, attention fused", lambda: _bound(_fused(classifier, folder), pair)),
            (
                "ONNX Runtime FP16, attention fused, CUDA graph",
                lambda: _bound(_fused(classifier, folder), pair, graph=True),
            ),
            ("TensorRT's API FP32", lambda: _api(folder, "fp32", pair, stack)),
            ("TensorRT's API FP16", lambda: _api(folder, "fp16", pair, stack)),
        ]
    for label, make in makers:
        try:
            call, logits, who = make()
            call()
            synchronize()
            if not bool(torch.isfinite(_value(logits)).all()):
                raise ValueError("its logits are not finite")
        except Exception as error:  # one way that fails must not cost the others
            skip(f"{label}, batch {len(ids)}", f"{type(error).__name__}: {error}")
            continue

        def timed(*_: Any, call: Callable[[], Any] = call) -> None:
            call()
            synchronize()

        def read(logits: Any = logits) -> np.ndarray:
            return np.asarray(_value(logits).float().cpu().numpy())

        yield label, Candidate(label, timed, who), read


def _value(logits: Any) -> Any:
    return logits() if callable(logits) else logits


def _eager(model: Any, pair: Any) -> tuple[Callable[[], Any], Any, str]:
    import torch

    kept: dict[str, Any] = {}

    def call() -> None:
        with torch.inference_mode():
            kept["logits"] = model(input_ids=pair[0], attention_mask=pair[1]).logits

    return call, lambda: kept["logits"], where()


_COMPILED: dict[Any, Any] = {}


def _compiled(model: Any) -> Any:
    """Compiled once; another batch size compiles again by itself."""
    import torch

    key = model.config.name_or_path, next(model.parameters()).dtype
    if key not in _COMPILED:
        torch._dynamo.config.cache_size_limit = 64
        _COMPILED[key] = torch.compile(model, dynamic=False)
    return _COMPILED[key]


def _graphed(model: Any, pair: Any) -> tuple[Callable[[], Any], Any, str]:
    """The call captured once; each run replays its kernels. The mask is kept: what it hides may change."""
    import torch

    with torch.inference_mode():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                model(input_ids=pair[0], attention_mask=pair[1])
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = model(input_ids=pair[0], attention_mask=pair[1]).logits
    return graph.replay, logits, where()


def _bound(path: Path, pair: Any, *, graph: bool = False) -> tuple[Callable[[], Any], Any, str]:
    """An ONNX Runtime session bound to the batch's own memory."""
    import onnxruntime as ort
    import torch

    options = ort.SessionOptions()
    options.log_severity_level = 3
    providers: list[Any] = ["CPUExecutionProvider"]
    device = "cpu"
    if on_gpu():
        device = "cuda"
        providers = [("CUDAExecutionProvider", {"use_tf32": "0", "enable_cuda_graph": "1" if graph else "0"})]
    session = ort.InferenceSession(str(path), options, providers=providers)
    half = "float16" in session.get_outputs()[0].type
    rows = pair[0].shape[0]
    logits = torch.empty(
        (rows, session.get_outputs()[0].shape[1]), dtype=torch.float16 if half else torch.float32, device=device
    )
    binding = session.io_binding()
    kinds = {item.name: np.int32 if "int32" in item.type else np.int64 for item in session.get_inputs()}
    kept = []
    for name, tensor in zip(("input_ids", "attention_mask"), pair, strict=True):
        value = tensor.to(torch.int32) if kinds[name] is np.int32 else tensor
        kept.append(value)
        binding.bind_input(name, device, 0, kinds[name], list(value.shape), value.data_ptr())
    element = np.float16 if half else np.float32
    binding.bind_output("logits", device, 0, element, list(logits.shape), logits.data_ptr())
    synchronize()
    run = ort.RunOptions()
    who = f"ONNX Runtime {ort.__version__}, {session.get_providers()[0]}"

    def call(kept: Any = kept) -> None:
        session.run_with_iobinding(binding, run)

    for _ in range(3):  # a CUDA graph is captured on the way
        call()
    return call, logits, who


def _fused(classifier: Any, folder: Path) -> Path:
    """Attention fused by ONNX Runtime's offline optimizer, with a length a row: for padding on the right only."""
    import onnx
    import torch
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    target = folder / "fused.onnx"
    if target.is_file():
        return target
    if (folder / "fused.failed").is_file():
        raise ValueError((folder / "fused.failed").read_text())

    class Logits(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    try:
        model = copy.deepcopy(classifier.model).cpu().eval()  # its attention is eager: what the optimizer knows
        example = (torch.ones((2, 16), dtype=torch.int64), torch.ones((2, 16), dtype=torch.int64))
        axes = {0: "batch", 1: "sequence"}
        with torch.no_grad():
            torch.onnx.export(
                Logits(model),
                example,
                str(folder / "eager.onnx"),
                input_names=["input_ids", "attention_mask"],
                output_names=["logits"],
                dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}},
                opset_version=17,
                dynamo=False,
            )
        config = classifier.model.config
        optimized = optimize_model(
            str(folder / "eager.onnx"),
            model_type="bert",
            num_heads=config.n_heads,
            hidden_size=config.dim,
            optimization_options=FusionOptions("bert"),
            opt_level=1,
            use_gpu=False,
        )
        fused = sum(node.op_type == "Attention" for node in optimized.model.graph.node)
        if fused != config.n_layers:
            raise ValueError(f"{fused} of {config.n_layers} attentions were fused")
        for node in optimized.model.graph.node:
            if node.op_type == "EmbedLayerNormalization" and len(node.input) > 8:
                node.input[8] = ""  # positions are counted by the operator itself
        optimized.prune_graph()
        optimized.convert_float_to_float16(keep_io_types=False)
        onnx.save(optimized.model, str(target))
    except Exception as error:
        (folder / "fused.failed").write_text(f"{type(error).__name__}: {error}")
        raise
    return target


def _api(folder: Path, name: str, pair: Any, stack: ExitStack) -> tuple[Callable[[], Any], Any, str]:
    """TensorRT's API on the batch's own memory: the context gets PyTorch's addresses."""
    import pycuda.driver as cuda
    import torch

    from helpers import backend, engine

    loaded = engine.load(folder / engine.plan_name(name))
    context = loaded.create_execution_context()
    stream = cuda.Stream()
    half = "fp16" in name
    for key, tensor in zip(("input_ids", "attention_mask"), pair, strict=True):
        context.set_input_shape(key, tuple(tensor.shape))
        context.set_tensor_address(key, tensor.data_ptr())
    shape = tuple(context.get_tensor_shape("logits"))
    logits = torch.empty(shape, dtype=torch.float16 if half else torch.float32, device="cuda")
    context.set_tensor_address("logits", logits.data_ptr())
    synchronize()
    active = backend.current()
    stack.callback(lambda: (context, loaded))

    def call() -> None:
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("not enqueued")
        stream.synchronize()

    return call, logits, active.engine if active else ""
