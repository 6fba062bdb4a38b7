"""The graph-network block: equation 1 and Algorithm 1 of Battaglia et al. 2018 (arXiv:1806.01261).

```text
e'_k = edge(e_k, v_r, v_s, u)      received_i = sum of e'_k over the edges that i receives     of_edges = sum of e'_k
v'_i = node(received_i, v_i, u)                                                                of_nodes = sum of v'_i
u'   = globals(of_edges, of_nodes, u)
```

Each update may be left out, each sum may be another reducer, and each update reads what it is told to. Three departures: a node may
read the edges that it sends too; what travels to the nodes may be a `message` of its own, apart from what an edge keeps; and an
edge may read those `before` it, the old edges to its sender without those from its receiver (structure2vec, belief propagation).
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from allometry.flow import Refusal
from allometry.graph import Graph, Groups
from allometry.model.graph_network._projection import Input
from allometry.model.graph_network._reduce import Reducer, reducer
from allometry.model.graph_network._sum import spread, summed
from allometry.model.graph_network._typed import Typed, typed
from allometry.model.graph_network._update import Update

Asked = nn.Module | Sequence[nn.Module] | None

READS = {
    "edge": ("before", "edges", "receivers", "senders", "globals"),
    "message": ("edges", "receivers", "senders", "globals"),
    "node": ("received", "sent", "nodes", "globals"),
    "globals": ("edges", "nodes", "globals"),
}
OWN = {"edge": "edges", "node": "nodes", "globals": "globals"}  # what the state of a recurrent update is


class GraphBlock(nn.Module):
    """Graph -> Graph of the same wiring.

    An update is `Mlp`, `Gru`, `Lstm`, or any module that takes what it reads as one tensor, side by side in the order of `READS`;
    several of them are one for each type. Without it the attribute stays. What a graph does not have is not read.
    """

    def __init__(
        self,
        edge: Asked = None,
        node: Asked = None,
        globals: nn.Module | None = None,
        message: Asked = None,  # of the edge as it is after its update; without it the edge itself is the message
        *,
        edge_reads: Sequence[str] = ("edges", "receivers", "senders", "globals"),
        message_reads: Sequence[str] = READS["message"],
        node_reads: Sequence[str] = ("received", "nodes", "globals"),
        globals_reads: Sequence[str] = READS["globals"],
        before: str | Sequence[str | Reducer] | Reducer = "sum",  # of the old edges before an edge
        received: str | Sequence[str | Reducer] | Reducer = "sum",  # of the messages that a node receives
        sent: str | Sequence[str | Reducer] | Reducer = "sum",  # of those that it sends
        of_edges: str | Sequence[str | Reducer] | Reducer = "sum",  # of the new edges of a graph
        of_nodes: str | Sequence[str | Reducer] | Reducer = "sum",  # of its new nodes
    ) -> None:
        super().__init__()
        self.reads = {
            "edge": _known("edge", edge_reads),
            "message": _known("message", message_reads),
            "node": _known("node", node_reads),
            "globals": _known("globals", globals_reads),
        }
        if globals is not None and (isinstance(globals, nn.ModuleList) or not isinstance(globals, nn.Module)):
            raise Refusal(
                "Graphs have no types, so their globals have one update. Give a module; nodes and edges may have several."
            )
        self.edge, self.node, self.globals, self.message = (
            None if asked is None else typed(asked) for asked in (edge, node, globals, message)
        )
        self.before, self.received, self.sent, self.of_edges, self.of_nodes = (
            reducer(asked) for asked in (before, received, sent, of_edges, of_nodes)
        )

    def forward(self, graph: Graph) -> Graph:
        wiring = graph.wiring
        around = {
            "receivers": (graph.nodes, wiring.received),
            "senders": (graph.nodes, wiring.sent),
            "globals": (graph.globals, wiring.edges_of),
        }
        edges, nodes, whole = graph.edges, graph.nodes, graph.globals
        if self.edge is not None:
            before = self._before(graph) if "before" in self.reads["edge"] else None
            edges = self._new("edge", self.edge, around | {"edges": (edges, None), "before": (before, None)}, edges, graph)
        messages = edges
        if self.message is not None:
            messages = self._new("message", self.message, around | {"edges": (edges, None)}, None, graph)
        if self.node is not None:
            reads = self.reads["node"]
            heard = {
                "received": (_reduced(self.received, messages, wiring.received) if "received" in reads else None, None),
                "sent": (_reduced(self.sent, messages, wiring.sent) if "sent" in reads else None, None),
                "nodes": (nodes, None),
                "globals": (whole, wiring.nodes_of),
            }
            nodes = self._new("node", self.node, heard, nodes, graph)
        if self.globals is not None:
            reads = self.reads["globals"]
            pooled = {
                "edges": (_reduced(self.of_edges, edges, wiring.edges_of) if "edges" in reads else None, None),
                "nodes": (_reduced(self.of_nodes, nodes, wiring.nodes_of) if "nodes" in reads else None, None),
                "globals": (whole, None),
            }
            whole = self._new("globals", self.globals, pooled, whole, graph)
        return graph.edit(edges=edges, nodes=nodes, globals=whole)

    def _before(self, graph: Graph) -> Tensor | None:
        """What an edge hears of those before it. A sum is that of all edges to its sender, less that of those from its receiver:
        there are as many pairs of edges as edges times the edges of a node, and so none is made."""
        edges, wiring = graph.edges, graph.wiring
        if edges is None:
            return None
        if self.before is summed:
            between, back = wiring.pairs
            return spread(summed(edges, wiring.received), wiring.sent) - spread(summed(edges, between), back)
        earlier, later = wiring.before
        return self.before(spread(edges, earlier), later)

    def _new(self, which: str, update: Update | Typed, found: dict, old: Tensor | None, graph: Graph) -> Any:
        """What an update gives; a message may be several tensors, which its reducer knows."""
        own = OWN.get(which) if update.recurrent else None
        inputs = [Input(name, *found[name]) for name in self.reads[which] if name != own and found[name][0] is not None]
        if not inputs:
            raise Refusal(f"The {which} update reads {', '.join(self.reads[which])}, and the graph has none of them.")
        if isinstance(update, Typed):
            of_nodes = which == "node"
            types = graph.node_types if of_nodes else graph.edge_types
            return update(inputs, old, types, "node_types" if of_nodes else "edge_types")
        return update(inputs, old)


def _known(which: str, reads: Sequence[str]) -> tuple[str, ...]:
    """What an update reads, in the order of the paper."""
    for name in reads:
        if name not in READS[which]:
            raise Refusal(f"The {which} update cannot read '{name}'. It reads of: {', '.join(READS[which])}.")
    return tuple(name for name in READS[which] if name in reads)


def _reduced(by: Reducer, rows: Any, groups: Groups) -> Tensor | None:
    return None if rows is None else by(rows, groups)
