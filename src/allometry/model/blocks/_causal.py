"""Causal softmax attention with rotary positions on CPU, as one function with its derivative written out.

The queries go in blocks of 64 positions, and a block meets only the keys up to its own end, so that almost half of the
square is never made. Probabilities are kept for the backward pass: p = softmax(q k^T), y = p v, and with g = dL/dy

    dv = p^T g;    ds = p * (g v^T - rowsum(p * g v^T));    dq = ds k;    dk = ds^T q.

torch's fused kernel for CPU keeps no probabilities. At 256 positions and head width 32 (batch 16, 8 heads, one thread,
forward and backward) it takes 35 ms in fp32 and 49 ms in bf16, against 26 and 20 here. Its memory grows with the length and
ours with the square, hence LONGEST. `attention.reference` is the oracle.
"""

import math
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from allometry.model.blocks._rotary import as_pairs

BLOCK = 64  # queries in a block: 32 and 128 are slower
LONGEST = 1024  # positions; here the probabilities of a layer take as much memory as some 16 widths of activations


class CausalAttention(torch.autograd.Function):
    """(q k v before they are turned, turns) -> sum over the past of softmax(q . k / sqrt(head)) v, heads side by side."""

    @staticmethod
    def forward(
        ctx: Any, parts: Float[Tensor, "batch length 3 heads head"], turns: Complex[Tensor, "length pairs"]
    ) -> Float[Tensor, "batch length width"]:
        batch, length, _, heads, head = parts.shape
        turns = torch.stack([turns * head**-0.5, turns])[:, None, None]  # the query's turn also divides by sqrt(head)
        by_head = parts.permute(2, 0, 3, 1, 4)
        query, key = _turned(by_head[:2], turns).to(parts.dtype).flatten(1, 2)
        value = by_head[2].reshape(batch * heads, length, head)
        future = torch.full((BLOCK, BLOCK), -math.inf, dtype=parts.dtype, device=parts.device).triu(1)
        mixed = torch.empty_like(value)
        kept = []
        with torch.autocast(parts.device.type, enabled=False):  # it would make the softmax fp32, at twice the time
            for start in range(0, length, BLOCK):
                end = min(start + BLOCK, length)
                scores = torch.bmm(query[:, start:end], key[:, :end].mT)
                scores[:, :, start:] += future[: end - start, : end - start]
                weights = scores.softmax(-1)
                mixed[:, start:end] = torch.bmm(weights, value[:, :end])
                kept.append(weights)
        ctx.save_for_backward(query, key, value, turns, *kept)
        return mixed.view(batch, heads, length, head).transpose(1, 2).reshape(batch, length, -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, "batch length width"]) -> tuple[Tensor, None]:
        query, key, value, turns, *kept = ctx.saved_tensors
        (batch, length, width), head = gradient.shape, query.shape[-1]
        of_mixed = gradient.view(batch, length, -1, head).transpose(1, 2).reshape(query.shape)
        of_query, of_key = of_both = query.new_zeros(2, *query.shape)
        of_value = torch.zeros_like(value)
        for start, weights in zip(range(0, length, BLOCK), kept, strict=True):
            end = min(start + BLOCK, length)
            of_rows = of_mixed[:, start:end]
            of_value[:, :end].baddbmm_(weights.mT, of_rows)
            of_weights = torch.bmm(of_rows, value[:, :end].mT)
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            of_query[:, start:end] = torch.bmm(of_scores, key[:, :end])
            of_key[:, :end].baddbmm_(of_scores.mT, query[:, start:end])
        of_parts = gradient.new_empty(batch, length, 3, width // head, head)
        by_head = of_parts.permute(2, 0, 3, 1, 4)
        by_head[:2] = _turned(of_both.unflatten(1, (batch, -1)), turns.conj())
        by_head[2] = of_value.unflatten(0, (batch, -1))
        return of_parts, None


def _turned(x: Float[Tensor, "2 batch heads length head"], turns: Tensor) -> Float[Tensor, "2 batch heads length head"]:
    """A turned copy in fp32 or better, contiguous. One copy serves the change of precision, of layout, and the turn."""
    copied = x.to(torch.promote_types(x.dtype, torch.float32), copy=True, memory_format=torch.contiguous_format)
    as_pairs(copied).mul_(turns)
    return copied
