"""Insertion sort: every number points to the one before it in order (CLRS; arXiv:2205.15659).

```text
Numbers  .7  .2  .9  .4        asked  .2->.2  .2->.4  .4->.7  .7->.9
```

What CLRS asks of every sorting algorithm: the smallest points to itself. Every node is joined to every node and to itself, as in
the processors of CLRS. `sorting` asks nearly the same in the demo's words: without self-edges among the answers, and with the
smallest asked at the nodes.
"""

import numpy as np
from jaxtyping import Int

from allometry.data._algorithms import Numbers, pointed
from allometry.data._generated_graphs import Arrays, labels
from allometry.flow import Graphs


class InsertionSort(Numbers):
    """Node: position, a number from 0 to 1. Edge, graph: 0. Asked of edges: does the receiver point back?"""

    @property
    def io(self) -> Graphs:
        return Graphs(nodes=2, edges=1, globals=1, of_edges=2, length=self.most, links=self.most**2)

    @property
    def counts(self) -> dict[str, tuple[float, float]]:
        """Exact: every node points to one."""
        return {"edges": (self._mean(2) - self._mean(1), self._mean(1))}

    def examples(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> Arrays:
        """Numbers, and which is before each: of equal ones (float32) the first by position."""
        read, values = self.numbered(seed, numbers)
        order = values.argsort(1, kind="stable")
        to = np.empty_like(order)
        np.put_along_axis(to, order, np.concatenate([order[:, :1], order[:, :-1]], axis=1), axis=1)
        return Arrays(**read, of_edges=labels(pointed(to)))
