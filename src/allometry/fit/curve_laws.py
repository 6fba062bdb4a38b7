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

Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]  # ln exponent, floor, cube root of shift / last

NODES = (12, 8, 4)
# Exponents of published curves lie between 0.02 and 2. The cube root of the shift is spaced evenly: small shifts matter most.
WIDEST: Box = ((np.log(0.02), np.log(4.0)), (0.0, 0.95), (0.0, 0.3 ** (1 / 3)))
UNSHIFTED: Box = (WIDEST[0], WIDEST[1], (0.0, 0.0))
DECAYS = (0.0, -0.5)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Laws:
    """All combinations of the nodes in a box."""

    box: Box
    exponent: Float[np.ndarray, " laws"]  # of the part above the floor, at the last row
    floor: Float[np.ndarray, " laws"]  # share of the level at the last row
    shift: Float[np.ndarray, " laws"]  # in units of the last x
    decay: Float[np.ndarray, " laws"]

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


def laws(box: Box) -> Laws:
    """The grid of a box, for every decay."""
    axes = [np.linspace(*side, count if side[1] > side[0] else 1) for side, count in zip(box, NODES, strict=True)]
    grid = [values.ravel() for values in np.meshgrid(*axes, np.array(DECAYS), indexing="ij")]
    return Laws(box=box, exponent=np.exp(grid[0]), floor=grid[1], shift=grid[2] ** 3, decay=grid[3])


def closer(found: Laws, support: Float[np.ndarray, " laws"], depth: float = 6.0) -> Box:
    """The part of the box where the log posterior is within `depth` of its maximum, and one node more on each side."""
    keep = support > support.max() - depth
    places = (np.log(found.exponent), found.floor, np.cbrt(found.shift))
    sides = []
    for place, (low, high), count in zip(places, found.box, NODES, strict=True):
        step = (high - low) / (count - 1)
        sides.append((max(low, float(place[keep].min()) - step), min(high, float(place[keep].max()) + step)))
    return (sides[0], sides[1], sides[2])


def share_kept(support: Float[np.ndarray, " laws"], depth: float = 6.0) -> float:
    """How much of the grid carries weight; a small share says that the grid is too coarse for this curve."""
    return float((support > support.max() - depth).mean())
