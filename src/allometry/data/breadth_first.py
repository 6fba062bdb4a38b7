"""Breadth-first search: every node points to the one from which it was first reached (CLRS; arXiv:2205.15659).

```text
Edges  s - a   s - b   a - c   b - c        asked  s->s  s->a  s->b  a->c      a stands before b, so c is reached from a
```

Graphs of CLRS: each pair is joined where two draws of `p` are both yes, so with probability p^2. Of several nodes that reach it in
one step a node points to the first by position. The source, and what is never reached, point to themselves. Self-edges, which CLRS
draws and which change nothing, stand here at every node, and say 0.
"""

import numpy as np
from jaxtyping import Int

from allometry.data._algorithms import Pointers, pointed, positions
from allometry.data._generated_graphs import Arrays, draws, labels
from allometry.data._random import below
from allometry.data._random_graphs import both, erdos_renyi, selves
from allometry.data._ways import NONE, hops_from


class BreadthFirst(Pointers):
    """Node: position, is it the source? Edge: 1, or 0 to itself. Graph: 0. Asked of edges: does the receiver point back?"""

    def examples(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> Arrays:
        """Graphs with a source, and from where each node was reached."""
        size, first, place, pairs = draws(seed, numbers, (), (), (self.most,), (self.most, self.most))
        n_node, real = self._sizes(size)
        joined = erdos_renyi(pairs, real, self.p**2)
        source = np.arange(self.most) == below(n_node, first)[:, None]
        depth = hops_from(source[:, None], joined)[:, 0]
        before = joined & (depth[:, :, None] + 1 == depth[:, None]) & (depth[:, :, None] != NONE)
        to = np.where(before.any(1), before.argmax(1), np.arange(self.most))  # argmax: the first that reaches it
        return Arrays(
            n_node=n_node,
            joined=joined | (both(real) & selves(self.most)),
            nodes=np.stack([positions(place, real), source], axis=-1),
            edges=joined[..., None].astype(np.float32),
            globals=np.zeros((len(numbers), 1)),
            of_edges=labels(pointed(to)),
        )
