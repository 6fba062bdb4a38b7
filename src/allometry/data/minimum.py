"""Minimum: mark the smallest of some numbers (CLRS; arXiv:2205.15659).

```text
Nodes  .7  .2  .9  .4
       no  yes no  no
```

Every node is joined to every node and to itself, as in the processors of CLRS.
"""

import numpy as np
from jaxtyping import Int

from allometry.data._algorithms import Numbers
from allometry.data._generated_graphs import Arrays, labels
from allometry.flow import Graphs


class Minimum(Numbers):
    """Node: position, a number from 0 to 1. Edge, graph: 0. Asked of nodes: is it the smallest?"""

    @property
    def io(self) -> Graphs:
        return Graphs(nodes=2, edges=1, globals=1, of_nodes=2, length=self.most, links=self.most**2)

    @property
    def counts(self) -> dict[str, tuple[float, float]]:
        """Exact: one in each graph."""
        return {"nodes": (self._mean(1) - 1, 1.0)}

    def examples(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> Arrays:
        """Numbers, and which is the smallest: the first, where what is given (float32) is the same."""
        read, values = self.numbered(seed, numbers)
        smallest = values.argmin(1)
        return Arrays(**read, of_nodes=labels(np.arange(self.most) == smallest[:, None]))
