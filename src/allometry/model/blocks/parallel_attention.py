"""Self-attention and cross-attention side by side (So, Liang, Le 2019, arXiv:1901.11117): both read x, both add to it."""

from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks import attention, cross_attention
from allometry.model.blocks._block import MEMORY, Block, Cost
from allometry.model.blocks.attention import Attention
from allometry.model.blocks.cross_attention import CrossAttention


class ParallelAttention(Block):
    """y = attention(x) + cross_attention(x, memory), each with heads of its own number. The cost of both."""

    reads: ClassVar[str] = MEMORY

    heads: int  # of the attention over x itself, which sees the past alone
    cross: int  # heads of the attention over the memory

    @property
    def both(self) -> tuple[Attention, CrossAttention]:
        return Attention(width=self.width, heads=self.heads), CrossAttention(width=self.width, heads=self.cross)

    def build(self, outputs: int) -> nn.Module:
        return _ParallelAttention(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        own, cross = (block.cost(length, memory) for block in self.both)
        return Cost(
            parameters=own.parameters + cross.parameters, flops=own.flops + cross.flops, state=own.state + cross.state
        )


class _ParallelAttention(nn.Module):
    def __init__(self, spec: ParallelAttention, outputs: int) -> None:
        super().__init__()
        self.own, self.cross = (block.build(2 * outputs) for block in spec.both)  # together one output

    def forward(
        self,
        x: Float[Tensor, "batch length width"],
        memory: Float[Tensor, "batch source width"],
        keep: Bool[Tensor, "batch source"] | None = None,
    ) -> Float[Tensor, "batch length width"]:
        return self.own(x) + self.cross(x, memory, keep)  # type: ignore[no-any-return]


def reference(
    layer: _ParallelAttention,
    x: Float[Tensor, "batch length width"],
    memory: Float[Tensor, "batch source width"],
    keep: Bool[Tensor, "batch source"] | None = None,
) -> Float[Tensor, "batch length width"]:
    """The sum of the two equations, each one position at a time."""
    return attention.reference(layer.own, x) + cross_attention.reference(layer.cross, x, memory, keep)
