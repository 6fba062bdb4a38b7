"""MLP on a whole graph as one vector: for `room` nodes and all their pairs, filled up with zeros.

```text
node in place i    1, its features          0 where there is none
pair i, j          how many edges join it, the sum of their features
graph              its features
```

Everything is read at once and every answer is an output of its own, so that each place has its own weights: nothing is shared,
and no order of the nodes is like another (Battaglia et al. 2018, arXiv:1806.01261, table 1, fully connected). A graph of more
nodes than the room is refused. For larger graphs at the test take their room: what is learned from small ones then stands beside
weights that never learned. Nodes in another order in each example (`relabel` of a graph task) teach what the others are built
with.

The layers that read and answer have room^2 inputs and outputs and are not among the matched parameters (`_relational.py`).
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from allometry.flow import IO, Graphs
from allometry.graph import Graph, Groups
from allometry.model._family import ClosedForm
from allometry.model._padded import Padded, fitting
from allometry.model._relational import RelationalFamily, ends_of
from allometry.model._tally import Tally, form_of
from allometry.model.blocks._linear import Reading
from allometry.model.graph_network._beside import filled
from allometry.model.graph_network._projection import Input
from allometry.model.graph_network._sum import spread
from allometry.model.graph_network.encode_process_decode import perceptron


class PaddedMlp(RelationalFamily):
    """answers = output(perceptron(ReLU(read(nodes, pairs, graph)))), of all places together."""

    claims: ClassVar[frozenset[str]] = frozenset()

    room: int = 0  # nodes; 0: those of the IO's usual size, the most of a task

    def build(self, io: IO) -> nn.Module:
        self.check(io)
        assert isinstance(io, Graphs)
        return _PaddedMlp(self, io)

    def closed_form(self, io: IO) -> ClosedForm | None:
        self.check(io)
        assert isinstance(io, Graphs)
        tally, room = Tally(), self.room or io.length
        tally.linear(1, _inputs(io, room), self.width, end=True)
        tally.perceptron(1, self.width, self.depth, (1,))
        for outputs in _outputs(io, room).values():
            tally.linear(1, self.width, outputs, end=True)
        return form_of(tally, io)


def _inputs(io: Graphs, room: int) -> int:
    return room * (1 + (io.nodes or 1)) + room**2 * (1 + (io.edges or 1)) + (io.globals or 1)


def _outputs(io: Graphs, room: int) -> dict[str, int]:
    places = {"nodes": room, "edges": room**2, "globals": 1}
    return {name: places[name] * outputs for name, outputs in io.asked.items()}


class _PaddedMlp(nn.Module):
    def __init__(self, spec: PaddedMlp, io: Graphs) -> None:
        super().__init__()
        self.room, self.asked = spec.room or io.length, io.asked
        self.read = Reading(_inputs(io, self.room), spec.width)
        self.inside = perceptron(spec.width, spec.depth, spec.width)
        self.outputs = nn.ModuleDict({
            f"of_{name}": nn.Linear(spec.width, outputs) for name, outputs in _outputs(io, self.room).items()
        })  # fmt: skip

    def forward(self, graph: Graph) -> Graph:
        fitting(graph.wiring, self.room, "padded_mlp")
        full, padded = filled(graph), Padded.of(graph.wiring, self.room)
        pair = padded.pair(graph.wiring)
        assert full.nodes is not None
        assert full.globals is not None
        nodes = padded.filled(torch.cat([torch.ones_like(full.nodes[:, :1]), full.nodes], 1))
        together = torch.cat([nodes.flatten(1), padded.pairs(full, pair).flatten(1), full.globals], 1)
        inside = self.inside([Input("together", F.relu(self.read(together)))])
        place = {
            "nodes": Groups(padded.graph * self.room + padded.place, len(graph) * self.room),
            "edges": pair,
            "globals": Groups(torch.arange(len(graph), device=padded.graph.device), len(graph)),
        }
        answers = {
            name: spread(self.outputs[f"of_{name}"](inside).view(place[name].count, outputs), place[name])
            for name, outputs in self.asked.items()
        }
        return graph.answering(**answers)

    def ends(self) -> dict[str, nn.Module]:
        """The layers that depend on what is read and asked."""
        return ends_of(self, self.outputs)
