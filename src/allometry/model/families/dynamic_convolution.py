"""Dynamic-convolution sequence model (Wu et al. 2019, arXiv:1901.10430): each position makes its own short filters.

As the lightweight convolution, whose filters are the same everywhere: information moves over at most `sum(kernel - 1)`
positions, and a feed-forward part acts within one. What a position takes from where depends on what it holds itself.
"""

from typing import ClassVar

from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.dynamic_convolution import DynamicConvolution as Convolution
from allometry.model.families._kernels import kernels


class DynamicConvolution(SequenceFamily):
    """mixer = dynamic convolution; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "fixed_state"})

    heads: int

    def mixer(self, layer: int) -> Block:
        return Convolution(width=self.width, heads=self.heads, kernel=kernels(self.depth)[layer])
