"""Ways through graphs of several sizes at once: how many edges, and which. Axes: [graph, sender, receiver]."""

import itertools

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

NONE = -1  # there is no way


def hops_from(
    first: Bool[np.ndarray, "graphs sources nodes"], joined: Bool[np.ndarray, "graphs nodes nodes"]
) -> Int[np.ndarray, "graphs sources nodes"]:
    """Edges of the shortest way from each source to each node; a source is marked by its own row. Breadth first.

    One product of matrices for each hop: exact, as what is multiplied is 0 and 1.
    """
    found = np.where(first, 0, NONE)
    front, step = first, joined.astype(np.float32)
    for length in itertools.count(1):
        front = (front.astype(np.float32) @ step > 0) & (found == NONE)
        if not front.any():
            return found
        found[front] = length
    raise AssertionError


def shortest_way(
    joined: Bool[np.ndarray, "graphs nodes nodes"],
    length: Float[np.ndarray, "graphs nodes nodes"],
    source: Int[np.ndarray, " graphs"],
) -> tuple[Float[np.ndarray, "graphs nodes"], Int[np.ndarray, "graphs nodes"]]:
    """How far each node is from the source of its graph, and the node before it on the way; inf and NONE where there is none.

    Dijkstra's algorithm on all graphs as one that is not connected, from one source in each. Lengths are more than 0.
    """
    graphs, nodes, _ = joined.shape
    graph, sender, receiver = np.nonzero(joined)
    ends = graph * nodes + sender, graph * nodes + receiver
    whole = csr_array((length[graph, sender, receiver], ends), shape=(graphs * nodes, graphs * nodes))
    first = np.arange(graphs) * nodes
    far, before, _ = dijkstra(whole, indices=first + source, min_only=True, return_predecessors=True)
    before = before.reshape(graphs, nodes).astype(np.int64)
    return far.reshape(graphs, nodes), np.where(before < 0, NONE, before - first[:, None])


def followed_back(
    before: Int[np.ndarray, "graphs nodes"], start: Int[np.ndarray, " graphs"], end: Int[np.ndarray, " graphs"]
) -> tuple[Bool[np.ndarray, "graphs nodes"], Bool[np.ndarray, "graphs nodes nodes"]]:
    """Nodes and edges on the way from start to end: the edges as they are walked, not back."""
    graphs, nodes = before.shape
    on, walked = np.zeros((graphs, nodes), dtype=bool), np.zeros((graphs, nodes, nodes), dtype=bool)
    rows, here = np.arange(graphs), end.copy()
    on[rows, here] = True
    while (going := here[rows] != start[rows]).any():
        rows = rows[going]
        last = before[rows, here[rows]]
        walked[rows, last, here[rows]] = on[rows, last] = True
        here[rows] = last
    return on, walked
