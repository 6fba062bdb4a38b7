"""GEGLU transformer (Shazeer 2020, arXiv:2002.05202): the transformer with a gated feed-forward part, gated by GELU.

The "GLU-Transformer" of Tay et al. 2022, in the form of T5 1.1: GELU is the tanh approximation, and two thirds of the hidden
units give the three matrices the parameters and the FLOPs of the transformer's two. Departs from T5 in the stack, which is
that of the `transformer` family here, so that the two differ in the gate alone.
"""

from allometry.model._attention import AttentionFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.gated_feed_forward import GatedFeedForward, matched_hidden


class GegluTransformer(AttentionFamily):
    """mixer = softmax attention; channel = feed-forward gated by GELU."""

    def channel(self, layer: int) -> Block:
        return GatedFeedForward(width=self.width, hidden=matched_hidden(self.width), activation="gelu")
