"""Evolved Transformer (So, Liang, Le 2019, arXiv:1901.11117): the layers that a search by evolution found.

An encoder's layer has four parts: a gated linear unit, two convolutional branches, attention, and a ReLU feed-forward. A
decoder's has five: attention with twice the heads beside cross-attention, causal convolutional branches, attention,
cross-attention, and a swish feed-forward; a language model's is the same without what reads an encoder. Attention and
convolutions move information between positions. Such layers are about twice as deep, so there are half as many, rounded up.

Where implementations differ this follows Tensor2Tensor: doubled heads are narrower, as the width of all keys together stays,
and are at most 16 (where a half head would be odd, they are not doubled: rotary positions turn pairs of channels). It departs
in the feed-forward, which is plain where theirs has a second norm, and as the transformer here departs from the original: no
biases, RMSNorm, rotary positions.
"""

from typing import ClassVar

from allometry.model._attention import AttentionFamily
from allometry.model._layers import Parts
from allometry.model.blocks._block import Block
from allometry.model.blocks.attention import Attention
from allometry.model.blocks.decoder_branches import DecoderBranches
from allometry.model.blocks.encoder_branches import EncoderBranches
from allometry.model.blocks.feed_forward import FeedForward
from allometry.model.blocks.gated_linear_unit import GatedLinearUnit
from allometry.model.blocks.parallel_attention import ParallelAttention

MOST = 16  # heads, doubled


class EvolvedTransformer(AttentionFamily):
    """Encoder: gate, branches, mixer, channel. Decoder: first, branches, mixer, cross, channel."""

    grain: ClassVar[int] = 2  # branches have half the width

    @classmethod
    def shape(cls, width: int, depth: int) -> dict[str, int]:
        """`depth` is what a transformer of the size has; here are half as many layers, rounded up.

        >>> [EvolvedTransformer.shape(64, depth)["depth"] for depth in (1, 2, 3, 6)]
        [1, 1, 2, 3]
        """
        return super().shape(width, (depth + 1) // 2)

    @property
    def doubled(self) -> int:
        """Heads of a decoder's first attention."""
        twice = max(min(2 * self.heads, MOST), self.heads)
        return twice if self.width % (2 * twice) == 0 else self.heads

    def first(self, crossing: bool) -> Block:
        """Attention with twice the heads, beside cross-attention where there is an encoder to read."""
        if crossing:
            return ParallelAttention(width=self.width, heads=self.doubled, cross=self.heads)
        return Attention(width=self.width, heads=self.doubled)

    def encoder_parts(self, layer: int) -> Parts:
        return {
            "gate": GatedLinearUnit(width=self.width),
            "branches": EncoderBranches(width=self.width),
            "mixer": self.encoder_mixer(layer),
            "channel": FeedForward(width=self.width, hidden=4 * self.width, activation="relu"),
        }

    def decoder_parts(self, layer: int, crossing: bool) -> Parts:
        crosses = {"cross": self.cross(layer)} if crossing else {}
        return {
            "first": self.first(crossing),
            "branches": DecoderBranches(width=self.width),
            "mixer": self.mixer(layer),
            **crosses,
            "channel": FeedForward(width=self.width, hidden=4 * self.width, activation="swish"),
        }
