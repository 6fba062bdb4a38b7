"""The families that move information between positions by softmax attention: they state what else they are."""

from typing import ClassVar

from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.attention import Attention


class AttentionFamily(SequenceFamily):
    """mixer = softmax attention with rotary positions."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past"})
    grain: ClassVar[int] = 2  # rotary positions turn pairs of channels

    heads: int

    def mixer(self, layer: int) -> Block:
        return Attention(width=self.width, heads=self.heads)
