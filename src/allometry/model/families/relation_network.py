"""Relation network: one function of all pairs, summed (Santoro et al. 2017, arXiv:1706.01427).

A pair knows its two nodes, how many edges join them and the sum of their features. With `to="graph"`, as in the paper, all
relations of a graph are summed, so that a node is told nothing of which are its own; an edge that is asked reads its pair. With
`to="nodes"` those that a node receives are summed for it as well (Battaglia et al. 2018, section 2.2: all pairs): a full graph.
"""

from torch import nn

from allometry.flow import Graphs
from allometry.graph import Graph
from allometry.model._node_pairs import NodePairs
from allometry.model._options import known
from allometry.model._relational import Read, RelationalFamily, States
from allometry.model._tally import Tally
from allometry.model.blocks._linear import Reading
from allometry.model.graph_network._projection import Input
from allometry.model.graph_network._reduce import REDUCERS, reducer
from allometry.model.graph_network._sum import spread
from allometry.model.graph_network.encode_process_decode import perceptron

TO = ("graph", "nodes")


class RelationNetwork(RelationalFamily):
    """h_i = each(v_i); r_ij = relation(e_ij, h_i, h_j, u) for all pairs; u' = whole(sum of r, u)."""

    to: str = "graph"  # graph | nodes: of what relations are summed
    reduce: str = "sum"  # sum | mean | max | min | std | softmax

    def __post_init__(self) -> None:
        super().__post_init__()
        known(self, to=TO, reduce=tuple(REDUCERS))

    def body(self, io: Graphs) -> nn.Module:
        return _RelationNetwork(self, io)

    def count(self, io: Graphs, tally: Tally) -> None:
        nodes, pairs = io.length, io.length**2
        Read.count(io.edit(of_edges=0, of_nodes=1), self.width, tally)
        tally.linear(pairs, 1 + (io.edges or 1), self.width, end=True)
        tally.perceptron(nodes, self.width, self.depth, (nodes,))
        tally.perceptron(pairs, self.width, self.depth, (pairs, nodes, nodes, 1))
        tally.perceptron(1, self.width, self.depth, (1, 1))
        if self.to == "nodes":
            tally.perceptron(nodes, self.width, self.depth, (nodes, nodes))


class _RelationNetwork(nn.Module):
    def __init__(self, spec: RelationNetwork, io: Graphs) -> None:
        super().__init__()
        width, layers = spec.width, spec.depth
        self.read = Read(io.edit(of_edges=0, of_nodes=1), width)
        self.read_pairs = Reading(1 + (io.edges or 1), width)
        self.each = perceptron(width, layers, width)
        self.relation = perceptron(width, layers, 4 * width)
        self.whole = perceptron(width, layers, 2 * width)
        self.node = perceptron(width, layers, 2 * width) if spec.to == "nodes" else None
        self.reduce = reducer(spec.reduce)

    def forward(self, graph: Graph) -> States:
        read, pairs = self.read(graph), NodePairs.of_graph(graph)
        nodes = self.each([Input("nodes", read.nodes)])
        relations = self.relation([
            Input("pairs", self.read_pairs(pairs.joined)),
            Input("receivers", nodes, pairs.received),
            Input("senders", nodes, pairs.sent),
            Input("globals", read.globals, pairs.of),
        ])  # fmt: skip
        whole = self.whole([Input("of_pairs", self.reduce(relations, pairs.of)), Input("globals", read.globals)])
        if self.node is not None:
            nodes = self.node([Input("received", self.reduce(relations, pairs.received)), Input("nodes", nodes)])
        return States(nodes, spread(relations, pairs.edges), whole)
