"""Causal softmax attention with rotary positions on CPU, as one function with its derivative written out.

The queries go in blocks of 64 positions, and a block meets only the keys up to its own end, so that almost half of the
square is never made. Probabilities are kept for the backward pass: p = softmax(q k^T), y = p v, and with g = dL/dy

    dv = p^T g;    ds = p * (g v^T - rowsum(p * g v^T));    dq = ds k;    dk = ds^T q.

torch's fused kernel for CPU keeps no probabilities. At 256 positions and head width 32 (batch 16, 8 heads, one thread of a
Xeon with AVX512-BF16 but no AMX, forward and backward, CPU time on a busy machine) it takes 46 ms in fp32 and 111 in bf16,
52 and 115 with the turns; here it is 42 and 43 with the turns. Its memory grows with the length and ours with the square,
hence LONGEST. `attention.reference` is the oracle.
"""

import math
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from allometry.model.blocks._linear import bf16_kernel_is_fast
from allometry.model.blocks._rotary import as_pairs

BLOCK = 64  # queries in a block: 32 and 128 are slower
CACHED = 1 << 19  # scores in work at a time: 2 MiB in fp32, a core's second-level cache; all at once takes a fifth longer
LONGEST = 1024  # positions; here the probabilities of a layer take as much memory as some 16 widths of activations


class CausalAttention(torch.autograd.Function):
    """(q k v before they are turned, turns or None) -> sum over the past of softmax(q . k / sqrt(head)) v, heads side by side."""

    @staticmethod
    def forward(
        ctx: Any, parts: Float[Tensor, "batch length 3 heads head"], turns: Complex[Tensor, "length pairs"] | None
    ) -> Float[Tensor, "batch length width"]:
        mixed, *saved = mix(parts, turns)
        ctx.save_for_backward(turns, *saved)
        return mixed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, "batch length width"]) -> tuple[Tensor, None]:
        turns, *saved = ctx.saved_tensors
        return unmix(gradient, turns, saved), None


def mix(
    parts: Float[Tensor, "batch length 3 heads head"], turns: Complex[Tensor, "length pairs"] | None
) -> list[Float[Tensor, "..."]]:
    """The function's value `[batch length width]`, and what its derivative needs: q and k, v, p of each block of queries."""
    batch, length, _, heads, head = parts.shape
    by_head = parts.permute(2, 0, 3, 1, 4)
    working = working_type(parts.dtype)
    copied = _dense(by_head[:2], at_least_fp32(parts.dtype))
    query, key = both = _turn(copied, _scaled(turns, head)).to(working).flatten(1, 2)
    value = _dense(by_head[2], working).flatten(0, 1)
    future = torch.full((BLOCK, BLOCK), -math.inf, dtype=working, device=parts.device).triu(1)
    mixed = parts.new_empty(batch, length, heads, head)
    kept = []
    with torch.autocast(parts.device.type, enabled=False):  # it would make the softmax fp32, at twice the time
        for some, rows in _groups(batch, heads, length):
            for start in range(0, length, BLOCK):
                end = min(start + BLOCK, length)
                scores = torch.bmm(query[rows, start:end], key[rows, :end].mT)
                scores[:, :, start:] += future[: end - start, : end - start]
                weights = scores.softmax(-1)
                of_block = torch.bmm(weights, value[rows, :end]).unflatten(0, (-1, heads))
                mixed[some, start:end].transpose(1, 2).copy_(of_block)
                kept.append(weights)
    return [mixed.flatten(2), both, value, *kept]


def unmix(
    gradient: Float[Tensor, "batch length width"],
    turns: Complex[Tensor, "length pairs"] | None,
    saved: list[Float[Tensor, "..."]],
) -> Float[Tensor, "batch length 3 heads head"]:
    """The gradient with respect to `parts`, from that with respect to the value of `mix`."""
    (query, key), value, *kept = saved
    (batch, length, width), head = gradient.shape, query.shape[-1]
    of_mixed = _dense(gradient.unflatten(-1, (-1, head)).transpose(1, 2), query.dtype).flatten(0, 1)
    of_query, of_key = of_both = query.new_empty(2, *query.shape)
    of_value = torch.empty_like(value)
    for _, rows in reversed(_groups(batch, width // head, length)):
        for start in reversed(range(0, length, BLOCK)):
            end, weights = min(start + BLOCK, length), kept.pop()
            of_block = of_mixed[rows, start:end]
            of_weights = torch.bmm(of_block, value[rows, :end].mT)
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            of_query[rows, start:end] = torch.bmm(of_scores, key[rows, :end])
            if end == length:  # the last block meets all keys: it writes what the others add to
                torch.bmm(weights.mT, of_block, out=of_value[rows])
                torch.bmm(of_scores.mT, query[rows, start:end], out=of_key[rows])
            else:  # not baddbmm_: into a part of a tensor it goes matrix by matrix, each a call of its own
                of_value[rows, :end] += torch.bmm(weights.mT, of_block)
                of_key[rows, :end] += torch.bmm(of_scores.mT, query[rows, start:end])
    of_parts = gradient.new_empty(batch, length, 3, width // head, head)
    by_head = of_parts.permute(2, 0, 3, 1, 4)
    of_both = of_both.to(at_least_fp32(of_both.dtype)).unflatten(1, (batch, -1))
    by_head[:2] = _turn(of_both, _scaled(turns, head), back=True)
    by_head[2] = of_value.unflatten(0, (batch, -1))
    return of_parts


def _groups(batch: int, heads: int, length: int) -> list[tuple[slice, slice]]:
    """Sequences to take at a time, and their rows in [batch * heads]: so many that a block's scores stay in the cache."""
    size = max(1, CACHED // (BLOCK * length * heads))
    return [(slice(first, first + size), slice(first * heads, (first + size) * heads)) for first in range(0, batch, size)]


def kept_shapes(batch: int, heads: int, length: int) -> list[tuple[int, int, int]]:
    """Of the probabilities that `mix` keeps, in its order."""
    blocks = [(min(BLOCK, length - start), min(start + BLOCK, length)) for start in range(0, length, BLOCK)]
    return [((min(some.stop, batch) - some.start) * heads, *b) for some, _ in _groups(batch, heads, length) for b in blocks]


def working_type(dtype: torch.dtype) -> torch.dtype:
    """What attention computes in: the type of its input, or fp32 for bf16 on a CPU whose bf16 kernel is slow."""
    return torch.float32 if dtype == torch.bfloat16 and not bf16_kernel_is_fast() else dtype


def _scaled(turns: Complex[Tensor, "length pairs"] | None, head: int) -> Complex[Tensor, "2 1 1 length pairs"] | None:
    """The turns of queries and of keys; the query's also divides by sqrt(head)."""
    return None if turns is None else torch.stack([turns * head**-0.5, turns])[:, None, None]


def at_least_fp32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _dense(x: Float[Tensor, "*axes"], dtype: torch.dtype) -> Float[Tensor, "*axes"]:
    """A contiguous copy: one pass serves the change of precision and of layout."""
    return x.to(dtype, copy=True, memory_format=torch.contiguous_format)


def _turn(
    x: Float[Tensor, "2 batch heads length head"], turns: Tensor | None, back: bool = False
) -> Float[Tensor, "2 batch heads length head"]:
    """x, turned in place; without turns, its queries divided by sqrt(head)."""
    if turns is None:
        x[0].mul_(x.shape[-1] ** -0.5)
    else:
        as_pairs(x).mul_(turns.conj() if back else turns)
    return x
