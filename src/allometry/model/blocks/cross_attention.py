"""Cross-attention (Vaswani et al. 2017, arXiv:1706.03762): queries of the decoder, keys and values of the encoder's output.

Without positions, as in T5: where a position of the source is, its content has to say.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks._block import MEMORY, Block, Cost, spread
from allometry.model.blocks._linear import Linear


class CrossAttention(Block):
    """out_t = sum_s softmax_s(q_t . k_s scale) v_s, over the positions s of the memory that are kept; no biases.

    Scale is 1 / sqrt(head) unless it is given; another one is made up for in the initial queries. With heads head = width:
    parameters 4 width^2. FLOPs: 4 width^2 for a position of x and for one of the memory, 4 width for each pair of them.
    """

    reads: ClassVar[str] = MEMORY

    heads: int
    head: int | None = None  # channels of a head; None: width / heads
    scale: float | None = None

    @property
    def inner(self) -> int:
        return self.width if self.head is None else self.heads * self.head

    def build(self, outputs: int) -> nn.Module:
        return _CrossAttention(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        weights = 2 * self.width * self.inner  # on either side
        flops = 2 * weights * (length + memory) + 4 * length * memory * self.inner
        return Cost(parameters=2 * weights, flops=flops, state=2 * memory * self.inner)


class _CrossAttention(nn.Module):
    def __init__(self, spec: CrossAttention, outputs: int) -> None:
        super().__init__()
        self.heads, self.scale = spec.heads, spec.scale
        self.query = Linear(spec.width, spec.inner)
        self.key_value = Linear(spec.width, 2 * spec.inner)
        self.out = Linear(spec.inner, spec.width)
        spread(self.query.weight, spec.width)
        spread(self.key_value.weight, spec.width)
        spread(self.out.weight, spec.inner, outputs)
        if self.scale is not None:
            with torch.no_grad():
                self.query.weight *= (spec.inner // spec.heads) ** -0.5 / self.scale

    def forward(
        self,
        x: Float[Tensor, "batch length width"],
        memory: Float[Tensor, "batch source width"],
        keep: Bool[Tensor, "batch source"] | None = None,
    ) -> Float[Tensor, "batch length width"]:
        query = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = self.key_value(memory).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mask = None if keep is None else keep[:, None, None, :]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=self.scale)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def reference(
    layer: _CrossAttention,
    x: Float[Tensor, "batch length width"],
    memory: Float[Tensor, "batch source width"],
    keep: Bool[Tensor, "batch source"] | None = None,
) -> Float[Tensor, "batch length width"]:
    """The equation of the docstring, one sequence, head and position at a time."""
    head = layer.out.in_features // layer.heads
    scale = head**-0.5 if layer.scale is None else layer.scale
    query = x @ layer.query.weight.T
    key, value = (memory @ layer.key_value.weight.T).chunk(2, dim=-1)
    rows = []
    for b in range(len(x)):
        kept = slice(None) if keep is None else keep[b]
        of_heads = []
        for h in range(layer.heads):
            own = slice(h * head, (h + 1) * head)
            scores = query[b, :, own] @ key[b, kept, own].T * scale  # output gating
            of_heads.append(scores.softmax(-1) @ value[b, kept, own])  # synaptic gating
        rows.append(torch.cat(of_heads, dim=-1))
    return torch.stack(rows) @ layer.out.weight.T
