"""Universal Transformer with a fixed number of steps (Dehghani et al. 2018, arXiv:1807.03819): one layer, applied `depth` times.

Before every step the layer is told where and when it is, by a sinusoid of the position and one of the step that are added to
the state; attention has no positions besides. Attention moves information between positions, a feed-forward part acts within
one; an encoder and a decoder have a layer each. Departs from the original in the norm before each part instead of after it,
as Tensor2Tensor's version has it, in a GELU transition, in no biases, and in
signals of half the size, as embeddings have half the size here.
"""

from typing import ClassVar

from torch import nn

from allometry.model._layers import Parts
from allometry.model._sharing import SharingFamily
from allometry.model._timing import Timing
from allometry.model.blocks._block import Block
from allometry.model.blocks.attention import Attention


class UniversalTransformer(SharingFamily):
    """mixer = softmax attention, channel = GELU feed-forward, the same in every step; timing signals before each step."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past"})
    grain: ClassVar[int] = 2  # a sine and a cosine for each frequency

    heads: int

    def mixer(self, layer: int) -> Block:
        return Attention(width=self.width, heads=self.heads, positions="none")

    def layers(self, each: list[Parts], causal: bool) -> list[nn.Module]:
        steps = enumerate(super().layers(each, causal), 1)
        return [module for step, layer in steps for module in (Timing(self.width, step), layer)]
