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
    """out_t = sum_s softmax_s(q_t . k_s / sqrt(head)) v_s, over the positions s of the memory that are kept; no biases.

    Parameters 4 width^2. FLOPs: 4 width^2 for a position of x and for one of the memory, 4 width for each pair of them.
    """

    reads: ClassVar[str] = MEMORY

    heads: int

    def build(self, outputs: int) -> nn.Module:
        return _CrossAttention(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square = self.width**2
        flops = 4 * square * (length + memory) + 4 * length * memory * self.width
        return Cost(parameters=4 * square, flops=flops, state=2 * memory * self.width)


class _CrossAttention(nn.Module):
    def __init__(self, spec: CrossAttention, outputs: int) -> None:
        super().__init__()
        self.heads = spec.heads
        self.query = Linear(spec.width, spec.width)
        self.key_value = Linear(spec.width, 2 * spec.width)
        self.out = Linear(spec.width, spec.width)
        spread(self.query.weight, spec.width)
        spread(self.key_value.weight, spec.width)
        spread(self.out.weight, spec.width, outputs)

    def forward(
        self,
        x: Float[Tensor, "batch length width"],
        memory: Float[Tensor, "batch source width"],
        keep: Bool[Tensor, "batch source"] | None = None,
    ) -> Float[Tensor, "batch length width"]:
        query = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = self.key_value(memory).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mask = None if keep is None else keep[:, None, None, :]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def reference(
    layer: _CrossAttention,
    x: Float[Tensor, "batch length width"],
    memory: Float[Tensor, "batch source width"],
    keep: Bool[Tensor, "batch source"] | None = None,
) -> Float[Tensor, "batch length width"]:
    """The equation of the docstring, one sequence, head and position at a time."""
    head = x.shape[-1] // layer.heads
    query = x @ layer.query.weight.T
    key, value = (memory @ layer.key_value.weight.T).chunk(2, dim=-1)
    rows = []
    for b in range(len(x)):
        kept = slice(None) if keep is None else keep[b]
        of_heads = []
        for h in range(layer.heads):
            own = slice(h * head, (h + 1) * head)
            scores = query[b, :, own] @ key[b, kept, own].T / head**0.5
            of_heads.append(scores.softmax(-1) @ value[b, kept, own])
        rows.append(torch.cat(of_heads, dim=-1))
    return torch.stack(rows) @ layer.out.weight.T
