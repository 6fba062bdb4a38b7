"""Gated recurrent language model in the residual stack (Tallec and Ollivier 2018, arXiv:1804.11188, equations 8 and 10).

A state of which a gate says how much is kept moves information between positions; a feed-forward part acts within one. With a
gate for each unit it is an LSTM whose input and forget gates are tied and which has no output gate. Departs from bare stacked
layers as the LSTM family does.
"""

from typing import ClassVar

from allometry.flow import IO, Tokens
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.gated_recurrence import GatedRecurrence


class GatedRnn(SequenceFamily):
    """mixer = gated recurrence with an output projection; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens,)

    gate: str = "each"  # each: a gate for each unit | one: a gate for all of them

    def mixer(self, layer: int) -> Block:
        return GatedRecurrence(width=self.width, gate=self.gate)
