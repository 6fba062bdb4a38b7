"""sLSTM language model in the residual stack (Beck et al. 2024, arXiv:2405.04517): LSTMs with exponential input gates.

A running average whose weights are exponentials moves information between positions; a feed-forward part acts within one. Departs
from the paper's blocks in the pre-norm residual equation that all families here share, so that a comparison with another family is
a comparison of mixers: `scalar_memory.py` says what of the blocks is left out.
"""

from typing import ClassVar

from allometry.flow import IO, Tokens
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.scalar_memory import ScalarMemory


class Slstm(SequenceFamily):
    """mixer = sLSTM with an output projection; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens,)

    heads: int
    forget: str = "sigmoid"  # sigmoid | exponential: what keeps the state

    def mixer(self, layer: int) -> Block:
        place = layer / max(1, self.depth - 1)
        return ScalarMemory(width=self.width, heads=self.heads, forget=self.forget, place=place)
