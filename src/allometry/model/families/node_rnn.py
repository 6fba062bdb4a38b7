"""LSTM over the nodes of a graph in the order in which they are given, both ways (You et al. 2018, arXiv:1802.08773, their rows).

At each node it reads the node's features and its row of the adjacency: for the node before it, for that two before, and so on,
and after it, how many edges come and go and the sum of their features. Rows count from the node itself, so that the rule is the
same at every step (Battaglia et al. 2018, arXiv:1806.01261, table 1, recurrent); they reach over `room` nodes, and a graph of
more is refused. Departs from the source, which generates graphs, in the second direction and in reading all of a row. Residual,
with a norm before each layer, as the sequence families. Nodes in another order in each example (`relabel` of a graph task) teach
that the order is none.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.flow import Graphs
from allometry.graph import Graph, Groups
from allometry.model._node_pairs import joined
from allometry.model._padded import Padded, fitting
from allometry.model._relational import Read, RelationalFamily, States
from allometry.model._tally import Tally
from allometry.model.blocks._block import spread
from allometry.model.blocks._linear import Linear, Reading
from allometry.model.blocks._norm import RMSNorm
from allometry.model.blocks.long_short_term_memory import one_bias, states
from allometry.model.graph_network import _sum
from allometry.model.graph_network._reduce import mean


class NodeRnn(RelationalFamily):
    """x <- x + out [forth(norm x), back(norm x)], layer after layer, along the nodes."""

    claims: ClassVar[frozenset[str]] = frozenset()

    room: int = 0  # nodes; 0: those of the IO's usual size, the most of a task

    def body(self, io: Graphs) -> nn.Module:
        return _NodeRnn(self, io)

    def count(self, io: Graphs, tally: Tally) -> None:
        nodes, width = io.length, self.width
        Read.count(io, width, tally)
        tally.linear(nodes, _row(io, self.room or nodes), width, end=True)
        for _ in range(self.depth):
            tally.weights(width)
            for _ in range(2):
                tally.linear(nodes, 2 * width, 4 * width)
            tally.linear(nodes, 2 * width, width, bias=False)
        tally.weights(width)


def _row(io: Graphs, room: int) -> int:
    """Numbers in a row: for each distance, those of edges that come and of edges that go."""
    return 2 * (2 * room - 1) * (1 + (io.edges or 1))


class _NodeRnn(nn.Module):
    def __init__(self, spec: NodeRnn, io: Graphs) -> None:
        super().__init__()
        self.room = spec.room or io.length
        self.read, self.read_rows = Read(io, spec.width), Reading(_row(io, self.room), spec.width)
        self.layers = nn.ModuleList(_Layer(spec.width, spec.depth) for _ in range(spec.depth))
        self.norm = RMSNorm(spec.width)

    def forward(self, graph: Graph) -> States:
        fitting(graph.wiring, self.room, "node_rnn")
        read, padded = self.read(graph), Padded.of(graph.wiring)
        nodes = read.nodes + self.read_rows(self._rows(graph, padded)) + _sum.spread(read.globals, graph.wiring.nodes_of)
        last = (graph.n_node - 1).index_select(0, padded.graph)
        turned = padded._replace(place=last - padded.place)
        x = padded.filled(nodes)
        for layer in self.layers if padded.graphs else ():
            x = layer(x, padded, turned)
        nodes = self.norm(x)[padded.graph, padded.place]
        return States(nodes, read.edges, mean(nodes, graph.wiring.nodes_of) + read.globals)

    def _rows(self, graph: Graph, padded: Padded) -> Float[Tensor, "nodes row"]:
        wiring, many = graph.wiring, 2 * self.room - 1
        away = padded.place[wiring.senders] - padded.place[wiring.receivers]
        comes = (wiring.receivers * many + away + self.room - 1) * 2
        goes = (wiring.senders * many - away + self.room - 1) * 2 + 1
        rows = _sum.summed(joined(graph).repeat(2, 1), Groups(torch.cat([comes, goes]), wiring.nodes * many * 2))
        return rows.view(wiring.nodes, many * 2 * rows.shape[1])


class _Layer(nn.Module):
    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.norm = RMSNorm(width)
        self.forth, self.back = one_bias(width, width), one_bias(width, width)
        self.out = Linear(2 * width, width)
        spread(self.out.weight, 2 * width, outputs)

    def forward(
        self, x: Float[Tensor, "graphs length width"], padded: Padded, turned: Padded
    ) -> Float[Tensor, "graphs length width"]:
        """What stands behind the last node of a graph is read after it, and so moves nothing."""
        normed = self.norm(x)
        rows = normed[padded.graph, padded.place]
        forth, back = states(self.forth, normed), states(self.back, turned.filled(rows))
        both = torch.cat([forth[padded.graph, padded.place], back[turned.graph, turned.place]], -1)
        return x + padded.filled(self.out(both))
