"""Shortest path: mark the way between two nodes (Battaglia et al. 2018, arXiv:1806.01261; the demo of graph_nets).

```text
Nodes  a (start)  b  c (end)  d        Edges  a->b b->a  b->c c->b  a->d d->a  d->c c->d
       yes       yes  yes    no               yes  no    yes  no    no   no    no   no
```

Nodes lie in the unit square and weigh Exp(1). They are joined, both ways, where (w_u + w_v) / r^2 >= theta, and along the minimum
spanning tree of all distances, so that every graph is connected. The two ends are drawn uniformly over the edges between them and
then among the pairs with so many; the way asked is the shortest by distance. As in the demo, but for one point: the demo labels
the edges from end to start, ours lead from start to end, so that an answer can be walked.

With theta = 20 larger graphs are denser and their ways no longer: on average 3.3, 3.5 and 3.05 edges among 8-16, 16-32 and 32-64
nodes. With `trees` only the spanning tree stands, and ways grow with size.

Made in 0.06, 0.13 and 0.56 ms a graph of these sizes, trees in 0.06, 0.12 and 0.30 (batches of 32, one thread, the least of five
means over ten batches; up to three times that on a machine busy with other work); the demo's generator takes 1.6, 4.9 and 18.
"""

import numpy as np
from jaxtyping import Int

from allometry.data._generated_graphs import Arrays, GraphLabels, draws, labels
from allometry.data._random import below, uniform
from allometry.data._random_graphs import (
    both,
    distances,
    geographic,
    hops_in_tree,
    joined_to,
    selves,
    share_of_geographic,
    spanning_trees,
)
from allometry.data._ways import followed_back, hops_from, shortest_way
from allometry.flow import Graphs, Refusal


class ShortestPath(GraphLabels):
    """Node: place (2), weight, start, end. Edge: distance. Graph: 0. Asked of nodes and edges: is it on the way?"""

    theta: float = 20.0  # of more, fewer are joined
    trees: bool = False  # the spanning tree alone: theta without end

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.theta <= 0:
            raise Refusal(f"ShortestPath(theta={self.theta:g}) joins all. Take more than 0.")

    @property
    def io(self) -> Graphs:
        nodes = self.most
        share = 0.0 if self.trees else share_of_geographic(self.theta)
        links = max(2 * (nodes - 1), round(nodes * (nodes - 1) * share))
        return Graphs(nodes=5, edges=1, globals=1, of_nodes=2, of_edges=2, length=nodes, links=links)

    def examples(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> Arrays:
        """Graphs with two ends, and the nodes and edges between."""
        size, length, pair, place, weigh = draws(seed, numbers, (), (), (), (self.most, 2), (self.most,))
        n_node, real = self._sizes(size)
        places, weight = uniform(place), -np.log1p(-uniform(weigh))
        distance = distances(places)
        order, parent = spanning_trees(distance, real)
        joined = joined_to(parent, real)
        if self.trees:
            hops = hops_in_tree(order, parent)
        else:
            joined |= geographic(distance, weight, self.theta, real)
            hops = hops_from(both(real) & selves(self.most), joined)
        start, end = _pairs(hops, length, pair)
        _, before = shortest_way(joined, distance, start)
        on, walked = followed_back(before, start, end)
        rows = np.arange(self.most)
        ends = [rows == some[:, None] for some in (start, end)]
        return Arrays(
            n_node=n_node,
            joined=joined,
            nodes=np.concatenate([places, np.stack([weight, *ends], axis=-1)], axis=-1),
            edges=distance[..., None],
            globals=np.zeros((len(numbers), 1)),
            of_nodes=labels(on),
            of_edges=labels(walked),
        )


def _pairs(
    hops: Int[np.ndarray, "graphs nodes nodes"], length: np.ndarray, pair: np.ndarray
) -> tuple[Int[np.ndarray, " graphs"], Int[np.ndarray, " graphs"]]:
    """An ordered pair of nodes: all numbers of edges between equally likely, then all pairs with so many."""
    asked = below(hops.max((1, 2)), length) + 1
    fits = (hops == asked[:, None, None]).reshape(len(hops), -1)
    count = fits.cumsum(1)
    place = (count > below(count[:, -1], pair)[:, None]).argmax(1)
    return place // hops.shape[1], place % hops.shape[1]
