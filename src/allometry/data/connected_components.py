"""Connected components: which nodes can be reached from the marked one?

```text
Edges  a - b - c    d - e        Nodes  a    b    c(marked)  d   e
                                        yes  yes  yes        no  no
```

Asked at nodes, as the ends of an edge are always in one component: to ask edges would ask nothing. Graphs are those of Erdős and
Rényi whose nodes have `degree` neighbours on average, whatever the size: at 1.5 there are a large component, which holds somewhat
more than half of the nodes, and many small ones, and ways in the large one grow with the logarithm of the size.
"""

import numpy as np
from jaxtyping import Int

from allometry.data._generated_graphs import Arrays, GraphLabels, draws, labels
from allometry.data._random import below
from allometry.data._random_graphs import erdos_renyi
from allometry.data._ways import NONE, hops_from
from allometry.flow import Graphs, Refusal


class ConnectedComponents(GraphLabels):
    """Node: is it the marked one? Edge: 1. Graph: 0. Asked of nodes: is it in the component of the marked one?"""

    degree: float = 1.5  # neighbours of a node, on average; at least so many nodes are joined to all

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.degree <= 0:
            raise Refusal(f"ConnectedComponents(degree={self.degree:g}) joins nothing. Take more than 0.")

    @property
    def io(self) -> Graphs:
        links = max(1, round(self.most * min(self.degree, self.most - 1)))
        return Graphs(nodes=1, edges=1, globals=1, of_nodes=2, length=self.most, links=links)

    def examples(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> Arrays:
        """Graphs with a marked node, and what can be reached from it."""
        size, mark, pairs = draws(seed, numbers, (), (), (self.most, self.most))
        n_node, real = self._sizes(size)
        joined = erdos_renyi(pairs, real, np.minimum(1.0, self.degree / (n_node - 1)))
        marked = np.arange(self.most) == below(n_node, mark)[:, None]
        reached = hops_from(marked[:, None], joined)[:, 0] != NONE
        return Arrays(
            n_node=n_node,
            joined=joined,
            nodes=marked[..., None].astype(np.float32),
            edges=np.ones((*joined.shape, 1), dtype=np.float32),
            globals=np.zeros((len(numbers), 1)),
            of_nodes=labels(reached),
        )
