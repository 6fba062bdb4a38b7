"""Families that stand beside the graph network on relational tasks: what they share.

```text
read    a linear layer of nodes, of edges, of graphs
body    what the family is: states of nodes, edges and whole graphs, each of the width
answer  node   perceptron [node, graph]                         and a linear layer for what is asked
        edge   perceptron [edge, receiver, sender, graph]
        graph  perceptron [graph]
```

Perceptrons are those of the graph network. Sizes are matched by what stands between the layers that read and those that answer,
so that a size is one model on all data, as everywhere. Where a layer reads a whole graph at once (`padded_mlp`, the rows of
`node_rnn`) it has weights for each of its places, which are not among the matched: that favours the family.
`closed_form(io).parameters` has all.
"""

from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from allometry.flow import IO, Graphs
from allometry.graph import Graph
from allometry.model._family import ClosedForm, Family
from allometry.model._tally import Tally, form_of
from allometry.model.blocks._linear import Reading
from allometry.model.graph_network._beside import filled
from allometry.model.graph_network._projection import Input
from allometry.model.graph_network.encode_process_decode import perceptron


class States(NamedTuple):
    """What a body gives, of the width. Edges may be None where they are not asked."""

    nodes: Float[Tensor, "nodes width"]
    edges: Float[Tensor, "edges width"] | None
    globals: Float[Tensor, "graphs width"]


class RelationalFamily(Family):
    """A family states its body and what it costs; it reads and answers as the others do."""

    claims: ClassVar[frozenset[str]] = frozenset({"any_length", "equivariant"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Graphs,)

    def body(self, io: Graphs) -> nn.Module:
        """`Graph` -> `States`. The graph has all features: a single 1 stands where an IO has none."""
        raise NotImplementedError

    def count(self, io: Graphs, tally: Tally) -> None:
        """Add what the body costs on one graph of `io.length` nodes and `io.links` edges."""
        raise NotImplementedError

    def build(self, io: IO) -> nn.Module:
        """`Graph` -> `Graph` of logits or numbers, None where nothing is asked."""
        self.check(io)
        assert isinstance(io, Graphs)
        return Relational(io, self.width, self.depth, self.body(io))

    def closed_form(self, io: IO) -> ClosedForm | None:
        """Of an answer to one graph of the usual size; a token is a node."""
        self.check(io)
        assert isinstance(io, Graphs)
        tally, nodes, edges, width = Tally(), io.length, io.links, self.width
        self.count(io, tally)
        reads = {"nodes": (nodes, 1), "edges": (edges, nodes, nodes, 1), "globals": (1,)}
        rows = {"nodes": nodes, "edges": edges, "globals": 1}
        for name, outputs in io.asked.items():
            tally.perceptron(rows[name], width, self.depth, reads[name])
            tally.linear(rows[name], width, outputs, end=True)
        return form_of(tally, io)


def ends_of(model: nn.Module, outputs: nn.Module) -> dict[str, nn.Module]:
    """The layers that depend on what is read and asked, by name."""
    answering = {id(layer) for layer in outputs.children()}
    return {name: module for name, module in model.named_modules() if isinstance(module, Reading) or id(module) in answering}


class Read(nn.Module):
    """A linear layer of each feature, of edges where they are asked."""

    def __init__(self, io: Graphs, width: int) -> None:
        super().__init__()
        self.nodes, self.globals = Reading(io.nodes or 1, width), Reading(io.globals or 1, width)
        self.edges = Reading(io.edges or 1, width) if io.of_edges else None

    def forward(self, graph: Graph) -> States:
        return States(self.nodes(graph.nodes), self.edges and self.edges(graph.edges), self.globals(graph.globals))

    @staticmethod
    def count(io: Graphs, width: int, tally: Tally) -> None:
        tally.linear(io.length, io.nodes or 1, width, end=True)
        tally.linear(1, io.globals or 1, width, end=True)
        if io.of_edges:
            tally.linear(io.links, io.edges or 1, width, end=True)


class Relational(nn.Module):
    """The module: a body, and the answers from its states."""

    def __init__(self, io: Graphs, width: int, layers: int, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        inputs = {"nodes": 2 * width, "edges": 4 * width, "globals": width}
        self.decoders = nn.ModuleDict({f"of_{name}": perceptron(width, layers, inputs[name]) for name in io.asked})
        self.outputs = nn.ModuleDict({f"of_{name}": nn.Linear(width, outputs) for name, outputs in io.asked.items()})

    def forward(self, graph: Graph) -> Graph:
        states, wiring = self.body(filled(graph)), graph.wiring
        whole = states.globals
        reads = {
            "nodes": [Input("nodes", states.nodes), Input("globals", whole, wiring.nodes_of)],
            "edges": [
                Input("edges", states.edges),
                Input("receivers", states.nodes, wiring.received),
                Input("senders", states.nodes, wiring.sent),
                Input("globals", whole, wiring.edges_of),
            ],
            "globals": [Input("globals", whole)],
        }
        answers = {
            name: self.outputs[f"of_{name}"](self.decoders[f"of_{name}"](read))
            for name, read in reads.items()
            if f"of_{name}" in self.decoders
        }
        return graph.answering(**answers)

    def ends(self) -> dict[str, nn.Module]:
        """The layers that depend on what is read and asked."""
        return ends_of(self, self.outputs)
