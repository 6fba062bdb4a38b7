"""Noise: how much ln loss varies between seeds, and how much of it families share through the data order.

Runs with one seed and one budget saw the same data in the same order, whatever the family, so that part cancels in
differences. Two-way analysis of the repeated cells (cell x data order; Henderson's method 3) separates the two:
residuals of `cell + order` are a run's own noise, and what `order` explains beyond its share of that is the common part.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from allometry.fit.cells import Cells

DEFAULT = 0.01  # ln loss; assumed when too few cells were repeated
LEAST_DEGREES = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noise:
    """Variances of ln loss between seeds, with the degrees of freedom that they rest on."""

    own: float  # variance of a run's own part
    order: float  # variance of the part shared by data order
    degrees: int  # of the own part; 0 where the default is used
    order_degrees: int
    share: float  # runs per data order, as the analysis weighs them
    measured: bool

    @property
    def text(self) -> str:
        if not self.measured:
            return (
                f"Too few repeated seeds to measure the noise between them; {DEFAULT:.0%} of the loss is assumed. "
                "More seeds would replace this assumption."
            )
        shared = f", of which {np.sqrt(self.order):.2%} is shared through the data order" if self.order else ""
        sd = np.sqrt(self.own + self.order)
        return f"Between seeds the loss varies by {sd:.2%} (standard deviation{shared}; {self.degrees} degrees of freedom)."

    def draw(
        self, draws: int, generator: np.random.Generator
    ) -> tuple[Float[np.ndarray, " draws"], Float[np.ndarray, " draws"]]:
        """Standard deviations (own, order), scattered as few degrees of freedom leave them: intervals become Student's."""
        if not self.measured:
            return np.full(draws, np.sqrt(self.own)), np.zeros(draws)
        own = self.own * self.degrees / generator.chisquare(self.degrees, draws)
        if not self.order_degrees:
            return np.sqrt(own), np.zeros(draws)
        mean_square = self.own + self.share * self.order
        order = (mean_square * self.order_degrees / generator.chisquare(self.order_degrees, draws) - own) / self.share
        return np.sqrt(own), np.sqrt(np.maximum(order, 0))


def measure(cells: Cells) -> Noise:
    """Pool all cells that were repeated under several seeds."""
    loss, group, order = cells.run_ln_loss, cells.run_group, cells.run_order
    repeated = np.bincount(group, minlength=1)[group] > 1 if len(group) else np.zeros(0, dtype=bool)
    if not repeated.any():
        return Noise(own=DEFAULT**2, order=0.0, degrees=0, order_degrees=0, share=1.0, measured=False)
    loss, group, order = loss[repeated], group[repeated], order[repeated]
    cell, run_order = _dummies(group), _dummies(order)
    within = _residual(cell, np.concatenate([loss[:, None], run_order], axis=1))
    alone, rank = float((within[:, 0] ** 2).sum()), len(loss) - cell.shape[1]
    both = np.concatenate([cell, run_order], axis=1)
    left = _residual(both, loss[:, None])[:, 0]
    free = len(loss) - int(np.linalg.matrix_rank(both))
    explained = rank - free
    share = float((within[:, 1:] ** 2).sum()) / explained if explained else 1.0
    if free >= LEAST_DEGREES and share > 1:
        own = float((left**2).sum()) / free
        common = max(0.0, ((alone - float((left**2).sum())) / explained - own) / share)
        return Noise(own=own, order=common, degrees=free, order_degrees=explained, share=share, measured=True)
    if rank >= LEAST_DEGREES:
        # Nothing to tell the shared part by: all of it counts as own, which only widens the intervals of differences.
        return Noise(own=alone / rank, order=0.0, degrees=rank, order_degrees=0, share=1.0, measured=True)
    return Noise(own=DEFAULT**2, order=0.0, degrees=0, order_degrees=0, share=1.0, measured=False)


def _dummies(labels: np.ndarray) -> Float[np.ndarray, "runs labels"]:
    return (labels[:, None] == np.unique(labels)[None, :]).astype(float)


def _residual(
    design: Float[np.ndarray, "runs columns"], values: Float[np.ndarray, "runs many"]
) -> Float[np.ndarray, "runs many"]:
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
