"""Sorting: mark the smallest number and who follows whom (Battaglia et al. 2018, arXiv:1806.01261; the demo of graph_nets).

```text
Nodes  .7  .2  .9  .4         Edges  .2->.4  .4->.7  .7->.9  and the other 13
       no  yes no  no                 yes     yes     yes         no
```

Every node is joined to every node and to itself, as in the demo; edges and graph say nothing. An edge that is asked leads from a
number to the next larger one. The demo's first class is "yes", ours is "no".
"""

import numpy as np
from jaxtyping import Float, Int

from allometry.data._generated_graphs import Arrays, GraphLabels, draws, labels
from allometry.data._random import uniform
from allometry.data._random_graphs import both
from allometry.flow import Graphs


class Sorting(GraphLabels):
    """Node: a number from 0 to 1. Edge, graph: 0. Asked of nodes: is it the smallest? Of edges: does it lead to the next?"""

    @property
    def io(self) -> Graphs:
        return Graphs(nodes=1, edges=1, globals=1, of_nodes=2, of_edges=2, length=self.most, links=self.most**2)

    @property
    def counts(self) -> dict[str, tuple[float, float]]:
        """Exact.

        >>> round(Sorting().floors["correct"], 4), round(Sorting(least=16, most=32).floors["correct"], 4)
        (0.9262, 0.9615)
        """
        nodes, edges = self._mean(1), self._mean(2)
        return {"nodes": (nodes - 1, 1.0), "edges": (edges - nodes + 1, nodes - 1)}

    def examples(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> Arrays:
        """Numbers, and who follows whom."""
        size, keys = draws(seed, numbers, (), (self.most,))
        n_node, real = self._sizes(size)
        values = uniform(keys).astype(np.float32)
        rank = ranks(np.where(real, values, np.inf))
        follows = rank[:, :, None] + 1 == rank[:, None]
        return Arrays(
            n_node=n_node,
            joined=both(real),
            nodes=values[..., None],
            edges=np.zeros((*follows.shape, 1), dtype=np.float32),
            globals=np.zeros((len(numbers), 1)),
            of_nodes=labels(rank == 0),
            of_edges=labels(follows),
        )


def ranks(values: Float[np.ndarray, "graphs nodes"]) -> Int[np.ndarray, "graphs nodes"]:
    """How many are smaller, or the same and stand before: what a model is given (float32) is what is ranked."""
    order = values.argsort(1, kind="stable")
    found = np.empty_like(order)
    np.put_along_axis(found, order, np.broadcast_to(np.arange(values.shape[1]), order.shape), axis=1)
    return found
