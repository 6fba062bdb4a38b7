"""minGRU language model in the residual stack (Feng et al. 2024, arXiv:2410.01201): a GRU with no state in its gate.

The gate is the clock of Tallec and Ollivier (2018, arXiv:1804.11188, equation 8), one for each unit, and reads the input alone.
Departs from the paper in the pre-norm residual equation that all families here share, without its convolution of four taps and
its expansion of the state; the candidate is linear, as in the paper's equations, not made positive as in its code by logarithms.
"""

from typing import ClassVar

from allometry.flow import IO, Tokens
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.minimal_gated_recurrence import MinimalGatedRecurrence


class MinGru(SequenceFamily):
    """mixer = minGRU with an output projection; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens,)

    def mixer(self, layer: int) -> Block:
        return MinimalGatedRecurrence(width=self.width)
