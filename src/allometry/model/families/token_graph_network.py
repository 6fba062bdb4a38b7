"""Graph network on sequences: tokens are nodes, and edges lead from the past (Battaglia et al. 2018, arXiv:1806.01261).

Message passing along the edges of a chain, of a window or of all pairs moves information between positions; the node's function,
a feed-forward part, acts within one. A layer is one step, with weights of its own; information moves over at most the window in
each. Departs from the full block in what sequences ask: no globals, which would tell a position of those behind it, and edges
whose attribute is the distance and stays. In the pre-norm residual equation that all families here share. `graph_network` is the
family for graphs.
"""

from typing import ClassVar

from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.message_passing import MessagePassing


class TokenGraphNetwork(SequenceFamily):
    """mixer = message passing; channel = GELU feed-forward."""

    # Of the window that stands below. With `complete` edges it sees the whole past in each layer, and its state grows with it.
    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "fixed_state"})

    heads: int
    edges: str = "window:8"  # chain | window:<positions> | complete
    reduce: str = "attention"  # attention | mean

    def mixer(self, layer: int) -> Block:
        return MessagePassing(width=self.width, heads=self.heads, edges=self.edges, reduce=self.reduce)
