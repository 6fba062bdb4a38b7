"""Attention that halves a sequence (Dai et al. 2020, arXiv:2006.03236): each query is the mean of a pair of neighbours.

Queries alone are pooled; keys and values are of every position, so that what the mean loses can still be looked up.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._linear import Linear
from allometry.model.blocks._rotary import Rotary

STRIDE = 2


def shortened(length: int) -> int:
    """Positions that are left of so many: the last of an odd number is a pair by itself.

    >>> shortened(8), shortened(7)
    (4, 4)
    """
    return -(-length // STRIDE)


class PooledAttention(Block):
    """out_t = sum_s softmax_s(q_t . k_s / sqrt(head)) v_s, q_t of the mean of x_2t and x_2t+1; over all s that are kept.

    A mean is over the kept ones of a pair. q_t is turned by the position of the first of its pair, 2t. No biases.

    Parameters 4 width^2. FLOPs: 4 width^2 for each of the half, 4 width^2 for each of the whole, 4 width for a pair of them.
    """

    reads: ClassVar[str] = SEQUENCE

    heads: int

    def build(self, outputs: int) -> nn.Module:
        return _PooledAttention(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square, half = self.width**2, shortened(length)
        return Cost(parameters=4 * square, flops=4 * square * (half + length) + 4 * half * length * self.width)


class _PooledAttention(nn.Module):
    def __init__(self, spec: PooledAttention, outputs: int) -> None:
        super().__init__()
        self.heads = spec.heads
        self.query = Linear(spec.width, spec.width)
        self.key_value = Linear(spec.width, 2 * spec.width)
        self.out = Linear(spec.width, spec.width)
        self.rotary = Rotary(spec.width // spec.heads)
        spread(self.query.weight, spec.width)
        spread(self.key_value.weight, spec.width)
        spread(self.out.weight, spec.width, outputs)

    def forward(
        self, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch half width"]:
        query = self.query(pool(x, keep)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = self.key_value(x).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key = self.rotary(query, STRIDE), self.rotary(key)
        mask = None if keep is None else keep[:, None, None, :]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def pool(
    x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
) -> Float[Tensor, "batch half width"]:
    """The mean of each pair of neighbours, over those that are kept; zero where none is."""
    if keep is None and x.shape[1] % STRIDE == 0:
        return x.unflatten(1, (-1, STRIDE)).mean(2)
    keep = torch.ones_like(x[..., 0], dtype=torch.bool) if keep is None else keep
    missing = -x.shape[1] % STRIDE
    kept = F.pad(keep, (0, missing)).unflatten(1, (-1, STRIDE))[..., None]
    pairs = F.pad(x, (0, 0, 0, missing)).unflatten(1, (-1, STRIDE))
    return (pairs * kept).sum(2) / kept.sum(2).clamp(min=1)


def pool_keep(keep: Bool[Tensor, "batch length"] | None) -> Bool[Tensor, "batch half"] | None:
    """A pair is kept if one of it is."""
    return None if keep is None else F.pad(keep, (0, -keep.shape[1] % STRIDE)).unflatten(1, (-1, STRIDE)).any(-1)


def reference(
    layer: _PooledAttention, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
) -> Float[Tensor, "batch half width"]:
    """The equation of the class, one sequence, head and pair at a time."""
    length, width = x.shape[1:]
    head = width // layer.heads
    frequency = 10000 ** (-torch.arange(0, head, 2, dtype=x.dtype) / head)

    def turned(y: Tensor, position: int) -> Tensor:
        angle = position * frequency
        first, second = y[0::2], y[1::2]
        pairs = [first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()]
        return torch.stack(pairs, dim=-1).flatten()

    key, value = (x @ layer.key_value.weight.T).chunk(2, dim=-1)
    sequences = []
    for b in range(len(x)):
        kept = [s for s in range(length) if keep is None or keep[b, s]]
        rows = []
        for t in range(shortened(length)):
            pair = [x[b, s] for s in (2 * t, 2 * t + 1) if s in kept]
            query = layer.query.weight @ (sum(pair) / len(pair) if pair else torch.zeros_like(x[b, 0]))
            of_heads = []
            for h in range(layer.heads):
                own = slice(h * head, (h + 1) * head)
                scores = [turned(query[own], 2 * t) @ turned(key[b, s, own], s) / head**0.5 for s in kept]
                of_heads.append(torch.stack(scores).softmax(0) @ value[b, kept, own])
            rows.append(torch.cat(of_heads))
        sequences.append(torch.stack(rows))
    return torch.stack(sequences) @ layer.out.weight.T
