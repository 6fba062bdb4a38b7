"""Transformer over the nodes of a graph, a set to it (Vaswani et al. 2017, arXiv:1706.03762), without positions.

A pair is known by how many edges join it and by the sum of their features, read anew in each layer:

```text
edges="both"  a term in the logit of each head, and one in what it takes (Shaw et al. 2018, arXiv:1803.02155, equations 3 and 4)
edges="bias"  a term in the logit alone (Ying et al. 2021, arXiv:2106.05234, equation 6): where all nodes are alike, who is joined
              to whom is not seen
edges="none"  nodes alone, as a set transformer; an edge is known by its own features when it is asked
```

Pre-norm layers with a GELU feed-forward part, as in the sequence families. Globals are added to each node.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.flow import Graphs
from allometry.graph import Graph
from allometry.model._family import heads_for
from allometry.model._options import known
from allometry.model._padded import Padded
from allometry.model._relational import Read, RelationalFamily, States
from allometry.model._tally import Tally
from allometry.model.blocks._block import spread
from allometry.model.blocks._linear import Linear, Reading
from allometry.model.blocks._norm import RMSNorm
from allometry.model.blocks.feed_forward import FeedForward
from allometry.model.graph_network import _sum
from allometry.model.graph_network._reduce import mean

EDGES = ("both", "bias", "none")


class GraphTransformer(RelationalFamily):
    """x <- x + attention(norm x), with a bias of the edges; x <- x + feed-forward(norm x)."""

    claims = RelationalFamily.claims | {"messages"}

    heads: int
    edges: str = "both"  # both | bias | none

    def __post_init__(self) -> None:
        super().__post_init__()
        known(self, edges=EDGES)

    @classmethod
    def shape(cls, width: int, depth: int) -> dict[str, int]:
        return {"width": width, "depth": depth, "heads": heads_for(width)}

    def body(self, io: Graphs) -> nn.Module:
        return _GraphTransformer(self, io)

    def count(self, io: Graphs, tally: Tally) -> None:
        nodes, width, channels, channel = io.length, self.width, 1 + (io.edges or 1), self.channel.cost(io.length)
        Read.count(io, width, tally)
        for _ in range(self.depth):
            tally.weights(2 * width)
            tally.linear(nodes, width, 3 * width, bias=False)
            tally.linear(nodes, width, width, bias=False)
            tally.flops += 4 * nodes**2 * width
            if self.edges != "none":
                tally.linear(nodes**2, channels, self.heads, end=True)
            if self.edges == "both":
                tally.flops += 2 * nodes**2 * self.heads * channels
                tally.linear(nodes, self.heads * channels, width, end=True)
            tally.weights(channel.parameters)
            tally.flops += channel.flops
        tally.weights(width)

    @property
    def channel(self) -> FeedForward:
        return FeedForward(width=self.width, hidden=4 * self.width)


class _GraphTransformer(nn.Module):
    def __init__(self, spec: GraphTransformer, io: Graphs) -> None:
        super().__init__()
        self.read = Read(io, spec.width)
        self.layers = nn.ModuleList(_Layer(spec, io) for _ in range(spec.depth))
        self.norm = RMSNorm(spec.width)
        self.reads_pairs = spec.edges != "none"

    def forward(self, graph: Graph) -> States:
        read, padded = self.read(graph), Padded.of(graph.wiring)
        x = padded.filled(read.nodes + _sum.spread(read.globals, graph.wiring.nodes_of))
        outside = (1 - padded.mask(x))[:, None, None] * torch.finfo(x.dtype).min
        pairs = padded.pairs(graph, padded.pair(graph.wiring)) if self.reads_pairs else None
        for layer in self.layers:
            x = layer(x, pairs, outside)
        nodes = self.norm(x)[padded.graph, padded.place]
        return States(nodes, read.edges, mean(nodes, graph.wiring.nodes_of) + read.globals)


class _Layer(nn.Module):
    def __init__(self, spec: GraphTransformer, io: Graphs) -> None:
        super().__init__()
        width, outputs = spec.width, 2 * spec.depth
        self.heads = spec.heads
        self.mixer_norm, self.channel_norm = RMSNorm(width), RMSNorm(width)
        self.query_key_value, self.out = Linear(width, 3 * width), Linear(width, width)
        channels = 1 + (io.edges or 1)
        self.bias = Reading(channels, spec.heads) if spec.edges != "none" else None
        self.taken = Reading(spec.heads * channels, width) if spec.edges == "both" else None
        self.channel = spec.channel.build(outputs)
        spread(self.query_key_value.weight, width)
        spread(self.out.weight, width, outputs)

    def forward(
        self,
        x: Float[Tensor, "graphs length width"],
        pairs: Float[Tensor, "graphs length length channels"] | None,
        outside: Float[Tensor, "graphs 1 1 length"],  # very negative where there is no node
    ) -> Float[Tensor, "graphs length width"]:
        parts = self.query_key_value(self.mixer_norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        scores = query @ key.mT * query.shape[-1] ** -0.5 + outside
        if self.bias is not None:
            assert pairs is not None
            scores = scores + self.bias(pairs).permute(0, 3, 1, 2)
        shares = scores.softmax(-1)
        mixed = (shares.to(value.dtype) @ value).transpose(1, 2).flatten(2)
        if self.taken is not None:
            assert pairs is not None
            heard = shares.permute(0, 2, 1, 3) @ pairs.to(shares.dtype)
            mixed = mixed + self.taken(heard.flatten(2).to(pairs.dtype))
        x = x + self.out(mixed)
        return x + self.channel(self.channel_norm(x))
