"""T5 (Raffel et al. 2019, arXiv:1910.10683): the dense encoder-decoder of the comparison of Tay et al. 2022 (arXiv:2207.10551).

Attention moves information between positions, with a bias for each distance that all layers of a stack share; a feed-forward
part acts within one. As in the first T5: ReLU, no biases, scores that are not divided by sqrt(head), and an embedding that is
the output layer too, logits = (h / sqrt(width)) E^T. Departs from it in what is not architecture: no dropout, no z-loss, and
the initial values of this package (the embedding's is small, so that the first loss is that of knowing nothing).
"""

from typing import ClassVar

from torch import nn

from allometry.flow import IO, Pairs
from allometry.model._family import heads_for
from allometry.model._layers import Parts
from allometry.model._stack import Ends, SequenceFamily, StackCost
from allometry.model.blocks._block import Block
from allometry.model.blocks._relative_bias import BUCKETS
from allometry.model.blocks._tied import TiedHead
from allometry.model.blocks.cross_attention import CrossAttention
from allometry.model.blocks.feed_forward import FeedForward
from allometry.model.blocks.relative_attention import RelativeAttention

EMBEDDED = 0.1  # standard deviation of the embedding at the start


class T5(SequenceFamily):
    """mixer = softmax attention with a relative bias; channel = ReLU feed-forward; tied embedding."""

    claims: ClassVar[frozenset[str]] = frozenset({"any_length", "whole_past"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Pairs,)

    heads: int
    head_width: int  # `head` is the output layer
    hidden: int  # of the feed-forward part

    @classmethod
    def shape(cls, width: int, depth: int) -> dict[str, int]:
        """On the ladder heads share the width; in the published sizes their width is free of it."""
        heads = heads_for(width)
        return {"width": width, "depth": depth, "heads": heads, "head_width": width // heads, "hidden": 4 * width}

    def mixer(self, layer: int) -> Block:
        return RelativeAttention(width=self.width, heads=self.heads, head=self.head_width)

    def cross(self, layer: int) -> Block:
        return CrossAttention(width=self.width, heads=self.heads, head=self.head_width, scale=1.0)

    def channel(self, layer: int) -> Block:
        return FeedForward(width=self.width, hidden=self.hidden, activation="relu")

    def layers(self, each: list[Parts], causal: bool) -> list[nn.Module]:
        """The layers of a stack, the first of which has the table of biases that all of them read."""
        first, *others = layers = super().layers(each, causal)
        for layer in others:
            layer.mixer.borrow(first.mixer.bias)  # type: ignore[union-attr, operator]
        return layers

    def build(self, io: IO) -> nn.Module:
        model = super().build(io)
        nn.init.normal_(model.embedding.weight, std=EMBEDDED)  # type: ignore[union-attr, arg-type]
        model.head = TiedHead(model.embedding)  # type: ignore[arg-type]
        return model

    def stack_cost(self, each: list[Parts], length: int, memory: int = 0) -> StackCost | None:
        stack = super().stack_cost(each, length, memory)
        borrowed = (self.depth - 1) * BUCKETS * self.heads
        return stack and stack.edit(parameters=stack.parameters - borrowed, applied=stack.applied - borrowed)

    def ends(self, vocab: int) -> Ends:
        return Ends(parameters=vocab * self.width, non_embedding=0, source=0, target=2 * self.width * vocab)


# The grid of the T5-Efficient checkpoints (Tay et al. 2021, arXiv:2109.10686), with heads of 64 channels in all but the largest
# two: the cards of tiny and mini print 32, which contradicts the parameters that they state.
PUBLISHED = {
    "tiny": T5(width=256, depth=4, heads=4, head_width=64, hidden=1024),
    "mini": T5(width=384, depth=4, heads=8, head_width=64, hidden=1536),
    "small": T5(width=512, depth=6, heads=8, head_width=64, hidden=2048),
    "base": T5(width=768, depth=12, heads=12, head_width=64, hidden=3072),
    "large": T5(width=1024, depth=24, heads=16, head_width=64, hidden=4096),
    "xl": T5(width=1024, depth=24, heads=32, head_width=128, hidden=16384),
    "xxl": T5(width=1024, depth=24, heads=128, head_width=128, hidden=65536),
}
