"""The tasks of CLRS (Veličković et al. 2022, arXiv:2205.15659) that are told by pointers, and their random inputs.

A pointer from a node to another is an edge of class 1 that leads from the other to the node: each node receives exactly one. A node
that points to itself has its self-edge marked, so every node has one. Positions are random and rise with the number of a node, as
in the `random_pos` of CLRS. Sizes are uniform, where CLRS trains on 4, 7, 11, 13 and 16 nodes and tests on 64.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from allometry.data._generated_graphs import GraphLabels, draws
from allometry.data._random import uniform
from allometry.data._random_graphs import both
from allometry.flow import Graphs, Refusal


def positions(
    bits: UInt64[np.ndarray, "graphs nodes"], real: Bool[np.ndarray, "graphs nodes"]
) -> Float[np.ndarray, "graphs nodes"]:
    """Numbers from 0 to 1 that rise from node to node."""
    return np.sort(np.where(real, uniform(bits), 2.0), axis=1)


def pointed(to: Int[np.ndarray, "graphs nodes"]) -> Bool[np.ndarray, "graphs nodes nodes"]:
    """Edges [graph, sender, receiver] along which a node receives from the one that it points to."""
    return np.arange(to.shape[1])[:, None] == to[:, None]


def mean_links(p: float, first: float, second: float) -> float:
    """Edges, self-edges among them, of an undirected graph of CLRS: a pair is joined where two draws of p are both yes.

    `first` and `second` are the means of the number of nodes and of its square.
    """
    return first + p**2 * (second - first)


class Numbers(GraphLabels):
    """Nodes with a position and a number from 0 to 1; every node is joined to every node and to itself."""

    least: int = 4

    def numbered(
        self, seed: int, numbers: Int[np.ndarray, " graphs"]
    ) -> tuple[dict[str, Any], Float[np.ndarray, "graphs nodes"]]:
        """What is read, as fields of Arrays; and the numbers, infinite where there is no node."""
        size, place, keys = draws(seed, numbers, (), (self.most,), (self.most,))
        n_node, real = self._sizes(size)
        values, joined = uniform(keys).astype(np.float32), both(real)
        read = {
            "n_node": n_node,
            "joined": joined,
            "nodes": np.stack([positions(place, real), values], axis=-1),
            "edges": np.zeros((*joined.shape, 1), dtype=np.float32),
            "globals": np.zeros((len(numbers), 1)),
        }
        return read, np.where(real, values, np.inf)


class Pointers(GraphLabels):
    """A task on the graphs of CLRS in which every node points to one: of edges is asked whether the receiver points back."""

    least: int = 4
    p: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.p <= 1:
            raise Refusal(f"{type(self).__name__}(p={self.p:g}) is no probability. Take one from 0 to 1.")

    @property
    def io(self) -> Graphs:
        links = round(mean_links(self.p, self.most, self.most**2))
        return Graphs(nodes=2, edges=1, globals=1, of_edges=2, length=self.most, links=links)

    @property
    def counts(self) -> dict[str, tuple[float, float]]:
        """Exact: every node points to one."""
        nodes, edges = self._mean(1), mean_links(self.p, self._mean(1), self._mean(2))
        return {"edges": (edges - nodes, nodes)}
