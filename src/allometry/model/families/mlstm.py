"""mLSTM language model in the residual stack (Beck et al. 2024, arXiv:2405.04517): LSTMs whose cell is a matrix.

A matrix for each head, which stores values under keys and forgets, moves information between positions at a cost linear in the
length; a feed-forward part acts within one. It has no positions: what is older has faded more. Departs from the paper's blocks in
the pre-norm residual equation that all families here share: `matrix_memory.py` says what of the blocks is left out.
"""

from typing import ClassVar

from allometry.flow import IO, Tokens
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.matrix_memory import MatrixMemory


class Mlstm(SequenceFamily):
    """mixer = mLSTM with an output projection; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens,)

    heads: int

    def mixer(self, layer: int) -> Block:
        return MatrixMemory(width=self.width, heads=self.heads)
