"""Performer with the ReLU kernel (Choromanski et al. 2020, arXiv:2009.14794): its "generalized attention".

As `performer`, but the random features are ReLU(w . x) + 1e-3 in place of exponentials. They are no estimate of softmax
attention; what they give up in that they gain in numbers that stay small. Said to be the Performer of the comparison of Tay et
al. 2022 (arXiv:2207.10551), from memory and not verified.
"""

from typing import ClassVar

from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.kernel_attention import KernelAttention


class PerformerRelu(SequenceFamily):
    """mixer = kernel attention with head ln(head) random ReLU features; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    grain: ClassVar[int] = 2  # rotary positions turn pairs of channels

    heads: int

    def mixer(self, layer: int) -> Block:
        return KernelAttention(width=self.width, heads=self.heads, kernel="relu")
