"""Random graphs of several sizes at once, filled up to the largest: arrays [graphs nodes nodes], of which some places are real.

Axes: [graph, sender, receiver]. All graphs here lead both ways, and none has self-edges.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from allometry.data._random import uniform


def both(real: Bool[np.ndarray, "graphs nodes"]) -> Bool[np.ndarray, "graphs nodes nodes"]:
    """Pairs of which both are real: the complete graphs, with self-edges."""
    return real[:, :, None] & real[:, None, :]


def selves(nodes: int) -> Bool[np.ndarray, "nodes nodes"]:
    """From each node to itself."""
    return np.eye(nodes, dtype=bool)


def erdos_renyi(
    bits: UInt64[np.ndarray, "graphs nodes nodes"],
    real: Bool[np.ndarray, "graphs nodes"],
    share: float | Float[np.ndarray, " graphs"],
) -> Bool[np.ndarray, "graphs nodes nodes"]:
    """Each pair is joined, both ways, with probability `share` (Erdős and Rényi 1959; here of Gilbert 1959)."""
    above = np.triu(uniform(bits) < np.asarray(share)[..., None, None], 1)
    return (above | above.swapaxes(1, 2)) & both(real)


def distances(places: Float[np.ndarray, "graphs nodes 2"]) -> Float[np.ndarray, "graphs nodes nodes"]:
    """Euclidean distance of each pair of nodes."""
    squares = [(axis[:, :, None] - axis[:, None]) ** 2 for axis in np.moveaxis(places, 2, 0)]
    return np.sqrt(squares[0] + squares[1])


def geographic(
    distance: Float[np.ndarray, "graphs nodes nodes"],
    weight: Float[np.ndarray, "graphs nodes"],
    theta: float,
    real: Bool[np.ndarray, "graphs nodes"],
) -> Bool[np.ndarray, "graphs nodes nodes"]:
    """Geographical threshold graphs (Masuda et al. 2005): u and v are joined where (w_u + w_v) / r^2 >= theta."""
    near = weight[:, :, None] + weight[:, None] >= theta * distance**2
    return near & both(real) & ~selves(distance.shape[1])


def share_of_geographic(theta: float) -> float:
    """How probably two nodes in the unit square whose weights are exponential are joined. Exact.

    It is the mean of (1 + theta r^2) exp(-theta r^2), as the sum of two weights is Gamma(2); r^2 = x^2 + y^2, and the differences
    x and y have the density 2 (1 - x) each.

    >>> round(share_of_geographic(20.0), 4)
    0.2226
    """
    root, tail = math.sqrt(math.pi / theta) * math.erf(math.sqrt(theta)), math.exp(-theta)
    zeroth = root - (1 - tail) / theta  # mean of exp(-theta x^2)
    second = root / (2 * theta) - tail / theta - (1 - (1 + theta) * tail) / theta**2  # mean of x^2 exp(-theta x^2)
    return zeroth**2 + 2 * theta * zeroth * second


def spanning_trees(
    distance: Float[np.ndarray, "graphs nodes nodes"], real: Bool[np.ndarray, "graphs nodes"]
) -> tuple[Int[np.ndarray, "graphs nodes"], Int[np.ndarray, "graphs nodes"]]:
    """The minimum spanning trees of complete graphs, by Prim's algorithm on all at once: n steps on [graphs nodes].

    Returns the nodes in the order in which they come into the tree, and the node that each then hangs on; the first node hangs on
    itself. Where a graph has no more nodes, its row of the order is filled up with its first.
    """
    graphs, nodes = real.shape
    order, parent = np.zeros((graphs, nodes), dtype=np.int64), np.zeros((graphs, nodes), dtype=np.int64)
    nearest = np.where(real, distance[:, 0], np.inf)  # how far from the tree; inf: in it, or no node
    nearest[:, 0] = np.inf
    rows = np.arange(graphs)
    for step in range(1, nodes):
        new = nearest.argmin(1)
        order[:, step] = np.where(np.isfinite(nearest[rows, new]), new, 0)
        nearest[rows, new] = np.inf
        beside = distance[rows, new]
        closer = (beside < nearest) & np.isfinite(nearest)
        nearest = np.where(closer, beside, nearest)
        parent[closer] = np.broadcast_to(new[:, None], closer.shape)[closer]
    return order, parent


def joined_to(
    parent: Int[np.ndarray, "graphs nodes"], real: Bool[np.ndarray, "graphs nodes"]
) -> Bool[np.ndarray, "graphs nodes nodes"]:
    """Edges, both ways, between each node and the one that it hangs on."""
    up = (parent[:, :, None] == np.arange(real.shape[1])) & real[:, :, None]
    return (up | up.swapaxes(1, 2)) & ~selves(real.shape[1])


def hops_in_tree(
    order: Int[np.ndarray, "graphs nodes"], parent: Int[np.ndarray, "graphs nodes"]
) -> Int[np.ndarray, "graphs nodes nodes"]:
    """Edges between any two nodes: a new leaf is one edge farther from all others than the node that it hangs on.

    What is no node stands at 0 from all.
    """
    graphs, nodes = parent.shape
    hops = np.zeros((graphs, nodes, nodes), dtype=np.int64)
    inside = np.zeros((graphs, nodes), dtype=bool)
    inside[:, 0] = True
    for step in range(1, nodes):
        rows = np.flatnonzero(order[:, step])
        new = order[rows, step]
        hops[rows, new] = hops[rows, :, new] = np.where(inside[rows], hops[rows, parent[rows, new]] + 1, 0)
        inside[rows, new] = True
    return hops
