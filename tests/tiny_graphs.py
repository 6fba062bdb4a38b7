"""Graph networks of a user's own, small enough to train in a test: encode, two steps of one core, decode."""

import torch
from torch import nn

from allometry import Family, Graph, GraphBlock
from allometry.flow import Graphs
from allometry.model.graph_network._update import Mlp


class Reasoner(Family):
    """Widths of what is read are left to the first call."""

    kinds = (Graphs,)
    depth: int = 2  # steps

    def build(self, io: Graphs) -> nn.Module:
        return _Reasoner(io, self.width, self.depth)


class Sized(Reasoner):
    """The same with every width said, so that it has a size before it is called."""

    def build(self, io: Graphs) -> nn.Module:
        return _Reasoner(io, self.width, self.depth, lazy=False)


class Stepwise(Reasoner):
    """The same, that answers after each step while it trains."""

    def build(self, io: Graphs) -> nn.Module:
        return _Reasoner(io, self.width, self.depth, every=True)


class _Reasoner(nn.Module):
    def __init__(self, io: Graphs, width: int, steps: int, every: bool = False, lazy: bool = True) -> None:
        super().__init__()
        widths = (io.edges, io.nodes, 3 * width + io.globals, 2 * width + io.globals)
        of_edge, of_node, edge, node = (
            Mlp([width], 0 if lazy else inputs, last=True, norm=place > 1) for place, inputs in enumerate(widths)
        )
        self.encode = GraphBlock(edge=of_edge, node=of_node, edge_reads=("edges",), node_reads=("nodes",))
        self.core = GraphBlock(edge=edge, node=node)
        asked = {"nodes": io.of_nodes, "edges": io.of_edges}
        self.answer = nn.ModuleDict({f"of_{name}": nn.Linear(width, outputs) for name, outputs in asked.items() if outputs})
        self.steps, self.every = steps, every

    def forward(self, graph: Graph) -> Graph | list[Graph]:
        state, answers = self.encode(graph), []
        for _ in range(self.steps):
            state = self.core(state)
            features = {
                name: self.answer[f"of_{name}"](getattr(state, name)) if f"of_{name}" in self.answer else None
                for name in ("nodes", "edges")
            }
            answers.append(state.edit(globals=None, **features))
        return answers if self.training and self.every else answers[-1]


class Edgeless(Reasoner):
    """Forgets the edges that it is asked for."""

    def build(self, io: Graphs) -> nn.Module:
        return _Reasoner(io.edit(of_edges=0), self.width, self.depth)


class Turned(Reasoner):
    """Answers with every edge turned round."""

    def build(self, io: Graphs) -> nn.Module:
        return _Turned(io, self.width, self.depth)


class _Turned(_Reasoner):
    def forward(self, graph: Graph) -> Graph:
        from allometry.graph import Wiring

        wiring = Wiring(graph.receivers, graph.senders, graph.n_node, graph.n_edge)
        answer = super().forward(graph)
        return Graph(wiring, nodes=answer.nodes, edges=answer.edges)


class Flat(Reasoner):
    """Answers with a tensor."""

    def build(self, io: Graphs) -> nn.Module:
        return _Flat(io.nodes, io.of_nodes)


class _Flat(nn.Linear):
    def forward(self, graph: Graph) -> torch.Tensor:
        return super().forward(graph.nodes)
