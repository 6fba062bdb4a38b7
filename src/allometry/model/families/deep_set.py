"""Deep set: nodes alone, and what is pooled of them (Zaheer et al. 2017, arXiv:1703.06114).

Each node goes through one perceptron, their sum through another, and answers are read from a node, or the two of an edge, and the
sum. It does not see who is joined to whom: an edge is known by its own features and its ends when it is asked, and not before.
"""

from torch import nn

from allometry.flow import Graphs
from allometry.graph import Graph
from allometry.model._options import known
from allometry.model._relational import Read, RelationalFamily, States
from allometry.model._tally import Tally
from allometry.model.graph_network._projection import Input
from allometry.model.graph_network._reduce import REDUCERS, reducer
from allometry.model.graph_network.encode_process_decode import perceptron


class DeepSet(RelationalFamily):
    """h_i = each(v_i); u' = whole(sum of h, u)."""

    reduce: str = "sum"  # sum | mean | max | min | std | softmax

    def __post_init__(self) -> None:
        super().__post_init__()
        known(self, reduce=tuple(REDUCERS))

    def body(self, io: Graphs) -> nn.Module:
        return _DeepSet(self, io)

    def count(self, io: Graphs, tally: Tally) -> None:
        Read.count(io, self.width, tally)
        tally.perceptron(io.length, self.width, self.depth, (io.length,))
        tally.perceptron(1, self.width, self.depth, (1, 1))


class _DeepSet(nn.Module):
    def __init__(self, spec: DeepSet, io: Graphs) -> None:
        super().__init__()
        self.read = Read(io, spec.width)
        self.each = perceptron(spec.width, spec.depth, spec.width)
        self.whole = perceptron(spec.width, spec.depth, 2 * spec.width)
        self.reduce = reducer(spec.reduce)

    def forward(self, graph: Graph) -> States:
        read = self.read(graph)
        nodes = self.each([Input("nodes", read.nodes)])
        pooled = self.reduce(nodes, graph.wiring.nodes_of)
        return States(nodes, read.edges, self.whole([Input("of_nodes", pooled), Input("globals", read.globals)]))
