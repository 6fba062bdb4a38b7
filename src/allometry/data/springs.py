"""Springs: masses in a chain that hangs from its two ends (Battaglia et al. 2018, arXiv:1806.01261; the demo of graph_nets).

```text
fixed   mass   mass   fixed        |->-o-<>-o-<-|      forces go to masses that can move: fixed ones receive no edges
  |------o------o------|           gravity pulls all of them down
```

The demo's numbers: masses of 1 stand 0.2 to 1 apart, all places are moved by up to 0.04, and at rest springs are as long as then;
k = 50 +- 5, gravity -10 +- 1, steps of 0.1. The force on the receiver is -k (l - L) / l (x_r - x_s).

Three points are ours. The demo draws a k for each direction of a spring, so that the forces between two masses do not cancel; with
`symmetric`, as here by default, both have one. The floors on record do not tell the two apart. The demo takes one moment of a
trajectory for a whole batch, ours one for each graph. And the demo varies 256 chains, drawn once; here each graph has its own
number of masses and its own distance.
"""

import numpy as np
from jaxtyping import Float, Int

from allometry.data._generated_graphs import draws
from allometry.data._motion import Motion, System
from allometry.data._random import uniform
from allometry.flow import Graphs, Refusal

STIFFNESS, GRAVITY, MOVED = (45.0, 55.0), (-11.0, -9.0), (-0.04, 0.04)


class Springs(Motion):
    """Node: place (2), velocity (2), is it fixed? Edge: k, rest length. Graph: gravity (2). Asked of nodes: the next velocity."""

    least: int = 5  # masses, fixed ones among them
    most: int = 8
    closest: float = 0.2  # between neighbours at first
    farthest: float = 1.0
    symmetric: bool = True  # one k for both directions of a spring

    smallest = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.1 <= self.closest <= self.farthest:
            raise Refusal(
                f"Springs(closest={self.closest:g}, farthest={self.farthest:g}) is no range. Take at least 0.1, so that moved "
                "masses do not meet, and no less for the farthest."
            )

    @property
    def io(self) -> Graphs:
        return Graphs(
            nodes=5, edges=2, globals=2, of_nodes=2, loss="squared", length=self.most, links=max(2, 2 * (self.most - 2))
        )

    def system(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> System:
        """Chains at rest."""
        nodes = self.most
        size, apart, pull, moved, there, back = draws(seed, numbers, (), (), (), (nodes, 2), (nodes - 1,), (nodes - 1,))
        n_node, real = self._sizes(size)
        gap = _between(apart, (self.closest, self.farthest))
        place = _between(moved, MOVED)
        place[..., 0] += gap[:, None] * (np.arange(nodes) - n_node[:, None] / 2)
        last = np.arange(nodes) == n_node[:, None] - 1
        fixed = last | (np.arange(nodes) == 0)
        length = np.sqrt((np.diff(place, axis=1) ** 2).sum(-1))
        joined = np.zeros((len(numbers), nodes, nodes), dtype=bool)
        edges = np.zeros((len(numbers), nodes, nodes, 2))
        left = np.arange(nodes - 1)
        forth = _between(there, STIFFNESS)
        for sender, receiver, k in (
            (left, left + 1, forth),
            (left + 1, left, forth if self.symmetric else _between(back, STIFFNESS)),
        ):
            joined[:, sender, receiver] = (real & ~fixed)[:, receiver] & real[:, sender]
            edges[:, sender, receiver] = np.stack([k, length], axis=-1)
        return System(
            n_node=n_node,
            joined=joined,
            place=place,
            velocity=np.zeros_like(place),
            nodes=fixed[..., None].astype(np.float64),
            edges=edges,
            globals=np.stack([np.zeros(len(numbers)), _between(pull, GRAVITY)], axis=-1),
        )

    def acceleration(
        self, system: System, place: Float[np.ndarray, "graphs nodes 2"]
    ) -> Float[np.ndarray, "graphs nodes 2"]:
        """Of masses of 1: the forces along the chain, and gravity."""
        left = np.arange(place.shape[1] - 1)
        gap = np.diff(place, axis=1)
        now = np.sqrt((gap**2).sum(-1))
        pull = np.zeros_like(place)
        for sender, receiver, way in ((left, left + 1, gap), (left + 1, left, -gap)):
            k, rest = np.moveaxis(system.edges[:, sender, receiver] * system.joined[:, sender, receiver, None], -1, 0)
            pull[:, receiver] -= (k * (now - rest) / now)[..., None] * way
        free = (np.arange(place.shape[1]) < system.n_node[:, None]) & (system.nodes[..., 0] == 0)
        return np.where(free[..., None], pull + system.globals[:, None], 0.0)


def _between(bits: np.ndarray, range_: tuple[float, float]) -> np.ndarray:
    return range_[0] + uniform(bits) * (range_[1] - range_[0])
