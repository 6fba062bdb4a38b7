"""SwiGLU transformer (Shazeer 2020, arXiv:2002.05202): the transformer with a gated feed-forward part, gated by SiLU.

The gate of Llama and its kin (SiLU is swish with beta = 1). Two thirds of the hidden units give the three matrices the
parameters and the FLOPs of the transformer's two. The stack is that of the `transformer` family, so that the two differ in
the gate alone.
"""

from allometry.model._attention import AttentionFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.gated_feed_forward import GatedFeedForward, matched_hidden


class SwigluTransformer(AttentionFamily):
    """mixer = softmax attention; channel = feed-forward gated by SiLU."""

    def channel(self, layer: int) -> Block:
        return GatedFeedForward(width=self.width, hidden=matched_hidden(self.width), activation="silu")
