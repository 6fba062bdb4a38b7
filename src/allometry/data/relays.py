"""Relays: a state is handed on along the edges of a tree, and each relation changes it in its own way.

```text
a -(swaps a, b)- .  -(same)- .  -(swaps b, c)- .        asked  a  b  b  c
```

Asks for what Battaglia et al. (2018, arXiv:1806.01261, section 5.1) call combinatorial generalisation: known parts in combinations
that were never seen. There are three states, four shapes of trees and four relations, and each shape comes with two of the
relations in training (`seen`); the others of each shape are `unseen`. Every shape and every relation is known from training.

```text
               chain   star   binary   random          relation 0 keeps a state, 1 swaps a and b, 2 b and c, 3 a and c
seen            0, 1   1, 2    2, 3     3, 0           each is its own inverse, so that an edge reads the same both ways
unseen          2, 3   3, 0    0, 1     1, 2
```

In a random tree each node hangs on one of those before it, all equally likely. Nodes stand in the order in which the tree was
made, each after the one that it hangs on (a chain from one end to the other), or with `shuffled` in any order. The one that knows
its state may be anywhere.
"""

import functools

import numpy as np
import torch
from jaxtyping import Int

from allometry.data._generated_graphs import COUNTED, MEASURED, Arrays, GeneratedGraphs, draws, in_any_order
from allometry.data._random import HELD_OUT, below, uniform
from allometry.data._random_graphs import joined_to
from allometry.flow import Graphs, Refusal

TOPOLOGIES = ("chain", "star", "binary", "random")
RELATIONS = np.array([[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 1, 0]])  # what each makes of the states a, b, c
STATES = RELATIONS.shape[1]
PAIRS = {"seen": (0, 2), "unseen": (2, 2), "all": (0, 4)}  # of a shape's number: the first relation after it, and how many


class Relays(GeneratedGraphs):
    """Node: its state if it is the one that knows (3). Edge: relation (4). Graph: 0. Asked of nodes: the state, of three."""

    pairs: str = "seen"  # seen | unseen | all
    shuffled: bool = False  # nodes in any order, a graph's own

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pairs not in PAIRS:
            raise Refusal(f"Relays(pairs={self.pairs!r}) is not known. It is one of: {', '.join(PAIRS)}.")

    @property
    def io(self) -> Graphs:
        return Graphs(
            nodes=STATES, edges=len(RELATIONS), globals=1, of_nodes=STATES, length=self.most, links=2 * (self.most - 1)
        )

    @property
    def chance(self) -> float:
        """Loss of a player that sees nothing, nats: all states are equally likely, as every relation is a permutation."""
        return float(np.log(STATES))

    @property
    def floors(self) -> dict[str, float]:
        """What two players attain: `correct`, one that always says the same state, and `copied`, one that says of every node
        what the one that knows has; both as the share of answers that are right. `solved` is the better one's share of graphs.

        The first exactly, the others counted once in 2000 graphs.
        """
        return {"correct": 1 / STATES} | _copied(self.endless)

    def examples(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> Arrays:
        """Trees with a node that knows its state, and the states of all."""
        size, shape, root, known, tree, relation, order = draws(
            seed, numbers, (), (), (), (), (self.most,), (self.most,), (self.most,)
        )
        n_node, real = self._sizes(size)
        topology, node = below(len(TOPOLOGIES), shape), np.arange(self.most)
        parent = _parents(topology, uniform(tree))
        first, several = PAIRS[self.pairs]
        own = (topology[:, None] + first + below(several, relation)) % len(RELATIONS)  # of a node and the one it hangs on
        state = np.empty_like(parent)
        state[:, 0] = below(STATES, root)
        rows = np.arange(len(numbers))
        for child in range(1, self.most):
            state[:, child] = RELATIONS[own[:, child], state[rows, parent[:, child]]]
        joined = joined_to(parent, real)
        later = np.maximum(node[:, None], node)  # of the two ends of an edge, the one that hangs on the other
        knows = (node == below(n_node, known)[:, None])[..., None]
        arrays = Arrays(
            n_node=n_node,
            joined=joined,
            nodes=(knows & (state[..., None] == np.arange(STATES))).astype(np.float32),
            edges=(joined[..., None] & (own[:, later][..., None] == np.arange(len(RELATIONS)))).astype(np.float32),
            globals=np.zeros((len(numbers), 1)),
            of_nodes=state,
        )
        return in_any_order(arrays, order) if self.shuffled else arrays


def _parents(topology: Int[np.ndarray, " graphs"], uniforms: np.ndarray) -> Int[np.ndarray, "graphs nodes"]:
    """The node that each hangs on, one before it; the first hangs on itself."""
    node = np.arange(uniforms.shape[1])
    chain, star, binary = np.maximum(node - 1, 0), np.zeros_like(node), np.maximum(node - 1, 0) // 2
    random = (uniforms * node).astype(np.int64)
    fixed = np.stack([chain, star, binary, star])[topology]
    return np.where(topology[:, None] == TOPOLOGIES.index("random"), random, fixed)


@functools.lru_cache(maxsize=64)
def _copied(task: Relays) -> dict[str, float]:
    (inputs,), targets = task.batch(HELD_OUT, MEASURED, COUNTED)
    assert inputs.nodes is not None
    assert targets.nodes is not None
    graph = inputs.wiring.nodes_of.index
    knows = inputs.nodes.any(1)
    said = torch.zeros(COUNTED, dtype=torch.int64).index_copy_(0, graph[knows], targets.nodes[knows])
    right = targets.nodes == said[graph]
    wrong = torch.zeros(COUNTED, dtype=torch.int64).index_add_(0, graph, (~right).long())
    return {"copied": float(right.double().mean()), "solved": float((wrong == 0).double().mean())}
