"""Transformer, decoder only: pre-norm, RMSNorm, rotary positions, GELU (Vaswani et al. 2017, arXiv:1706.03762, modernised).

Attention moves information between positions, a feed-forward part acts within one. Departs from the original in what is
usual today: norm before each part, no biases, rotary positions instead of sinusoids, embedding not tied.
"""

from typing import ClassVar

from allometry.flow import IO
from allometry.model._family import ClosedForm, heads_for
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.attention import Attention


class Transformer(SequenceFamily):
    """mixer = softmax attention; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past"})
    grain: ClassVar[int] = 2  # rotary positions turn pairs of channels

    heads: int

    @classmethod
    def shape(cls, width: int, depth: int) -> dict[str, int]:
        return {"width": width, "depth": depth, "heads": heads_for(width)}

    def mixer(self, layer: int) -> Block:
        return Attention(width=self.width, heads=self.heads)

    def closed_form(self, io: IO) -> ClosedForm:
        """A layer has 12 width^2 weights and 2 width scales; attention adds 4 length width FLOPs per token and layer."""
        layer = 12 * self.width**2
        non_embedding = self.depth * (layer + 2 * self.width) + self.width
        return ClosedForm(
            parameters=non_embedding + 2 * io.vocab * self.width,
            non_embedding_parameters=non_embedding,
            forward_flops_per_token=self.depth * (2 * layer + 4 * io.length * self.width) + 2 * self.width * io.vocab,
            state_numbers=self.depth * 2 * io.length * self.width,  # keys and values of the whole past
        )
