"""Graphs of several sizes as arrays filled up with zeros: places for nodes, and for their pairs."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from allometry.flow import Refusal
from allometry.graph import Graph, Groups, Wiring
from allometry.model._node_pairs import joined
from allometry.model.graph_network._sum import summed


class Padded(NamedTuple):
    """Where the rows of a batch stand in arrays filled up with zeros: [graph, place]."""

    graph: Int[Tensor, " nodes"]
    place: Int[Tensor, " nodes"]
    graphs: int
    length: int

    @classmethod
    def of(cls, wiring: Wiring, length: int | None = None) -> "Padded":
        """As long as the largest graph, with one place at least; or as `length`."""
        longest = max(1, most_nodes(wiring)) if length is None else length
        return cls(wiring.nodes_of.index, wiring.nodes_of.place, wiring.graphs, longest)

    def filled(self, rows: Float[Tensor, "nodes channels"]) -> Float[Tensor, "graphs length channels"]:
        empty = rows.new_zeros(self.graphs, self.length, rows.shape[1])
        return empty.index_put((self.graph, self.place), rows)

    def mask(self, like: Tensor) -> Float[Tensor, "graphs length"]:
        """1 where a node stands."""
        return like.new_zeros(self.graphs, self.length).index_put((self.graph, self.place), like.new_ones(()))

    def pair(self, wiring: Wiring) -> Groups:
        """Edges by their place in [graph, receiver, sender], flat."""
        graph = self.graph[wiring.receivers]
        place = (graph * self.length + self.place[wiring.receivers]) * self.length + self.place[wiring.senders]
        return Groups(place, self.graphs * self.length**2)

    def pairs(self, graph: Graph, pair: Groups) -> Float[Tensor, "graphs length length channels"]:
        """For each pair how many edges join it, and the sum of their features."""
        return summed(joined(graph), pair).unflatten(0, (self.graphs, self.length, self.length))


def most_nodes(wiring: Wiring) -> int:
    """Nodes of the largest graph."""
    return int(wiring.n_node.max()) if wiring.graphs else 0


def fitting(wiring: Wiring, room: int, name: str) -> None:
    """Refuse graphs with more nodes than a model has room for."""
    if (most := most_nodes(wiring)) > room:
        raise Refusal(
            f"A graph of {most} nodes was given to {name}, which was built for {room}. Build it with room={most}: what it "
            "learns from smaller graphs then stands beside zeros."
        )
