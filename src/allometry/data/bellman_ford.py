"""Bellman-Ford: every node points to the one before it on the shortest way from the source (CLRS; arXiv:2205.15659).

```text
Edges  s -.3- a   s -.9- b   a -.2- b        asked  s->s  s->a  a->b
```

Graphs of CLRS: each pair is joined where two draws of `p` are both yes, so with probability p^2, and is as long as
sqrt(u v + 0.001), with u and v uniform. The source, and what is never reached, point to themselves. Self-edges, which CLRS draws
and which change nothing, stand here at every node, and say 0.
"""

import numpy as np
from jaxtyping import Int

from allometry.data._algorithms import Pointers, pointed, positions
from allometry.data._generated_graphs import Arrays, draws, labels
from allometry.data._random import below, uniform
from allometry.data._random_graphs import both, erdos_renyi, selves
from allometry.data._ways import NONE, shortest_way


class BellmanFord(Pointers):
    """Node: position, is it the source? Edge: length, 0 to itself. Graph: 0. Asked of edges: does the receiver point back?"""

    def examples(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> Arrays:
        """Graphs with a source, and the last step of the way to each node."""
        square = (self.most, self.most)
        size, first, place, pairs, weights = draws(seed, numbers, (), (), (self.most,), square, square)
        n_node, real = self._sizes(size)
        joined = erdos_renyi(pairs, real, self.p**2)
        drawn_twice = uniform(weights)
        length = np.where(joined, np.sqrt(drawn_twice * drawn_twice.swapaxes(1, 2) + 1e-3), 0.0)
        source = below(n_node, first)
        _, before = shortest_way(joined, length, source)
        rows = np.arange(self.most)
        return Arrays(
            n_node=n_node,
            joined=joined | (both(real) & selves(self.most)),
            nodes=np.stack([positions(place, real), rows == source[:, None]], axis=-1),
            edges=length[..., None],
            globals=np.zeros((len(numbers), 1)),
            of_edges=labels(pointed(np.where(before == NONE, rows, before))),
        )
