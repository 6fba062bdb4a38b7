"""A network of bodies for studies/relations.py: an interaction network (Battaglia et al. 2016, arXiv:1612.00222) that answers forces.

In a file of its own, as networks keep their runs as long as their file is what it was.
"""

import torch
from torch import Tensor, nn

from allometry import Family, Graph, GraphBlock, graph_networks
from allometry.flow import IO, Graphs


class InteractionNetwork(Family):
    """An edge is a force between two bodies, a body sums what it receives; it answers by how much its velocity changes.

    Perceptrons have `depth` layers of `width` and one more. What they read is centred and scaled by numbers that are given.
    """

    kinds = (Graphs,)

    message: int = 16  # numbers of a force
    centre: tuple[float, ...] = ()  # of nodes, edges and globals, after one another; none: 0
    spread: tuple[float, ...] = ()  # none: 1

    def build(self, io: IO) -> nn.Module:
        assert isinstance(io, Graphs)
        return _Network(self, io)


class _Network(nn.Module):
    def __init__(self, family: InteractionNetwork, io: Graphs) -> None:
        super().__init__()
        widths, hidden, perceptron = (io.nodes, io.edges, io.globals), [family.width] * family.depth, graph_networks.Mlp
        self.block = GraphBlock(
            edge=perceptron([*hidden, family.message], io.edges + 2 * io.nodes + io.globals, activation="silu"),
            node=perceptron([*hidden, io.of_nodes], family.message + io.nodes + io.globals, activation="silu"),
        )
        self.centre, self.spread = (
            (given or (level,) * sum(widths)) for given, level in ((family.centre, 0.0), (family.spread, 1.0))
        )
        self.widths = widths

    def forward(self, graph: Graph) -> Graph:
        scaled = dict(zip(("nodes", "edges", "globals"), self._scaled(graph), strict=True))
        change = self.block(graph.edit(**scaled)).nodes
        assert graph.nodes is not None
        return graph.edit(nodes=graph.nodes[:, 2:4] + change, edges=None, globals=None)

    def _scaled(self, graph: Graph) -> list[Tensor]:
        first, found = 0, []
        for width, value in zip(self.widths, (graph.nodes, graph.edges, graph.globals), strict=True):
            assert value is not None
            centre, spread = (torch.tensor(each[first : first + width]).to(value) for each in (self.centre, self.spread))
            found.append((value - centre) / spread)
            first += width
        return found
