"""Transformer, decoder only: pre-norm, RMSNorm, rotary positions, GELU (Vaswani et al. 2017, arXiv:1706.03762, modernised).

Attention moves information between positions, a feed-forward part acts within one. Departs from the original in what is
usual today: norm before each part, no biases, rotary positions instead of sinusoids, embedding not tied.
"""

from typing import ClassVar

from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.attention import Attention


class Transformer(SequenceFamily):
    """mixer = softmax attention; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past"})
    grain: ClassVar[int] = 2  # rotary positions turn pairs of channels

    heads: int

    def mixer(self, layer: int) -> Block:
        return Attention(width=self.width, heads=self.heads)
