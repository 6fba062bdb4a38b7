"""LSTM language model in the residual stack (Hochreiter and Schmidhuber 1997), with the fused kernel of torch.nn.LSTM.

A gated recurrence moves information between positions through a state of fixed size; a feed-forward part acts within one.
Departs from the classical stack of bare LSTM layers in the pre-norm residual equation that all families here share, so that
a comparison with another family is a comparison of mixers.
"""

from typing import ClassVar

from allometry.flow import IO
from allometry.model._family import ClosedForm
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.long_short_term_memory import LongShortTermMemory


class Lstm(SequenceFamily):
    """mixer = LSTM with an output projection; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})

    def mixer(self, layer: int) -> Block:
        return LongShortTermMemory(width=self.width)

    def closed_form(self, io: IO) -> ClosedForm:
        """A layer has 17 width^2 weights (8 in the gates, 1 out of them, 8 in the feed-forward), 4 width biases, 2 width scales."""
        layer = 17 * self.width**2
        non_embedding = self.depth * (layer + 6 * self.width) + self.width
        return ClosedForm(
            parameters=non_embedding + 2 * io.vocab * self.width,
            non_embedding_parameters=non_embedding,
            forward_flops_per_token=self.depth * 2 * layer + 2 * self.width * io.vocab,
            state_numbers=self.depth * 2 * self.width,
        )
