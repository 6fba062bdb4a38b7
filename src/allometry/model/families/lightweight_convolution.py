"""Lightweight-convolution sequence model (Wu et al. 2019, arXiv:1901.10430): short normalised filters in place of attention.

A filter per head moves information between positions, over at most `sum(kernel - 1)` of them; a feed-forward part acts within
one. It has no positions: a filter knows distance by its taps.
"""

from typing import ClassVar

from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.lightweight_convolution import LightweightConvolution as Convolution
from allometry.model.families._kernels import kernels


class LightweightConvolution(SequenceFamily):
    """mixer = lightweight convolution; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "fixed_state"})

    heads: int

    def mixer(self, layer: int) -> Block:
        return Convolution(width=self.width, heads=self.heads, kernel=kernels(self.depth)[layer])
