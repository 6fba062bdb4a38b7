"""All pairs of nodes of each graph, joined or not, and what is known of a pair: how many edges join it, and their sum."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from allometry.graph import Graph, Groups
from allometry.model.graph_network._sum import summed


class NodePairs(NamedTuple):
    """All pairs of nodes of each graph, those of a node with itself too, in the order of their receivers."""

    received: Groups
    sent: Groups
    of: Groups  # by their graph
    joined: Float[Tensor, "pairs channels"]  # how many edges join a pair, and the sum of their features
    edges: Groups  # edges by their pair

    @classmethod
    def of_graph(cls, graph: Graph) -> "NodePairs":
        wiring = graph.wiring
        size = wiring.n_node[wiring.nodes_of.index]  # of the graph of each node
        receivers = torch.arange(wiring.nodes, device=size.device).repeat_interleave(size)
        before = size.cumsum(0) - size  # pairs of the receivers before this one
        first = wiring.nodes_of.starts[:-1][wiring.nodes_of.index]  # the first node of a node's graph
        senders = torch.arange(len(receivers), device=size.device) - before[receivers] + first[receivers]
        edges = Groups(before[wiring.receivers] + wiring.senders - first[wiring.receivers], len(receivers))
        return cls(
            Groups(receivers, wiring.nodes),
            Groups(senders, wiring.nodes),
            Groups(wiring.nodes_of.index[receivers], wiring.graphs),
            summed(joined(graph), edges),
            edges,
        )


def joined(graph: Graph) -> Float[Tensor, "edges channels"]:
    """A 1 for each edge, beside its features."""
    assert graph.edges is not None
    return torch.cat([torch.ones_like(graph.edges[:, :1]), graph.edges], 1)
