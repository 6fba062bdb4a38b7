"""Plain recurrent language model in the residual stack (Elman 1990; equation 2 of arXiv:1804.11188).

A state that is made anew at every position moves information between positions; a feed-forward part acts within one. It is the
class that no change of the speed of time leaves as it is. Departs from bare stacked layers as the LSTM family does.
"""

from typing import ClassVar

from allometry.flow import IO, Tokens
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.recurrence import Recurrence


class Rnn(SequenceFamily):
    """mixer = recurrence with an output projection; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens,)

    def mixer(self, layer: int) -> Block:
        return Recurrence(width=self.width)
