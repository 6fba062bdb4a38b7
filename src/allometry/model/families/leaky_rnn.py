"""Leaky recurrent language model in the residual stack (Tallec and Ollivier 2018, arXiv:1804.11188, equation 5).

A state of which every unit keeps a fixed share moves information between positions; a feed-forward part acts within one. Departs
from bare stacked layers as the LSTM family does.
"""

from typing import ClassVar

from allometry.flow import IO, Tokens
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.leaky_recurrence import LeakyRecurrence


class LeakyRnn(SequenceFamily):
    """mixer = leaky recurrence with an output projection; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens,)

    def mixer(self, layer: int) -> Block:
        return LeakyRecurrence(width=self.width)
