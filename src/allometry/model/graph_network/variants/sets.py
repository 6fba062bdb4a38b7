"""Networks that read sets: of elements alone, of nodes, of pairs (Battaglia et al. 2018, section 4.2 and appendix)."""

from collections.abc import Sequence

from torch import Tensor, nn

from allometry.graph import Groups
from allometry.model.graph_network._block import Asked, GraphBlock
from allometry.model.graph_network._projection import Input
from allometry.model.graph_network._sum import summed
from allometry.model.graph_network._update import Recurrent, Update, update
from allometry.model.graph_network.independent import Independent


def independent(edge: Asked = None, node: Asked = None, globals: Asked = None) -> GraphBlock:
    """Each element by itself: e' = edge(e), v' = node(v), u' = globals(u)."""
    return Independent(edge, node, globals)


def independent_recurrent(
    edge: Recurrent | None = None, node: Recurrent | None = None, globals: Recurrent | None = None
) -> GraphBlock:
    """The same with memory (Sanchez-Gonzalez et al. 2018, arXiv:1806.01242): h' = cell(x, h), of each element alone.

    The graph that it reads has [x, h] side by side, that which it gives h': `block(graph.edit(nodes=torch.cat([x, h], -1)))`.
    """
    return independent(*(None if cell is None else Beside(cell) for cell in (edge, node, globals)))


def relation_network(edge: Asked, globals: Asked) -> GraphBlock:
    """Santoro et al. 2017 (arXiv:1706.01427): e' = edge(v_r, v_s), u' = globals(sum of e'). The edges are the pairs."""
    return GraphBlock(edge, globals=globals, edge_reads=("receivers", "senders"), globals_reads=("edges",))


def deep_set(node: Asked, globals: Asked) -> GraphBlock:
    """Zaheer et al. 2017 (arXiv:1703.06114): v' = node(v, u), u' = globals(sum of v'). Edges are not read."""
    return GraphBlock(node=node, globals=globals, node_reads=("nodes", "globals"), globals_reads=("nodes",))


def point_net(first: Asked, second: Asked, globals: Asked) -> nn.Sequential:
    """Qi et al. 2017 (arXiv:1612.00593): v' = second(first(v)), u' = globals(max of v'). Two blocks, for the two steps of nodes."""
    return nn.Sequential(
        independent(node=first),
        GraphBlock(node=second, globals=globals, node_reads=("nodes",), globals_reads=("nodes",), of_nodes="max"),
    )


class Beside(Update):
    """A recurrent update of an attribute that is [input, state], side by side. It gives the new state."""

    def __init__(self, cell: Recurrent) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, inputs: Sequence[Input], old: Tensor | None = None) -> Tensor:
        (both,) = inputs
        size = self.cell.states * self.cell.width
        x, state = both.value[..., :-size], both.value[..., -size:]
        return self.cell([Input(both.name, x)], state)  # type: ignore[no-any-return]


class GatedSum(nn.Module):
    """A reducer: the sum of sigma(gate(x)) value(x) over the rows of a group (Li et al. 2016, arXiv:1511.05493, eq. 7, without its
    outer tanh)."""

    def __init__(self, gate: nn.Module, value: nn.Module) -> None:
        super().__init__()
        self.gate, self.value = update(gate), update(value)

    def forward(self, x: Tensor, groups: Groups) -> Tensor:
        gate, value = (one([Input("nodes", x)], None) for one in (self.gate, self.value))
        return summed(gate.sigmoid() * value, groups)
