"""Mamba-2 language model (Dao and Gu 2024, arXiv:2405.21060): a stack of selective state spaces, and nothing else.

A state of fixed size, which each head forgets at a rate that the input sets, moves information between positions; the same part
has twice the width inside and a gate, so that there is none for a single position. As published: inside twice the width, heads
of 64 channels, states of 64 and 128 numbers. Narrow models here have narrower heads and smaller states, so that there are
several clocks and the states do not take most of the parameters. Departs from the published models in the step (see the block)
and in an output layer of its own, as all families here.
"""

from typing import ClassVar

from allometry.flow import IO, Tokens
from allometry.model._layers import Parts
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.selective_state_space import SelectiveStateSpace

EXPANSION = 2


class Mamba2(SequenceFamily):
    """mixer = selective state space; no channel part."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens,)

    heads: int
    state: int

    @classmethod
    def shape(cls, width: int, depth: int) -> dict[str, int]:
        """Heads near 16, 32 or 64 channels wide, and states of 16 to 128 numbers, as the width grows."""
        inner, head = EXPANSION * width, 16 if width < 128 else 32 if width < 256 else 64
        heads = next(n for n in range(max(1, inner // head), 0, -1) if inner % n == 0)
        return {"width": width, "depth": depth, "heads": heads, "state": head if width < 768 else 128}

    def mixer(self, layer: int) -> Block:
        return SelectiveStateSpace(width=self.width, inner=EXPANSION * self.width, heads=self.heads, state=self.state)

    def decoder_parts(self, layer: int, crossing: bool) -> Parts:
        """The mixer alone."""
        return {"mixer": self.mixer(layer)}
