"""Performer, decoder only: the transformer with FAVOR+ kernel attention (Choromanski et al. 2020, arXiv:2009.14794).

Kernel attention moves information between positions at a cost linear in the length; a feed-forward part acts within one.
"""

from typing import ClassVar

from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.kernel_attention import KernelAttention


class Performer(SequenceFamily):
    """mixer = causal kernel attention with head ln(head) random features; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    grain: ClassVar[int] = 2  # rotary positions turn pairs of channels

    heads: int

    def mixer(self, layer: int) -> Block:
        return KernelAttention(width=self.width, heads=self.heads)
