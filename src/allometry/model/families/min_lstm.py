"""minLSTM language model in the residual stack (Feng et al. 2024, arXiv:2410.01201): an LSTM with no state in its gates.

Forget and input gate are divided by their sum, so that the state is an average of candidates, and there is no output gate.
Departs from the paper as `min_gru.py` does.
"""

from typing import ClassVar

from allometry.flow import IO, Tokens
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.minimal_long_short_term_memory import MinimalLongShortTermMemory


class MinLstm(SequenceFamily):
    """mixer = minLSTM with an output projection; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens,)

    def mixer(self, layer: int) -> Block:
        return MinimalLongShortTermMemory(width=self.width)
