"""Softmax attention over the past, or over both sides (Vaswani et al. 2017, arXiv:1706.03762).

With rotary positions (Su et al. 2021, arXiv:2104.09864), or with none where positions are in x already.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks._block import SEQUENCE, Block, Cost, check_heads, spread
from allometry.model.blocks._causal import LONGEST, CausalAttention
from allometry.model.blocks._causal_operation import causal_attention
from allometry.model.blocks._eager import in_eager_cpu
from allometry.model.blocks._linear import Linear
from allometry.model.blocks._rotary import Rotary

POSITIONS = ("rotary", "none")


class Attention(Block):
    """out_t = sum_{s <= t} softmax_s(q_t . k_s / sqrt(head)) v_s, with q and k turned by their positions or not; no biases.

    Not causal: over all s that are kept.

    In quarks: q . k are output gatings and a sum, the softmax is output gating by 1 / Z, and its weights are the values of dynamic
    synapses from v to out, which is synaptic gating.

    Parameters 4 width^2. FLOPs per token 8 width^2 + 4 length width: the full square is charged, causal or not.
    """

    reads: ClassVar[str] = SEQUENCE

    heads: int
    causal: bool = True
    positions: str = "rotary"  # rotary | none

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.positions not in POSITIONS:
            raise ValueError(f"Attention(positions={self.positions!r}) is not known. Choose one of {', '.join(POSITIONS)}.")
        check_heads(self, even=self.positions == "rotary")

    def build(self, outputs: int) -> nn.Module:
        return _Attention(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square = self.width**2
        state = 2 * length * self.width  # keys and values of the whole past
        return Cost(parameters=4 * square, flops=8 * square * length + 4 * length**2 * self.width, state=state)


class _Attention(nn.Module):
    def __init__(self, spec: Attention, outputs: int) -> None:
        super().__init__()
        self.heads, self.causal = spec.heads, spec.causal
        self.query_key_value = Linear(spec.width, 3 * spec.width)
        self.out = Linear(spec.width, spec.width)
        self.rotary = Rotary(spec.width // spec.heads) if spec.positions == "rotary" else None
        spread(self.query_key_value.weight, spec.width)
        spread(self.out.weight, spec.width, outputs)

    def forward(
        self, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        assert keep is None or not self.causal, "what a causal layer reads ends where its output stands: it has no padding"
        batch, length, width = x.shape
        parts = self.query_key_value(x).view(batch, length, 3, self.heads, width // self.heads)
        if self.causal and length <= LONGEST:
            if in_eager_cpu(parts):
                turns = self.rotary.turns(parts[:, :, 0].transpose(1, 2)) if self.rotary else None
                return self.out(CausalAttention.apply(parts, turns))
            if self.rotary and parts.device.type == "cpu" and torch.compiler.is_compiling():
                return self.out(causal_attention(parts)[0])
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each [batch heads length head]
        if self.rotary:
            query, key = self.rotary(query), self.rotary(key)
        mask = None if keep is None else keep[:, None, None, :]
        # Output gating of keys by queries, then synaptic gating of values.
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


def reference(
    layer: _Attention, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
) -> Float[Tensor, "batch length width"]:
    """The equation of the docstring, one position at a time."""
    batch, length, width = x.shape
    head = width // layer.heads
    query, key, value = (x @ layer.query_key_value.weight.T).view(batch, length, 3, layer.heads, head).unbind(2)
    angle = torch.arange(length, dtype=x.dtype)[:, None] * 10000 ** (-torch.arange(0, head, 2, dtype=x.dtype) / head)

    def turned(y: Tensor) -> Tensor:
        first, second, cosine, sine = y[..., 0::2], y[..., 1::2], angle.cos()[:, None], angle.sin()[:, None]
        return torch.stack([first * cosine - second * sine, second * cosine + first * sine], dim=-1).flatten(-2)

    if layer.rotary:
        query, key = turned(query), turned(key)
    rows = []
    for t in range(length):
        seen = slice(t + 1 if layer.causal else length)
        scores = torch.einsum("bhd,bshd->bhs", query[:, t], key[:, seen]) / head**0.5  # output gating
        if keep is not None:
            scores = scores.masked_fill(~keep[:, None, seen], -torch.inf)
        mixed = torch.einsum("bhs,bshd->bhd", scores.softmax(-1), value[:, seen])  # synaptic gating
        rows.append(mixed.reshape(batch, width))
    return torch.stack(rows, dim=1) @ layer.out.weight.T
