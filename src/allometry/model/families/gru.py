"""GRU language model in the residual stack (Cho et al. 2014, arXiv:1406.1078).

A gated recurrence moves information between positions through a state of fixed size; a feed-forward part acts within one. Departs
from bare stacked layers as the LSTM family does.
"""

from typing import ClassVar

from allometry.flow import IO, Tokens
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.gated_recurrent_unit import GatedRecurrentUnit


class Gru(SequenceFamily):
    """mixer = GRU with an output projection; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens,)

    def mixer(self, layer: int) -> Block:
        return GatedRecurrentUnit(width=self.width)
