"""Softmax attention with the relative position bias of T5 (Raffel et al. 2019, arXiv:1910.10683), over the past or both sides.

Scores are not divided by sqrt(head): the initial queries are that much smaller instead. The width of a head is free of the
width of the model.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._causal import working_type
from allometry.model.blocks._eager import in_eager_cpu
from allometry.model.blocks._linear import Linear
from allometry.model.blocks._relative_bias import BUCKETS, RelativeBias, bucket
from allometry.model.gates.equations import multiplexing


class RelativeAttention(Block):
    """out_t = sum_{s <= t} softmax_s(q_t . k_s + b_{bucket(s - t)}) v_s; no biases but b.

    Not causal: over all s that are kept; half of the buckets are for s > t.

    Parameters 4 width heads head + 32 heads. FLOPs per token 8 width heads head + 4 length heads head: the full square.
    """

    reads: ClassVar[str] = SEQUENCE

    heads: int
    head: int  # channels of a head
    causal: bool = True

    def build(self, outputs: int) -> nn.Module:
        return _RelativeAttention(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        inner = self.heads * self.head
        weights = 4 * self.width * inner
        flops = 2 * weights * length + 4 * length**2 * inner
        return Cost(parameters=weights + BUCKETS * self.heads, flops=flops, state=2 * length * inner)


class _RelativeAttention(nn.Module):
    def __init__(self, spec: RelativeAttention, outputs: int) -> None:
        super().__init__()
        self.heads, self.causal = spec.heads, spec.causal
        inner = spec.heads * spec.head
        self.query_key_value = Linear(spec.width, 3 * inner)
        self.out = Linear(inner, spec.width)
        self.bias = RelativeBias(spec.heads, spec.causal)
        spread(self.query_key_value.weight, spec.width)
        with torch.no_grad():
            self.query_key_value.weight[:inner] *= spec.head**-0.5
        spread(self.out.weight, inner, outputs)

    def borrow(self, bias: RelativeBias) -> None:
        """Read another layer's table from now on. It stays a part of that layer alone, so that it is stored and counted once."""
        del self.bias
        self.__dict__["bias"] = bias

    def forward(
        self, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        query, key, value = self.query_key_value(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.bias(x.shape[1])
        if keep is None and in_eager_cpu(x):
            return self.out(_attend(query, key, value, bias).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
        bias = bias.to(query.dtype)
        if keep is not None:
            bias = bias.masked_fill(~keep[:, None, None, :], -math.inf)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def _attend(
    query: Float[Tensor, "batch heads length head"],
    key: Float[Tensor, "batch heads length head"],
    value: Float[Tensor, "batch heads length head"],
    bias: Float[Tensor, "1 heads length length"],
) -> Float[Tensor, "batch heads length head"]:
    """The equation as it stands, for a bias that leaves every query a key.

    As the bias has a gradient, torch's fused kernel is not taken on CPU, and its other form guards against queries without a
    key in several passes over all scores.
    """
    given, working = query.dtype, working_type(query.dtype)
    with torch.autocast("cpu", enabled=False):
        query, key, value = (part.to(working) for part in (query, key, value))
        scores = (query @ key.mT).add_(bias.to(working))
        return (scores.softmax(-1) @ value).to(given)


def reference(
    layer: _RelativeAttention, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one sequence, head and query at a time."""
    length = x.shape[1]
    query, key, value = (x @ layer.query_key_value.weight.T).chunk(3, dim=-1)
    head = query.shape[-1] // layer.heads
    sequences = []
    for b in range(len(x)):
        kept = torch.ones(length, dtype=torch.bool) if keep is None else keep[b]
        of_heads = []
        for h in range(layer.heads):
            own = slice(h * head, (h + 1) * head)
            rows = []
            for t in range(length):
                seen = [s for s in range(t + 1 if layer.causal else length) if kept[s]]
                bias = layer.bias.table[bucket(torch.tensor(seen) - t, layer.causal), h]
                scores = multiplexing(key[b, seen, own] @ query[b, t, own], bias)  # the product is output gating
                rows.append(scores.softmax(-1) @ value[b, seen, own])  # synaptic gating
            of_heads.append(torch.stack(rows))
        sequences.append(torch.cat(of_heads, dim=-1))
    return torch.stack(sequences) @ layer.out.weight.T
