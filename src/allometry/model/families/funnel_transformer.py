"""Funnel Transformer (Dai et al. 2020, arXiv:2006.03236): an encoder that reads ever shorter sequences.

The encoder's layers are in blocks. The first layer of each block after the first halves the sequence: neighbours are averaged,
in the residual stream and in the queries, while keys and values stay as many as they were. The decoder is the transformer's,
and reads what is left. Departs from the original in what the transformer here departs in, in that there is no position that is
kept apart ([CLS]), and in positions: after a block they are counted anew, 0, 1, 2, ... (as Mesh TensorFlow has it), not in
steps of the original length. Three blocks as there, as far as the depth allows: see `pooling_layers`.
"""

from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.flow import IO, Pairs
from allometry.model._attention import AttentionFamily
from allometry.model._layers import Encoder, Layer, Parts
from allometry.model._stack import StackCost
from allometry.model.blocks._block import Block
from allometry.model.blocks.pooled_attention import PooledAttention, pool, pool_keep, shortened

BLOCKS = 3


def pooling_layers(depth: int) -> tuple[int, ...]:
    """The layers that halve the sequence: the first of every block but the first, blocks as equal as they can be.

    Two layers are two blocks. One layer is the second of two blocks: a funnel that never pools is a transformer.

    >>> pooling_layers(1), pooling_layers(2), pooling_layers(3), pooling_layers(4), pooling_layers(12)
    ((0,), (1,), (1, 2), (1, 3), (4, 8))
    """
    blocks = min(BLOCKS, depth)
    return tuple(round(block * depth / blocks) for block in range(1, blocks)) or (0,)


class FunnelTransformer(AttentionFamily):
    """mixer = softmax attention, pooled where a block of the encoder begins; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"any_length", "whole_past"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Pairs,)

    def encoder_mixer(self, layer: int) -> Block:
        if layer in pooling_layers(self.depth):
            return PooledAttention(width=self.width, heads=self.heads)
        return super().encoder_mixer(layer)

    def layers(self, each: list[Parts], causal: bool) -> list[nn.Module]:
        outputs = sum(len(parts) for parts in each)
        pooled = (isinstance(parts["mixer"], PooledAttention) for parts in each)
        kinds = (_PoolingLayer if pools else Layer for pools in pooled)
        return [kind(self.width, parts, outputs, causal) for kind, parts in zip(kinds, each, strict=True)]

    def encoder(self) -> nn.Module:
        return _Funnel(self.layers([self.encoder_parts(layer) for layer in range(self.depth)], causal=False))

    def memory(self, source: int) -> int:
        for _ in pooling_layers(self.depth):
            source = shortened(source)
        return source

    def encoder_cost(self, source: int) -> StackCost | None:
        """Each part at the length that it reads."""
        stacks = []
        for layer in range(self.depth):
            mixer, *others = ({name: block} for name, block in self.encoder_parts(layer).items())
            stacks.append(self.stack_cost([mixer], source))
            source = shortened(source) if layer in pooling_layers(self.depth) else source
            stacks.append(self.stack_cost(others, source))
        known = [stack for stack in stacks if stack is not None]
        if len(known) < len(stacks):
            return None
        return StackCost(
            parameters=sum(stack.parameters for stack in known),
            applied=sum(stack.applied for stack in known),
            flops=sum(stack.flops for stack in known),
            state=0,
        )


class _PoolingLayer(Layer):
    """x <- pool x + mixer(norm x); x <- x + channel(norm x): half the positions come out."""

    def forward(
        self,
        x: Float[Tensor, "batch length width"],
        memory: Float[Tensor, "batch source width"] | None = None,
        keep: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch half width"]:
        x = pool(x, keep) + self.mixer(self.mixer_norm(x), keep)  # type: ignore[operator]
        return x + self.channel(self.channel_norm(x))  # type: ignore[no-any-return, operator]


class _Funnel(Encoder):
    """Layers that see both sides; some of them give half of what they read."""

    def forward(
        self, x: Float[Tensor, "batch source width"], keep: Bool[Tensor, "batch source"] | None = None
    ) -> tuple[Float[Tensor, "batch memory width"], Bool[Tensor, "batch memory"] | None]:
        for layer in self.layers:
            x = layer(x, None, keep)
            keep = pool_keep(keep) if isinstance(layer, _PoolingLayer) else keep
        return x, keep
