"""Blocks without flow between elements: each edge, node and graph has an update of its own attribute alone.

Encoders and decoders are such (graph_nets' GraphIndependent), and so is what carries states from one step to the next: variant (b)
of Battaglia et al. 2018 (arXiv:1806.01261, figure 4), after Sanchez-Gonzalez et al. 2018 (arXiv:1806.01242).
"""

from torch import Tensor, nn

from allometry.flow import Refusal
from allometry.graph import FEATURES, Graph
from allometry.model.graph_network._block import Asked, GraphBlock
from allometry.model.graph_network._projection import Input
from allometry.model.graph_network._update import Recurrent


class Independent(GraphBlock):
    """e' = edge(e), v' = node(v), u' = globals(u). Without its update an attribute stays."""

    def __init__(self, edge: Asked = None, node: Asked = None, globals: Asked = None) -> None:
        super().__init__(edge, node, globals, edge_reads=("edges",), node_reads=("nodes",), globals_reads=("globals",))


class IndependentRecurrent(nn.Module):
    """(output, hidden') = cell(input, hidden) for each edge, node and graph: `Gru` or `Lstm` updates.

    The hidden graph holds states, of an LSTM [h, c]; the output graph what they show, h. An attribute without a cell passes.
    """

    def __init__(
        self, edge: nn.Module | None = None, node: nn.Module | None = None, globals: nn.Module | None = None
    ) -> None:
        super().__init__()
        cells = {name: cell for name, cell in zip(FEATURES, (node, edge, globals), strict=True) if cell is not None}
        for name, cell in cells.items():
            if not isinstance(cell, Recurrent):
                raise Refusal(f"The cell of {name} is {type(cell).__name__}, which has no state. Give a Gru or an Lstm.")
        self.cells = nn.ModuleDict({f"of_{name}": cell for name, cell in cells.items()})

    def start(self, graph: Graph) -> Graph:
        """A hidden graph of zeros, for an input graph."""
        return graph.edit(**{name: _zeros(cell, getattr(graph, name)) for name, cell in self._named()})

    def forward(self, graph: Graph, hidden: Graph | None = None) -> tuple[Graph, Graph]:
        before = self.start(graph) if hidden is None else hidden
        states, shown = {}, {}
        for name, cell in self._named():
            if getattr(graph, name) is None:
                raise Refusal(f"The cell of {name} reads {name}, and the graph has none.")
            states[name] = cell([Input(name, getattr(graph, name))], getattr(before, name))
            shown[name] = states[name][..., : cell.width]
        return graph.edit(**shown), graph.edit(**states)

    def shown(self, hidden: Graph) -> Graph:
        """What a hidden graph shows."""
        return hidden.edit(**{name: getattr(hidden, name)[..., : cell.width] for name, cell in self._named()})

    def _named(self) -> list[tuple[str, Recurrent]]:
        return [(name.removeprefix("of_"), cell) for name, cell in self.cells.items()]  # type: ignore[misc]


def _zeros(cell: Recurrent, rows: Tensor | None) -> Tensor | None:
    return None if rows is None else rows.new_zeros(*rows.shape[:-1], cell.states * cell.width)
