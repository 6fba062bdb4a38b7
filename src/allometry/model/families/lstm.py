"""LSTM language model in the residual stack (Hochreiter and Schmidhuber 1997), with the fused kernel of torch.nn.LSTM.

A gated recurrence moves information between positions through a state of fixed size; a feed-forward part acts within one.
Departs from the classical stack of bare LSTM layers in the pre-norm residual equation that all families here share, so that
a comparison with another family is a comparison of mixers.
"""

from typing import ClassVar

from allometry.flow import IO, Tokens
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.long_short_term_memory import LongShortTermMemory


class Lstm(SequenceFamily):
    """mixer = LSTM with an output projection; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens,)

    def mixer(self, layer: int) -> Block:
        return LongShortTermMemory(width=self.width)
