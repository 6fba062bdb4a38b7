"""A network of bodies for studies/graph_demos.py: an interaction network (Battaglia et al. 2016, arXiv:1612.00222).

In a file of its own, as a network keeps its runs as long as its file is what it was.
"""

import torch
from torch import Tensor, nn

from allometry import Family, Graph, GraphBlock, graph_networks
from allometry.flow import IO, Graphs


class InteractionNetwork(Family):
    """An edge is a force between two bodies, a body sums what it receives and answers by how much its velocity changes.

    A force reads where the sender is as seen from the receiver, and the edge: wherever all of them are, it is the same. Perceptrons
    have `depth` layers of `width`, and one that answers. What is read is centred and spread by numbers that are given.
    """

    kinds = (Graphs,)

    message: int = 16  # numbers of a force
    centre: tuple[float, ...] = ()  # of a node without its place, an edge, a graph, after one another; none: 0
    spread: tuple[float, ...] = ()  # of the same; none: 1

    def build(self, io: IO) -> nn.Module:
        assert isinstance(io, Graphs)
        return _Network(self, io)


class _Network(nn.Module):
    def __init__(self, family: InteractionNetwork, io: Graphs) -> None:
        super().__init__()
        self.widths = widths = (io.nodes - 2, io.edges, io.globals)
        hidden, perceptron = [family.width] * family.depth, graph_networks.Mlp
        self.block = GraphBlock(
            edge=perceptron([*hidden, family.message], io.edges + 2, activation="silu"),
            node=perceptron([*hidden, io.of_nodes], family.message + widths[0] + io.globals, activation="silu"),
            edge_reads=("edges",),
        )
        self.centre = family.centre or (0.0,) * sum(widths)
        self.spread = family.spread or (1.0,) * sum(widths)

    def forward(self, graph: Graph) -> Graph:
        assert graph.nodes is not None
        place, rest = graph.nodes[:, :2], graph.nodes[:, 2:]
        nodes, edges, whole = self._scaled(rest, graph.edges, graph.globals)
        seen = place.index_select(0, graph.senders) - place.index_select(0, graph.receivers)
        change = self.block(graph.edit(nodes=nodes, edges=torch.cat([edges, seen], 1), globals=whole)).nodes
        return graph.edit(nodes=rest[:, :2] + change, edges=None, globals=None)

    def _scaled(self, *features: Tensor | None) -> list[Tensor]:
        first, found = 0, []
        for width, value in zip(self.widths, features, strict=True):
            assert value is not None
            centre, spread = (value.new_tensor(each[first : first + width]) for each in (self.centre, self.spread))
            found.append((value - centre) / spread)
            first += width
        return found
