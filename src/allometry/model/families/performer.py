"""Performer, decoder only: the transformer with FAVOR+ kernel attention (Choromanski et al. 2020, arXiv:2009.14794).

Kernel attention moves information between positions at a cost linear in the length; a feed-forward part acts within one.
"""

from typing import ClassVar

from allometry.flow import IO
from allometry.model._family import ClosedForm, heads_for
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.kernel_attention import CHUNK, KernelAttention, feature_count


class Performer(SequenceFamily):
    """mixer = causal kernel attention with head ln(head) random features; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past", "fixed_state"})
    grain: ClassVar[int] = 2  # rotary positions turn pairs of channels

    heads: int

    @classmethod
    def shape(cls, width: int, depth: int) -> dict[str, int]:
        return {"width": width, "depth": depth, "heads": heads_for(width)}

    def mixer(self, layer: int) -> Block:
        return KernelAttention(width=self.width, heads=self.heads)

    def closed_form(self, io: IO) -> ClosedForm:
        """A layer has the transformer's weights; its attention costs what `KernelAttention` says, padded to whole chunks."""
        layer = 12 * self.width**2
        head = self.width // self.heads
        features = feature_count(head)
        chunk = min(CHUNK, io.length)
        padded = -(-io.length // chunk) * chunk / io.length
        kernel = 4 * features * head + padded * (2 * chunk * (features + head + 1) + 4 * features * (head + 1))
        non_embedding = self.depth * (layer + 2 * self.width) + self.width
        return ClosedForm(
            parameters=non_embedding + 2 * io.vocab * self.width,
            non_embedding_parameters=non_embedding,
            forward_flops_per_token=self.depth * (2 * layer + self.heads * kernel) + 2 * self.width * io.vocab,
            state_numbers=self.depth * self.heads * features * (head + 1),
        )
