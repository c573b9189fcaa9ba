"""PyTorch's own fast way of decoding: a KV cache of fixed size, one token a step, all steps' kernels in a CUDA graph.

What `generate` costs on a fast GPU is Python and launching. Here nothing returns to the host between two tokens: the
graph takes the most likely token, counts on, and is replayed. It is the peer that says what a KV cache is worth there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


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
