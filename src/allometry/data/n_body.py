"""N bodies: all attract all, or charges attract and repel (after the n-body systems of Battaglia et al. 2016, arXiv:1612.00222).

```text
acceleration of r = G sum_s c_s (x_s - x_r) / (|x_s - x_r|^2 + softening^2)^(3/2)         gravity: c is a mass
                  = -G q_r sum_s q_s (x_s - x_r) / (...)^(3/2)                            coulomb: q is a charge of a mass of 1
```

Bodies begin in a square of side 2, with velocities up to 0.5 each way; masses are 0.5 to 1.5, charges -1 or 1, G is 0.5 to 1.5 and
is said at the graph. The softening bounds the forces of bodies that meet. Momentum is kept exactly by the step, energy nearly.
"""

from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from allometry.data._generated_graphs import draws
from allometry.data._motion import Motion, System
from allometry.data._random import uniform
from allometry.data._random_graphs import both, selves
from allometry.flow import Graphs, Refusal

FORCES = ("gravity", "coulomb")


class NBody(Motion):
    """Node: place (2), velocity (2), mass or charge. Edge: the product of the two. Graph: G. Asked of nodes: the next velocity."""

    least: int = 3
    most: int = 6
    step: float = 0.05
    force: str = "gravity"  # gravity | coulomb
    softening: float = 0.3

    smallest: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.force not in FORCES:
            raise Refusal(f"NBody(force={self.force!r}) is not known. It is one of: {', '.join(FORCES)}.")
        if self.softening <= 0:
            raise Refusal(f"NBody(softening={self.softening:g}) lets forces grow without end. Take more than 0.")

    @property
    def io(self) -> Graphs:
        links = self.most * (self.most - 1)
        return Graphs(nodes=5, edges=1, globals=1, of_nodes=2, loss="squared", length=self.most, links=links)

    def system(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> System:
        """Bodies anywhere, with any velocity."""
        pair = (self.most, 2)
        size, strength, place, velocity, charges = draws(seed, numbers, (), (), pair, pair, (self.most,))
        n_node, real = self._sizes(size)
        known = 0.5 + uniform(charges) if self.force == "gravity" else np.where(uniform(charges) < 0.5, -1.0, 1.0)
        charge = np.where(real, known, 0.0)
        return System(
            n_node=n_node,
            joined=both(real) & ~selves(self.most),
            place=2 * uniform(place) - 1,
            velocity=np.where(real[..., None], uniform(velocity) - 0.5, 0.0),
            nodes=charge[..., None],
            edges=(charge[:, :, None] * charge[:, None])[..., None],
            globals=0.5 + uniform(strength)[:, None],
        )

    def acceleration(
        self, system: System, place: Float[np.ndarray, "graphs nodes 2"]
    ) -> Float[np.ndarray, "graphs nodes 2"]:
        """Of each body, from all others."""
        x, y = np.moveaxis(place, 2, 0)
        gaps = [axis[:, :, None] - axis[:, None] for axis in (x, y)]  # from the receiver to the sender
        square = gaps[0] ** 2 + gaps[1] ** 2 + self.softening**2
        charge = system.nodes[..., 0]
        pull = charge[:, :, None] / (square * np.sqrt(square))
        sums = np.stack([(pull * gap).sum(1) for gap in gaps], axis=-1)
        return system.globals[:, None] * (np.sign(charge) if self.force == "gravity" else -charge)[..., None] * sums
