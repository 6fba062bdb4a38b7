"""The laws of a learning curve: four numbers and a level, searched on a grid that zooms in.

    L(x) = level * (floor + (1 - floor) * exp(-exponent * b(z))),    z = (x + shift) / (last + shift)

    b(z) = ln z                        power law with a floor ("M2" of Alabdulmohsin et al., 2022, arXiv:2209.06640)
    b(z) = (z^decay - 1) / decay       the same with a local exponent that fades as z^decay, decay < 0 (Box & Cox, 1964)

`last` is the last row's x; `floor` is a share of the level there. A `shift` gives the early plateau of a curve that starts at
chance ("pow4" of Viering & Loog, 2022, arXiv:2103.10948). The level is free and linear in ln L, so it is never searched.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

Nodes = tuple[int, int, int]
Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]  # ln slope, floor, cube root of shift / last

EXPONENT = (0.02, 4.0)  # those of published curves lie between 0.02 and 2
# The grid is even in the slope at the last row, which the rows know well, not in the exponent, which trades with the floor.
# The cube root of the shift is spaced evenly: small shifts matter most.
WIDEST: Box = ((np.log(0.002), np.log(4.0)), (0.0, 0.95), (0.0, 0.3 ** (1 / 3)))
UNSHIFTED: Box = (WIDEST[0], WIDEST[1], (0.0, 0.0))
DECAYS = (0.0, -0.5)
MARGIN = 1.25  # nodes


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Laws:
    """All combinations of the nodes in a box."""

    box: Box
    nodes: Nodes
    exponent: Float[np.ndarray, " laws"]  # of the part above the floor, at the last row
    floor: Float[np.ndarray, " laws"]  # share of the level at the last row
    shift: Float[np.ndarray, " laws"]  # in units of the last x
    decay: Float[np.ndarray, " laws"]
    mass: Float[np.ndarray, " laws"]  # ln of the part of the prior that each stands for

    @property
    def places(self) -> tuple[Float[np.ndarray, " laws"], Float[np.ndarray, " laws"], Float[np.ndarray, " laws"]]:
        """On the axes of the box."""
        return np.log(self.slope), self.floor, np.cbrt(self.shift)

    @property
    def slope(self) -> Float[np.ndarray, " laws"]:
        """-d ln L / d ln x at the last row."""
        return self.exponent * (1 - self.floor) / (1 + self.shift)

    @property
    def limit(self) -> Float[np.ndarray, " laws"]:
        """The loss at infinite x as a share of the level."""
        safe = np.where(self.decay < 0, self.decay, -1.0)
        return self.floor + np.where(self.decay < 0, (1 - self.floor) * np.exp(self.exponent / safe), 0.0)

    def shape(self, ahead: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points laws"]:
        """ln (L / level) at `ahead` = ln (x / last); 0 at the last row."""
        z = np.log((np.exp(ahead)[:, None] + self.shift) / (1 + self.shift))
        safe = np.where(self.decay == 0, 1.0, self.decay)
        faded = np.where(self.decay == 0, z, np.expm1(self.decay * z) / safe)
        return np.log(self.floor + (1 - self.floor) * np.exp(np.minimum(-self.exponent * faded, 600.0)))


def laws(box: Box, nodes: Nodes) -> Laws:
    """The grid of a box, for every decay."""
    counts = [count if high > low else 1 for (low, high), count in zip(box, nodes, strict=True)]
    axes = [np.linspace(*side, count) for side, count in zip(box, counts, strict=True)]
    grid = [values.ravel() for values in np.meshgrid(*axes, np.array(DECAYS), indexing="ij")]
    exponent = np.exp(grid[0]) * (1 + grid[2] ** 3) / (1 - grid[1])
    fair = (exponent >= EXPONENT[0]) & (exponent <= EXPONENT[1])
    exponent, floor, root, decay = (part[fair] for part in (exponent, *grid[1:]))
    steps = [(high - low) / (count - 1) for (low, high), count in zip(box, counts, strict=True) if count > 1]
    mass = np.full(len(exponent), float(np.log(steps).sum()))
    return Laws(box=box, nodes=nodes, exponent=exponent, floor=floor, shift=root**3, decay=decay, mass=mass)


def closer(found: Laws, support: Float[np.ndarray, " laws"], whole: Box, depth: float = 6.0) -> Box:
    """Where the log posterior is within `depth` of its maximum, and a node more on each side.

    The margin may leave the last box, though not the whole one: a ridge that starts outside can so be followed.
    """
    keep = support > support.max() - depth
    sides = []
    for place, (low, high), count, (least, most) in zip(found.places, found.box, found.nodes, whole, strict=True):
        margin = MARGIN * (high - low) / max(count - 1, 1)
        sides.append((max(least, float(place[keep].min()) - margin), min(most, float(place[keep].max()) + margin)))
    return (sides[0], sides[1], sides[2])


def union(grids: list[Laws]) -> Laws:
    """One grid of several: where boxes overlap, the finest speaks."""
    kept = []
    for grid in grids:
        alone = np.ones(len(grid.exponent), dtype=bool)
        for other in grids:
            if len(other.mass) and len(grid.mass) and other.mass[0] < grid.mass[0]:
                inside = [
                    (place >= low - 1e-12) & (place <= high + 1e-12)
                    for place, (low, high) in zip(grid.places, other.box, strict=True)
                ]
                alone &= ~np.logical_and.reduce(inside)
        kept.append(alone)
    parts = {
        name: np.concatenate([getattr(grid, name)[alone] for grid, alone in zip(grids, kept, strict=True)])
        for name in ("exponent", "floor", "shift", "decay", "mass")
    }
    return Laws(box=grids[0].box, nodes=grids[0].nodes, **parts)


def share_kept(support: Float[np.ndarray, " laws"], depth: float = 6.0) -> float:
    """How much of the grid carries weight; a small share says that the grid is too coarse for this curve."""
    return float((support > support.max() - depth).mean())
