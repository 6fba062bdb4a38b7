"""Lightweight-convolution language model (Wu et al. 2019, arXiv:1901.10430): short normalised filters in place of attention.

A causal filter per head moves information between positions, over at most `sum(kernel - 1)` of them; a feed-forward part acts
within one. It has no positions: a filter knows distance by its taps. The original's kernels 3, 7, 15, 31, 31, ... are kept
for its depth of six; a shallower model takes the longer end of that row, so that its reach does not vanish.
"""

from typing import ClassVar

from allometry.flow import IO
from allometry.model._family import ClosedForm, heads_for
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

    @classmethod
    def shape(cls, width: int, depth: int) -> dict[str, int]:
        return {"width": width, "depth": depth, "heads": heads_for(width)}

    def mixer(self, layer: int) -> Block:
        return Convolution(width=self.width, heads=self.heads, kernel=kernels(self.depth)[layer])

    def closed_form(self, io: IO) -> ClosedForm:
        """A layer has 11 width^2 weights, heads * kernel taps and 2 width scales."""
        layer = 11 * self.width**2
        taps = sum(kernels(self.depth))
        non_embedding = self.depth * (layer + 2 * self.width) + self.heads * taps + self.width
        flops = self.depth * 2 * layer + 2 * taps * self.width
        return ClosedForm(
            parameters=non_embedding + 2 * io.vocab * self.width,
            non_embedding_parameters=non_embedding,
            forward_flops_per_token=flops + 2 * self.width * io.vocab,
            state_numbers=(taps - self.depth) * self.width,  # the inputs that later outputs still see
        )
