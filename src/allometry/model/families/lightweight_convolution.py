"""Lightweight-convolution language model (Wu et al. 2019, arXiv:1901.10430): short normalised filters in place of attention.

A causal filter per head moves information between positions, over at most `sum(kernel - 1)` of them; a feed-forward part acts
within one. It has no positions: a filter knows distance by its taps. The original's kernels 3, 7, 15, 31, 31, ... are kept
for its depth of six; a shallower model takes the longer end of that row, so that its reach does not vanish.
"""

from typing import ClassVar

from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.lightweight_convolution import LightweightConvolution as Convolution

SHORT, LONGEST = (3, 7, 15), 31


def kernels(depth: int) -> tuple[int, ...]:
    """Taps of each layer.

    >>> kernels(2), kernels(6)
    ((15, 31), (3, 7, 15, 31, 31, 31))
    """
    return (*SHORT[max(0, 4 - depth) :], *[LONGEST] * max(1, depth - len(SHORT)))


class LightweightConvolution(SequenceFamily):
    """mixer = lightweight convolution; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "fixed_state"})

    heads: int

    def mixer(self, layer: int) -> Block:
        return Convolution(width=self.width, heads=self.heads, kernel=kernels(self.depth)[layer])
