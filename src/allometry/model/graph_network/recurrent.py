"""A recurrent graph network: a graph is read at every step, and a hidden graph is carried (Battaglia et al. 2018, figure 6c).

```text
X_t = encoder(graph_t)
P   = core([X_t, shown(H_t-1)])       `substeps` times, each from the last
H_t = gate(P, H_t-1)                  an LSTM or a GRU for each edge, node and graph; without a gate H_t = P
answer_t = decoder(shown(H_t))
```

The encode-process-decode network is the one without a gate that reads the same graph at every step and starts from H_0 = X.
"""

from collections.abc import Iterable

from torch import nn

from allometry.flow import Refusal
from allometry.graph import FEATURES, Graph
from allometry.model.graph_network._beside import filled
from allometry.model.graph_network.independent import IndependentRecurrent
from allometry.model.graph_network.stack import GraphStack


class RecurrentGraphNetwork(nn.Module):
    """(graph, hidden) -> (answer, hidden'). All graphs of a sequence have one wiring; without `hidden` it starts from zeros."""

    def __init__(
        self,
        encoder: nn.Module,
        core: nn.Module,
        decoder: nn.Module,
        gate: IndependentRecurrent | None = None,
        *,
        substeps: int = 1,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.gate = encoder, decoder, gate
        self.process = GraphStack(core, substeps, skip=True, checkpoint=checkpoint)

    def start(self, encoded: Graph) -> Graph:
        """The hidden graph of zeros, of the widths of the encoded graph."""
        if self.gate is not None:
            return self.gate.start(encoded)
        zeros = {name: value.new_zeros(value.shape) for name in FEATURES if (value := getattr(encoded, name)) is not None}
        return encoded.edit(**zeros)

    def forward(self, graph: Graph, hidden: Graph | None = None) -> tuple[Graph, Graph]:
        encoded = self.encoder(filled(graph))
        before = self.start(encoded) if hidden is None else hidden
        seen = before if self.gate is None else self.gate.shown(before)
        after = self.process(encoded, last=seen)
        if self.gate is None:
            return self.decoder(after), after
        shown, states = self.gate(after, before)
        return self.decoder(shown), states


def unrolled(
    network: RecurrentGraphNetwork, graphs: Iterable[Graph], hidden: Graph | None = None
) -> tuple[list[Graph], Graph]:
    """The answers to a sequence of graphs, and the hidden graph after the last of them."""
    answers = []
    for graph in graphs:
        answer, hidden = network(graph, hidden)
        answers.append(answer)
    if hidden is None:
        raise Refusal("A recurrent graph network was given no graphs and no hidden graph. Give at least one graph.")
    return answers, hidden
